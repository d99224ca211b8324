# SPDX-License-Identifier: GPL-2.0-only
"""What depmod wants of one module file: symbols it exports and needs, lines of ``.modinfo`` (kmod 30
``libkmod/libkmod-elf.c``).

Of a plain file only the headers and four sections are read: a twentieth of the bytes of a distribution's
modules. Files of either word size and byte order are read, as kmod does.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Callable
from typing import NamedTuple

from ...decompress import compression, decompress
from ...errors import EINVAL, ENOENT, ENOEXEC, ERRNO, KernelError
from ..elf import BEHIND, MAGIC_BYTES, Aborted, host_error

CRC = b"__crc_"
SHN_UNDEF, SHN_ABS, STB_WEAK, STT_REGISTER = 0, 0xFFF1, 2, 13
SPARC = (2, 43)  # EM_SPARC, EM_SPARCV9: registers look like undefined symbols there
WORD = (1 << 64) - 1
WANTED = (b".modinfo", b".symtab", b".strtab", b"__versions", b"__ksymtab_strings")
KEYS = (b"alias", b"softdep")
STARTS = tuple(key + b"=" for key in KEYS)
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
Reader = Callable[[int, int], bytes]  # (size, offset) -> the bytes there


class Facts(NamedTuple):
    """One module. What only -e and -E ask for is left out unless ``checked`` was given to ``read_module``."""

    exports: list[bytes]
    needs: list[bytes]
    info: list[tuple[bytes, bytes]]  # key and value of the alias and softdep lines
    error: int = 0  # the errno of what could not be read: then there are no exports
    export_crcs: list[int] = []  # checked: one for each export
    need_crcs: list[int] = []  # checked: one for each need, 0 when ``__versions`` has none
    weak: frozenset[int] = frozenset()  # checked: which needs are weak, by their numbers


class Format(NamedTuple):
    """The structures of one word size and byte order (Elf32_Ehdr, Elf64_Shdr, …)."""

    order: str
    header: struct.Struct  # e_machine, e_shoff, e_shentsize, e_shnum, e_shstrndx
    section: struct.Struct  # sh_name, sh_offset, sh_size
    symbol: struct.Struct  # st_name, st_info, st_shndx
    value: struct.Struct  # st_value of a symbol
    version: struct.Struct  # crc and name of struct modversion_info


FORMATS = {
    (word, data): Format(order, *(struct.Struct(order + code) for code in codes))
    for word, codes in {
        1: ("18xH12xI10x3H", "I12x2I16x", "I8xBxH", "4xI8x", "I60s"),
        2: ("18xH20xQ10x3H", "I20x2Q24x", "IBxH16x", "8xQ8x", "Q56s"),
    }.items()
    for data, order in {1: "<", 2: ">"}.items()
}


def read_module(path: bytes, checked: bool = False) -> Facts:
    """The facts of a file; what cannot be read of it is left out, as depmod goes on without. Raises
    ``Aborted`` where an assertion of libkmod's fails."""
    try:
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError) as error:
        return Facts([], [], [], host_error(error).errno or EINVAL)
    try:
        return _facts(descriptor, checked)
    except Aborted:
        raise
    except OSError as error:
        return Facts([], [], [], host_error(error).errno or EINVAL)
    finally:
        os.close(descriptor)


def _facts(descriptor: int, checked: bool) -> Facts:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise KernelError(ERRNO["EISDIR"][0] if stat.S_ISDIR(status.st_mode) else EINVAL)
    read, size = _reader(descriptor), status.st_size
    head = read(64, 0)
    if len(head) < MAGIC_BYTES:
        raise KernelError(EINVAL)
    if compression(head):
        # libkmod does not notice that a .zst file is cut; its words on other damage go nowhere, for it has no
        # log yet
        memory = decompress(read(size, 0), partial=compression(head) == "zstd")
        read, size, head = _memory_reader(memory), len(memory), memory[:64]
    return _Object(read, size, head).facts(checked)


def _reader(descriptor: int) -> Reader:
    if hasattr(os, "pread"):
        return lambda size, offset: os.pread(descriptor, size, offset)

    def read(size: int, offset: int) -> bytes:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, size)

    return read


def _memory_reader(memory: bytes) -> Reader:
    return lambda size, offset: memory[offset : offset + size]


