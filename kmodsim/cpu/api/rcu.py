# SPDX-License-Identifier: GPL-2.0-only
"""RCU and SRCU. A grace period is over as soon as somebody waits for it: no reader can be on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

TREE, SRCU = "kernel/rcu/tree.c", "kernel/rcu/srcutree.c"
GRACE_PERIOD = 10_000_000  # nanoseconds: two or three ticks, as an idle machine needs
KVFREE_OFFSET = 4096  # include/linux/rcupdate.h:kvfree_rcu: a smaller "function" is an offset


@kernel_function("kernel/rcu/tree_plugin.h")
def __rcu_read_lock(cpu: Cpu) -> None:
    """current->rcu_read_lock_nesting is nobody else's business."""


@kernel_function("kernel/rcu/tree_plugin.h")
def __rcu_read_unlock(cpu: Cpu) -> None:
    """See __rcu_read_lock."""


@kernel_function(TREE, "synchronize_rcu_expedited", "synchronize_net")
def synchronize_rcu(cpu: Cpu) -> None:
    cpu.sleep(GRACE_PERIOD)


def _later(cpu: Cpu, head: int, function: int) -> None:
    cpu.structs.set(head, "callback_head.func", function)
    cpu.callbacks_pending += 1

    def call() -> None:
        cpu.callbacks_pending -= 1
        cpu.call(function, head)

    cpu.tasks.at(cpu.tasks.now + GRACE_PERIOD, call)


@kernel_function(TREE, "call_rcu_hurry")
def call_rcu(cpu: Cpu, head: ptr, function: ptr) -> None:
    _later(cpu, head, function)


@kernel_function(TREE)
def kvfree_call_rcu(cpu: Cpu, head: ptr, function: ptr) -> None:
    """``function`` is the offset of the rcu_head in the object; with no head it is the object itself."""
    target = head - function if head else function
    cpu.tasks.at(cpu.tasks.now + GRACE_PERIOD, lambda: cpu.kfree(target, caller=0))


@kernel_function(TREE, "rcu_barrier_tasks")
def rcu_barrier(cpu: Cpu) -> None:
    cpu.block(lambda: cpu.callbacks_pending == 0, what="RCU callbacks")


@kernel_function(SRCU, "__init_srcu_struct")
def init_srcu_struct(cpu: Cpu, ssp: ptr) -> s32:
    return 0


@kernel_function(SRCU)
def cleanup_srcu_struct(cpu: Cpu, ssp: ptr) -> None:
    """Its per-CPU counts were never made."""


@kernel_function(SRCU)
def __srcu_read_lock(cpu: Cpu, ssp: ptr) -> s32:
    return 0


@kernel_function(SRCU)
def __srcu_read_unlock(cpu: Cpu, ssp: ptr, index: s32) -> None:
    """See __srcu_read_lock."""


@kernel_function(SRCU, "synchronize_srcu_expedited")
def synchronize_srcu(cpu: Cpu, ssp: ptr) -> None:
    cpu.sleep(GRACE_PERIOD)


@kernel_function(SRCU)
def call_srcu(cpu: Cpu, ssp: ptr, head: ptr, function: ptr) -> None:
    _later(cpu, head, function)


@kernel_function(SRCU)
def srcu_barrier(cpu: Cpu, ssp: ptr) -> None:
    cpu.block(lambda: cpu.callbacks_pending == 0, what="SRCU callbacks")
