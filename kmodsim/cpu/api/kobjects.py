# SPDX-License-Identifier: GPL-2.0-only
"""kobjects and their attributes: folders and files under /sys (``lib/kobject.c``, ``fs/sysfs``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import EACCES, EEXIST, EINVAL, EIO, ENOENT, O_ACCMODE, O_RDONLY, O_WRONLY, KernelError
from ...memory import PAGE_SIZE
from ..abi import VarArgs, cstr, ptr, s32, u32
from ..fileops import checked
from ..table import kernel_function
from ..vfs import PlainHandle
from .slab import allocate

if TYPE_CHECKING:
    from ..cpu import Cpu

KOBJECT, SYSFS_FILE, SYSFS_GROUP = "lib/kobject.c", "fs/sysfs/file.c", "fs/sysfs/group.c"
# pointers of the kernel's own folders, by the variable that holds them
WELL_KNOWN = {
    "kernel_kobj": "/sys/kernel", "fs_kobj": "/sys/fs", "firmware_kobj": "/sys/firmware",
    "power_kobj": "/sys/power", "mm_kobj": "/sys/kernel/mm", "hypervisor_kobj": "/sys/hypervisor",
}  # fmt: skip


class Kobjects:
    """Which kobject is which folder; those of the kernel itself are made when they are asked for."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self.paths: dict[int, str] = {}
        for variable, path in WELL_KNOWN.items():
            pointer = cpu.symbol(variable)
            if pointer:
                kobject = cpu.heap.kmalloc(cpu.structs.size("kobject"), zero=True)
                cpu.space.store(pointer, kobject, 8)
                self.paths[kobject] = path

    def path(self, kobject: int) -> str:
        """The folder of a kobject, "" for one that was not added; a module's own is /sys/module/NAME."""
        if kobject in self.paths:
            return self.paths[kobject]
        for mod in self._cpu.kernel.module_list:
            field = self._cpu.profile.struct("module").fields.get("mkobj.kobj")
            if field and mod.address + field[0] == kobject:
                return f"/sys/module/{mod.name}"
        return ""

    def name(self, kobject: int) -> str:
        pointer = self._cpu.structs.get(kobject, "kobject.name")
        return self._cpu.space.string(pointer).decode("utf-8", "replace") if pointer else ""


def set_name(cpu: Cpu, kobject: int, name: bytes) -> None:
    """kobject_set_name_vargs: a copy of the text, ``/`` in it becomes ``!``."""
    cpu.heap.kfree(cpu.structs.get(kobject, "kobject.name"))
    cpu.structs.set(kobject, "kobject.name", cpu.heap.strdup(name.replace(b"/", b"!")))


def initialize(cpu: Cpu, kobject: int, ktype: int) -> None:
    cpu.structs.set(kobject, "kobject.kref", 1)
    cpu.structs.list_init(cpu.structs.at(kobject, "kobject.entry"))
    cpu.structs.set(kobject, "kobject.ktype", ktype)


def add(cpu: Cpu, kobject: int, parent: int) -> int:
    """kobject_add_internal: the folder, and the default groups of its type; 0 or a negative errno."""
    parent = parent or cpu.structs.get(kobject, "kobject.parent")
    kset = cpu.structs.get(kobject, "kobject.kset")
    parent = parent or (cpu.structs.at(kset, "kset.kobj") if kset else 0)
    name = cpu.kobjects.name(kobject)
    if not name:
        return -EINVAL
    path = f"{cpu.kobjects.path(parent) if parent else '/sys'}/{name}"
    if not cpu.vfs.add_folder(path):
        cpu.kernel.printk(4, f"sysfs: cannot create duplicate filename '{path.removeprefix('/sys')}'")
        cpu.kernel.printk(3, f"kobject_add_internal failed for {name} with -EEXIST, don't try to register "
                             "things with the same name in the same directory.")  # fmt: skip
        return -EEXIST
    cpu.structs.set(kobject, "kobject.parent", parent)
    cpu.kobjects.paths[kobject] = path
    ktype = cpu.structs.get(kobject, "kobject.ktype")
    groups = cpu.structs.get(ktype, "kobj_type.default_groups") if ktype else 0
    return add_groups(cpu, kobject, groups)


@kernel_function(KOBJECT)
def kobject_init(cpu: Cpu, kobject: ptr, ktype: ptr) -> None:
    initialize(cpu, kobject, ktype)


@kernel_function(KOBJECT)
def kobject_set_name(cpu: Cpu, kobject: ptr, fmt: cstr, args: VarArgs) -> s32:
    set_name(cpu, kobject, cpu.format(fmt, args))
    return 0


