# SPDX-License-Identifier: GPL-2.0-only
"""06: relocation: the value, whether it fits, one entry, a whole section."""

from __future__ import annotations

import struct
from functools import cache
from random import Random
from typing import Any

from ...arch import x86_64
from ...kernel import Kernel
from ...loader import relocate
from ..plain import Record
from ..real import arriving, image
from ..task import Case, Claim, Task, drawn, fixed
from ..words import show

SOURCE = "arch/x86/kernel/module.c:__apply_relocate_add"
U64 = (1 << 64) - 1
# type -> (bytes stored, P is subtracted, how an overflow is found)
TYPES = {
    row.number: (row.size, row.pc_relative, row.check)
    for row in x86_64.RELOCATION_TYPES.values()
    if row.size is not None
}
# ARM's ELF for the 64-bit architecture: ABS64, ABS32, ABS16, PREL64, PREL32, PREL16; the check is its own
AARCH64 = {
    257: (8, False, ""),
    258: (4, False, "either"),
    259: (2, False, "either"),
    260: (8, True, ""),
    261: (4, True, "either"),
    262: (2, True, "either"),
}
REAL = ("hello", "crc16", "dummy", "loop", "tables")


def relocation_value(kind: int, S: int, A: int, P: int, types: dict[int, Any] = TYPES) -> int:
    if types is TYPES:
        return x86_64.relocation_value(kind, S, A, P)
    return (S + A - (P if types[kind][1] else 0)) & U64


def fits(value: int, size: int, check: str) -> bool:
    """As x86_64.fits for four bytes; the same idea for other sizes."""
    bits = 8 * size
    signed = value - (1 << 64) if value >> 63 else value
    low, high = {
        "": (-(1 << 63), 1 << 63),
        "unsigned": (0, 1 << bits),
        "signed": (-(1 << bits - 1), 1 << bits - 1),
        "either": (-(1 << bits - 1), 1 << bits),
    }[check]
    return low <= (value if check == "unsigned" else signed) < high


def relocate_one(relocation: Any, existing: bytes, rel: bool = False) -> Any:
    kind, s, a, p = relocation
    if not rel:
        return relocate.relocate_one(relocate.Relocation(kind, s, a, p), existing)
    if kind not in TYPES:
        return relocate.Fault("unknown", kind)
    a = int.from_bytes(existing, "little", signed=True)
    return relocate.relocate_one(relocate.Relocation(kind, s, a, p), bytes(len(existing)))


def relocate_section(
    data: bytes, base: int, rela: bytes, values: list[int], types: dict[int, Any] = TYPES
) -> bytes:
    out = bytearray(data)
    for offset, kind, number, addend in struct.iter_unpack("<QIIq", rela):
        size = types[kind][0]
        value = relocation_value(kind, values[number], addend, base + offset, types)
        out[offset : offset + size] = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    return bytes(out)


def _entries(*modules: str) -> list[Case]:
    return [case for name in modules for case in arriving("relocate_one", name)[:400]]


def _places(random: Random) -> tuple[int, int, int]:
    return (
        0xFFFFFFFF81000000 + random.randrange(1 << 25),
        random.choice((-4, 0, 8, -5, random.randrange(99))),
        0xFFFFFFFFC0000000 + random.randrange(1 << 20),
    )


def _arm(random: Random) -> Case:
    return random.choice(tuple(AARCH64)), *_places(random), AARCH64


def _sized(checks: tuple[str, ...], sizes: tuple[int, ...]):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        size = random.choice(sizes)
        edge = random.choice((1 << 8 * size, 1 << 8 * size - 1, -(1 << 8 * size - 1), 0))
        return (edge + random.randrange(-2, 3)) & U64, size, random.choice(checks)

    return make


def _edge(random: Random) -> Case:
    kind = random.choice((10, 11))
    return Record(
        type=kind,
        S=random.choice((0xFFFFFFFF, 1 << 31, 1 << 32, 0xFFFFFFFF80000000, 0xFFFFFFFF7FFFFFFF)),
        A=random.choice((-1, 0, 1)),
        P=0xFFFFFFFFC0000000,
    ), bytes(4)


def _unknown(random: Random) -> Case:
    return Record(type=random.choice((3, 9, 12, 26, 42, 99)), S=1, A=2, P=3), b""


def _nonzero(random: Random) -> Case:
    s, a, p = _places(random)
    kind = random.choice((1, 2, 4, 10, 11, 24))
    size = TYPES[kind][0]
    spoiled = bytearray(size)
    spoiled[random.randrange(size)] = random.randrange(1, 256)
    return Record(type=kind, S=s, A=a, P=p), bytes(spoiled)


def _in_place(random: Random) -> Case:
    s, _, p = _places(random)
    kind = random.choice((1, 2, 4, 11, 24, 99))
    size = TYPES[kind][0] if kind in TYPES else 0
    addend = random.randrange(-4096, 4096)
    return (
        Record(type=kind, S=s, A=0, P=p),
        addend.to_bytes(size, "little", signed=True) if size else b"",
        True,
    )


def _note(case: Case, expected: Any, found: Any) -> str:
    kind, s, a, p = case[0] if isinstance(case[0], Record) else case[:4]
    row = x86_64.RELOCATION_TYPES.get(kind)
    words = f"{row.name} = {row.formula}" if row and len(case) < 5 else f"type {kind}"
    return f"{words}: S = {show(s)}, A = {a}, P = {show(p)}."


