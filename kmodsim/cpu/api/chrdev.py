# SPDX-License-Identifier: GPL-2.0-only
"""Character devices: numbers, ``struct cdev``, misc devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import EBUSY, EEXIST, EINVAL
from ..abi import cstr, ptr, s32, u32
from ..fileops import S_IFCHR, FileKind, FileNode
from ..table import kernel_function
from .modules import module_at

if TYPE_CHECKING:
    from ..cpu import Cpu

CHAR_DEV, MISC = "fs/char_dev.c", "drivers/char/misc.c"
MINOR_BITS = 20  # include/linux/kdev_t.h
DYNAMIC_MAJORS = (*range(254, 233, -1), *range(511, 383, -1))  # fs/char_dev.c:find_dynamic_major
MISC_MAJOR, MISC_DYNAMIC_MINOR, DYNAMIC_MINORS = 10, 255, 128
MAX_MAJOR = 512


@dataclass(frozen=True)
class Numbers:
    """A range of device numbers that somebody has registered."""

    major: int
    first: int
    count: int
    name: str


class CharDevices:
    """Which numbers are taken, and which ``cdev`` answers for them."""

    def __init__(self, majors: frozenset[int], minors: frozenset[int]) -> None:
        """What the kernel's own drivers have: ``majors``, and ``minors`` of major 10."""
        self._taken, self.misc_taken = majors, minors
        self.regions: list[Numbers] = []
        self.cdevs: dict[int, tuple[int, int]] = {}  # struct cdev -> (first device number, count)
        self.misc_minors: dict[int, int] = {}  # minor -> struct miscdevice

    def register(self, major: int, first: int, count: int, name: str) -> int:
        """The major number, or a negative errno; 0 asks for a free one."""
        if major == 0:
            used = self._taken | {region.major for region in self.regions}
            major = next((m for m in DYNAMIC_MAJORS if m not in used), 0)
            if not major:
                return -EBUSY
        if major >= MAX_MAJOR or first + count > 1 << MINOR_BITS:
            return -EINVAL
        for other in self.regions:
            if other.major == major and other.first < first + count and first < other.first + other.count:
                return -EBUSY
        self.regions.append(Numbers(major, first, count, name))
        return major

    def unregister(self, major: int, first: int, count: int) -> None:
        self.regions = [r for r in self.regions if (r.major, r.first, r.count) != (major, first, count)]

    def cdev_of(self, device: int) -> int:
        """The cdev that answers for a device number, the newest first; 0: none."""
        return next((c for c, (first, n) in reversed(self.cdevs.items()) if first <= device < first + n), 0)


def device_node(cpu: Cpu, device: int) -> FileNode | None:
    """What opening a device file with this number meets (``fs/char_dev.c:chrdev_open``); None: ENXIO."""
    cdev = cpu.chrdevs.cdev_of(device)
    if not cdev:
        return None
    ops = cpu.structs.get(cdev, "cdev.ops")
    owner = module_at(
        cpu, cpu.structs.get(cdev, "cdev.owner") or cpu.structs.get(ops, "file_operations.owner")
    )
    return FileNode(cpu, FileKind(ops, mode=S_IFCHR, rdev=device, cdev=cdev, owner=owner))


@kernel_function(CHAR_DEV)
def alloc_chrdev_region(cpu: Cpu, device: ptr, first: u32, count: u32, name: cstr) -> s32:
    major = cpu.chrdevs.register(0, first, count, name.decode("utf-8", "replace"))
    if major < 0:
        return major
    cpu.space.store(device, major << MINOR_BITS | first, 4)
    return 0


@kernel_function(CHAR_DEV)
def register_chrdev_region(cpu: Cpu, device: u32, count: u32, name: cstr) -> s32:
    first = device & ((1 << MINOR_BITS) - 1)
    return min(0, cpu.chrdevs.register(device >> MINOR_BITS, first, count, name.decode("utf-8", "replace")))


@kernel_function(CHAR_DEV)
def unregister_chrdev_region(cpu: Cpu, device: u32, count: u32) -> None:
    cpu.chrdevs.unregister(device >> MINOR_BITS, device & ((1 << MINOR_BITS) - 1), count)


@kernel_function(CHAR_DEV)
def __register_chrdev(cpu: Cpu, major: u32, first: u32, count: u32, name: cstr, ops: ptr) -> s32:
    """0 when the major was given, the new one when it was asked for."""
    got = cpu.chrdevs.register(major, first, count, name.decode("utf-8", "replace"))
    if got < 0:
        return got
    cdev = _new_cdev(cpu, ops)
    cpu.structs.set(cdev, "cdev.owner", cpu.structs.get(ops, "file_operations.owner"))
    cpu.chrdevs.cdevs[cdev] = (got << MINOR_BITS | first, count)
    return 0 if major else got


