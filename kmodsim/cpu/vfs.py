# SPDX-License-Identifier: GPL-2.0-only
"""Files that modules make, as a process meets them: devices, /proc, debugfs, attributes in /sys.

A ``Node`` says what open, read, write and ioctl do; who makes one is in ``api/``: a character device calls
the module's ``file_operations``, an attribute its ``show``. The paths are those of a system with devtmpfs,
/proc, /sys and debugfs mounted where they always are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from ..errors import EBADF, EINVAL, EISDIR, ENOENT, ENOTTY, O_ACCMODE, O_RDONLY, O_WRONLY, KernelError
from .space import GuestFault
from .traps import kernel_function_faulted

if TYPE_CHECKING:
    from .cpu import Cpu

PAGE = 4096
WHOLE_FILE = 16 << 20


class Handle(Protocol):
    """An open file as its node knows it. Errors are ``KernelError``."""

    def read(self, length: int) -> bytes: ...
    def write(self, data: bytes) -> int: ...
    def ioctl(self, command: int, argument: int) -> int: ...
    def lseek(self, offset: int, whence: int) -> int: ...
    def close(self) -> None: ...


class Node(Protocol):
    """A file in the tree: ``mode`` its permission bits; ``open`` gives a handle or raises ``KernelError``."""

    mode: int

    def open(self, flags: int) -> Handle: ...


class OpenFile:
    """What ``kernel.open`` returns: the process's side of one open file."""

    def __init__(self, cpu: Cpu, path: str, flags: int, handle: Handle) -> None:
        self._cpu, self.path, self.flags, self._handle = cpu, path, flags, handle
        self.closed = False

    @contextmanager
    def _enter(self, call: str, forbidden: int | None = None) -> Iterator[Handle]:
        """One system call on this file, and what becomes ready through it. A bad pointer in the kernel's own
        part of it is an oops."""
        if self.closed or (forbidden is not None and self.flags & O_ACCMODE == forbidden):
            raise KernelError(EBADF, why=f"{self.path} is closed, or was opened for something else")
        self._cpu.fresh_limits()
        try:
            yield self._handle
        except GuestFault as fault:
            kernel_function_faulted(self._cpu, call, self._cpu.local_symbol(call), fault)
        self._cpu.tasks.settle()

    def read(self, length: int = PAGE) -> bytes:
        """read(2): at most ``length`` bytes, b"" at the end."""
        with self._enter("ksys_read", O_WRONLY) as handle:
            return handle.read(length)

    def write(self, data: bytes | str) -> int:
        """write(2): how many bytes were taken."""
        raw = data.encode() if isinstance(data, str) else bytes(data)
        with self._enter("ksys_write", O_RDONLY) as handle:
            return handle.write(raw)

    def ioctl(self, command: int, argument: int = 0) -> int:
        """ioctl(2): what the driver returned. ``argument``: a number or a user address."""
        with self._enter("__x64_sys_ioctl") as handle:
            return handle.ioctl(command, argument)

    def lseek(self, offset: int, whence: int = 0) -> int:
        """lseek(2): the new position."""
        with self._enter("ksys_lseek") as handle:
            return handle.lseek(offset, whence)

    def close(self) -> None:
        """close(2): the last reference goes, the driver's ``release`` runs."""
        with self._enter("filp_close") as handle:
            self.closed = True
            handle.close()

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.closed:
            self.close()


class Vfs:
    """The tree of such files."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self.nodes: dict[str, Node | None] = {}  # None: a folder

    def add(self, path: str, node: Node) -> bool:
        """Put a file there; False when the path is taken."""
        if path in self.nodes:
            return False
        self.nodes[path] = node
        return True

    def add_folder(self, path: str) -> bool:
        if path in self.nodes:
            return False
        self.nodes[path] = None
        return True

    def remove(self, path: str) -> None:
        """Take a file away, or a folder with all that is in it."""
        for each in [p for p in self.nodes if p == path or p.startswith(f"{path}/")]:
            del self.nodes[each]

    def open(self, path: str, flags: int) -> OpenFile:
        """open(2); ENOENT, EISDIR, and what the driver's ``open`` says."""
        node = self.nodes.get(path)
        if node is None:
            raise KernelError(EISDIR if self.is_folder(path) else ENOENT, stage="openat", why=path)
        self._cpu.fresh_limits()
        try:
            file = OpenFile(self._cpu, path, flags, node.open(flags))
        except GuestFault as fault:
            place = self._cpu.local_symbol("do_sys_openat2")
            kernel_function_faulted(self._cpu, "do_sys_openat2", place, fault)
        self._cpu.tasks.settle()
        return file

    # --- for kernel.read, write and listdir

    def has(self, path: str) -> bool:
        return path in self.nodes or self.is_folder(path)

    def read(self, path: str) -> str:
        """The whole file, as ``cat`` reads it."""
        with self.open(path, O_RDONLY) as file:
            out = bytearray()
            while len(out) < WHOLE_FILE and (piece := file.read(PAGE)):
                out += piece
        return out.decode("utf-8", "surrogateescape")

    def write(self, path: str, text: str) -> None:
        """One write of the whole text, as ``echo`` does it."""
        with self.open(path, O_WRONLY) as file:
            file.write(text.encode("utf-8", "surrogateescape"))

    def listdir(self, path: str) -> list[str] | None:
        """Names in a folder; None when there is no such folder here."""
        return sorted(set(self._below(path))) if self.is_folder(path) else None

    def is_folder(self, path: str) -> bool:
        return (path in self.nodes and self.nodes[path] is None) or any(self._below(path))

    def _below(self, path: str) -> Iterator[str]:
        start = path.rstrip("/") + "/"
        return (each[len(start) :].split("/", 1)[0] for each in self.nodes if each.startswith(start))


class PlainHandle:
    """What a handle does unless its node says otherwise: nothing can be done with it."""

    def read(self, length: int) -> bytes:
        raise KernelError(EINVAL, stage="vfs_read", why="the file cannot be read")

    def write(self, data: bytes) -> int:
        raise KernelError(EINVAL, stage="vfs_write", why="the file cannot be written to")

    def ioctl(self, command: int, argument: int) -> int:
        raise KernelError(ENOTTY, stage="vfs_ioctl")

    def lseek(self, offset: int, whence: int) -> int:
        raise KernelError(EINVAL, stage="vfs_llseek")

    def close(self) -> None:
        pass


__all__ = ["Handle", "Node", "OpenFile", "PlainHandle", "Vfs"]
