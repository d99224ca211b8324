# SPDX-License-Identifier: GPL-2.0-only
"""ELF headers as tables, field by field and as readelf(1) lists sections, and as regions of a hex dump."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .elf_fields import NOBODY, Field, meaning
from .hexdump import Region
from .view import View, plural, table


class HeaderLine(NamedTuple):
    """One section header: number, name, type in words, and the numbers as they are in the file."""

    number: int
    name: str
    type: str
    address: int
    offset: int
    size: int
    entsize: int
    flags: str
    link: int
    info: int
    align: int


def field_table(
    fields: Sequence[Field], data: bytes, title: str, before: bytes | None = None, chosen: str = ""
) -> View:
    """The fields of one header: bytes, value, meaning, who in the kernel looks at it.

    ``data``: the header's bytes; ``before``: as they were, so that changed fields are marked with their old
    value; ``chosen``: a field that is marked in any case.
    """
    rows: list[tuple[str, ...]] = []
    marked = []
    for number, field in enumerate(fields):
        now, old = _value(field, data), _value(field, before if before is not None else data)
        if now != old or field.name == chosen:
            marked.append(number)
        was = f"  (was {number_text(old)})" if now != old else ""
        raw = data[field.offset : field.offset + field.size].hex(" ")
        place = f"{field.offset:#x}"
        value = number_text(now) + was
        rows.append((field.name, value, meaning(field.name, now), field.reader, place, raw))
    read = sum(field.reader != NOBODY for field in fields)
    words = f"{plural(len(fields), 'field')}, {read} of them looked at by the module loader."
    heads = ("field", "value", "means", "who looks at it", "offset", "bytes")
    return table(title, words, heads, rows, right=(4,), marked=marked)


def number_text(value: int) -> str:
    """Small numbers in decimal, large ones in hex."""
    return str(value) if value < 1 << 16 else f"{value:#x}"


def _value(field: Field, data: bytes) -> int:
    return int.from_bytes(data[field.offset : field.offset + field.size], "little")


def field_regions(fields: Sequence[Field], start: int = 0) -> list[Region]:
    """The fields as regions of a hex dump: those the loader looks at coloured, the others in grey."""
    fills = ("code", "rodata")  # neighbours must be told apart
    regions, seen = [], 0
    for field in fields:
        fill = "plain"
        if field.reader != NOBODY:
            fill, seen = fills[seen % 2], seen + 1
        regions.append((start + field.offset, field.size, field.name, fill))
    return regions


def section_headers(lines: Sequence[HeaderLine], title: str, marked: int | None = None) -> View:
    """The section headers as ``readelf -S -W`` lists them; the row of section number ``marked`` is marked."""
    rows: list[tuple[str, ...]] = [
        (f"[{h.number:2}]", h.name, h.type, f"{h.address:016x}", f"{h.offset:06x}", f"{h.size:06x}",
         f"{h.entsize:02x}", h.flags, str(h.link), str(h.info), str(h.align))
        for h in lines
    ]  # fmt: skip
    heads = ("[Nr]", "Name", "Type", "Address", "Off", "Size", "ES", "Flg", "Lk", "Inf", "Al")
    found = [] if marked is None else [i for i, h in enumerate(lines) if h.number == marked]
    words = f"{plural(len(lines), 'section header')}, as readelf lists them. A: loaded."
    return table(title, words, heads, rows, right=(7, 8, 9, 10), marked=found or None)