def _first_wrong_entry(case: Case, expected: Any, found: Any) -> str:
    if not isinstance(found, bytes) or len(found) != len(expected):
        return ""
    types = case[4] if len(case) > 4 else TYPES
    for number, (offset, kind, symbol, addend) in enumerate(struct.iter_unpack("<QIIq", case[2])):
        size = types[kind][0]
        if expected[offset : offset + size] != found[offset : offset + size]:
            return (
                f"It is entry {number}: type {kind}, r_offset {offset:#x}, S = {case[3][symbol]:#x} "
                f"(symbol {symbol}), "
                f"A = {addend}, P = {case[1] + offset:#x}."
            )
    return "No entry is about that byte: it was to stay."


@cache
def sections_to_relocate(name: str) -> tuple[Case, ...]:
    """(bytes, address, entries, st_values) of every relocated section of a real module, before any entry."""
    from ...records import SHF_ALLOC, SHT_RELA

    found: list[Case] = []

    def look(load: Any) -> None:
        values = [int(v) for v in relocate.symbol_table(load)["st_value"]]
        for section in load.sections[1:]:
            if section.type == SHT_RELA and section.info < len(load.sections):
                target = load.sections[section.info]
                if target.flags & SHF_ALLOC and target.size:
                    found.append(
                        (
                            load.bytes_of(target).tobytes(),
                            target.addr,
                            load.bytes_of(section).tobytes(),
                            values,
                        )
                    )
        relocate.apply_relocations(load)

    Kernel(cpu=None, stages={"apply_relocations": look}).load(image(name))
    return tuple(found)


def _arm_section(random: Random) -> Case:
    size = 64 * random.randrange(2, 9)
    values = [0xFFFF800008000000 + random.randrange(1 << 24) for _ in range(18)]
    places = random.sample(range(0, size - 8, 8), min(12, size // 16))
    rela = b"".join(
        struct.pack(
            "<QIIq",
            at,
            random.choice((257, 258, 260, 261, 262)),
            random.randrange(6),
            random.randrange(-64, 64),
        )
        for at in places
    )
    return bytes(size), 0xFFFF800001000000, rela, values, AARCH64


TASKS = (
    Task(
        "relocation_value",
        SOURCE,
        relocation_value,
        (
            Claim(
                "S + A, and S + A - P",
                1,
                "public",
                fixed(
                    (1, 0xFFFFFFFF81000000, 8, 0xFFFFFFFFC0001000),
                    (2, 0xFFFFFFFF81000000, -4, 0xFFFFFFFFC0001000),
                ),
            ),
            Claim(
                "an unsigned 64-bit number, also below zero",
                1,
                "hidden",
                drawn(36, lambda random: (random.choice((1, 2, 4, 10, 11, 24)), *_places(random))),
            ),
            Claim("variant: the table of another processor, AArch64", 2, "variant", drawn(36, _arm)),
        ),
        "types[kind][1] says whether P is subtracted; & (1 << 64) - 1 makes it unsigned.",
        "",
        _note,
    ),
    Task(
        "fits",
        SOURCE + " (overflow)",
        fits,
        (
            Claim(
                "four bytes, unsigned",
                1,
                "public",
                fixed((0xFFFFFFFF, 4, "unsigned"), (1 << 32, 4, "unsigned"), (U64, 4, "unsigned")),
            ),
            Claim(
                "four bytes, signed: sign-extended it must come back",
                1,
                "hidden",
                drawn(60, _sized(("signed",), (4,))),
            ),
            Claim(
                "variant: one, two and eight bytes, and AArch64's either",
                2,
                "variant",
                drawn(120, _sized(("signed", "unsigned", "either"), (1, 2, 4))),
            ),
        ),
        'Cut to size bytes, widen again (with the sign for "signed"), compare with the value.',
    ),
    Task(
        "relocate_one",
        SOURCE,
        relocate_one,
        (
            Claim("every entry of hello", 1, "public", lambda random: _entries("hello")),
            Claim(
                "entries of the distribution's modules",
                1,
                "hidden",
                lambda random: _entries("crc16", "dummy", "loop"),
            ),
            Claim("unknown types", 1, "hidden", drawn(18, _unknown)),
            Claim(
                "the target has to be zero, before anything else about the value",
                1,
                "hidden",
                drawn(24, _nonzero),
            ),
            Claim("overflow of R_X86_64_32 and R_X86_64_32S", 1, "hidden", drawn(48, _edge)),
            Claim("variant: REL, the addend stands in the target", 3, "variant", drawn(72, _in_place)),
        ),
        "Three questions in order: a type of the table? existing all zero? does the value fit? A fault is "
        "Fault(kind, value); for nonzero its value is S + A.",
        "relocate_one",
        _note,
    ),
    Task(
        "relocate_section",
        "arch/x86/kernel/module.c:apply_relocate_add",
        relocate_section,
        (
            Claim("every section of hello", 1, "public", lambda random: sections_to_relocate("hello")),
            Claim(
                "every section of the distribution's modules",
                2,
                "hidden",
                lambda random: [case for name in REAL[1:] for case in sections_to_relocate(name)],
            ),
            Claim("variant: the table of another processor, AArch64", 2, "variant", drawn(6, _arm_section)),
        ),
        "numpy.frombuffer(rela, dtype=[('offset', '<u8'), ('kind', '<u4'), ('symbol', '<u4'), "
        "('addend', '<i8')]); uint64 "
        "sums wrap by themselves.",
        "",
        _first_wrong_entry,
    ),
)
