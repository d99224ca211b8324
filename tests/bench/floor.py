# SPDX-License-Identifier: GPL-2.0-only
"""The floor: the least that turns a .ko into relocated bytes, whole columns at a time, nothing checked.

No validity, licence, CRC, list, protection, kallsyms, parameter, trace: what the model does beyond this is
what its time beyond this buys. Beside it the same relocations one by one in plain Python.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WRITE, ALLOC, EXEC = 1, 2, 4
RELA, NOBITS, SYMTAB = 4, 8, 2
SHDR = np.dtype([
    ("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("addr", "<u8"), ("offset", "<u8"), ("size", "<u8"),
    ("link", "<u4"), ("info", "<u4"), ("align", "<u8"), ("entsize", "<u8"),
])  # fmt: skip
SYM = np.dtype([
    ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("shndx", "<u2"), ("value", "<u8"), ("size", "<u8"),
])  # fmt: skip
ENTRY = np.dtype([("place", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
# psABI, AMD64 supplement, "Relocation Types": 1 64, 2 PC32, 4 PLT32, 10 32, 11 32S, 24 PC64
WIDTH = np.zeros(256, np.uint8)
WIDTH[[2, 4, 10, 11]] = 4
WIDTH[[1, 24]] = 8
PC_RELATIVE = np.zeros(256, bool)
PC_RELATIVE[[2, 4, 24]] = True


@dataclass
class Placed:
    """Sections copied to where they will be, symbols resolved, nothing relocated yet.

    ``memory``: one block at address ``base``; ``addresses[i]``: of section i, 0 when it is not loaded;
    ``values``: of every symbol; ``tables``: (target's address, its entries) of each relocation section.
    """

    memory: NDArray[np.uint8]
    base: int
    addresses: list[int]
    values: NDArray[np.uint64]
    tables: list[tuple[int, NDArray[Any]]]


def place(image: bytes, provided: Mapping[str, int], base: int = 0xFFFFFFFFC0201000) -> Placed:
    """Headers, layout (code, read-only, writable, each group on pages of its own), copy, symbols."""
    data = np.frombuffer(image, np.uint8)
    shoff, shnum = struct.unpack_from("<Q", image, 40)[0], struct.unpack_from("<H", image, 60)[0]
    headers = data[shoff : shoff + 64 * shnum].view(SHDR)
    rows = headers.tolist()
    addresses, size = [0] * shnum, 0
    for group in (ALLOC | EXEC, ALLOC, ALLOC | WRITE):
        for i, (_, _, flags, _, _, length, _, _, align, _) in enumerate(rows):
            if flags & (ALLOC | WRITE | EXEC) == group:
                size = -(-size // (align or 1)) * (align or 1)
                addresses[i] = base + size
                size += length
        size = -(-size // 4096) * 4096
    memory = np.zeros(size, np.uint8)
    for address, (_, kind, _, _, offset, length, *_) in zip(addresses, rows, strict=True):
        if address and kind != NOBITS:
            memory[address - base : address - base + length] = data[offset : offset + length]
    tables = [
        (addresses[info], data[offset : offset + length].view(ENTRY))
        for _, kind, _, _, offset, length, _, info, _, _ in rows
        if kind == RELA and addresses[info]
    ]
    return Placed(memory, base, addresses, symbol_values(image, rows, addresses, provided), tables)


def symbol_values(
    image: bytes, rows: list[tuple[int, ...]], addresses: list[int], provided: Mapping[str, int]
) -> NDArray[np.uint64]:
    """S of every symbol; an undefined one is looked up by name, 0 when nobody provides it."""
    symtab = next(row for row in rows if row[1] == SYMTAB)
    strings = rows[symtab[6]][4]
    symbols = np.frombuffer(image, SYM, symtab[5] // SYM.itemsize, symtab[4])
    bases = np.zeros(1 << 16, np.uint64)
    bases[: len(addresses)] = addresses
    values: NDArray[np.uint64] = symbols["value"] + bases[symbols["shndx"]]
    for i in np.flatnonzero(symbols["shndx"] == 0).tolist():
        start = strings + int(symbols["name"][i])
        values[i] = provided.get(image[start : image.index(0, start)].decode(), 0) % (1 << 64)
    return values


def relocate(placed: Placed) -> NDArray[np.uint8]:
    """All relocations, a section at a time."""
    for address, table in placed.tables:
        where = table["place"] + np.uint64(address - placed.base)
        value = placed.values[table["symbol"]] + table["addend"].view(np.uint64)
        relative = PC_RELATIVE[table["type"]]
        value[relative] -= where[relative] + np.uint64(placed.base)
        width = WIDTH[table["type"]]
        for size, dtype in ((4, "<u4"), (8, "<u8")):
            chosen = width == size
            window = np.ndarray((len(placed.memory) - size + 1,), dtype, placed.memory, strides=(1,))
            window[where[chosen]] = value[chosen].astype(dtype)
    return placed.memory


def relocate_one_by_one(placed: Placed) -> bytearray:
    """The same in plain Python: one entry after the other, as the kernel's loop does it."""
    memory, base = bytearray(placed.memory), placed.base
    values, mask = placed.values.tolist(), (1 << 64) - 1
    store4, store8 = struct.Struct("<I").pack_into, struct.Struct("<Q").pack_into
    for address, table in placed.tables:
        for place, kind, symbol, addend in struct.iter_unpack("<QIIq", table.tobytes()):
            where = address + place
            value = values[symbol] + addend
            if kind in (2, 4):
                store4(memory, where - base, (value - where) & 0xFFFFFFFF)
            elif kind in (10, 11):
                store4(memory, where - base, value & 0xFFFFFFFF)
            elif kind == 1:
                store8(memory, where - base, value & mask)
            elif kind == 24:
                store8(memory, where - base, (value - where) & mask)
    return memory
