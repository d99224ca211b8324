# SPDX-License-Identifier: GPL-2.0-only
"""The shell and the notebook's %%kernel: sessions, quoting, statuses, and no traceback whatever is typed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, corpus
from kmodsim.userland.shell import Shell
from tests.conftest import SYSTEM_PATH


class Session:
    """A shell whose output is kept."""

    def __init__(self, kernel: Any = None) -> None:
        self.kernel = Kernel(cpu=None) if kernel is None else kernel
        self.out: list[str] = []
        self.err: list[str] = []
        self.shell = Shell(self.kernel, self.out.append, self.err.append)

    def __call__(self, text: str) -> tuple[str, str, int]:
        del self.out[:], self.err[:]
        status = self.shell.run(text)
        return "".join(self.out), "".join(self.err), status


@pytest.fixture
def sh() -> Session:
    return Session()


@pytest.mark.core
def test_state_lives_through_the_lines(sh: Session) -> None:
    out, err, status = sh(
        "insmod hello howmany=4\ncat /sys/module/hello/parameters/howmany\nrmmod hello\ncat /proc/modules"
    )
    assert (out, err, status) == ("4\n", "", 0)


@pytest.mark.core
def test_a_held_module_stays(sh: Session) -> None:
    """tools/rmmod.c: "is in use" with no names, because no module holds it."""
    sh("insmod chardev; hold chardev")
    assert sh("cat /sys/module/chardev/refcnt; rmmod chardev") == (
        "1\n",
        "rmmod: ERROR: Module chardev is in use\n",
        1,
    )
    assert sh("release chardev && rmmod chardev") == ("", "", 0)
    assert sh("release chardev") == ("", "release: chardev: No such file or directory\n", 1)
    assert sh("hold chardev")[2] == 1


@pytest.mark.core
def test_su_changes_who_asks_and_only_for_the_shell(sh: Session) -> None:
    """capabilities(7): without CAP_SYS_MODULE both calls are EPERM; addresses read as zeros."""
    sh("insmod hello; su 1000")
    assert sh("id")[0] == "uid=1000 gid=1000 groups=1000\n"
    assert (
        sh("insmod minimal")[1] == "insmod: ERROR: could not insert module minimal: Operation not permitted\n"
    )
    assert "could not remove module hello: Operation not permitted" in sh("rmmod hello")[1]
    assert sh("cat /proc/modules")[0].split()[5] == "0x0000000000000000"
    assert sh("echo 3 > /sys/module/hello/parameters/howmany")[1].endswith("Permission denied\n")
    assert sh.shell.prompt == "$ "
    assert sh.kernel.uid == 0
    assert "0xffffffffc0201000" in sh.kernel.read("/proc/modules")
    assert sh("su; id; rmmod hello") == ("uid=0(root) gid=0(root) groups=0(root)\n", "", 0)


@pytest.mark.core
@pytest.mark.parametrize(
    "line", ["exit 3; echo never", "false\nexit 3\necho never", "insmod nothere || exit 3\necho never"]
)
def test_exit_ends_the_session(sh: Session, line: str) -> None:
    out, _, status = sh(line)
    assert (out, status) == ("", 3)
    assert sh.shell.finished


@pytest.mark.core
def test_a_statement_may_take_several_lines(sh: Session) -> None:
    """Each of these is unfinished at its line's end, as in any shell."""
    assert sh("echo 'a\nb'")[0] == "a\nb\n"
    assert sh("false ||\n\necho c")[0] == "c\n"
    assert sh("echo a |\ncat")[0] == "a\n"
    assert sh("echo a \\\nb")[0] == "a b\n"
    sh.shell.feed("echo 'open")
    assert sh.shell.prompt == "> "
    sh.shell.forget()
    assert sh.shell.prompt == "# "


@pytest.mark.core
def test_patterns_name_files_of_the_model_only(sh: Session) -> None:
    sh("insmod minimal; insmod hello")
    assert sh("echo /sys/module/hello/ref*")[0] == "/sys/module/hello/refcnt\n"
    assert sh("echo /sys/module/{x}* '/sys/module/h*'")[0] == "/sys/module/{x}* /sys/module/h*\n"
    assert sh("grep -c . /sys/module/hello/parameters/*")[2] == 0
    assert sh("echo *.py /etc/*")[0] == "*.py /etc/*\n"