@kernel_function(KOBJECT)
def kobject_add(cpu: Cpu, kobject: ptr, parent: ptr, fmt: cstr, args: VarArgs) -> s32:
    set_name(cpu, kobject, cpu.format(fmt, args))
    return add(cpu, kobject, parent)


@kernel_function(KOBJECT)
def kobject_init_and_add(cpu: Cpu, kobject: ptr, ktype: ptr, parent: ptr, fmt: cstr, args: VarArgs) -> s32:
    initialize(cpu, kobject, ktype)
    set_name(cpu, kobject, cpu.format(fmt, args))
    return add(cpu, kobject, parent)


@kernel_function(KOBJECT)
def kobject_create_and_add(cpu: Cpu, name: cstr, parent: ptr) -> ptr:
    """0 when it cannot be."""
    kobject = allocate(cpu, cpu.structs.size("kobject"), 0x100)
    if not kobject:
        return 0
    initialize(cpu, kobject, 0)
    set_name(cpu, kobject, name)
    if add(cpu, kobject, parent):
        cpu.heap.kfree(kobject)
        return 0
    cpu.kobjects_of_ours.add(kobject)
    return kobject


@kernel_function(KOBJECT)
def kobject_get(cpu: Cpu, kobject: ptr) -> ptr:
    if kobject:
        cpu.structs.set(kobject, "kobject.kref", cpu.structs.get(kobject, "kobject.kref") + 1)
    return kobject


@kernel_function(KOBJECT)
def kobject_del(cpu: Cpu, kobject: ptr) -> None:
    remove(cpu, kobject)


def remove(cpu: Cpu, kobject: int) -> None:
    path = cpu.kobjects.paths.pop(kobject, "")
    if path:
        cpu.vfs.remove(path)


@kernel_function(KOBJECT)
def kobject_put(cpu: Cpu, kobject: ptr) -> None:
    """The last one takes the folder away and calls the type's ``release``."""
    if not kobject:
        return
    count = cpu.structs.get(kobject, "kobject.kref") - 1
    cpu.structs.set(kobject, "kobject.kref", max(count, 0))
    if count > 0:
        return
    remove(cpu, kobject)
    name, ktype = cpu.structs.get(kobject, "kobject.name"), cpu.structs.get(kobject, "kobject.ktype")
    release = cpu.structs.get(ktype, "kobj_type.release") if ktype else 0
    if kobject in cpu.kobjects_of_ours:
        cpu.kobjects_of_ours.discard(kobject)
        cpu.heap.kfree(kobject)
    elif release:
        cpu.call_any(release, kobject)
    cpu.heap.kfree(name)


@kernel_function("lib/kobject_uevent.c", "kobject_uevent_env")
def kobject_uevent(cpu: Cpu, kobject: ptr, action: u32) -> s32:
    """udev would hear of it."""
    return 0


@kernel_function(KOBJECT)
def kset_create_and_add(cpu: Cpu, name: cstr, uevent_ops: ptr, parent: ptr) -> ptr:
    kset = allocate(cpu, cpu.structs.size("kset"), 0x100)
    kobject = cpu.structs.at(kset, "kset.kobj")
    initialize(cpu, kobject, 0)
    set_name(cpu, kobject, name)
    if add(cpu, kobject, parent):
        cpu.heap.kfree(kset)
        return 0
    return kset


@kernel_function(KOBJECT)
def kset_unregister(cpu: Cpu, kset: ptr) -> None:
    if kset:
        remove(cpu, cpu.structs.at(kset, "kset.kobj"))


# --- attributes


@dataclass(frozen=True)
class Shown:
    """How an attribute is read and written: functions with their leading arguments, 0 for none."""

    show: int
    store: int
    leading: tuple[int, ...]


