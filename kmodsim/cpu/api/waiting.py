# SPDX-License-Identifier: GPL-2.0-only
"""Completions, wait queues, schedule() and sleeping.

``wait_event`` and its kin are macros: the module's own code puts itself on the queue, sets
``current->__state`` and calls ``schedule``. Whoever wakes sets the state back; that is what a sleeping task
waits for here, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32, s64, signed, u32, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

CORE, WAIT, COMPLETION = "kernel/sched/core.c", "kernel/sched/wait.c", "kernel/sched/completion.c"
TIMER = "kernel/time/timer.c"
TASK_RUNNING, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE = 0, 1, 2
TASK_NORMAL = 3
MAX_SCHEDULE_TIMEOUT = (1 << 63) - 1
UINT_MAX = 0xFFFFFFFF
WQ_FLAG_EXCLUSIVE = 1
DONE_FOR_ALL = UINT_MAX  # kernel/sched/completion.c:complete_all


# --- schedule


def state_of(cpu: Cpu, task: int) -> int:
    return cpu.structs.get(task, "task_struct.__state")


def set_state(cpu: Cpu, task: int, state: int) -> None:
    cpu.structs.set(task, "task_struct.__state", state)


def sleep_until_woken(cpu: Cpu, timeout: int | None) -> bool:
    """schedule() in the state the task has set: until the state is TASK_RUNNING again; whether it was
    woken."""
    me = cpu.tasks.current.address
    if state_of(cpu, me) == TASK_RUNNING:
        cpu.tasks.yield_to_others()
        return True
    woken = cpu.block(lambda: state_of(cpu, me) == TASK_RUNNING, timeout, what="to be woken up")
    set_state(cpu, me, TASK_RUNNING)
    return woken


@kernel_function(CORE, "io_schedule")
def schedule(cpu: Cpu) -> None:
    sleep_until_woken(cpu, None)


@kernel_function(CORE, "_cond_resched", "__SCT__cond_resched", "__SCT__might_resched", "dynamic_cond_resched")
def __cond_resched(cpu: Cpu) -> s32:
    """Nobody is more entitled to run than the one who runs."""
    return 0


@kernel_function(CORE, name="yield")
def yield_(cpu: Cpu) -> None:
    cpu.tasks.yield_to_others()


def _schedule_timeout(cpu: Cpu, timeout: int) -> int:
    """``timeout`` in jiffies; the jiffies that were left."""
    if timeout == MAX_SCHEDULE_TIMEOUT:
        sleep_until_woken(cpu, None)
        return timeout
    end = cpu.tasks.jiffies + max(timeout, 0)
    sleep_until_woken(cpu, max(0, cpu.tasks.wheel_time(end) - cpu.tasks.now))
    return max(0, end - cpu.tasks.jiffies)


@kernel_function(TIMER, "io_schedule_timeout")
def schedule_timeout(cpu: Cpu, timeout: s64) -> s64:
    return _schedule_timeout(cpu, timeout)


@kernel_function(TIMER)
def schedule_timeout_interruptible(cpu: Cpu, timeout: s64) -> s64:
    set_state(cpu, cpu.tasks.current.address, TASK_INTERRUPTIBLE)
    return _schedule_timeout(cpu, timeout)


@kernel_function(TIMER, "schedule_timeout_killable", "schedule_timeout_idle")
def schedule_timeout_uninterruptible(cpu: Cpu, timeout: s64) -> s64:
    set_state(cpu, cpu.tasks.current.address, TASK_UNINTERRUPTIBLE)
    return _schedule_timeout(cpu, timeout)


@kernel_function(CORE, "wake_up_state")
def wake_up_process(cpu: Cpu, task: ptr) -> s32:
    """1 when it was asleep."""
    asleep = state_of(cpu, task) != TASK_RUNNING
    set_state(cpu, task, TASK_RUNNING)
    return int(asleep)


# --- sleeping and busy waiting


@kernel_function(TIMER)
def msleep(cpu: Cpu, msecs: u32) -> None:
    _sleep_msecs(cpu, msecs, TASK_UNINTERRUPTIBLE)


@kernel_function(TIMER)
def msleep_interruptible(cpu: Cpu, msecs: u32) -> u64:
    """The milliseconds that were left when somebody woke it."""
    return _sleep_msecs(cpu, msecs, TASK_INTERRUPTIBLE)


def _sleep_msecs(cpu: Cpu, msecs: int, state: int) -> int:
    """``msecs_to_jiffies(msecs) + 1`` jiffies (``kernel/time/timer.c:msleep``)."""
    hz = cpu.tasks.hz
    set_state(cpu, cpu.tasks.current.address, state)
    left = _schedule_timeout(cpu, -(-msecs * hz // 1000) + 1)
    return left * 1000 // hz


@kernel_function(TIMER)
def usleep_range_state(cpu: Cpu, least: u64, most: u64, state: u32) -> None:
    cpu.sleep(most * 1000)


@kernel_function("arch/x86/lib/delay.c")
def __const_udelay(cpu: Cpu, xloops: u64) -> None:
    """``xloops`` is microseconds times 2^32 / 10^6 (``include/asm-generic/delay.h``)."""
    cpu.tasks.delay(xloops * 1_000_000_000 >> 32)


@kernel_function("arch/x86/lib/delay.c")
def __udelay(cpu: Cpu, usecs: u64) -> None:
    cpu.tasks.delay(usecs * 1000)


@kernel_function("arch/x86/lib/delay.c")
def __ndelay(cpu: Cpu, nsecs: u64) -> None:
    cpu.tasks.delay(nsecs)


# --- wait queues


@kernel_function(WAIT)
def __init_waitqueue_head(cpu: Cpu, queue: ptr, name: ptr, key: ptr) -> None:
    cpu.structs.set(queue, "wait_queue_head.lock", 0)
    cpu.structs.list_init(cpu.structs.at(queue, "wait_queue_head.head"))


@kernel_function(WAIT)
def init_wait_entry(cpu: Cpu, entry: ptr, flags: s32) -> None:
    fields = {
        "flags": flags, "private": cpu.tasks.current.address, "func": cpu.symbol("autoremove_wake_function"),
    }  # fmt: skip
    for name, value in fields.items():
        cpu.structs.set(entry, f"wait_queue_entry.{name}", value)
    cpu.structs.list_init(cpu.structs.at(entry, "wait_queue_entry.entry"))


def _enqueue(cpu: Cpu, queue: int, entry: int) -> None:
    """At the head; exclusive waiters at the tail, where they are woken one at a time."""
    links = cpu.structs.at(entry, "wait_queue_entry.entry")
    exclusive = cpu.structs.get(entry, "wait_queue_entry.flags") & WQ_FLAG_EXCLUSIVE
    cpu.structs.list_add(links, cpu.structs.at(queue, "wait_queue_head.head"), tail=bool(exclusive))


def _is_queued(cpu: Cpu, entry: int) -> bool:
    links = cpu.structs.at(entry, "wait_queue_entry.entry")
    return cpu.space.number(links, 8) not in (links, 0)


@kernel_function(WAIT)
def prepare_to_wait_event(cpu: Cpu, queue: ptr, entry: ptr, state: s32) -> s64:
    if not _is_queued(cpu, entry):
        _enqueue(cpu, queue, entry)
    set_state(cpu, cpu.tasks.current.address, state)
    return 0


@kernel_function(WAIT)
def prepare_to_wait(cpu: Cpu, queue: ptr, entry: ptr, state: s32) -> None:
    flags = cpu.structs.get(entry, "wait_queue_entry.flags")
    cpu.structs.set(entry, "wait_queue_entry.flags", flags & ~WQ_FLAG_EXCLUSIVE)
    prepare_to_wait_event(cpu, queue, entry, state)


@kernel_function(WAIT)
def prepare_to_wait_exclusive(cpu: Cpu, queue: ptr, entry: ptr, state: s32) -> bool:
    flags = cpu.structs.get(entry, "wait_queue_entry.flags")
    cpu.structs.set(entry, "wait_queue_entry.flags", flags | WQ_FLAG_EXCLUSIVE)
    first = not cpu.structs.list_entries(cpu.structs.at(queue, "wait_queue_head.head"))
    prepare_to_wait_event(cpu, queue, entry, state)
    return first


@kernel_function(WAIT)
def finish_wait(cpu: Cpu, queue: ptr, entry: ptr) -> None:
    set_state(cpu, cpu.tasks.current.address, TASK_RUNNING)
    if _is_queued(cpu, entry):
        cpu.structs.list_del_init(cpu.structs.at(entry, "wait_queue_entry.entry"))


@kernel_function(WAIT, "add_wait_queue_priority")
def add_wait_queue(cpu: Cpu, queue: ptr, entry: ptr) -> None:
    _enqueue(cpu, queue, entry)


@kernel_function(WAIT)
def add_wait_queue_exclusive(cpu: Cpu, queue: ptr, entry: ptr) -> None:
    flags = cpu.structs.get(entry, "wait_queue_entry.flags")
    cpu.structs.set(entry, "wait_queue_entry.flags", flags | WQ_FLAG_EXCLUSIVE)
    _enqueue(cpu, queue, entry)


@kernel_function(WAIT)
def remove_wait_queue(cpu: Cpu, queue: ptr, entry: ptr) -> None:
    cpu.structs.list_del_init(cpu.structs.at(entry, "wait_queue_entry.entry"))


@kernel_function(CORE)
def default_wake_function(cpu: Cpu, entry: ptr, mode: u32, flags: s32, key: ptr) -> s32:
    """try_to_wake_up: 1 when the entry's task slept in one of the states ``mode``."""
    task = cpu.structs.get(entry, "wait_queue_entry.private")
    if not state_of(cpu, task) & mode:
        return 0
    set_state(cpu, task, TASK_RUNNING)
    return 1


