# SPDX-License-Identifier: GPL-2.0-only
"""The ELF header and the section headers as the descriptive view shows them, read through pyelftools.

Only these two small tables go through pyelftools (it takes seconds for the large ones), structure by
structure, so that one broken header does not hide the others. Nothing here raises: what cannot be read is
left out and noted.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal, overload

import numpy as np

from ..records import EHDR, EM_X86_64, SHDR, SHT_NOBITS, SHT_NULL, Bytes, Records, c_string, view

NAME_LIMIT = 512  # bytes of a name that are looked at: KSYM_NAME_LEN of include/linux/kallsyms.h (6.1)

# sh_flags as readelf abbreviates them, in its order (the ELF gABI's bits, lowest first)
FLAG_LETTERS = {
    0x1: "W", 0x2: "A", 0x4: "X", 0x10: "M", 0x20: "S", 0x40: "I", 0x80: "L", 0x100: "O", 0x200: "G",
    0x400: "T", 0x800: "C",
}  # fmt: skip
FLAGS_OS, FLAGS_PROCESSOR, FLAG_X86_64_LARGE, FLAG_EXCLUDE = 0x0FF00000, 0xF0000000, 0x10000000, 0x80000000

# the machines a kernel module is likely to be for, as people write them; others by pyelftools' name
MACHINES = {
    3: "i386", 8: "MIPS", 20: "PowerPC", 21: "PowerPC64", 22: "S390", 40: "ARM", 62: "x86-64", 183: "AArch64",
    243: "RISC-V", 258: "LoongArch",
}  # fmt: skip


class Problems(list[str]):
    """What could not be read, in plain words; it stops growing at ``LIMIT`` entries."""

    LIMIT = 100

    def note(self, text: str) -> None:
        if len(self) < self.LIMIT:
            self.append(text)
        elif len(self) == self.LIMIT:
            self.append("and more of the kind")


@dataclass(frozen=True)
class Header:
    """``Elf64_Ehdr`` (``include/uapi/linux/elf.h``): the numbers of the file, and readable names of some."""

    e_ident: bytes
    e_type: int
    e_machine: int
    e_version: int
    e_entry: int
    e_phoff: int
    e_shoff: int
    e_flags: int
    e_ehsize: int
    e_phentsize: int
    e_phnum: int
    e_shentsize: int
    e_shnum: int
    e_shstrndx: int
    type: str  # "REL"
    machine: str  # "x86-64"
    bits: int  # 64: how this view read the file; the kernel does not look at EI_CLASS and EI_DATA
    byte_order: str  # "little"


@dataclass(frozen=True)
class Section:
    """``Elf64_Shdr``: one section header with its names, and the bytes it stands for."""

    index: int
    name: str
    type: int
    type_name: str  # "PROGBITS", as readelf
    flags: int
    flags_text: str  # "WAX", as readelf
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entsize: int
    image: Bytes = field(repr=False, compare=False)

    @property
    def length(self) -> int:
        """How many of its bytes the file has: 0 for NOBITS and NULL, less than ``size`` if it ends before."""
        if self.type in (SHT_NOBITS, SHT_NULL):
            return 0
        return max(0, min(self.size, len(self.image) - self.offset))

    @property
    def data(self) -> bytes:
        """Its bytes in the file (a copy)."""
        return self.image[self.offset : self.offset + self.length].tobytes() if self.length else b""

    def records(self, dtype: np.dtype[Any]) -> Records:
        """Its bytes as records of ``dtype``, without copying; an incomplete last one is left out."""
        return view(self.image, self.offset, self.length // dtype.itemsize, dtype)

    def string(self, offset: int, limit: int = NAME_LIMIT) -> str:
        """The NUL-terminated string at ``offset`` of the section; empty where there is none."""
        if not 0 <= offset < self.length:
            return ""
        start = self.offset + offset
        return text(c_string(self.image, start, min(limit, self.length - offset)))


def text(raw: bytes) -> str:
    """Bytes of the file as str; ``encode("utf-8", "surrogateescape")`` gives the same bytes back."""
    return raw.decode("utf-8", "surrogateescape")


class Sections(Sequence[Section]):
    """The sections by index, and by name: the first of that name (names may repeat; ``all`` gives each)."""

    def __init__(self, sections: Sequence[Section] = ()) -> None:
        self._list = list(sections)
        self._first: dict[str, Section] = {}
        for section in self._list:
            self._first.setdefault(section.name, section)

    def __len__(self) -> int:
        return len(self._list)

    def __iter__(self) -> Iterator[Section]:
        return iter(self._list)

    @overload
    def __getitem__(self, key: int | str) -> Section: ...
    @overload
    def __getitem__(self, key: slice) -> list[Section]: ...
    def __getitem__(self, key: int | str | slice) -> Section | list[Section]:
        return self._first[key] if isinstance(key, str) else self._list[key]

    def __contains__(self, key: object) -> bool:
        return key in self._first if isinstance(key, str) else key in self._list

    def get(self, key: int | str) -> Section | None:
        """The section of that index or name, or None."""
        if isinstance(key, str):
            return self._first.get(key)
        return self._list[key] if 0 <= key < len(self._list) else None

    def all(self, name: str) -> list[Section]:
        return [section for section in self._list if section.name == name]

    def __repr__(self) -> str:
        return f"<{len(self)} sections: {', '.join(s.name or s.type_name for s in self._list[:6])}, …>"


def flags_text(flags: int) -> str:
    """``"WAX"``: sh_flags in readelf's letters for x86-64."""
    letters = [letter for bit, letter in FLAG_LETTERS.items() if flags & bit]
    rest = flags & ~sum(FLAG_LETTERS)
    letters += ["l"] if rest & FLAG_X86_64_LARGE else []
    letters += ["E"] if rest & FLAG_EXCLUDE else []
    rest &= ~(FLAG_X86_64_LARGE | FLAG_EXCLUDE)
    groups = ((FLAGS_OS, "o"), (FLAGS_PROCESSOR, "p"), (~(FLAGS_OS | FLAGS_PROCESSOR), "x"))
    return "".join(letters + [letter for mask, letter in groups if rest & mask])


