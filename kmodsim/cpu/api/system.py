# SPDX-License-Identifier: GPL-2.0-only
"""What the rest of the system would be: file systems in the kernel, networking's big lock, capabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

LIBFS, RTNETLINK = "fs/libfs.c", "net/core/rtnetlink.c"


@kernel_function(LIBFS)
def simple_pin_fs(cpu: Cpu, kind: ptr, mount: ptr, count: ptr) -> s32:
    """A mount in the kernel itself: a root without anything in it."""
    if not cpu.space.number(mount, 8):
        made, root, block = (cpu.heap.kmalloc(size, zero=True, cache="stand-in") for size in (64, 256, 2048))
        for offset, value in ((0, root), (8, block)):  # struct vfsmount: mnt_root, mnt_sb
            cpu.space.store(made + offset, value, 8)
        cpu.space.store(mount, made, 8)
    cpu.space.store(count, cpu.space.number(count, 4) + 1, 4)
    return 0


@kernel_function(LIBFS)
def simple_release_fs(cpu: Cpu, mount: ptr, count: ptr) -> None:
    left = cpu.space.number(count, 4) - 1
    cpu.space.store(count, left, 4)
    if left <= 0:
        cpu.space.store(mount, 0, 8)


@kernel_function(RTNETLINK, "rtnl_lock_killable")
def rtnl_lock(cpu: Cpu) -> s32:
    cpu.rtnl += 1
    return 0


@kernel_function(RTNETLINK)
def rtnl_trylock(cpu: Cpu) -> s32:
    if cpu.rtnl:
        return 0
    cpu.rtnl += 1
    return 1


@kernel_function(RTNETLINK, "__rtnl_unlock")
def rtnl_unlock(cpu: Cpu) -> None:
    cpu.rtnl = max(0, cpu.rtnl - 1)


@kernel_function(RTNETLINK)
def rtnl_is_locked(cpu: Cpu) -> s32:
    return int(bool(cpu.rtnl))
