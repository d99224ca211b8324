# SPDX-License-Identifier: GPL-2.0-only
"""What %p prints of the kernel's structures: resources, files, disks, times, clocks, firmware nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .abi import U64, signed
from .calendar import broken_down
from .printf_spec import (
    DECIMAL,
    DECIMAL_2,
    DECIMAL_4,
    HEX_FLAGS,
    Extension,
    Spec,
    check_pointer,
    checked,
    error_string,
    number,
    string,
    string_nocheck,
    widen,
)

if TYPE_CHECKING:
    from .cpu import Cpu

# --- struct resource (include/linux/ioport.h)

IO_SPEC, MEM_SPEC, BUS_SPEC = Spec("#0", 6, base=16), Spec("#0", 10, base=16), Spec("0", 2, base=16)
RESOURCES = (
    (0x100, "io  ", IO_SPEC), (0x200, "mem ", MEM_SPEC), (0x400, "irq ", DECIMAL), (0x800, "dma ", DECIMAL),
    (0x1000, "bus ", BUS_SPEC),
)  # fmt: skip  # IORESOURCE_IO and so on; the first one that is set counts
RESOURCE_WORDS = ((1 << 20, " 64bit"), (1 << 13, " pref"), (1 << 21, " window"), (1 << 28, " disabled"))
IORESOURCE_UNSET = 1 << 29


@checked
def _resource(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pR with the flags in words, %pr as a number; so also what is of no known kind."""
    start, end, flags = (cpu.structs.get(address, f"resource.{name}") for name in ("start", "end", "flags"))
    known = next((row for row in RESOURCES if flags & row[0]), None)
    _, kind, how = known or (0, "??? ", MEM_SPEC)
    decode = letters[0] == "R" and known is not None
    text = f"[{kind}".encode()
    if decode and flags & IORESOURCE_UNSET:
        text += b"size " + number(end - start + 1, how)
    else:
        text += number(start, how) + (b"-" + number(end, how) if start != end else b"")
    if decode:
        text += "".join(word for mask, word in RESOURCE_WORDS if flags & mask).encode()
    else:
        text += b" flags " + number(flags, HEX_FLAGS)
    return string_nocheck(text + b"]", spec)


# --- files and disks


def _dentry(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pd, and %pd2 to %pd4 with the directories above, of which a root has no name."""
    depth = int(letters[1]) if letters[1:2] in ("2", "3", "4") else 1
    names: list[bytes] = []
    while len(names) < depth:
        if (word := check_pointer(address, spec)) is not None:
            return word
        parent = cpu.structs.get(address, "dentry.d_parent")
        root = parent == address and bool(names)
        names.append(b"" if root else cpu.space.string(cpu.structs.get(address, "dentry.d_name.name")))
        if parent == address:
            break
        address = parent
    return string_nocheck(b"/".join(reversed(names)), spec)


@checked
def _file(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pD: as %pd, of an open file."""
    return _dentry(cpu, cpu.structs.get(address, "file.f_path.dentry"), letters, spec)


@checked
def _block_device(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pg: the disk's name and the partition's number, a p between two digits."""
    disk = cpu.structs.get(address, "block_device.bd_disk")
    place = cpu.structs.at(disk, "gendisk.disk_name")
    text, part = string(cpu, place, spec), cpu.structs.get(address, "block_device.bd_partno")
    if part:
        digit = cpu.space.string(place)[-1:].isdigit()
        text += (b"p" if digit else b"") + number(part, spec)
    return text


@checked
def _clock(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pC: struct clk begins with its clk_core, and that with its name (drivers/clk/clk.c)."""
    return string(cpu, cpu.space.number(cpu.space.number(address, 8), 8), spec)


# --- dates


@checked
def _time(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%ptR of a rtc_time, %ptT of a time64_t; d or t for one half, r for raw numbers, s for a blank."""
    names = ("tm_year", "tm_mon", "tm_mday", "tm_hour", "tm_min", "tm_sec")
    if letters[1:2] == "R":
        fields = [cpu.structs.get(address, f"rtc_time.{name}", signed=True) for name in names]
    elif letters[1:2] == "T":
        fields = list(broken_down(cpu.space.number(address, 8, signed=True))[:6])
    else:
        return error_string("(%pt?)", spec)
    half = letters[2:3] if letters[2:3] in ("d", "t") else ""
    options = letters[2 + len(half) :]
    options = options[: len(options) - len(options.lstrip("rs"))]
    parts = [] if half == "t" else [_date(fields[:3], raw="r" in options)]
    if half != "d":
        parts.append(b":".join(number(each, DECIMAL_2) for each in fields[3:]))
    return (b" " if "s" in options else b"T").join(parts)


def _date(fields: list[int], *, raw: bool) -> bytes:
    year, month, day = (signed(each, 32) for each in fields)
    if not raw:  # tm_year counts from 1900, tm_mon from 0
        year, month = signed(year + 1900, 32), signed(month + 1, 32)
    return b"-".join((number(year, DECIMAL_4), number(month, DECIMAL_2), number(day, DECIMAL_2)))


# --- firmware nodes


def _device_node(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pOF: a device tree's node; without CONFIG_OF, as on x86-64, whatever the pointer is."""
    return error_string("(%pOF?)" if letters[1:2] == "F" else "(%pO?)", spec)


def _firmware_node(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pfw: the names from the root down, %pfwP: its own. The node's operations are called to know them."""
    if letters[1:2] != "w":
        return error_string("(%pf?)", spec)
    if (word := check_pointer(address, spec)) is not None:
        return word
    if letters[2:3] == "P":
        return widen(string(cpu, _operation(cpu, address, "get_name"), replace(spec, width=-1)), spec)
    nodes = [address]
    while (parent := _operation(cpu, nodes[-1], "get_parent")) and len(nodes) < MOST_PARENTS:
        nodes.append(parent)
    text = b""
    for node in reversed(nodes):
        text += string(cpu, _operation(cpu, node, "get_name_prefix"), Spec())
        text += string(cpu, _operation(cpu, node, "get_name"), Spec())
    for parent in nodes[1:]:
        _operation(cpu, parent, "put")
    return widen(text, spec)


MOST_PARENTS = 64
# include/linux/fwnode.h: fwnode_handle.ops is the second word, the operations are pointers in this order
FWNODE_OPS = 8
OPERATIONS = {"put": 1, "get_name": 9, "get_name_prefix": 10, "get_parent": 11}


def _operation(cpu: Cpu, node: int, name: str) -> int:
    """``fwnode_call_ptr_op()``: NULL where the node has no such operation."""
    operations = cpu.space.number(node + FWNODE_OPS, 8) if node else 0
    function = cpu.space.number(operations + 8 * OPERATIONS[name], 8) if operations else 0
    return cpu.call_any(function, node) & U64 if function else 0


STRUCTS: dict[str, Extension] = {
    "R": _resource, "r": _resource, "d": _dentry, "D": _file, "g": _block_device, "C": _clock, "t": _time,
    "O": _device_node, "f": _firmware_node,
}  # fmt: skip