class _Object:
    """One ELF file while it is looked at. ``KernelError`` (ENOEXEC, EINVAL) when libkmod refuses it."""

    def __init__(self, read: Reader, size: int, head: bytes) -> None:
        if size <= 16 or head[:4] != b"\x7fELF":
            raise KernelError(ENOEXEC)
        word = head[4]
        form = FORMATS.get((word, head[5]))
        if form is None or size <= (64 if word == 2 else 52):
            raise KernelError(EINVAL)
        self.read, self.size, self.form = read, size, form
        self.machine, table, entry, count, names = form.header.unpack_from(head)
        if entry != form.section.size or table + entry * count > size:
            raise KernelError(EINVAL)
        if names == 0:
            raise Aborted("213: elf_get_section_header: Assertion `idx != SHN_UNDEF'")
        if names >= count:
            raise Aborted("214: elf_get_section_header: Assertion `idx < elf->header.section.count'")
        self.rows = list(form.section.iter_unpack(read(entry * count, table)))
        self._find(*self.rows[names][1:])

    def _find(self, offset: int, size: int) -> None:
        """Where the wanted sections are: of each name the first whose bytes are in the file."""
        if offset + size > self.size:
            raise KernelError(EINVAL)
        if offset == self.size:
            raise Aborted(BEHIND)
        strings = self.read(size, offset)
        if strings[-1:] != b"\0":
            raise KernelError(EINVAL)
        offsets = {}
        for name in WANTED:
            at = strings.find(name + b"\0")
            while at >= 0:
                offsets[at] = name
                at = strings.find(name + b"\0", at + 1)
        self.sections: dict[bytes, tuple[int, int]] = {}
        for at, start, length in self.rows[1:]:
            if at in offsets and start + length <= self.size:
                self.sections.setdefault(offsets[at], (start, length))

    def _section(self, name: bytes) -> bytes | None:
        found = self.sections.get(name)
        if found is None:
            return None
        if found[0] == self.size:
            raise Aborted(BEHIND)
        return self.read(found[1], found[0])

    def facts(self, checked: bool) -> Facts:
        self.strtab, self.symtab = self._section(b".strtab"), self._section(b".symtab")
        size = self.form.symbol.size
        self.broken = self.strtab is None or self.symtab is None or len(self.symtab) % size > 0
        # names end at a zero byte, behind the table if there is none in it
        self.names = b"" if self.strtab is None else self._ended(self.strtab)
        exports, export_crcs, error = self._exports(checked)
        needs, need_crcs, weak = self._needs(checked)
        return Facts(exports, needs, self._info(), error, export_crcs, need_crcs, weak)

    def _ended(self, strtab: bytes) -> bytes:
        if strtab.endswith(b"\0"):
            return strtab
        offset, size = self.sections[b".strtab"]
        rest = self.read(self.size - offset - size, offset + size)
        return strtab + rest.partition(b"\0")[0] + b"\0"

    # -- .modinfo

    def _info(self) -> list[tuple[bytes, bytes]]:
        texts = (self._section(b".modinfo") or b"").split(b"\0")
        chosen = [text for text in texts if text.startswith(STARTS) or text in KEYS]
        return [(key, value) for key, _, value in (text.partition(b"=") for text in chosen)]

    # -- exports: kmod_elf_get_symbols

    def _exports(self, checked: bool) -> tuple[list[bytes], list[int], int]:
        if not self.broken and CRC in self.names:
            names, crcs = self._with_crc(checked)
            if names:
                return names, crcs, 0
        if b"__ksymtab_strings" not in self.sections:
            return [], [], ENOENT
        texts = (self._section(b"__ksymtab_strings") or b"").split(b"\0")
        names = [text for text in texts if text]
        return names, [0] * len(names), 0

    def _with_crc(self, checked: bool) -> tuple[list[bytes], list[int]]:
        """The symbols ``__crc_NAME``; none, so that ``__ksymtab_strings`` counts, also when any symbol's name
        lies behind the names."""
        assert self.symtab is not None and self.strtab is not None
        marks = {match.start() for match in re.finditer(CRC, self.names)}
        symbols = list(self.form.symbol.iter_unpack(self.symtab))[1:]
        found = [(symbol[0], number) for number, symbol in enumerate(symbols, 1) if symbol[0] in marks]
        if not found or max(symbols)[0] >= len(self.strtab):
            return [], []
        sections = {symbols[number - 1][2] for _, number in found}
        if checked or any(section >= len(self.rows) or self.rows[section][2] < 4 for section in sections):
            crcs = [self._crc(number, symbols[number - 1][2]) for _, number in found]
        else:
            crcs = []
        names, index = self.names, self.names.index
        return [names[at + len(CRC) : index(b"\0", at)] for at, _ in found], crcs

    def _crc(self, number: int, section: int) -> int:
        """The CRC of symbol ``number``: its value, or what stands there in its section
        (``kmod_elf_resolve_crc``)."""
        assert self.symtab is not None
        (value,) = self.form.value.unpack_from(self.symtab, number * self.form.symbol.size)
        if section in (SHN_ABS, SHN_UNDEF):
            return int(value)
        if section >= len(self.rows):
            raise Aborted("214: elf_get_section_header: Assertion `idx < elf->header.section.count'")
        _, offset, size = self.rows[section]
        if offset + size > self.size or value > (size - 4 & WORD):
            return WORD
        place = offset + value & WORD
        if place + 4 > self.size:
            raise Aborted("137: elf_get_uint: Assertion `offset + size <= elf->size'")
        return int(struct.unpack(self.form.order + "I", self.read(4, place))[0])

    # -- needs: kmod_elf_get_dependency_symbols

    def _needs(self, checked: bool) -> tuple[list[bytes], list[int], frozenset[int]]:
        """The undefined symbols in the table's order, then what only ``__versions`` names."""
        versions, crcs = self._versions()
        if self.broken:
            return [], [], frozenset()
        assert self.strtab is not None
        undefined = self._undefined()
        if undefined and max(undefined)[0] >= len(self.strtab):
            return [], [], frozenset()
        names, index = self.names, self.names.index
        needs = [names[at : index(b"\0", at)] for at, _, _ in undefined if names[at]]
        rest = _unvisited(versions, set(needs))
        if not checked:
            return needs + [versions[number] for number in rest], [], frozenset()
        first = dict(reversed(list(zip(versions, crcs, strict=True))))  # of two the first counts
        found = [first.get(name, 0) for name in needs] + [crcs[number] for number in rest]
        infos = [info for at, info, _ in undefined if names[at]]
        weak = frozenset(number for number, info in enumerate(infos) if info >> 4 == STB_WEAK)
        return needs + [versions[number] for number in rest], found, weak

    def _undefined(self) -> list[tuple[int, int, int]]:
        """Name's offset, info and section number (0) of each."""
        assert self.symtab is not None
        size = self.form.symbol.size
        # most are the last ones: where a section's number has a zero byte for the first time, they begin
        column = 6 if size == 24 else 14
        first = self.symtab[column + size :: size].find(b"\0") + 1
        if not first:
            return []
        rest = memoryview(self.symtab)[first * size :]
        found = [symbol for symbol in self.form.symbol.iter_unpack(rest) if not symbol[2]]
        if self.machine in SPARC:
            found = [symbol for symbol in found if symbol[1] & 15 != STT_REGISTER]
        return found

    def _versions(self) -> tuple[list[bytes], list[int]]:
        """Name and CRC of each entry of ``__versions``; a name without an end goes on in the next entry."""
        table, form = self._section(b"__versions"), self.form.version
        if not table or len(table) % form.size:
            return [], []
        entries = list(form.iter_unpack(table))
        crcs = [crc for crc, _ in entries]
        try:
            return [name[: name.index(b"\0")] for _, name in entries], crcs
        except ValueError:
            offset, width = self.sections[b"__versions"][0], len(entries[0][1])
            rest = self.read(self.size - offset - len(table), offset + len(table))
            text = table + rest.partition(b"\0")[0] + b"\0"
            starts = range(form.size - width, len(table), form.size)
            return [text[at : text.index(b"\0", at)] for at in starts], crcs


def _unvisited(versions: list[bytes], visited: set[bytes]) -> list[int]:
    """The entries that no undefined symbol stands for, by their numbers; of two of one name the second."""
    if len(set(versions)) == len(versions):
        return [number for number, name in enumerate(versions) if name not in visited]
    seen: set[bytes] = set()
    found = []
    for number, name in enumerate(versions):
        if name not in visited or name in seen:
            found.append(number)
        seen.add(name)
    return found
