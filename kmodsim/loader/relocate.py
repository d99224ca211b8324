# SPDX-License-Identifier: GPL-2.0-only
"""S + A − P into the code (``arch/x86/kernel/module.c:__apply_relocate_add``).

A whole section is checked and written at once. Where anything about it is not as it should be (an unknown
type, a
target that is not zero, an overflow, a place outside its section) the entries are walked one by one
instead, in
order, so that what the kernel had already written when it gave up is written here too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arch.x86_64 import PC_MASK, RELOCATION_TYPES, SIZE_OF, fits, relocation_value
from ..errors import ENOEXEC, KernelError, KernelOops
from ..memory import Area, Change
from ..records import RELA, SHF_ALLOC, SHF_RELA_LIVEPATCH, SHT_REL, SHT_RELA, Bytes, Records, view
from .load import SectionHeader
from .resolve import symbol_table

if TYPE_CHECKING:
    from .load import Load

BATCH = 1 << 14  # entries that are worked on at once
Half = tuple[NDArray[np.int64], NDArray[np.uint32]]  # offsets, and the four bytes to store there
Halves = list[Half]


class Relocation(NamedTuple):
    """One entry with its numbers filled in: type, S (st_value), A (addend), P (address of the place)."""

    type: int
    S: int
    A: int
    P: int


class Fault(NamedTuple):
    """Why the kernel stops at an entry: ``kind`` is "unknown", "nonzero", "overflow" (and the low bytes are
    stored) or "too wide" (they are not); ``value`` what was computed."""

    kind: str
    value: int


def relocate_one(relocation: Relocation, existing: bytes) -> bytes | Fault:
    """The bytes to store at P, or why not. ``existing``: the bytes there now, as many as the type stores.

    The first three checks in the kernel's order: known type, target zero, then the value is stored and
    must fit;
    with an overflow the store has already happened.
    """
    kind, s, a, p = relocation
    row = RELOCATION_TYPES.get(kind)
    if row is None or row.size is None:
        return Fault("unknown", kind)
    if any(existing):
        return Fault("nonzero", (s + a) & ((1 << 64) - 1))  # printed before P is subtracted
    value = relocation_value(kind, s, a, p)
    if not fits(kind, value):
        return Fault("overflow", value)
    return (value & ((1 << 8 * row.size) - 1)).to_bytes(row.size, "little")


def apply_relocations(load: Load) -> None:
    """All relocation sections in file order; those whose target is not loaded are skipped without a word."""
    count = len(load.sections)
    pieces: list[Any] = []
    for section in load.sections[1:]:
        if section.info >= count or not load.sections[section.info].flags & SHF_ALLOC:
            continue
        if section.flags & SHF_RELA_LIVEPATCH:
            load.note = "not modelled: livepatch relocations (klp_apply_section_relocs)"
        elif section.type == SHT_REL:
            assert load.module is not None
            _apply(load, pieces)
            load.kernel.printk(3, f"module {load.module.name}: REL relocation unsupported")
            raise KernelError(ENOEXEC)
        elif section.type == SHT_RELA and section.size >= RELA.itemsize:
            table = view(load.bytes_of(section), 0, section.size // RELA.itemsize, RELA)
            pieces.append(Piece(table, load.sections[section.info], section.alloc))
            load.relocated += len(table)
    _apply(load, pieces)


class Piece(NamedTuple):
    """Entries of one relocation section; ``moving``: it is loaded itself, so entries may change entries."""

    table: Records
    target: SectionHeader
    moving: bool


def _apply(load: Load, pieces: list[Piece]) -> None:
    """In order, as many entries at once as can be: a batch of pieces, else a piece, else one entry."""
    one_by_one = load.replaced("relocate_one")
    for batch in _batches(pieces):
        if not one_by_one and _apply_at_once(load, batch):
            continue
        for piece in batch:
            if one_by_one or len(batch) == 1 or not _apply_at_once(load, [piece]):
                _apply_in_order(load, piece)


def _batches(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Small pieces together, large ones in parts: a batch fits the processor's caches."""
    batch: list[Piece] = []
    room = BATCH
    for piece in pieces:
        for start in range(0, len(piece.table), BATCH):
            part = piece._replace(table=piece.table[start : start + BATCH])
            if len(part.table) > room:
                yield batch
                batch, room = [], BATCH
            batch.append(part)
            room -= len(part.table)
    if batch:
        yield batch


