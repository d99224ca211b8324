# SPDX-License-Identifier: GPL-2.0-only
"""Classes and devices: folders under /sys/class, files under /dev (``drivers/base``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EEXIST, EINVAL, ENOMEM, ENXIO, KernelError
from ..abi import VarArgs, cstr, ptr, s32, u32
from ..table import kernel_function
from ..vfs import Handle
from .chrdev import device_node
from .kobjects import add_attribute, add_groups, initialize, remove_attribute, set_name
from .slab import allocate

if TYPE_CHECKING:
    from ..cpu import Cpu

CORE, CLASS = "drivers/base/core.c", "drivers/base/class.c"


class DeviceFile:
    """A file in /dev made by devtmpfs: who answers is found when it is opened."""

    mode = 0o600

    def __init__(self, cpu: Cpu, device: int) -> None:
        self._cpu, self._device = cpu, device

    def open(self, flags: int) -> Handle:
        """ENXIO when nobody has the number."""
        node = device_node(self._cpu, self._device)
        if node is None:
            raise KernelError(ENXIO, stage="chrdev_open")
        return node.open(flags)


# --- classes


def _add_class(cpu: Cpu, cls: int) -> int:
    name = cpu.space.string(cpu.structs.get(cls, "class.name")).decode("utf-8", "replace")
    if not cpu.vfs.add_folder(f"/sys/class/{name}"):
        cpu.kernel.printk(4, f"sysfs: cannot create duplicate filename '/class/{name}'")
        return -EEXIST
    cpu.classes[cls] = name
    return 0


@kernel_function(CLASS)
def __class_create(cpu: Cpu, owner: ptr, name: ptr, key: ptr) -> ptr:
    cls = allocate(cpu, cpu.structs.size("class"), 0x100)
    if not cls:
        return -ENOMEM
    cpu.structs.set(cls, "class.name", name)
    cpu.structs.set(cls, "class.owner", owner)
    if error := _add_class(cpu, cls):
        cpu.heap.kfree(cls)
        return error
    cpu.classes_of_ours.add(cls)
    return cls


@kernel_function(CLASS)
def __class_register(cpu: Cpu, cls: ptr, key: ptr) -> s32:
    return _add_class(cpu, cls)


@kernel_function(CLASS)
def class_unregister(cpu: Cpu, cls: ptr) -> None:
    name = cpu.classes.pop(cls, "")
    if name:
        cpu.vfs.remove(f"/sys/class/{name}")


@kernel_function(CLASS)
def class_destroy(cpu: Cpu, cls: ptr) -> None:
    """NULL and error pointers are fine."""
    if cls in cpu.classes:
        class_unregister(cpu, cls)
        if cls in cpu.classes_of_ours:
            cpu.classes_of_ours.discard(cls)
            cpu.heap.kfree(cls)


# --- devices


def _kobject(cpu: Cpu, device: int) -> int:
    return cpu.structs.at(device, "device.kobj")


def device_name(cpu: Cpu, device: int) -> str:
    """dev_name: what was set, or the initial name."""
    pointer = cpu.structs.get(device, "device.init_name")
    own = cpu.kobjects.name(_kobject(cpu, device))
    return own or (cpu.space.string(pointer).decode("utf-8", "replace") if pointer else "")


def add_device(cpu: Cpu, device: int) -> int:
    """device_add: the folder in /sys, attributes, the file in /dev: 0 or a negative errno."""
    name = device_name(cpu, device)
    if not name:
        return -EINVAL
    set_name(cpu, _kobject(cpu, device), name.encode())
    cls = cpu.structs.get(device, "device.class")
    folder = f"/sys/class/{cpu.classes[cls]}" if cls in cpu.classes else "/sys/devices"
    path = f"{folder}/{name.replace('/', '!')}"
    if not cpu.vfs.add_folder(path):
        cpu.kernel.printk(4, f"sysfs: cannot create duplicate filename '{path.removeprefix('/sys')}'")
        return -EEXIST
    kobject = _kobject(cpu, device)
    cpu.kobjects.paths[kobject] = path
    cpu.devices[kobject] = device
    number = cpu.structs.get(device, "device.devt")
    if number:
        node = f"/dev/{name.replace('!', '/')}"
        cpu.vfs.add(node, DeviceFile(cpu, number))
        cpu.device_paths[device] = node
    if cls in cpu.classes and (error := add_groups(cpu, kobject, cpu.structs.get(cls, "class.dev_groups"))):
        return error
    return add_groups(cpu, kobject, cpu.structs.get(device, "device.groups"))


def remove_device(cpu: Cpu, device: int) -> None:
    """device_del."""
    kobject = _kobject(cpu, device)
    cpu.devices.pop(kobject, None)
    for path in (cpu.kobjects.paths.pop(kobject, ""), cpu.device_paths.pop(device, "")):
        if path:
            cpu.vfs.remove(path)


def _create(cpu: Cpu, cls: int, parent: int, number: int, data: int, groups: int, name: bytes) -> int:
    device = allocate(cpu, cpu.structs.size("device"), 0x100)
    if not device:
        return -ENOMEM
    fields = {"class": cls, "parent": parent, "devt": number, "driver_data": data, "groups": groups}
    for field, value in fields.items():
        cpu.structs.set(device, f"device.{field}", value)
    initialize(cpu, _kobject(cpu, device), 0)
    set_name(cpu, _kobject(cpu, device), name)
    if error := add_device(cpu, device):
        cpu.heap.kfree(device)
        return error
    cpu.devices_of_ours.add(device)
    return device


@kernel_function(CORE)
def device_create(cpu: Cpu, cls: ptr, parent: ptr, number: u32, data: ptr, fmt: cstr, args: VarArgs) -> ptr:
    return _create(cpu, cls, parent, number, data, 0, cpu.format(fmt, args))


@kernel_function(CORE)
def device_create_with_groups(
    cpu: Cpu, cls: ptr, parent: ptr, number: u32, data: ptr, groups: ptr, fmt: cstr, args: VarArgs
) -> ptr:
    return _create(cpu, cls, parent, number, data, groups, cpu.format(fmt, args))


@kernel_function(CORE)
def device_destroy(cpu: Cpu, cls: ptr, number: u32) -> None:
    for device in list(cpu.devices.values()):
        same = (
            cpu.structs.get(device, "device.class") == cls
            and cpu.structs.get(device, "device.devt") == number
        )
        if same:
            device_unregister(cpu, device)
            return


@kernel_function(CORE)
def device_initialize(cpu: Cpu, device: ptr) -> None:
    initialize(cpu, _kobject(cpu, device), 0)


@kernel_function(CORE)
def device_add(cpu: Cpu, device: ptr) -> s32:
    return add_device(cpu, device)


@kernel_function(CORE)
def device_register(cpu: Cpu, device: ptr) -> s32:
    initialize(cpu, _kobject(cpu, device), 0)
    return add_device(cpu, device)


@kernel_function(CORE)
def device_del(cpu: Cpu, device: ptr) -> None:
    remove_device(cpu, device)


@kernel_function(CORE)
def device_unregister(cpu: Cpu, device: ptr) -> None:
    remove_device(cpu, device)
    put_device(cpu, device)


@kernel_function(CORE)
def get_device(cpu: Cpu, device: ptr) -> ptr:
    if device:
        place = _kobject(cpu, device)
        cpu.structs.set(place, "kobject.kref", cpu.structs.get(place, "kobject.kref") + 1)
    return device


@kernel_function(CORE)
def put_device(cpu: Cpu, device: ptr) -> None:
    """The last one calls ``release``: the device's, or its class's; its managed memory goes."""
    if not device:
        return
    place = _kobject(cpu, device)
    count = cpu.structs.get(place, "kobject.kref") - 1
    cpu.structs.set(place, "kobject.kref", max(count, 0))
    if count > 0:
        return
    for managed in cpu.managed.pop(device, ()):
        cpu.heap.kfree(managed)
    name, release = cpu.structs.get(place, "kobject.name"), cpu.structs.get(device, "device.release")
    cls = cpu.structs.get(device, "device.class")
    release = release or (cpu.structs.get(cls, "class.dev_release") if cls in cpu.classes else 0)
    if device in cpu.devices_of_ours:
        cpu.devices_of_ours.discard(device)
        cpu.heap.kfree(device)
    elif release:
        cpu.call_any(release, device)
    cpu.heap.kfree(name)


@kernel_function(CORE)
def dev_set_name(cpu: Cpu, device: ptr, fmt: cstr, args: VarArgs) -> s32:
    set_name(cpu, _kobject(cpu, device), cpu.format(fmt, args))
    return 0


@kernel_function(CORE)
def device_create_file(cpu: Cpu, device: ptr, attribute: ptr) -> s32:
    return add_attribute(cpu, _kobject(cpu, device), attribute)


@kernel_function(CORE)
def device_remove_file(cpu: Cpu, device: ptr, attribute: ptr) -> None:
    remove_attribute(cpu, _kobject(cpu, device), attribute)


@kernel_function("fs/char_dev.c")
def cdev_device_add(cpu: Cpu, cdev: ptr, device: ptr) -> s32:
    number = cpu.structs.get(device, "device.devt")
    if number:
        cpu.structs.set(cdev, "cdev.dev", number)
        cpu.chrdevs.cdevs[cdev] = (number, 1)
    return add_device(cpu, device)


@kernel_function("fs/char_dev.c")
def cdev_device_del(cpu: Cpu, cdev: ptr, device: ptr) -> None:
    remove_device(cpu, device)
    cpu.chrdevs.cdevs.pop(cdev, None)