@kernel_function(WAIT)
def autoremove_wake_function(cpu: Cpu, entry: ptr, mode: u32, flags: s32, key: ptr) -> s32:
    woken = default_wake_function(cpu, entry, mode, flags, key)
    if woken:
        cpu.structs.list_del_init(cpu.structs.at(entry, "wait_queue_entry.entry"))
    return int(woken or 0)


def wake(cpu: Cpu, queue: int, mode: int, exclusive: int, key: int) -> int:
    """__wake_up_common: each entry's function; ends after ``exclusive`` exclusive ones (0: all)."""
    woken = 0
    for links in cpu.structs.list_entries(cpu.structs.at(queue, "wait_queue_head.head")):
        entry = cpu.structs.container(links, "wait_queue_entry.entry")
        flags = cpu.structs.get(entry, "wait_queue_entry.flags")
        answer = signed(
            cpu.call_any(cpu.structs.get(entry, "wait_queue_entry.func"), entry, mode, 0, key), 32
        )
        if answer < 0:
            break
        woken += bool(answer)
        if answer and flags & WQ_FLAG_EXCLUSIVE:
            exclusive -= 1
            if exclusive == 0:
                break
    return woken


@kernel_function(WAIT, "__wake_up_sync_key")
def __wake_up(cpu: Cpu, queue: ptr, mode: u32, exclusive: s32, key: ptr) -> s32:
    return wake(cpu, queue, mode, exclusive, key)


