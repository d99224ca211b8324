# SPDX-License-Identifier: GPL-2.0-only
"""12: a loader of one's own: where each section lives, what each symbol is, and the relocated bytes."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from ...kernel import Kernel
from ...loader import finalize, relocate
from ..plain import Record
from ..real import arriving, image
from ..task import Case, Claim, Task, fixed
from .memory import INIT, NOWHERE, place_sections
from .relocation import relocate_section, sections_to_relocate

MODULES = ("minimal", "hello", "crc16", "libarc4", "dummy", "loop")


@cache
def _state(name: str) -> tuple[Any, ...]:
    """A real load up to simplify_symbols: sections, base addresses, the table before and after, the exports
    used.
    """
    kept: dict[str, Any] = {}

    def before(load: Any) -> None:
        kept["before"] = [_symbol(row) for row in relocate.symbol_table(load).tolist()]
        kept["addresses"] = [s.addr if s.alloc else 0 for s in load.sections]
        kept["names"] = load.names_at(
            load.sections[load.index.str].offset, load.strings, [row.name for row in kept["before"]]
        )
        load.kernel.stage_overrides.clear()
        from ...loader.resolve import simplify_symbols

        simplify_symbols(load)
        kept["after"] = [int(v) for v in relocate.symbol_table(load)["st_value"]]

    Kernel(cpu=None, stages={"simplify_symbols": before}).load(image(name))
    symbols = [row._replace(name=name) for row, name in zip(kept["before"], kept["names"], strict=True)]
    exports = {s.name: v for s, v in zip(symbols, kept["after"], strict=True) if not s.shndx and s.name and v}
    return symbols, kept["addresses"], exports, kept["after"]


def _symbol(row: tuple[int, ...]) -> Record:
    name, info, _other, shndx, value, _size = row
    return Record(name=name, bind=info >> 4, shndx=shndx, value=value)


def section_addresses(sections: list[Any], core: int, init: int, page: int = 4096) -> list[int]:
    """Final address of each section, 0 for those that are not loaded."""
    offsets = place_sections(sections, page)[0]
    return [0 if at == NOWHERE else (init + (at & ~INIT) if at & INIT else core + at) for at in offsets]


def _sections(page: int):  # type: ignore[no-untyped-def]
    def make(random: Random) -> list[Case]:
        cases: list[Case] = []
        for name in MODULES:
            ((sections,),) = arriving("place_sections", name)
            core = 0xFFFFFFFFC0000000 + 65536 * random.randrange(64)
            case = (sections, core, core + (1 << 20))
            cases.append(case if page == 4096 else (*case, page))
        return cases

    return make


def symbol_values(
    symbols: list[Any], addresses: list[int], exports: dict[str, int], weak: int = 0
) -> list[int] | str:
    """st_value of every symbol, or the name of the first one that nobody has."""
    values = []
    for number, s in enumerate(symbols):
        if not number:
            values.append(s.value)
        elif s.shndx == 0:
            if s.name not in exports and s.bind != 2:
                return str(s.name)
            values.append(exports.get(s.name, weak))
        else:
            inside = s.shndx < len(addresses)
            values.append((s.value + (addresses[s.shndx] if inside else 0)) & ((1 << 64) - 1))
    return values


def _real_symbols(random: Random) -> list[Case]:
    cases = []
    for name in MODULES:
        symbols, addresses, exports, _ = _state(name)
        moved = [a + 4096 * random.randrange(9) if a else 0 for a in addresses]
        cases.append((symbols, moved, exports))
    return cases


def as_loaded(name: str) -> Case:
    """The arguments that the real load had: section addresses as they were."""
    return _state(name)[:3]


def _lacking(random: Random) -> list[Case]:
    cases = []
    for name in ("hello", "loop", "dummy"):
        symbols, addresses, exports, _ = _state(name)
        lost = random.choice(sorted(exports))
        cases.append((symbols, addresses, {n: a for n, a in exports.items() if n != lost}))
    return cases


def _weak(random: Random) -> list[Case]:
    symbols, addresses, exports, _ = _state("weak_symbol")
    poison = random.choice((0xDEAD, 0xFFFFFFFF81000000, 1))
    return [
        (symbols, addresses, exports, poison),
        (symbols, addresses, dict(list(exports.items())[:1] + list(exports.items())[1:]), poison),
    ]


def relocate_module(pieces: list[Any], values: list[int], skip: tuple[int, ...] = ()) -> list[bytes]:
    """Bytes of each piece (data, address, entries) after relocation; entries of the types ``skip`` are left
    out.
    """
    result = []
    for piece in pieces:
        rela = piece.rela
        if skip:
            rows = [rela[at : at + 24] for at in range(0, len(rela), 24)]
            rela = b"".join(row for row in rows if int.from_bytes(row[8:12], "little") not in skip)
        result.append(relocate_section(piece.data, piece.address, rela, values))
    return result


def _pieces(name: str) -> Case:
    cases = sections_to_relocate(name)
    return [Record(data=data, address=address, rela=rela) for data, address, rela, _ in cases], cases[0][3]


def _skipping(random: Random) -> list[Case]:
    return [
        (*_pieces(name), random.choice(((4,), (2, 4), (11,), (1,)))) for name in ("hello", "dummy", "loop")
    ]


def relocated_in_kernel(name: str) -> dict[int, bytes]:
    """address -> bytes of each relocated section, as the loader left it right behind apply_relocations."""
    kept: dict[int, bytes] = {}

    def look(load: Any) -> None:
        for data, address, _, _ in sections_to_relocate(name):
            kept[address] = load.kernel.memory.read(address, len(data))
        finalize.sort_extable(load)

    Kernel(cpu=None, stages={"sort_extable": look}).load(image(name))
    return kept


TASKS = (
    Task(
        "section_addresses",
        "kernel/module/main.c:layout_sections, move_module",
        section_addresses,
        (
            Claim("minimal", 2, "public", lambda random: _sections(4096)(random)[:1]),
            Claim("modules of the distribution", 2, "hidden", _sections(4096)),
            Claim("variant: pages of 16 KiB", 4, "variant", _sections(16384)),
        ),
        "You wrote place_sections in assignment 04: take it, add core or init. NOWHERE becomes 0.",
    ),
    Task(
        "symbol_values",
        "kernel/module/main.c:simplify_symbols",
        symbol_values,
        (
            Claim("minimal", 2, "public", lambda random: [as_loaded("minimal")]),
            Claim(
                "modules of the distribution, as really loaded, and elsewhere",
                2,
                "hidden",
                lambda random: [*(as_loaded(name) for name in MODULES), *_real_symbols(random)],
            ),
            Claim("a symbol that nobody has: its name", 1, "hidden", _lacking),
            Claim("variant: weak symbols that nobody has get a stated value", 3, "variant", _weak),
        ),
        "Symbol 0 stays. st_shndx 0: look the name up, weak (bind 2) may miss. Other sections: add "
        "their address; numbers "
        "from 0xff00 on are no sections.",
    ),
    Task(
        "relocate_module",
        "arch/x86/kernel/module.c:apply_relocate_add",
        relocate_module,
        (
            Claim("minimal", 2, "public", lambda random: [_pieces("minimal")]),
            Claim(
                "modules of the distribution, every byte",
                4,
                "hidden",
                lambda random: [_pieces(name) for name in MODULES[1:]],
            ),
            Claim("nothing to do", 1, "hidden", fixed(([Record(data=b"abc", address=4096, rela=b"")], [0]))),
            Claim("variant: types that somebody else applies are left out", 4, "variant", _skipping),
        ),
        "You wrote relocate_section in assignment 06: once for each piece.",
    ),
)
