# SPDX-License-Identifier: GPL-2.0-only
"""depmod on small trees, as the real one was recorded; what it refuses; the parts that are functions."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, corpus
from kmodsim.cli import main
from kmodsim.corpus import DATA, DISTRIBUTION, RELEASE, SAMPLES
from kmodsim.errors import NotModelled
from kmodsim.sampleindex import FIRST, MADE
from kmodsim.userland import depmod
from kmodsim.userland.depmod import FILES, read_tree, run, write_files
from kmodsim.userland.depmod.hashing import superfast
from kmodsim.userland.depmod.posix import compile_extended
from kmodsim.userland.index_read import Index
from kmodsim.userland.index_write import index_bytes
from kmodsim.userland.shell import Shell
from tests.realtools.depmod import CASES, model, observe
from tests.realtools.depmod_trees import graph, tree
from tests.realtools.tiny import tiny

pytestmark = pytest.mark.core
RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "realtools" / "depmod.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", RECORDED["cases"])
def test_a_tree_as_the_real_depmod_was_seen(name: str) -> None:
    """Streams, status, and the files by their digests; recorded from kmod 30."""
    assert observe(name, model).digest() == RECORDED["cases"][name]


def test_the_recorded_cases_hold_what_they_should() -> None:
    cases = RECORDED["cases"].values()
    assert set(RECORDED["cases"]) == {name for name, case in CASES.items() if not case.live}
    assert RECORDED["tool"][0] == "kmod version 30"
    assert sum(case["status"] == 1 for case in cases) > 25
    assert sum(case["status"] == 134 for case in cases) >= 3
    assert sum(len(case["files"]) >= 10 for case in cases) > 60


def test_the_index_of_the_modules_that_come_along(tmp_path: Path) -> None:
    """The files in ``kmodsim/data`` were made by the real depmod."""
    paths = [*SAMPLES.glob("*.ko"), *DISTRIBUTION.glob("*.ko")]
    paths.sort(key=lambda path: (path.stem not in FIRST, path.relative_to(DATA).as_posix()))
    names = [path.relative_to(DATA).as_posix() for path in paths]
    tree({}, order="".join(f"{name}\n" for name in names).encode())(tmp_path)
    for path, name in zip(paths, names, strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / name)
    found = read_tree(tmp_path)
    made = [name for name in MADE if "builtin" not in name]
    assert len(made) == 5
    for name in made:
        assert FILES[name](found) == (DATA / name).read_bytes()


def test_gzip_is_read_too(tmp_path: Path) -> None:
    """Debian's kmod is built without zlib and passes .ko.gz by; a kmod with it takes them as it does .ko.xz
    (``shared/util.c:kmod_exts``)."""
    import gzip

    packed = gzip.compress(tiny(["s"], info=["alias=x"]))
    tree({"k/a.ko.gz": packed, "k/b.ko": tiny([], ["s"])}, order=b"k/a.ko\nk/b.ko\n")(tmp_path)
    found = read_tree(tmp_path)
    assert FILES["modules.dep"](found) == b"k/a.ko.gz:\nk/b.ko: k/a.ko.gz\n"
    assert b"alias x a\n" in FILES["modules.alias"](found)


# -- what it will not do


@pytest.mark.parametrize("words", [[], [RELEASE], ["-a"], ["-A"], ["-C", "/dev/null"]])
def test_nothing_is_written_where_no_base_is_named(words: list[str]) -> None:
    result = run(None, ["depmod", *words])
    assert (result.status, result.stdout) == (1, "")
    assert result.stderr.startswith("kmodsim: depmod writes files only with -b DIR")


def test_the_shell_writes_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    graph({"a": "b", "b": ""})(folder)
    out: list[str] = []
    shell = Shell(Kernel(cpu=None), out.append)
    assert shell.run(f"depmod -b {tmp_path}") == 1
    assert "".join(out).startswith("kmodsim: depmod writes files only")
    assert not (folder / "modules.dep").exists()
    assert shell.run(f"depmod -n -b {tmp_path} | head -1") == 0
    assert out[-1] == "k/a.ko: k/b.ko\n"


def test_without_a_base_the_modules_that_come_along_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "tree", lambda: None)
    result = run(None, ["depmod", "-n"])
    assert result.status == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    needed = next(words[1:] for words in lines if words[0].endswith("/ext4.ko:"))
    # modinfo -F depends ext4.ko: jbd2,mbcache,crc16
    assert {Path(path).stem for path in needed} == {"jbd2", "mbcache", "crc16"}


def test_circles_that_touch_are_said_not_followed(tmp_path: Path) -> None:
    """kmod 30 goes round for ever (``depmod_report_cycles_from_root`` looks only for its root)."""
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    graph({"a": "ab", "b": "b", "c": ""})(folder)
    start = time.perf_counter()
    result = run(None, ["depmod", "-b", str(tmp_path), RELEASE])
    assert time.perf_counter() - start < 5
    assert result.status == 130
    assert "depmod would wait for ever" in result.stderr


def test_a_wide_ladder_takes_no_exponential_time(tmp_path: Path) -> None:
    """Every rung doubles the number of paths; kmod counts them all (``mod_count_all_dependencies``)."""
    rungs = 60
    files = {
        f"k/{side}{n}.ko": tiny([f"{side}{n}"], [f"a{n + 1}", f"b{n + 1}"] if n < rungs else [])
        for n in range(rungs + 1)
        for side in "ab"
    }
    tree(files)(tmp_path)
    found = read_tree(tmp_path)
    assert max(map(len, found.needs)) == 2 * rungs


def test_folders_linked_to_each_other_end(tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules" / RELEASE
    (folder / "k").mkdir(parents=True)
    for name in ("x", "y"):
        (folder / "k" / name).symlink_to(".")
    result = run(None, ["depmod", "-b", str(tmp_path), RELEASE])
    assert result.status == 130
    assert "links lead from folder to folder in circles" in result.stderr


def test_read_tree_raises_what_the_tool_says(tmp_path: Path) -> None:
    with pytest.raises(KernelError) as caught:
        read_tree(tmp_path / "none")
    assert "could not open directory" in caught.value.why
    graph({"a": "b", "b": "a"})(tmp_path)
    with pytest.raises(KernelError) as caught:
        read_tree(tmp_path)
    assert "Cycle detected: a -> b -> a" in caught.value.why


def test_write_files_into_another_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "in").mkdir()
    graph({"a": "b", "b": ""})(tmp_path / "in")
    write_files(read_tree(tmp_path / "in"), tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(FILES)
    assert not (tmp_path / "in" / "modules.dep").exists()


def test_random_bytes_end_in_a_status(tmp_path: Path) -> None:
    """Lists, configuration, symbols and modules of any bytes: whatever is said, no other exception."""
    words = [
        b"search ",
        b"override ",
        b"external * ",
        b"alias=",
        b"\0",
        b"\n",
        b"\\",
        b" ",
        b"[",
        b"(",
        b"kernel/a.ko",
    ]
    for number in range(150):
        rng = random.Random(number)

        def text(rng: random.Random = rng) -> bytes:
            return b"".join(
                rng.choice([*words, rng.randbytes(rng.randint(0, 9))]) for _ in range(rng.randint(0, 60))
            )

        root = tmp_path / str(number)
        folder = root / "lib" / "modules" / RELEASE
        folder.mkdir(parents=True)
        (root / "c.conf").write_bytes(text())
        info = [text().replace(b"\0", b"") for _ in range(3)]
        files = {
            "k/a.ko": tiny(["a"], ["b"], info),
            "k/b.ko": text(),
            "u/a.ko": tiny(["b"], [], info),
            "s": text(),
        }
        tree(files, order=text(), builtin=text(), modinfo=text())(folder)
        option = rng.choice(["-E", "-F"])
        argv = [
            "depmod",
            "-evvw",
            option,
            str(folder / "s"),
            "-C",
            str(root / "c.conf"),
            "-b",
            str(root),
            RELEASE,
        ]
        assert run(None, argv).status in (0, 1, 134)


# -- the command


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    graph({"a": "b", "b": ""})(folder)
    assert main(["depmod", "-n", "-b", str(tmp_path), RELEASE]) == 0
    assert capsys.readouterr().out.startswith("k/a.ko: k/b.ko\nk/b.ko:\n# Aliases")
    assert main(["depmod", "-b", str(tmp_path), RELEASE]) == 0
    assert (folder / "modules.dep").read_text() == "k/a.ko: k/b.ko\nk/b.ko:\n"
    assert main(["depmod", "-b", str(tmp_path), "6.2"]) == 1
    assert capsys.readouterr().err.endswith("FATAL: could not search modules: No such file or directory\n")


def test_the_release_is_the_corpus_own() -> None:
    assert depmod.RELEASE == corpus.RELEASE


def test_no_numpy_is_loaded_for_it(tmp_path: Path) -> None:
    """Its start would take as long as a fifth of the work."""
    code = f"""
