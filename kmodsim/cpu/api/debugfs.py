# SPDX-License-Identifier: GPL-2.0-only
"""Files under /sys/kernel/debug (``fs/debugfs``). Mounted, as distributions have it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import EACCES, EEXIST, EFAULT, EINVAL, ESPIPE, KernelError
from ...params.kstrtox import kstrtobool, kstrtoll, kstrtoull
from ..abi import VarArgs, cstr, ptr, s32, s64, signed, u16, u64
from ..fileops import FileKind, FileNode
from ..table import kernel_function
from ..vfs import WHOLE_FILE, PlainHandle
from .modules import module_at
from .slab import allocate, free
from .uaccess import user_read, user_write

if TYPE_CHECKING:
    from ..cpu import Cpu

INODE, FILE, LIBFS = "fs/debugfs/inode.c", "fs/debugfs/file.c", "fs/libfs.c"
ROOT = "/sys/kernel/debug"
SIGNED, SWITCH = "{:-d}\n", "{}\n"  # how a variable is shown, which says how it is read, too
READERS = {SIGNED: kstrtoll, SWITCH: kstrtobool}


def _add(cpu: Cpu, parent: int, name: bytes, node: FileNode | Value | Bytes | None) -> int:
    """A dentry for a new file (a folder without ``node``), or -EEXIST with the kernel's line."""
    folder = cpu.dentries.get(parent, ROOT)
    if parent >= 1 << 63 and parent not in cpu.dentries and parent >= (1 << 64) - 4095:
        return parent  # the parent is an error pointer
    text = name.decode("utf-8", "replace")
    path = f"{folder}/{text}"
    done = cpu.vfs.add(path, node) if node is not None else cpu.vfs.add_folder(path)
    if not done:
        what = "File" if node is not None else "Directory"
        where = folder.rpartition("/")[2] if folder != ROOT else "/"
        cpu.kernel.printk(3, f"debugfs: {what} '{text}' in directory '{where}' already present!")
        return -EEXIST
    dentry = allocate(cpu, cpu.structs.size("dentry"), 0x100)
    cpu.dentries[dentry] = path
    return dentry


@kernel_function(INODE)
def debugfs_create_dir(cpu: Cpu, name: cstr, parent: ptr) -> ptr:
    return _add(cpu, parent, name, None)


@kernel_function(INODE, "debugfs_create_file_unsafe")
def debugfs_create_file(cpu: Cpu, name: cstr, mode: u16, parent: ptr, data: ptr, ops: ptr) -> ptr:
    owner = module_at(cpu, cpu.structs.get(ops, "file_operations.owner")) if ops else None
    return _add(cpu, parent, name, FileNode(cpu, FileKind(ops, private=data, owner=owner), mode & 0o777))


@kernel_function(INODE)
def debugfs_create_file_size(
    cpu: Cpu, name: cstr, mode: u16, parent: ptr, data: ptr, ops: ptr, size: u64
) -> None:
    debugfs_create_file(cpu, name, mode, parent, data, ops)


@kernel_function(INODE, "debugfs_remove_recursive")
def debugfs_remove(cpu: Cpu, dentry: ptr) -> None:
    path = cpu.dentries.get(dentry)
    if path is None:
        return
    cpu.vfs.remove(path)
    for each, name in list(cpu.dentries.items()):
        if name == path or name.startswith(f"{path}/"):
            del cpu.dentries[each]
            cpu.heap.kfree(each)


@kernel_function(INODE)
def debugfs_lookup(cpu: Cpu, name: cstr, parent: ptr) -> ptr:
    path = f"{cpu.dentries.get(parent, ROOT)}/{name.decode('utf-8', 'replace')}"
    return next((dentry for dentry, each in cpu.dentries.items() if each == path), 0)


@kernel_function(INODE)
def debugfs_lookup_and_remove(cpu: Cpu, name: cstr, parent: ptr) -> None:
    debugfs_remove(cpu, int(debugfs_lookup(cpu, name, parent) or 0))


@kernel_function(INODE)
def debugfs_initialized(cpu: Cpu) -> bool:
    return True


