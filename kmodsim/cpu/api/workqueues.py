# SPDX-License-Identifier: GPL-2.0-only
"""Work queues: work items wait in the order in which they were queued, kernel threads do them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..abi import VarArgs, cstr, ptr, s32, u32, u64
from ..table import kernel_function
from ..tasks import PF_KTHREAD, PF_WQ_WORKER
from .timers import start_timer, stop_timer

if TYPE_CHECKING:
    from ..cpu import Cpu
    from ..tasks import Task

SOURCE = "kernel/workqueue.c"
PENDING = 1  # include/linux/workqueue.h:WORK_STRUCT_PENDING
NO_POOL = 0xFFFFFFFE0  # WORK_STRUCT_NO_POOL: not on any pool
WQ_UNBOUND, WQ_ORDERED = 1 << 1, 1 << 17
DEFAULT_ACTIVE = 256  # WQ_DFL_ACTIVE
MAX_WORKERS = 40
SYSTEM = ("system_wq", "system_highpri_wq", "system_long_wq", "system_unbound_wq", "system_freezable_wq",
          "system_power_efficient_wq", "system_freezable_power_efficient_wq")  # fmt: skip


@dataclass(eq=False)
class Queue:
    """One workqueue_struct: its name, whether its workers may run anywhere, how many items run at once."""

    name: str
    unbound: bool = False
    max_active: int = DEFAULT_ACTIVE


@dataclass(eq=False)
class Pool:
    """Workers and the items that wait for one; an item starts when its queue lets it."""

    name: str
    pending: deque[tuple[Queue, int]] = field(default_factory=deque)
    running: list[tuple[Queue, int, Task]] = field(default_factory=list)
    workers: list[Task] = field(default_factory=list)
    idle: int = 0


class WorkQueues:
    """The work queues of one kernel: the system's own, whose pointers modules read, and those modules
    make."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self.pools = {False: Pool("kworker/0:"), True: Pool("kworker/u2:")}
        self.queues: dict[int, Queue] = {}
        for name in SYSTEM:
            pointer = cpu.symbol(name)
            if pointer:
                cpu.space.store(pointer, self.make(Queue(name, "unbound" in name)), 8)

    def make(self, queue: Queue) -> int:
        """The address of a new workqueue_struct, 0 without memory."""
        address = self._cpu.heap.kmalloc(self._cpu.structs.size("workqueue_struct"), zero=True)
        if address:
            self.queues[address] = queue
        return address

    def queue(self, address: int, work: int) -> bool:
        """queue_work: False when it waits to be done already."""
        data = self._cpu.structs.get(work, "work_struct.data")
        if data & PENDING:
            return False
        self._cpu.structs.set(work, "work_struct.data", data | PENDING)
        queue = self.queues.get(address) or self.queues[next(iter(self.queues))]
        pool = self.pools[queue.unbound]
        pool.pending.append((queue, work))
        if not pool.idle and len(pool.workers) < MAX_WORKERS:
            self._hire(pool)
        return True

    def _hire(self, pool: Pool) -> None:
        name, flags = f"{pool.name}{len(pool.workers)}", PF_KTHREAD | PF_WQ_WORKER
        worker = self._cpu.tasks.spawn(name, lambda: self._work(pool), flags)
        if worker is not None:
            pool.workers.append(worker)
            pool.idle += 1

    def _next(self, pool: Pool) -> tuple[Queue, int] | None:
        active = Counter(id(queue) for queue, _, _ in pool.running)
        return next((item for item in pool.pending if active[id(item[0])] < item[0].max_active), None)

    def _work(self, pool: Pool) -> None:
        """worker_thread: for ever."""
        cpu = self._cpu
        while True:
            cpu.tasks.wait(lambda: self._next(pool) is not None, what="work")
            item = self._next(pool)
            if item is None:
                continue
            pool.pending.remove(item)
            pool.idle -= 1
            if pool.pending and not pool.idle and len(pool.workers) < MAX_WORKERS:
                self._hire(pool)  # somebody goes on when this one sleeps in its work
            self._do(pool, *item)
            pool.idle += 1

    def _do(self, pool: Pool, queue: Queue, work: int) -> None:
        cpu, structs = self._cpu, self._cpu.structs
        structs.set(work, "work_struct.data", NO_POOL)
        entry = (queue, work, cpu.tasks.current)
        pool.running.append(entry)
        try:
            cpu.call_any(structs.get(work, "work_struct.func"), work)
        finally:
            pool.running.remove(entry)

    def cancel(self, work: int) -> bool:
        """Take a waiting item back."""
        for pool in self.pools.values():
            for item in pool.pending:
                if item[1] == work:
                    pool.pending.remove(item)
                    self._cpu.structs.set(work, "work_struct.data", NO_POOL)
                    return True
        return False

    def busy(self, work: int | None = None, queue: Queue | None = None) -> bool:
        """Whether this item, or anything of this queue, waits or runs."""
        return any(
            (work is None or each == work) and (queue is None or of is queue)
            for pool in self.pools.values()
            for of, each, *_ in [*pool.pending, *pool.running]
        )

    def running(self, work: int) -> bool:
        """Whether somebody else is doing this item just now."""
        me = self._cpu.tasks.current
        return any(
            each == work and task is not me for p in self.pools.values() for _, each, task in p.running
        )


