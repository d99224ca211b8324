# SPDX-License-Identifier: GPL-2.0-only
"""Changes single fields of a 64-bit little-endian relocatable ELF file. Formats: elf.h, System V gABI."""

from __future__ import annotations

import struct
from collections.abc import Callable

# field: (offset, struct format)
HEADER = {
    "magic": (0, "<I"),
    "class": (4, "<B"),
    "data": (5, "<B"),
    "ident_version": (6, "<B"),
    "e_type": (16, "<H"),
    "e_machine": (18, "<H"),
    "e_version": (20, "<I"),
    "e_entry": (24, "<Q"),
    "e_phoff": (32, "<Q"),
    "e_shoff": (40, "<Q"),
    "e_flags": (48, "<I"),
    "e_ehsize": (52, "<H"),
    "e_phentsize": (54, "<H"),
    "e_phnum": (56, "<H"),
    "e_shentsize": (58, "<H"),
    "e_shnum": (60, "<H"),
    "e_shstrndx": (62, "<H"),
}
SECTION = {
    "sh_name": (0, "<I"),
    "sh_type": (4, "<I"),
    "sh_flags": (8, "<Q"),
    "sh_addr": (16, "<Q"),
    "sh_offset": (24, "<Q"),
    "sh_size": (32, "<Q"),
    "sh_link": (40, "<I"),
    "sh_info": (44, "<I"),
    "sh_addralign": (48, "<Q"),
    "sh_entsize": (56, "<Q"),
}
SYMBOL = {
    "st_name": (0, "<I"),
    "st_info": (4, "<B"),
    "st_other": (5, "<B"),
    "st_shndx": (6, "<H"),
    "st_value": (8, "<Q"),
    "st_size": (16, "<Q"),
}
RELOCATION = {"r_offset": (0, "<Q"), "r_type": (8, "<I"), "r_sym": (12, "<I"), "r_addend": (16, "<q")}

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 1, 2, 3, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
SHN_ABS, SHN_COMMON = 0xFFF1, 0xFFF2
VERSION_BYTES = 64  # struct modversion_info: an unsigned long and the name
NAME_IN_STRUCT_MODULE = 24  # offset of struct module's name, 56 bytes long


