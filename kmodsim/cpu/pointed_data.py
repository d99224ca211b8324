# SPDX-License-Identifier: GPL-2.0-only
"""What %p prints of bytes, bits and numbers that the pointer leads to: addresses, bitmaps, UUIDs, flags."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .byte_strings import escape, ip4, ip6, ip6_compressed, mac, uuid
from .flagnames import GFP, PAGE, PAGE_FIELDS, PAGE_FLAGS_MASK, VMA, flag_names
from .printf_spec import (
    HEX_FLAGS,
    Extension,
    Spec,
    check_pointer,
    checked,
    error_string,
    number,
    special_hex_number,
    string_nocheck,
)

if TYPE_CHECKING:
    from .cpu import Cpu


@checked
def _number(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pad, %pap: dma_addr_t and phys_addr_t have 64 bits."""
    return special_hex_number(cpu.space.number(address, 8), 8)


@checked
def _netdev_bits(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pNF."""
    if letters[1:2] != "F":
        return error_string("(%pN?)", spec)
    return special_hex_number(cpu.space.number(address, 8), 8)


def _hex(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%*ph: as many bytes as the width says, at most 64; C, D and N say what stands between them."""
    if spec.width == 0:
        return b""
    if (word := check_pointer(address, spec)) is not None:
        return word
    data = cpu.space.read(address, min(spec.width, 64) if spec.width > 0 else 1)
    between = {"C": ":", "D": "-", "N": ""}.get(letters[1:2], " ")
    return between.join(f"{byte:02x}" for byte in data).encode()


@checked
def _bitmap(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%*pb: groups of 32 bits, the first one shorter; %*pbl: ranges. The width is the number of bits."""
    bits = max(spec.width, 0)
    bitmap = cpu.space.number(address, -(-bits // 64) * 8) & ((1 << bits) - 1)
    if letters[1:2] == "l":
        return _ranges(bitmap)
    digits, first = f"{bitmap:0{-(-bits // 4)}x}" if bits else "", -(-(bits % 32) // 4) or 8
    return ",".join([digits[:first], *(digits[i : i + 8] for i in range(first, len(digits), 8))]).encode()


def _ranges(bitmap: int) -> bytes:
    """``1,3-5``: the bits that are set."""
    parts, at = [], 0
    for run in f"{bitmap:b}"[::-1].replace("01", "0 1").replace("10", "1 0").split():
        last = at + len(run) - 1
        if run[0] == "1":
            parts.append(f"{at}-{last}" if last > at else f"{at}")
        at = last + 1
    return ",".join(parts).encode()


@checked
def _mac(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    return string_nocheck(mac(cpu.space.read(address, 6), letters), spec)


@checked
def _uuid(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    return string_nocheck(uuid(cpu.space.read(address, 16), letters[1:2]), spec)


def _escaped(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%*pE: as many characters as the width says, escaped as the letters say."""
    if spec.width == 0:
        return b""
    if (word := check_pointer(address, spec)) is not None:
        return word
    return escape(cpu.space.read(address, max(spec.width, 1)), letters[1:])


def _fourcc(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%p4cc: four characters and the number; bit 31 says big-endian."""
    if letters[1:3] != "cc":
        return error_string("(%p4?)", spec)
    if (word := check_pointer(address, spec)) is not None:
        return word
    code = cpu.space.number(address, 4)
    characters = (code & 0x7FFFFFFF).to_bytes(4, "little")
    shown = "".join(chr(each) if 0x20 <= each < 0x7F else "." for each in characters)
    order = "big" if code >> 31 else "little"
    return string_nocheck(f"{shown} {order}-endian (0x{code:08x})".encode(), spec)


@checked
def _ip(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pI4 %pI6 %pIS, and with i: without what stands between the numbers, with all zeros."""
    if letters[1:2] == "4":
        return string_nocheck(ip4(cpu.space.read(address, 4), letters[0], letters[2:3]), spec)
    if letters[1:2] == "6":
        compressed = letters[0] == "I" and letters[2:3] == "c"
        data = cpu.space.read(address, 16)
        return string_nocheck(ip6_compressed(data) if compressed else ip6(data, letters[0]), spec)
    if letters[1:2] != "S":
        return error_string(f"(%p{letters[0]}?)", spec)
    family = cpu.space.number(address, 2)
    if family not in SOCKADDR:
        return error_string("(einval)", spec)
    options = re.split(r"\d", letters[2:])[0]
    return string_nocheck(SOCKADDR[family](cpu, address, letters[0], options, spec), spec)


def _big_endian(cpu: Cpu, address: int, size: int) -> int:
    return int.from_bytes(cpu.space.read(address, size), "big")


def _sockaddr_in(cpu: Cpu, address: int, kind: str, options: str, spec: Spec) -> bytes:
    """include/uapi/linux/in.h: the port at 2, the address at 4."""
    order = next((each for each in reversed(options) if each in "hlnb"), "")
    text = ip4(cpu.space.read(address + 4, 4), kind, order)
    return text + (b":" + number(_big_endian(cpu, address + 2, 2), spec) if "p" in options else b"")


def _sockaddr_in6(cpu: Cpu, address: int, kind: str, options: str, spec: Spec) -> bytes:
    """include/uapi/linux/in6.h: the port at 2, flow information at 4, the address at 8, the scope at 24."""
    data = cpu.space.read(address + 8, 16)
    text = ip6_compressed(data) if kind == "I" and "c" in options else ip6(data, kind)
    if set(options) & set("pfs"):
        text = b"[" + text + b"]"
    if "p" in options:
        text += b":" + number(_big_endian(cpu, address + 2, 2), spec)
    if "f" in options:
        text += b"/" + number(_big_endian(cpu, address + 4, 4) & 0x0FFFFFFF, spec)
    if "s" in options:
        text += b"%" + number(cpu.space.number(address + 24, 4), spec)
    return text


SOCKADDR = {2: _sockaddr_in, 10: _sockaddr_in6}  # AF_INET, AF_INET6


@checked
def _flags(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pGg gfp_t, %pGv vm_flags, %pGp page flags with the numbers that share their word."""
    if letters[1:2] == "g":
        return flag_names(cpu.space.number(address, 4), GFP)
    if letters[1:2] == "v":
        return flag_names(cpu.space.number(address, 8), VMA)
    if letters[1:2] != "p":
        return error_string("(%pG?)", spec)
    flags = cpu.space.number(address, 8)
    main = flags & PAGE_FLAGS_MASK
    parts = [flag_names(main, PAGE)] if main else []
    for name, shift, width, how in PAGE_FIELDS:
        parts.append(name.encode() + b"=" + number(flags >> shift & ((1 << width) - 1), how))
    return number(flags, HEX_FLAGS) + b"(" + b"|".join(parts) + b")"


DATA: dict[str, Extension] = {
    "a": _number, "N": _netdev_bits, "h": _hex, "b": _bitmap, "M": _mac, "m": _mac, "U": _uuid, "E": _escaped,
    "4": _fourcc, "I": _ip, "i": _ip, "G": _flags,
}  # fmt: skip
