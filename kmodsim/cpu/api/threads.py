# SPDX-License-Identifier: GPL-2.0-only
"""Kernel threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import ENOMEM
from ..abi import VarArgs, cstr, ptr, s32, s64, signed, u32
from ..space import GuestFault
from ..table import kernel_function
from ..traps import warn
from .waiting import TASK_RUNNING, TASK_UNINTERRUPTIBLE, set_state, state_of

if TYPE_CHECKING:
    from ..cpu import Cpu
    from ..tasks import Task

SOURCE = "kernel/kthread.c"
EINTR = 4


@dataclass(eq=False)
class KThread:
    """struct kthread: what the threads and those who stop them tell each other."""

    task: Task
    started: bool = False
    should_stop: bool = False
    should_park: bool = False
    exited: bool = False
    result: int = 0


class ThreadExit(Exception):
    """kthread_complete_and_exit: leaves the thread's function from within."""

    def __init__(self, result: int) -> None:
        super().__init__(result)
        self.result = result


def _me(cpu: Cpu) -> KThread | None:
    return cpu.threads.get(cpu.tasks.current.address)


@kernel_function(SOURCE)
def kthread_create_on_node(cpu: Cpu, function: ptr, data: ptr, node: s32, fmt: cstr, args: VarArgs) -> ptr:
    """A thread that sleeps until it is woken up; an error pointer when there are too many."""
    name = cpu.format(fmt, args).decode("utf-8", "replace")
    return _create(cpu, name, function, data)


def _create(cpu: Cpu, name: str, function: int, data: int) -> int:
    def life() -> None:
        thread = cpu.threads[task.address]  # type: ignore[union-attr]
        if not thread.should_stop:
            thread.started = True
            try:
                thread.result = signed(cpu.call(function, data, frames=cpu.thread_frames), 32)
            except ThreadExit as leave:
                thread.result = leave.result
        else:
            thread.result = -EINTR  # stopped before it ever ran
        thread.exited = True

    task = cpu.tasks.spawn(name, life)
    if task is None:
        return -ENOMEM
    cpu.threads[task.address] = KThread(task)
    set_state(cpu, task.address, TASK_UNINTERRUPTIBLE)
    task.ready = lambda: state_of(cpu, task.address) == TASK_RUNNING
    return task.address


@kernel_function(SOURCE)
def kthread_create_on_cpu(cpu: Cpu, function: ptr, data: ptr, processor: u32, fmt: cstr) -> ptr:
    name = fmt.replace(b"%u", b"%d").replace(b"%d", str(processor).encode())
    return _create(cpu, name.decode("utf-8", "replace"), function, data)


@kernel_function(SOURCE, "kthread_bind_mask", "kthread_set_per_cpu")
def kthread_bind(cpu: Cpu, task: ptr, processor: u32) -> None:
    """There is one processor."""


@kernel_function(SOURCE)
def kthread_should_stop(cpu: Cpu) -> bool:
    thread = _me(cpu)
    return thread is not None and thread.should_stop


@kernel_function(SOURCE)
def kthread_freezable_should_stop(cpu: Cpu, was_frozen: ptr) -> bool:
    if was_frozen:
        cpu.space.store(was_frozen, 0, 1)
    thread = _me(cpu)
    return thread is not None and thread.should_stop


@kernel_function(SOURCE)
def kthread_stop(cpu: Cpu, task: ptr) -> s32:
    """Tell it, wake it, wait for its end: what its function returned."""
    thread = cpu.threads.get(task)
    if thread is None:
        return 0
    thread.should_stop = True
    thread.should_park = False
    set_state(cpu, task, TASK_RUNNING)
    cpu.block(lambda: thread.exited or thread.task.dead, what=f"the end of thread {thread.task.comm}")
    return thread.result


@kernel_function(SOURCE)
def kthread_should_park(cpu: Cpu) -> bool:
    thread = _me(cpu)
    return thread is not None and thread.should_park


@kernel_function(SOURCE)
def kthread_park(cpu: Cpu, task: ptr) -> s32:
    thread = cpu.threads.get(task)
    if thread is not None:
        thread.should_park = True
        set_state(cpu, task, TASK_RUNNING)
        cpu.tasks.yield_to_others()
    return 0


@kernel_function(SOURCE)
def kthread_unpark(cpu: Cpu, task: ptr) -> None:
    thread = cpu.threads.get(task)
    if thread is not None:
        thread.should_park = False


@kernel_function(SOURCE)
def kthread_parkme(cpu: Cpu) -> None:
    thread = _me(cpu)
    if thread is not None:
        cpu.block(lambda: not thread.should_park, what="to be unparked")


@kernel_function(SOURCE)
def kthread_complete_and_exit(cpu: Cpu, completion: ptr, code: s64) -> None:
    if completion:
        done = cpu.structs.get(completion, "completion.done")
        cpu.structs.set(completion, "completion.done", done + 1)
    if _me(cpu) is None:  # kthread_exit: a task without a struct kthread, whose result lies at 12
        warn(cpu, "kthread_exit", 0x25, SOURCE, 75)
        raise GuestFault(12, "write")
    raise ThreadExit(signed(code, 32))


@kernel_function("kernel/freezer.c", "__refrigerator")
def set_freezable(cpu: Cpu) -> bool:
    return False


@kernel_function("kernel/fork.c")
def __put_task_struct(cpu: Cpu, task: ptr) -> None:
    """Tasks are kept as long as the kernel runs."""


@kernel_function("kernel/sched/core.c", "sched_set_fifo_low", "sched_set_normal", "set_user_nice",
                 "set_cpus_allowed_ptr")  # fmt: skip
def sched_set_fifo(cpu: Cpu, task: ptr) -> s32:
    """Priorities change nothing here: threads run in turn."""
    return 0
