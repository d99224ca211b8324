# SPDX-License-Identifier: GPL-2.0-only
"""insmod, rmmod, lsmod, modinfo, dmesg, explain and the command line say what the real ones say."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import kmodsim
from kmodsim import Kernel, KernelError, KernelOops, WouldWait, cli, corpus, userland
from kmodsim.errors import ERRNO, MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC
from kmodsim.userland.elf import ToolElf, module_name
from kmodsim.userland.explain import explain
from kmodsim.userland.insmod import insmod, mod_strerror
from kmodsim.userland.rmmod import rmmod
from kmodsim.userland.shell import Shell
from kmodsim.userland.sysfs import kernfs_order
from tests.conftest import SYSTEM_PATH
from tests.realtools.files import files

RECORDED = json.loads((Path(__file__).parent / "realtools" / "commands.json").read_text(encoding="utf-8"))
SESSIONS: dict[str, list[dict[str, Any]]] = RECORDED["sessions"]
MODULES = [*sorted(corpus.SAMPLES.glob("*.ko")), *sorted(corpus.DISTRIBUTION.glob("**/*.ko"))]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the files of the recorded sessions."""
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def boot() -> Kernel:
    """A kernel that runs no code; the one sample whose init must fail says so itself."""
    return Kernel(cpu=None, functions={"fail_init": lambda: -19})


def type_in(shell: Shell, line: str, out: list[str], err: list[str]) -> dict[str, Any]:
    del out[:], err[:]
    status = shell.run(line)
    return {"line": line, "status": status, "stdout": "".join(out), "stderr": "".join(err)}


@pytest.mark.core
@pytest.mark.parametrize("session", ["insmod", "rmmod", "modinfo", "shell"])
def test_a_session_reads_as_on_the_real_kernel(session: str, folder: Path) -> None:
    """Each recorded line gives the same output, errors and status; the state lives through all of them."""
    kernel, out, err = boot(), [], []
    for recorded in SESSIONS[session]:
        shell = Shell(kernel, out.append, err.append)  # as each line was its own `sh -c`
        seen = type_in(shell, recorded["line"], out, err)
        for stream in ("stdout", "stderr"):
            seen[stream] = seen[stream].replace(str(folder), "/course")
        assert seen == recorded


@pytest.mark.core
def test_the_recorded_sessions_hold_what_they_should() -> None:
    """The file is the real thing: loads that work, loads that fail, and every tool."""
    lines = [step for session in SESSIONS.values() for step in session]
    assert len(lines) > 150
    assert {step["line"].split()[0] for step in lines} >= {
        "insmod",
        "rmmod",
        "lsmod",
        "modinfo",
        "dmesg",
        "cat",
    }
    assert sum(step["status"] == 0 for step in lines) > 60
    assert sum(step["stderr"].startswith("insmod: ERROR: could not insert") for step in lines) > 20


@pytest.mark.core
def test_sysfs_lists_names_by_their_hash() -> None:
    """fs/kernfs/dir.c sorts by a hash; the record has 21 parameter files in readdir's order."""
    found = SESSIONS["order"][1]["stdout"].splitlines()
    names = [path.rpartition("/")[2] for path in found[1:]]
    assert len(names) == 21
    assert kernfs_order(sorted(names)) == names


# --- insmod
# -----------------------------------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize(
    ("errno", "words"),
    [
        ("ENOEXEC", "Invalid module format"), ("ENOENT", "Unknown symbol in module"),
        ("ESRCH", "Module has wrong symbol version"), ("EINVAL", "Invalid parameters"),
        ("EPERM", "Operation not permitted"), ("EEXIST", "File exists"), ("ENODEV", "No such device"),
    ],
)  # fmt: skip
def test_four_errnos_have_words_of_insmods_own(errno: str, words: str) -> None:
    """kmod 30, tools/insmod.c:mod_strerror; all others are the C library's."""
    assert mod_strerror(ERRNO[errno][0]) == words


