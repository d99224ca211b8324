# SPDX-License-Identifier: GPL-2.0-only
"""One relocation with its numbers, as the file has it or bent: the relocation lab without its controls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..arch.x86_64 import RELOCATION_TYPES, fits, relocation_value
from ..errors import KernelError
from ..kernel import Kernel
from ..loader.relocate import Fault, refusal, relocate_one
from ..loader.relocate import Relocation as Entry
from ..modulefile import ModuleFile
from ..profiles.rules import of as rules_of
from ..views.relocations import Filled, RelocationLine, relocation_picture, relocation_table
from ..views.view import View
from .chosen import load_with_needs
from .guessed_bytes import judge_bytes

MIB = 1 << 20
U64 = (1 << 64) - 1
AS_IN_THE_FILE = "as in the file"
SOURCE = "arch/x86/kernel/module.c:__apply_relocate_add"
TYPES = {row.name: row.number for row in RELOCATION_TYPES.values()}
NEAR = 3  # rows shown before and behind the chosen one
AROUND = 6  # bytes shown in front of P and behind the field


class Place(NamedTuple):
    """One entry of a loaded module: its number in the file, where it is, S, A and P as they are.

    ``own``: S lies in the module, so that it moves with it; ``front``, ``behind``: the file's bytes around.
    """

    number: int
    section: str
    offset: int
    type: int
    symbol: str
    S: int
    A: int
    P: int
    own: bool
    front: bytes
    behind: bytes


class Relocatable:
    """A module that was loaded once: its relocations that matter, with S and P.

    KernelError: the module is refused before it is relocated.
    """

    def __init__(self, file: ModuleFile) -> None:
        self.file = file
        self.kernel = Kernel(cpu=None)
        self.load = load_with_needs(self.kernel, file)
        if self.load.error is not None and not self._resolved:
            raise self.load.error
        self.tables = [
            (table, first) for table, first in self._numbered() if table.target is not None
            and self.load.sections[table.target.index].alloc
        ]  # fmt: skip

    @property
    def _resolved(self) -> bool:
        return any(r.stage == "simplify_symbols" and r.error is None for r in self.load.trace)

    def _numbered(self) -> list[tuple[Any, int]]:
        tables = self.file.relocations.tables
        first = np.cumsum([0, *(len(table) for table in tables)]).tolist()
        return list(zip(tables, first[:-1], strict=True))

    @cached_property
    def sections(self) -> list[str]:
        """Names of the sections that are relocated, in file order."""
        return list(dict.fromkeys(table.target.name for table, _ in self.tables))

    @cached_property
    def kinds(self) -> dict[str, int]:
        """Type -> how many, most frequent first."""
        count: Counter[str] = Counter()
        for table, _ in self.tables:
            count.update(table.kinds())
        return dict(count.most_common())

    def numbers(self, section: str = "", symbol: str = "") -> list[int]:
        """Numbers of the entries for this section ("" for all) whose symbol's name contains ``symbol``."""
        found: list[int] = []
        for table, first in self.tables:
            if section and table.target.name != section:
                continue
            if not symbol:
                found += range(first, first + len(table))
                continue
            wanted = [i for i in np.unique(table.records["r_sym"]).tolist() if symbol in self._label(i)]
            hits = np.flatnonzero(np.isin(table.records["r_sym"], wanted))
            found += (first + hits).tolist()
        return found

    def _label(self, index: int) -> str:
        return self.file.symbols.label(index)

    def place(self, number: int) -> Place:
        """The entry with this number. KeyError: none, or one of a section that is not loaded."""
        for table, first in self.tables:
            if first <= number < first + len(table):
                return self._place(table, number, number - first)
        raise KeyError(number)

    def _place(self, table: Any, number: int, row: int) -> Place:
        entry = table[row]
        header = self.load.sections[table.target.index]
        data, width = table.target.data, RELOCATION_TYPES.get(entry.type)
        end = entry.offset + ((width.size or 0) if width else 0)
        own, s = self._symbol(entry.symbol_index)
        return Place(
            number, table.target.name, entry.offset, entry.type, entry.symbol, s, entry.addend or 0,
            header.addr + entry.offset, own, data[max(0, entry.offset - AROUND) : entry.offset],
            data[end : end + AROUND],
        )  # fmt: skip

    def _symbol(self, index: int) -> tuple[bool, int]:
        """(does it move with the module, st_value after simplify_symbols)."""
        symtab, sections = self.load.symtab, self.load.sections
        if symtab is None or index >= len(symtab):
            raise KernelError(None, strerror=f"symbol {index} lies behind the end of the symbol table")
        return bool(self._moves(symtab["st_shndx"][index])), int(symtab["st_value"][index]) if sections else 0

    def _moves(self, number: Any) -> bool:
        sections = self.load.sections
        inside = 0 < number < len(sections)
        return bool(inside and sections[number].alloc and number != self.load.index.pcpu)

    @cached_property
    def _columns(self) -> tuple[Any, ...]:
        """Type, S + A − P as it is, and whether S and P move with the module, of all entries."""
        symtab = self.load.symtab
        assert symtab is not None
        moving = np.array([self._moves(n) for n in range(len(self.load.sections))])
        kinds, values, own = [], [], []
        for table, _ in self.tables:
            rows = table.records[table.records["r_sym"] < len(symtab)]
            shndx = symtab["st_shndx"][rows["r_sym"]]
            kinds.append(rows["r_type"].astype(np.int64))
            values.append(symtab["st_value"][rows["r_sym"]] + rows["r_addend"].astype(np.uint64))
            own.append(np.where(shndx < len(moving), moving[np.minimum(shndx, len(moving) - 1)], False))
        return np.concatenate(kinds), np.concatenate(values), np.concatenate(own)

    def refused_at(self, move: int) -> int:
        """How many R_X86_64_32 and _32S would not fit, were the whole module moved by ``move`` bytes."""
        if not self.tables:
            return 0
        kinds, values, own = self._columns
        value = values + np.where(own, np.uint64(move & U64), np.uint64(0))
        low = value.astype(np.uint32)
        plain = (kinds == TYPES["R_X86_64_32"]) & (value != low)
        wide = low.astype(np.int32).astype(np.int64).view(np.uint64)
        return int(np.count_nonzero(plain | ((kinds == TYPES["R_X86_64_32S"]) & (value != wide))))


