# SPDX-License-Identifier: GPL-2.0-only
"""The system calls around the loader: init_module, finit_module, delete_module, and descriptors for their
files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import (
    EACCES,
    EBADF,
    EINVAL,
    EISDIR,
    EMFILE,
    ENOENT,
    ENOTDIR,
    EPERM,
    ETXTBSY,
    MODULE_INIT_COMPRESSED_FILE,
    O_ACCMODE,
    O_DIRECTORY,
    O_NONBLOCK,
    O_PATH,
    O_RDONLY,
    O_WRONLY,
    KernelError,
)
from .loader.copying import check_file_size, copy_module_from_user
from .loader.load import Load
from .loader.pipeline import MAIN, run_stages
from .records import Bytes
from .trace import Record, Trace

if TYPE_CHECKING:
    from .kernel import Kernel

MAX_DESCRIPTORS = 1024
# Steps before load_module: what they model, where it is, since which release
STEPS = {
    "may_init_module": ("may_init_module", MAIN, "2.6"),
    "finit_module": ("finit_module", MAIN, "3.8"),
    "kernel_read_file_from_fd": ("kernel_read_file_from_fd", "fs/kernel_read_file.c", "4.6"),
    "module_decompress": ("module_decompress", "kernel/module/decompress.c", "5.17"),
    "copy_module_from_user": ("copy_chunked_from_user", MAIN, "3.19"),
}
__all__ = ["O_NONBLOCK", "Call", "Descriptors", "delete_module", "finit_module", "init_module"]


@dataclass
class OpenFile:
    """An open file description: what kind it is, how it was opened, its bytes when it is a regular file."""

    path: str
    flags: int
    kind: str  # "file", "directory", "other"
    data: bytes = b""


class Descriptors:
    """The calling process's descriptors; 0, 1 and 2 are taken by streams that no module can come from."""

    def __init__(self) -> None:
        self._open: dict[int, OpenFile] = {n: OpenFile("/dev/console", 2, "other") for n in range(3)}

    def openat(self, path: str | Path, flags: int) -> int:
        """Lowest free descriptor; ENOENT, EACCES, EISDIR, ENOTDIR, EMFILE as open(2) gives them."""
        name = os.fspath(path)
        kind, data = _look(name)
        if flags & O_DIRECTORY and kind != "directory":
            raise KernelError(ENOTDIR, stage="openat")
        if kind == "directory" and flags & O_ACCMODE != O_RDONLY:
            raise KernelError(EISDIR, stage="openat")
        fd = next((n for n in range(MAX_DESCRIPTORS) if n not in self._open), None)
        if fd is None:
            raise KernelError(EMFILE, stage="openat")
        self._open[fd] = OpenFile(os.path.abspath(name), flags, kind, data)
        return fd

    def close(self, fd: int) -> None:
        if self._open.pop(fd, None) is None:
            raise KernelError(EBADF, stage="close")

    def kernel_read_file_from_fd(self, fd: int) -> bytes:
        """The file's bytes: EBADF, EINVAL (no regular file, or empty), ETXTBSY (somebody has it open for
        writing)."""
        file = self._open.get(fd)
        if file is None or file.flags & O_PATH or file.flags & O_ACCMODE == O_WRONLY:
            raise KernelError(EBADF)
        if file.kind != "file":
            raise KernelError(EINVAL, why="not a regular file")
        if any(
            f.path == file.path and f.flags & O_ACCMODE and not f.flags & O_PATH for f in self._open.values()
        ):
            raise KernelError(ETXTBSY)
        check_file_size(len(file.data))
        return file.data