class OldKernel:
    """A kernel before 3.8: finit_module is not there."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def finit_module(self, file: Any, params: str, *, flags: int, uid: int | None) -> Any:
        self.calls.append(("finit_module", file, params, flags))
        raise KernelError(ERRNO["ENOSYS"][0])

    def init_module(self, image: bytes, params: str, *, uid: int | None) -> str:
        self.calls.append(("init_module", image, params))
        return "the module"


@pytest.mark.core
def test_insmod_falls_back_to_init_module(folder: Path) -> None:
    """libkmod-module.c:kmod_module_insert_module: finit_module first, on ENOSYS init_module with the
    bytes."""
    kernel = OldKernel()
    assert insmod(kernel, "hello.ko", "howmany=3") == "the module"
    assert kernel.calls == [
        ("finit_module", "hello.ko", "howmany=3", 0),
        ("init_module", Path("hello.ko").read_bytes(), "howmany=3"),
    ]


@pytest.mark.core
def test_a_compressed_file_goes_to_init_module_at_once(folder: Path) -> None:
    """kmod 30 unpacks in its own memory, which has no descriptor to hand over."""
    kernel = OldKernel()
    insmod(kernel, "hello.ko.xz")
    assert kernel.calls == [("init_module", Path("hello.ko").read_bytes(), "")]


@pytest.mark.core
def test_force_is_flags_for_finit_module_and_editing_for_init_module(folder: Path) -> None:
    """KMOD_PROBE_FORCE_*: MODULE_INIT_IGNORE_* where there are flags, else the tool hides the two
    sections."""
    kernel = OldKernel()
    userland.run(kernel, ["insmod", "-f", "hello.ko"])
    assert kernel.calls[0][3] == MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC == 3
    before, after = Path("hello.ko").read_bytes(), kernel.calls[1][1]
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    vermagic = before.index(b"vermagic=")
    length = before.index(b"\0", vermagic) - vermagic
    flags_at = ToolElf(before).section(b"__versions").header + 8  # sh_flags, of which SHF_ALLOC (2) goes
    assert changed == sorted([flags_at, *range(vermagic, vermagic + length)])
    assert before[flags_at] ^ after[flags_at] == 2


@pytest.mark.core
def test_arguments_are_joined_with_blanks(folder: Path) -> None:
    """tools/insmod.c: the words go to the kernel as they are, so quoting them for the shell is not enough."""
    kernel = OldKernel()
    userland.run(kernel, ["insmod", "hello.ko", "howmany=1", "whom=two words"])
    assert kernel.calls[0][2] == "howmany=1 whom=two words"


@pytest.mark.core
def test_the_kernels_insmod_raises_with_the_tools_line() -> None:
    """The system call's error keeps errno, stage and log; the tool's words come along."""
    kernel = boot()
    with pytest.raises(KernelError) as caught:
        kernel.insmod(corpus.sample("hello"), "howmany=x")
    error: Any = caught.value
    assert error.errno == ERRNO["EINVAL"][0]
    assert error.stage == "parse_args"
    assert error.tool_message.endswith(": Invalid parameters")
    assert error.dmesg[-1] == "<3>hello: `x' invalid for parameter `howmany'"


@pytest.mark.core
def test_a_file_that_cannot_be_read_makes_no_system_call() -> None:
    kernel = OldKernel()
    with pytest.raises(KernelError) as caught:
        insmod(kernel, "/nonexistent/hello.ko")
    assert kernel.calls == []
    assert caught.value.tool_message == (  # type: ignore[attr-defined]
        "insmod: ERROR: could not load module /nonexistent/hello.ko: No such file or directory"
    )


class DeadKernel:
    """One whose system call does not come back."""

    profile = SimpleNamespace(name=corpus.PROFILE)

    def __init__(self, error: KernelError) -> None:
        self.error = error

    def finit_module(self, *words: Any, **named: Any) -> Any:
        raise self.error


@pytest.mark.core
def test_a_tool_that_was_killed_or_sleeps_says_nothing_itself() -> None:
    """signal(7), sh(1): a command ended by signal 9 has status 137, and the shell says "Killed"."""
    killed = userland.run(
        DeadKernel(KernelOops("page fault", stage="apply_relocations")), ["insmod", "hello"]
    )
    assert (killed.stdout, killed.stderr, killed.status) == ("", "Killed\n", 137)
    asleep = userland.run(DeadKernel(WouldWait("hello is COMING")), ["insmod", "hello"])
    assert asleep.stderr.startswith("kmodsim: insmod would wait for ever")
    assert asleep.status


# --- rmmod
# ------------------------------------------------------------------------------------------------------


@pytest.mark.core
def test_rmmod_refuses_before_any_system_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """tools/rmmod.c:check_module_inuse: the tool reads /sys/module and does not ask the kernel."""
    kernel = boot()
    kernel.insmod(corpus.sample("chain_a"))
    kernel.insmod(corpus.sample("chain_b"))
    calls: list[Any] = []
    monkeypatch.setattr(kernel, "delete_module", lambda *words, **named: calls.append((words, named)))
    with pytest.raises(KernelError) as caught:
        rmmod(kernel, "chain_a")
    said: Any = caught.value
    assert said.tool_message == "rmmod: ERROR: Module chain_a is in use by: chain_b"
    assert caught.value.stage == "rmmod"
    with pytest.raises(KernelError):
        rmmod(kernel, "hello")
    assert calls == []
    kernel.hold("chain_b")
    assert userland.run(kernel, ["rmmod", "chain_b"]).stderr == "rmmod: ERROR: Module chain_b is in use\n"
    assert calls == []


@pytest.mark.core
@pytest.mark.parametrize(("options", "flags"), [([], 0o4000), (["-f"], 0o5000)])
def test_rmmod_passes_o_nonblock_and_with_force_o_trunc(
    options: list[str], flags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libkmod-module.c:kmod_module_remove_module; asm-generic/fcntl.h: O_NONBLOCK 04000, O_TRUNC 01000."""
    kernel = boot()
    kernel.insmod(corpus.sample("hello"))
    calls: list[Any] = []
    monkeypatch.setattr(kernel, "delete_module", lambda name, *, flags, uid: calls.append((name, flags)))
    assert userland.run(kernel, ["rmmod", *options, "hello"]).status == 0
    assert calls == [("hello", flags)]