class Image:
    """The bytes of a module file, to be changed. ``bytes(image)`` is the result."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def _get(self, base: int, place: tuple[int, str]) -> int:
        return int(struct.unpack_from(place[1], self.data, base + place[0])[0])

    def _set(self, base: int, place: tuple[int, str], value: int) -> None:
        struct.pack_into(place[1], self.data, base + place[0], value)

    # -- header and section headers ---

    def header(self, field: str) -> int:
        return self._get(0, HEADER[field])

    def set_header(self, **fields: int) -> Image:
        for field, value in fields.items():
            self._set(0, HEADER[field], value)
        return self

    def _section_base(self, section: str | int) -> int:
        index = section if isinstance(section, int) else self.index(section)
        return self.header("e_shoff") + 64 * index

    def section(self, section: str | int, field: str) -> int:
        return self._get(self._section_base(section), SECTION[field])

    def set_section(self, section: str | int, **fields: int) -> Image:
        base = self._section_base(section)
        for field, value in fields.items():
            self._set(base, SECTION[field], value)
        return self

    def index(self, name: str) -> int:
        """The index of the first section called ``name``; KeyError when there is none."""
        names = self.section(self.header("e_shstrndx"), "sh_offset")
        for i in range(self.header("e_shnum")):
            if self._string(names + self.section(i, "sh_name")) == name:
                return i
        raise KeyError(name)

    def _string(self, at: int) -> str:
        return bytes(self.data[at : self.data.index(0, at)]).decode("latin-1")

    def content(self, section: str | int) -> bytes:
        start = self.section(section, "sh_offset")
        return bytes(self.data[start : start + self.section(section, "sh_size")])

    def write(self, section: str | int, offset: int, data: bytes) -> Image:
        """Overwrite bytes of a section in place."""
        start = self.section(section, "sh_offset") + offset
        self.data[start : start + len(data)] = data
        return self

    def replace(self, section: str | int, content: bytes) -> Image:
        """Give a section new content at the end of the file; its header follows."""
        self.data += bytes(-len(self.data) % 64)
        self.set_section(section, sh_offset=len(self.data), sh_size=len(content))
        self.data += content
        return self

    def rename_section(self, section: str, name: str) -> Image:
        index, table = self.index(section), self.header("e_shstrndx")
        at = self.section(table, "sh_size")
        self.replace(table, self.content(table) + name.encode() + b"\0")
        return self.set_section(index, sh_name=at)

    def add_section(self, name: str, content: bytes, **fields: int) -> Image:
        """A further section at the end; the section header table moves to the end of the file."""
        count, start = self.header("e_shnum"), self.header("e_shoff")
        table = bytes(self.data[start : start + 64 * count]) + bytes(64)
        self.data += bytes(-len(self.data) % 64)
        self.set_header(e_shoff=len(self.data), e_shnum=count + 1)
        self.data += table
        strings = self.header("e_shstrndx")
        self.set_section(
            count, sh_name=self.section(strings, "sh_size"), sh_type=SHT_PROGBITS, sh_addralign=1
        )
        self.replace(strings, self.content(strings) + name.encode() + b"\0").replace(count, content)
        return self.set_section(count, **fields)

    # -- symbols ---

    def _symbol_base(self, symbol: str | int) -> int:
        index = symbol if isinstance(symbol, int) else self.symbol_index(symbol)
        return self.section(".symtab", "sh_offset") + 24 * index

    def symbol_index(self, name: str) -> int:
        strings = self.section(self.section(".symtab", "sh_link"), "sh_offset")
        for i in range(self.section(".symtab", "sh_size") // 24):
            if self._string(strings + self.symbol(i, "st_name")) == name:
                return i
        raise KeyError(name)

    def symbol(self, symbol: str | int, field: str) -> int:
        return self._get(self._symbol_base(symbol), SYMBOL[field])

    def set_symbol(self, symbol: str | int, **fields: int) -> Image:
        base = self._symbol_base(symbol)
        for field, value in fields.items():
            self._set(base, SYMBOL[field], value)
        return self

    def rename_symbol(self, symbol: str, name: str) -> Image:
        index, table = self.symbol_index(symbol), self.section(".symtab", "sh_link")
        at = self.section(table, "sh_size")
        self.replace(table, self.content(table) + name.encode() + b"\0")
        return self.set_symbol(index, st_name=at)

    def add_symbol(self, name: str, shndx: int = 0, value: int = 0, size: int = 0, info: int = 0x10) -> Image:
        """One more symbol at the end of .symtab (global, no type, undefined when nothing is said)."""
        table = self.section(".symtab", "sh_link")
        at = self.section(table, "sh_size")
        self.replace(table, self.content(table) + name.encode() + b"\0")
        entry = struct.pack("<IBBHQQ", at, info, 0, shndx, value, size)
        return self.replace(".symtab", self.content(".symtab") + entry)

    # -- relocations ---

    def find_relocation(self, section: str, wanted: Callable[[dict[str, int]], bool]) -> int:
        """Index of the first relocation of ``section`` (".rela…") that ``wanted`` accepts; KeyError."""
        for i in range(self.section(section, "sh_size") // 24):
            base = self.section(section, "sh_offset") + 24 * i
            if wanted({name: self._get(base, place) for name, place in RELOCATION.items()}):
                return i
        raise KeyError(section)

    def relocation(self, section: str, number: int, field: str) -> int:
        return self._get(self.section(section, "sh_offset") + 24 * number, RELOCATION[field])

    def set_relocation(self, section: str, number: int, **fields: int) -> Image:
        base = self.section(section, "sh_offset") + 24 * number
        for field, value in fields.items():
            self._set(base, RELOCATION[field], value)
        return self

    # -- modinfo and versions ---

    def modinfo(self) -> list[str]:
        return [tag.decode("latin-1") for tag in self.content(".modinfo").split(b"\0") if tag]

    def set_modinfo(self, key: str, value: str | None) -> Image:
        """Replace (None: remove) every ``key=``; a new key comes at the end."""
        kept = [tag for tag in self.modinfo() if not tag.startswith(key + "=")]
        kept += [] if value is None else [f"{key}={value}"]
        return self.replace(".modinfo", b"".join(tag.encode("latin-1") + b"\0" for tag in kept))

    def version_index(self, symbol: str) -> int:
        content = self.content("__versions")
        for i in range(len(content) // VERSION_BYTES):
            if content[64 * i + 8 : 64 * i + 64].split(b"\0")[0] == symbol.encode():
                return i
        raise KeyError(symbol)

    def set_version(self, symbol: str, crc: int | None = None, name: str | None = None) -> Image:
        at = VERSION_BYTES * self.version_index(symbol)
        if crc is not None:
            self.write("__versions", at, struct.pack("<Q", crc))
        if name is not None:
            self.write("__versions", at + 8, name.encode().ljust(56, b"\0"))
        return self

    def add_version(self, symbol: str, crc: int) -> Image:
        entry = struct.pack("<Q", crc) + symbol.encode().ljust(56, b"\0")
        return self.replace("__versions", self.content("__versions") + entry)

    # -- names ---

    def set_struct_name(self, name: bytes) -> Image:
        """The name in struct module, which counts from layout on."""
        return self.write(".gnu.linkonce.this_module", NAME_IN_STRUCT_MODULE, name.ljust(56, b"\0")[:56])

    def set_name(self, name: str) -> Image:
        """Both names of a module: .modinfo and struct module."""
        return self.set_modinfo("name", name).set_struct_name(name.encode())