@pytest.mark.core
def test_nothing_of_the_host_is_read_or_written(sh: Session, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host")
    assert sh(f"cat {secret}")[0] == ""
    assert sh(f"echo x > {secret}")[2] == 1
    assert sh(f"ls {tmp_path}")[0] == ""
    assert "host" not in sh(f"grep . {secret}; head {secret}; tail {secret}; wc -l {secret}")[0].split()
    assert secret.read_text() == "host"


@pytest.mark.core
def test_explain_in_the_shell_loads_into_its_kernel(sh: Session) -> None:
    out, err, status = sh("explain chain_b")
    assert status == 1
    assert err == ""
    assert "It fails in simplify_symbols." in out
    assert (
        sh("explain chain_a && explain chain_b > /dev/null; cut; cat /proc/modules")[0].count("chain_b") >= 1
    )
    assert [*sh.kernel.modules] == ["chain_b", "chain_a"]


@pytest.mark.core
def test_help_names_every_word(sh: Session) -> None:
    from kmodsim.userland import TOOLS
    from kmodsim.userland.words import WORDS

    text = sh("help")[0]
    for word in [*TOOLS, *WORDS]:
        assert word in ("true", "false", ":") or word in text.replace("…", "").split()
    assert sh("ls")[0].split() == [f"{name}.ko" for name in corpus.samples()]


@pytest.mark.core
def test_a_callbacks_own_error_is_not_swallowed() -> None:
    """What is typed gives no traceback, but a student's broken notifier must show itself."""
    kernel = Kernel(cpu=None)

    def broken(state: str, module: Any) -> int:
        raise ZeroDivisionError

    kernel.register_module_notifier(broken)
    with pytest.raises(ZeroDivisionError):
        Session(kernel)("insmod hello")


# --- whatever is typed ------------------------------------------------------------------------------------

WORDS = r"""
insmod rmmod lsmod modinfo dmesg cat ls echo grep head tail wc explain hold release su id uname exit help
true false hello chain_a chain_b chain_c minimal nothere.ko hello.ko howmany=3 howmany=x -f -n -5 -c -v
--help -F license --field= - -- /proc/modules /proc/kallsyms /sys/module /sys/module/hello /sys/module/*
/sys/module/hello/parameters/* /sys/module/hello/parameters/howmany /sys/module//../x / // . .. '' ' " \ ;
;; & && | || > >> 2> 2>&1 < ( ) $? $ ${?} ${x # * [ [a-]* ? ~ ` ! { } = 1000 0 -1 99999999999 [[:x:]] a\(b
*** ((( /dev/null
"""
PIECES = st.sampled_from([*WORDS.split(), "\n", "\t", "\0", "\r", "\x1b", "\xe9", "\ud800", ""])
LINES = st.one_of(
    st.lists(PIECES, max_size=12).map(" ".join),
    st.lists(PIECES, max_size=8).map("".join),
    st.text(max_size=40),
)


@pytest.mark.core
@settings(max_examples=400, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=4))
def test_no_traceback_whatever_is_typed(lines: list[str]) -> None:
    """Any text gives a status of one byte and output; nothing but text comes out."""
    session = Session()
    out, err, status = session("\n".join(line for line in lines if "kallsyms" not in line))
    assert 0 <= status <= 255
    assert isinstance(out + err, str)


@pytest.mark.core
@pytest.mark.parametrize("tool", ["insmod", "rmmod", "modinfo", "modprobe", "lsmod"])
@pytest.mark.parametrize("word", ["\ud800", "hello \ud800", "hello a=\ud800", "\udc80\ud800"])
def test_half_a_surrogate_pair_is_an_argument_like_others(tool: str, word: str) -> None:
    """Python text can hold it, no bytes of a command line decode to it."""
    session = Session()
    out, err, status = session(f"{tool} {word}")
    assert 0 <= status <= 255 and "Traceback" not in out + err


ODD_LINES = [
    "'" * 999, '"' * 999, "\\" * 999, "a" * 100_000, "insmod " + "a" * 100_000, "; " * 500,
    "echo x | " * 300 + "cat", "echo " + "*" * 500 + "/", "echo /sys/module/" + "*a" * 200,
    "grep '" + "a*" * 400 + "b' /proc/modules", "insmod hello " + "x=1 " * 5000, "cat " + "/" * 5000,
    "insmod \0", "modinfo \0.ko", "rmmod \0", "rmmod " + "x" * 4096, "modinfo /dev/zero", "insmod /dev/zero",
    "insmod /proc/self/mem", "su " + "9" * 400, "exit " + "9" * 400, "head -n " + "9" * 400 + " /proc/x",
    "grep '[' /proc/modules", "grep -E '(((' /proc/modules", "dmesg -l ,,",
]  # fmt: skip


@pytest.mark.core
@pytest.mark.parametrize("line", ODD_LINES, ids=lambda line: repr(line[:24]))
def test_long_and_odd_lines_end_quickly(line: str) -> None:
    session = Session()
    session("insmod hello")
    out, err, status = session(line)
    assert 0 <= status <= 255
    assert "Traceback" not in out + err


# --- beside busybox's sh ----------------------------------------------------------------------------------