# --- modinfo, beside the real one
# -------------------------------------------------------------------------------


def real(argv: list[str], cwd: Path) -> tuple[str, str, int]:
    """Run the machine's own tool; skip where kmod is missing or another release with other messages."""
    environment = {**os.environ, "PATH": SYSTEM_PATH, "LC_ALL": "C"}
    try:
        version = subprocess.run(
            ["kmod", "--version"], capture_output=True, text=True, env=environment
        ).stdout
        done = subprocess.run(argv, capture_output=True, env=environment, cwd=cwd)
    except FileNotFoundError:
        pytest.skip("needs kmod")
    if not version.startswith("kmod version 30"):
        pytest.skip("needs kmod 30")
    out, err = (raw.decode("utf-8", "surrogateescape") for raw in (done.stdout, done.stderr))
    return out, err, done.returncode


def ours(argv: list[str]) -> tuple[str, str, int]:
    result = userland.run(None, argv)
    return result.stdout, result.stderr, result.status


@pytest.mark.tool
@pytest.mark.parametrize(
    "options", [[], ["-0"], ["-p"], ["-F", "alias"]], ids=lambda options: " ".join(options)
)
def test_modinfo_of_all_modules_is_kmods(options: list[str], folder: Path) -> None:
    """Every sample and every distribution module that comes along: all fields, signatures included."""
    assert len(MODULES) > 45
    for path in MODULES:
        argv = ["modinfo", *options, str(path)]
        assert ours(argv) == real(argv, folder)


@pytest.mark.tool
def test_modinfo_of_damaged_files_is_kmods(folder: Path) -> None:
    """A few hundred files with some bytes overwritten in headers, strings or the signature's trailer."""
    source = corpus.sample("crc16").read_bytes()
    table = int.from_bytes(source[40:48], "little")
    places = [*range(64), *range(table, table + 64 * 12), *range(len(source) - 60, len(source))]
    chance = random.Random(6)
    for _ in range(250):
        data = bytearray(source)
        for at in chance.sample(places, chance.choice((1, 1, 2, 4))):
            data[at] = chance.choice((0, 1, 2, 127, 255, chance.randrange(256)))
        (folder / "broken.ko").write_bytes(data)
        out, err, status = real(["modinfo", "broken.ko"], folder)
        if status < 0:  # killed by its own assertion: the shell would say "Aborted", and count 128 + 6
            assert (out, err + "Aborted\n", 128 - status) == ours(["modinfo", "broken.ko"])
        else:
            assert (out, err, status) == ours(["modinfo", "broken.ko"])