# --- files that are a variable


class Value(PlainHandle):
    """A number in memory as text, as DEFINE_DEBUGFS_ATTRIBUTE shows and stores it."""

    def __init__(self, cpu: Cpu, address: int, size: int, shown: str, mode: int) -> None:
        self._cpu, self._address, self._size, self._shown, self.mode = cpu, address, size, shown, mode & 0o777
        self._position = 0

    def open(self, flags: int) -> Value:
        return Value(self._cpu, self._address, self._size, self._shown, self.mode)

    def read(self, length: int) -> bytes:
        number = self._cpu.space.number(self._address, self._size, signed=self._shown == SIGNED)
        text = self._shown.format("NY"[bool(number)] if self._shown == SWITCH else number).encode()
        piece = text[self._position : self._position + length]
        self._position += len(piece)
        return piece

    def write(self, data: bytes) -> int:
        if not self.mode & 0o222:
            raise KernelError(EACCES, stage="simple_attr_write")
        text = data.rstrip(b"\0")
        number = int(READERS.get(self._shown, kstrtoull)(text))
        self._cpu.space.store(self._address, number & (1 << 8 * self._size) - 1, self._size)
        return len(data)


def _variable(name: str, size: int, shown: str) -> None:
    def create(cpu: Cpu, file: cstr, mode: u16, parent: ptr, address: ptr) -> None:
        _add(cpu, parent, file, Value(cpu, address, size, shown, mode))

    kernel_function(FILE, name=f"debugfs_create_{name}")(create)


for _name, _size, _shown in (
    ("u8", 1, "{:d}\n"), ("u16", 2, "{:d}\n"), ("u32", 4, "{:d}\n"), ("u64", 8, "{:d}\n"),
    ("ulong", 8, "{:d}\n"), ("size_t", 8, "{:d}\n"), ("atomic_t", 4, SIGNED), ("bool", 1, SWITCH),
    ("x8", 1, "0x{:02x}\n"), ("x16", 2, "0x{:04x}\n"), ("x32", 4, "0x{:08x}\n"), ("x64", 8, "0x{:016x}\n"),
):  # fmt: skip
    _variable(_name, _size, _shown)


class Bytes(PlainHandle):
    """A file whose bytes are made when it is opened; ``name``: the function that makes them, in case it
    faults."""

    def __init__(self, make: Callable[[], bytes], mode: int) -> None:
        self._make, self.mode, self._data, self._position = make, mode & 0o444, b"", 0

    def open(self, flags: int) -> Bytes:
        opened = Bytes(self._make, self.mode)
        opened._data = self._make()
        return opened

    def read(self, length: int) -> bytes:
        piece = self._data[self._position : self._position + length]
        self._position += len(piece)
        return piece


@kernel_function(FILE)
def debugfs_create_blob(cpu: Cpu, name: cstr, mode: u16, parent: ptr, blob: ptr) -> ptr:
    """``struct debugfs_blob_wrapper``: bytes somewhere, and how many."""
    pointer, size = (cpu.structs.at(blob, f"debugfs_blob_wrapper.{each}") for each in ("data", "size"))

    def content() -> bytes:
        return cpu.space.read(cpu.space.number(pointer, 8), min(cpu.space.number(size, 8), WHOLE_FILE))

    return _add(cpu, parent, name, Bytes(content, mode))


@kernel_function(FILE)
def debugfs_create_u32_array(cpu: Cpu, name: cstr, mode: u16, parent: ptr, array: ptr) -> None:
    """``struct debugfs_u32_array``: numbers with blanks between them."""
    pointer, count = (cpu.structs.at(array, f"debugfs_u32_array.{each}") for each in ("array", "n_elements"))

    def content() -> bytes:
        numbers = cpu.space.read(cpu.space.number(pointer, 8), 4 * cpu.space.number(count, 4))
        return (" ".join(str(int.from_bytes(numbers[i : i + 4], "little")) for i in range(0, len(numbers), 4))
                + "\n").encode()  # fmt: skip

    _add(cpu, parent, name, Bytes(content, mode))


