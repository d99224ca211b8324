# SPDX-License-Identifier: GPL-2.0-only
"""Open files whose operations are a module's: ``struct file`` and ``struct inode`` in the kernel's memory.

Models ``fs/open.c:do_dentry_open``, ``fs/read_write.c`` and ``fs/ioctl.c`` as far as a driver sees of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import (
    EFAULT,
    EINTR,
    EINVAL,
    EIO,
    ENOTTY,
    ENXIO,
    ESPIPE,
    O_ACCMODE,
    O_RDONLY,
    O_WRONLY,
    KernelError,
)
from ..memory import page_align
from .abi import signed
from .vfs import Handle

if TYPE_CHECKING:
    from ..module import Module
    from .cpu import Cpu

FMODE_READ, FMODE_WRITE, FMODE_LSEEK = 1, 2, 4  # include/linux/fs.h
S_IFCHR, S_IFREG = 0o020000, 0o100000
RESTART = {512: EINTR, 513: EINTR, 514: EINTR, 516: EINTR, 515: ENOTTY}  # include/linux/errno.h
MAX_RW_COUNT = 0x7FFFF000
NO_OPERATION = {"file_operations": EINVAL, "proc_ops": EIO}  # vfs_read; fs/proc/inode.c:proc_reg_read
# the same operations under two structures' names
FILE_OPERATIONS = ("open", "read", "write", "llseek", "release", "unlocked_ioctl", "flush", "read_iter")
OPERATIONS = {
    "file_operations": {name: name for name in FILE_OPERATIONS},
    "proc_ops": {
        "open": "proc_open", "read": "proc_read", "write": "proc_write", "llseek": "proc_lseek",
        "release": "proc_release", "unlocked_ioctl": "proc_ioctl", "read_iter": "proc_read_iter",
    },
}  # fmt: skip


def checked(value: int) -> int:
    """What a driver's function returned, as the system call's result; KernelError for a negative one."""
    result = signed(value, 64)
    if -4095 <= result < 0:
        raise KernelError(RESTART.get(-result, -result), why=f"the driver returned {result}")
    return result


@dataclass(frozen=True)
class FileKind:
    """What a file in the tree is made of: its operations (address, structure), its inode's fields."""

    ops: int
    struct: str = "file_operations"
    mode: int = S_IFREG
    rdev: int = 0
    cdev: int = 0
    private: int = 0
    owner: Module | None = None
    file_private: int = 0  # file->private_data before open, as misc_open sets it


class FileNode:
    """A file whose operations are in the kernel's memory."""

    def __init__(self, cpu: Cpu, kind: FileKind, mode: int = 0o600) -> None:
        self._cpu, self._kind, self.mode = cpu, kind, mode
        self.tag = 0  # a structure of the kernel's own that stands for this file

    def open(self, flags: int) -> Handle:
        """do_dentry_open: a reference on the owner, then its ``open``. ENXIO: the module is on its way
        out."""
        owner = self._kind.owner
        if owner is not None and not self._cpu.kernel.try_module_get(owner):
            raise KernelError(ENXIO, stage="fops_get")
        self._cpu.opening = self.tag
        handle = OpsHandle(self._cpu, self._kind, flags)
        try:
            handle.call_open()
        except KernelError:
            handle.forget()
            raise
        return handle


