# SPDX-License-Identifier: GPL-2.0-only
"""Wrong invocations and broken trees beside the real tools: the same words, the same status, no traceback.

``tests/test_commands.py`` and ``tests/test_modprobe_tree.py`` have those on sound files.
"""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, corpus, userland
from kmodsim.corpus import RELEASE
from kmodsim.userland import TOOLS, ToolResult
from kmodsim.userland.flavours import FLAVOURS
from kmodsim.userland.modprobe import Machine
from kmodsim.userland.modprobe import run as modprobe
from tests.test_commands import real

HELLO = corpus.sample("hello").read_bytes()
POINTER = re.compile(r"0x5[0-9a-f]{8,}")
KERNEL = Kernel(cpu=None)

# what stands in the current folder; a broken tree holds the same below lib/modules
BROKEN: dict[str, bytes | str | None] = {
    "empty.ko": b"",
    "five.ko": b"12345",
    "text.ko": b"no module\n",
    "zeros.ko": bytes(9000),
    "folder.ko": None,
    "dangling.ko": "nowhere",
    "circle.ko": "circle.ko",
    "link.ko": "hello.ko",
    "hello.ko": HELLO,
    "cut.ko": HELLO[:900],
    "cut.ko.xz": lzma.compress(HELLO)[:1500],
    "bad.ko.xz": lzma.compress(HELLO)[:900] * 2,
    "magic.ko.xz": b"\xfd7zXZ\0",
    "magic.ko.zst": b"\x28\xb5\x2f\xfd\0\0\0",
    "name.txt": HELLO,
    "long" * 50 + ".ko": HELLO,
}
ALONE = [
    "insmod dangling.ko",
    "insmod circle.ko",
    "insmod folder.ko",
    "insmod ./empty.ko",
    "insmod magic.ko.xz",
    "insmod cut.ko.xz",
    "insmod bad.ko.xz",
    "insmod -f five.ko",
    "insmod -f cut.ko.xz",
    "insmod five.ko a=1 b=2",
    "insmod five.ko --nosuch",
    "insmod five.ko -f",
    "insmod -- -f",
    "insmod --force hello.ko",
    "insmod -V five.ko",
    "insmod --versio",
    "insmod -fV",
    "insmod -Vh",
    "insmod -hV",
    "insmod --=x",
    "insmod ---",
    "insmod hello.ko/",
    "insmod folder.ko/x.ko",
    "insmod " + "x" * 300 + ".ko",
    "insmod -p",
    "insmod -ps",
    "insmod -z -p",
    "rmmod -v",
    "rmmod --syslog",
    "rmmod -s -v nosuch1",
    "rmmod hello.ko",
    "rmmod dangling.ko",
    "rmmod name.txt",
    "rmmod folder.ko",
    "rmmod a b c",
    "rmmod --force=",
    "rmmod --verbose=1 a",
    "rmmod -V a",
    "rmmod -vV",
    "rmmod -fh",
    "rmmod --s",
    "rmmod --ve",
    "rmmod --he",
    "rmmod -- -f",
    "rmmod -",
    "rmmod a/b-c.d",
    "rmmod " + "n" * 90,
    "lsmod -V",
    "lsmod --",
    "lsmod ''",
    "lsmod a b",
    "modinfo -k",
    "modinfo -b",
    "modinfo -k x",
    "modinfo -k x nosuch",
    "modinfo -b /nonexistent nosuch",
    "modinfo -b /nonexistent hello.ko",
    "modinfo -b . -k 1 -m nosuch",
    "modinfo --set-version",
    "modinfo --basedir=/x nosuch",
    "modinfo --set=1 nosuch",
    "modinfo --par nosuch",
    "modinfo -adlpn nosuch",
    "modinfo -F",
    "modinfo -F x",
    "modinfo -0m nosuch",
    "modinfo folder.ko",
    "modinfo dangling.ko",
    "modinfo hello.ko circle.ko link.ko",
    "modinfo -n link.ko dangling.ko",
    "modinfo name.txt",
    "modinfo -F license five.ko hello.ko empty.ko",
    "modinfo [a",
    "modinfo a]b",
    "modinfo -- -x",
    "modinfo --null --nosuch",
    "modinfo --field= hello.ko",
    "modinfo -V -x",
    "modinfo -xV",
    "modinfo " + "m" * 5000,
]
IN_TREE = [
    "modprobe -D empty",
    "modprobe -D dangling",
    "modprobe -D circle",
    "modprobe -D folder",
    "modprobe dangling",
    "modprobe empty",
    "modprobe five",
    "modprobe folder",
    "modprobe -f five",
    "modprobe -v empty",
    "modprobe -q empty",
    "modprobe -a empty dangling nosuch",
    "modprobe -nv cut needs",
    "modprobe -D needs",
    "modprobe --show-exports dangling.ko",
    "modprobe --dump-modversions text.ko",
    "modprobe --dump-modversions nosuch.ko",
    "modprobe --show-modversions cut.ko",
    "modprobe --show-exports hello.ko",
    "modprobe -r empty",
    "modprobe -rf nosuch",
    "modprobe -R dangling",
    "modprobe -R nosuch",
    "modprobe -c -x",
    "modprobe -C",
    "modprobe -w 1 nosuch",
    "modprobe -w x nosuch",
    "modprobe --wait= nosuch",
    "modprobe -D",
    "modprobe -r",
    "modprobe -a",
    "modprobe --",
    "modprobe -n",
    "modprobe --remove-holders nosuch",
    "modprobe --first-time",
    "modprobe -S",
    "modprobe -d",
    "modprobe --dirname",
    "modprobe --show=1 x",
    "modprobe -b -q nosuch",
    "modprobe --quie nosuch",
    "modprobe [a",
    "modprobe a]",
    "modprobe ''",
    "modprobe -n " + "x" * 5000,
]