import sys
from kmodsim.cli import main
main(["depmod", "-n", "-b", {str(tmp_path)!r}, "6.1"])
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# -- parts


def test_the_index_is_read_back(tmp_path: Path) -> None:
    """Keys that begin alike, an empty one, several values of one key: by priority, the later one first
    (``tools/depmod.c:index_add_value``)."""
    items = [
        (b"ab", b"1", 5), (b"abc", b"2", 1), (b"", b"3", 0), (b"b", b"4", 2), (b"ab", b"5", 5),
        (b"ab", b"6", 1),
    ]  # fmt: skip
    (tmp_path / "x.bin").write_bytes(index_bytes(items))
    index = Index(str(tmp_path / "x.bin"))
    assert list(index.items()) == [
        (b"", b"3"), (b"ab", b"6"), (b"ab", b"5"), (b"ab", b"1"), (b"abc", b"2"), (b"b", b"4"),
    ]  # fmt: skip
    assert index.search(b"abc") == b"2"


def test_an_index_that_kmod_would_spoil_its_memory_for() -> None:
    """``tools/depmod.c:index_insert``: a negative ``char`` as an index into ``children``."""
    assert b"\xc3\xa9" in index_bytes([(b"x\xc3\xa9", b"", 0)])
    with pytest.raises(NotModelled):
        index_bytes([(b"x\xc3\xa9", b"", 0), (b"xy", b"", 0)])


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    # glibc 2.36, regcomp(3) with REG_EXTENDED | REG_NOSUB
    [
        ("6", "6.1.0", True), ("^6\\.1", "6.1.0", True), ("^1", "6.1.0", False), ("0$", "6.1.0", True),
        ("6.1.0|x", "5", False), ("a||b", "c", True), ("()", "", True),
        ("*6", "6", False), ("(6", "6", False),
        ("6)", "6)", True), ("a{2,3}b", "aaab", True), ("a{2,3}b", "ab", False), ("a{,2}b", "b", True),
        ("a{3,2}", "aaa", False), ("{1}", "1", False), ("a{x}", "a{x}", False), ("[]a]", "]", True),
        ("[^]a]", "]", False), ("[[:digit:]]+-", "56-", True),
        ("[[:nope:]]", "n", False), ("[z-a]", "z", False),
        ("[a-]", "-", True), ("[[.a.]]", "a", True), ("\\w+\\W", "ab ", True), ("a+?", "", True),
        ("a\\", "a", False),
        ("[", "[", False), ("x*y+z?", "y", True), ("(a|b)*c", "abbac", True), ("^*", "x", False),
    ],
)  # fmt: skip
def test_an_extended_regular_expression(pattern: str, text: str, fits: bool) -> None:
    compiled = compile_extended(pattern)
    assert (compiled is not None and bool(compiled.search(text))) is fits


def test_a_regular_expression_takes_no_exponential_time() -> None:
    start = time.perf_counter()
    for pattern in ("(a+)+$", "((a*)*)*b", "(a|a)*b", "a{0,32767}" * 5 + "b", "((a{0,255}){0,255}){0,255}b"):
        compiled = compile_extended(pattern)
        assert compiled is not None
        compiled.search("a" * 200 + "c")
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("key", "value"),
    # shared/hash.c:hash_superfast, compiled by gcc for x86-64 and run
    [
        (b"", 0), (b"a", 291415938), (b"ab", 1366002500), (b"abc", 3535673738), (b"abcd", 3671636187),
        (b"crc16", 1713465510), (b"snd_hda_intel", 1849698465), (b"\xff", 0), (b"x\xff\x80", 4257098476),
        (b"\xc3\xa9t\xc3\xa9s", 3554537149),
    ],
)  # fmt: skip
def test_hash(key: bytes, value: int) -> None:
    assert superfast(key) == value
