# SPDX-License-Identifier: GPL-2.0-only
"""Small functions of lib/: sorting, random numbers, hexadecimal, checksums, bitmaps."""

from __future__ import annotations

import zlib
from functools import cmp_to_key
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ...errors import EINVAL
from ..abi import cstr, ptr, s32, signed, u8, u32, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

RANDOM, HEXDUMP, BITMAP, CRC32 = "drivers/char/random.c", "lib/hexdump.c", "lib/bitmap.c", "lib/crc32.c"
MOST = 1 << 20  # bytes or elements handled in one go


# --- sorting


@kernel_function("lib/sort.c")
def sort(cpu: Cpu, base: ptr, count: u64, size: u64, compare: ptr, swap: ptr) -> None:
    """With the module's own comparison; elements that compare equal keep their order, unlike the kernel's."""
    data = cpu.space.read(base, min(count * size, MOST))
    elements: list[bytes] = [data[i : i + size] for i in range(0, len(data), size)] if size else []
    one, other = (cpu.heap.kmalloc(size, zero=True) for _ in range(2)) if elements else (0, 0)

    def compared(a: Any, b: Any) -> int:
        cpu.space.write(one, a)
        cpu.space.write(other, b)
        return signed(cpu.call_any(compare, one, other), 32)

    cpu.space.write(base, b"".join(sorted(elements, key=cmp_to_key(compared))))
    for scratch in filter(None, (one, other)):
        cpu.heap.kfree(scratch)


@kernel_function("lib/list_sort.c")
def list_sort(cpu: Cpu, private: ptr, head: ptr, compare: ptr) -> None:
    """Stable, as the kernel's merge sort is."""
    nodes: list[int] = []
    node = cpu.space.number(head, 8)
    while node != head and len(nodes) < MOST:
        nodes.append(node)
        node = cpu.space.number(node, 8)

    def compared(a: int, b: int) -> int:
        return signed(cpu.call_any(compare, private, a, b), 32)

    ring = [head, *sorted(nodes, key=cmp_to_key(compared)), head]
    for before, after in pairwise(ring):
        cpu.space.store(before, after, 8)
        cpu.space.store(after + 8, before, 8)


# --- random numbers: the same ones in every run


def random_bytes(cpu: Cpu, count: int) -> bytes:
    return cpu.random.randbytes(count)


@kernel_function(RANDOM, "get_random_bytes_arch", "get_random_bytes_wait")
def get_random_bytes(cpu: Cpu, buffer: ptr, count: u64) -> None:
    for at in range(0, count, MOST):
        cpu.space.write(buffer + at, random_bytes(cpu, min(MOST, count - at)))


@kernel_function(RANDOM, "get_random_u8", "get_random_u16", "get_random_u64")
def get_random_u32(cpu: Cpu) -> u64:
    """The caller cuts it to its type."""
    return int.from_bytes(random_bytes(cpu, 8), "little")


@kernel_function("lib/uuid.c", "generate_random_guid", "guid_gen", "uuid_gen")
def generate_random_uuid(cpu: Cpu, uuid: ptr) -> None:
    """Version 4 of the variant DCE (the byte with the version lies elsewhere in a GUID)."""
    data = bytearray(random_bytes(cpu, 16))
    data[6], data[8] = data[6] & 0x0F | 0x40, data[8] & 0x3F | 0x80
    cpu.space.write(uuid, bytes(data))


# --- hexadecimal


@kernel_function(HEXDUMP)
def hex_to_bin(cpu: Cpu, digit: u8) -> s32:
    text = chr(digit)
    return int(text, 16) if text in "0123456789abcdefABCDEF" else -1


@kernel_function(HEXDUMP)
def hex2bin(cpu: Cpu, to: ptr, digits: ptr, count: u64) -> s32:
    """-EINVAL at the first character that is no digit; what comes before is stored."""
    for i in range(count):
        pair = cpu.space.read(digits + 2 * i, 2)
        if any(hex_to_bin(cpu, byte) == -1 for byte in pair):
            return -EINVAL
        cpu.space.store(to + i, int(pair, 16), 1)
    return 0


@kernel_function(HEXDUMP)
def bin2hex(cpu: Cpu, to: ptr, data: ptr, count: u64) -> ptr:
    cpu.space.write(to, cpu.space.read(data, min(count, MOST)).hex().encode())
    return to + 2 * count


@kernel_function(HEXDUMP)
def print_hex_dump(
    cpu: Cpu,
    level: cstr,
    prefix: cstr,
    kind: s32,
    row: s32,
    group: s32,
    data: ptr,
    length: u64,
    ascii_too: bool,
) -> None:
    """Rows of 16 or 32 bytes; before each the prefix and, by ``kind``, its address (1) or offset (2)."""
    row = row if row in (16, 32) else 16
    for at in range(0, min(length, MOST), row):
        piece = cpu.space.read(data + at, min(row, length - at))
        where = {1: f"{data + at:016x}: ", 2: f"{at:08x}: "}.get(kind, "")
        text = hex_line(piece, row, group, ascii_too)
        said = f"{prefix.decode('latin-1')}{where}{text}"
        digit = level[1:2].decode() if level[:1] == b"\x01" and level[1:2].isdigit() else "4"
        cpu.kernel.print_records([f"<{digit}>{said}"])


def hex_line(data: bytes, row: int, group: int, ascii_too: bool) -> str:
    """One row (``hex_dump_to_buffer``): groups of 1, 2, 4 or 8 bytes as little-endian numbers."""
    group = group if group in (2, 4, 8) and len(data) % group == 0 else 1
    words = [data[i : i + group][::-1].hex() for i in range(0, len(data), group)]
    line = " ".join(words)
    if not ascii_too:
        return line
    width = row * 2 + row // group + 1
    shown = "".join(chr(c) if 32 <= c < 127 else "." for c in data)
    return f"{line:<{width}}{shown}"


# --- checksums, bits


def _crc_of_byte(polynomial: int, byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (polynomial if byte & 1 else 0)
    return byte


CASTAGNOLI = [_crc_of_byte(0x82F63B78, byte) for byte in range(256)]


@kernel_function(CRC32)
def crc32_le(cpu: Cpu, crc: u32, data: ptr, length: u64) -> u32:
    """The usual CRC without the inversions before and after it."""
    return zlib.crc32(cpu.space.read(data, min(length, MOST)), crc ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


@kernel_function(CRC32)
def __crc32c_le(cpu: Cpu, crc: u32, data: ptr, length: u64) -> u32:
    for byte in cpu.space.read(data, min(length, MOST)):
        crc = crc >> 8 ^ CASTAGNOLI[(crc ^ byte) & 0xFF]
    return crc


@kernel_function(BITMAP)
def __bitmap_weight(cpu: Cpu, bitmap: ptr, bits: u32) -> s32:
    number = cpu.space.number(bitmap, -(-bits // 64) * 8) if bits else 0
    return (number & ((1 << bits) - 1)).bit_count()
