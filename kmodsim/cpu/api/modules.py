# SPDX-License-Identifier: GPL-2.0-only
"""Modules on modules: references, symbols by name, notifiers, asking user space for a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EEXIST, ENOENT
from ..abi import VarArgs, cstr, ptr, s32, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ...module import Module
    from ..cpu import Cpu

MAIN, NOTIFIER = "kernel/module/main.c", "kernel/notifier.c"
NOTIFY_DONE, NOTIFY_STOP_MASK = 0, 0x8000
STATE_NUMBERS = {"LIVE": 0, "COMING": 1, "GOING": 2, "UNFORMED": 3}


def module_at(cpu: Cpu, address: int) -> Module | None:
    """The module whose ``struct module`` lies at ``address``."""
    return next((mod for mod in cpu.kernel.module_list if mod.address == address), None)


@kernel_function(MAIN)
def try_module_get(cpu: Cpu, module: ptr) -> bool:
    """True for NULL, which is the kernel itself."""
    mod = module_at(cpu, module)
    return mod is None or cpu.kernel.try_module_get(mod)


@kernel_function(MAIN)
def __module_get(cpu: Cpu, module: ptr) -> None:
    mod = module_at(cpu, module)
    if mod is not None:
        cpu.kernel.set_refcount(mod, mod.raw_refcount + 1)


@kernel_function(MAIN)
def module_put(cpu: Cpu, module: ptr) -> None:
    mod = module_at(cpu, module)
    if mod is not None:
        cpu.kernel.module_put(mod)


@kernel_function(MAIN)
def module_refcount(cpu: Cpu, module: ptr) -> s32:
    mod = module_at(cpu, module)
    return mod.refcount if mod is not None else 0


@kernel_function(MAIN)
def __symbol_get(cpu: Cpu, name: cstr) -> ptr:
    """The address of a GPL-only export, with a reference on its module that has no name; 0: none."""
    symbol = name.decode("utf-8", "replace")
    own = cpu.profile.exports.get(symbol)
    if own is not None:
        return own.address if own.gpl else 0
    export = cpu.kernel.exports.get(symbol)
    if export is None or not export.gpl or (export.owner and not cpu.kernel.try_module_get(export.owner)):
        return 0
    return export.address


@kernel_function(MAIN)
def __symbol_put(cpu: Cpu, name: cstr) -> None:
    export = cpu.kernel.exports.get(name.decode("utf-8", "replace"))
    if export is not None and export.owner is not None:
        cpu.kernel.module_put(export.owner)


@kernel_function(MAIN)
def symbol_put_addr(cpu: Cpu, address: ptr) -> None:
    area = cpu.kernel.memory.area_at(address)
    mod = cpu.kernel.find_module(area.owner) if area is not None else None
    if mod is not None:
        cpu.kernel.module_put(mod)


@kernel_function("kernel/kmod.c")
def __request_module(cpu: Cpu, wait: bool, fmt: cstr, args: VarArgs) -> s32:
    """The kernel would start /sbin/modprobe; here nobody answers it: 256, its exit code 1."""
    name = cpu.format(fmt, args).decode("utf-8", "replace")
    cpu.requested_modules.append(name)
    return 256


# --- chains of notifiers: struct notifier_block {call, next, priority}


def _insert(cpu: Cpu, head: int, block: int) -> int:
    """Into the list by falling priority; -EEXIST when it is there."""
    place, s = head, cpu.structs
    while (other := cpu.space.number(place, 8)) != 0:
        if other == block:
            return -EEXIST
        if s.get(block, "notifier_block.priority", signed=True) > s.get(
            other, "notifier_block.priority", signed=True
        ):
            break
        place = s.at(other, "notifier_block.next")
    s.set(block, "notifier_block.next", other)
    cpu.space.store(place, block, 8)
    return 0


def _remove(cpu: Cpu, head: int, block: int) -> int:
    place = head
    while (other := cpu.space.number(place, 8)) != 0:
        if other == block:
            cpu.space.store(place, cpu.structs.get(block, "notifier_block.next"), 8)
            return 0
        place = cpu.structs.at(other, "notifier_block.next")
    return -ENOENT


def _call_chain(cpu: Cpu, head: int, action: int, data: int) -> int:
    answer, block = NOTIFY_DONE, cpu.space.number(head, 8)
    while block:
        following = cpu.structs.get(block, "notifier_block.next")
        answer = cpu.call_any(cpu.structs.get(block, "notifier_block.notifier_call"), block, action, data)
        if answer & NOTIFY_STOP_MASK:
            break
        block = following
    return answer


# where the first block's pointer is in each kind of head
HEADS = {
    "blocking": "blocking_notifier_head.head",
    "atomic": "atomic_notifier_head.head",
    "raw": "raw_notifier_head.head",
}


def _chain(kind: str) -> None:
    field = HEADS[kind]

    def register(cpu: Cpu, head: ptr, block: ptr) -> s32:
        return _insert(cpu, cpu.structs.at(head, field), block)

    def unregister(cpu: Cpu, head: ptr, block: ptr) -> s32:
        return _remove(cpu, cpu.structs.at(head, field), block)

    def call(cpu: Cpu, head: ptr, action: u64, data: ptr) -> s32:
        return _call_chain(cpu, cpu.structs.at(head, field), action, data)

    kernel_function(NOTIFIER, name=f"{kind}_notifier_chain_register")(register)
    kernel_function(NOTIFIER, name=f"{kind}_notifier_chain_unregister")(unregister)
    kernel_function(NOTIFIER, name=f"{kind}_notifier_call_chain")(call)


for _kind in HEADS:
    _chain(_kind)


@kernel_function(MAIN)
def register_module_notifier(cpu: Cpu, block: ptr) -> s32:
    """Modules' notifiers stand in the chain with those of ``kernel.register_module_notifier``."""

    def callback(state: str, mod: Module) -> int | None:
        answer = cpu.call_any(
            cpu.structs.get(block, "notifier_block.notifier_call"), block, STATE_NUMBERS[state], mod.address
        )
        refused = answer & NOTIFY_STOP_MASK
        return (answer & ~NOTIFY_STOP_MASK) - 1 if refused and answer & 0xFFF > 1 else None

    if block in cpu.module_notifiers:
        return -EEXIST
    cpu.module_notifiers[block] = callback
    priority = cpu.structs.get(block, "notifier_block.priority", signed=True)
    cpu.kernel.register_module_notifier(callback, priority)
    return 0


