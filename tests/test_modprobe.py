# SPDX-License-Identifier: GPL-2.0-only
"""modprobe on the modules that come along: recorded sessions, plans as data, broken indexes and
configuration."""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmodsim import Kernel, KernelError
from kmodsim.corpus import DATA, RELEASE
from kmodsim.sampleindex import MADE, build
from kmodsim.userland import modprobe
from kmodsim.userland.fnmatch import fnmatch
from kmodsim.userland.index_read import BrokenIndex, Index, WrongHeader
from kmodsim.userland.modprobe import Machine, execute, plan, run
from kmodsim.userland.shell import Shell
from tests.realtools.modprobe import CONFIG, FOLDER

RECORDED = json.loads((Path(__file__).parent / "realtools" / "modprobe.json").read_text(encoding="utf-8"))
SESSIONS: dict[str, list[dict[str, Any]]] = RECORDED["sessions"]
HERE = Machine(str(DATA))


def boot() -> Kernel:
    """A kernel that runs no code; the one sample whose init must fail says so itself."""
    return Kernel(cpu=None, functions={"fail_init": lambda: -19})


def read_config(tmp_path: Path, text: str) -> Machine:
    (tmp_path / "x.conf").write_text(text)
    return HERE._replace(config_paths=(str(tmp_path),))


# -- the recorded sessions


