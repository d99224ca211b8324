# SPDX-License-Identifier: GPL-2.0-only
"""modinfo beside kmod's own: all 4,023 modules, names, aliases, built-in code, packed and broken files."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kmodsim import Kernel, corpus, userland
from kmodsim.corpus import RELEASE
from kmodsim.userland import ToolResult
from tests.test_commands import real
from tests.test_modprobe_tree import indexed

Compare = Callable[..., ToolResult]
POINTER = re.compile(r"ctx=0x[0-9a-f]+")
HELLO = corpus.sample("hello").read_bytes()


def compare(folder: Path, *words: str) -> ToolResult:
    """Both tools with the same words; the model's result, after it was found equal."""
    argv = ["modinfo", *words]
    mine = userland.run(None, argv)
    out, err, status = real(argv, folder)
    if status < 0:  # died of a signal: the shell would say so
        err, status = err + {-11: "Segmentation fault\n"}[status], 128 - status
    assert POINTER.sub("ctx=0x", mine.stderr) == POINTER.sub("ctx=0x", err)
    assert (mine.stdout, mine.status) == (out, status)
    return mine


def batches(paths: list[Path], size: int = 150) -> Iterator[list[str]]:
    for start in range(0, len(paths), size):
        yield [str(path) for path in paths[start : start + size]]


