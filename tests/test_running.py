# SPDX-License-Identifier: GPL-2.0-only
"""Modules' own code runs: what it prints, returns and stores is what it does on the real kernel.

The expectations are the recordings in truth/samples-6.1.json and truth/errno-table-6.1.json, with the lines
that modules print; other tests leave these out.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import kmodsim
from kmodsim import Kernel, KernelError, KernelOops, sample

from .realkernel.compare import differences
from .realkernel.replay import Replay, truth
from .realkernel.truth import split_log

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core


class Running(Replay):
    """One boot whose modules' code runs."""

    def __init__(self, cmdline: str, folder: Path) -> None:
        super().__init__(cmdline, folder)
        self.kernel = Kernel(cmdline=cmdline, cpu="strict")

    def _state(self, answer: dict[str, Any], start: int) -> dict[str, Any]:
        printed = split_log(self.kernel.dmesg[start:]).get("printed", [])
        return super()._state(answer, start) | {"printed": printed}


# What the kernel functions that are implemented cannot do yet
NOT_YET = {"parameters/tables": "static_key_enable patches code that runs"}


def cases() -> list[Any]:
    """Every case of the samples in which no call has to be under way while another one is made."""
    found = []
    for name, rows in (("samples-6.1.json", ("alone",)), ("errno-table-6.1.json", ("parameters", "init"))):
        for boot, content in truth(name)["boots"].items():
            for case in content["cases"]:
                wanted = case["row"] in rows or case["id"].startswith("parameters/")
                if wanted and not any("background" in step["call"] for step in case["steps"]):
                    why = NOT_YET.get(case["id"])
                    marks = [pytest.mark.xfail(reason=why, strict=True)] if why else []
                    found.append(pytest.param(name, boot, case["id"], id=case["id"], marks=marks))
    return found


def printed_by(step: dict[str, Any]) -> list[str]:
    return list(step["answer"].get("printed", []))


@pytest.mark.parametrize(("name", "boot", "case_id"), cases())
def test_as_recorded(name: str, boot: str, case_id: str) -> None:
    content = truth(name)["boots"][boot]
    case = next(each for each in content["cases"] if each["id"] == case_id)
    with TemporaryDirectory() as folder:
        replay = Running(content["cmdline"], Path(folder))
        found = replay.recorded_case(case["steps"])
    if case_id.startswith("alone/"):
        assert differences(case["steps"], found) == []
    else:  # an earlier case of that boot had what is said once
        errnos = [step["answer"].get("errno") for step in case["steps"]]
        assert [answer.get("errno") for answer in found] == errnos
    assert [answer["printed"] for answer in found] == [printed_by(step) for step in case["steps"]]


# --- what runs on after init, from the sources of the samples


def lines(kernel: Kernel, word: str) -> list[str]:
    return [line[3:] for line in kernel.dmesg if line[3:].startswith(word)]


def test_a_timer_fires_when_time_passes_and_is_stopped() -> None:
    """timer.c re-arms itself three times, 100 ms apart."""
    kernel = Kernel(cpu="strict")
    kernel.finit_module(sample("timer"))
    before = len(lines(kernel, "timer: tick"))
    kernel.advance(0.25)
    assert before == 0
    assert 1 <= len(lines(kernel, "timer: tick")) <= 2
    kernel.advance(5)
    assert len(lines(kernel, "timer: tick")) == 3
    kernel.delete_module("timer")
    assert not kernel.modules


def test_a_thread_works_until_it_is_stopped() -> None:
    kernel = Kernel(cpu="strict")
    kernel.finit_module(sample("thread"))
    kernel.advance(1)
    kernel.delete_module("thread")
    assert lines(kernel, "thread: shall stop") == ["thread: shall stop"]


def test_an_open_device_holds_a_reference_and_keeps_what_is_written() -> None:
    """chardev.c: a text that read gives and write replaces."""
    kernel = Kernel(cpu="strict")
    module = kernel.finit_module(sample("chardev"))
    with kernel.open("/dev/chardev", kmodsim.O_RDWR) as device:
        assert device.read(100) == b"nothing written yet\n"
        assert module.refcount == 1
        with pytest.raises(KernelError) as refused:
            kernel.delete_module("chardev")
        assert refused.value.errno == kmodsim.EAGAIN
        assert device.write(b"new text") == 8
        with pytest.raises(KernelError) as too_long:
            device.write(bytes(65))
        assert too_long.value.errno == kmodsim.ENOSPC
    assert module.refcount == 0
    assert kernel.read("/dev/chardev") == "new text"
    kernel.delete_module("chardev")
    with pytest.raises(KernelError) as gone:
        kernel.open("/dev/chardev")
    assert gone.value.errno == kmodsim.ENOENT


def test_following_null_is_an_oops_and_the_module_stays() -> None:
    """The names and offsets are those of the module itself: do_fault functions of buggy.c."""
    kernel = Kernel(cpu="strict")
    with pytest.raises(KernelOops) as oops:
        kernel.finit_module(sample("buggy"), "fault=null_read")
    report = oops.value.report.splitlines()
    assert report[0] == "BUG: kernel NULL pointer dereference, address: 0000000000000010"  # of ->value
    assert report[2] == "#PF: error_code(0x0000) - not-present page"
    assert next(line for line in report if line.startswith("RIP:")).startswith("RIP: 0010:null_read+0x")
    frames = [line.split("+")[0].strip() for line in report if line.endswith("[buggy]")]
    assert any(frame.startswith("run_fault") for frame in frames)
    assert kernel.modules["buggy"].state == "COMING"
    assert kernel.test_taint("D")
    assert kernel.finit_module(sample("hello")).state == "LIVE"


def test_what_is_not_implemented_is_named_and_the_load_undone() -> None:
    kernel = Kernel(cpu="strict")
    with pytest.raises(kmodsim.NotModelled) as refused:
        kernel.finit_module(sample("loop"))
    assert "unimplemented: __register_blkdev(), called from loop_init+0x" in refused.value.why
    assert "loop" not in kernel.modules


def test_without_a_processor_nothing_runs() -> None:
    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("chardev"))
    assert lines(kernel, "chardev: /dev") == []
    with pytest.raises(ValueError, match="no policy"):
        Kernel(cpu="guess").finit_module(sample("hello"))