class OpsHandle:
    """One ``struct file``."""

    def __init__(self, cpu: Cpu, kind: FileKind, flags: int) -> None:
        self._cpu, self._kind = cpu, kind
        self.inode = self._new("inode", {
            "i_rdev": kind.rdev, "i_cdev": kind.cdev, "i_private": kind.private, "i_mode": kind.mode | 0o600,
        })  # fmt: skip
        access = flags & O_ACCMODE
        mode = FMODE_LSEEK | (access != O_WRONLY) * FMODE_READ | (access != O_RDONLY) * FMODE_WRITE
        self.file = self._new("file", {
            "f_op": kind.ops if kind.struct == "file_operations" else 0, "f_inode": self.inode,
            "f_flags": flags, "f_mode": mode, "private_data": kind.file_private,
        })  # fmt: skip

    def _new(self, struct: str, fields: dict[str, int]) -> int:
        address = self._cpu.heap.kmalloc(self._cpu.structs.size(struct), zero=True, cache=struct)
        for name, value in fields.items():
            self._cpu.structs.set(address, f"{struct}.{name}", value)
        return address

    def _operation(self, name: str) -> int:
        """The address of an operation, 0 where there is none; ``open`` may have put others in their place."""
        ops, struct = self._kind.ops, self._kind.struct
        if struct == "file_operations":
            ops = self._cpu.structs.get(self.file, "file.f_op")
        field = OPERATIONS[struct].get(name)
        return self._cpu.structs.get(ops, f"{struct}.{field}") if ops and field else 0

    def _call(self, function: int, *args: int) -> int:
        return checked(self._cpu.outside(function, *args))

    def call_open(self) -> None:
        if function := self._operation("open"):
            self._call(function, self.inode, self.file)

    def read(self, length: int) -> bytes:
        """vfs_read: EINVAL, in /proc EIO, when it cannot be read; EFAULT when the driver claims more than was
        asked for."""
        count = min(length, MAX_RW_COUNT)
        function = self._operation("read")
        if not function and self._operation("read_iter") == self._cpu.symbol("seq_read_iter"):
            function = self._cpu.symbol("seq_read")  # the same, by another door
        if not function:
            raise KernelError(NO_OPERATION[self._kind.struct], stage="vfs_read")
        with user_buffer(self._cpu, bytes(count)) as buffer:
            done = self._transfer(function, buffer, count)
            if done > count:
                raise KernelError(EFAULT, stage="vfs_read", why=f"the driver says {done} bytes of {count}")
            return self._cpu.kernel.user_memory().copy_from_user(buffer, done)

    def write(self, data: bytes) -> int:
        """vfs_write."""
        function = self._operation("write")
        if not function:
            raise KernelError(NO_OPERATION[self._kind.struct], stage="vfs_write")
        with user_buffer(self._cpu, data) as buffer:
            return self._transfer(function, buffer, len(data))

    def _transfer(self, function: int, buffer: int, count: int) -> int:
        """With the position in a copy, kept when it went well (``fs/read_write.c:ksys_read``)."""
        position = self._cpu.structs.at(self.file, "file.f_pos")
        before = self._cpu.space.number(position, 8)
        try:
            return self._call(function, self.file, buffer, count, position)
        except KernelError:
            self._cpu.space.store(position, before, 8)
            raise

    def ioctl(self, command: int, argument: int) -> int:
        function = self._operation("unlocked_ioctl")
        if not function:
            raise KernelError(ENOTTY, stage="vfs_ioctl")
        return self._call(function, self.file, command & 0xFFFFFFFF, argument)

    def lseek(self, offset: int, whence: int) -> int:
        """vfs_llseek: ESPIPE without an operation for it."""
        function = self._operation("llseek")
        if not function or not self._cpu.structs.get(self.file, "file.f_mode") & FMODE_LSEEK:
            raise KernelError(ESPIPE, stage="vfs_llseek")
        return self._call(function, self.file, offset, whence)

    def close(self) -> None:
        """filp_close, __fput: nobody hears what ``release`` returns."""
        try:
            for name, args in (("flush", (self.file, 0)), ("release", (self.inode, self.file))):
                if function := self._operation(name):
                    self._cpu.outside(function, *args)
        finally:
            self.forget()

    def forget(self) -> None:
        """Give the structures and the reference on the owner back."""
        self._cpu.heap.kfree(self.file)
        self._cpu.heap.kfree(self.inode)
        if self._kind.owner is not None:
            self._cpu.kernel.module_put(self._kind.owner)


@contextmanager
def user_buffer(cpu: Cpu, data: bytes) -> Iterator[int]:
    """A buffer of the process in whole pages, nothing mapped behind it: its address."""
    user = cpu.kernel.user_memory()
    whole = page_align(max(len(data), 1))
    address = user.map(user.free_address(), data.ljust(whole, b"\0"))
    try:
        yield address
    finally:
        user.unmap(address, whole)