@kernel_function(WAIT)
def __wake_up_locked(cpu: Cpu, queue: ptr, mode: u32, exclusive: s32) -> None:
    wake(cpu, queue, mode, exclusive, 0)


@kernel_function(WAIT)
def __wake_up_sync(cpu: Cpu, queue: ptr, mode: u32) -> None:
    wake(cpu, queue, mode, 1, 0)


# --- completions


def _done(cpu: Cpu, completion: int) -> int:
    return cpu.structs.get(completion, "completion.done")


def _wait_for(cpu: Cpu, completion: int, timeout: int | None = None) -> bool:
    """Until it is done, at most ``timeout`` nanoseconds; takes one from the count unless it is for all."""
    if not cpu.block(lambda: _done(cpu, completion) > 0, timeout, what=f"the completion at {completion:#x}"):
        return False
    done = _done(cpu, completion)
    if done != DONE_FOR_ALL:
        cpu.structs.set(completion, "completion.done", done - 1)
    return True


@kernel_function(COMPLETION, "wait_for_completion_io")
def wait_for_completion(cpu: Cpu, completion: ptr) -> None:
    _wait_for(cpu, completion)


@kernel_function(COMPLETION, "wait_for_completion_killable", "wait_for_completion_state")
def wait_for_completion_interruptible(cpu: Cpu, completion: ptr) -> s32:
    _wait_for(cpu, completion)
    return 0


@kernel_function(COMPLETION, "wait_for_completion_interruptible_timeout",
                 "wait_for_completion_killable_timeout", "wait_for_completion_io_timeout")  # fmt: skip
def wait_for_completion_timeout(cpu: Cpu, completion: ptr, timeout: u64) -> u64:
    """Jiffies that were left, at least 1; 0 when the time ran out."""
    end = cpu.tasks.jiffies + timeout
    if not _wait_for(cpu, completion, max(0, cpu.tasks.wheel_time(end) - cpu.tasks.now)):
        return 0
    return max(1, end - cpu.tasks.jiffies)


@kernel_function(COMPLETION)
def try_wait_for_completion(cpu: Cpu, completion: ptr) -> bool:
    return _done(cpu, completion) > 0 and _wait_for(cpu, completion)


@kernel_function(COMPLETION)
def completion_done(cpu: Cpu, completion: ptr) -> bool:
    return _done(cpu, completion) > 0


@kernel_function(COMPLETION)
def complete(cpu: Cpu, completion: ptr) -> None:
    done = _done(cpu, completion)
    if done != DONE_FOR_ALL:
        cpu.structs.set(completion, "completion.done", done + 1)


@kernel_function(COMPLETION)
def complete_all(cpu: Cpu, completion: ptr) -> None:
    cpu.structs.set(completion, "completion.done", DONE_FOR_ALL)
