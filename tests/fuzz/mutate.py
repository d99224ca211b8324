# SPDX-License-Identifier: GPL-2.0-only
"""What is done to a module: fields, whole records, sections, strings, the end of the file, any byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.faults.editor import Image

from .layout import NAMES, Table, tables

MARKER = b"~Module signature appended~\n"
EDGES = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFF, 0xFFF, 0x1000, 0x7FFF, 0xFF00, 0xFF20, 0xFFF1, 0xFFF2, 0xFFFF,
         0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, 1 << 40, 1 << 63, (1 << 64) - 1)  # fmt: skip
WORDS = (
    b"\xff\xfe\x80",
    b"{}",
    b"{0.x}",
    b"%s%n",
    b"\xed\xa0\x80",
    b"name=",
    b"license=",
    b"vermagic=",
    b"=",
    b"!/",
    b"../",
    b"\n\r\t",
    b"\x1b[0m",
    b"vmlinux",
    b"printk",
    b"chain_a_add",
)
TAGS = (
    "name",
    "license",
    "vermagic",
    "depends",
    "import_ns",
    "intree",
    "retpoline",
    "livepatch",
    "staging",
    "test",
    "version",
    "srcversion",
    "parm",
)
PICK = Callable[[Random, bytearray], None]


# --- one field ------------------------------------------------------------------------------------


def _value(rng: Random, old: int, bits: int, data: bytearray, others: Callable[[], int]) -> int:
    """A value that hurts: an edge, near the old one or the file's length, another record's, a flipped bit."""
    kind = rng.randrange(8)
    if kind == 0:
        return rng.choice(EDGES)
    if kind == 1:
        return old + rng.choice((-1, 1, -8, 8, 4096, -4096, rng.randrange(-64, 64)))
    if kind == 2:
        return old ^ 1 << rng.randrange(bits)
    if kind == 3:
        return len(data) + rng.choice((-1, 0, 1, -old, -64, 4096))
    if kind == 4:
        return rng.getrandbits(bits)
    if kind == 5:
        return rng.randrange(64)
    if kind == 6:
        return old * rng.choice((2, 3, -1, 0x1000001))
    return others()


def change_field(rng: Random, data: bytearray, table: Table) -> None:
    offset, code = rng.choice(table.fields)
    bits = 8 * struct.calcsize(code)
    at = table.offset + table.size * rng.randrange(table.count) + offset

    def other() -> int:
        return _read(data, code, table.offset + table.size * rng.randrange(table.count) + offset)

    _write(data, code, at, _value(rng, _read(data, code, at), bits, data, other))


def _read(data: bytearray, code: str, at: int) -> int:
    return int(struct.unpack_from(code, data, at)[0]) if 0 <= at <= len(data) - struct.calcsize(code) else 0


def _write(data: bytearray, code: str, at: int, value: int) -> None:
    bits = 8 * struct.calcsize(code)
    if 0 <= at <= len(data) - bits // 8:
        struct.pack_into(code.upper(), data, at, value & ((1 << bits) - 1))


# --- whole records --------------------------------------------------------------------------------


def move_record(rng: Random, data: bytearray, table: Table) -> None:
    """One record over another, or two change places."""
    a, b = (table.offset + table.size * rng.randrange(table.count) for _ in range(2))
    first, second = bytes(data[a : a + table.size]), bytes(data[b : b + table.size])
    if len(first) == len(second):
        data[b : b + len(first)] = first
        if rng.random() < 0.5:
            data[a : a + len(second)] = second


def wipe_record(rng: Random, data: bytearray, table: Table) -> None:
    at = table.offset + table.size * rng.randrange(table.count)
    end = min(len(data), at + table.size)
    if at < end:
        data[at:end] = rng.choice((bytes(end - at), b"\xff" * (end - at), rng.randbytes(end - at)))


def in_a_table(rng: Random, data: bytearray, places: list[Table]) -> None:
    """Kinds of tables are equally likely, so the one ELF header counts as much as a thousand symbols."""
    kinds = sorted({table.kind.split(" ")[0] for table in places})
    kind = rng.choice(kinds)
    table = rng.choice([t for t in places if t.kind.split(" ")[0] == kind])
    rng.choices((change_field, move_record, wipe_record), (8, 2, 1))[0](rng, data, table)


# --- the file as a whole --------------------------------------------------------------------------


def cut(rng: Random, data: bytearray, places: list[Table]) -> None:
    """Truncated: anywhere, or at the border of a table."""
    table = rng.choice(places)
    end = rng.choice(
        (rng.randrange(len(data) + 1), table.offset + table.size * rng.randrange(table.count + 1))
    )
    del data[max(end + rng.choice((-1, 0, 0, 1)), 0) :]


def flip_bytes(rng: Random, data: bytearray, places: list[Table]) -> None:
    for _ in range(rng.choice((1, 2, 8, 64))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)


def copy_block(rng: Random, data: bytearray, places: list[Table]) -> None:
    if len(data) > 8:
        size = rng.randrange(1, min(len(data), 512))
        a, b = (rng.randrange(len(data) - size + 1) for _ in range(2))
        data[b : b + size] = data[a : a + size]


def plant_word(rng: Random, data: bytearray, places: list[Table]) -> None:
    """Text that some layer might take for its own, in a string table."""
    strings = [t for t in places if t.kind.startswith("strings")] or places
    table, word = rng.choice(strings), rng.choice(WORDS)
    at = table.offset + rng.randrange(table.size * table.count)
    if at + len(word) <= len(data):
        data[at : at + len(word)] = word


def no_nul(rng: Random, data: bytearray, places: list[Table]) -> None:
    """A string table, or its end, without any NUL."""
    table = rng.choice([t for t in places if t.kind.startswith("strings")] or places)
    end = table.offset + table.size * table.count
    start = rng.choice((table.offset, max(table.offset, end - 16)))
    data[start:end] = data[start:end].replace(b"\0", b"A")


def append(rng: Random, data: bytearray, places: list[Table]) -> None:
    """Bytes behind the end: noise, zeros, or a signature trailer with fields of any value."""
    kind = rng.randrange(3)
    if kind == 2:
        data += rng.randbytes(rng.choice((0, 16, 400)))
        small = [rng.choice((0, 0, 0, 1, 2, 255)) for _ in range(8)]
        small[2] = rng.choice((2, 2, 2, 1))
        length = rng.choice((0, 1, 16, 400, len(data), (1 << 32) - 1))
        data += struct.pack(">8BI", *small, length) + MARKER
    else:
        data += rng.randbytes(rng.randrange(1, 300)) if kind else bytes(rng.randrange(1, 5000))


IN_PLACE: tuple[tuple[Callable[[Random, bytearray, list[Table]], None], int], ...] = (
    (in_a_table, 24), (flip_bytes, 4), (copy_block, 2), (plant_word, 3), (no_nul, 1), (cut, 2), (append, 1),
)  # fmt: skip


# --- sound changes of structure, before anything is broken ----------------------------------------


def add_section(rng: Random, image: Image) -> None:
    """One more section with a name that means something, huge without bytes or small with noise."""
    nobits = rng.random() < 0.3
    size = rng.choice((0, 1, 4, 12, 16, 64, 640))
    name = rng.choice(NAMES)
    image.add_section(
        name,
        b"" if nobits else rng.randbytes(size),
        sh_type=8 if nobits else rng.choice((1, 1, 4, 7)),
        sh_flags=rng.choice((0, 2, 2, 3, 3, 6, 0x200003)),
        sh_addralign=rng.choice((0, 1, 8, 16, 4096, 3)),
    )
    if nobits:
        image.set_section(
            image.header("e_shnum") - 1,
            sh_size=rng.choice((1, 4096, 1 << 20, 1 << 28, 1 << 30, 1 << 31, (1 << 32) - 4096, 1 << 40)),
        )


def rename_section(rng: Random, image: Image) -> None:
    number = rng.randrange(1, image.header("e_shnum"))
    at = image.section(image.header("e_shstrndx"), "sh_size")
    table = image.header("e_shstrndx")
    image.replace(table, image.content(table) + rng.choice(NAMES).encode() + b"\0")
    image.set_section(number, sh_name=at)


def change_modinfo(rng: Random, image: Image) -> None:
    tag = rng.choice(TAGS)
    value = rng.choice(
        (None, "", "GPL", "x" * rng.choice((10, 70, 3000)), "kernel", "hello", "\xff\xfe", "a/b", "{x}")
    )
    image.set_modinfo(tag, value)


def change_name(rng: Random, image: Image) -> None:
    names = (
        b"",
        b"a" * 55,
        b"a" * 56,
        b"kernel",
        b"loop",
        b"chain_a",
        b"a/b",
        b"..",
        b"\xff\xfe",
        b"a b\n",
        b"{0}",
    )
    image.set_struct_name(rng.choice(names))


def add_symbol(rng: Random, image: Image) -> None:
    name = rng.choice(
        ("", "_printk", "nobody", "chain_a_add", "_GLOBAL_OFFSET_TABLE_", "__gnu_lto_x", "s" * 4000)
    )
    image.add_symbol(name, shndx=rng.choice((0, 0, 1, 2, 0xFFF1, 0xFFF2, 0xFF20, 0xFFFF, 60)),
                     value=rng.choice(EDGES), info=rng.randrange(256))  # fmt: skip


STRUCTURAL = (
    add_section,
    add_section,
    rename_section,
    rename_section,
    change_modinfo,
    change_name,
    add_symbol,
)


def mutate(rng: Random, original: bytes, known: list[Table]) -> bytes:
    """A broken version of a sound module; ``known`` are its tables."""
    data, places = bytearray(original), known
    if rng.random() < 0.35:
        image = Image(original)
        for _ in range(rng.choice((1, 1, 2, 3))):
            try:
                rng.choice(STRUCTURAL)(rng, image)
            except (KeyError, ValueError, IndexError, struct.error):
                continue  # this module has no such section
        data = image.data
        try:
            places = tables(data)
        except struct.error:
            return bytes(data)
    functions, weights = zip(*IN_PLACE, strict=True)
    for _ in range(
        rng.choice((0, 1, 1, 1, 2, 2, 3, 5, 12)) if data != original else rng.choice((1, 1, 1, 2, 3, 6))
    ):
        rng.choices(functions, weights)[0](rng, data, places)
    return bytes(data)
