# SPDX-License-Identifier: GPL-2.0-only
"""From a module file, and its load, to the views of headers, symbols, modinfo and of the way into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..loader.load import INIT_OFFSET_MASK
from ..records import EHDR, SHDR, SHF_ALLOC, SHF_EXECINSTR, SHF_RO_AFTER_INIT, SHF_WRITE, SHT_NOBITS, SYM
from .elf_fields import HEADER, SECTION
from .elf_header import HeaderLine, field_regions, field_table, section_headers
from .file_to_memory import Part, Way, file_to_memory
from .hexdump import hex_dump
from .symbols import SymbolLine, modinfo_table, symbol_table
from .view import View

if TYPE_CHECKING:
    from ..loader.load import Load, SectionHeader
    from ..modulefile import ModuleFile

NOWHERE = (1 << 64) - 1


def elf_header_of(file: ModuleFile, field: str = "") -> View:
    """The fields of the ELF header, who in the kernel looks at each; ``field`` is marked."""
    return field_table(HEADER, file.data[: EHDR.itemsize], f"ELF header of {file.name}", chosen=field)


def elf_header_bytes_of(file: ModuleFile) -> View:
    """The ELF header's 64 bytes, with the fields the loader looks at in colour."""
    title = f"ELF header of {file.name} (grey: nobody looks)"
    return hex_dump(file.data[: EHDR.itemsize], 0, field_regions(HEADER), title=title)


def section_header_of(file: ModuleFile, section: int | str, field: str = "") -> View:
    """The fields of one section header; KeyError or IndexError: there is no such section."""
    found = file.sections[section]
    start = (file.header.e_shoff if file.header else 0) + SHDR.itemsize * found.index
    title = f"Section header {found.index} of {file.name}: {found.name}"
    return field_table(SECTION, file.data[start : start + SHDR.itemsize], title, chosen=field)


def section_headers_of(file: ModuleFile) -> View:
    """All section headers as ``readelf -S -W`` lists them."""
    return section_headers(header_lines(file), f"Section headers of {file.name}")


def header_lines(file: ModuleFile) -> list[HeaderLine]:
    return [
        HeaderLine(s.index, s.name, s.type_name, s.address, s.offset, s.size, s.entsize, s.flags_text, s.link,
                   s.info, s.align)
        for s in file.sections
    ]  # fmt: skip


def symbols_of(file: ModuleFile, load: Load | None = None, name: str = "") -> View:
    """The symbol table of a file and, given its load, the addresses that simplify_symbols wrote."""
    values = load.symtab["st_value"].tolist() if load is not None and load.symtab is not None else []
    lines = [
        SymbolLine(s.index, s.value, s.size, s.type, s.bind, s.section, s.name,
                   values[s.index] if s.index < len(values) else None)
        for s in file.symbols
    ]  # fmt: skip
    marked = next((line.number for line in lines if name and line.name == name), None)
    return symbol_table(lines, f"Symbols of {file.name}", loaded=bool(values), marked=marked)


def modinfo_of(file: ModuleFile) -> View:
    """The tags of .modinfo and who reads them."""
    return modinfo_table(list(file.modinfo), f".modinfo of {file.name}")


def way_of(load: Load, mark: str = "") -> View:
    """From the file into memory: the sections of a load that came as far as move_module."""
    ways = ways_of(load)
    parts = [
        Part(name, _base(load, name), layout.size)
        for name, layout in (("core", load.core_layout), ("init", load.init_layout))
        if layout.size
    ]
    left_out = len(load.sections) - 1 - sum(not way.name.startswith("(") for way in ways)
    title = f"{load.name}: from the file into memory"
    return file_to_memory(ways, parts, title, left_out=max(0, left_out), mark=mark)


def _base(load: Load, part: str) -> int:
    """Where a part begins (or began: init memory is given back), from one of its sections."""
    for s in load.sections:
        if s.alloc and s.entsize != NOWHERE and ("init" if s.entsize & INIT_OFFSET_MASK else "core") == part:
            return s.addr - (s.entsize & ~INIT_OFFSET_MASK)
    return 0


def ways_of(load: Load) -> list[Way]:
    """The sections that layout_sections and layout_symtab placed, and what kallsyms adds to them."""
    ways = [
        Way(s.name, None if s.type == SHT_NOBITS else s.offset, s.size,
            "init" if s.entsize & INIT_OFFSET_MASK else "core", s.entsize & ~INIT_OFFSET_MASK,
            _group(load, s), s.addralign or 1)
        for s in load.sections if s.flags & SHF_ALLOC and s.entsize != NOWHERE
    ]  # fmt: skip
    kept = load.symtab_layout
    size = kept.core_typeoffs + kept.num_core_symbols - kept.symoffs
    ways.append(Way("(symbols that stay)", None, size, "core", kept.symoffs, "plain", 8))
    start, count = kept.mod_kallsyms_init_off, load.sections[load.index.sym].size // SYM.itemsize
    size = kept.init_typeoffs + count - start
    return [*ways, Way("(struct mod_kallsyms, types)", None, size, "init", start, "plain", 8)]


def _group(load: Load, section: SectionHeader) -> str:
    """The first group whose flags fit, as layout_sections asks."""
    if section.index in (load.index.sym, load.index.str):
        return "plain"
    if section.flags & SHF_EXECINSTR:
        return "code"
    if not section.flags & SHF_WRITE:
        return "rodata"
    return "roafter" if section.flags & SHF_RO_AFTER_INIT else "data"