WRONG = [
    "insmod", "insmod -x", "insmod --", "insmod -fx hello.ko", "insmod --version=3", "insmod --ver=3",
    "insmod -", "insmod nothere.ko", "insmod /nonexistent/a.ko", "insmod hello.ko/x", "insmod empty.ko",
    "insmod five.ko", "insmod damaged.ko.xz", "insmod .", "insmod --help --nosuch", "insmod -h -x",
    "insmod -x -h", "insmod --h", "rmmod", "rmmod -x", "rmmod --", "rmmod -w a", "rmmod --wait a",
    "rmmod nosuchmodule", "rmmod nosuch nosuch2", "rmmod a-b.c", "rmmod /x/y.ko", "rmmod ./hello.ko",
    "rmmod -v nosuchmodule", "rmmod --verb nosuchmodule", "rmmod --ver x", "rmmod -h", "rmmod -sx",
    "rmmod -s nosuchmodule", "rmmod --force=1 x", "lsmod x", "lsmod -h", "lsmod --help", "modinfo",
    "modinfo -x", "modinfo nosuchmodule", "modinfo nosuchmodule.ko", "modinfo ./nosuch.ko", "modinfo .",
    "modinfo empty.ko", "modinfo five.ko", "modinfo text.ko", "modinfo truncated.ko",
    "modinfo damaged.ko.xz", "modinfo -F", "modinfo -F license", "modinfo --field", "modinfo --nosuch x",
    "modinfo --f x", "modinfo --fi=a x", "modinfo --n=1 x", "modinfo --null=1 x",
    "modinfo -m nosuchmodule", "modinfo hello.ko nosuchmodule",
    "modinfo -F license hello.ko nosuchmodule crc16.ko", "modinfo -h", "modinfo --he", "modinfo -hx",
    "modinfo .ko",
]  # fmt: skip


@pytest.mark.tool
@pytest.mark.parametrize("line", WRONG)
def test_wrong_invocations_say_what_kmods_say(line: str, folder: Path) -> None:
    """Errors that need no kernel: the real tool runs here, and says the same with the same status."""
    expected = real(line.split(" "), folder)
    result = userland.run(boot(), line.split(" "))
    assert (result.stdout, result.stderr, result.status) == expected


@pytest.mark.core
@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/b/hello.ko", "hello"), ("snd-hda-intel.ko.xz", "snd_hda_intel"), ("a.b.ko", "a"), ("x", "x")],
)
def test_a_module_name_ends_at_the_first_dot(path: str, name: str) -> None:
    """shared/util.c:path_to_modname and modname_normalize."""
    assert module_name(path) == name


# --- dmesg
# ------------------------------------------------------------------------------------------------------


@pytest.mark.core
def test_dmesg_keeps_its_mark_a_kernel() -> None:
    """kernel/printk/printk.c: SYSLOG_ACTION_CLEAR hides what is old and deletes nothing."""
    first, second = boot(), boot()
    for kernel in (first, second):
        kernel.insmod(corpus.sample("minimal"))
    assert userland.run(first, ["dmesg", "-c"]).stdout
    assert userland.run(first, ["dmesg"]).stdout == ""
    assert len(first.dmesg) == len(userland.run(second, ["dmesg"]).stdout.splitlines())


@pytest.mark.core
def test_only_root_reads_the_log() -> None:
    """Debian's CONFIG_SECURITY_DMESG_RESTRICT=y (kernel/printk/printk.c:check_syslog_permissions)."""
    result = userland.run(boot(), ["dmesg"], uid=1000)
    assert result.stderr == "dmesg: read kernel buffer failed: Operation not permitted\n"
    assert result.status == 1


# --- explain
# ----------------------------------------------------------------------------------------------------


