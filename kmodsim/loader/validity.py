# SPDX-License-Identifier: GPL-2.0-only
"""Is this an ELF file that the loader can walk? (``kernel/module/main.c:elf_validity_check``)

The order of the checks is the kernel's; what it does not look at (EI_CLASS, EI_DATA, e_version, …) is not
looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from sys import intern
from typing import TYPE_CHECKING

from ..errors import ENOEXEC, KernelError
from ..records import (
    EHDR,
    EM_X86_64,
    ET_REL,
    SHDR,
    SHF_ALLOC,
    SHN_UNDEF,
    SHT_NOBITS,
    SHT_NULL,
    SHT_SYMTAB,
    view,
)
from .load import SectionHeader

if TYPE_CHECKING:
    from .load import Load


def read_elf_header(data: bytes) -> dict[str, int]:
    """The 64 bytes of ``Elf64_Ehdr`` by field name; ``e_ident`` is the first four bytes as a little-endian
    number."""
    record = view(_bytes(data), 0, 1, EHDR)[0]
    fields = {name: int(record[name]) for name in (EHDR.names or ()) if name != "e_ident"}
    return {"e_ident": int.from_bytes(data[:4], "little"), **fields}


def read_section_header(data: bytes) -> dict[str, int]:
    """The 64 bytes of one ``Elf64_Shdr`` by field name."""
    record = view(_bytes(data), 0, 1, SHDR)[0]
    return {name: int(record[name]) for name in SHDR.names or ()}


def _bytes(data: bytes):  # type: ignore[no-untyped-def]
    import numpy as np

    return np.frombuffer(data, np.uint8)


def check_elf_header(header: Mapping[str, int], length: int) -> str:
    """What the kernel prints about a header it refuses, "" when it goes on. ``length``: bytes of the file."""
    h = header
    if h["e_ident"] != int.from_bytes(b"\x7fELF", "little"):
        return "Invalid ELF header magic: != \x7fELF"
    if h["e_type"] != ET_REL:
        return f"Invalid ELF header type: {h['e_type']} != {ET_REL}"
    if h["e_machine"] != EM_X86_64:
        return f"Invalid architecture in ELF header: {h['e_machine']}"
    if h["e_shentsize"] != SHDR.itemsize:
        return "Invalid ELF section header size"
    if h["e_shoff"] >= length or h["e_shnum"] * SHDR.itemsize > length - h["e_shoff"]:
        return "Invalid ELF section header overflow"
    if h["e_shstrndx"] == SHN_UNDEF or h["e_shstrndx"] >= h["e_shnum"]:
        i, n = h["e_shstrndx"], h["e_shnum"]
        return f"Invalid ELF section name index: {i} || e_shstrndx ({i}) >= e_shnum ({n})"
    return ""


def validate_section_offset(offset: int, size: int, length: int) -> bool:
    """Whether [offset, offset + size) lies in the file; the sum is unsigned 64-bit and must not wrap.

    Models ``kernel/module/main.c:validate_section_offset``.
    """
    end = offset + size
    return end < 1 << 64 and end <= length


def check_string_table(section: SectionHeader, length: int, last_byte: int) -> str:
    """The section name table must be inside the file, not empty and end in NUL; "" or the kernel's words."""
    if not validate_section_offset(section.offset, section.size, length):
        return f"Invalid ELF section hdr(type {section.type})"
    if section.size == 0:
        return "empty section name table"
    if last_byte != 0:
        return "ELF Spec violation: section name table isn't null terminated"
    return ""


def check_sections(
    sections: Sequence[SectionHeader], name_offsets: Sequence[int], names_size: int, length: int
) -> str:
    """Section 0 and every section in order; "" or the kernel's words about the first fault.

    ``name_offsets`` are the sh_name values, ``names_size`` the size of the section name table.
    """
    zero = sections[0]
    if zero.type != SHT_NULL or zero.size != 0 or zero.addr != 0:
        kind = zero.type - (1 << 32) if zero.type >> 31 else zero.type
        return f"ELF Spec violation: section 0 type({kind})!=SH_NULL or non-zero len or addr"
    for s in sections[1:]:
        if s.type in (SHT_NULL, SHT_NOBITS):
            continue
        if s.type == SHT_SYMTAB and (s.link == SHN_UNDEF or s.link >= len(sections)):
            link = s.link - (1 << 32) if s.link >> 31 else s.link
            return (
                f"Invalid ELF sh_link!=SHN_UNDEF({link}) or (sh_link({link}) >= hdr->e_shnum({len(sections)})"
            )
        if not validate_section_offset(s.offset, s.size, length):
            return f"Invalid ELF section in module (section {s.index} type {s.type})"
        if s.flags & SHF_ALLOC and name_offsets[s.index] >= names_size:
            return f"Invalid ELF section name in module (section {s.index} type {s.type})"
    return ""


def elf_validity_check(load: Load) -> None:
    """Refuse what is not a walkable ELF file; fills ``load.header`` and ``load.sections``."""
    take_sections(load, *read_sections(load))


def read_sections(load: Load) -> tuple[list[SectionHeader], list[int], SectionHeader]:
    """The section headers without names, their sh_name, and the section name table, now checked."""
    if load.length < EHDR.itemsize:
        _refuse(load, f"Invalid ELF header len {load.length}")
    load.header = read_elf_header(load.image[: EHDR.itemsize].tobytes())
    _refuse(load, load.pure("check_elf_header")(load.header, load.length))
    rows = view(load.image, load.header["e_shoff"], load.header["e_shnum"], SHDR).tolist()
    sections = [SectionHeader(i, "", *row[1:]) for i, row in enumerate(rows)]
    names = sections[load.header["e_shstrndx"]]
    end = names.offset + names.size
    last = int(load.image[end - 1]) if 0 < end <= load.length else 0
    _refuse(load, load.pure("check_string_table")(names, load.length, last))
    return sections, [row[0] for row in rows], names


def take_sections(
    load: Load, sections: list[SectionHeader], name_offsets: list[int], names: SectionHeader
) -> None:
    """Check every section, and give each its name."""
    _refuse(load, load.pure("check_sections")(sections, name_offsets, names.size, load.length))
    strings = load.file_bytes(names.offset, names.size).tobytes()
    for section, name in zip(sections, load.names_at(names.offset, strings, name_offsets), strict=True):
        section.name = intern(name)  # thousands of modules share a few
    load.sections = sections


def _refuse(load: Load, message: str) -> None:
    if message:
        for line in load.rules.said(message):
            load.kernel.printk(3, line)
        raise KernelError(ENOEXEC, why=message)
