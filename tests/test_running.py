# SPDX-License-Identifier: GPL-2.0-only
"""Modules' own code goes on running after init: timers, threads, files, other tasks meanwhile.

What the samples print and return when they are loaded and unloaded is held to recordings by
test_samples_truth, test_errno_table and test_lives; here the expectations are the samples' sources.
"""

from __future__ import annotations

from typing import Any

import pytest

import kmodsim
from kmodsim import Kernel, KernelError, KernelOops, sample

from .faults.files import make

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core


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


# --- code that is changed while it runs


def test_a_static_branch_and_a_static_call_turn_while_the_module_is_loaded() -> None:
    """``loud`` turns both in init. Places from ``objdump -dr tables.ko``: the call of the trampoline is at
    .text+0x4d, the NOP at .text+0x52 has room for a jump to .text.unlikely+0x39. What is printed is recorded
    (parameters/tables)."""
    quiet, loud = (Kernel().finit_module(sample("tables"), f"loud={turned}") for turned in (0, 1))
    text, cold = loud.sections[".text"], loud.sections[".text.unlikely"]
    assert quiet.sections[".text"].data[0x52:0x57] == bytes.fromhex("0f1f440000")
    assert text.data[0x52] == 0xE9 and after(text, 0x52) == cold.address + 0x39
    assert loud.symbols is not None
    names = {address: name for address, _, name in loud.symbols.rows({})}
    assert names[after(quiet.sections[".text"], 0x4D)] == "whisper"
    assert names[after(text, 0x4D)] == "shout"
    trampoline = loud.sections[".static_call.text"]
    assert trampoline.data[0] == 0xE9 and names[after(trampoline, 0)] == "shout"


def after(section: Any, offset: int) -> int:
    """Where the five-byte call or jump at ``offset`` leads."""
    distance = int.from_bytes(section.data[offset + 1 : offset + 5], "little", signed=True)
    return int(section.address + offset + 5 + distance)


def test_another_load_while_init_sleeps_leaves_its_registers_alone() -> None:
    """hello_init counts its greetings in rbx, and sleeps instead of printing (``slow``)."""
    kernel = Kernel()

    def others() -> None:
        kernel.finit_module(sample("minimal"))
        kernel.delete_module("minimal")

    tasks = kernel.cpu.tasks
    tasks.at(tasks.now + 1_000_000, others)
    assert kernel.finit_module(make("slow"), "howmany=3").state == "LIVE"
    assert lines(kernel, "minimal") == ["minimal: here I am", "minimal: and gone"]