@pytest.mark.core
@pytest.mark.parametrize("session", sorted(SESSIONS))
def test_a_session_reads_as_on_the_real_kernel(
    session: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streams, status and the state that lives through all lines; each was a `sh -c` of its own."""
    paths: tuple[str, ...] = ()
    if session == "config":
        for name, text in CONFIG.items():
            (tmp_path / name).write_text(text)
        paths = (str(tmp_path),)
    monkeypatch.setattr(modprobe, "MODELLED", Machine(str(DATA), paths))
    kernel = boot()
    for recorded in SESSIONS[session]:
        out: list[str] = []
        err: list[str] = []
        line = recorded["line"].replace("cut -d ' ' -f 1,3,4", "cat")
        status = Shell(kernel, out.append, err.append).run(line)
        stdout = "".join(out)
        if line != recorded["line"]:
            stdout = re.sub(r"^(\S+) \S+ (\S+ \S+) .*$", r"\1 \2", stdout, flags=re.MULTILINE)
        seen = {"line": recorded["line"], "status": status, "stdout": stdout, "stderr": "".join(err)}
        for stream in ("stdout", "stderr"):
            seen[stream] = seen[stream].replace(str(DATA), FOLDER).replace(str(tmp_path), "/etc/modprobe.d")
        assert seen == recorded


@pytest.mark.core
def test_the_recorded_sessions_hold_what_they_should() -> None:
    lines = [step for session in SESSIONS.values() for step in session]
    assert len(lines) > 120
    assert sum(step["status"] == 1 for step in lines) > 30
    assert sum("rmmod" in step["stdout"] for step in lines) > 10
    assert sum("could not insert" in step["stderr"] for step in lines) > 10


# -- plans


@pytest.mark.core
def test_a_plan_is_data_with_a_reason_for_each_step(tmp_path: Path) -> None:
    """modules.dep of the samples (made by the real depmod): chain_c needs b needs a."""
    machine = read_config(tmp_path, "options chain-b x=1\nsoftdep chain_b pre: hello\nalias eth0 chain_c\n")
    found = plan("eth0", boot(), params="y=2", machine=machine)
    assert [(step.action, step.module) for step in found.steps] == [
        ("insmod", "chain_a"),
        ("insmod", "hello"),
        ("insmod", "chain_b"),
        ("insmod", "chain_c"),
    ]
    where = f"{tmp_path}/x.conf line"
    assert [step.reason for step in found.steps] == [
        "dependency of chain_c",
        f"softdep pre of chain_b ({where} 2)",
        "dependency of chain_c",
        f"alias eth0 matched in {where} 3",
    ]
    assert [step.needed for step in found.steps] == [True, False, True, True]
    assert found.steps[2].options == (("x=1", f"{where} 1"),)
    assert found.steps[3].options == (("y=2", "the command line"),)
    assert found.steps[0].path == f"{DATA}/samples/debian-6.1-amd64/chain_a.ko"
    assert json.loads(json.dumps(found.to_dict()))["steps"][3]["target"] == "chain_c"
    assert "# dependency of chain_c" in str(found)


@pytest.mark.core
def test_executing_a_plan_loads_what_it_says_and_twice_does_no_harm() -> None:
    kernel = boot()
    found = plan("chain_c", kernel, machine=HERE)
    assert not kernel.modules
    result = execute(found, kernel)
    assert (result.status, result.stderr, [done.result for done in result.value]) == (0, "", [0, 0, 0])
    assert list(kernel.modules) == ["chain_c", "chain_b", "chain_a"]
    assert execute(found, kernel).status == 0
    again = plan("chain_c", kernel, machine=HERE)
    assert [(step.action, step.reason) for step in again.steps] == [("nothing", "it is loaded already")]


@pytest.mark.core
def test_a_failing_step_gives_the_tools_line_and_its_errno() -> None:
    """The line names what was asked for; recorded: ``modprobe hello howmany=many``."""
    recorded = next(
        step for step in SESSIONS["load"] if step["line"] == "modprobe hello howmany=many" and step["status"]
    )
    kernel = boot()
    result = execute(plan("hello", kernel, params="howmany=many", machine=HERE), kernel)
    assert (result.stderr, result.status) == (recorded["stderr"], recorded["status"])
    assert result.error is not None and result.error.errno == 22


@pytest.mark.core
def test_a_removal_is_foreseen_with_what_becomes_unused() -> None:
    """Recorded after ``modprobe -r -v chain_c``: c and b go, a stays, for it was in use when it was asked."""
    recorded = next(step for step in SESSIONS["remove"] if step["line"] == "modprobe -r -v chain_c")
    kernel = boot()
    execute(plan("chain_c", kernel, machine=HERE), kernel)
    found = plan("chain_c", kernel, remove=True, machine=HERE)
    assert "".join(step.line for step in found.steps) == recorded["stdout"]
    assert [step.if_unused for step in found.steps] == [False, True]
    assert len(kernel.modules) == 3
    assert execute(found, kernel).status == 0
    assert list(kernel.modules) == ["chain_a"]


@pytest.mark.core
def test_blacklisted_and_builtin_are_steps_too(tmp_path: Path) -> None:
    machine = read_config(tmp_path, "blacklist hello\nalias greeting hello\n")
    where = f"blacklisted in {tmp_path}/x.conf line 1"
    assert [(s.action, s.reason) for s in plan("greeting", boot(), machine=machine).steps] == [
        ("nothing", where)
    ]
    assert [s.action for s in plan("hello", boot(), machine=machine).steps] == ["insmod"]
    assert [s.reason for s in plan("hello", boot(), options=["-b"], machine=machine).steps] == [where]
    assert [s.reason for s in plan("unix", boot(), machine=machine).steps] == ["it is built into the kernel"]
    refused = plan("nosuch", boot(), machine=machine)
    assert (refused.steps, refused.status) == ((), 1) and "not found in directory" in refused.stderr
    with pytest.raises(ValueError, match="invalid option"):
        plan("hello", boot(), options=["-x"], machine=machine)


@pytest.mark.core
def test_commands_are_never_run_on_the_host(tmp_path: Path) -> None:
    """Neither by install nor by remove; where the outcome is not known a line says so."""
    victim = tmp_path / "victim"
    machine = read_config(
        tmp_path, f"install hello touch {victim}; $CMDLINE_OPTS\nremove hello touch {victim}\n"
    )
    kernel = boot()
    result = run(kernel, ["modprobe", "-v", "hello", "a=1"], machine=machine)
    assert result.stdout == f"install touch {victim}; $CMDLINE_OPTS a=1\n"
    assert result.stderr == f"kmodsim: not run, counts as done: touch {victim}; a=1\n"
    result = run(kernel, ["modprobe", "-rv", "hello"], machine=machine)
    assert result.stdout == f"remove touch {victim}\n"
    assert not victim.exists() and not kernel.modules


@pytest.mark.core
def test_the_kernels_command_line(tmp_path: Path) -> None:
    """libkmod-config.c:kmod_config_parse_kcmdline, also the forms that a boot loader makes of quotes."""
    text = (
        'quiet hello.howmany=5 modprobe.blacklist=minimal,chain-c "hello.whom=a b" hello.x="c d" '
        'no.dots.here=1 x"y.z=1 =v .q=1'
    )
    result = run(boot(), ["modprobe", "-c"], machine=HERE._replace(cmdline=text))
    lines = [line for line in result.stdout.splitlines() if line.startswith(("blacklist", "options"))]
    assert lines == [
        "blacklist minimal",
        "blacklist chain-c",
        "options hello howmany=5",
        'options hello whom="a b"',
        'options hello x="c d"',
    ]
    kernel = Kernel(cpu=None, cmdline="hello.howmany=5 modprobe.blacklist=minimal")
    assert "hello.ko howmany=5 \n" in run(kernel, ["modprobe", "-D", "hello"], machine=HERE).stdout
    assert run(kernel, ["modprobe", "-nvb", "minimal"], machine=HERE).stdout == ""


@pytest.mark.core
@pytest.mark.parametrize("options", [["-r", "-D"], ["-D"]])
def test_soft_dependencies_in_a_circle_and_in_a_long_chain(options: list[str], tmp_path: Path) -> None:
    """A circle kills the real ``modprobe -rD`` (47,539 lines, then signal 11); nothing hangs or recurses."""
    circle = read_config(tmp_path, "softdep chain_a pre: hello\nsoftdep hello post: chain_a\n")
    result = run(boot(), ["modprobe", *options, "hello"], machine=circle)
    assert result.status == (139 if "-r" in options else 0)
    lines = [f"install m{i} true\nsoftdep m{i} pre: m{i + 1}\n" for i in range(5000)]
    started = time.monotonic()
    result = run(boot(), ["modprobe", *options, "m0"], machine=read_config(tmp_path, "".join(lines)))
    assert result.status == 0 and len(result.stdout.splitlines()) in (4999, 5000, 1)
    assert time.monotonic() - started < 20


@pytest.mark.core
@pytest.mark.parametrize("seed", range(8))
def test_garbage_as_configuration(seed: int, tmp_path: Path) -> None:
    """Any bytes give libkmod's complaints, and the module asked for."""
    random_ = random.Random(seed)
    words = [
        b"alias ",
        b"options ",
        b"softdep ",
        b"install ",
        b"pre:",
        b"post:",
        b"hello",
        b"\\",
        b"\n",
        b"\0",
        b"[",
        b"]",
        b"*",
        b"-",
    ]
    data = b"".join(
        random_.choice(words) if random_.random() < 0.7 else random_.randbytes(3) for _ in range(4000)
    )
    (tmp_path / "x.conf").write_bytes(data)
    result = run(
        boot(),
        ["modprobe", "-D", "chain_c"],
        machine=HERE._replace(config_paths=(str(tmp_path), str(tmp_path / "no"))),
    )
    assert result.status == 0
    assert all(
        line.startswith("libkmod: ERROR ../libkmod/libkmod-config.c:7")
        for line in result.stderr.split("\nlibkmod")[:1]
    )


@pytest.mark.core
def test_a_folder_that_may_not_be_read_is_libkmods_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libkmod-config.c:conf_files_list; by a stand-in, for root may read everything."""

    def refuse(path: Any) -> list[str]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("kmodsim.userland.modprobe.config.os.listdir", refuse)
    result = run(boot(), ["modprobe", "-D", "hello"], machine=HERE._replace(config_paths=(str(tmp_path),)))
    where = "libkmod: ERROR ../libkmod/libkmod-config.c:868 conf_files_list"
    assert result.stderr == f"{where}: opendir({tmp_path}): Permission denied\n"
    assert result.status == 0


# -- the indexes


@pytest.mark.core
def test_an_index_written_by_hand(tmp_path: Path) -> None:
    """The format as libkmod-index.c describes it: root with prefix "a", children "*" and "b"."""
    leaf_b = (
        b"x\0" + struct.pack(">I", 2) + struct.pack(">I", 7) + b"late\0" + struct.pack(">I", 3) + b"early\0"
    )
    star = struct.pack(">I", 1) + struct.pack(">I", 5) + b"star\0"
    at_b, at_star = 12, 12 + len(leaf_b)
    root_at = at_star + len(star)
    children = [0] * (ord("b") - ord("*") + 1)
    children[0], children[-1] = 0x40000000 | at_star, 0xC0000000 | at_b
    root = b"a\0" + b"*b" + struct.pack(f">{len(children)}I", *children)
    header = struct.pack(">3I", 0xB007F457, 0x00020001, 0xA0000000 | root_at)
    file = tmp_path / "modules.alias.bin"
    file.write_bytes(header + leaf_b + star + root)
    index = Index(str(file))
    assert index.search(b"abx") == b"late" and index.search(b"a*") == b"star" and index.search(b"ab") is None
    assert [(v.text, v.priority, v.key) for v in index.searchwild(b"abx")] == [
        (b"early", 3, b"abx"),
        (b"star", 5, b"a*"),
        (b"late", 7, b"abx"),
    ]
    assert list(index.items()) == [(b"a*", b"star"), (b"abx", b"late"), (b"abx", b"early")]
    assert index.searchwild(b"b") == [] and index.searchwild(b"") == []


@pytest.mark.core
def test_headers(tmp_path: Path) -> None:
    for data, line in (
        (b"", 0),
        (b"x" * 11, 0),
        (b"\0" * 12, 790),
        (struct.pack(">3I", 0xB007F457, 0x30000, 0), 797),
    ):
        (tmp_path / "x").write_bytes(data)
        with pytest.raises(WrongHeader) as refused:
            Index(str(tmp_path / "x"))
        assert refused.value.line == line


def damaged(data: bytes, seed: int) -> bytes:
    random_, changed = random.Random(seed), bytearray(data)
    if seed % 3 == 0:
        return data[: random_.randrange(12, len(data))]
    for _ in range(random_.choice((1, 5, 50))):
        at = random_.randrange(8, len(changed))
        changed[at] ^= 1 << random_.randrange(8)
    if seed % 3 == 2:  # offsets that lead back: loops
        at = random_.randrange(12, len(changed) - 4) & ~3
        changed[at : at + 4] = changed[8:12]
    return bytes(changed)


@pytest.mark.core
@pytest.mark.parametrize("name", [name for name in MADE if name.endswith(".bin")])
def test_damaged_indexes_end_in_an_answer_or_in_broken_index(name: str, tmp_path: Path) -> None:
    """Truncated, with flipped bits, with loops: 240 files each; no other exception, and no long walk."""
    data, file, broken = (DATA / name).read_bytes(), tmp_path / name, 0
    for seed in range(240):
        file.write_bytes(damaged(data, seed))
        started = time.monotonic()
        try:
            index = Index(str(file))
            for key in (
                b"chain_c",
                b"ext4",
                b"fs_ext4",
                b"symbol:jbd2_journal_start",
                b"pci:v00008086d0000100Esv*",
                b"****",
                b"\xff",
            ):
                index.search(key)
                index.searchwild(key)
            for _ in index.items():
                pass
        except (BrokenIndex, WrongHeader):
            broken += 1
        assert time.monotonic() - started < 5
    assert broken > 60


@pytest.mark.core
def test_the_tool_with_a_broken_index(tmp_path: Path) -> None:
    """kmod follows offsets out of its mapping and is killed; the model says the same without a traceback."""
    for name in MADE:
        (tmp_path / name).write_bytes((DATA / name).read_bytes())
    data = (tmp_path / "modules.dep.bin").read_bytes()
    (tmp_path / "modules.dep.bin").write_bytes(data[:8] + b"\x2f\xff\xff\xf0" + data[12:])
    machine = Machine(str(tmp_path))
    result = run(boot(), ["modprobe", "hello"], machine=machine)
    assert (result.status, result.stderr) == (139, "Segmentation fault\n")
    with pytest.raises(KernelError) as caught:
        plan("hello", boot(), machine=machine)
    assert caught.value.errno is None and "behind its end" in caught.value.why


# glibc's answers; test_fnmatch_beside_the_c_library asks it
PATTERNS = [
    "",
    "*",
    "**",
    "?",
    "a",
    "a*",
    "*a",
    "*a*b",
    "[ab]",
    "[!ab]",
    "[^ab]",
    "[a-c]x",
    "[]]",
    "[]a]",
    "[!]]",
    "[a",
    "[",
    "]",
    "a]",
    "\\",
    "\\*",
    "a\\",
    "[\\]]",
    "[a\\-z]",
    "[-a]",
    "[a-]",
    "[[:digit:]]*",
    "[[:nosuch:]]",
    "[[=a=]]",
    "[[.a.]]",
    "[z-a]",
    "a?c",
    "*?*",
]
TEXTS = ["", "a", "b", "ab", "abc", "*", "[", "]", "-", "\\", "z", "9", "99x", "ax", "a]", "[a", "xaxb", "a*"]


@pytest.mark.tool
def test_fnmatch_beside_the_c_library(needs: Callable[[str], str]) -> None:
    import ctypes
    import ctypes.util

    name = ctypes.util.find_library("c")
    if name is None or sys.platform != "linux":
        pytest.skip("needs the GNU C library")
    library = ctypes.CDLL(name)
    for pattern in PATTERNS:
        for text in TEXTS:
            p, t = pattern.encode(), text.encode()
            assert fnmatch(p, t) == (library.fnmatch(p, t, 0) == 0), (pattern, text)


@pytest.mark.tool
def test_the_indexes_that_come_along_are_what_depmod_makes(
    needs: Callable[[str], str], tmp_path: Path
) -> None:
    """All but the built-in modules, whose list is in the distribution's package."""
    depmod, lists = needs("depmod"), tmp_path / "lists"
    lists.mkdir()
    for name in ("modules.builtin", "modules.builtin.modinfo"):
        (lists / name).write_bytes(b"")
    build(tmp_path, lists, depmod)
    for name in MADE:
        if "builtin" not in name:
            assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes(), f"make sample-index: {name}"


@pytest.mark.tool
@pytest.mark.parametrize(
    "name",
    [
        "chain_c",
        "diamond-top",
        "snd-intel-dspcfg",
        "fs-ext4",
        "unix",
        "pci:v00008086d0000100Esv00bc02sc00i00",
    ],
)
def test_the_small_tree_beside_the_real_tool(name: str, needs: Callable[[str], str], tmp_path: Path) -> None:
    folder = tmp_path / "lib" / "modules"
    folder.mkdir(parents=True)
    (folder / RELEASE).symlink_to(DATA)
    words = ["-d", str(tmp_path), "-S", RELEASE, "-C", "/dev/null", "--show-depends", name]
    real = subprocess.run([needs("modprobe"), *words], capture_output=True, text=True)
    mine = run(boot(), ["modprobe", *words], machine=Machine.host())
    assert (mine.stdout, mine.stderr, mine.status) == (real.stdout, real.stderr, real.returncode)


@pytest.mark.core
def test_planning_loads_no_kernel_and_little_else() -> None:
    """The tool starts without numpy; the list is what python says it imported."""
    code = (
        "import sys; from kmodsim.userland import modprobe; "
        "print(sorted(m for m in ('numpy', 'elftools', 'json') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