@pytest.fixture(scope="module")
def root(tree: Path, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lib/modules/RELEASE as depmod leaves it."""
    root = tmp_path_factory.mktemp("modinfo")
    indexed(tree, root, needs("depmod"))
    return root


@pytest.mark.tree
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-0",),
        ("-p",),
        ("-F", "alias"),
        ("-F", "vermagic"),
        ("-F", "signature"),
        ("-n",),
        ("-0", "-F", "parm"),
        ("-F", "nosuch"),
    ],
    ids=" ".join,
)
def test_the_whole_tree(options: tuple[str, ...], tree: Path) -> None:
    """Every field of the 4,023 modules, byte for byte; many modules a process."""
    paths = sorted((tree / "kernel").glob("**/*.ko"))
    assert len(paths) == 4023
    for batch in batches(paths):
        compare(tree, *options, *batch)


@pytest.mark.tree
def test_names_are_found_through_modules_dep(root: Path) -> None:
    """Every twentieth module by its name, dashes and underscores mixed."""
    names = sorted(path.stem for path in (root / "lib/modules" / RELEASE / "kernel").glob("**/*.ko"))[::20]
    assert len(names) > 200
    place = ("-b", str(root), "-k", RELEASE)
    shown = compare(root, *place, "-n", *names)
    assert shown.stdout.count("\n") == len(names)
    compare(root, *place, *(name.replace("_", "-") for name in names[:60]))


@pytest.mark.tree
@pytest.mark.parametrize(
    "words",
    [
        ("fs-ext4",),
        ("-m", "fs-ext4"),
        ("pci:v00008086d00001533sv00001AF4sd00001100bc02sc00i00",),
        ("net-pf-10",),
        ("-n", "crypto-aes", "nosuch", "ext4"),
        ("symbol:crc16",),
        ("xen:vif",),
        ("a]",),
        ("[ab",),
        ("",),
        ("-m", ""),
        ("-m", "a.b"),
        ("ext4.ko",),
        ("-m", "ext4.ko.xz"),
        ("-m", "snd-hda-intel"),
        ("-F", "parm", "random"),
        ("kernel",),
        ("unix",),
        ("-F", "name", "unix", "ext4"),
        ("-n", "unix"),
        ("-p", "8250"),
        ("-0", "unix"),
        ("-m", "unix"),
        ("-l", "net-pf-1", "net-pf-17"),
        ("-F", "filename", "crypto-sha256"),
    ],
    ids=" ".join,
)
def test_aliases_and_what_is_built_in(words: tuple[str, ...], root: Path) -> None:
    """Names that are no files: modules.dep, modules.alias, modules.symbols, modules.builtin(.modinfo)."""
    compare(root, "-b", str(root), "-k", RELEASE, *words)


@pytest.mark.tree
@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"zz.a=1\0",
        b"unix.a=1\0zz.b=1\0unix.c=1\0",
        b"unix.a\0unix.\0unix.=3\0",
        b"unix.a=1\0unix.b",
        b"unix.a=1\0zz.b",
        b"nodot\0unix.a=1\0",
        b"unix.parm=x\0unix.parmtype=y:int\0unix.parm=y:why\0",
        b"unix." + b"a" * 20000 + b"=" + b"b" * 20000 + b"\0",
        b"u" * 5000 + b".a=1\0unix.b=2\0",
    ],
    ids=lambda data: repr(data)[:30],
)
def test_a_broken_list_of_what_is_built_in(data: bytes | None, root: Path, tmp_path: Path) -> None:
    """libkmod-builtin.c on files that no kernel's build writes; without the file nothing is told."""
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for index in (root / "lib" / "modules" / RELEASE).glob("*.bin"):
        shutil.copy(index, folder)
    if data is not None:
        (folder / "modules.builtin.modinfo").write_bytes(data)
    compare(tmp_path, "-b", str(tmp_path), "-k", RELEASE, "unix", "8250")


@pytest.mark.tool
def test_a_list_of_empty_strings_of_what_is_built_in(root: Path, tmp_path: Path) -> None:
    """``libkmod-builtin.c:get_string`` follows a NULL. Of what lies behind it the real one may also live."""
    folder = tmp_path / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for index in (root / "lib" / "modules" / RELEASE).glob("*.bin"):
        shutil.copy(index, folder)
    (folder / "modules.builtin.modinfo").write_bytes(b"\0\0\0")
    found = userland.run(None, ["modinfo", "-b", str(tmp_path), "-k", RELEASE, "unix"])
    assert (found.stdout, found.status) == ("", 139)  # a string without a dot: strchr's NULL is followed


def packed(tmp_path: Path) -> None:
    """Modules in other clothes, and things that are none, in the current folder."""
    import gzip

    files = {
        "xz.ko.xz": lzma.compress(HELLO, check=lzma.CHECK_CRC32),
        "gz.ko.gz": gzip.compress(HELLO),
        "asgz.ko": gzip.compress(HELLO),
        "xzplain.ko": lzma.compress(HELLO),
        "notxz.ko.xz": HELLO,
        "zeros.ko": bytes(4096),
        "cut.ko.xz": lzma.compress(HELLO)[:3000],
        "magic.ko.zst": b"\x28\xb5\x2f\xfd" + bytes(60),
        "elf.ko": b"\x7fELF" * 50,
        "long.ko": b"A" * 300_000,
        "name.txt": HELLO,
        ".ko": HELLO,
        "UPPER.KO": HELLO,
        "two.dots.ko": HELLO,
    }
    if shutil.which("zstd"):
        zstd = subprocess.run(["zstd", "-c"], input=HELLO, capture_output=True, check=True)
        files |= {
            "zst.ko.zst": zstd.stdout,
            "cut.ko.zst": zstd.stdout[:2000],
            "bad.ko.zst": zstd.stdout[:900] * 2,
        }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.ko").mkdir()
    (tmp_path / "dangling.ko").symlink_to("nowhere")
    (tmp_path / "circle.ko").symlink_to("circle.ko")
    (tmp_path / "link.ko").symlink_to("name.txt")
    os.mkfifo(tmp_path / "pipe.ko")


@pytest.mark.tool
@pytest.mark.parametrize("options", [(), ("-F", "license"), ("-0",)], ids=" ".join)
def test_packed_and_broken_files(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's kmod reads xz and zstd, not gzip; what is no regular file with a module's ending is a name."""
    packed(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) > 17
    for name in names:
        compare(tmp_path, *options, name)
    compare(tmp_path, *options, *names)


@pytest.mark.tool
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs users")
def test_a_file_that_may_not_be_read(tmp_path: Path, needs: Callable[[str], str]) -> None:
    """EACCES, as an ordinary user meets it; root hands its rights in first."""
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o055 != 0o055:
            parent.chmod(parent.stat().st_mode | 0o055)
    (tmp_path / "secret.ko").write_bytes(HELLO)
    (tmp_path / "secret.ko").chmod(0)
    user = [needs("setpriv"), "--reuid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*user, needs("modinfo"), "secret.ko"], cwd=tmp_path, capture_output=True, text=True
    )
    line = "modinfo: ERROR: could not get modinfo from 'secret': Permission denied\n"
    assert (done.returncode, done.stderr) == (1, line)

    def refuse(*words: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr("builtins.open", refuse)
        mine = userland.run(None, ["modinfo", "secret.ko"])
    assert (mine.stdout, mine.stderr, mine.status) == (done.stdout, done.stderr, done.returncode)


@pytest.mark.core
def test_without_a_place_the_modules_that_come_along_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """`modinfo hello` needs no file in the current folder, nor does an alias of ext4's."""
    monkeypatch.setattr(corpus, "tree", lambda: None)
    for kernel in (None, Kernel(cpu=None)):
        for word, name in (("hello", "hello"), ("hello.ko", "hello"), ("fs-ext4", "ext4"), ("ext4", "ext4")):
            result = userland.run(kernel, ["modinfo", "-n", word])
            assert result.stdout == f"{corpus.sample(name)}\n", word
    # built into the kernel, and so without a file: modules.builtin.modinfo of Debian's package
    for field, value in (("name", "unix\n"), ("alias", "net-pf-1\n")):
        assert userland.run(None, ["modinfo", "-F", field, "unix"]).stdout == value
