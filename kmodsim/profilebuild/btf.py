# SPDX-License-Identifier: GPL-2.0-only
"""Reads BTF, a kernel's own type information (Documentation/bpf/btf.rst), as far as struct layouts need it.

All types are indexed once by number; names are looked up in the string table when asked for.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

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
    """The types of one .BTF section. BuildError: it is not BTF."""

    def __init__(self, data: bytes) -> None:
        magic, _, _, head, types, types_size, strings, strings_size = struct.unpack_from("<HBBIIIII", data)
        if magic != 0xEB9F:
            raise BuildError("not BTF: wrong magic")
        self._data = data
        self._strings = data[head + strings : head + strings + strings_size]
        self.types = [Type(0, False, 0, 0, 0, 0)]
        self._index(head + types, head + types + types_size)

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

    def struct_number(self, name: str) -> int:
        """The number of ``struct name``. BuildError: there is none."""
        wanted = self._strings.find(b"\0" + name.encode() + b"\0") + 1
        for number, each in enumerate(self.types):
            if wanted and each.kind == STRUCT and each.name == wanted:
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
            element, _, length = struct.unpack_from("<III", self._data, each.tail)
            return self.size(element) * length
        return each.size if each.kind in (INT, STRUCT, UNION, ENUM, FLOAT, ENUM64) else 0

    def members(self, number: int) -> list[tuple[str, int, int]]:
        """(name, type number, offset in bits) of a struct's or union's members."""
        each = self.resolve(number)
        rows = []
        for index in range(each.members):
            name, kind, offset = struct.unpack_from("<III", self._data, each.tail + 12 * index)
            rows.append((self.name(name), kind, offset & 0xFFFFFF if each.flag else offset))
        return rows

    def layout(self, name: str, depth: int = 3) -> tuple[int, Fields]:
        """(size, {field: (offset, size)}) of ``struct name``: nested structs down to ``depth`` names, dotted.

        Members of anonymous structs and unions count as the outer struct's. Bit fields give their first byte.
        """
        number = self.struct_number(name)
        fields: Fields = {}
        self._flatten(number, "", 0, depth, fields)
        return self.size(number), fields

    def _flatten(self, number: int, prefix: str, base: int, depth: int, out: Fields) -> None:
        for name, kind, bits in self.members(number):
            offset, inner = base + bits // 8, self.resolve(kind).kind in (STRUCT, UNION)
            if not name:
                self._flatten(kind, prefix, offset, depth, out)
                continue
            out[prefix + name] = (offset, self.size(kind))
            if inner and depth > 1:
                self._flatten(kind, f"{prefix}{name}.", offset, depth - 1, out)