@pytest.mark.core
def test_explain_shows_every_stage_of_the_trace_in_order() -> None:
    explanation = explain(boot(), "hello", "howmany=3")
    text = explanation.text(100)
    at = [
        text.index(f"{number:2d} {record.stage} ") for number, record in enumerate(explanation.load.trace, 1)
    ]
    assert len(at) > 30
    assert at == sorted(at)
    assert text.splitlines()[-1].endswith("hello 16384 0 - Live 0xffffffffc0201000 (OE)")


@pytest.mark.core
def test_explain_puts_tool_errno_stage_and_log_together() -> None:
    """The words of the verdict are those of the recorded line and of the kernel."""
    recorded = next(step for step in SESSIONS["insmod"] if step["line"] == "insmod hello.ko howmany=many")
    explanation = explain(boot(), "hello.ko", "howmany=many")
    verdict = explanation.text(120).rpartition("It fails in ")[2]
    assert verdict.startswith("parse_args.\n")
    assert recorded["stderr"].strip() in verdict
    assert "EINVAL (22): Invalid argument" in verdict
    assert "hello: `many' invalid for parameter `howmany'" in verdict


@pytest.mark.core
@pytest.mark.parametrize("width", [50, 80, 132])
def test_explain_keeps_to_the_width(width: int) -> None:
    """Only a single word that is longer than the line may stick out."""
    for line in explain(boot(), "hello").text(width).splitlines():
        assert len(line) <= width or len(line.split()) <= 2