def _apply_at_once(load: Load, batch: list[Piece]) -> bool:
    """Check everything, then write everything. False, with nothing written, when some entry needs a closer
    look."""
    module, journal = load.module, load.kernel.memory.journal
    assert module is not None
    writes: list[tuple[Area, Stored, Halves]] = []
    for area in module.areas.values():
        mine = [piece for piece in batch if area.start <= piece.target.addr < area.end]
        if mine:
            checked = _check(load, area, mine)
            if checked is None:
                return False
            writes.append((area, *checked))
            batch = [piece for piece in batch if not area.start <= piece.target.addr < area.end]
    if batch:
        return False
    for area, stored, halves in writes:
        words = _words(area.data)
        for at, half in halves:
            words[at] = half
        if journal is not None:
            journal.append(stored)
    return True


def _check(load: Load, area: Area, pieces: list[Piece]) -> tuple[Stored, Halves] | None:
    """What is to be stored where in ``area``; None when something is out of order."""
    symbols = np.ascontiguousarray(symbol_table(load)["st_value"])
    place, info, addend = _columns(pieces)
    kind, number = info.astype(np.uint8), (info >> np.uint64(32)).view(np.int64)
    if any(piece.moving for piece in pieces) or int(info.view(np.uint32)[::2].max()) > 255:
        return None
    size, at = SIZE_OF.take(kind), (place - np.uint64(area.start)).view(np.int64)
    if int(size.min()) < 0 or int(number.max()) >= len(symbols) or not _inside(load, area, at, size):
        return None
    value = symbols.take(number)
    value += addend
    value -= place & PC_MASK.take(kind)
    if int(kind.max()) >= 10 and _too_wide(kind, value):
        return None
    stored, words = Stored(area.start, at, value, size), _words(area.data)
    halves = list(stored.halves())
    return None if any(words[at].any() for at, _ in halves) else (stored, halves)  # the target has to be zero


def _columns(pieces: list[Piece]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.uint64]]:
    """Addresses, types with symbol numbers above them, addends: each in one piece, targets in order."""
    place, info, addend = columns = np.empty((3, sum(len(piece.table) for piece in pieces)), np.uint64)
    end = 0
    for piece in sorted(pieces, key=lambda piece: piece.target.addr):
        start, end = end, end + len(piece.table)
        columns[:, start:end] = piece.table.view(np.uint64).reshape(-1, 3).T
        place[start:end] += np.uint64(piece.target.addr)
    return place, info, addend


def _inside(load: Load, area: Area, at: NDArray[np.int64], size: NDArray[np.int8]) -> bool:
    """All that is stored lies in ``area``, no two places overlap, and none is a symbol's: what one entry
    stores is not the next one's S."""
    if int(at.min()) < 0 or int(at.max()) > len(area.data) - 8:
        return False
    table = load.sections[load.index.sym]
    first = table.addr - area.start
    touched = (at > first - 8) & (at < first + table.size) if area.start <= table.addr < area.end else at[:0]
    return not touched.any() and _apart(at, size)


def _words(data: Bytes) -> NDArray[np.uint32]:
    """Four bytes at every (unaligned) position of ``data``: one record a byte, without copying."""
    return np.ndarray((max(0, len(data) - 3),), "<u4", data, strides=(1,))


def _too_wide(kind: NDArray[np.uint8], value: NDArray[np.uint64]) -> bool:
    """Whether a value does not come back when its low four bytes are widened again (R_X86_64_32 and _32S)."""
    plain, signed = (value[np.flatnonzero(kind == number)] for number in (10, 11))
    back = signed.astype(np.int32).astype(np.int64).view(np.uint64)
    return bool((plain != plain.astype(np.uint32)).any() or (signed != back).any())


