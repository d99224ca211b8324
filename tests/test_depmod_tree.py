# SPDX-License-Identifier: GPL-2.0-only
"""depmod beside kmod's own: all 4,023 modules byte for byte, and every small tree of the recorded ones."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kmodsim.corpus import RELEASE, SAMPLES
from kmodsim.userland.depmod import FILES, read_tree, run, write_files
from kmodsim.userland.depmod.hashing import superfast
from tests.bench.depmod import AS_LONG, bench_depmod
from tests.realtools import depmod_trees
from tests.realtools.depmod import CASES, POINTER, TEMPORARY, Seen, model, observe, real_tool
from tests.realtools.depmod_trees import BASE, Case, tiny

NOBODY = 65534
LISTS = ("modules.order", "modules.builtin", "modules.builtin.modinfo")


def linked(tree: Path, root: Path) -> Path:
    """``root``/lib/modules/RELEASE with links to the modules and the kernel's lists."""
    folder = root / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for name in ("kernel", *LISTS):
        (folder / name).symlink_to(tree / name)
    return folder


def differing(mine: Path, real: Path) -> list[str]:
    return [name for name in FILES if (mine / name).read_bytes() != (real / name).read_bytes()]


@pytest.fixture(scope="module")
def real(tree: Path, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the real depmod."""
    root = tmp_path_factory.mktemp("real")
    folder = linked(tree, root)
    subprocess.run([needs("depmod"), "-b", str(root), RELEASE], check=True)
    return folder


@pytest.mark.tree
def test_all_files_of_the_whole_tree_are_the_same(tree: Path, real: Path, tmp_path: Path) -> None:
    """Texts and indexes, as the tool writes them and nothing beside them."""
    folder = linked(tree, tmp_path)
    result = run(None, ["depmod", "-b", str(tmp_path), RELEASE])
    assert (result.stdout, result.stderr, result.status) == ("", "", 0)
    assert differing(folder, real) == []
    assert {path.name for path in folder.iterdir()} == {path.name for path in real.iterdir()}
    assert len((folder / "modules.dep").read_text().splitlines()) == 4023
    assert not (real / "modules.weakdep").exists()  # came with kmod 33


@pytest.mark.tree
@pytest.mark.parametrize("words", [("-n",), ("-nv",), ("-vv",), ("-A",), ("-n", "-w"), ("-n", "-e")])
def test_both_say_the_same_of_the_whole_tree(
    words: tuple[str, ...], real: Path, needs: Callable[[str], str]
) -> None:
    argv = ["depmod", *words, "-b", str(real.parents[2]), RELEASE]
    status, out, err = real_tool(needs("depmod"))(argv, real)
    result = run(None, argv)
    assert (result.status, len(result.stdout)) == (status, len(out))
    assert result.stdout == out
    assert POINTER.sub("", result.stderr) == POINTER.sub("", err)


@pytest.mark.tree
def test_what_the_kernel_does_not_export(real: Path, tree: Path, needs: Callable[[str], str]) -> None:
    """-e -F with a map in which one symbol in ten is missing, -e -E with CRCs of which some are others."""
    versions: dict[str, int] = {}
    for facts in read_tree(tree).facts:
        versions.update((name.decode(), 0) for name in facts.needs)
    rng, root = Random(1), real.parents[2]
    names = [name for name in versions if rng.random() < 0.9]
    (root / "map").write_text("".join(f"ffffffff R __ksymtab_{name}\n" for name in names))
    (root / "symvers").write_text("".join(f"0x{rng.getrandbits(8):08x}\t{n}\tvmlinux\tE\n" for n in names))
    for option, file in (("-F", "map"), ("-E", "symvers")):
        argv = ["depmod", "-n", "-e", option, str(root / file), "-b", str(root), RELEASE]
        status, out, err = real_tool(needs("depmod"))(argv, real)
        result = run(None, argv)
        assert (result.status, result.stdout) == (status, out)
        assert result.stderr == err
        assert err.count("needs unknown symbol") > 10_000


@pytest.mark.tree
def test_the_real_modprobe_reads_the_indexes(
    tree: Path, real: Path, needs: Callable[[str], str], tmp_path: Path
) -> None:
    write_files(read_tree(linked(tree, tmp_path)), tmp_path / "lib" / "modules" / RELEASE)
    lines = (real / "modules.alias").read_text().splitlines()[1::700]
    words = [*(line.split()[1].replace("*", "0") for line in lines), "ext4", "amdgpu", "symbol:crc16", "rtc"]
    for word in words:
        answers = [
            subprocess.run([needs("modprobe"), "-d", str(root), "-S", RELEASE, "-C", "/dev/null", "-D", word],
                           capture_output=True, text=True)
            for root in (tmp_path, real.parents[2])
        ]  # fmt: skip
        mine, theirs = (answer.stdout.replace(str(tmp_path), str(real.parents[2])) for answer in answers)
        assert (answers[0].returncode, mine) == (answers[1].returncode, theirs)


def same(name: str, needs: Callable[[str], str]) -> Seen:
    mine, theirs = observe(name, model), observe(name, real_tool(needs("depmod")))
    assert mine == theirs
    return mine


@pytest.mark.tool
@pytest.mark.parametrize("name", CASES)
def test_a_small_tree(name: str, needs: Callable[[str], str]) -> None:
    """Streams, status and all files, in order; the file system lists both trees alike."""
    same(name, needs)


def damaged(rng: Random) -> bytes:
    """A sample or a tiny module with up to four numbers changed, now and then cut."""
    samples = sorted(SAMPLES.glob("*.ko"))
    small = tiny(
        ["a", "b"], ["c"], ["alias=x"], [(1, "c")], word=rng.choice((32, 64)), order=rng.choice("<>")
    )
    data = bytearray(rng.choice((small, rng.choice(samples).read_bytes())))
    size = len(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.choice((rng.randrange(64), rng.randrange(size), size - rng.randrange(1, min(size, 1500))))
        width = rng.choice((1, 1, 2, 4, 8))
        value = rng.choice((0, 1, 127, size - 1, size, size + 1, rng.getrandbits(16), (1 << 64) - 1, 1 << 63))
        data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(data[: rng.randrange(size)] if rng.random() < 0.2 else data)


@pytest.mark.tool
def test_damaged_modules(needs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """200 trees of eight. Where kmod's index would need a letter above 127 the model says that it stops."""
    stopped = 0
    for number in range(200):
        rng = Random(number)
        files = {f"k/m{k}.ko": damaged(rng) for k in range(8)}
        words = rng.choice((BASE, ("-v", *BASE), ("-e", "-E", "/dev/null", *BASE)))
        monkeypatch.setattr(depmod_trees, "CASES", {})
        monkeypatch.setitem(CASES, "damaged", Case(depmod_trees.tree(files), words))  # type: ignore[arg-type]
        mine = observe("damaged", model)
        if "kmodsim: not modelled: an index whose keys part at a byte above 127" in mine.stderr:
            stopped += 1
            continue
        assert mine == observe("damaged", real_tool(needs("depmod"))), number
    assert stopped < 10


@pytest.mark.tool
def test_files_that_do_not_fit(needs: Callable[[str], str], tmp_path: Path) -> None:
    """A limit of 4 KiB a file, for both; kmod takes any failure of a write for a full disk."""
    seen = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for name in ("mine", "real"):
        folder = tmp_path / name / "lib" / "modules" / RELEASE
        folder.mkdir(parents=True)
        depmod_trees.tree({"a.ko": tiny(info=[f"alias={'x' * 3000}{n}" for n in range(4)])})(folder)
        argv = ["depmod", "-b", str(tmp_path / name), RELEASE]
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:  # Python ignores SIGXFSZ, and so does a child of it when told not to restore it
            if name == "mine":
                result = run(None, argv)
                status, err = result.status, result.stderr
            else:
                done = subprocess.run(
                    argv, executable=needs("depmod"), stderr=subprocess.PIPE, restore_signals=False
                )
                status, err = done.returncode, done.stderr.decode()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        seen.append((status, err, {p.name: p.read_bytes()[:4096] for p in folder.glob("modules.*")}))
    assert seen[0] == seen[1]
    assert seen[0][1].startswith("depmod: ERROR: Could not create index 'modules.alias'. Output is truncated")


def as_nobody(call: Callable[[], Any]) -> Any:
    """What ``call`` returns in a child without rights; a plain user calls it as it is."""
    if os.geteuid():
        return call()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setuid(NOBODY)
        with os.fdopen(writer, "w") as stream:
            json.dump(call(), stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.load(stream)
    os.waitpid(child, 0)
    return answer


@pytest.mark.tool
def test_without_rights(needs: Callable[[str], str]) -> None:
    """Files and folders that cannot be read, and a folder that cannot be written to: complaints, status 0."""
    depmod = needs("depmod")
    with tempfile.TemporaryDirectory(prefix="kmodsim-depmod-") as place:
        folder = Path(place, "lib", "modules", RELEASE)
        folder.mkdir(parents=True)
        Path(place).chmod(0o755)
        depmod_trees.tree({"a.ko": tiny(), "secret.ko": tiny(), "d/b.ko": tiny()})(folder)
        closed = [folder / "secret.ko", folder / "d", folder / "modules.order"]
        for path in [*closed, folder]:
            path.chmod(0o555 if path == folder else 0)
        argv = ["depmod", "-b", place, RELEASE]

        def mine() -> list[Any]:
            result = run(None, argv)
            return [result.status, result.stdout, result.stderr]

        def theirs() -> list[Any]:
            done = subprocess.run(argv, executable=depmod, capture_output=True, text=True)
            return [done.returncode, done.stdout, done.stderr]

        answers = [as_nobody(mine), as_nobody(theirs)]
        for path in [*closed, folder]:
            path.chmod(0o755)
    status, out, err = answers[0]
    assert [status, out, TEMPORARY.sub("", err)] == [*answers[1][:2], TEMPORARY.sub("", answers[1][2])]
    assert (status, out) == (0, "")
    assert err.count("Permission denied") == 3 + len(FILES)


@pytest.mark.tree
def test_the_hash_orders_the_symbols(real: Path) -> None:
    """modules.symbols is in the order of the buckets (``shared/hash.c``): 2,048 of them."""
    lines = (real / "modules.symbols").read_text().splitlines()[1:]
    names = [line.split()[1].removeprefix("symbol:").encode() for line in lines]
    keys = [(superfast(name) % 2048, name) for name in names]
    assert len(keys) > 14_000
    assert keys == sorted(keys)


@pytest.mark.bench
def test_it_takes_at_most_twice_as_long(tree: Path) -> None:
    found: dict[str, float] = {}
    lines = list(bench_depmod(9, found))
    assert lines[-1] == "10 of 10 files are the same, byte for byte"
    assert found[AS_LONG] <= 2
