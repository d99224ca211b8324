# SPDX-License-Identifier: GPL-2.0-only
"""Time travel, held against the processor itself: stepped one instruction at a time without any hook, its
registers after each step are those that were recorded; and memory is what a plain copy of it was then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import EFAULT, Kernel, KernelError, KernelOops, sample

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core

SAMPLES = (
    "hello", "list", "chardev", "sync", "tables", "percpu", "timer", "notifier", "work", "thread", "sysfs",
)  # fmt: skip


def recorded(name: str, params: str = "", **limits: int) -> tuple[Any, Any]:
    """(kernel, run) of a sample loaded, used by its timers for a second, and unloaded."""
    kernel = Kernel(cpu="strict")
    with kernel.cpu.recording(**limits) as run:
        kernel.finit_module(sample(name), params)
        kernel.advance(1)
        kernel.delete_module(name)
    return kernel, run


class Judge:
    """The same life, one instruction at a time: what the registers and the module's memory are before each.

    A machine that is told to run for one instruction stops behind it by itself; nothing is hooked.
    """

    def __init__(self, name: str) -> None:
        from kmodsim.cpu.machine import NAMES

        self.names, self.moments, self.memory = NAMES, [], []
        self.kernel = Kernel(cpu="strict")
        self.machine = self.kernel.cpu.machine
        self.plain = self.machine.run
        self.machine.run = self.run
        self.kernel.finit_module(sample(name))
        self.kernel.advance(1)
        self.kernel.delete_module(name)

    def run(self, rip: int, count: int) -> Any:
        while True:
            self.machine["rip"] = rip
            values = [value & (1 << 64) - 1 for value in self.machine.read(self.names)]
            self.moments.append(dict(zip(self.names, values, strict=True)))
            areas = self.kernel.memory.areas.values()
            stack = self.kernel.cpu.tasks.current.stack
            self.memory.append([(a.start, a.data.tobytes()) for a in (*areas, stack)])
            stop = self.plain(rip, 1)
            if stop.kind == "hlt" and stop.rip != rip:  # it only stands before one
                rip = stop.rip + 1
            elif stop.kind == "limit":
                rip = stop.rip
            else:
                return stop


@pytest.mark.parametrize("name", SAMPLES)
def test_registers_and_memory_are_the_processors_own(name: str) -> None:
    judge = Judge(name)
    _, run = recorded(name)
    machine_steps = [k for k, step in enumerate(run) if step.kind in ("instruction", "call", "return")]
    assert len(machine_steps) == len(judge.moments) > 10
    for k, registers in zip(machine_steps, judge.moments, strict=True):
        assert run.at(k - 1) | {"rip": registers["rip"]} == registers
        assert run[k].address == registers["rip"]
    for k, areas in list(zip(machine_steps, judge.memory, strict=True))[:: max(1, len(judge.memory) // 25)]:
        for start, data in areas:
            assert run.memory(start, len(data), k - 1) == data, (k, hex(start))


def test_each_change_says_what_was_there_and_what_is() -> None:
    _, run = recorded("list")
    stores = 0
    for k in range(len(run)):
        for change in run.changes(k):
            stores += 1
            length = len(change.after)
            last = [c for c in run.changes(k) if c.start == change.start and len(c.after) == length]
            assert run.memory(change.start, length, k) == last[-1].after
            assert run.memory(change.start, length, k - 1) == last[0].before
            assert k in run.writers(change.start, length)
    assert stores > 30


def test_a_kernel_function_is_one_step_with_what_it_stored() -> None:
    """list.c: three nodes of 24 bytes by kmalloc, filled with SLUB's poison (include/linux/poison.h)."""
    kernel, run = recorded("list")
    calls = [step for step in run if step.kind == "call"]
    assert [step.call for step in calls] == kernel.calls
    allocations = [step for step in calls if step.call.name == "kmalloc_trace"]
    assert len(allocations) == 3
    for step in allocations:
        assert step.registers["rax"] == step.call.result
        assert run.memory(step.call.result, 24, step.number) == b"\x6b" * 23 + b"\xa5"
        assert str(step.call) == step.text
    assert calls[0].address == kernel.profile.exports[calls[0].call.name].address


def test_calls_back_into_the_module_are_steps_inside() -> None:
    """notifier.c calls its own chain: its callbacks run inside blocking_notifier_call_chain."""
    _, run = recorded("notifier")
    chain = next(s for s in run if s.kind == "call" and s.call.name == "blocking_notifier_call_chain")
    inside = run[chain.number + 1]
    assert (inside.kind, inside.name, inside.depth) == ("enter", "early", chain.depth)
    assert run[chain.number + 2].depth == chain.depth + 1
    back = next(step for step in run[chain.number + 1 :] if step.kind == "return")
    assert back.depth == chain.depth + 1