def _apart(at: NDArray[np.int64], size: NDArray[np.int8]) -> bool:
    """No two stored places overlap; most tables are in order, which is quickly seen."""
    if (at[1:] - at[:-1] >= size[:-1]).all():
        return True
    stored = np.flatnonzero(size)
    order = stored[np.argsort(at[stored], kind="stable")]
    return bool((np.diff(at[order]) >= size[order][:-1]).all())


class Stored:
    """Relocations as changes: zero before; after, the low ``width`` bytes of each value, 0, 4 or 8."""

    def __init__(self, base: int, at: NDArray[Any], value: NDArray[Any], width: NDArray[np.int8]) -> None:
        if not width.all():  # R_X86_64_NONE stores nothing
            at, value, width = at[width > 0], value[width > 0], width[width > 0]
        self._base, self._at, self._value, self._width = base, at, value, width

    @property
    def size(self) -> int:
        return int(self._width.sum())

    def halves(self) -> Iterator[Half]:
        """(offsets, words of four bytes) of the low halves, then of the high ones where there are eight."""
        yield self._at, self._value.astype(np.uint32)
        eight = np.flatnonzero(self._width == 8)
        if len(eight):
            yield self._at[eight] + 4, (self._value[eight] >> np.uint64(32)).astype(np.uint32)

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, i: int) -> Change:
        after = self._value[i].tobytes()[: self._width[i]]
        return Change(self._base + int(self._at[i]), bytes(len(after)), after)


def _symbols_and_beyond(load: Load) -> Records:
    """The symbol table and whatever memory follows it: the symbol number of an entry is not checked."""
    return symbol_table(load, behind=True)


def _apply_in_order(load: Load, piece: Piece) -> None:
    """One entry after the other, as the kernel does, up to the first fault."""
    relocate, memory, symbols = load.pure("relocate_one"), load.kernel.memory, _symbols_and_beyond(load)
    for offset, kind, number, addend in piece.table.tolist():
        place = (piece.target.addr + offset) & ((1 << 64) - 1)
        if number >= len(symbols):
            raise KernelOops(f"page fault reading symbol {number} behind the end of the symbol table")
        row = RELOCATION_TYPES.get(kind)
        size = (row.size or 0) if row else 0
        try:
            existing = memory.read(place, size) if size else b""
        except KernelError:
            raise KernelOops(
                f"page fault at {place:#018x}: r_offset {offset:#x} lies outside mapped memory"
            ) from None
        entry = Relocation(kind, int(symbols["st_value"][number]), addend, place)
        result = relocate(entry, existing)
        if isinstance(result, Fault):
            _refuse(load, entry, result, size)
        elif result:
            memory.write(place, bytes(result))


MCMODEL = "module: `{}' likely not compiled with -mcmodel=kernel"


def refusal(name: str, entry: Relocation, fault: Fault, place: str, nonzero: str) -> tuple[str, ...]:
    """What the kernel says, at level 3, of a refused entry; ``place``: P by %p, ``nonzero``: a text."""
    if fault.kind == "unknown":
        return (f"module: {name}: Unknown rela relocation: {entry.type}",)
    if fault.kind == "nonzero":
        return (nonzero.format(type=entry.type, loc=place, val=fault.value),)
    return f"module: overflow in relocation type {entry.type} val {fault.value:x}", MCMODEL.format(name)


def _refuse(load: Load, entry: Relocation, fault: Fault, size: int) -> None:
    assert load.module is not None
    if fault.kind == "overflow":  # found out when it is stored already
        load.kernel.memory.write(entry.P, (fault.value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
    place = load.kernel.hashed_pointer(entry.P)
    for line in refusal(load.module.name, entry, fault, place, load.rules.nonzero):
        load.kernel.printk(3, line)
    raise KernelError(ENOEXEC)
