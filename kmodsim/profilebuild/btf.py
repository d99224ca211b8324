# SPDX-License-Identifier: GPL-2.0-only
"""Reads BTF, a kernel's own type information (Documentation/bpf/btf.rst): struct layouts, prototypes, enums.

All types are indexed once by number; names are looked up in the string table when asked for. A module's BTF
is split: its numbers and its string offsets go on where the kernel's end
(``kernel/bpf/btf.c:btf_parse_module``).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property

from kmodsim.profilebuild.boot import BuildError

Fields = dict[str, tuple[int, int]]  # name -> (offset, size) in bytes

# BTF_KIND_* in include/uapi/linux/btf.h
INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT = range(1, 12)
FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT, DECL_TAG, TYPE_TAG, ENUM64 = range(12, 20)
FORWARDING = {TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG}

# kind -> bytes after the 12-byte head: (fixed, per member)
TAIL = {
    INT: (4, 0), ARRAY: (12, 0), STRUCT: (0, 12), UNION: (0, 12), ENUM: (0, 8), FUNC_PROTO: (0, 8),
    VAR: (4, 0), DATASEC: (0, 12), DECL_TAG: (4, 0), ENUM64: (0, 12),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Type:
    """One type. ``size``: a byte count or another type's number, as the kind has it; ``tail``: an offset."""

    kind: int
    flag: bool
    members: int
    name: int
    size: int
    tail: int