SCRIPT_WORDS = st.sampled_from(
    ["echo", "echo", "true", "false", "cat", "a", "nosuch", "$?", "${?}", "f#g", "#", "\\;", "x\\ y", "\\"]
    + ["'b c'", '"d $? e"', '"\\$?"', "'$?'", '""', "''", "'", '"']
    + [";", ";", "&&", "||", "|", "\n", "> /dev/null", "2>/dev/null", "2>&1", ">&2", "1>&2"]
)


@pytest.mark.tool
@settings(max_examples=250, deadline=None)
@given(st.lists(SCRIPT_WORDS, max_size=10).map(" ".join))
def test_scripts_of_simple_words_run_as_in_busyboxs_sh(script: str) -> None:
    """Quotes, $?, lists, pipes and complaints: the same output and status from the real one."""
    environment = {**os.environ, "PATH": SYSTEM_PATH}
    try:
        done = subprocess.run(
            ["busybox", "sh", "-c", script],
            capture_output=True,
            text=True,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("needs busybox")
    out, err, status = Session()(script)
    assert (out, status) == (done.stdout, done.returncode)
    if "|" not in script.replace("||", ""):  # the two ends of a pipe complain in any order
        assert err == done.stderr


# --- notebooks --------------------------------------------------------------------------------------------


@pytest.fixture
def ipython() -> Any:
    pytest.importorskip("IPython", reason="needs IPython")
    from IPython.testing.globalipapp import get_ipython, start_ipython

    shell = start_ipython() or get_ipython()
    shell.user_ns.pop("kernel", None)
    shell.run_line_magic("load_ext", "kmodsim.magic")
    return shell


@pytest.mark.core
def test_a_cell_makes_its_kernel_and_writes_to_stdout_only(
    ipython: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """nbgrader gives no points to a cell that writes to standard error, so errors are text like all else."""
    ipython.run_cell_magic("kernel", "", "insmod hello howmany=x\ninsmod hello howmany=2\nlsmod\n")
    out, err = capsys.readouterr()
    assert err == ""
    assert out == (
        "insmod: ERROR: could not insert module hello: Invalid parameters\n"
        "Module                  Size  Used by\n"
        "hello                  16384  0\n"
    )
    assert isinstance(ipython.user_ns["kernel"], Kernel)
    assert "hello" in ipython.user_ns["kernel"].modules


@pytest.mark.core
def test_a_cell_may_name_its_kernel_and_a_line_uses_the_same(
    ipython: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ipython.user_ns["other"] = Kernel(cpu=None)
    ipython.user_ns["kernel"] = Kernel(cpu=None)
    ipython.run_cell_magic("kernel", "other", "insmod minimal\nsu 1000")
    ipython.run_cell_magic("kernel", "other", "id\nexit 3")
    ipython.run_cell_magic("kernel", "other", "echo $?; su")
    ipython.run_line_magic("kernel", "insmod hello; cat /sys/module/hello/initstate")
    assert capsys.readouterr() == ("uid=1000 gid=1000 groups=1000\n3\nlive\n", "")
    assert [*ipython.user_ns["other"].modules] == ["minimal"]
    assert [*ipython.user_ns["kernel"].modules] == ["hello"]


@pytest.mark.core
def test_a_wrong_variable_is_said_in_one_line(ipython: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ipython.user_ns["number"] = 3
    ipython.run_cell_magic("kernel", "number", "lsmod")
    ipython.run_cell_magic("kernel", "two words", "lsmod")
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        "kmodsim: number is a int, not a Kernel",
        "kmodsim: %%kernel takes the name of a variable, not 'two words'",
    ]


@pytest.mark.core
def test_a_cell_prints_text_even_where_a_file_holds_none(
    ipython: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A message to the browser is UTF-8: a description in Latin-1 must not break it."""
    module = tmp_path / "latin.ko"
    module.write_bytes(corpus.sample("hello").read_bytes().replace(b"license=GPL\0", b"license=G\xe9L\0"))
    ipython.run_line_magic("kernel", f"modinfo -F license {module}")
    out = capsys.readouterr().out
    assert (out[0], out[-2:]) == ("G", "L\n")
    out.encode("utf-8")


@pytest.mark.core
def test_a_new_kernel_in_the_variable_is_a_new_session(
    ipython: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ipython.user_ns["kernel"] = Kernel(cpu=None)
    ipython.run_line_magic("kernel", "insmod hello; su 1000")
    ipython.user_ns["kernel"] = Kernel(cpu=None)
    ipython.run_line_magic("kernel", "id; cat /proc/modules")
    assert capsys.readouterr().out == "uid=0(root) gid=0(root) groups=0(root)\n"


@pytest.mark.core
def test_a_kernel_error_of_a_word_does_not_end_the_shell(
    sh: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(path: str) -> list[str]:
        raise KernelError(5)

    monkeypatch.setattr(sh.kernel, "listdir", dead)
    assert sh("ls /sys/module\necho on") == ("on\n", "ls: /sys/module: Input/output error\n", 0)