class Attribute:
    """A file of /sys. Reading calls ``show`` with a page of its own, writing ``store`` with a copy."""

    def __init__(self, cpu: Cpu, kobject: int, attribute: int, mode: int) -> None:
        self._cpu, self._kobject, self._attribute, self.mode = cpu, kobject, attribute, mode

    def open(self, flags: int) -> AttributeHandle:
        """EACCES where the mode has no such bit, for root too (``fs/kernfs/file.c:kernfs_fop_open``)."""
        access = flags & O_ACCMODE
        needed = (0o444 if access != O_WRONLY else 0o777, 0o222 if access != O_RDONLY else 0o777)
        if not all(self.mode & bits for bits in needed):
            raise KernelError(EACCES, stage="kernfs_fop_open", why=f"mode {self.mode:04o}")
        return AttributeHandle(self._cpu, self.functions())

    def functions(self) -> Shown:
        """By the kobject's type: the functions of its sysfs_ops, or the attribute's own."""
        cpu, kobject, attribute = self._cpu, self._kobject, self._attribute
        if kobject in cpu.devices:
            device = cpu.devices[kobject]
            names, leading = "device_attribute", (device, attribute)
        else:
            ktype = cpu.structs.get(kobject, "kobject.ktype")
            ops = cpu.structs.get(ktype, "kobj_type.sysfs_ops") if ktype else 0
            if ops and ops != cpu.symbol("kobj_sysfs_ops"):
                show, store = (cpu.structs.get(ops, f"sysfs_ops.{name}") for name in ("show", "store"))
                return Shown(show, store, (kobject, attribute))
            names, leading = "kobj_attribute", (kobject, attribute)
        show, store = (cpu.structs.get(attribute, f"{names}.{name}") for name in ("show", "store"))
        return Shown(show, store, leading)


class AttributeHandle(PlainHandle):
    """One open attribute (``fs/sysfs/file.c:sysfs_kf_seq_show``, ``sysfs_kf_write``)."""

    def __init__(self, cpu: Cpu, functions: Shown) -> None:
        self._cpu, self._functions, self._position = cpu, functions, 0
        self._text: bytes | None = None

    def read(self, length: int) -> bytes:
        if self._text is None:
            self._text = self._show()
        piece = self._text[self._position : self._position + length]
        self._position += len(piece)
        return piece

    def _show(self) -> bytes:
        if not self._functions.show:
            raise KernelError(EIO, stage="sysfs_kf_seq_show")
        cpu = self._cpu
        page = cpu.pages.alloc_pages(0)
        try:
            length = checked(cpu.outside(self._functions.show, *self._functions.leading, page))
            return cpu.space.read(page, min(length, PAGE_SIZE - 1))
        finally:
            cpu.pages.vfree(page)

    def write(self, data: bytes) -> int:
        if not self._functions.store:
            raise KernelError(EIO, stage="sysfs_kf_write")
        cpu, text = self._cpu, data[: PAGE_SIZE - 1]
        copy = cpu.heap.kmalloc(len(text) + 1, zero=True)
        cpu.space.write(copy, text)
        try:
            return checked(cpu.outside(self._functions.store, *self._functions.leading, copy, len(text)))
        finally:
            cpu.heap.kfree(copy)

    def lseek(self, offset: int, whence: int) -> int:
        self._position, self._text = offset, None
        return offset


def add_attribute(cpu: Cpu, kobject: int, attribute: int, folder: str = "") -> int:
    """0 or a negative errno."""
    path = cpu.kobjects.path(kobject)
    if not path:
        return -ENOENT
    name = cpu.space.string(cpu.structs.get(attribute, "attribute.name")).decode("utf-8", "replace")
    mode = cpu.structs.get(attribute, "attribute.mode") & 0o777
    where = f"{path}/{folder}/{name}" if folder else f"{path}/{name}"
    if not cpu.vfs.add(where, Attribute(cpu, kobject, attribute, mode)):
        cpu.kernel.printk(4, f"sysfs: cannot create duplicate filename '{where.removeprefix('/sys')}'")
        return -EEXIST
    return 0


def remove_attribute(cpu: Cpu, kobject: int, attribute: int) -> None:
    name = cpu.space.string(cpu.structs.get(attribute, "attribute.name")).decode("utf-8", "replace")
    cpu.vfs.remove(f"{cpu.kobjects.path(kobject)}/{name}")


def pointers(cpu: Cpu, array: int) -> Iterator[int]:
    """The entries of an array of pointers that ends with NULL."""
    while array and (entry := cpu.space.number(array, 8)):
        yield entry
        array += 8


def add_group(cpu: Cpu, kobject: int, group: int) -> int:
    """sysfs_create_group: in a folder when the group has a name; ``is_visible`` may hide one or change its
    mode."""
    pointer = cpu.structs.get(group, "attribute_group.name")
    folder = cpu.space.string(pointer).decode("utf-8", "replace") if pointer else ""
    if folder and not cpu.vfs.add_folder(f"{cpu.kobjects.path(kobject)}/{folder}"):
        return -EEXIST
    visible = cpu.structs.get(group, "attribute_group.is_visible")
    for i, attribute in enumerate(pointers(cpu, cpu.structs.get(group, "attribute_group.attrs"))):
        if visible and not cpu.call_any(visible, kobject, attribute, i) & 0xFFFF:
            continue
        if error := add_attribute(cpu, kobject, attribute, folder):
            return error
    return 0