class Btf:
    """The types of one .BTF section. ``base``: the kernel's, for a module's. BuildError: it is not BTF."""

    def __init__(self, data: bytes, base: Btf | None = None) -> None:
        magic, _, _, head, types, types_size, strings, strings_size = struct.unpack_from("<HBBIIIII", data)
        if magic != 0xEB9F:
            raise BuildError("not BTF: wrong magic")
        before: bytes = base._data if base else b""
        texts: bytes = base._strings if base else b""
        self._data: bytes = before + data
        self._strings: bytes = texts + data[head + strings : head + strings + strings_size]
        self.types: list[Type] = list(base.types) if base else [Type(0, False, 0, 0, 0, 0)]
        start = len(before) + head + types
        self._index(start, start + types_size)

    def _index(self, position: int, end: int) -> None:
        while position < end:
            name, info, size = struct.unpack_from("<III", self._data, position)
            kind, members = info >> 24 & 0x1F, info & 0xFFFF
            self.types.append(Type(kind, bool(info >> 31), members, name, size, position + 12))
            fixed, each = TAIL.get(kind, (0, 0))
            position += 12 + fixed + members * each

    def name(self, offset: int) -> str:
        """The string at ``offset`` of the string table."""
        return self._strings[offset : self._strings.index(b"\0", offset)].decode()

    @cached_property
    def _named(self) -> dict[tuple[int, str], list[int]]:
        """(kind, name) -> the numbers of those types, in their order."""
        found: dict[tuple[int, str], list[int]] = {}
        for number, each in enumerate(self.types):
            if each.name:
                found.setdefault((each.kind, self.name(each.name)), []).append(number)
        return found

    def numbers(self, name: str, *kinds: int) -> list[int]:
        """The numbers of the types of these kinds with that name; C gives each kind a name space of its
        own."""
        return [number for kind in kinds for number in self._named.get((kind, name), [])]

    def struct_number(self, name: str) -> int:
        """The number of ``struct name``, or of a typedef of a struct. BuildError: there is none."""
        for number in self.numbers(name, STRUCT, UNION, TYPEDEF):
            if self.resolve(number).kind in (STRUCT, UNION):
                return number
        raise BuildError(f"the kernel's BTF has no struct {name}")

    def resolve(self, number: int) -> Type:
        """The type behind typedefs and qualifiers."""
        while self.types[number].kind in FORWARDING:
            number = self.types[number].size
        return self.types[number]

    def size(self, number: int) -> int:
        """sizeof, in bytes."""
        each = self.resolve(number)
        if each.kind == PTR:
            return 8
        if each.kind == ARRAY:
            element, length = self.array(number)
            return self.size(element) * length
        return each.size if each.kind in (INT, STRUCT, UNION, ENUM, FLOAT, ENUM64) else 0

    def members(self, number: int) -> list[tuple[str, int, int, int]]:
        """(name, type number, offset in bits, bits of a bit field or 0) of a struct's or union's members."""
        each = self.resolve(number)
        rows = []
        for index in range(each.members):
            name, kind, offset = struct.unpack_from("<III", self._data, each.tail + 12 * index)
            bits = offset >> 24 if each.flag else 0
            rows.append((self.name(name), kind, offset & 0xFFFFFF if each.flag else offset, bits))
        return rows

    def parameters(self, number: int) -> list[tuple[str, int]]:
        """(name, type number) of a function prototype's parameters; ("", 0) at the end says variadic."""
        each = self.types[number]
        rows = struct.iter_unpack("<II", self._data[each.tail : each.tail + 8 * each.members])
        return [(self.name(name), kind) for name, kind in rows]

    def constants(self, number: int) -> list[tuple[str, int]]:
        """An enum's names and values; below zero only where the enum is signed."""
        each = self.types[number]
        form = ("<Ii" if each.flag else "<II") if each.kind == ENUM else "<Iii" if each.flag else "<III"
        size = struct.calcsize(form) * each.members
        rows = struct.iter_unpack(form, self._data[each.tail : each.tail + size])
        return [(self.name(name), parts[0] + sum(part << 32 for part in parts[1:])) for name, *parts in rows]

    def variables(self, number: int) -> list[tuple[int, int]]:
        """(number of the BTF_KIND_VAR, size) of a data section's variables."""
        each = self.types[number]
        rows = struct.iter_unpack("<III", self._data[each.tail : each.tail + 12 * each.members])
        return [(variable, size) for variable, _, size in rows]

    def array(self, number: int) -> tuple[int, int]:
        """(type number of the elements, how many)."""
        element, _, length = struct.unpack_from("<III", self._data, self.resolve(number).tail)
        return element, length

    def integer(self, number: int) -> tuple[bool, bool]:
        """(signed, _Bool): BTF_INT_SIGNED, BTF_INT_BOOL."""
        (info,) = struct.unpack_from("<I", self._data, self.types[number].tail)
        return bool(info >> 24 & 1), bool(info >> 24 & 4)

    def layout(self, name: str, depth: int = 3) -> tuple[int, Fields]:
        """(size, {field: (offset, size)}) of ``struct name``: nested structs down to ``depth`` names, dotted.

        Members of anonymous structs and unions count as the outer struct's. A bit field has the bytes it
        touches.
        """
        number = self.struct_number(name)
        fields: Fields = {}
        self._flatten(number, "", 0, depth, fields)
        return self.size(number), fields

    def elements(self, name: str) -> Fields:
        """The fields of structs that ``struct name`` has arrays of, as "mem.0.base"; their nested ones
        dotted."""
        found: Fields = {}
        for field, kind, place, _ in self.members(self.struct_number(name)):
            if field and self.resolve(kind).kind == ARRAY:
                element, length = self.array(kind)
                if self.resolve(element).kind == STRUCT:
                    for index in range(length):
                        offset = place // 8 + index * self.size(element)
                        self._flatten(element, f"{field}.{index}.", offset, 2, found)
        return found

    def _flatten(self, number: int, prefix: str, base: int, depth: int, out: Fields) -> None:
        for name, kind, place, bits in self.members(number):
            offset, inner = base + place // 8, self.resolve(kind).kind in (STRUCT, UNION)
            if not name:
                self._flatten(kind, prefix, offset, depth, out)
                continue
            out[prefix + name] = (offset, (place % 8 + bits + 7) // 8 if bits else self.size(kind))
            if inner and depth > 1:
                self._flatten(kind, f"{prefix}{name}.", offset, depth - 1, out)
