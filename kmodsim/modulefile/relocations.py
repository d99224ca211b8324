# SPDX-License-Identifier: GPL-2.0-only
"""Relocations: structured views of the file without a copy, with plain access on top.

``table.records`` is the numpy view that computations use; iterating, indexing and looking up make small
frozen objects one at a time, so that a table of 320,000 relocations costs nothing until somebody looks at it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple, overload

import numpy as np

from ..records import RELA, SHT_REL, SHT_RELA, Records
from .elf import Problems, Section, Sections
from .symbols import CHUNK, Symbol, SymbolTable

REL = np.dtype([("r_offset", "<u8"), ("r_type", "<u4"), ("r_sym", "<u4")])


@dataclass(frozen=True, slots=True)
class Relocation:
    """``Elf64_Rela``: at ``offset`` of ``section`` the loader stores what ``type`` makes of symbol + addend.

    ``symbol`` is the symbol's name, for a section symbol the section's; ``addend`` is None in a REL table.
    """

    section: str
    offset: int
    type: int
    type_name: str
    symbol_index: int
    symbol: str
    addend: int | None


class Target(NamedTuple):
    """Where a relocation points: symbol, and value + addend as offset into the symbol's section."""

    symbol: Symbol
    offset: int


class RelocationTable(Sequence[Relocation]):
    """One SHT_RELA (or SHT_REL) section: the relocations of its ``target`` section."""

    def __init__(self, section: Section, sections: Sections, symbols: SymbolTable) -> None:
        self.section = section
        self.target = sections.get(section.info)
        self.symbols = symbols
        self.records: Records = section.records(RELA if section.type == SHT_RELA else REL)
        self._type_names = _type_names()

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Relocation]:
        for start in range(0, len(self), CHUNK):
            for row in self.records[start : start + CHUNK].tolist():
                yield self._relocation(row)

    @overload
    def __getitem__(self, key: int) -> Relocation: ...
    @overload
    def __getitem__(self, key: slice) -> list[Relocation]: ...
    def __getitem__(self, key: int | slice) -> Relocation | list[Relocation]:
        if isinstance(key, slice):
            return [self[index] for index in range(*key.indices(len(self)))]
        return self._relocation(self.records[key].item())

    def kinds(self) -> dict[str, int]:
        """Name of a type -> how many entries have it."""
        numbers, counts = np.unique(self.records["r_type"], return_counts=True)
        pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
        return {self._type_names.get(number, str(number)): count for number, count in pairs}

    def at(self, offset: int) -> Relocation | None:
        """The (first) relocation at ``offset`` of the target section."""
        offsets = self.records["r_offset"]
        place = int(np.searchsorted(offsets, np.uint64(offset), sorter=self._by_offset))
        if place == len(self) or offsets[self._by_offset[place]] != offset:
            return None
        return self[int(self._by_offset[place])]

    def pointer(self, offset: int) -> Target | None:
        """Where the field at ``offset`` points to once relocated, as (symbol, value + addend)."""
        relocation = self.at(offset)
        symbol = self.symbols.get(relocation.symbol_index) if relocation else None
        if relocation is None or symbol is None:
            return None
        return Target(symbol, symbol.value + (relocation.addend or 0))

    def _relocation(self, row: tuple[int, ...]) -> Relocation:
        offset, type_, index = row[:3]
        return Relocation(
            self.target.name if self.target else "", offset, type_, self._type_names.get(type_, str(type_)),
            index, self.symbols.label(index), row[3] if len(row) > 3 else None,
        )  # fmt: skip

    @cached_property
    def _by_offset(self) -> Records:
        return np.argsort(self.records["r_offset"], kind="stable")

    def __repr__(self) -> str:
        return f"<{self.section.name}: {len(self)} relocations>"


class Relocations(Sequence[Relocation]):
    """All relocations in file order; ``tables`` has them by section, as does ``relocations[".text"]``."""

    def __init__(self, tables: Sequence[RelocationTable] = ()) -> None:
        self.tables = tuple(tables)
        self._ends = list(accumulate(len(table) for table in self.tables))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[Relocation]:
        for table in self.tables:
            yield from table

    @overload
    def __getitem__(self, key: int) -> Relocation: ...
    @overload
    def __getitem__(self, key: slice) -> list[Relocation]: ...
    @overload
    def __getitem__(self, key: str) -> RelocationTable: ...
    def __getitem__(self, key: int | slice | str) -> Relocation | list[Relocation] | RelocationTable:
        if isinstance(key, slice):
            return [self[index] for index in range(*key.indices(len(self)))]
        if isinstance(key, str):
            table = self.get(key)
            if table is None:
                raise KeyError(key)
            return table
        index = key + len(self) if key < 0 else key
        if not 0 <= index < len(self):
            raise IndexError(key)
        place = bisect_right(self._ends, index)
        return self.tables[place][index - self._ends[place]]

    def get(self, name: str) -> RelocationTable | None:
        """The table for the section of that name, or of that name itself (".rela.text"), or None."""
        for table in self.tables:
            if name == table.section.name or (table.target is not None and name == table.target.name):
                return table
        return None

    def of(self, section: Section) -> RelocationTable | None:
        """The table for this very section."""
        return next((table for table in self.tables if table.section.info == section.index), None)

    def __repr__(self) -> str:
        return f"<{len(self)} relocations in {len(self.tables)} tables>"


def read_relocations(sections: Sections, symbols: SymbolTable, problems: Problems) -> Relocations:
    """All SHT_RELA and SHT_REL sections in file order."""
    tables = []
    # a damaged size may cover other tables; but when every table is as large as the file, somebody made it up
    room = 4 * max((len(section.image) for section in sections), default=0)
    for section in sections:
        if section.type not in (SHT_RELA, SHT_REL):
            continue
        room -= section.length
        if room < 0:
            problems.note(f"{section.name}: the relocation sections overlap; the rest of them is not read")
            break
        tables.append(RelocationTable(section, sections, symbols))
        _check(tables[-1], problems)
    return Relocations(tables)


def _check(table: RelocationTable, problems: Problems) -> None:
    name, target = table.section.name, table.target
    if target is None or not target.index:
        problems.note(f"{name}: sh_info {table.section.info} names no section to relocate")
    wrong = int(np.count_nonzero(table.records["r_sym"] >= max(1, len(table.symbols))))
    if wrong:
        problems.note(f"{name}: {wrong} relocations name a symbol beyond the {len(table.symbols)}")
    if target and len(table) and int(table.records["r_offset"].max()) >= target.size:
        problems.note(f"{name}: relocations beyond the {target.size:#x} bytes of {target.name}")


def _type_names() -> dict[int, str]:
    from elftools.elf.enums import ENUM_RELOC_TYPE_x64

    return {number: name for name, number in ENUM_RELOC_TYPE_x64.items() if isinstance(number, int)}
