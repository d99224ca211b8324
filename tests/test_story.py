# SPDX-License-Identifier: GPL-2.0-only
"""The story of an insmod makes the system calls that strace saw the real one make, one for one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, cli, corpus, userland
from kmodsim.errors import ERRNO
from kmodsim.userland.calls import quoted
from kmodsim.userland.flavours import FLAVOURS
from kmodsim.userland.shell import Shell
from kmodsim.userland.story import story
from tests.realtools.files import files
from tests.test_flavours import SESSIONS

TRACED = re.compile(r"strace .* -o /tmp/calls (.*); grep ")


def normal(text: str) -> list[str]:
    """strace's lines without what -y adds to descriptors and the blanks before the answer; the writing of the
    message is not among them."""
    lines = [line for line in text.splitlines() if not line.startswith("write(")]
    lines = [re.sub(r"(AT_FDCWD|\b\d+)<[^>]*>", r"\1", line) for line in lines]
    lines = [re.sub(r"\)\s+= ", ") = ", line) for line in lines]
    return [re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", line) for line in lines if " = " in line]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, data in files().items():
        (tmp_path / name).write_bytes(data)
        (tmp_path / name).chmod(0o644)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.core
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_each_insmod_makes_the_calls_that_were_recorded(flavour: str, folder: Path) -> None:
    """tests/realtools/flavours.json, session "calls": every traced insmod on the real kernel, in its turn."""
    kernel, seen = Kernel(cpu=None), 0
    for step in SESSIONS[flavour]["calls"]:
        match = TRACED.match(step["line"])
        assert match is not None
        if not match[1].startswith("insmod "):
            Shell(kernel, lambda text: None, flavour=flavour).run(match[1])
            continue
        told = story(kernel, match[1].split(), flavour)
        ours = [call.replace(str(folder), "/course") for call in told.calls]
        recorded = normal(step["stdout"])
        # busybox takes "-f" for the file's name, and the record keeps only lines that name hello
        assert ours == recorded or (not recorded and all('"-f"' in call for call in ours)), match[1]
        assert told.result.stderr == step["stderr"]
        seen += 1
    assert seen == 7


class Refusing:
    """A kernel that answers every load with one errno, as the machine's own did."""

    profile = SimpleNamespace(name=corpus.PROFILE)  # whose samples it would take

    def __init__(self, errnos: dict[str, str]) -> None:
        self.errnos = errnos

    def finit_module(self, *words: Any, **named: Any) -> None:
        raise KernelError(ERRNO[self.errnos["finit_module"]][0])

    def init_module(self, *words: Any, **named: Any) -> None:
        raise KernelError(ERRNO[self.errnos["init_module"]][0])


@pytest.mark.tool
@pytest.mark.parametrize("name", ["hello.ko", "hello.ko.xz", "hello.ko.gz", "text.ko", "nothere.ko"])
@pytest.mark.parametrize("program", ["insmod", "busybox insmod"])
def test_the_calls_of_this_machines_insmod(
    program: str, name: str, folder: Path, needs: Callable[[str], str]
) -> None:
    """strace here, where nobody may load: EPERM, or ENOSYS with the way back to init_module."""
    strace, binary = needs("strace"), needs(program.split()[0])
    words = [*program.split()[1:], name, "nosuch=1"]
    argv = [strace, "-qq", "-o", "calls", "-e", "trace=!execve", binary, *words]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    if not (folder / "calls").exists() or "ptrace" in done.stderr:
        pytest.skip("needs strace that may trace")
    lines = normal((folder / "calls").read_text())
    start = next(at for at, line in enumerate(lines) if name in line)
    found = dict(re.findall(r"^(f?init_module)\(.* = -1 (\w+)", "\n".join(lines), re.M))
    flavour = "busybox" if "busybox" in program else "kmod"
    told = story(Refusing(found), ["insmod", name, "nosuch=1"], flavour)  # type: ignore[arg-type]
    real = iter(lines[start:])
    assert all(line in real for line in told.calls)  # all of ours are there, in this order
    loads = [line for line in lines if "_module(" in line]
    assert [line for line in told.calls if "_module(" in line] == loads
    assert told.result.stderr == done.stderr
    assert told.result.status == done.returncode


@pytest.mark.tool
@pytest.mark.parametrize(
    "data",
    [b"", b"\x7fELF\2\1\1\0", b"\1" + b"1", b'a"b\\\n\t\x80\xff9', bytes(range(256)), b"x" * 33],
)
def test_strings_are_quoted_as_strace_does(data: bytes, tmp_path: Path, needs: Callable[[str], str]) -> None:
    (tmp_path / "data").write_bytes(data)
    argv = [needs("strace"), "-qq", "-e", "trace=read", "-o", "calls", shutil.which("cat") or "cat", "data"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True)
    if done.returncode:
        pytest.skip("needs strace that may trace")
    assert f"read(3, {quoted(data)}, " in (tmp_path / "calls").read_text()


@pytest.mark.core
def test_where_init_module_is_called_in_kmods_insmod(folder: Path) -> None:
    """kmod 30, libkmod/libkmod-module.c:kmod_module_insert_module: ENOSYS, or a packed file."""

    class Old(Refusing):
        def init_module(self, *words: Any, **named: Any) -> None:
            return None

    old = story(Old({"finit_module": "ENOSYS"}), ["insmod", "hello.ko"])
    packed = story(Kernel(cpu=None), ["insmod", "hello.ko.xz"])
    for told, before in ((old, "finit_module"), (packed, "read")):
        at = next(i for i, step in enumerate(told.steps) if step.call.startswith("init_module("))
        step = told.steps[at]
        assert (step.source, step.function) == ("libkmod/libkmod-module.c", "kmod_module_insert_module")
        assert told.steps[at - 1].call.startswith(f"{before}(")
        assert told.result.status == 0


@pytest.mark.core
def test_a_story_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["insmod", "--story", "hello", "howmany=x"]) == 1
    out, err = capsys.readouterr()
    assert 'finit_module(3, "howmany=x", 0) = -1 EINVAL (Invalid argument)' in out
    assert "it refuses in parse_args" in out
    assert err == "insmod: ERROR: could not insert module hello: Invalid parameters\n"
    assert cli.main(["insmod", "--story", "--flavour", "module-init-tools", "hello"]) == 0
    assert "init_module(ADDRESS, 15808" in capsys.readouterr().out


@pytest.mark.core
def test_a_story_is_plain_data_too() -> None:
    told = story(Kernel(cpu=None), ["insmod", "hello"])
    data = json.loads(json.dumps(told.to_dict()))
    assert [step["function"] for step in data["steps"]] == [step.function for step in told.steps]
    assert data["status"] == 0
    with pytest.raises(ValueError, match="insmod"):
        story(Kernel(cpu=None), ["lsmod"])
    with pytest.raises(ValueError, match="busybox"):
        story(Kernel(cpu=None), ["insmod", str(corpus.sample("hello"))], "toybox")


@pytest.mark.core
def test_modprobe_goes_the_same_way_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It calls the same kmod_module_insert_module: init_module after ENOSYS, and only then."""
    kernel = Kernel(cpu=None)
    for errno, loaded in (("ENOSYS", True), ("EPERM", False)):
        answers = Refusing({"finit_module": errno})
        monkeypatch.setattr(kernel, "finit_module", answers.finit_module)
        assert userland.run(kernel, ["modprobe", "hello"]).status == (0 if loaded else 1)
        assert ("hello" in kernel.modules) is loaded
        userland.run(kernel, ["rmmod", "hello"])