@pytest.mark.core
def test_explain_as_json_holds_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "--json", "chain_b"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["loaded"] is False
    assert data["failed"]["errno_name"] == "ENOENT"
    assert data["stages"][-1]["stage"] == data["failed"]["stage"] == "simplify_symbols"
    assert data["insmod"] == "insmod: ERROR: could not insert module chain_b: Unknown symbol in module"
    assert data["dmesg"][-1] == "<4>chain_b: Unknown symbol chain_a_add (err -2)"
    assert cli.main(["explain", "--json", "--after", "chain_a", "chain_b"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["failed"] is None
    assert data["proc_modules"].startswith("chain_b 16384 0 - Live")


# --- the command line
# -------------------------------------------------------------------------------------------


@pytest.mark.core
def test_one_shot_insmod_adds_what_the_tool_does_not_say(capsys: pytest.CaptureFixture[str]) -> None:
    """The tool's line stands alone on standard error; errno, stage and log follow on standard output."""
    assert cli.main(["insmod", "hello.ko", "howmany=many"]) == 1
    out, err = capsys.readouterr()
    recorded = next(step for step in SESSIONS["insmod"] if step["line"] == "insmod hello.ko howmany=many")
    assert err == recorded["stderr"]
    notes = [line.removeprefix("kmodsim: ").split(None, 1) for line in out.splitlines()]
    assert ["errno", "EINVAL (22): Invalid argument"] in notes
    assert ["stage", "parse_args"] in notes
    assert ["dmesg", "hello: `many' invalid for parameter `howmany'"] in notes
    assert all(line.startswith("kmodsim: ") for line in out.splitlines())


@pytest.mark.core
def test_quiet_leaves_only_the_tools_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-q", "insmod", "hello"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["-q", "lsmod"]) == 0
    assert capsys.readouterr() == ("Module                  Size  Used by\n", "")


@pytest.mark.core
@pytest.mark.parametrize(
    ("argv", "status", "err"),
    [
        (["nosuch"], 1, "kmodsim: no command 'nosuch'; kmodsim --help lists them\n"),
        (["explain", "/nonexistent"], 1, "kmodsim: explain: /nonexistent: No such file or directory\n"),
        (["--uid", "1000", "-q", "insmod", "hello"], 1,
         "insmod: ERROR: could not insert module hello: Operation not permitted\n"),
        (["--cmdline", "nomodule", "-q", "insmod", "hello"], 1,
         "insmod: ERROR: could not insert module hello: Operation not permitted\n"),
        (["shell", "/no/such"], 1, "kmodsim: shell: can't open '/no/such': No such file or directory\n"),
        (["shell", "-c", "exit 5"], 5, ""),
        (["shell", "-c", "nosuch"], 127, "sh: nosuch: not found\n"),
        (["rmmod", "-w", "x"], 1, "rmmod: ERROR: unexpected getopt_long() value 'w'.\n"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_a_status(
    argv: list[str], status: int, err: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == status
    assert capsys.readouterr().err == err


@pytest.mark.core
def test_an_unknown_profile_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--kernel", "nosuch", "lsmod"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("kmodsim: ")
    assert "nosuch" in err
    assert "debian-6.1-amd64" in err
    assert err.count("\n") == 1


@pytest.mark.core
def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    """`kmodsim --help` answers before numpy could even be imported."""
    script = (
        "import sys; from kmodsim.cli import main; status = main(['--help'])\n"
        "heavy = {'numpy', 'elftools', 'cryptography', 'kmodsim.kernel'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
    for command in cli.COMMANDS:
        assert f"\n  {command} " in done.stdout


@pytest.mark.core
def test_a_closed_pipe_and_ctrl_c_end_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that leaves (`kmodsim explain hello | head -1`) and SIGINT (128 + 2) give no traceback."""
    command = [sys.executable, "-m", "kmodsim", "explain", "hello"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1

    def interrupted(call: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.COMMANDS, "samples", cli.CommandEntry(interrupted, "samples", ""))
    assert cli.main(["samples"]) == 130


@pytest.mark.core
def test_bytes_that_are_no_text_come_out_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """modinfo prints the file's bytes; a description in Latin-1 must not become a traceback."""
    data = Path("hello.ko").read_bytes().replace(b"license=GPL\0", b"license=G\xe9L\0")
    Path("latin.ko").write_bytes(data)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    assert cli.main(["modinfo", "-F", "license", "latin.ko"]) == 0
    sys.stdout.flush()
    assert raw.getvalue() == b"G\xe9L\n"


@pytest.mark.core
def test_the_shell_reads_a_pipe() -> None:
    """State lives through the lines; no prompt where nobody sits; the last status is the shell's."""
    lines = "insmod hello\nlsmod\nrmmod hello\ninsmod nothere.ko\n"
    done = subprocess.run(
        [sys.executable, "-m", "kmodsim", "shell"],
        input=lines,
        capture_output=True,
        text=True,
    )
    recorded = next(step for step in SESSIONS["insmod"] if step["line"] == "lsmod")
    missing = next(step for step in SESSIONS["insmod"] if step["line"] == "insmod nothere.ko")
    assert done.stdout == recorded["stdout"]
    assert (done.stderr, done.returncode) == (missing["stderr"], missing["status"])


@pytest.mark.core
def test_any_bytes_may_be_piped_in_and_come_out_again() -> None:
    """A shell's words are bytes: what is no UTF-8 is neither lost nor a traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "kmodsim", "shell"], input=b"echo a\xff\xe9b\n", capture_output=True
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"a\xff\xe9b\n", b"", 0)


@pytest.mark.core
def test_lab_says_in_one_line_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from kmodsim import lab

    monkeypatch.setattr(lab, "first_notebook", lambda: None)
    assert cli.main(["lab"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(lab, "first_notebook", lambda: tmp_path / "notebooks" / "00-start-here.ipynb")
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["lab"]) == 1
    assert "pip install" in capsys.readouterr().err


@pytest.mark.core
def test_the_examples_in_the_docs_are_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/commands.md: each block that begins with ``$ kmodsim`` is a session, and its lines come out so."""
    text = (Path(__file__).parent.parent / "docs" / "commands.md").read_text(encoding="utf-8")
    blocks = [part for part in text.split("```\n") if part.startswith("$ kmodsim ")]
    assert len(blocks) == 3
    for block in blocks:
        command, *lines = block.removeprefix("$ kmodsim ").splitlines()
        typed = "\n".join(line.removeprefix("# ") for line in lines if line.startswith("# "))
        cli.main([*command.split(), *(["-c", typed] if typed else [])])
        out, err = capsys.readouterr()
        said = (err + out).replace(str(kmodsim.sample("hello").parent), "…").replace(".ko \n", ".ko\n")
        assert sorted(said.splitlines()) == sorted(line for line in lines if not line.startswith("# "))