def add_groups(cpu: Cpu, kobject: int, groups: int) -> int:
    return next((error for group in pointers(cpu, groups) if (error := add_group(cpu, kobject, group))), 0)


@kernel_function(SYSFS_FILE)
def sysfs_create_file_ns(cpu: Cpu, kobject: ptr, attribute: ptr, namespace: ptr) -> s32:
    return add_attribute(cpu, kobject, attribute)


@kernel_function(SYSFS_FILE)
def sysfs_remove_file_ns(cpu: Cpu, kobject: ptr, attribute: ptr, namespace: ptr) -> None:
    remove_attribute(cpu, kobject, attribute)


@kernel_function(SYSFS_FILE)
def sysfs_create_files(cpu: Cpu, kobject: ptr, attributes: ptr) -> s32:
    entries = pointers(cpu, attributes)
    return next((error for each in entries if (error := add_attribute(cpu, kobject, each))), 0)


@kernel_function(SYSFS_FILE)
def sysfs_remove_files(cpu: Cpu, kobject: ptr, attributes: ptr) -> None:
    for attribute in pointers(cpu, attributes):
        remove_attribute(cpu, kobject, attribute)


@kernel_function(SYSFS_GROUP)
def sysfs_create_group(cpu: Cpu, kobject: ptr, group: ptr) -> s32:
    return add_group(cpu, kobject, group)


@kernel_function(SYSFS_GROUP)
def sysfs_create_groups(cpu: Cpu, kobject: ptr, groups: ptr) -> s32:
    return add_groups(cpu, kobject, groups)


@kernel_function(SYSFS_GROUP)
def sysfs_remove_group(cpu: Cpu, kobject: ptr, group: ptr) -> None:
    pointer = cpu.structs.get(group, "attribute_group.name")
    if pointer:
        folder = cpu.space.string(pointer).decode("utf-8", "replace")
        cpu.vfs.remove(f"{cpu.kobjects.path(kobject)}/{folder}")
        return
    for attribute in pointers(cpu, cpu.structs.get(group, "attribute_group.attrs")):
        remove_attribute(cpu, kobject, attribute)


@kernel_function(SYSFS_GROUP)
def sysfs_remove_groups(cpu: Cpu, kobject: ptr, groups: ptr) -> None:
    for group in pointers(cpu, groups):
        sysfs_remove_group(cpu, kobject, group)


@kernel_function(SYSFS_FILE)
def sysfs_notify(cpu: Cpu, kobject: ptr, folder: ptr, attribute: ptr) -> None:
    """Whoever polls the file would wake up."""


@kernel_function("fs/sysfs/symlink.c")
def sysfs_create_link(cpu: Cpu, kobject: ptr, target: ptr, name: cstr) -> s32:
    """A link to a folder counts as a folder of its own."""
    path = f"{cpu.kobjects.path(kobject)}/{name.decode('utf-8', 'replace')}"
    return 0 if cpu.vfs.add_folder(path) else -EEXIST


@kernel_function("fs/sysfs/symlink.c")
def sysfs_remove_link(cpu: Cpu, kobject: ptr, name: cstr) -> None:
    cpu.vfs.remove(f"{cpu.kobjects.path(kobject)}/{name.decode('utf-8', 'replace')}")


# --- what show functions write with


def _emit(cpu: Cpu, page: int, at: int, fmt: bytes, args: VarArgs) -> int:
    """At most to the end of the page; the length without NUL. Not at a page's start: a WARN, nothing
    written."""
    if page % PAGE_SIZE or not 0 <= at < PAGE_SIZE:
        cpu.kernel.printk(4, f"invalid sysfs_emit: buf:{cpu.kernel.hashed_pointer(page)}")
        return 0
    text = cpu.format(fmt, args)[: PAGE_SIZE - at - 1]
    cpu.space.write(page + at, text + b"\0")
    return len(text)


@kernel_function(SYSFS_FILE)
def sysfs_emit(cpu: Cpu, page: ptr, fmt: cstr, args: VarArgs) -> s32:
    return _emit(cpu, page, 0, fmt, args)


@kernel_function(SYSFS_FILE)
def sysfs_emit_at(cpu: Cpu, page: ptr, at: s32, fmt: cstr, args: VarArgs) -> s32:
    return _emit(cpu, page, at, fmt, args)
