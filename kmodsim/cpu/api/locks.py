# SPDX-License-Identifier: GPL-2.0-only
"""Locks. One processor without preemption: a lock that is held is held by somebody who sleeps, or for ever.

The lock words in memory are kept as the kernel's are, as far as modules look at them: a spinlock's first
byte, a mutex's owner, the counts of semaphores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import WouldWait
from ..abi import ptr, s32, s64, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

SPINLOCK, RWLOCK, MUTEX = "kernel/locking/spinlock.c", "kernel/locking/spinlock.c", "kernel/locking/mutex.c"
RWSEM, SEMAPHORE = "kernel/locking/rwsem.c", "kernel/locking/semaphore.c"
WRITER = 0xFF  # include/asm-generic/qrwlock_types.h: the byte of a writer
READER = 0x200  # include/asm-generic/qrwlock.h:_QR_BIAS
RWSEM_WRITER, RWSEM_READER = 1, 0x100  # kernel/locking/rwsem.c


def _spin(cpu: Cpu, lock: int) -> None:
    if cpu.space.number(lock, 1):
        raise WouldWait(
            f"{cpu.tasks.current.comm} spins for the lock at {lock:#x}, which is held already: a deadlock"
        )
    cpu.space.store(lock, 1, 1)
    cpu.preempt_disable()


@kernel_function(SPINLOCK, "_raw_spin_lock_irq", "_raw_spin_lock_bh")
def _raw_spin_lock(cpu: Cpu, lock: ptr) -> None:
    _spin(cpu, lock)


@kernel_function(SPINLOCK)
def _raw_spin_lock_irqsave(cpu: Cpu, lock: ptr) -> u64:
    _spin(cpu, lock)
    return cpu.machine["eflags"]


@kernel_function(SPINLOCK, "_raw_spin_trylock_bh")
def _raw_spin_trylock(cpu: Cpu, lock: ptr) -> bool:
    if cpu.space.number(lock, 1):
        return False
    _spin(cpu, lock)
    return True


@kernel_function(SPINLOCK, "_raw_spin_unlock_irq", "_raw_spin_unlock_bh", "_raw_spin_unlock_irqrestore")
def _raw_spin_unlock(cpu: Cpu, lock: ptr) -> None:
    cpu.space.store(lock, 0, 1)
    cpu.preempt_enable()


def _read(cpu: Cpu, lock: int) -> None:
    if cpu.space.number(lock, 1):
        raise WouldWait(
            f"{cpu.tasks.current.comm} spins to read under {lock:#x}, held by a writer: a deadlock"
        )
    cpu.space.store(lock, cpu.space.number(lock, 4) + READER, 4)
    cpu.preempt_disable()


def _write(cpu: Cpu, lock: int) -> None:
    if cpu.space.number(lock, 4):
        raise WouldWait(f"{cpu.tasks.current.comm} spins to write under {lock:#x}, which is held: a deadlock")
    cpu.space.store(lock, WRITER, 1)
    cpu.preempt_disable()


@kernel_function(RWLOCK, "_raw_read_lock_irq", "_raw_read_lock_bh")
def _raw_read_lock(cpu: Cpu, lock: ptr) -> None:
    _read(cpu, lock)


@kernel_function(RWLOCK)
def _raw_read_lock_irqsave(cpu: Cpu, lock: ptr) -> u64:
    _read(cpu, lock)
    return cpu.machine["eflags"]


@kernel_function(RWLOCK, "_raw_read_unlock_irq", "_raw_read_unlock_bh", "_raw_read_unlock_irqrestore")
def _raw_read_unlock(cpu: Cpu, lock: ptr) -> None:
    cpu.space.store(lock, cpu.space.number(lock, 4) - READER, 4)
    cpu.preempt_enable()


@kernel_function(RWLOCK, "_raw_write_lock_irq", "_raw_write_lock_bh")
def _raw_write_lock(cpu: Cpu, lock: ptr) -> None:
    _write(cpu, lock)


@kernel_function(RWLOCK)
def _raw_write_lock_irqsave(cpu: Cpu, lock: ptr) -> u64:
    _write(cpu, lock)
    return cpu.machine["eflags"]


@kernel_function(RWLOCK, "_raw_write_unlock_irq", "_raw_write_unlock_bh", "_raw_write_unlock_irqrestore")
def _raw_write_unlock(cpu: Cpu, lock: ptr) -> None:
    cpu.space.store(lock, 0, 1)
    cpu.preempt_enable()


# --- mutexes: the owner is a task_struct's address


@kernel_function(MUTEX)
def __mutex_init(cpu: Cpu, lock: ptr, name: ptr, key: ptr) -> None:
    cpu.structs.set(lock, "mutex.owner", 0)
    cpu.structs.set(lock, "mutex.wait_lock", 0)
    cpu.structs.list_init(cpu.structs.at(lock, "mutex.wait_list"))


def _take_mutex(cpu: Cpu, lock: int) -> None:
    cpu.block(lambda: not cpu.structs.get(lock, "mutex.owner"), what=f"the mutex at {lock:#x}")
    cpu.structs.set(lock, "mutex.owner", cpu.tasks.current.address)


@kernel_function(MUTEX, "mutex_lock_io")
def mutex_lock(cpu: Cpu, lock: ptr) -> None:
    _take_mutex(cpu, lock)


@kernel_function(MUTEX, "mutex_lock_killable")
def mutex_lock_interruptible(cpu: Cpu, lock: ptr) -> s32:
    _take_mutex(cpu, lock)
    return 0


@kernel_function(MUTEX)
def mutex_trylock(cpu: Cpu, lock: ptr) -> s32:
    if cpu.structs.get(lock, "mutex.owner"):
        return 0
    cpu.structs.set(lock, "mutex.owner", cpu.tasks.current.address)
    return 1


@kernel_function(MUTEX)
def mutex_unlock(cpu: Cpu, lock: ptr) -> None:
    cpu.structs.set(lock, "mutex.owner", 0)


@kernel_function(MUTEX)
def mutex_is_locked(cpu: Cpu, lock: ptr) -> bool:
    return cpu.structs.get(lock, "mutex.owner") != 0


# --- reader-writer semaphores


@kernel_function(RWSEM)
def __init_rwsem(cpu: Cpu, sem: ptr, name: ptr, key: ptr) -> None:
    for field in ("count", "owner", "wait_lock"):
        cpu.structs.set(sem, f"rw_semaphore.{field}", 0)
    cpu.structs.list_init(cpu.structs.at(sem, "rw_semaphore.wait_list"))


def _count(cpu: Cpu, sem: int, step: int) -> None:
    count = cpu.structs.get(sem, "rw_semaphore.count", signed=True)
    cpu.structs.set(sem, "rw_semaphore.count", count + step)


def _held(cpu: Cpu, sem: int, mask: int) -> int:
    return cpu.structs.get(sem, "rw_semaphore.count") & mask


@kernel_function(RWSEM, "down_read_interruptible", "down_read_killable")
def down_read(cpu: Cpu, sem: ptr) -> s32:
    cpu.block(lambda: not _held(cpu, sem, RWSEM_WRITER), what=f"the rw_semaphore at {sem:#x}")
    _count(cpu, sem, RWSEM_READER)
    return 0


@kernel_function(RWSEM)
def down_read_trylock(cpu: Cpu, sem: ptr) -> s32:
    if _held(cpu, sem, RWSEM_WRITER):
        return 0
    _count(cpu, sem, RWSEM_READER)
    return 1


@kernel_function(RWSEM)
def up_read(cpu: Cpu, sem: ptr) -> None:
    _count(cpu, sem, -RWSEM_READER)


@kernel_function(RWSEM, "down_write_killable")
def down_write(cpu: Cpu, sem: ptr) -> s32:
    cpu.block(lambda: not _held(cpu, sem, -1), what=f"the rw_semaphore at {sem:#x}")
    _count(cpu, sem, RWSEM_WRITER)
    return 0


@kernel_function(RWSEM)
def down_write_trylock(cpu: Cpu, sem: ptr) -> s32:
    if _held(cpu, sem, -1):
        return 0
    _count(cpu, sem, RWSEM_WRITER)
    return 1


@kernel_function(RWSEM)
def up_write(cpu: Cpu, sem: ptr) -> None:
    _count(cpu, sem, -RWSEM_WRITER)


@kernel_function(RWSEM)
def downgrade_write(cpu: Cpu, sem: ptr) -> None:
    _count(cpu, sem, RWSEM_READER - RWSEM_WRITER)


# --- counting semaphores


def _down(cpu: Cpu, sem: int, timeout: int | None = None) -> bool:
    def free() -> bool:
        return cpu.structs.get(sem, "semaphore.count") > 0

    if not cpu.block(free, timeout, what=f"the semaphore at {sem:#x}"):
        return False
    cpu.structs.set(sem, "semaphore.count", cpu.structs.get(sem, "semaphore.count") - 1)
    return True


@kernel_function(SEMAPHORE, "down_interruptible", "down_killable")
def down(cpu: Cpu, sem: ptr) -> s32:
    _down(cpu, sem)
    return 0


@kernel_function(SEMAPHORE)
def down_trylock(cpu: Cpu, sem: ptr) -> s32:
    """0 when it was taken, 1 when not: the other way round than the others."""
    return int(cpu.structs.get(sem, "semaphore.count") <= 0 or not _down(cpu, sem))


@kernel_function(SEMAPHORE)
def down_timeout(cpu: Cpu, sem: ptr, timeout: s64) -> s32:
    return 0 if _down(cpu, sem, cpu.tasks.jiffies_to_nsecs(timeout)) else -62  # ETIME


@kernel_function(SEMAPHORE)
def up(cpu: Cpu, sem: ptr) -> None:
    cpu.structs.set(sem, "semaphore.count", cpu.structs.get(sem, "semaphore.count") + 1)
