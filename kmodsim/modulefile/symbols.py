# SPDX-License-Identifier: GPL-2.0-only
"""Symbols: a structured view of the file without a copy, with plain access on top.

``table.records`` is the numpy view that computations use; iterating, indexing and looking up make small
frozen objects one at a time, so that a table of 30,000 symbols costs nothing until somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np

from ..records import (
    SHN_ABS,
    SHN_COMMON,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_SYMTAB,
    STT_SECTION,
    SYM,
    Records,
)
from .elf import Problems, Section, Sections

REL = np.dtype([("r_offset", "<u8"), ("r_type", "<u4"), ("r_sym", "<u4")])
CHUNK = 4096  # records turned into Python numbers at a time

# st_info, st_other and st_shndx in readelf's words (the ELF gABI and its GNU extensions)
BINDS = {0: "LOCAL", 1: "GLOBAL", 2: "WEAK", 10: "UNIQUE"}
TYPES = {0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 3: "SECTION", 4: "FILE", 5: "COMMON", 6: "TLS", 10: "IFUNC"}
VISIBILITIES = ("DEFAULT", "INTERNAL", "HIDDEN", "PROTECTED")
SPECIAL_SECTIONS = {SHN_UNDEF: "UND", SHN_ABS: "ABS", SHN_COMMON: "COM"}


@dataclass(frozen=True, slots=True)
class Symbol:
    """``Elf64_Sym``: ``value`` is an offset into ``section`` in a relocatable file, for ABS a plain number.

    ``section`` is the section's name, or "UND", "ABS", "COM" as readelf says; ``section_index`` is st_shndx.
    """

    index: int
    name: str
    value: int
    size: int
    bind: str
    type: str
    visibility: str
    section_index: int
    section: str


class SymbolTable(Sequence[Symbol]):
    """The symbols by index and by name (the first of that name, found on demand)."""

    def __init__(self, section: Section | None, sections: Sections, problems: Problems) -> None:
        self.section = section
        self.records: Records = section.records(SYM) if section else np.empty(0, SYM)
        self._sections = sections
        self._strings = sections.get(section.link) if section else None
        outside = int(np.count_nonzero(self.records["st_name"] >= max(1, self._names_length)))
        if outside and section:
            problems.note(f"{section.name}: {outside} of {len(self)} names lie beyond the string table")

    @property
    def _names_length(self) -> int:
        return self._strings.length if self._strings else 0

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Symbol]:
        for start in range(0, len(self), CHUNK):
            for index, row in enumerate(self.records[start : start + CHUNK].tolist(), start):
                yield self._symbol(index, row)

    @overload
    def __getitem__(self, key: int | str) -> Symbol: ...
    @overload
    def __getitem__(self, key: slice) -> list[Symbol]: ...
    def __getitem__(self, key: int | str | slice) -> Symbol | list[Symbol]:
        if isinstance(key, slice):
            return [self[index] for index in range(*key.indices(len(self)))]
        if isinstance(key, str):
            found = self._indices(key)
            if not len(found):
                raise KeyError(key)
            key = int(found[0])
        return self._symbol(key % len(self) if -len(self) <= key < 0 else key, self.records[key].item())

    def __contains__(self, key: object) -> bool:
        return len(self._indices(key)) > 0 if isinstance(key, str) else super().__contains__(key)

    def get(self, key: int | str) -> Symbol | None:
        """The symbol of that index or name, or None."""
        try:
            return self[key] if isinstance(key, str) or 0 <= key < len(self) else None
        except KeyError:
            return None

    def all(self, name: str) -> list[Symbol]:
        """Every symbol of that name: a local and a global one may share it."""
        return [self[int(index)] for index in self._indices(name)]

    def at(self, section_index: int, value: int) -> list[Symbol]:
        """The symbols that stand at offset ``value`` of a section, section symbols aside."""
        records = self.records
        found = (records["st_shndx"] == section_index) & (records["st_value"] == value & (1 << 64) - 1)
        found &= (records["st_info"] & 0xF) != STT_SECTION
        return [self[int(index)] for index in np.flatnonzero(found)]

    def name(self, index: int) -> str:
        """st_name's string; empty for a number or a name that is not there."""
        if self._strings is None or not 0 <= index < len(self):
            return ""
        return self._strings.string(int(self.records["st_name"][index]))

    def label(self, index: int) -> str:
        """The name to show: for a section symbol, which has none of its own, the section's."""
        if 0 <= index < len(self) and self.records["st_info"][index] & 0xF == STT_SECTION:
            section = self._sections.get(int(self.records["st_shndx"][index]))
            return self.name(index) or (section.name if section else "")
        return self.name(index)

    def _symbol(self, index: int, row: tuple[int, ...]) -> Symbol:
        name, info, other, section_index, value, size = row
        return Symbol(
            index, self._strings.string(name) if self._strings else "", value, size,
            BINDS.get(info >> 4, str(info >> 4)), TYPES.get(info & 0xF, str(info & 0xF)),
            VISIBILITIES[other & 3], section_index, self._section_name(section_index),
        )  # fmt: skip

    def _section_name(self, index: int) -> str:
        if index in SPECIAL_SECTIONS:
            return SPECIAL_SECTIONS[index]
        section = self._sections.get(index) if index < SHN_LORESERVE else None
        return section.name if section else f"{index:#x}"

    def _indices(self, name: str) -> Records:
        """Indices of the symbols of that name: those whose st_name is a place of it in the string table."""
        needle = name.encode("utf-8", "surrogateescape") + b"\0"
        places = np.fromiter(_places(self._string_bytes, needle), np.uint32)
        return np.flatnonzero(np.isin(self.records["st_name"], places)) if len(places) else places

    @cached_property
    def _string_bytes(self) -> bytes:
        return self._strings.data if self._strings else b""


def _places(data: bytes, needle: bytes) -> Iterator[int]:
    place = data.find(needle)
    while place >= 0:
        yield place
        place = data.find(needle, place + 1)


def read_symbols(sections: Sections, problems: Problems) -> SymbolTable:
    """The first SHT_SYMTAB: the kernel ignores others (``kernel/module/main.c:setup_load_info``)."""
    found = [section for section in sections if section.type == SHT_SYMTAB]
    if sections and not found:
        problems.note("symbols: there is no SHT_SYMTAB section (stripped?)")
    if len(found) > 1:
        problems.note(f"symbols: {len(found)} SHT_SYMTAB sections; only the first, {found[0].index}, counts")
    if found and sections.get(found[0].link) is None:
        problems.note(f"{found[0].name}: sh_link {found[0].link} names no string table")
    return SymbolTable(found[0] if found else None, sections, problems)