def type_name(number: int) -> str:
    row = RELOCATION_TYPES.get(number)
    return row.name if row else f"type {number}"


@dataclass(frozen=True)
class Bent:
    """What is to be other than in the file: distances in bytes, a type's number, bytes there already."""

    move: int = 0
    move_symbol: int = 0
    type: int | None = None
    there: bool = False


NONZERO = rules_of("6.1").nonzero  # the lab's kernel


def fill(place: Place, bent: Bent, name: str, hashed: str = "") -> tuple[Filled, tuple[str, ...]]:
    """The entry with its numbers filled in, and what the kernel says about it in dmesg.

    ``name``: the module's; ``hashed``: P as %p prints it, for one message.
    """
    kind = place.type if bent.type is None else bent.type
    row = RELOCATION_TYPES.get(kind)
    s = (place.S + bent.move_symbol + (bent.move if place.own else 0)) & U64
    p = (place.P + bent.move) & U64
    entry, size = Entry(kind, s, place.A, p), (row.size if row else None)
    before = (b"\x90" if bent.there else b"\0") * (size or 0)
    result = relocate_one(entry, before)
    value = relocation_value(kind, s, place.A, p) if row else 0
    log: tuple[str, ...] = ()
    after: bytes | None = None
    if isinstance(result, Fault):
        log = refusal(name, entry, result, hashed, NONZERO)
        if result.kind == "overflow" and size:  # stored before it is checked
            after = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    else:
        after = result
    reads = None if after is None or not after or row is None else _read_back(row, after, place.A, p)
    good = not log and (reads is None or reads == s)
    verdict = _verdict(result, after, good)
    filled = Filled(
        place.number, type_name(kind), row.formula if row else "", place.symbol,
        f"{place.section}+{place.offset:#x}", s, place.A, p, value, size, row.check if row else "", before,
        after, (place.front, place.behind), verdict, good, reads,
    )  # fmt: skip
    return filled, log


def _read_back(row: Any, after: bytes, addend: int, place: int) -> int:
    """The address that the stored bytes name: the formula turned round."""
    back = int.from_bytes(after, "little", signed=row.check != "unsigned")
    return (back - addend + (place if row.pc_relative else 0)) & U64


def _verdict(result: bytes | Fault, after: bytes | None, good: bool) -> str:
    if isinstance(result, Fault):
        kept = "; the wrong bytes are stored already" if result.kind == "overflow" else ""
        return f"refused: ENOEXEC, the module does not load{kept}"
    if not after:
        return "nothing is stored"
    if good:
        return "stored; read back, it gives S"
    return "stored without a word, and wrong: read back, it does not give S; nobody checks PC-relative values"


