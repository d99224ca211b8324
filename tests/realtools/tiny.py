# SPDX-License-Identifier: GPL-2.0-only
"""Module files with nothing in them but what depmod looks at, of either word size and byte order."""

from __future__ import annotations

import struct
from collections.abc import Sequence

NAMES = (
    b"",
    b".modinfo",
    b".symtab",
    b".strtab",
    b".shstrtab",
    b"__versions",
    b"__kcrctab",
    b"__ksymtab_strings",
)


def tiny(
    exports: Sequence[str] = (), needs: Sequence[str] = (), info: Sequence[str | bytes] = (),
    versions: Sequence[tuple[int, str]] = (), *, word: int = 64, order: str = "<", weak: Sequence[str] = (),
    crcs: bool = True, machine: int = 62, drop: Sequence[str] = (),
) -> bytes:  # fmt: skip
    """An ELF file: ``crcs`` False has its exports in __ksymtab_strings only; ``drop`` are sections to leave
    out."""
    wide = word == 64
    strings, symbols = bytearray(b"\0"), [_symbol(0, 0, 0, 0, wide, order)]
    table = bytearray()
    for name in exports if crcs else ():
        symbols.append(_symbol(len(strings), len(table), 0, 6, wide, order))
        strings += b"__crc_" + name.encode() + b"\0"
        table += struct.pack(order + "I", _crc(name))
    for name in [*needs, *weak]:
        symbols.append(_symbol(len(strings), 0, 0x20 if name in weak else 0x10, 0, wide, order))
        strings += name.encode() + b"\0"
    entries = b"".join(
        struct.pack(order + ("Q56s" if wide else "I60s"), crc, name.encode()) for crc, name in versions
    )
    texts = b"".join((i.encode() if isinstance(i, str) else i) + b"\0" for i in info)
    names = b"\0".join(NAMES) + b"\0"
    exported = b"".join(name.encode() + b"\0" for name in exports)
    bodies = [b"", texts, b"".join(symbols), bytes(strings), names, entries, bytes(table), exported]
    return _file(bodies, names, wide, order, machine, [name.encode() for name in drop])


def _crc(name: str) -> int:
    return sum(name.encode()) * 0x01010101 & 0xFFFFFFFF


def _symbol(name: int, value: int, info: int, section: int, wide: bool, order: str) -> bytes:
    if wide:
        return struct.pack(order + "IBBHQQ", name, info, 0, section, value, 0)
    return struct.pack(order + "IIIBBH", name, value, 0, info, 0, section)


def _file(
    bodies: list[bytes], names: bytes, wide: bool, order: str, machine: int, drop: Sequence[bytes]
) -> bytes:
    size = 64 if wide else 52
    rows, content = [], b""
    for name, body in zip(NAMES, bodies, strict=True):
        at = 0 if name in drop or not name else names.index(b"\0" + name + b"\0") + 1
        rows.append((at, size + len(content), len(body) if name not in drop else 0))
        content += body + bytes(8)
    sections = b"".join(
        struct.pack(order + ("IIQQQQIIQQ" if wide else "10I"), at, 1, 0, 0, offset, length, 0, 0, 1, 0)
        for at, offset, length in rows
    )
    ident = b"\x7fELF" + bytes([1 + wide, 1 + (order == ">"), 1]) + bytes(9)
    head = struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        1, machine, 1, 0, 0, size + len(content), 0, size, 0, 0, 64 if wide else 40, len(rows), 4,
    )  # fmt: skip
    return ident + head + content + sections
