# SPDX-License-Identifier: GPL-2.0-only
"""Files under /proc (``fs/proc/generic.c``). An entry's pointer is a stand-in ``struct proc_dir_entry``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import ENOMEM
from ..abi import cstr, ptr, s32, u16, u32
from ..fileops import FileKind, FileNode
from ..table import kernel_function
from .seq_file import Seq, of_file, seq_new, single_open
from .slab import allocate

if TYPE_CHECKING:
    from ..cpu import Cpu

SOURCE = "fs/proc/generic.c"


def _path(cpu: Cpu, parent: int, name: bytes) -> str:
    folder = cpu.proc_entries.get(parent, "/proc") if parent else "/proc"
    return f"{folder}/{name.decode('utf-8', 'replace')}"


def _entry(cpu: Cpu, path: str, data: int) -> int:
    """The pointer that the module gets; its data where ``pde_data`` finds them."""
    entry = allocate(cpu, cpu.structs.size("proc_dir_entry"), 0x100)
    cpu.structs.set(entry, "proc_dir_entry.data", data)
    cpu.proc_entries[entry] = path
    return entry


def _file(cpu: Cpu, parent: int, name: bytes, mode: int, ops: int, data: int) -> int:
    """A file with the module's ``proc_ops``; 0 and a WARN-like line when the name is taken."""
    path = _path(cpu, parent, name)
    if not cpu.vfs.has(path.rpartition("/")[0]) and path.count("/") > 2:
        return 0
    if cpu.vfs.has(path):
        folder, _, last = path.rpartition("/")
        cpu.kernel.printk(4, f"proc_dir_entry '{folder.removeprefix('/')}/{last}' already registered")
        return 0
    entry = _entry(cpu, path, data)
    cpu.structs.set(entry, "proc_dir_entry.proc_ops", ops)
    # pde_data(inode): the inode's private pointer (fs/proc/inode.c:proc_get_inode)
    kind = FileKind(ops, "proc_ops", private=data, owner=None)
    cpu.vfs.add(path, FileNode(cpu, kind, mode & 0o777 or 0o444))
    return entry


@kernel_function(SOURCE)
def proc_create(cpu: Cpu, name: cstr, mode: u16, parent: ptr, ops: ptr) -> ptr:
    return _file(cpu, parent, name, mode, ops, 0)


@kernel_function(SOURCE)
def proc_create_data(cpu: Cpu, name: cstr, mode: u16, parent: ptr, ops: ptr, data: ptr) -> ptr:
    return _file(cpu, parent, name, mode, ops, data)


def _seq_ops(cpu: Cpu, opener: str, releaser: str) -> int:
    """The proc_ops the kernel itself uses for files that are only a show function or seq_operations."""
    if opener in cpu.own_proc_ops:
        return cpu.own_proc_ops[opener]
    ops = cpu.own_proc_ops[opener] = cpu.heap.kmalloc(cpu.structs.size("proc_ops"), zero=True)
    own = {"proc_open": opener, "proc_read": "seq_read", "proc_lseek": "seq_lseek", "proc_release": releaser}
    for field, function in own.items():
        cpu.structs.set(ops, f"proc_ops.{field}", cpu.local_symbol(function))
    return ops


@kernel_function(SOURCE)
def proc_create_single_data(cpu: Cpu, name: cstr, mode: u16, parent: ptr, show: ptr, data: ptr) -> ptr:
    entry = _file(cpu, parent, name, mode, _seq_ops(cpu, "proc_single_open", "single_release"), data)
    if entry:
        cpu.structs.set(entry, "proc_dir_entry.single_show", show)
        _remember(cpu, entry)
    return entry


@kernel_function(SOURCE)
def proc_create_seq_private(
    cpu: Cpu, name: cstr, mode: u16, parent: ptr, operations: ptr, size: u32, data: ptr
) -> ptr:
    entry = _file(cpu, parent, name, mode, _seq_ops(cpu, "proc_seq_open", "proc_seq_release"), data)
    if entry:
        cpu.structs.set(entry, "proc_dir_entry.seq_ops", operations)
        cpu.structs.set(entry, "proc_dir_entry.state_size", size)
        _remember(cpu, entry)
    return entry


