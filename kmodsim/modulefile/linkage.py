# SPDX-License-Identifier: GPL-2.0-only
"""What binds modules together: exported and imported symbols and their version CRCs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..records import KERNEL_SYMBOL, MODVERSION, SHN_UNDEF, STB_WEAK, Records
from .elf import Problems, Section, Sections, text
from .info import MANY, pointed_string
from .relocations import Relocations
from .symbols import SymbolTable

CRC = np.dtype("<u4")
# (table, its CRCs, GPL only): include/linux/export.h, kernel/module/main.c:find_module_sections
TABLES = (("__ksymtab", "__kcrctab", False), ("__ksymtab_gpl", "__kcrctab_gpl", True))
VALUE_AT, NAME_AT, NAMESPACE_AT = 0, 4, 8


@dataclass(frozen=True)
class Export:
    """``struct kernel_symbol``: ``name`` is at ``value`` in ``section``; ``namespace`` None: in none."""

    name: str
    section: str
    value: int
    gpl: bool
    crc: int | None
    namespace: str | None


@dataclass(frozen=True)
class Import:
    """An undefined symbol; ``crc``: what the module was built against (None: not listed in __versions)."""

    name: str
    weak: bool
    crc: int | None


class Versions(Mapping[str, int]):
    """__versions: the CRC of every imported symbol by name; ``records`` is the table itself."""

    def __init__(self, section: Section | None = None) -> None:
        self.records: Records = section.records(MODVERSION) if section else np.empty(0, MODVERSION)

    def __getitem__(self, name: str) -> int:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @cached_property
    def _by_name(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for crc, name in self.records.tolist():
            # the first entry wins (kernel/module/version.c:check_version)
            found.setdefault(text(name.split(b"\0", 1)[0]), crc)
        return found

    def __repr__(self) -> str:
        return f"<{len(self)} symbol versions>"


def read_versions(sections: Sections, problems: Problems) -> Versions:
    section = sections.get("__versions")
    if section is not None and section.size % MODVERSION.itemsize:
        problems.note(f"__versions: {section.size} bytes are not a multiple of {MODVERSION.itemsize}")
    return Versions(section)


def read_imports(symbols: SymbolTable, versions: Versions) -> list[Import]:
    """The undefined symbols in the symbol table's order, entry 0 aside."""
    records: Any = symbols.records
    found = []
    for index in np.flatnonzero(records["st_shndx"][1:] == SHN_UNDEF).tolist():
        name = symbols.name(index + 1)
        weak = int(records["st_info"][index + 1]) >> 4 == STB_WEAK
        found.append(Import(name, weak, versions.get(name)))
    return found


def read_exports(sections: Sections, relocations: Relocations, problems: Problems) -> list[Export]:
    """The entries of __ksymtab and __ksymtab_gpl, through their relocations (PREL32: all fields are zero)."""
    return [export for names in TABLES for export in _exports(*names, sections, relocations, problems)]


def _exports(
    name: str, crc_name: str, gpl: bool, sections: Sections, relocations: Relocations, problems: Problems
) -> Iterator[Export]:
    section = sections.get(name)
    table = relocations.of(section) if section else None
    if section is None or table is None:
        return
    count = min(section.length // KERNEL_SYMBOL.itemsize, MANY)
    if count * KERNEL_SYMBOL.itemsize != section.size:
        problems.note(f"{name}: {section.size} bytes are not a whole and likely number of entries")
    crcs = _crcs(sections.get(crc_name), relocations, count)
    for index in range(count):
        at = index * KERNEL_SYMBOL.itemsize
        value, export = table.pointer(at + VALUE_AT), pointed_string(table, at + NAME_AT, sections)
        if value is None or not export:
            problems.note(f"{name}: entry {index} has no name or value that can be read")
            continue
        namespace = pointed_string(table, at + NAMESPACE_AT, sections)
        yield Export(export, value.symbol.section, value.offset, gpl, crcs[index], namespace or None)


def _crcs(section: Section | None, relocations: Relocations, count: int) -> list[int | None]:
    """The CRCs beside an export table: plain numbers, or relocated against absolute symbols before 5.19."""
    if section is None:
        return [None] * count
    plain: list[int | None] = section.records(CRC)[:count].tolist()
    plain += [None] * (count - len(plain))
    table = relocations.of(section)
    if table is None or not len(table):
        return plain
    targets = [table.pointer(index * CRC.itemsize) for index in range(count)]
    return [target.offset & 0xFFFFFFFF if target else crc for target, crc in zip(targets, plain, strict=True)]