# --- simple attributes: a get and a set function, and a format (fs/libfs.c)


@kernel_function(LIBFS)
def simple_open(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    private = cpu.structs.get(inode, "inode.i_private")
    if private:
        cpu.structs.set(file, "file.private_data", private)
    return 0


@kernel_function(LIBFS)
def simple_attr_open(cpu: Cpu, inode: ptr, file: ptr, get: ptr, store: ptr, fmt: ptr) -> s32:
    """An object of four words in ``private_data``: get, set, data, format; and whether it was read."""
    attr = allocate(cpu, 40, 0x100)
    for i, word in enumerate((get, store, cpu.structs.get(inode, "inode.i_private"), fmt)):
        cpu.space.store(attr + 8 * i, word, 8)
    cpu.structs.set(file, "file.private_data", attr)
    return 0


@kernel_function(LIBFS)
def simple_attr_release(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    free(cpu, cpu.structs.get(file, "file.private_data"))
    return 0


@kernel_function(LIBFS, "debugfs_attr_read")
def simple_attr_read(cpu: Cpu, file: ptr, buffer: ptr, count: u64, position: ptr) -> s64:
    attr = cpu.structs.get(file, "file.private_data")
    get, _, data, fmt = (cpu.space.number(attr + 8 * i, 8) for i in range(4))
    if not get:
        return -EACCES
    value = allocate(cpu, 8, 0x100)
    error = signed(cpu.call_any(get, data, value), 32)
    number = cpu.space.number(value, 8)
    free(cpu, value)
    if error:
        return error
    text = cpu.format(cpu.space.string(fmt), VarArgs(iter([number])))
    at = cpu.space.number(position, 8)
    piece = text[at : at + count]
    if user_write(cpu, buffer, piece) < len(piece):
        return -EFAULT
    cpu.space.store(position, at + len(piece), 8)
    return len(piece)


@kernel_function(LIBFS, "debugfs_attr_write", "simple_attr_write_signed", "debugfs_attr_write_signed")
def simple_attr_write(cpu: Cpu, file: ptr, buffer: ptr, count: u64, position: ptr) -> s64:
    attr = cpu.structs.get(file, "file.private_data")
    store, data = (cpu.space.number(attr + 8 * i, 8) for i in (1, 2))
    if not store:
        return -EACCES
    try:
        number = kstrtoull(user_read(cpu, buffer, min(count, 23)))
    except KernelError as error:
        return -(error.errno or EINVAL)
    return signed(cpu.call_any(store, data, number), 32) or count


@kernel_function("fs/read_write.c", "generic_file_llseek", "noop_llseek")
def default_llseek(cpu: Cpu, file: ptr, offset: s64, whence: s32) -> s64:
    """To an absolute or relative position; the end is not known here."""
    now = cpu.structs.get(file, "file.f_pos")
    target = offset + (now if whence == 1 else 0)
    if whence not in (0, 1) or target < 0:
        return -EINVAL
    cpu.structs.set(file, "file.f_pos", target)
    return target


@kernel_function("fs/read_write.c")
def fixed_size_llseek(cpu: Cpu, file: ptr, offset: s64, whence: s32, size: s64) -> s64:
    """SEEK_SET, SEEK_CUR, SEEK_END within ``size``."""
    base = {0: 0, 1: cpu.structs.get(file, "file.f_pos"), 2: size}.get(whence)
    if base is None or not 0 <= base + offset <= size:
        return -EINVAL
    cpu.structs.set(file, "file.f_pos", base + offset)
    return base + offset


@kernel_function("fs/read_write.c")
def no_llseek(cpu: Cpu, file: ptr, offset: s64, whence: s32) -> s64:
    return -ESPIPE


@kernel_function("fs/open.c", "stream_open")
def nonseekable_open(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    """FMODE_LSEEK, FMODE_PREAD and FMODE_PWRITE go."""
    cpu.structs.set(file, "file.f_mode", cpu.structs.get(file, "file.f_mode") & ~0x1C)
    return 0