# --- queues


@kernel_function(SOURCE)
def alloc_workqueue(cpu: Cpu, fmt: cstr, flags: u32, max_active: s32, args: VarArgs) -> ptr:
    name = cpu.format(fmt, args).decode("utf-8", "replace")
    active = 1 if flags & WQ_ORDERED else max_active or DEFAULT_ACTIVE
    return cpu.workqueues.make(Queue(name, bool(flags & WQ_UNBOUND), active))


@kernel_function(SOURCE)
def destroy_workqueue(cpu: Cpu, queue: ptr) -> None:
    flush(cpu, queue)
    cpu.workqueues.queues.pop(queue, None)
    cpu.heap.kfree(queue)


def flush(cpu: Cpu, address: int) -> None:
    queue = cpu.workqueues.queues.get(address)
    if queue is not None:
        cpu.block(lambda: not cpu.workqueues.busy(queue=queue), what=f"the work of {queue.name}")


@kernel_function(SOURCE, "drain_workqueue", "flush_workqueue")
def __flush_workqueue(cpu: Cpu, queue: ptr) -> None:
    flush(cpu, queue)


# --- items


@kernel_function(SOURCE)
def queue_work_on(cpu: Cpu, processor: s32, queue: ptr, work: ptr) -> bool:
    return cpu.workqueues.queue(queue, work)


@kernel_function(SOURCE)
def queue_work_node(cpu: Cpu, node: s32, queue: ptr, work: ptr) -> bool:
    return cpu.workqueues.queue(queue, work)


@kernel_function(SOURCE)
def flush_work(cpu: Cpu, work: ptr) -> bool:
    """True when there was something to wait for."""
    busy = cpu.workqueues.busy(work)
    cpu.block(lambda: not cpu.workqueues.busy(work), what="a work item")
    return busy


@kernel_function(SOURCE)
def cancel_work(cpu: Cpu, work: ptr) -> bool:
    return cpu.workqueues.cancel(work)


@kernel_function(SOURCE)
def cancel_work_sync(cpu: Cpu, work: ptr) -> bool:
    """Taken back when it waited; waited for when it runs."""
    cancelled = cpu.workqueues.cancel(work)
    cpu.block(lambda: not cpu.workqueues.running(work), what="a work item")
    return cancelled


@kernel_function(SOURCE)
def work_busy(cpu: Cpu, work: ptr) -> u32:
    """Bit 0: it waits; bit 1: it runs."""
    pending = cpu.structs.get(work, "work_struct.data") & PENDING
    return pending | int(cpu.workqueues.running(work)) << 1


# --- delayed items: a timer that queues


def _delayed(cpu: Cpu, queue: int, work: int, delay: int) -> bool:
    data = cpu.structs.get(work, "work_struct.data")
    if data & PENDING:
        return False
    if not delay:
        return cpu.workqueues.queue(queue, work)
    cpu.structs.set(work, "work_struct.data", data | PENDING)
    cpu.structs.set(work, "delayed_work.wq", queue)
    timer = cpu.structs.at(work, "delayed_work.timer")
    cpu.structs.set(timer, "timer_list.function", cpu.symbol("delayed_work_timer_fn"))
    start_timer(cpu, timer, cpu.tasks.jiffies + delay)
    return True


@kernel_function(SOURCE)
def delayed_work_timer_fn(cpu: Cpu, timer: ptr) -> None:
    work = cpu.structs.container(timer, "delayed_work.timer")
    cpu.structs.set(work, "work_struct.data", NO_POOL)
    cpu.workqueues.queue(cpu.structs.get(work, "delayed_work.wq"), work)


@kernel_function(SOURCE)
def queue_delayed_work_on(cpu: Cpu, processor: s32, queue: ptr, work: ptr, delay: u64) -> bool:
    return _delayed(cpu, queue, work, delay)


def _cancel_delayed(cpu: Cpu, work: int) -> bool:
    if stop_timer(cpu, cpu.structs.at(work, "delayed_work.timer")):
        cpu.structs.set(work, "work_struct.data", NO_POOL)
        return True
    return cpu.workqueues.cancel(work)


@kernel_function(SOURCE)
def mod_delayed_work_on(cpu: Cpu, processor: s32, queue: ptr, work: ptr, delay: u64) -> bool:
    """True when it was pending and is moved."""
    pending = _cancel_delayed(cpu, work)
    _delayed(cpu, queue, work, delay)
    return pending


@kernel_function(SOURCE)
def cancel_delayed_work(cpu: Cpu, work: ptr) -> bool:
    return _cancel_delayed(cpu, work)


@kernel_function(SOURCE)
def cancel_delayed_work_sync(cpu: Cpu, work: ptr) -> bool:
    cancelled = _cancel_delayed(cpu, work)
    cpu.block(lambda: not cpu.workqueues.running(work), what="a work item")
    return cancelled


@kernel_function(SOURCE)
def flush_delayed_work(cpu: Cpu, work: ptr) -> bool:
    """Its delay is over now."""
    if stop_timer(cpu, cpu.structs.at(work, "delayed_work.timer")):
        delayed_work_timer_fn(cpu, cpu.structs.at(work, "delayed_work.timer"))
    return bool(flush_work(cpu, work))