@kernel_function(MAIN)
def unregister_module_notifier(cpu: Cpu, block: ptr) -> s32:
    callback = cpu.module_notifiers.pop(block, None)
    if callback is None:
        return -ENOENT
    cpu.kernel.unregister_module_notifier(callback)
    return 0


def _silent(name: str, source: str) -> None:
    """A chain of the kernel's own that nothing here ever calls."""

    def register(cpu: Cpu, block: ptr) -> s32:
        return 0

    kernel_function(source, name=f"register_{name}", records=True)(register)
    kernel_function(source, name=f"unregister_{name}", records=True)(lambda cpu, *_: 0)


for _name, _source in (
    ("reboot_notifier", "kernel/reboot.c"), ("netdevice_notifier", "net/core/dev.c"),
    ("inetaddr_notifier", "net/ipv4/devinet.c"), ("inet6addr_notifier", "net/ipv6/addrconf_core.c"),
    ("pm_notifier", "kernel/power/main.c"), ("die_notifier", "kernel/notifier.c"),
    ("keyboard_notifier", "drivers/tty/vt/keyboard.c"), ("oom_notifier", "mm/oom_kill.c"),
    ("netevent_notifier", "net/core/netevent.c"), ("acpi_notifier", "drivers/acpi/event.c"),
    ("fib_notifier", "net/core/fib_notifier.c"), ("switchdev_notifier", "net/switchdev/switchdev.c"),
):  # fmt: skip
    _silent(_name, _source)