def read_header(image: Bytes, problems: Problems) -> Header | None:
    """The ELF header, or None when the file is too short for one."""
    bits, order = _reading(image, problems)
    need = 64 if bits == 64 else 52
    if len(image) < need:
        problems.note(f"ELF header: the file has {len(image)} bytes, the header alone takes {need}")
        return None
    if image[:4].tobytes() != b"\x7fELF":
        problems.note(f"ELF header: the file begins with {image[:4].tobytes()!r}, not with b'\\x7fELF'")
    # pyelftools refuses a class or byte order that does not exist; show it the reading decided on above
    ident = bytes((bits // 32, 2 if order == "big" else 1))
    values = _parse(_structs(bits, order).Elf_Ehdr, image[:4].tobytes() + ident + image[6:need].tobytes(), 0)
    if values is None:
        problems.note("ELF header: pyelftools cannot read it")
        return None
    head = image[:24].tobytes()
    numbers = {name: values[name] for name in EHDR.names or () if name not in _RAW_FIELDS}
    # pyelftools has names for these three; the numbers stand at the same place in every ELF header
    e_type, e_machine, e_version = (int.from_bytes(head[a:b], order) for a, b in _RAW_PLACES)
    return Header(
        head[:16], e_type, e_machine, e_version, **numbers, type=_name(values["e_type"], "ET_"),
        machine=MACHINES.get(e_machine) or _name(values["e_machine"], "EM_"), bits=bits, byte_order=order,
    )  # fmt: skip


_RAW_FIELDS = ("e_ident", "e_type", "e_machine", "e_version")
_RAW_PLACES = ((16, 18), (18, 20), (20, 24))


def _reading(image: Bytes, problems: Problems) -> tuple[int, Literal["little", "big"]]:
    """How to read the file: as its e_ident says, unless only the kernel's own reading makes sense."""
    elf_class, elf_data = (int(image[4]), int(image[5])) if len(image) > 5 else (2, 1)
    if (elf_class, elf_data) == (2, 1):
        return 64, "little"
    seen = [(int(h["e_machine"]), int(h["e_shentsize"])) for h in view(image, 0, 1, EHDR)]
    if seen == [(EM_X86_64, SHDR.itemsize)] or elf_class not in (1, 2) or elf_data not in (1, 2):
        problems.note(
            f"ELF header: EI_CLASS {elf_class}, EI_DATA {elf_data} do not fit the rest; read as 64-bit "
            "little-endian, as the kernel does, which never looks at them"
        )
        return 64, "little"
    bits, order = (32, 64)[elf_class - 1], ("little", "big")[elf_data - 1]
    problems.note(
        f"ELF header: a {bits}-bit {order}-endian file; symbols, relocations and the kernel's own tables are "
        "read for 64-bit little-endian files only"
    )
    return bits, "big" if elf_data == 2 else "little"


def read_sections(image: Bytes, header: Header | None, problems: Problems) -> Sections:
    """All section headers that lie inside the file, with names from the section that e_shstrndx names."""
    if header is None:
        return Sections()
    structs = _structs(header.bits, header.byte_order, header.e_machine)
    size = 64 if header.bits == 64 else 40
    if header.e_shentsize != size:
        problems.note(f"ELF header: e_shentsize is {header.e_shentsize}, a section header has {size} bytes")
    count = max(0, min(header.e_shnum, (len(image) - header.e_shoff) // size))
    if count < header.e_shnum:
        problems.note(
            f"section headers: {header.e_shnum} of them at {header.e_shoff:#x} do not fit into the file of "
            f"{len(image):#x} bytes; {count} are read"
        )
    table = image[header.e_shoff : header.e_shoff + count * size].tobytes() if count else b""
    parsed = (_parse(structs.Elf_Shdr, table, index * size) for index in range(count))
    raw = list(takewhile(lambda values: values is not None, parsed))
    types = [int.from_bytes(table[at + 4 : at + 8], _order(header)) for at in range(0, count * size, size)]
    sections = [
        _section(index, type_, values, image, problems)
        for index, (type_, values) in enumerate(zip(types, raw, strict=False))
    ]  # fmt: skip
    return Sections(list(_named(sections, raw, header, problems)))


def _section(index: int, number: int, values: Any, image: Bytes, problems: Problems) -> Section:
    section = Section(
        index, "", number, _name(values["sh_type"], "SHT_"),
        values["sh_flags"], flags_text(values["sh_flags"]), values["sh_addr"], values["sh_offset"],
        values["sh_size"], values["sh_link"], values["sh_info"], values["sh_addralign"], values["sh_entsize"],
        image,
    )  # fmt: skip
    if section.length < section.size and number not in (SHT_NOBITS, SHT_NULL):
        problems.note(
            f"section {index}: {section.size:#x} bytes at {section.offset:#x} reach beyond the file's end "
            f"({len(image):#x}); {section.length:#x} are there"
        )
    return section


def _named(sections: list[Section], raw: list[Any], header: Header, problems: Problems) -> Iterator[Section]:
    names = sections[header.e_shstrndx] if header.e_shstrndx < len(sections) else None
    if sections and (names is None or not names.length):
        problems.note(f"section names: e_shstrndx is {header.e_shstrndx}, which holds no names")
    for section, values in zip(sections, raw, strict=True):
        offset = values["sh_name"]
        if names is not None and names.length <= offset:
            problems.note(f"section {section.index}: name at {offset:#x} of {names.length:#x} bytes of names")
        name = names.string(offset) if names is not None else ""
        yield Section(**{**section.__dict__, "name": name})


def _structs(bits: int, order: str, machine: int | None = None) -> Any:
    """pyelftools' structures; the names of section types hang on the machine."""
    from elftools.elf.enums import ENUM_E_MACHINE
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=order == "little", elfclass=bits)
    structs.create_basic_structs()
    if machine is not None:
        name = next((name for name, number in ENUM_E_MACHINE.items() if number == machine), "")
        structs.create_advanced_structs("ET_REL", name, "ELFOSABI_SYSV")
    return structs


def _parse(struct: Any, data: bytes, offset: int) -> Any:
    """pyelftools' reading of one structure, or None: whatever it raises on broken bytes stays here."""
    from elftools.common.utils import struct_parse

    try:
        return struct_parse(struct, io.BytesIO(data), offset)
    except Exception:
        return None


def _order(header: Header) -> Literal["little", "big"]:
    return "big" if header.byte_order == "big" else "little"


def _name(value: str | int, prefix: str) -> str:
    return value.removeprefix(prefix) if isinstance(value, str) else f"{value:#x}"
