# SPDX-License-Identifier: GPL-2.0-only
"""modprobe beside kmod's own on all 4,023 modules: the same words, the same streams and status.

Indexes are made by the real depmod. What the host would add (its kernel's command line, its /lib/modprobe.d)
both sides read alike.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kmodsim import Kernel
from kmodsim.corpus import RELEASE
from kmodsim.userland import ToolResult
from kmodsim.userland.modprobe import Machine, run

pytestmark = pytest.mark.tree

Compare = Callable[..., ToolResult]
POINTER = re.compile(r"0x5[0-9a-f]{8,}")  # addresses of the tool's heap and code
EMPTY = ("-C", "/dev/null")


def indexed(tree: Path, root: Path, depmod: str) -> Path:
    """A folder ``root``/lib/modules/RELEASE with links to the modules and real indexes."""
    folder = root / "lib" / "modules" / RELEASE
    folder.mkdir(parents=True)
    for file in tree.glob("modules.*"):
        if file.name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy(file, folder)
    (folder / "kernel").symlink_to(tree / "kernel")
    subprocess.run([depmod, "-b", str(root), RELEASE], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def root(tree: Path, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    indexed(tree, root, needs("depmod"))
    return root


@pytest.fixture(scope="module")
def compare(root: Path, needs: Callable[[str], str]) -> Compare:
    """Both tools with the same words; the model's result, after it was found equal."""
    modprobe, kernel, host = needs("modprobe"), Kernel(), Machine.host()

    def run_both(*words: str, place: tuple[str, ...] | None = None) -> ToolResult:
        words = (*(("-d", str(root), "-S", RELEASE) if place is None else place), *words)
        real = subprocess.run(["modprobe", *words], executable=modprobe, capture_output=True, timeout=60)
        mine = run(kernel, ["modprobe", *words], machine=host)
        if real.returncode == -signal.SIGSEGV:  # soft dependencies in a circle: both write until they die
            assert (mine.status, mine.stderr) == (139, real.stderr.decode() + "Segmentation fault\n")
            assert mine.stdout[:10000] == real.stdout.decode()[:10000]
            return mine
        assert POINTER.sub("PTR", mine.stderr) == POINTER.sub(
            "PTR", real.stderr.decode(errors="surrogateescape")
        )
        assert mine.stdout == real.stdout.decode(errors="surrogateescape")
        assert mine.status == (real.returncode if real.returncode >= 0 else 128 - real.returncode)
        return mine

    return run_both


def names(root: Path) -> list[str]:
    lines = (root / "lib" / "modules" / RELEASE / "modules.dep").read_text().splitlines()
    return sorted(line.partition(":")[0].rpartition("/")[2].removesuffix(".ko") for line in lines)


def aliases(root: Path, kind: str) -> list[str]:
    lines = (root / "lib" / "modules" / RELEASE / f"modules.{kind}").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("alias ")]


def test_every_fourteenth_module(root: Path, compare: Compare) -> None:
    """By the file's name, with its dashes; depmod's soft dependencies come in."""
    chosen = names(root)[::14]
    assert len(chosen) > 280
    for name in chosen:
        assert compare(*EMPTY, "--show-depends", name).stdout.startswith("insmod ")