def test_names_and_instructions_of_init_stay_readable() -> None:
    kernel, run = recorded("hello")
    assert not kernel.modules
    first = next(step for step in run if step.kind == "instruction")
    assert first.name == "hello_init" and first.code == bytes.fromhex("0f1f440000")
    assert "hello_init+0x5" in str(run) and "_printk(fmt=KERN_INFO" in str(run)


def test_later_runs_do_not_change_what_was_recorded() -> None:
    kernel, run = recorded("list")
    before = str(run)
    address = next(step.call.result for step in run if step.kind == "call" and step.call.result)
    words = [run.memory(address, 24, k) for k in range(-1, len(run))]
    kernel.finit_module(sample("list"))
    kernel.delete_module("list")
    assert str(run) == before
    assert [run.memory(address, 24, k) for k in range(-1, len(run))] == words


def test_two_recordings_of_the_same_are_the_same() -> None:
    first, second = (recorded("work")[1] for _ in range(2))
    assert str(first) == str(second)
    assert [first.at(k) for k in range(-1, len(first))] == [second.at(k) for k in range(-1, len(second))]


def test_an_oops_is_recorded_up_to_the_instruction_that_faults() -> None:
    """buggy.c null_read: ``mov 0x10(%rax),%esi`` through NULL."""
    kernel = Kernel(cpu="strict")
    with kernel.cpu.recording() as run, pytest.raises(KernelOops):
        kernel.finit_module(sample("buggy"), "fault=null_read")
    last = [step for step in run if step.kind == "instruction"][-1]
    assert last.name.startswith("null_read") and last.registers["rax"] == 0
    assert not last.changes and last.code == bytes.fromhex("8b7010")


def test_the_limit_cuts_and_says_so() -> None:
    kernel, run = recorded("list", limit=40)
    assert len(run) == 40 and run.cut and str(run).endswith("cut: the recording's limit was reached")
    assert run.at(39) and run.memory(run.at(39)["rsp"], 8, 39)
    whole = recorded("list")[1]
    assert not whole.cut and [run.at(k) for k in range(40)] == [whole.at(k) for k in range(40)]
    for change in (change for k in range(len(whole)) for change in whole.changes(k)):
        if change.start >= 0xFFFFFFFFC0000000:  # the module's: jiffies were first touched later
            length = len(change.after)
            assert run.memory(change.start, length, 39) == whole.memory(change.start, length, 39)
    assert kernel.cpu.recorder is None and kernel.finit_module(sample("hello")).state == "LIVE"


def test_nothing_is_left_behind() -> None:
    """Code translated while it was watched is thrown away: afterwards nothing is told to anybody."""
    kernel, run = recorded("list")
    size = len(run)
    kernel.finit_module(sample("list"))
    assert len(run) == size
    assert kernel.cpu.space.noted is None and "write" not in vars(kernel.memory)
    with kernel.cpu.recording(), pytest.raises(ValueError, match="under way"), kernel.cpu.recording():
        pass


def test_moments_and_places_that_are_not_there() -> None:
    _, run = recorded("hello")
    for k in (-2, len(run)):
        with pytest.raises(IndexError):
            run.at(k)
    with pytest.raises(KernelError) as refused:
        run.memory(0x1000, 8, 0)
    assert refused.value.errno == EFAULT
    with Kernel(cpu="strict").cpu.recording() as empty:
        pass
    assert len(empty) == 0 and str(empty) == "" and empty.at(-1)["rsp"] >= 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_look_at_any_moment(data: st.DataObject) -> None:
    """Bytes read together are the bytes read alone, wherever they lie and whoever wrote them."""
    _, run = shared()
    writes = [change.start for k in range(len(run)) for change in run.changes(k)]
    start = data.draw(st.sampled_from(writes)) + data.draw(st.integers(-40, 40))
    length, k = data.draw(st.integers(0, 80)), data.draw(st.integers(-1, len(run) - 1))
    alone = [look(run, start + i, 1, k) for i in range(length)]
    assert look(run, start, length, k) == (None if None in alone else b"".join(alone))


def look(run: Any, start: int, length: int, k: int) -> bytes | None:
    """None where something is not mapped."""
    try:
        return run.memory(start, length, k)
    except KernelError:
        return None


_shared: list[tuple[Any, Any]] = []


def shared() -> tuple[Any, Any]:
    if not _shared:
        _shared.append(recorded("work"))
    return _shared[0]
