# SPDX-License-Identifier: GPL-2.0-only
"""The fields of Elf64_Ehdr and Elf64_Shdr: where they are, what they say, and what the module loader reads.

Facts: ``include/uapi/linux/elf.h`` for places and names, ``kernel/module/main.c`` of 6.1 for what is read.
"""

from __future__ import annotations

from typing import NamedTuple

from ..modulefile.elf import flags_text

NOBODY = "nobody"
VALIDITY = "elf_validity_check"


class Field(NamedTuple):
    """``offset`` and ``size`` in bytes; ``reader``: the kernel function that looks at it, or NOBODY."""

    name: str
    offset: int
    size: int
    reader: str
    words: str


HEADER: tuple[Field, ...] = (
    Field("EI_MAG", 0, 4, VALIDITY, "The magic number 7f 45 4c 46, \\x7fELF. Nothing else is taken."),
    Field("EI_CLASS", 4, 1, NOBODY,
          "2 for 64-bit. The loader takes the header for an Elf64_Ehdr whatever stands here."),
    Field("EI_DATA", 5, 1, NOBODY,
          "1 for little-endian. The loader reads in the processor's order whatever stands here."),
    Field("EI_VERSION", 6, 1, NOBODY, "1. Not looked at."),
    Field("EI_OSABI", 7, 1, NOBODY, "0. Not looked at."),
    Field("EI_ABIVERSION", 8, 1, NOBODY, "0. Not looked at."),
    Field("EI_PAD", 9, 7, NOBODY, "Padding."),
    Field("e_type", 16, 2, VALIDITY, "Must be ET_REL: a module is an object file that the kernel links."),
    Field("e_machine", 18, 2, VALIDITY, "Must be the kernel's own processor: EM_X86_64 (elf_check_arch)."),
    Field("e_version", 20, 4, NOBODY, "1. Not looked at."),
    Field("e_entry", 24, 8, NOBODY, "Where a program begins. A module has init in struct module instead."),
    Field("e_phoff", 32, 8, NOBODY, "Program headers say how to run a program. A module has none."),
    Field("e_shoff", 40, 8, VALIDITY, "Where the section headers begin. All of them must lie in the file."),
    Field("e_flags", 48, 4, NOBODY, "Flags of the processor; x86 has none."),
    Field("e_ehsize", 52, 2, NOBODY, "The size of this header. Not looked at."),
    Field("e_phentsize", 54, 2, NOBODY, "The size of a program header. A module has none."),
    Field("e_phnum", 56, 2, NOBODY, "The number of program headers. A module has none."),
    Field("e_shentsize", 58, 2, VALIDITY, "The size of a section header: must be 64, sizeof(Elf64_Shdr)."),
    Field("e_shnum", 60, 2, VALIDITY, "How many section headers there are; they must fit into the file."),
    Field("e_shstrndx", 62, 2, VALIDITY,
          "Which section holds the names of sections: not 0, and less than e_shnum."),
)  # fmt: skip

SECTION: tuple[Field, ...] = (
    Field("sh_name", 0, 4, f"{VALIDITY}, find_sec",
          "Where in the name table the name begins. Checked for sections that are loaded. The name decides: "
          ".init… is freed after init, and find_sec finds .modinfo, __versions, __param by it."),
    Field("sh_type", 4, 4, f"{VALIDITY}, move_module",
          "NULL for section 0. NOBITS: zeros, nothing is copied. SYMTAB: the first one is the symbol table. "
          "RELA: relocations; REL is refused. All other types are the same to the loader."),
    Field("sh_flags", 8, 8, "layout_sections",
          "A: it is loaded. W and X choose its group of pages; both at once are refused "
          "(module_enforce_rwx_sections)."),
    Field("sh_addr", 16, 8, f"{VALIDITY} (section 0)",
          "Must be 0 in section 0. Everywhere else it is overwritten: with the address in the temporary "
          "copy, then in the module's memory."),
    Field("sh_offset", 24, 8, f"{VALIDITY}, move_module",
          "Where its bytes begin in the file; sh_offset + sh_size must not lie behind the file's end, "
          "unless it is NOBITS."),
    Field("sh_size", 32, 8, f"{VALIDITY}, layout_sections",
          "How many bytes it has, in the file and in memory. For tables it also says how many entries."),
    Field("sh_link", 40, 4, f"{VALIDITY}, setup_load_info",
          "Read in the symbol table only: the section of its strings. A relocation section's is ignored; the "
          "loader has but one symbol table."),
    Field("sh_info", 44, 4, "apply_relocations",
          "Read in relocation sections only: which section they change. If that one is not loaded or not "
          "there, they are skipped."),
    Field("sh_addralign", 48, 8, "layout_sections",
          "Its offset is rounded up to this. Nobody checks that it is a power of two."),
    Field("sh_entsize", 56, 8, NOBODY,
          "Never read: layout_sections keeps the offset in core or init here, bit 63 set for init."),
)  # fmt: skip

# readelf's words (binutils); what is in no table is shown as a number
MEANINGS: dict[str, dict[int, str]] = {
    "EI_MAG": {0x464C457F: "\\x7fELF"},
    "EI_CLASS": {0: "none", 1: "ELF32", 2: "ELF64"},
    "EI_DATA": {0: "none", 1: "2's complement, little endian", 2: "2's complement, big endian"},
    "EI_VERSION": {1: "1 (current)"},
    "EI_OSABI": {0: "UNIX - System V", 3: "UNIX - GNU"},
    "e_type": {
        0: "NONE (None)", 1: "REL (Relocatable file)", 2: "EXEC (Executable file)",
        3: "DYN (Shared object file)", 4: "CORE (Core file)",
    },
    "e_machine": {
        0: "None", 3: "Intel 80386", 40: "ARM", 62: "Advanced Micro Devices X86-64", 183: "AArch64",
        243: "RISC-V",
    },
    "sh_type": {
        0: "NULL", 1: "PROGBITS", 2: "SYMTAB", 3: "STRTAB", 4: "RELA", 7: "NOTE", 8: "NOBITS", 9: "REL",
        14: "INIT_ARRAY",
    },
}  # fmt: skip


def meaning(field: str, value: int) -> str:
    """What a value means in readelf's words; "" for plain numbers."""
    if field == "sh_flags":
        return flags_text(value)
    known = MEANINGS.get(field)
    if known is not None:
        return known.get(value, "unknown")
    return ""