@pytest.mark.parametrize(
    "kind",
    [
        "pci",
        "usb",
        "of",
        "acpi*",
        "fs-",
        "net-pf-",
        "hdaudio",
        "cpu",
        "platform",
        "i2c",
        "dmi",
        "char-major",
        "crypto-",
        "md-",
        "tcp_",
        "ip6t_",
        "virtio",
    ],
)
def test_aliases_as_a_device_gives_them(kind: str, root: Path, compare: Compare) -> None:
    """Stars become what a device would have there; ``of:`` aliases have brackets and long texts."""
    fitting = [alias for alias in aliases(root, "alias") if alias.startswith(kind)]
    for alias in fitting[:: max(1, len(fitting) // 8)]:
        for filling in ("", "00000001", "x,y"):
            word = re.sub(r"\[(.)[^]]*\]", r"\1", alias).replace("*", filling).replace("?", "0")
            compare(*EMPTY, "-R", word)
        compare(*EMPTY, "-D", word)


def test_symbols(root: Path, compare: Compare) -> None:
    for symbol in aliases(root, "symbols")[::700]:
        assert compare(*EMPTY, "-D", symbol).stdout
    assert compare(*EMPTY, "-R", "symbol:nosuch").status == 1


def test_builtin(root: Path, compare: Compare) -> None:
    lines = (root / "lib" / "modules" / RELEASE / "modules.builtin").read_text().splitlines()
    for line in lines[::12]:
        name = line.rpartition("/")[2].removesuffix(".ko")
        assert compare(*EMPTY, "-D", name).stdout == f"builtin {name.replace('-', '_')}\n"
        compare(*EMPTY, "-n", "-v", name)
        compare(*EMPTY, "-n", "--first-time", name)
        compare(*EMPTY, "-r", name)
    builtin_alias = subprocess.run(
        ["strings", "-n", "6", str(root / "lib" / "modules" / RELEASE / "modules.builtin.alias.bin")],
        capture_output=True,
        text=True,
    )
    assert builtin_alias.stdout
    for word in (
        "fs-devtmpfs",
        "net-pf-1",
        "net-pf-16",
        "crypto-sha256",
        "pci:v00001022d00001510sv*",
        "unix",
    ):
        compare(*EMPTY, "-R", word)
        compare(*EMPTY, "-D", word)


UNKNOWN = [
    "nosuch",
    "",
    "-",
    "./crc16.ko",
    "/dev/null",
    "crc16.ko",
    "crc 16",
    "a]",
    "[",
    "x[a-b",
    "a[b]-c",
    "pci:",
    "of:N",
    "symbol:",
    "crc*",
    "?rc16",
    "*",
    "\\",
    "snd-hda-intel ",
    "CRC16",
    "crc16\n",
    "é",
    "\udcff",
]


@pytest.mark.parametrize("word", UNKNOWN)
@pytest.mark.parametrize("options", [(), ("-D",), ("-R",), ("-q",), ("-r",), ("-r", "-q"), ("-a",), ("-ra",)])
def test_words_that_mean_nothing(options: tuple[str, ...], word: str, compare: Compare) -> None:
    compare(*EMPTY, *options, "--", word)


CONFIG = {
    "alias": "alias my-card snd-hda-intel\nalias my-* crc16\nalias eth[0-9] e1000e\nalias q?x crc7\n"
    "alias nothing nosuch\nalias loop1 loop2\nalias loop2 loop1\nalias a\\*b crc64\nalias [!a]zz crc-itu-t\n"
    "alias char-major-10-200 tun\nalias self self\n",
    "blacklist": "blacklist snd_hda_intel\nblacklist crc16\nblacklist igb\nblacklist no-such\n",
    "options": "options snd-hda-intel model=auto\noptions snd_hda_intel\tpower_save=1\nalias my-card snd-hda-intel\n"
    'options my-card index=2\noptions crc16 a="b c"  \noptions crc7  x\noptions crc64 \noptions crc64\noptions ext4 x=\t1\n',
    "install": 'install crc16 /bin/true $CMDLINE_OPTS\ninstall snd-hda-codec /sbin/modprobe -i snd-hda-codec $CMDLINE_OPTS && echo "x"\n'
    "install only-here echo $CMDLINE_OPTS $CMDLINE_OPTS\ninstall e1000* /bin/false\ninstall e1000e /bin/true\nremove gone echo\n"
    "install crc16 second\n",
    "remove": "remove crc16 echo bye $CMDLINE_OPTS\nremove only-remove /bin/true\nremove snd* echo sound\n",
    "softdep": "softdep crc16 pre: crc7 crc64 post: crc-itu-t\nsoftdep crc7 pre: crc16\nsoftdep crc64 pre: nosuch loop post: crc7 crc7\n"
    "softdep crc16 pre: never\nsoftdep loop  pre: lost\nsoftdep loop   pre: found\nsoftdep tun pre: post: crc16\n"
    "softdep snd* pre: crc8\nsoftdep crc8 crc7\nsoftdep crc4 pre: a] fs-ext4\nsoftdep ext4 pre:crc7 post : crc8\n",
    "bad": "foo bar\n #x\nalias\nalias a\nalias x] y\nblacklist\nblacklist \noptions\noptions a\noptions a \ninstall\ninstall x\n"
    "remove y \nsoftdep\nsoftdep z\ninclude /x\nconfig y\n\tblacklist tabbed\n   \n\\\n# ok\nblack\\\nlist crc\\16\n"
    "alias \\# crc16\nblacklist end\\\n\\\nling\nBLACKLIST x\nblacklist a b c\nblacklist z\0zz\nblacklist \\",
    "crlf": "blacklist crc16\r\noptions crc7 a=1\r\nalias b crc7\r\n",
    "garbage": bytes(range(256)).decode("latin-1") * 4,
    "cycle": "softdep crc7 pre: crc16 post: crc64\nsoftdep crc16 pre: crc64 post: crc7\nsoftdep crc64 pre: crc7 post: crc16\n",
    "long": f"alias {'x' * 5000} crc16\nalias {'*' * 5000} crc16\nblacklist {'y' * 100000}\noptions crc7 {'z' * 70000}\n",
}
WORDS = [
    "crc16",
    "crc7",
    "crc64",
    "snd-hda-intel",
    "my-card",
    "my-other",
    "eth3",
    "qax",
    "loop1",
    "nothing",
    "a*b",
    "bzz",
    "azz",
    "only-here",
    "only_remove",
    "gone",
    "e1000",
    "e1000e",
    "loop",
    "tun",
    "crc8",
    "crc4",
    "ext4",
    "self",
    "pci:v00008086d00001533sv00001028sd00000A2Bbc02sc00i00",
    "#",
    "b",
    "z",
]


@pytest.fixture(scope="module")
def config_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    for name, text in CONFIG.items():
        (folder / f"{name}.conf").write_bytes(text.encode("latin-1", "surrogateescape"))
    return folder


@pytest.mark.parametrize(
    "options",
    [("-D",), ("-D", "-b"), ("-D", "-i"), ("-R",), ("-R", "-b"), ("-r", "-D"), ("-r", "-D", "-i"), ("-aD",)],
)
@pytest.mark.parametrize("name", sorted(CONFIG))
def test_configuration(name: str, options: tuple[str, ...], config_files: Path, compare: Compare) -> None:
    for word in WORDS:
        compare(
            "-C",
            str(config_files / f"{name}.conf"),
            *options,
            word,
            *([] if "-aD" in options else ["p=1", "q=a b"]),
        )


@pytest.mark.parametrize("name", sorted(CONFIG))
def test_showconfig(name: str, config_files: Path, compare: Compare) -> None:
    assert compare("-C", str(config_files / f"{name}.conf"), "-c").status == 0


def test_folders_of_configuration(tmp_path: Path, compare: Compare) -> None:
    """Sorted by name over all folders; of one name the earlier folder's; what is no .conf is left out."""
    for folder, file, text in (
        ("a", "50-x.conf", "options crc16 from=a50\n"),
        ("b", "50-x.conf", "options crc16 from=b50\n"),
        ("b", "10.conf", "options crc16 from=b10\n"),
        ("a", "99.alias", "options crc16 from=a99\n"),
        ("a", "README", "options crc16 from=readme\n"),
        ("a", ".hidden.conf", "options crc16 from=hidden\n"),
        ("b", "sub.conf/x.conf", "options crc16 from=sub\n"),
        ("a", "x.confx", "options crc16 from=confx\n"),
        ("a", "modules.softdep", "options crc16 from=softdep\n"),
        ("a", "n.conf", "options crc16 from=n\n"),
        ("b", ".conf", "options crc16 from=bare\n"),
        ("b", "z", "options crc16 from=z\n"),
    ):
        (tmp_path / folder / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / file).write_text(text)
    (tmp_path / "a" / "dangling.conf").symlink_to(tmp_path / "nowhere")
    a, b, z = (str(tmp_path / name) for name in ("a", "b", "b/z"))
    for places in ((a,), (b,), (a, b), (b, a), (z, a), (a, z), (a, "/nonexistent", b), (f"{a}/", b), (b, "")):
        words = [word for place in places for word in ("-C", place)]
        assert compare(*words, "-D", "crc16").status == 0
        compare(*words, "-c")


def test_without_options_for_configuration(compare: Compare) -> None:
    """/etc/modprobe.d, /run/modprobe.d, /usr/local/lib/modprobe.d, /lib/modprobe.d of the host."""
    for words in (
        ("-D", "crc16"),
        ("-c",),
        ("-D", "snd_pcsp"),
        ("-R", "net-pf-10"),
        ("-D", "bonding"),
        ("-Db", "dummy"),
    ):
        compare(*words)


def test_dry_run_of_modules_that_no_host_has_loaded(root: Path, compare: Compare) -> None:
    free = [
        name
        for name in ("mt7921e", "dvb-usb-cxusb", "snd-soc-skl", "comedi_test", "gnss-sirf", "hid-lg-g15")
        if not Path("/sys/module", name.replace("-", "_")).exists()
    ]
    for name in free:
        for options in (
            ("-n",),
            ("-nv",),
            ("-nvv",),
            ("-nv", "--first-time"),
            ("-nvf",),
            ("-nvq",),
            ("-nqv",),
            ("-n", "-s"),
            ("-rn",),
            ("-rnv",),
            ("-rnv", "--first-time"),
            ("-rnv", "--remove-holders"),
            ("-rnv", "-w", "5"),
        ):
            compare(*EMPTY, *options, name, *(["a=b"] if "-rn" not in options[0] else []))


def test_other_folders(tmp_path: Path, root: Path, compare: Compare) -> None:
    for place in (
        ("-d", str(tmp_path)),
        ("-d", "relative", "-S", "x"),
        ("-S", "no.such.release"),
        ("-d", "", "-S", RELEASE),
        ("-d", f"{root}/", "-S", RELEASE),
        ("-d", "x" * 5000, "-S", "y"),
    ):
        for words in (
            ("-D", "crc16"),
            ("-an", "crc16", "crc7"),
            ("-r", "crc16"),
            ("-c", *EMPTY),
            ("-D", "symbol:x"),
        ):
            if "-S" not in place:
                words = ("-S", "x", *words)
            compare(*words, place=place)


def test_modversions_and_exports(tree: Path, tmp_path: Path, compare: Compare) -> None:
    paths = sorted((tree / "kernel").rglob("*.ko"))[::400]
    (tmp_path / "text.ko").write_text("this is no module\n")
    (tmp_path / "short.ko").write_text("x")
    paths += [
        tmp_path / "text.ko",
        tmp_path / "short.ko",
        tmp_path,
        tmp_path / "nosuch.ko",
        tree / "kernel/lib/crc-itu-t.ko",
    ]
    for path in paths:
        for option in ("--show-modversions", "--dump-modversions", "--show-exports"):
            compare(option, str(path))
        compare("-a", "--show-exports", str(path))
        compare("-q", "--show-modversions", str(path))


INVOCATIONS = """
|-h|--help|-V|--version|-Vh|-x|-xyz|--nosuch|--re|--remove-|--rem crc16|--show-|--show-c|--sh|--fo crc16|--force-|--force-v -D crc16
--ignore -D crc16|--ign crc16 -D|--ignore-install=1|--dry -v|--dry -v mt7921e|-w|-w x crc16|-w 08 crc16|-w 0x crc16|--wait|--wait= x|-w '' x
-C|--config|-d|-S|--dirname|-S x|-d /|-1 crc16|-5|-D|-Dq|-q|-s|-a|-r|-R|-ra|-D -- -crc16|-D -- --|--|crc16 -D a=1 -b|-D crc16 -- -v|--version=1
--all -D crc16 nosuch crc7 nosuch2|-a -q nosuch crc16 -D|-R crc16 crc7|-Ra crc16 crc7|-D crc16 a='b c' d="e f" g=|-D crc16 "a=\\"x y\\"" "b='c d'" "e f"
-r -D crc16 crc7|-rD nosuch crc7|-raD nosuch crc7|-rqD nosuch crc7|-rn --first-time|-c x y -C /dev/null -R|--showc -C /dev/null|--show-conf -C /dev/null
-q -v -D crc16|-v -q -D crc16|-qvvvv -n mt7921e|-qvvvvv -n mt7921e|-D -i crc16|-Db crc16|--remove-dependencies -rD crc16|--use-b -D igb|-K|-t|-l|--list|-o name crc16
--show-exports --show-modversions /dev/null|-Rq nosuch|-R -D crc16|-rR -D crc16
"""


@pytest.mark.parametrize(
    "line", [line for row in INVOCATIONS.strip("\n").split("\n") for line in row.split("|")]
)
def test_invocations(line: str, compare: Compare) -> None:
    """Wrong and odd command lines; among them over 30 that the tool refuses."""
    import shlex

    compare(*shlex.split(line))


def test_many_of_the_invocations_are_refused(root: Path) -> None:
    import shlex

    kernel, refused = Kernel(), 0
    for line in (line for row in INVOCATIONS.strip("\n").split("\n") for line in row.split("|")):
        refused += run(kernel, ["modprobe", "-d", str(root), "-S", RELEASE, *shlex.split(line)]).status == 1
    assert refused >= 30


@pytest.mark.parametrize(
    "text",
    [
        "-D",
        "-D -q",
        " -D",
        "-D  -b",
        "-C '/dev/null' -D",
        '"-D"',
        "-D\t",
        "-x",
        "'-D",
        "-R ''",
        '-C /dev/null "-D" -b',
    ],
)
def test_environment(text: str, compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODPROBE_OPTIONS", text)
    compare("-D", "crc16")
    compare("-D", "--", "-x")


BROKEN = [
    "modules.dep.bin",
    "modules.alias.bin",
    "modules.symbols.bin",
    "modules.builtin.bin",
    "modules.builtin.alias.bin",
]


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("how", ["missing", "empty", "magic", "version", "minor"])
def test_indexes_that_are_refused(name: str, how: str, root: Path, tmp_path: Path, compare: Compare) -> None:
    """Where one index is missing kmod reads all with its older reader: other orders among equals."""
    folder = tmp_path / "lib" / "modules" / RELEASE
    shutil.copytree(root / "lib" / "modules" / RELEASE, folder, symlinks=True)
    file = folder / name
    data = file.read_bytes()
    changed = {
        "empty": b"",
        "magic": b"\0" + data[1:],
        "version": data[:5] + b"\3" + data[6:],
        "minor": data[:7] + b"\x09" + data[8:],
    }
    file.unlink()
    if how != "missing":
        file.write_bytes(changed[how])
    place = ("-d", str(tmp_path), "-S", RELEASE)
    for words in (
        ("-D", "snd-hda-intel"),
        ("-R", "fs-ext4"),
        ("-D", "symbol:snd_pcm_new"),
        ("-D", "unix"),
        ("-c", *EMPTY),
        ("-R", "cpu:type:x86,ven0000fam0006mod008E:feature:,0000,0001,001C,0099"),
        ("-R", "net-pf-1"),
    ):
        compare(*words, place=place)


def test_files_that_modules_dep_names_but_are_not_there(root: Path, tmp_path: Path, compare: Compare) -> None:
    folder = tmp_path / "lib" / "modules" / RELEASE
    shutil.copytree(root / "lib" / "modules" / RELEASE, folder, symlinks=True)
    (folder / "kernel").unlink()
    for words in (("-D", "snd-hda-intel"), ("-D", "crc16"), ("-R", "ext4"), ("-r", "ext4"), ("-rD", "ext4")):
        compare(*words, place=("-d", str(tmp_path), "-S", RELEASE))