def _look(path: str) -> tuple[str, bytes]:
    """What the host's file is, and its bytes; host errors become Linux's."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return "directory", b""
        if not stat.S_ISREG(mode):
            return "other", b""
        return "file", Path(path).read_bytes()
    except FileNotFoundError:
        raise KernelError(ENOENT, stage="openat", why=f"{path} does not exist") from None
    except NotADirectoryError:
        raise KernelError(ENOTDIR, stage="openat") from None
    except PermissionError:
        raise KernelError(EACCES, stage="openat") from None
    except (OSError, ValueError) as problem:
        raise KernelError(EINVAL, stage="openat", why=str(problem)) from None


def finit_module(call: Call, file: Any, capabilities: frozenset[str]) -> Load:
    """finit_module(2): permission, then flags, then the file, then load_module."""
    kernel, flags = call.kernel, call.load.flags
    call.step("may_init_module", "may the caller load modules?", lambda: _permission(kernel, capabilities))
    call.step("finit_module", "are the flags known?", lambda: _check_flags(kernel, flags))
    call.step("kernel_read_file_from_fd", "the kernel reads the whole file",
              lambda: call.take(_read(kernel, file)))  # fmt: skip
    if kernel.profile.rules.decompress is not None:
        call.step("module_decompress", "compressed files are for kernels that can",
                  lambda: _decompress(call.load))  # fmt: skip
    return call.load_module()


def init_module(call: Call, image: bytes | int, length: int | None, capabilities: frozenset[str]) -> Load:
    """init_module(2): permission, then the copy from user memory in chunks, then load_module."""
    kernel = call.kernel
    call.step("may_init_module", "may the caller load modules?", lambda: _permission(kernel, capabilities))
    call.step("copy_module_from_user", "the image is copied in chunks of 16 pages",
              lambda: call.take(_copy_image(kernel, image, length)))  # fmt: skip
    return call.load_module()


def delete_module(kernel: Kernel, name: str | bytes | int, flags: int, capabilities: frozenset[str]) -> None:
    """delete_module(2); ``kernel.unloading.trace`` keeps the records of the last call."""
    from .unloader import delete_module as unload

    start = len(kernel.dmesg)
    try:
        unload(kernel, name, flags, capabilities)
    except KernelError as error:
        error.stage = error.stage or "delete_module"
        error.dmesg = kernel.dmesg[start:]
        raise


class Call:
    """One loading system call: its own steps first, then load_module's stages; errors leave with stage and
    dmesg."""

    def __init__(
        self, kernel: Kernel, params: str | bytes | int, flags: int = 0, record: bool = False
    ) -> None:  # fmt: skip
        self.kernel, self.record, self.start = kernel, record, len(kernel.dmesg)
        raw = params.encode("utf-8", "surrogateescape") if isinstance(params, str) else params
        self.load = Load(kernel, np.zeros(0, np.uint8), 0, flags, raw, Trace())

    def take(self, copy: tuple[Bytes, int]) -> None:
        self.load.image, self.load.length = copy

    def step(self, name: str, title: str, action: Callable[[], None]) -> None:
        """One step before load_module."""
        error: KernelError | None = None
        try:
            action()
        except KernelError as problem:
            error = problem
            error.stage = error.stage or name
            error.dmesg = self.kernel.dmesg[self.start :]
            raise
        finally:
            if self.record:
                outputs = {"length": self.load.length} if self.load.length else {}
                function, source, since = STEPS[name]
                source = self.load.rules.source(source)
                record = Record(name, function, source, since, title, {"flags": self.load.flags}, outputs)
                self.load.trace.append(replace(record, error=str(error) if error else None))

    def load_module(self) -> Load:
        try:
            run_stages(self.load, self.load.rules.stages, record=self.record)
        except KernelError as error:
            error.dmesg = self.kernel.dmesg[self.start :]
            raise
        return self.load


def _permission(kernel: Kernel, capabilities: frozenset[str]) -> None:
    if not kernel.functions_of_stages["may_init_module"](capabilities, kernel.modules_disabled):
        raise KernelError(EPERM)


def _check_flags(kernel: Kernel, flags: int) -> None:
    if flags & ~kernel.profile.rules.finit_flags:
        raise KernelError(EINVAL, why=f"flags {flags:#x} has bits this kernel does not know")


def _decompress(load: Load) -> None:
    """``kernel/module/decompress.c:module_decompress``, where this kernel has it."""
    decompress = load.rules.decompress
    if load.flags & MODULE_INIT_COMPRESSED_FILE and decompress is not None:
        decompress(load)


def _read(kernel: Kernel, file: Any) -> tuple[Bytes, int]:
    if isinstance(file, int):
        data = kernel.descriptors.kernel_read_file_from_fd(file)
    elif isinstance(file, (bytes, bytearray, memoryview)):
        data = bytes(file)
        check_file_size(len(data))
    else:
        fd = kernel.openat(file, O_RDONLY)
        try:
            data = kernel.descriptors.kernel_read_file_from_fd(fd)
        finally:
            kernel.close(fd)
    return np.frombuffer(data, np.uint8), len(data)  # bytes do not change: as good as a copy


def _copy_image(kernel: Kernel, image: bytes | int, length: int | None) -> tuple[Bytes, int]:
    if isinstance(image, int):
        size = length or 0
        return copy_module_from_user(kernel, image, size), size
    size = len(image) if length is None else length
    user = kernel.user_memory()
    address = user.map(user.free_address(), bytes(image))
    try:
        return copy_module_from_user(kernel, address, size), size
    finally:
        user.unmap(address, len(image))