@kernel_function(CHAR_DEV)
def __unregister_chrdev(cpu: Cpu, major: u32, first: u32, count: u32, name: cstr) -> None:
    cpu.chrdevs.unregister(major, first, count)
    for cdev, (device, _) in list(cpu.chrdevs.cdevs.items()):
        if device == major << MINOR_BITS | first:
            del cpu.chrdevs.cdevs[cdev]


def _new_cdev(cpu: Cpu, ops: int) -> int:
    cdev = cpu.heap.kmalloc(cpu.structs.size("cdev"), zero=True)
    cpu.structs.list_init(cpu.structs.at(cdev, "cdev.list"))
    cpu.structs.set(cdev, "cdev.ops", ops)
    return cdev


@kernel_function(CHAR_DEV)
def cdev_alloc(cpu: Cpu) -> ptr:
    return _new_cdev(cpu, 0)


@kernel_function(CHAR_DEV)
def cdev_init(cpu: Cpu, cdev: ptr, ops: ptr) -> None:
    cpu.space.write(cdev, bytes(cpu.structs.size("cdev")))
    cpu.structs.list_init(cpu.structs.at(cdev, "cdev.list"))
    cpu.structs.set(cdev, "cdev.ops", ops)


@kernel_function(CHAR_DEV)
def cdev_add(cpu: Cpu, cdev: ptr, device: u32, count: u32) -> s32:
    if device == 0xFFFFFFFF:
        return -EBUSY
    cpu.structs.set(cdev, "cdev.dev", device)
    cpu.structs.set(cdev, "cdev.count", count)
    cpu.chrdevs.cdevs[cdev] = (device, count)
    return 0


@kernel_function(CHAR_DEV)
def cdev_del(cpu: Cpu, cdev: ptr) -> None:
    cpu.chrdevs.cdevs.pop(cdev, None)


@kernel_function(CHAR_DEV)
def cdev_set_parent(cpu: Cpu, cdev: ptr, kobject: ptr) -> None:
    """The parent lives as long as the cdev; nothing here goes by that."""


# --- misc devices


@kernel_function(MISC)
def misc_register(cpu: Cpu, misc: ptr) -> s32:
    """A minor of major 10, and /dev/NAME, made by devtmpfs."""
    minors = cpu.chrdevs.misc_minors
    minor = cpu.structs.get(misc, "miscdevice.minor")
    if minor == MISC_DYNAMIC_MINOR:
        used = minors.keys() | cpu.chrdevs.misc_taken
        minor = next((m for m in range(DYNAMIC_MINORS - 1, -1, -1) if m not in used), -1)
        if minor < 0:
            return -EBUSY
        cpu.structs.set(misc, "miscdevice.minor", minor)
    elif minor in minors or minor in cpu.chrdevs.misc_taken:
        return -EBUSY
    name = cpu.space.string(cpu.structs.get(misc, "miscdevice.name")).decode("utf-8", "replace")
    node = _misc_node(cpu, misc, minor)
    path = f"/dev/{_node_name(cpu, misc) or name.replace('!', '/')}"
    if not cpu.vfs.add(path, node):
        return -EEXIST
    cpu.structs.list_init(cpu.structs.at(misc, "miscdevice.list"))
    minors[minor] = misc
    cpu.device_paths[misc] = path
    return 0


def _node_name(cpu: Cpu, misc: int) -> str:
    pointer = cpu.structs.get(misc, "miscdevice.nodename")
    return cpu.space.string(pointer).decode("utf-8", "replace") if pointer else ""


def _misc_node(cpu: Cpu, misc: int, minor: int) -> FileNode:
    """misc_open: the driver's own operations, the device in ``private_data``."""
    ops = cpu.structs.get(misc, "miscdevice.fops")
    owner = module_at(cpu, cpu.structs.get(ops, "file_operations.owner"))
    rdev = MISC_MAJOR << MINOR_BITS | minor
    kind = FileKind(ops, mode=S_IFCHR, rdev=rdev, owner=owner, file_private=misc)
    return FileNode(cpu, kind, cpu.structs.get(misc, "miscdevice.mode") or 0o600)


@kernel_function(MISC)
def misc_deregister(cpu: Cpu, misc: ptr) -> None:
    cpu.chrdevs.misc_minors.pop(cpu.structs.get(misc, "miscdevice.minor"), None)
    path = cpu.device_paths.pop(misc, "")
    if path:
        cpu.vfs.remove(path)


__all__ = ["CharDevices", "device_node"]