def _remember(cpu: Cpu, entry: int) -> None:
    """So that the kernel's own open functions find the entry by the path of the file they open."""
    node = cpu.vfs.nodes[cpu.proc_entries[entry]]
    assert isinstance(node, FileNode)
    node.tag = entry


@kernel_function(SOURCE)
def proc_single_open(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    entry = cpu.opening
    show = cpu.structs.get(entry, "proc_dir_entry.single_show")
    return int(single_open(cpu, file, show, cpu.structs.get(entry, "proc_dir_entry.data")) or 0)


@kernel_function(SOURCE)
def proc_seq_open(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    entry = cpu.opening
    size = cpu.structs.get(entry, "proc_dir_entry.state_size")
    error = seq_new(cpu, file, cpu.structs.get(entry, "proc_dir_entry.seq_ops"))
    if not error and size:
        private = allocate(cpu, size, 0x100)
        of_file(cpu, file).set("private", private)
        error = 0 if private else -ENOMEM
    return error


@kernel_function(SOURCE)
def proc_seq_release(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    seq: Seq = of_file(cpu, file)
    cpu.heap.kfree(seq.get("private"))
    cpu.heap.kfree(seq.get("buf"))
    cpu.heap.kfree(seq.address)
    return 0


@kernel_function(SOURCE, "proc_net_mkdir")
def proc_mkdir(cpu: Cpu, name: cstr, parent: ptr) -> ptr:
    path = _path(cpu, parent, name)
    return _entry(cpu, path, 0) if cpu.vfs.add_folder(path) else 0


@kernel_function(SOURCE)
def proc_mkdir_mode(cpu: Cpu, name: cstr, mode: u16, parent: ptr) -> ptr:
    return int(proc_mkdir(cpu, name, parent) or 0)


@kernel_function(SOURCE)
def _proc_mkdir(cpu: Cpu, name: cstr, mode: u16, parent: ptr, data: ptr, force: bool) -> ptr:
    entry = int(proc_mkdir(cpu, name, parent) or 0)
    if entry:
        cpu.structs.set(entry, "proc_dir_entry.data", data)
    return entry


@kernel_function(SOURCE)
def proc_mkdir_data(cpu: Cpu, name: cstr, mode: u16, parent: ptr, data: ptr) -> ptr:
    return int(_proc_mkdir(cpu, name, mode, parent, data, False) or 0)


def _remove(cpu: Cpu, path: str) -> None:
    cpu.vfs.remove(path)
    for entry, each in list(cpu.proc_entries.items()):
        if each == path or each.startswith(f"{path}/"):
            del cpu.proc_entries[entry]
            cpu.heap.kfree(entry)


@kernel_function(SOURCE, "remove_proc_subtree")
def remove_proc_entry(cpu: Cpu, name: cstr, parent: ptr) -> None:
    """A name that is not there is a WARN."""
    path = _path(cpu, parent, name)
    if not cpu.vfs.has(path):
        cpu.kernel.printk(4, f"name '{name.decode('utf-8', 'replace')}'")
        return
    _remove(cpu, path)


@kernel_function(SOURCE)
def proc_remove(cpu: Cpu, entry: ptr) -> None:
    path = cpu.proc_entries.get(entry)
    if path:
        _remove(cpu, path)


@kernel_function("fs/proc/inode.c")
def pde_data(cpu: Cpu, inode: ptr) -> ptr:
    return cpu.structs.get(inode, "inode.i_private")


@kernel_function(SOURCE)
def proc_set_size(cpu: Cpu, entry: ptr, size: u32) -> None:
    """What ls shows."""


@kernel_function(SOURCE)
def proc_set_user(cpu: Cpu, entry: ptr, uid: u32, gid: u32) -> None:
    """Who owns the file."""