def build(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in BROKEN.items():
        if content is None:
            (folder / name).mkdir()
        elif isinstance(content, str):
            (folder / name).symlink_to(content)
        else:
            (folder / name).write_bytes(content)


def agree(mine: ToolResult, expected: tuple[str, str, int]) -> None:
    out, err, status = expected
    assert POINTER.sub("PTR", mine.stderr) == POINTER.sub("PTR", err)
    assert (mine.stdout, mine.status) == (out, status)


@pytest.mark.tool
@pytest.mark.parametrize("line", ALONE, ids=lambda line: line[:60])
def test_wrong_invocations_say_what_kmods_say(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tmp_path)
    monkeypatch.chdir(tmp_path)
    argv = [word.strip("'") for word in line.split(" ")]
    agree(userland.run(KERNEL, argv), real(argv, tmp_path))


@pytest.fixture(scope="module")
def broken_root(tmp_path_factory: pytest.TempPathFactory, needs: Callable[[str], str]) -> Path:
    """A tree that was sound when depmod saw it: its files are what BROKEN says now."""
    root = tmp_path_factory.mktemp("broken")
    folder = root / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for name in BROKEN:
        if name.endswith(".ko"):
            (folder / name).write_bytes(HELLO)
    shutil.copy(corpus.sample("chain_a"), folder / "chain_a.ko")
    shutil.copy(corpus.sample("chain_b"), folder / "needs.ko")
    (folder / "modules.order").touch()
    (folder / "modules.builtin").touch()
    subprocess.run([needs("depmod"), "-b", str(root), RELEASE], check=True, capture_output=True)
    for name in BROKEN:
        (folder / name).unlink(missing_ok=True)
    (folder / "chain_a.ko").unlink()  # what needs.ko needs
    build(folder)
    return root


@pytest.mark.tool
@pytest.mark.parametrize("line", IN_TREE, ids=lambda line: line[:60])
def test_modprobe_in_a_broken_tree(line: str, broken_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dangling links, folders, empty and cut files where depmod had seen modules."""
    monkeypatch.chdir(broken_root / "lib" / "modules" / RELEASE)
    place = ["-d", str(broken_root), "-S", RELEASE, "-C", "/dev/null"]
    tool, *words = [word.strip("'") for word in line.split(" ")]
    argv = [tool, *place, *words]
    agree(
        modprobe(KERNEL, argv, machine=Machine.host()), real(argv, broken_root / "lib" / "modules" / RELEASE)
    )


@pytest.mark.tool
@pytest.mark.parametrize(
    "text",
    [
        "options hello " + "x" * 200_000 + "\n",
        "alias " + "a" * 9000 + " hello\n",
        "blacklist\n",
        "install hello\n",
        "softdep hello pre: " + "y " * 20_000 + "\n",
        "\0\0\0\n",
        "options hello a=1 \\\n" * 3000 + "\n",
        "alias [x hello\n",
        "nosuch word\n",
        "options\n",
        "\xff\xfe binary \x80\n",
        "# comment \\\noptions hello b=2\n",
        "options hello a=1",
    ],
    ids=lambda text: repr(text[:24]),
)
def test_strange_configuration(
    text: str, broken_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Huge lines, zero bytes, lines without an end: what kmod's modprobe makes of them."""
    (tmp_path / "strange.conf").write_bytes(text.encode("latin-1"))
    monkeypatch.chdir(tmp_path)
    place = ["-d", str(broken_root), "-S", RELEASE, "-C", str(tmp_path / "strange.conf")]
    for words in (["-D", "hello"], ["-c"], ["-n", "-v", "hello"]):
        argv = ["modprobe", *place, *words]
        agree(modprobe(KERNEL, argv, machine=Machine.host()), real(argv, tmp_path))


@pytest.mark.core
def test_there_are_enough_of_them() -> None:
    assert len(set(ALONE)) > 70
    assert len(set(IN_TREE)) > 40
    assert {line.split()[0] for line in ALONE + IN_TREE} == {
        "insmod",
        "rmmod",
        "lsmod",
        "modinfo",
        "modprobe",
    }


WORDS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "-f",
                "-r",
                "-a",
                "-D",
                "-l",
                "-n",
                "-v",
                "-q",
                "-w",
                "-s",
                "-p",
                "-0",
                "-F",
                "-b",
                "-k",
                "-R",
                "--",
                "-",
                "hello",
                "chain_c",
                "ext4",
                "nosuch",
                "fs-ext4",
                "hello.ko",
                "unix",
                "a=b c",
                "[",
                "]",
            ]
        ),
        st.text(max_size=12),
    ),
    max_size=5,
)