@dataclass(frozen=True)
class Answer:
    """What the widget shows: the picture, its neighbours in the file, the kernel's words, a judged guess."""

    filled: Filled
    picture: View
    table: View
    log: tuple[str, ...]
    all_refused: int
    move: int
    hidden: bool
    judged: str = ""

    @property
    def headline(self) -> str:
        if self.hidden:
            return "? What will the bytes be? Write your guess above."
        if self.filled.size == 0:
            return "✓ Nothing is stored"
        if self.log:
            return "✗ ENOEXEC in apply_relocations"
        after = self.filled.after.hex(" ") if self.filled.after is not None else ""
        return f"{'✓' if self.filled.good else '✗'} {after}: {self.filled.verdict}"

    @property
    def words(self) -> str:
        """dmesg, and what would become of the whole module."""
        lines = ["# dmesg", *(self.log or ("(nothing)",))] if not self.hidden else []
        if self.move and not self.hidden:
            lines.append(
                f"Moved by {self.move // MIB:+,} MiB, {self.all_refused:,} relocations of this module would "
                "not fit" + (": it would not load." if self.all_refused else ".")
            )
        return "\n".join([*lines, f"models {SOURCE}"])

    @property
    def text(self) -> str:
        parts = (self.judged, self.headline, self.picture.text, self.words, self.table.text)
        return "\n\n".join(part for part in parts if part)


def answer(what: Relocatable, number: int, bent: Bent, *, ask: bool = False, guess: str = "") -> Answer:
    """The entry ``number`` of the file, bent so. ``ask``: hide the bytes until there is a ``guess``.

    ValueError: there is no such entry, or the guess is neither bytes nor a number.
    """
    try:
        place = what.place(number)
    except KeyError:
        raise ValueError(f"{what.file.name} has no relocation {number} that is applied") from None
    hashed = what.kernel.hashed_pointer((place.P + bent.move) & U64)
    filled, log = fill(place, bent, what.load.name, hashed)
    hidden = ask and not guess.strip()
    judged = "" if hidden or not ask else judge_bytes(guess, filled.after or b"", _mistakes(filled))
    title = f"{what.load.name}, relocation {number}: {filled.type} at {filled.place}"
    return Answer(
        filled, relocation_picture(filled, title, hidden=hidden), neighbours(what, place, hidden), log,
        what.refused_at(bent.move) if bent.move else 0, bent.move, hidden, judged,
    )  # fmt: skip


def _mistakes(f: Filled) -> dict[bytes, str]:
    """Bytes that come of the usual mistakes -> what the mistake was."""
    if not f.size:
        return {}
    mask, size = (1 << 8 * f.size) - 1, f.size

    def packed(value: int) -> bytes:
        return (value & mask).to_bytes(size, "little")

    wrong = {
        packed(f.value)[::-1]: "the right number, in the wrong order: x86 stores the lowest byte first",
        packed(f.S + f.A): "P is missing: that is S + A",
        packed(f.S - f.P): "the addend A is missing: that is S − P",
        packed(f.S): "that is S alone",
        packed(f.S - f.A - f.P): "A has the wrong sign",
        packed(f.P - f.S - f.A): "the other way round: it is counted from P to S",
    }
    return {data: words for data, words in wrong.items() if data != packed(f.value)}


def neighbours(what: Relocatable, place: Place, hidden: bool = False) -> View:
    """The entries around one, with all others counted; ``hidden``: this one's bytes are not shown."""
    lines = []
    for number in range(place.number - NEAR, place.number + NEAR + 1):
        try:
            line = line_of(what.place(number))
        except KeyError:
            continue
        lines.append(line._replace(value=None) if hidden and number == place.number else line)
    total = sum(len(table) for table, _ in what.tables)
    last = max((first + len(table) for table, first in what.tables), default=0)
    title = f"Relocations of {what.load.name}"
    return relocation_table(lines, title, total=max(total, last), kinds=what.kinds, chosen=place.number)


def line_of(place: Place) -> RelocationLine:
    """One row of the table, with the bytes that the loader stores."""
    value = relocation_value(place.type, place.S, place.A, place.P) if place.type in RELOCATION_TYPES else 0
    row = RELOCATION_TYPES.get(place.type)
    size = (row.size or 0) if row else 0
    stored = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little") if size else None
    if not fits(place.type, value) if row else True:
        stored = None
    return RelocationLine(
        place.number, place.section, place.offset, type_name(place.type), place.symbol, place.A, stored
    )
