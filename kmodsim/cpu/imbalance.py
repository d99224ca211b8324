# SPDX-License-Identifier: GPL-2.0-only
"""Who sleeps, or comes back from init, with preemption or interrupts disabled: what the kernel says of it.

Offsets are those of Debian's 6.1.192, as recorded reports show them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..module import TAINT_BIT
from .traps import INIT_FRAMES, PREEMPT_MASK, modules_linked_in, stack_trace, warn

if TYPE_CHECKING:
    from ..module import Module
    from .cpu import Cpu

INTERRUPT_FLAG = 0x200  # X86_EFLAGS_IF
SCHEDULE_FRAMES = (
    ("dump_stack_lvl", 0x44), ("__schedule_bug.cold", 0x42), ("__schedule", 0x804), ("schedule", 0x5A),
)  # fmt: skip


def schedule_debug(cpu: Cpu) -> None:
    """The current task is about to sleep: a report when it must not (``kernel/sched/core.c:schedule_debug``).

    It sleeps all the same, and the count begins anew.
    """
    count = cpu.preempt_count() & PREEMPT_MASK
    if not count:
        return
    kernel, task = cpu.kernel, cpu.tasks.current
    who = "swapper/0/0" if task.in_interrupt else f"{task.comm}/{task.pid}"
    said = f"<3>BUG: scheduling while atomic: {who}/{count + 1:#010x}"  # schedule() itself counts one
    linked = f"<4>Modules linked in: {modules_linked_in(kernel)}"
    kernel.print_records([said, linked, *stack_trace(cpu, above=SCHEDULE_FRAMES)])
    kernel.tainted |= 1 << TAINT_BIT["W"]
    cpu.reset_preempt_count()


def check_initcall(cpu: Cpu, mod: Module, count: int) -> None:
    """init returned: does everything stand as before? (``init/main.c:do_one_initcall``). It is put right."""
    wrong = ""
    if cpu.preempt_count() != count:
        wrong += "preemption imbalance "
        cpu.set_preempt_count(count)
    flags = cpu.machine["eflags"]
    if not flags & INTERRUPT_FLAG:
        wrong += "disabled interrupts "
        cpu.machine["eflags"] = flags | INTERRUPT_FLAG
    if wrong:
        said = f"<4>initcall {cpu.symbolize(mod.init)} returned with {wrong}"
        warn(cpu, "do_one_initcall", 0x1D7, "init/main.c", 1284, said, above=INIT_FRAMES[1:])
