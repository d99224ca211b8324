# SPDX-License-Identifier: GPL-2.0-only
"""Core and commands run where Linux is not: in a process that lacks all that Windows and macOS lack.

A stand-in for native runs, which nobody has made yet. Third-party packages have their own builds for those
systems, so they are imported before the host changes; what is judged is kmodsim's own code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parent.parent

FOREIGN_HOST = """
import sys, os, errno, signal, warnings, tempfile, subprocess, random, shutil, json, lzma, gzip
import numpy, elftools.elf.elffile, cryptography.x509, cryptography.hazmat.primitives.asymmetric.rsa

for name in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "posix"):
    sys.modules[name] = None  # importing it is an ImportError

for name in (
    "fork", "forkpty", "getuid", "geteuid", "getgid", "getegid", "getgroups", "setuid", "uname",
    "sysconf", "mkfifo", "mknod", "statvfs", "setsid", "getpgid", "killpg", "wait", "waitid", "chown",
    "pread", "preadv", "pwrite", "sendfile", "memfd_create", "sched_getaffinity", "posix_spawn",
    "getxattr", "mkdirat",
):
    if hasattr(os, name):
        delattr(os, name)
for name in dir(signal):
    if name in ("SIGALRM", "SIGKILL", "SIGHUP", "SIGCHLD", "SIGUSR1", "alarm", "setitimer", "pthread_kill"):
        delattr(signal, name)

# open flags: Windows' numbers for those it has, the others gone
WINDOWS = dict(O_RDONLY=0, O_WRONLY=1, O_RDWR=2, O_APPEND=8, O_CREAT=0x100, O_TRUNC=0x200, O_EXCL=0x400)
for name in [name for name in dir(os) if name.startswith("O_")]:
    delattr(os, name)
for name, value in WINDOWS.items():
    setattr(os, name, value)

# error numbers: macOS' for some, and those that only Linux has are gone
for name in ("ENOKEY", "EKEYEXPIRED", "EKEYREVOKED", "EKEYREJECTED", "ENOPKG", "EBADMSG"):
    delattr(errno, name)
MACOS = dict(EAGAIN=35, EWOULDBLOCK=35, EDEADLK=11, ELOOP=62, ENOTEMPTY=66, EOPNOTSUPP=102)
for name, value in MACOS.items():
    setattr(errno, name, value)
errno.errorcode.clear()
errno.errorcode.update({getattr(errno, n): n for n in dir(errno) if n.startswith("E")})
os.strerror = lambda number: f"the host's text for {number}"

# a file opened as text without saying which encoding: UTF-8 here, something else on Windows
warnings.filterwarnings("error", category=EncodingWarning, module="kmodsim")
"""


def abroad(code: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the code in a process of its own on the foreign host."""
    return subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", FOREIGN_HOST + textwrap.dedent(code)],
        input=stdin, capture_output=True, timeout=120, cwd=ROOT,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        env={**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": "utf-8", **environment},
    )  # fmt: skip


def said(code: str, stdin: str = "", **environment: str) -> str:
    done = abroad(code, stdin, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_foreign_host_is_foreign() -> None:
    """Otherwise the tests below would show nothing."""
    lines = said("""
        import io
        try:
            import fcntl
        except ImportError:
            print("no fcntl")
        print(hasattr(os, "fork"), hasattr(signal, "SIGALRM"), hasattr(os, "O_NONBLOCK"), errno.EAGAIN)
        warnings.filterwarnings("error", category=EncodingWarning, module="__main__")
        try:
            open(os.devnull).close()
        except EncodingWarning:
            print("encoding")
    """)
    assert lines.split("\n") == ["no fcntl", "False False False 35", "encoding", ""]


def test_a_sample_is_loaded_and_unloaded() -> None:
    assert said("""
        import kmodsim
        kernel = kmodsim.Kernel()
        before = kernel.memory.regions
        module = kernel.finit_module(kmodsim.sample("hello"), "howmany=3")
        print(module.name, module.state, kernel.read("/sys/module/hello/parameters/howmany").strip())
        kernel.delete_module("hello", flags=kmodsim.O_NONBLOCK)
        print(list(kernel.modules), kernel.memory.regions == before)
    """).split("\n") == ["hello LIVE 3", "[] True", ""]


def test_errors_are_those_of_linux() -> None:
    """Numbers of include/uapi/asm-generic/errno*.h and the GNU C library's texts, not this host's."""
    assert said("""
        import kmodsim
        kernel = kmodsim.Kernel()
        def refused(call, *args, **named):
            try:
                call(*args, **named)
            except kmodsim.KernelError as error:
                print(error.errno, error.strerror)
        kernel.finit_module(kmodsim.sample("hello"))
        refused(kernel.finit_module, kmodsim.sample("hello"))
        refused(kernel.delete_module, "no_such_module", flags=kmodsim.O_NONBLOCK)
        kernel.hold("hello")
        refused(kernel.delete_module, "hello", flags=kmodsim.O_NONBLOCK)
        refused(kernel.delete_module, "hello", flags=kmodsim.O_NONBLOCK, uid=1000)
        refused(kernel.init_module, b"MZ" + bytes(4096), "")
        enforcing = kmodsim.Kernel(cmdline="module.sig_enforce=1")
        refused(enforcing.finit_module, kmodsim.sample("hello"))
    """).split("\n") == [
        "17 File exists",
        "2 No such file or directory",
        "11 Resource temporarily unavailable",
        "1 Operation not permitted",
        "8 Exec format error",
        "129 Key was rejected by service",
        "",
    ]


def test_the_flags_are_those_of_linux() -> None:
    """include/uapi/asm-generic/fcntl.h"""
    assert said("import kmodsim; print(oct(kmodsim.O_NONBLOCK), oct(kmodsim.O_TRUNC))") == "0o4000 0o1000\n"


RUN = """
import sys, kmodsim, kmodsim.cli
try:
    status = kmodsim.cli.main({arguments})
except SystemExit as end:
    status = end.code
sys.stdout.flush()
sys.exit(status)
"""


def command(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    words = ", ".join(word if word.startswith("kmodsim.") else repr(word) for word in arguments)
    return abroad(RUN.format(arguments=f"[{words}]"), stdin, **environment)


HELLO = "kmodsim.sample('hello').__fspath__()"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("insmod", HELLO, "howmany=3"), ""),
        (("modinfo", HELLO), "vermagic:"),
        (("explain", HELLO), "layout_sections"),
        (("lsmod",), "Module                  Size  Used by"),
        (("profile", "list"), "debian-6.1-amd64"),
    ],
    ids=["insmod", "modinfo", "explain", "lsmod", "profile"],
)
def test_a_command_runs(arguments: tuple[str, ...], expected: str) -> None:
    """And prints on a terminal of Western Windows too, whose characters are those of code page 1252."""
    done = command(*arguments, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout
    assert done.stderr == ""


def test_a_command_that_fails_says_why_in_linux_words() -> None:
    done = command("insmod", "no/such/file.ko")
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_the_shell_reads_a_pipe() -> None:
    done = command("shell", stdin="insmod hello.ko\nlsmod\nrmmod hello\nlsmod\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("hello ") == 1
