# SPDX-License-Identifier: GPL-2.0-only
"""What relocation has to give, from the file by pyelftools and the psABI's formulas, nothing of kmodsim."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from elftools.elf.elffile import ELFFile

MASK = (1 << 64) - 1
# psABI, AMD64 supplement, "Relocation Types": bytes stored, PC-relative
FORMULAS = {1: (8, False), 2: (4, True), 4: (4, True), 10: (4, False), 11: (4, False), 24: (8, True)}
SHF_ALLOC = 2
SHN_UNDEF, SHN_ABS = "SHN_UNDEF", "SHN_ABS"


class Expected(NamedTuple):
    """One relocated place: section number, offset in it, the bytes that must be there."""

    section: int
    offset: int
    stored: bytes


class Reading:
    """One .ko through pyelftools; ``addresses``: section number -> where the module's section lies."""

    def __init__(self, image: bytes) -> None:
        self.elf = ELFFile(io.BytesIO(image))
        self.symtab = self.elf.get_section_by_name(".symtab")
        self.symbols = [
            (symbol.name, symbol["st_shndx"], symbol["st_value"], symbol["st_info"]["bind"])
            for symbol in self.symtab.iter_symbols()
        ]

    def exports(self, addresses: Mapping[int, int]) -> dict[str, int]:
        """The addresses of what ``__ksymtab_*`` names: EXPORT_SYMBOL leaves a symbol of that name behind."""
        marked = {name[len("__ksymtab_") :] for name, *_ in self.symbols if name.startswith("__ksymtab_")}
        return {
            name: (addresses.get(shndx, 0) + value) & MASK
            for name, shndx, value, bind in self.symbols
            if name in marked and isinstance(shndx, int) and bind != "STB_LOCAL"
        }

    def values(self, addresses: Mapping[int, int], provided: Mapping[str, int]) -> list[int | None]:
        """S of every symbol; None for one that has no address (in a section that is not loaded)."""
        found: list[int | None] = []
        for name, shndx, value, _bind in self.symbols:
            if shndx == SHN_UNDEF:
                found.append(provided.get(name, 0))
            elif shndx == SHN_ABS:
                found.append(value)
            else:
                base = addresses.get(shndx) if isinstance(shndx, int) else None
                found.append(None if base is None else (base + value) & MASK)
        return found

    def expected(self, addresses: Mapping[int, int], provided: Mapping[str, int]) -> Iterator[Expected]:
        """Every relocation of a loaded section, in file order."""
        values = self.values(addresses, provided)
        for section in self.elf.iter_sections():
            target = section["sh_info"]
            if section["sh_type"] != "SHT_RELA" or target not in addresses:
                continue
            if not self.elf.get_section(target)["sh_flags"] & SHF_ALLOC:
                continue
            base = addresses[target]
            for entry in section.iter_relocations():
                kind = entry["r_info_type"]
                if kind == 0:
                    continue
                size, pc_relative = FORMULAS[kind]
                symbol = values[entry["r_info_sym"]]
                if symbol is None:
                    raise LookupError(f"symbol {entry['r_info_sym']} has no address")
                value = symbol + entry["r_addend"] - (base + entry["r_offset"] if pc_relative else 0)
                stored = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
                yield Expected(target, entry["r_offset"], stored)
