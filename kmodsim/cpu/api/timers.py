# SPDX-License-Identifier: GPL-2.0-only
"""Timers: the wheel, which counts in jiffies, and high-resolution timers, which count in nanoseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32, s64, signed, u32, u64
from ..table import kernel_function
from ..tasks import HARDIRQ_OFFSET, SOFTIRQ_OFFSET

if TYPE_CHECKING:
    from ..cpu import Cpu

TIMER, HRTIMER = "kernel/time/timer.c", "kernel/time/hrtimer.c"
LIST_POISON2 = 0xDEAD000000000122  # include/linux/poison.h
PENDING = 0xFFFF88803EC1C000  # where entry.pprev of a pending timer points: a bucket of the wheel, a stand-in
HRTIMER_STATE_ENQUEUED = 1
HRTIMER_RESTART = 1
HRTIMER_MODE_REL, HRTIMER_MODE_SOFT, HRTIMER_MODE_HARD = 1, 4, 8  # include/linux/hrtimer.h
SOFT_BASES = 4  # enum hrtimer_base_type: monotonic, realtime, boottime, TAI, and the same again for softirqs
# clock -> its place among the bases, the function that reads it
CLOCKS = {
    1: (0, "ktime_get"), 0: (1, "ktime_get_real"), 7: (2, "ktime_get_boottime"),
    11: (3, "ktime_get_clocktai"),
}  # fmt: skip
KTIME_MAX = (1 << 63) - 1


# --- the wheel


@kernel_function(TIMER)
def init_timer_key(cpu: Cpu, timer: ptr, function: ptr, flags: u32, name: ptr, key: ptr) -> None:
    for field, value in {"entry.pprev": 0, "function": function, "flags": flags}.items():
        cpu.structs.set(timer, f"timer_list.{field}", value)


def start_timer(cpu: Cpu, timer: int, expires: int) -> bool:
    """Arm it for the jiffy ``expires``; whether it was pending already."""
    pending = stop_timer(cpu, timer)
    cpu.structs.set(timer, "timer_list.expires", expires)
    cpu.structs.set(timer, "timer_list.entry.pprev", PENDING)
    cpu.timers[timer] = cpu.tasks.at(cpu.tasks.wheel_time(expires), lambda: _expire(cpu, timer))
    return pending


def stop_timer(cpu: Cpu, timer: int) -> bool:
    """Take it off the wheel; whether it was on it."""
    event = cpu.timers.pop(timer, None)
    if event is None:
        return False
    event.cancelled = True
    cpu.structs.set(timer, "timer_list.entry.pprev", 0)
    return True


def _expire(cpu: Cpu, timer: int) -> None:
    """detach_timer, then the function, which gets the timer (``call_timer_fn``)."""
    cpu.timers.pop(timer, None)
    cpu.structs.set(timer, "timer_list.entry.pprev", 0)
    cpu.structs.set(timer, "timer_list.entry.next", LIST_POISON2)
    cpu.call_any(cpu.structs.get(timer, "timer_list.function"), timer)


@kernel_function(TIMER)
def mod_timer(cpu: Cpu, timer: ptr, expires: u64) -> s32:
    """1 when it was pending."""
    return int(start_timer(cpu, timer, expires))


@kernel_function(TIMER)
def mod_timer_pending(cpu: Cpu, timer: ptr, expires: u64) -> s32:
    """Only a pending timer is moved."""
    return int(timer in cpu.timers and start_timer(cpu, timer, expires))


@kernel_function(TIMER)
def timer_reduce(cpu: Cpu, timer: ptr, expires: u64) -> s32:
    """As mod_timer, but never later than it was."""
    if timer in cpu.timers and cpu.structs.get(timer, "timer_list.expires") <= expires:
        return 1
    return int(start_timer(cpu, timer, expires))


@kernel_function(TIMER)
def add_timer(cpu: Cpu, timer: ptr) -> None:
    start_timer(cpu, timer, cpu.structs.get(timer, "timer_list.expires"))


@kernel_function(TIMER)
def add_timer_on(cpu: Cpu, timer: ptr, processor: s32) -> None:
    start_timer(cpu, timer, cpu.structs.get(timer, "timer_list.expires"))


@kernel_function(TIMER, "del_timer_sync", "timer_delete", "timer_delete_sync", "try_to_del_timer_sync")
def del_timer(cpu: Cpu, timer: ptr) -> s32:
    """1 when it was pending. No timer function can be running meanwhile: there is one processor."""
    return int(stop_timer(cpu, timer))


# --- high-resolution timers


@kernel_function(HRTIMER)
def hrtimer_init(cpu: Cpu, timer: ptr, clock: s32, mode: u32) -> None:
    """The timer knows its clock: modules read it by ``timer->base->get_time()``."""
    cpu.space.write(timer, bytes(cpu.structs.size("hrtimer")))
    soft = bool(mode & HRTIMER_MODE_SOFT)
    number, reader = CLOCKS.get(clock, CLOCKS[1])
    base = cpu.percpu_address("hrtimer_bases") + cpu.structs.offset("hrtimer_cpu_base.clock_base")
    base += (number + SOFT_BASES * soft) * cpu.structs.size("hrtimer_clock_base")
    cpu.structs.set(base, "hrtimer_clock_base.get_time", cpu.local_symbol(reader))
    node = cpu.structs.at(timer, "hrtimer.node")
    fields = {"base": base, "is_soft": soft, "is_hard": bool(mode & HRTIMER_MODE_HARD)}
    for field, value in fields.items():
        cpu.structs.set(timer, f"hrtimer.{field}", int(value))
    cpu.space.store(node, node, 8)  # RB_CLEAR_NODE


def _start(cpu: Cpu, timer: int, when: int) -> None:
    _cancel(cpu, timer)
    for field in ("node.expires", "_softexpires"):
        cpu.structs.set(timer, f"hrtimer.{field}", when)
    cpu.structs.set(timer, "hrtimer.state", HRTIMER_STATE_ENQUEUED)
    context = SOFTIRQ_OFFSET if cpu.structs.get(timer, "hrtimer.is_soft") else HARDIRQ_OFFSET
    cpu.timers[timer] = cpu.tasks.at(when, lambda: _run(cpu, timer), context)


def _cancel(cpu: Cpu, timer: int) -> bool:
    event = cpu.timers.pop(timer, None)
    if event is None:
        return False
    event.cancelled = True
    cpu.structs.set(timer, "hrtimer.state", 0)
    return True


def _run(cpu: Cpu, timer: int) -> None:
    """__run_hrtimer: it is started again when its function says so, at the time that then stands in it."""
    cpu.timers.pop(timer, None)
    cpu.structs.set(timer, "hrtimer.state", 0)
    answer = cpu.call_any(cpu.structs.get(timer, "hrtimer.function"), timer) & 0xFFFFFFFF
    if answer == HRTIMER_RESTART and timer not in cpu.timers:
        _start(cpu, timer, cpu.structs.get(timer, "hrtimer.node.expires", signed=True))


@kernel_function(HRTIMER)
def hrtimer_start_range_ns(cpu: Cpu, timer: ptr, time: s64, slack: u64, mode: u32) -> None:
    _start(cpu, timer, time + (cpu.tasks.now if mode & HRTIMER_MODE_REL else 0))


@kernel_function(HRTIMER)
def hrtimer_cancel(cpu: Cpu, timer: ptr) -> s32:
    """1 when it was active."""
    return int(_cancel(cpu, timer))


@kernel_function(HRTIMER)
def hrtimer_try_to_cancel(cpu: Cpu, timer: ptr) -> s32:
    return int(_cancel(cpu, timer))


@kernel_function(HRTIMER)
def hrtimer_active(cpu: Cpu, timer: ptr) -> bool:
    return timer in cpu.timers


@kernel_function(HRTIMER)
def hrtimer_forward(cpu: Cpu, timer: ptr, now: s64, interval: s64) -> u64:
    """Move the expiry past ``now`` in whole intervals: how many."""
    expires = cpu.structs.get(timer, "hrtimer.node.expires", signed=True)
    if now < expires or interval <= 0:
        return 0
    overruns = (now - expires) // interval + 1
    for field in ("node.expires", "_softexpires"):
        cpu.structs.set(timer, f"hrtimer.{field}", min(expires + overruns * interval, KTIME_MAX))
    return overruns


@kernel_function(HRTIMER)
def __hrtimer_get_remaining(cpu: Cpu, timer: ptr, adjust: u32) -> s64:
    return signed(cpu.structs.get(timer, "hrtimer.node.expires") - cpu.tasks.now, 64)
