# SPDX-License-Identifier: GPL-2.0-only
"""The processor a kernel runs modules' code on: calls into the module, and the kernel functions it calls.

Machine code runs in ``machine.py`` until it calls a kernel function. Then the machine stands still, Python
does the work, and the machine goes on at the return address. A kernel function that calls back (a timer, a
file's ``read``) simply runs the machine again, deeper on the same stack.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import repeat
from random import Random
from typing import TYPE_CHECKING, NoReturn

from ..errors import KernelError, NotModelled, WouldWait
from ..memory import PAGE_SIZE, READ, WRITE, Area
from . import api  # noqa: F401  # fills the table
from .abi import ARGUMENT_REGISTERS, CALLEE_SAVED, U64, VarArgs, call_arguments, signed
from .api.chrdev import CharDevices
from .api.kobjects import Kobjects
from .api.registrations import Registered
from .api.slab import Cache
from .api.threads import KThread
from .api.workqueues import WorkQueues
from .calls import CallList, CallNotes, KernelCall
from .format import vsnprintf
from .heap import SlabHeap
from .imbalance import check_initcall, schedule_debug
from .journal import noted
from .kerneldata import kernel_data, store_words
from .kerneltext import names_by_address
from .leaks import Leaks
from .machine import Machine, Stop
from .names import Names
from .pages import Pages
from .policy import POLICIES
from .recorder import STEPS, Recorder, recording
from .space import AddressSpace, GuestFault, new_area
from .structs import Structs
from .symbolize import module_at, sprint_symbol
from .table import FUNCTIONS, STAND_IN, KernelFunction
from .tasks import NSEC_PER_SEC, Event, Scheduler, Task
from .traps import CALLBACK_FRAMES, INIT_FRAMES, bug, kernel_function_faulted, trapped
from .travel import Run
from .vfs import Vfs

if TYPE_CHECKING:
    from ..kernel import Kernel, Notifier
    from ..module import Module

INSTRUCTIONS = 2_000_000  # between two kernel calls
KERNEL_CALLS = 5_000  # in one call from outside
WALL_SECONDS = 20.0
SLICE = 500_000
DEPTH = 40  # of calls back into the module
PERCPU_BASE = 0xFFFF88803EC00000  # of CPU 0: a stand-in
PERCPU_UNIT = 1 << 20
PREEMPT_ENABLED = 0x80000000  # arch/x86/include/asm/preempt.h: the bit that says "no need to reschedule"
INTERRUPTS_ON = 0x202  # EFLAGS: IF, and the bit that is always set
CANARY = 0x5AFE57ACC0DE1200  # random in a real boot
CANARY_OFFSET = 0x28  # arch/x86/include/asm/processor.h:struct fixed_percpu_data
TASK_COMM_LEN = 16


class Cpu:
    """What ``Kernel(cpu=…)`` takes: the processor, the heap, the tasks and the clock of one kernel.

    policy: what a kernel function does that is not implemented (``policy.py``).
    """

    def __init__(self, kernel: Kernel, policy: str = "default") -> None:
        if policy not in POLICIES:
            raise ValueError(f"no policy {policy!r}; there are: {', '.join(POLICIES)}")
        self.kernel, self.policy = kernel, policy
        self.profile = kernel.profile
        self.space = AddressSpace(kernel.memory)
        self.data = self.space.add(kernel_data(self.profile))
        kernel.linked_list.lend(self.data.data, self.data.start)
        kernel._bugs.lend(self.data.data, self.data.start)
        self.percpu = self._map_percpu()
        self.heap = SlabHeap(self.space, kernel.heap)
        kernel.heap = self.heap  # type: ignore[assignment]
        self.machine = Machine(self.space, self.profile)
        self.machine.write({"gs_base": PERCPU_BASE, "eflags": INTERRUPTS_ON})
        self.vfs = kernel.vfs = Vfs(self)
        self.calls = CallList()
        self.recorder: Recorder | None = None
        self.names = Names(kernel)
        self.notes = CallNotes(self, self.names)
        self.stubbed: dict[str, int] = {}  # functions that were not implemented -> how often they were called
        self.structs = Structs(self.space, self.profile)
        self.pages = Pages(self.space, self.profile, self.caller)
        self.caches: dict[int, Cache] = {}  # struct kmem_cache -> what it is for
        self.managed: dict[int, list[int]] = {}  # struct device -> memory that goes with it
        self.module_notifiers: dict[int, Notifier] = {}
        self.running: Module | None = None  # whose init or exit is being run
        self.registered: list[Registered] = []  # with subsystems that are not modelled
        self.random = Random(0)  # so that two runs are alike
        self.rtnl = 0  # how often networking's lock is held
        self.requested_modules: list[str] = []  # what request_module asked for
        self.chrdevs = CharDevices(self.profile.char_majors, self.profile.misc_minors)
        self.device_paths: dict[int, str] = {}  # struct device or miscdevice -> its file in /dev
        self.proc_entries: dict[int, str] = {}  # struct proc_dir_entry -> path
        self.own_proc_ops: dict[str, int] = {}  # the kernel's own proc_ops, by the function that opens
        self.dentries: dict[int, str] = {}  # of debugfs -> path
        self.devices: dict[int, int] = {}  # kobject in it -> struct device
        self.classes: dict[int, str] = {}
        self.kobjects = Kobjects(self)
        self.open_line = False  # the last record of the log waits for the rest of its line
        self.opening = 0  # the tag of the file that is being opened
        # objects the kernel made for a module, and frees itself
        self.kobjects_of_ours: set[int] = set()
        self.devices_of_ours: set[int] = set()
        self.classes_of_ours: set[int] = set()
        self._percpu_next = len(kernel.percpu.unit)
        self.timers: dict[int, Event] = {}  # struct timer_list or hrtimer -> when it fires
        self.threads: dict[int, KThread] = {}  # task_struct -> struct kthread
        self.callbacks_pending = 0  # of RCU
        self.thread_frames: Sequence[int] = ()
        self.tasks = Scheduler(self, int(self.profile.config.get("CONFIG_HZ", "250")))
        self.set_current(self.tasks.main)
        self.clock_moved()
        self._budget, self._until = KERNEL_CALLS, 0.0
        self.oopses, self.cr2 = 0, 0
        self.first_oops: dict[str, int] | None = None  # its registers
        self.workqueues = WorkQueues(self)
        self.leaks = Leaks(self)
        self._choice = POLICIES[policy](self)

    # --- what the heart asks for

    def run(self, mod: Module, address: int, *args: int) -> int:
        """Call a module's function on behalf of the calling process, then let the threads run: rax.

        KernelOops: it faulted. WouldWait: it waits or runs for ever. NotModelled: it needs what is not there.
        """
        # another task's call may be under way, asleep: its registers have to be there when it goes on
        saved = dict(zip(CALLEE_SAVED, self.machine.read(CALLEE_SAVED), strict=True))
        # init/main.c:do_one_initcall keeps it there, and so it shows in call traces
        self.machine["rbx"] = address
        count, before, self.running = self.preempt_count(), self.running, mod
        try:
            result = self.enter(address, *args, frames=INIT_FRAMES)
        finally:
            self.running = before
            self.machine.write(saved)
        if address == mod.init:
            check_initcall(self, mod, count)
            self.leaks.init_returned(mod)
        return result

    def module_gone(self, mod: Module) -> str:
        """The module's memory is about to be freed: what it leaves behind, in words, "" for nothing."""
        left = self.leaks.module_gone(mod)
        return "left behind: " + "; ".join(map(str, left)) if left else ""

    def set_parameter(self, mod: Module, param: int, ops: int, value: bytes | None) -> int:
        """``kernel_param_ops.set(value, kp)``: 0 or a negative errno. ``value`` None: only the name was
        given."""
        function = self.structs.get(ops, "kernel_param_ops.set")
        text = 0 if value is None else self.heap.strdup(value)
        try:
            return signed(self.run(mod, function, text, param), 32)
        finally:
            self.heap.kfree(text)

    def get_parameter(self, mod: Module, param: int, ops: int) -> bytes:
        """``kernel_param_ops.get(buffer, kp)``: what a read of the parameter's file gives."""
        buffer = self.heap.kmalloc(PAGE_SIZE, zero=True)
        getter = self.structs.get(ops, "kernel_param_ops.get")
        try:
            length = signed(self.run(mod, getter, buffer, param), 32)
            if length < 0:
                raise KernelError(-length, stage="param_attr_show")
            return self.space.read(buffer, min(length, PAGE_SIZE - 1))
        finally:
            self.heap.kfree(buffer)

    def enter(self, address: int, *args: int, frames: Sequence[tuple[str, int]] = CALLBACK_FRAMES) -> int:
        """One call from outside, with fresh limits, and everything that becomes ready through it."""
        self.fresh_limits()
        self._rename_main()
        with noted(self.kernel.memory):
            result = self.call(address, *args, frames=self._addresses(frames))
            self.tasks.settle()
        return result

    def _rename_main(self) -> None:
        """The calling process is insmod at one time, rmmod at another."""
        main = self.tasks.main
        if main.comm != self.kernel.comm:
            main.comm = self.kernel.comm
            raw = main.comm.encode()[: TASK_COMM_LEN - 1].ljust(TASK_COMM_LEN, b"\0")
            self.space.write(self.structs.at(main.address, "task_struct.comm"), raw)

    def fresh_limits(self) -> None:
        """A new call from outside begins: as many kernel calls and as much time as ever."""
        self._budget, self._until = KERNEL_CALLS, time.monotonic() + WALL_SECONDS

    def advance(self, seconds: float) -> None:
        """Let time pass: timers fire, threads and work items run."""
        self.fresh_limits()
        self.tasks.advance(int(seconds * NSEC_PER_SEC))

    def _addresses(self, frames: Iterable[tuple[str, int]]) -> list[int]:
        return [self.kernel.address_of(name) + offset for name, offset in frames]

    def recording(self, limit: int = STEPS) -> AbstractContextManager[Run]:
        """``with kernel.cpu.recording() as run:`` what code does in there, step by step (``travel.py``)."""
        return recording(self, limit)

    # --- calling into the module

    def call(self, address: int, *args: int, frames: Sequence[int] = ()) -> int:
        """Run the function at ``address`` on the current task's stack until it returns: rax.

        ``frames``: return addresses in the kernel, innermost first; the first one is where it returns to.
        """
        task, machine = self.tasks.current, self.machine
        if task.depth >= DEPTH:
            raise WouldWait(f"{DEPTH} calls from the kernel into modules, each inside the one before")
        if self.recorder is not None:
            self.recorder.entering(address & U64)
        back = list(frames) or [self.profile.text[0]]
        rsp = self._push(
            task.rsp, [*back[:1], *args[6:], *(word for frame in back[1:] for word in (0, frame))]
        )
        machine.write(
            {"rsp": rsp, **dict(zip(ARGUMENT_REGISTERS, (a & U64 for a in args[:6]), strict=False))}
        )
        machine.sync()
        before, task.depth = task.rsp, task.depth + 1
        outer = task.return_places
        task.return_places = _places(rsp, len(args[6:]), len(back)) + ([before] if outer else []) + outer
        try:
            self._loop(address & U64, back[0], rsp + 8)
            return machine["rax"]
        finally:
            task.rsp, task.depth, task.return_places = before, task.depth - 1, outer
            if self.recorder is not None:
                self.recorder.stopped()

    def _push(self, rsp: int, words: list[int]) -> int:
        """Put ``words`` on the stack, the first one lowest and 8 modulo 16, as a call leaves it."""
        rsp = (rsp - 8 * len(words) & -16) - 8
        self.space.write(rsp, b"".join((word & U64).to_bytes(8, "little") for word in words))
        return rsp

    def _loop(self, rip: int, end: int, rsp: int) -> None:
        """Run until the function returns to ``end`` with its stack given back."""
        machine, left = self.machine, INSTRUCTIONS
        while True:
            stop = machine.run(rip, min(left, SLICE))
            if stop.kind == "hlt":
                if stop.rip == end and machine["rsp"] == rsp:
                    return
                rip, left = self._kernel_call(stop.rip), INSTRUCTIONS
            elif stop.kind == "limit":
                rip, left = stop.rip, left - SLICE
                if left <= 0 or time.monotonic() > self._until:
                    raise WouldWait(
                        f"{INSTRUCTIONS:,} instructions without a call of the kernel: an endless loop"
                    )
            else:
                rip = self._exception(stop)

    def _exception(self, stop: Stop) -> int:
        """A fault or trap: where to go on (a WARN), or KernelOops."""
        if self.recorder is not None:
            self.recorder.stopped()
        return trapped(self, stop)

    # --- the module calls the kernel

    def _kernel_call(self, address: int) -> int:
        """Do the kernel function whose code begins at ``address``; where the machine goes on."""
        _rip, rsp, *registers = self.machine.at_a_stop()
        task, space = self.tasks.current, self.space
        if not self.profile.text[0] <= address < self.profile.text[1]:
            return self._halted(address)
        self._budget -= 1
        if self._budget <= 0 or time.monotonic() > self._until:
            raise WouldWait(f"{KERNEL_CALLS:,} calls of kernel functions in one go")
        caller = space.number(rsp, 8)
        function = self._function(address, caller)
        record = KernelCall(function.name, tuple(registers), caller, task.comm, self.tasks.now, task.depth,
                            stubbed=function.source is STAND_IN)  # fmt: skip
        self.calls.append(record)
        self.notes.began(record, rsp)
        if self.recorder is not None:
            self.recorder.called(record)
        before, task.rsp = task.rsp, rsp
        try:
            result = function.call(self, call_arguments(space, tuple(registers), rsp))
        except GuestFault as fault:
            kernel_function_faulted(self, function.name, address, fault)
        finally:
            task.rsp = before
        self.notes.ended(record, result)
        if self.recorder is not None:
            self.recorder.returned(record)
        if function.own_registers:
            self.machine["rsp"] = rsp + 8
        else:
            self.machine.write({"rsp": rsp + 8, "rax": int(result or 0) & U64})
        return caller

    def _function(self, address: int, caller: int) -> KernelFunction:
        """The row of the function at ``address``, or what the policy puts in its place."""
        names = names_by_address(self.profile).get(address) or self._local_name(address)
        for name in names:
            if name in FUNCTIONS:
                return FUNCTIONS[name]
        if not names:
            raise NotModelled(f"code went on at {address:#x}, in the middle of the kernel")
        return self._choice.stand_in(names[0], caller)

    def _local_name(self, address: int) -> list[str]:
        """A kernel function that is not exported: reached through a table of the kernel's."""
        found = self.profile.kallsyms.at(address)
        return [found[0]] if found and not found[1] else []

    def _halted(self, address: int) -> int:
        """The module's own ``hlt``: waits for an interrupt, which the next tick is."""
        self.tasks.advance(NSEC_PER_SEC // self.tasks.hz)
        return address + 1

    # --- for the kernel functions

    def outside(self, address: int, *args: int) -> int:
        """Call a function pointer on behalf of the process: a file's operation."""
        with noted(self.kernel.memory):
            return self.call_any(address, *args)

    def call_any(self, address: int, *args: int) -> int:
        """Call a function pointer: the module's code, or a kernel function that is implemented here."""
        names = names_by_address(self.profile).get(address)
        if names is None and self.profile.text[0] <= address < self.profile.text[1]:
            names = self._local_name(address)
        for name in names or ():
            if name in FUNCTIONS:
                return int(FUNCTIONS[name].call(self, iter([*args, *repeat(0, 6)])) or 0)
        return self.call(address, *args)

    def caller(self) -> int:
        """Who called the kernel function that is being done: its return address."""
        return self.calls[-1].caller if self.calls else 0

    def calling_module(self, caller: int) -> Module | None:
        """Whose code calls: by the return address, which is the kernel's own when the call was a jump."""
        return module_at(self.kernel, caller) or self.running

    def symbolize(self, address: int, *, backtrace: bool = False) -> str:
        """``hello_init+0x12/0x40 [hello]``; ``backtrace``: of the call that returns to ``address``."""
        return sprint_symbol(self.kernel, address, backtrace=backtrace)

    def alloc_percpu(self, size: int, align: int) -> int:
        """The offset of ``size`` zeroed bytes in every processor's unit; 0 when there is no room."""
        place = -(-self._percpu_next // max(align, 8)) * max(align, 8)
        if place + size > PERCPU_UNIT or align & (align - 1):
            return 0
        self._percpu_next = place + size
        return place

    def symbol(self, name: str) -> int:
        """The address of an exported symbol of the kernel, 0 when there is none."""
        export = self.profile.exports.get(name)
        return export.address if export is not None else 0

    def percpu_address(self, name: str) -> int:
        """Where CPU 0 has its copy of a per-CPU variable of the kernel's."""
        return PERCPU_BASE + self.local_symbol(name)

    def local_symbol(self, name: str) -> int:
        """The address of any symbol of the kernel."""
        return self.symbol(name) or self.kernel.address_of(name)

    def block(self, ready: Callable[[], bool], timeout: int | None = None, *, what: str = "an event") -> bool:
        """Sleep until ``ready()``, at most ``timeout`` nanoseconds; whether it became ready."""
        if not ready():
            schedule_debug(self)
        return self.tasks.wait(ready, timeout, what=what)

    def sleep(self, nanoseconds: int) -> None:
        """Sleep for some time."""
        schedule_debug(self)
        self.tasks.wait(lambda: False, nanoseconds)

    def preempt_disable(self, step: int = 1) -> None:
        """``preempt_count``, as spinlocks keep it."""
        place = PERCPU_BASE + self.symbol("__preempt_count")
        self.space.store(place, self.space.number(place, 4) + step, 4)

    def preempt_enable(self) -> None:
        self.preempt_disable(-1)

    def preempt_count(self) -> int:
        """``preempt_count()`` as it lies in memory, with the bit that is set when nothing wants to run."""
        return self.space.number(PERCPU_BASE + self.symbol("__preempt_count"), 4)

    def reset_preempt_count(self) -> None:
        """A task that dies leaves no lock counted (``kernel/exit.c:make_task_dead``)."""
        self.set_preempt_count(PREEMPT_ENABLED)

    def set_preempt_count(self, count: int) -> None:
        self.space.store(PERCPU_BASE + self.symbol("__preempt_count"), count, 4)

    def kfree(self, address: int, *, caller: int) -> None:
        """Give an object back; what is wrong with it goes to the log.

        ``mm/slub.c:set_freepointer`` notices by itself when the object is the one that was freed last.
        """
        if self.heap.is_first_free(address):
            bug(self, "__kmem_cache_free", 0x284, "mm/slub.c", 419)
        wrong = self.heap.kfree(address, caller=caller)
        if wrong:
            self.kernel.printk(3, f"BUG {wrong}: {address:#x}")

    def panic_bug(self, message: str) -> NoReturn:
        """A check of the kernel's own that ends in BUG()."""
        bug(self, "usercopy_abort", 0x75, "mm/usercopy.c", 101, f"<0>{message}")

    def format(self, fmt: bytes, args: VarArgs) -> bytes:
        """vsnprintf: the text, which is noted with the call that is being made."""
        text = vsnprintf(self, fmt, args)
        if self.calls:
            self.calls[-1].text = text
        return text

    # --- per-CPU data, current, jiffies

    def _map_percpu(self) -> Area:
        """CPU 0's unit: what the loader keeps in it, behind it room for dynamic allocations."""
        unit = self.kernel.percpu.unit
        area = self.space.add(
            Area(PERCPU_BASE, unit, "percpu", "", bytearray([READ | WRITE]) * (len(unit) >> 12))
        )
        self.space.add(new_area(area.end, PERCPU_UNIT - len(unit), "percpu"))
        words = {"this_cpu_off": PERCPU_BASE, "__preempt_count": PREEMPT_ENABLED}
        for name, value in words.items():
            export = self.profile.exports.get(name)
            if export is not None:
                self.space.store(PERCPU_BASE + export.address, value, 8)
        self.space.store(PERCPU_BASE + CANARY_OFFSET, CANARY, 8)
        masks = ("__cpu_possible_mask", "__cpu_present_mask", "__cpu_online_mask", "__cpu_active_mask")
        store_words(self.space, self.profile, dict.fromkeys(masks, 1))  # one processor
        if processors := self.symbol("nr_cpu_ids"):
            self.space.store(processors, 1, 4)
        store_words(self.space, self.profile, {"__per_cpu_offset": PERCPU_BASE})
        return area

    def set_current(self, task: Task) -> None:
        """``current``: a per-CPU pointer to the running task's ``task_struct``."""
        export = self.profile.exports.get("current_task")
        if export is not None:
            self.space.store(PERCPU_BASE + export.address, task.address, 8)

    def new_task_struct(self, task: Task, flags: int) -> int:
        """A ``task_struct`` with the fields that modules read. ``flags``: PF_KTHREAD and its kin."""
        address = self.heap.kmalloc(self.structs.size("task_struct"), zero=True, cache="task_struct")
        fields = {"pid": task.pid, "tgid": task.pid, "stack": task.stack.start, "usage": 1}
        fields["flags"] = flags
        for name, value in fields.items():
            self.structs.set(address, f"task_struct.{name}", value)
        comm = task.comm.encode()[: TASK_COMM_LEN - 1]
        self.space.write(self.structs.at(address, "task_struct.comm"), comm)
        return address

    def clock_moved(self) -> None:
        store_words(self.space, self.profile, {"jiffies": self.tasks.jiffies})


def _places(rsp: int, arguments: int, frames: int) -> list[int]:
    """Where ``call`` put the return addresses: the first lowest, the others behind the stack arguments."""
    return [rsp, *(rsp + 8 * (arguments + 2 * n) for n in range(1, frames))]


def errno_result(error: KernelError) -> int:
    """A KernelError of a Python function as the negative errno that the kernel function returns."""
    return -(error.errno or 0)


__all__ = ["Cpu", "errno_result", "signed"]
