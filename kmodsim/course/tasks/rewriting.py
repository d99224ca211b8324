# SPDX-License-Identifier: GPL-2.0-only
"""11: the kernel rewrites itself: NOPs, return thunks, two tables that are sorted in place."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

from ...arch import x86_64_patching as patching
from ...loader import finalize
from ..real import arriving, image
from ..task import Case, Claim, Task, drawn, fixed
from .elf import sections_of

ALTERNATIVE = "arch/x86/kernel/alternative.c"
# arch/x86/include/asm/nops.h for 32-bit processors without the long ones: lea and mov with no effect
SHORT_NOPS = tuple(bytes.fromhex(text) for text in ("", "90", "89f6", "8d7600", "8d742600"))


def add_nops(length: int, nops: tuple[bytes, ...] = patching.NOPS) -> bytes:
    longest = len(nops) - 1
    return nops[longest] * (length // longest) + nops[length % longest]


def patch_return(place: int, thunk: int | None, fill: int = 0xCC, jump: bytes = b"\xe9") -> bytes:
    if (fill, jump) == (0xCC, b"\xe9"):
        return patching.patch_return(place, thunk)
    if thunk is None:
        return b"\xc3" + bytes((fill,)) * 4
    size = 5 + len(jump) - 1
    code = jump + struct.pack("<I", (thunk - place - size) & 0xFFFFFFFF)
    return code


def _jump(random: Random) -> tuple[int, int | None]:
    place = 0xFFFFFFFFC0000000 + random.randrange(1 << 22)
    return place, random.choice((None, 0xFFFFFFFF81E00000 + random.randrange(1 << 16), place - 64, place + 5))


def sort_orc(ips: list[int], entries: list[bytes], last: bool = False) -> tuple[list[int], list[bytes]]:
    """``last``: terminators behind real entries instead of before them."""
    if not last:
        return finalize.sort_orc(ips, entries)
    rows = [
        (4 * i + ip, not (e[4] & 15 or e[5] & 4), e)
        for i, (ip, e) in enumerate(zip(ips, entries, strict=True))
    ]
    rows.sort(key=lambda row: row[:2])
    return [ip - 4 * i for i, (ip, _, _) in enumerate(rows)], [entry for _, _, entry in rows]


def _real_orc(name: str) -> Case:
    data = image(name)
    by_name = {s.name: data[s.offset : s.offset + s.size] for s in sections_of(data)}
    entries = by_name[".orc_unwind"]
    count = min(len(entries) // 6, 300)
    # before relocation all distances are 0: places are dealt out as the linker would
    return [40 * i - 4 * i for i in range(count)], [entries[6 * i : 6 * i + 6] for i in range(count)]


def _shuffled(random: Random, terminators: bool = False) -> tuple[list[int], list[bytes]]:
    _, entries = _real_orc(random.choice(("loop", "dummy", "fat")))
    real = [e for e in entries if e[4] & 15][:24]
    places = random.sample(range(-4000, 4000, 8), len(real))
    rows = list(zip(places, real, strict=True))
    if terminators:  # one at the place of a real entry
        rows += [(place, bytes(6)) for place in random.sample(places, 5)]
    random.shuffle(rows)
    return [place - 4 * i for i, (place, _) in enumerate(rows)], [entry for _, entry in rows]


def sort_exception_table(
    entries: list[tuple[int, int, int]], relative: tuple[bool, bool, bool] = (True, True, False)
) -> Any:
    if tuple(relative) == (True, True, False):
        return finalize.sort_exception_table(entries)
    absolute = [
        tuple(v + (12 * i + 4 * n if r else 0) for n, (v, r) in enumerate(zip(e, relative, strict=True)))
        for i, e in enumerate(entries)
    ]
    absolute.sort(key=lambda row: row[0])
    return [
        tuple(v - (12 * i + 4 * n if r else 0) for n, (v, r) in enumerate(zip(e, relative, strict=True)))
        for i, e in enumerate(absolute)
    ]


def _table(random: Random) -> list[tuple[int, int, int]]:
    count = random.randrange(2, 12)
    places = random.sample(range(-90000, -1000, 4), count)
    return [
        (place - 12 * i, random.randrange(-90000, -1000), random.randrange(1, 18))
        for i, place in enumerate(places)
    ]


TASKS = (
    Task(
        "add_nops",
        f"{ALTERNATIVE}:add_nops, arch/x86/include/asm/nops.h",
        add_nops,
        (
            Claim("one, five and eight bytes", 1, "public", fixed((1,), (5,), (8,))),
            Claim(
                "none at all, and more than the longest", 1, "hidden", fixed((0,), (9,), (16,), (23,), (40,))
            ),
            Claim(
                "variant: a processor whose longest NOP has four bytes",
                2,
                "variant",
                lambda random: [(length, SHORT_NOPS) for length in range(14)],
            ),
        ),
        "len(nops) - 1 is the longest; as many of those as fit, then one for the rest.",
    ),
    Task(
        "patch_return",
        f"{ALTERNATIVE}:patch_return",
        patch_return,
        (
            Claim("no thunk: a plain return", 1, "public", fixed((0xFFFFFFFFC0001000, None))),
            Claim(
                "every return of real modules",
                1,
                "hidden",
                lambda random: arriving("patch_return", "loop", "dummy")[:60],
            ),
            Claim("a jump to the thunk, forwards and backwards", 1, "hidden", drawn(12, _jump)),
            Claim(
                "variant: other filling; a jump with a prefix byte",
                2,
                "variant",
                lambda random: [
                    (
                        *_jump(random),
                        random.choice((0x90, 0xF4)),
                        random.choice((b"\xe9", b"\x2e\xe9", b"\x66\x90\xe9")),
                    )
                    for _ in range(16)
                ],
            ),
        ),
        "The distance counts from the end of the jump: thunk - place - its length, as 4 bytes, "
        "little-endian.",
        "patch_return",
    ),
    Task(
        "sort_orc",
        "arch/x86/kernel/unwind_orc.c:unwind_module_init, orc_sort_cmp",
        sort_orc,
        (
            Claim(
                "a table that is in order stays as it is", 1, "public", lambda random: [_real_orc("hello")]
            ),
            Claim(
                "shuffled entries of real modules: distances change with the place",
                1,
                "hidden",
                lambda random: [_shuffled(random) for _ in range(5)],
            ),
            Claim(
                "a terminator comes before the real entry of the same address",
                1,
                "hidden",
                lambda random: [_shuffled(random, True) for _ in range(6)],
            ),
            Claim(
                "variant: a terminator comes behind",
                2,
                "variant",
                lambda random: [(*_shuffled(random, True), True) for _ in range(6)],
            ),
        ),
        "Make addresses: 4 * i + ip. Sort. Make distances again with the new i. A terminator: "
        "entry[4] & 15 and entry[5] & 4 "
        "are both 0.",
        "sort_orc",
    ),
    Task(
        "sort_exception_table",
        "lib/extable.c:sort_extable, arch/x86/include/asm/extable.h",
        sort_exception_table,
        (
            Claim("two entries in the wrong order", 1, "public", fixed(([(-100, -50, 3), (-300, -60, 4)],))),
            Claim(
                "tables of real modules",
                1,
                "hidden",
                lambda random: [
                    case
                    for name in ("tables", "loop", "fat", "e1000")
                    for case in arriving("sort_exception_table", name)
                ],
            ),
            Claim(
                "any order; the third field is no distance",
                1,
                "hidden",
                lambda random: [(_table(random),) for _ in range(8)],
            ),
            Claim(
                "variant: Linux 5.10, whose third field is a distance too",
                2,
                "variant",
                lambda random: [(_table(random), (True, True, True)) for _ in range(8)],
            ),
        ),
        "Field n of entry i lies at 12 * i + 4 * n; its distance counts from there.",
        "sort_exception_table",
    ),
)