@pytest.mark.core
@settings(max_examples=300, deadline=None)
@given(tool=st.sampled_from(TOOLS), flavour=st.sampled_from(FLAVOURS), words=WORDS)
def test_no_words_bring_a_traceback(tool: str, flavour: str, words: list[str]) -> None:
    """Whatever is typed: a result with a status, in every flavour."""
    result = userland.run(KERNEL, [tool, *words], flavour=flavour)
    assert isinstance(result.status, int)
    assert 0 <= result.status <= 255


PACKED = [HELLO, lzma.compress(HELLO), gzip.compress(HELLO), b"BZh9" + HELLO, b"", b"\xfd7zXZ\0" + HELLO[:40]]


@pytest.mark.core
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tool=st.sampled_from(("insmod", "modinfo")),
    flavour=st.sampled_from(FLAVOURS),
    source=st.sampled_from(PACKED),
    at=st.integers(0, 1 << 14), what=st.binary(max_size=8), length=st.integers(0, 1 << 14),
)  # fmt: skip
def test_no_file_brings_a_traceback(
    tool: str, flavour: str, source: bytes, at: int, what: bytes, length: int, tmp_path: Path
) -> None:
    """Damaged and cut files, packed or not, to every flavour's insmod and modinfo."""
    path = tmp_path / "broken.ko"
    path.write_bytes((source[:at] + what + source[at + len(what) :])[: max(length, at % 4000)])
    result = userland.run(KERNEL, [tool, str(path)], flavour=flavour)
    assert 0 <= result.status <= 255
    userland.run(KERNEL, ["rmmod", "hello"])
