# SPDX-License-Identifier: GPL-2.0-only
"""A module at COMING, from the real kernel or from kmodsim: memory, sections, a digest of bytes."""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section

from kmodsim import Module
from kmodsim.profile import KernelProfile

from .memory import Memories, Observed

SYMBOL = struct.Struct("<IBBHQQ")  # Elf64_Sym
DIGEST_BYTES = 6
THIS_MODULE = ".gnu.linkonce.this_module"
KERNEL_ALLOC = (".symtab", ".strtab")  # kernel/module/kallsyms.c:layout_symtab makes them SHF_ALLOC
KERNEL_NOT_ALLOC = ("__versions", ".modinfo")  # kernel/module/main.c:rewrite_section_headers
# Writable for the linker, yet code, places of code, or what the loader sorts: as good as read-only here.
TABLES = frozenset(("__jump_table", ".static_call_sites", "__bug_table", "__mcount_loc", "__ex_table"))


class Place(NamedTuple):
    """A section that has memory: ``number`` in the file's section table."""

    name: str
    number: int
    address: int
    size: int
    writable: bool


class Image(NamedTuple):
    """A module's memories (core and init, or more kinds) with what lies where."""

    name: str
    memories: Memories
    places: tuple[Place, ...]
    left_behind: frozenset[int]  # numbers of sections that have no memory: they stay in the copy of the file
    profile: KernelProfile

    def read(self, address: int, size: int) -> bytes:
        """``size`` bytes; KeyError when they are not all in one memory."""
        for base, data in self.memories.values():
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        raise KeyError(f"{self.name}: {address:#x}")

    def place(self, name: str) -> Place | None:
        return next((place for place in self.places if place.name == name), None)

    def bytes_of(self, place: Place) -> bytes:
        """A section's bytes. In .symtab the values of symbols whose section has no memory count as 0: they
        are addresses in the temporary copy of the file."""
        data = self.read(place.address, place.size)
        return self._without_copy(data) if place.name == ".symtab" else data

    def _without_copy(self, symbols: bytes) -> bytes:
        out = bytearray(symbols)
        for at in range(0, len(out), SYMBOL.size):
            name, info, other, section, _, size = SYMBOL.unpack_from(out, at)
            if section in self.left_behind:
                SYMBOL.pack_into(out, at, name, info, other, section, 0, size)
        return bytes(out)

    def field(self, name: str) -> int:
        """A number in struct module; 0 when the image has none."""
        this = self.place(THIS_MODULE)
        offset, size = self.profile.struct_module.fields[name]
        return int.from_bytes(self.read(this.address + offset, size), "little") if this else 0

    def rest(self) -> Iterator[tuple[str, bytes]]:
        """What lies in each memory outside all sections: the copies of kallsyms, and padding."""
        for kind, (base, data) in self.memories.items():
            if not data and kind not in ("core", "init"):
                continue
            left = bytearray(data)
            for place in self.places:
                if base <= place.address < base + len(data):
                    left[place.address - base : place.address - base + place.size] = bytes(place.size)
            if kind == self.profile.rules.memories.kallsyms[0]:
                # the symbols kept for kallsyms: those of a live patch are all kept
                start = self.field("core_kallsyms.symtab") - base
                end = start + SYMBOL.size * self.field("core_kallsyms.num_symtab")
                left[start:end] = self._without_copy(bytes(left[start:end]))
            yield kind, bytes(left)

    @property
    def fixed(self) -> list[Place]:
        """The sections that have to be equal byte for byte: code, read-only data, tables."""
        return [place for place in self.places if not place.writable or place.name in TABLES]

    @property
    def data(self) -> list[Place]:
        """The others, struct module among them."""
        return [place for place in self.places if place.writable and place.name not in TABLES]


def recorded_image(
    observed: Observed, addresses: Mapping[str, int], file: bytes, profile: KernelProfile
) -> Image:
    """What the observer copied; ``addresses`` are those of /sys/module/NAME/sections, sizes the file's."""
    places = [
        Place(s.name, number, addresses[s.name], s["sh_size"], bool(s["sh_flags"] & SH_FLAGS.SHF_WRITE))
        for number, s in enumerate(_sections(file))
        if s["sh_size"] and s.name in addresses and _has_memory(s)
    ]
    return Image(observed.name, observed.memories, tuple(places), _left_behind(file), profile)


def modelled_image(module: Module, file: bytes, profile: KernelProfile) -> Image:
    """The same of a kmodsim module that is COMING now."""
    names = [section.name for section in _sections(file)]
    places = [
        Place(s.name, names.index(s.name), s.address, s.size, bool(s.flags & SH_FLAGS.SHF_WRITE))
        for s in module.all_sections
        if s.size
    ]
    read, found = module.memory.read, module.memories
    memories = {
        kind.name: (found[kind.name][0], read(*found[kind.name])) if kind.name in found else (0, b"")
        for kind in module.kinds
    }
    ordered = tuple(sorted(places, key=lambda place: place.number))
    return Image(module.name, memories, ordered, _left_behind(file), profile)


def _sections(file: bytes) -> list[Section]:
    return list(ELFFile(io.BytesIO(file)).iter_sections())


def _has_memory(section: Section) -> bool:
    alloc = bool(section["sh_flags"] & SH_FLAGS.SHF_ALLOC) or section.name in KERNEL_ALLOC
    return alloc and section.name not in KERNEL_NOT_ALLOC


def _left_behind(file: bytes) -> frozenset[int]:
    return frozenset(i for i, section in enumerate(_sections(file)) if i and not _has_memory(section))


def digest(parts: Iterable[bytes]) -> str:
    """Six bytes of BLAKE2b over ``parts`` as hex."""
    state = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        state.update(part)
    return state.hexdigest()
