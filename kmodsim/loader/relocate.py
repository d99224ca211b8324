# SPDX-License-Identifier: GPL-2.0-only
"""S + A − P into the code (``arch/x86/kernel/module.c:__apply_relocate_add``).

A whole section is checked and written at once. Where anything about it is not as it should be (an unknown
type, a
target that is not zero, an overflow, a place outside its section) the entries are walked one by one
instead, in
order, so that what the kernel had already written when it gave up is written here too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..arch.x86_64 import IS_PC, RELOCATION_TYPES, SIZE_OF, fits, relocation_value
from ..errors import ENOEXEC, KernelError, KernelOops
from ..memory import Change
from ..records import RELA, SHF_ALLOC, SHF_RELA_LIVEPATCH, SHT_REL, SHT_RELA, SYM, Bytes, Records, view
from .load import SectionHeader

if TYPE_CHECKING:
    from .load import Load


class Relocation(NamedTuple):
    """One entry with its numbers filled in: type, S (st_value), A (addend), P (address of the place)."""

    type: int
    S: int
    A: int
    P: int


class Fault(NamedTuple):
    """Why the kernel stops at an entry: ``kind`` is "unknown", "nonzero" or "overflow"; ``value`` what was
    computed."""

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
    for section in load.sections[1:]:
        if section.info >= count or not load.sections[section.info].flags & SHF_ALLOC:
            continue
        if section.flags & SHF_RELA_LIVEPATCH:
            load.note = "not modelled: livepatch relocations (klp_apply_section_relocs)"
        elif section.type == SHT_REL:
            assert load.module is not None
            load.kernel.printk(3, f"module {load.module.name}: REL relocation unsupported")
            raise KernelError(ENOEXEC)
        elif section.type == SHT_RELA:
            _apply_section(load, section, load.sections[section.info])


def _apply_section(load: Load, section: SectionHeader, target: SectionHeader) -> None:
    data = load.bytes_of(section)
    table = view(data, 0, section.size // RELA.itemsize, RELA)
    if not len(table):
        return
    load.relocated += len(table)
    symbols = _symbols_and_beyond(load)
    if load.replaced("relocate_one") or not _apply_at_once(load, table, target, symbols):
        _apply_in_order(load, table, target, symbols)


def _symbols_and_beyond(load: Load) -> Records:
    """The symbol table and whatever memory follows it: the symbol number of an entry is not checked."""
    module = load.module
    assert module is not None and module.init_area is not None
    offset = load.sections[load.index.sym].addr - module.init_area.start
    return view(module.init_area.data, offset, 1 << 32, SYM)


def _windows(data: Bytes, dtype: str) -> NDArray[Any]:
    """Every (unaligned) position of ``data`` as a number: one record a byte, without copying."""
    itemsize = np.dtype(dtype).itemsize
    return np.ndarray((max(0, len(data) - itemsize + 1),), dtype, data, strides=(1,))


def _apply_at_once(load: Load, table: Records, target: SectionHeader, symbols: Records) -> bool:
    """Check everything, then write everything. False, with nothing written, when some entry needs a closer
    look."""
    place, kind, number = table["r_offset"], table["r_type"], table["r_sym"]
    highest = int(kind.max())
    if highest > 255 or int(number.max()) >= len(symbols) or int(place.max()) >= target.size:
        return False
    if target.index == load.index.sym:  # what one entry stores is the next one's S
        return False
    size, at = SIZE_OF[kind], place.astype(np.int64)
    least, most = int(size.min()), int(size.max())
    if least < 0 or int((at + size).max()) > target.size or not _apart(at, size):
        return False
    try:
        memory = load.kernel.memory.view(target.addr, target.size)
    except KernelError:
        return False
    value = symbols["st_value"][number] + table["r_addend"].view(np.uint64)
    value -= (place + np.uint64(target.addr)) * IS_PC[kind]
    low = value.astype(np.uint32)
    if highest >= 10 and bool(_too_wide(kind, value, low).any()):
        return False
    writes = []
    for width, dtype, words in ((4, "<u4", low), (8, "<u8", value)):
        if least == most != width:
            continue
        chosen = slice(None) if least == most else size == width
        window, where = _windows(memory, dtype), at[chosen]
        if window[where].any():
            return False
        writes.append((window, where, words[chosen]))
    for window, where, words in writes:
        window[where] = words
        if load.kernel.memory.journal is not None:
            load.kernel.memory.journal.append(Stored(target.addr, where, words))
    return True


def _too_wide(kind: NDArray[Any], value: NDArray[Any], low: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values do not come back when their low four bytes are widened again (R_X86_64_32 and _32S)."""
    signed: NDArray[np.bool_] = value.view(np.int64) != low.view(np.int32)
    return ((kind == 10) & (value != low)) | ((kind == 11) & signed)


def _apart(at: NDArray[np.int64], size: NDArray[Any]) -> bool:
    """No two stored places overlap; most tables are in order, which is quickly seen."""
    if (at[1:] - at[:-1] >= size[:-1]).all():
        return True
    stored = np.flatnonzero(size)
    order = stored[np.argsort(at[stored], kind="stable")]
    return bool((np.diff(at[order]) >= size[order][:-1]).all())


class Stored:
    """A section's relocations as changes: zero before, the stored words after."""

    def __init__(self, base: int, at: NDArray[Any], words: NDArray[Any]) -> None:
        self._base, self._at, self._words = base, at, words
        self.size = int(words.nbytes)

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, i: int) -> Change:
        after = self._words[i].tobytes()
        return Change(self._base + int(self._at[i]), bytes(len(after)), after)


def _apply_in_order(load: Load, table: Records, target: SectionHeader, symbols: Records) -> None:
    """One entry after the other, as the kernel does, up to the first fault."""
    relocate, memory = load.pure("relocate_one"), load.kernel.memory
    for offset, kind, number, addend in table.tolist():
        place = (target.addr + offset) & ((1 << 64) - 1)
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


def _refuse(load: Load, entry: Relocation, fault: Fault, size: int) -> None:
    kernel = load.kernel
    assert load.module is not None
    name = load.module.name
    if fault.kind == "unknown":
        kernel.printk(3, f"module: {name}: Unknown rela relocation: {entry.type}")
    elif fault.kind == "nonzero":
        kernel.printk(
            3, "module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type "
            f"{entry.type}, loc {kernel.hashed_pointer(entry.P)}, val {fault.value:x}"
        )  # fmt: skip
    else:
        load.kernel.memory.write(entry.P, (fault.value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))
        kernel.printk(3, f"module: overflow in relocation type {entry.type} val {fault.value:x}")
        kernel.printk(3, f"module: `{name}' likely not compiled with -mcmodel=kernel")
    raise KernelError(ENOEXEC)
