# SPDX-License-Identifier: GPL-2.0-only
"""Tasks, the virtual clock, and who runs when.

There is one processor and no preemption: a task runs until it waits. The calling process is the *main* task;
kernel threads are greenlets, so that a thread may wait in the middle of whatever it is doing. Time stands
still while code runs and moves to the next event when everybody waits, or with ``kernel.advance``.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import greenlet

from ..errors import KernelOops, WouldWait
from ..memory import Area
from .abi import CALLEE_SAVED, signed
from .space import new_area

if TYPE_CHECKING:
    from .cpu import Cpu

NSEC_PER_SEC = 1_000_000_000
THREAD_SIZE = 16384  # arch/x86/include/asm/page_64_types.h, without KASAN
STACKS = 0xFFFFC90000010000  # vmalloc'd stacks (CONFIG_VMAP_STACK): stand-in addresses
FIRST_PID = 100
MAX_TASKS = 200
WHEEL_LEVELS, WHEEL_SHIFT, LEVEL_SIZE = 9, 3, 64  # kernel/time/timer.c with HZ > 100
SOFTIRQ_OFFSET, HARDIRQ_OFFSET = 1 << 8, 1 << 16  # include/linux/preempt.h
PF_KTHREAD, PF_WQ_WORKER = 0x00200000, 0x00000020  # include/linux/sched.h: task_struct.flags
MAX_EVENTS = 20_000  # in one wait or advance: more is a timer that never rests
INITIAL_SECONDS = 300  # include/linux/jiffies.h:INITIAL_JIFFIES: jiffies wraps at 32 bits after five minutes


@dataclass(eq=False)
class Task:
    """One thread of control in the kernel: its stack, its ``task_struct``, and what it waits for."""

    comm: str
    pid: int
    stack: Area
    address: int = 0  # of its task_struct
    rsp: int = 0  # where its stack ends now; the stack's top when it is not in the kernel
    thread: greenlet.greenlet | None = None
    ready: Callable[[], bool] = lambda: True
    deadline: int | None = None
    dead: bool = False
    in_interrupt: int = 0  # interrupts on top of one another
    depth: int = 0  # calls from the kernel into modules that are under way
    interrupted_at: int = 0  # where the stack ended when the interrupt came
    # on the stack: return addresses of kernel functions
    return_places: list[int] = field(default_factory=list)


@dataclass(order=True)
class Event:
    """Something that happens at ``when`` (nanoseconds): a timer."""

    when: int
    number: int
    action: Callable[[], object] = field(compare=False)
    context: int = field(default=SOFTIRQ_OFFSET, compare=False)
    cancelled: bool = field(default=False, compare=False)


class Scheduler:
    """The tasks of one kernel and its clock."""

    def __init__(self, cpu: Cpu, hz: int) -> None:
        self._cpu, self.hz = cpu, hz
        self.now = 5 * NSEC_PER_SEC  # nanoseconds since boot
        self.tasks: list[Task] = []
        self._events: list[Event] = []
        self._number = count()
        self._pids = count(FIRST_PID)
        self.main = self.new_task(cpu.kernel.comm)
        self.current = self.main

    @property
    def jiffies(self) -> int:
        """``jiffies_64`` as modules read it."""
        return (-INITIAL_SECONDS * self.hz & 0xFFFFFFFF) + self.now * self.hz // NSEC_PER_SEC

    def jiffies_to_nsecs(self, jiffies: int) -> int:
        return jiffies * NSEC_PER_SEC // self.hz

    def wheel_time(self, expires: int) -> int:
        """When the timer wheel fires a timer set for the jiffy ``expires``: nanoseconds since boot.

        Never early, and the later the coarser (``kernel/time/timer.c:calc_wheel_index``).
        """
        now = self.jiffies
        ahead = signed(expires - now, 64)
        if ahead < 0:
            expires, ahead = now, 0
        level = next(
            (n for n in range(WHEEL_LEVELS - 1) if ahead < LEVEL_SIZE - 1 << WHEEL_SHIFT * n),
            WHEEL_LEVELS - 1,
        )
        shift = WHEEL_SHIFT * level
        tick = NSEC_PER_SEC // self.hz
        return (self.now // tick + (((expires >> shift) + 1) << shift) - now) * tick

    # --- tasks

    def new_task(self, comm: str, flags: int = 0) -> Task:
        """A task with a stack and a guard page below and above it; it does not run yet."""
        start = STACKS + len(self.tasks) * 2 * THREAD_SIZE
        stack = self._cpu.space.add(new_area(start, THREAD_SIZE, "stack", owner=comm))
        # pt_regs lie above (struct pt_regs: 168)
        task = Task(comm, next(self._pids), stack, rsp=stack.end - 256)
        task.address = self._cpu.new_task_struct(task, flags)
        self.tasks.append(task)
        return task

    def spawn(self, comm: str, entry: Callable[[], object], flags: int = PF_KTHREAD) -> Task | None:
        """A kernel thread that will run ``entry``; None when there are too many."""
        if len(self.tasks) >= MAX_TASKS:
            return None
        task = self.new_task(comm, flags)
        task.thread = greenlet.greenlet(lambda: self._life(task, entry))
        return task

    def _life(self, task: Task, entry: Callable[[], object]) -> None:
        try:
            entry()
        except KernelOops as oops:
            self._cpu.kernel.die(oops)
        finally:
            task.dead = True

    def _switch(self, task: Task) -> None:
        """Let a kernel thread run until it waits or ends; callee-saved registers are the callers' own."""
        assert task.thread is not None
        saved = self._cpu.machine.read(CALLEE_SAVED)
        before, self.current = self.current, task
        task.thread.parent = greenlet.getcurrent()
        self._cpu.set_current(task)
        try:
            task.thread.switch()
        finally:
            self.current = before
            self._cpu.set_current(before)
            self._cpu.machine.write(dict(zip(CALLEE_SAVED, saved, strict=True)))

    # --- waiting

    def wait(self, ready: Callable[[], bool], timeout: int | None = None, *, what: str = "an event") -> bool:
        """Block the current task until ``ready()``, at most ``timeout`` nanoseconds; whether it became ready.

        WouldWait: nothing that is left to happen can make it ready.
        """
        task = self.current
        deadline = None if timeout is None else self.now + timeout
        if task.thread is not None and greenlet.getcurrent() is task.thread:
            while not ready() and (deadline is None or self.now < deadline):
                self._sleep(task, ready, deadline)
            return ready()
        for _ in range(MAX_EVENTS):
            if ready():
                return True
            if deadline is not None and self.now >= deadline:
                return False
            if not self._step(deadline):
                raise WouldWait(f"{task.comm} waits for {what}, and nothing is left that could end the wait")
        raise WouldWait(
            f"{task.comm} waits for {what}; {MAX_EVENTS:,} timers and threads later it still does"
        )

    def _sleep(self, task: Task, ready: Callable[[], bool], deadline: int | None) -> None:
        task.ready, task.deadline = ready, deadline
        saved = self._cpu.machine.read(CALLEE_SAVED)
        assert task.thread is not None and task.thread.parent is not None
        task.thread.parent.switch()
        self._cpu.machine.write(dict(zip(CALLEE_SAVED, saved, strict=True)))

    def settle(self) -> None:
        """Let every thread that is ready run, without moving the clock."""
        for _ in range(MAX_EVENTS):
            if not self._run_one():
                return
        raise WouldWait("the kernel's threads never come to rest")

    def yield_to_others(self) -> None:
        """Everybody who is ready gets a turn."""
        task, turns = self.current, iter((False, True))
        if task.thread is not None and greenlet.getcurrent() is task.thread:
            self._sleep(task, lambda: next(turns, True), None)
        else:
            self.settle()

    def advance(self, nanoseconds: int) -> None:
        """Let time pass: timers fire and threads run at their moments."""
        self.wait(lambda: False, nanoseconds, what="time to pass")
        self.settle()

    def _run_one(self) -> bool:
        for task in self.tasks:
            due = task.deadline is not None and task.deadline <= self.now
            if (
                task.thread is not None
                and not task.dead
                and task is not self.current
                and (task.ready() or due)
            ):
                self.tasks.remove(task)  # the next one first, the next time
                self.tasks.append(task)
                self._switch(task)
                return True
        return False

    def _step(self, deadline: int | None) -> bool:
        """One thing happens: a thread runs, a timer fires, or the clock moves; False when nothing is left."""
        if self._run_one():
            return True
        while self._events and self._events[0].cancelled:
            heapq.heappop(self._events)
        moments = [t.deadline for t in self.tasks if t.deadline is not None and not t.dead and t.thread]
        moments += [self._events[0].when] if self._events else []
        moments += [deadline] if deadline is not None else []
        if not moments:
            return False
        self._set_clock(max(self.now, min(moments)))
        if self._events and self._events[0].when <= self.now:
            self._fire(heapq.heappop(self._events))
        return True

    # --- the clock

    def at(self, when: int, action: Callable[[], object], context: int = SOFTIRQ_OFFSET) -> Event:
        """Do ``action`` in interrupt context at ``when`` (nanoseconds since boot), or as soon as possible.

        ``context``: what preempt_count counts meanwhile, a softirq or a hard interrupt.
        """
        event = Event(when, next(self._number), action, context)
        heapq.heappush(self._events, event)
        return event

    def delay(self, nanoseconds: int) -> None:
        """Busy waiting (udelay): time passes, timers that are due fire when somebody waits."""
        self._set_clock(self.now + nanoseconds)

    def _set_clock(self, now: int) -> None:
        self.now = now
        self._cpu.clock_moved()

    def _fire(self, event: Event) -> None:
        self.current.in_interrupt += 1
        if self.current.in_interrupt == 1:
            self.current.interrupted_at = self.current.rsp
        count = self._cpu.preempt_count()
        self._cpu.set_preempt_count(count + event.context)
        try:
            event.action()
        finally:
            self.current.in_interrupt -= 1
            self._cpu.set_preempt_count(count)
