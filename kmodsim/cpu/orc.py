# SPDX-License-Identifier: GPL-2.0-only
"""The unwinder: from registers and a stack to the functions that led there
(``arch/x86/kernel/unwind_orc.c``).

A module brings a table, sorted by code address, that says where the caller's stack pointer is at each
instruction. The kernel's own table is not known here; where its frames lie on the stack is told by whoever
put them there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..records import ORC_ENTRY
from .space import AddressSpace, GuestFault

if TYPE_CHECKING:
    from ..module import Module

# arch/x86/include/asm/orc_types.h
(
    REG_UNDEFINED,
    REG_PREV_SP,
    REG_DX,
    REG_DI,
    REG_BP,
    REG_SP,
    REG_R10,
    REG_R13,
    REG_BP_INDIRECT,
    REG_SP_INDIRECT,
) = range(10)
FROM_REGISTER = {REG_R10: "r10", REG_R13: "r13", REG_DI: "rdi", REG_DX: "rdx"}
TYPE_CALL = 0
U64 = (1 << 64) - 1


class OrcEntry(NamedTuple):
    """One ``struct orc_entry``."""

    sp_offset: int
    bp_offset: int
    sp_reg: int
    bp_reg: int
    type: int
    end: bool


NULL_ENTRY = OrcEntry(8, 0, REG_SP, REG_UNDEFINED, TYPE_CALL, False)  # a call through a NULL pointer
FRAME_POINTER_ENTRY = OrcEntry(16, -16, REG_BP, REG_PREV_SP, TYPE_CALL, False)  # a guess


class Frame(NamedTuple):
    """A code address on the stack: where it lies, what it is, whether the unwinder vouches for it."""

    place: int
    address: int
    reliable: bool


def decode(word: np.void) -> OrcEntry:
    """One record of ``.orc_unwind``, its bit fields taken apart."""
    bits = int(word["bits"])
    return OrcEntry(
        int(word["sp_offset"]),
        int(word["bp_offset"]),
        bits & 15,
        bits >> 4 & 15,
        bits >> 8 & 3,
        bool(bits >> 10 & 1),
    )


def orc_find(mod: Module, ip: int) -> OrcEntry | None:
    """``__orc_find`` in a module's tables as they lie in memory, sorted: the last entry at or before
    ``ip``."""
    sections = mod.sections
    if ".orc_unwind_ip" not in sections or ".orc_unwind" not in sections:
        return None
    table = sections[".orc_unwind_ip"]
    offsets = np.frombuffer(table.data, "<i4").astype(np.int64)
    entries = np.frombuffer(sections[".orc_unwind"].data, ORC_ENTRY)
    if not len(offsets) or len(entries) < len(offsets):
        return None
    starts = offsets + 4 * np.arange(len(offsets))
    row = int(np.searchsorted(starts, ip - table.address, side="right")) - 1
    return decode(entries[max(row, 0)])


@dataclass
class Unwinder:
    """``struct unwind_state``: one step after the other, until it is done or lost.

    stack: [begin, end). entry_of(ip): the table's entry. in_kernel(ip): a kernel function, whose return
    address lies at the next of ``kernel_places`` (stack addresses, ascending).
    """

    space: AddressSpace
    registers: dict[str, int] | None
    ip: int
    sp: int
    bp: int
    stack: tuple[int, int]
    entry_of: Callable[[int], OrcEntry | None]
    in_kernel: Callable[[int], bool]
    kernel_places: Sequence[int] = ()
    signal: bool = True
    done: bool = False
    error: bool = field(default=False)

    @property
    def return_place(self) -> int | None:
        """Where on the stack the address of the frame now at hand lies."""
        return None if self.done or self.registers is not None else self.sp - 8

    def next_frame(self) -> bool:
        """``unwind_next_frame``; False at the end, or where the way is lost."""
        if not self.done:
            before = self.sp
            self.done = not self._step()
            if not self.done and self.stack[0] <= self.sp <= before:
                self.done = self.error = True
        return not self.done

    def _step(self) -> bool:
        if self.in_kernel(self.ip):
            place = next((p for p in self.kernel_places if p >= self.sp), None)
            return place is not None and self._call_frame(place + 8)
        asked = self.ip if self.signal else self.ip - 1
        entry = NULL_ENTRY if asked == 0 else self.entry_of(asked)
        if entry is None:
            entry, self.error = FRAME_POINTER_ENTRY, True
        sp = self._previous_sp(entry)
        if sp is None or entry.type != TYPE_CALL:
            self.error = self.error or not entry.end
            return False
        old_bp = self.bp
        return self._call_frame(sp) and self._find_bp(entry, sp, old_bp)

    def _previous_sp(self, entry: OrcEntry) -> int | None:
        """The caller's stack pointer before the call."""
        if entry.sp_reg in (REG_SP, REG_BP):
            return (self.sp if entry.sp_reg == REG_SP else self.bp) + entry.sp_offset & U64
        if entry.sp_reg in FROM_REGISTER:
            return self.registers[FROM_REGISTER[entry.sp_reg]] if self.registers is not None else None
        if entry.sp_reg == REG_SP_INDIRECT:
            found = self._read(self.sp)
            return None if found is None else found + entry.sp_offset & U64
        return self._read(self.bp + entry.sp_offset & U64) if entry.sp_reg == REG_BP_INDIRECT else None

    def _call_frame(self, sp: int) -> bool:
        ip = self._read(sp - 8)
        if ip is None:
            self.error = True
            return False
        self.ip, self.sp, self.registers, self.signal = ip, sp, None, False
        return True

    def _find_bp(self, entry: OrcEntry, sp: int, old_bp: int) -> bool:
        if entry.bp_reg == REG_UNDEFINED:
            return True
        found = self._read((sp if entry.bp_reg == REG_PREV_SP else old_bp) + entry.bp_offset)
        if found is None:
            self.error = True
            return False
        self.bp = found
        return True

    def _read(self, address: int) -> int | None:
        """A word of the stack; None outside of it (``deref_stack_reg``)."""
        if not self.stack[0] <= address <= self.stack[1] - 8:
            return None
        try:
            return self.space.number(address, 8)
        except GuestFault:
            return None


def show_trace(unwinder: Unwinder, start: int, is_text: Callable[[int], bool]) -> list[Frame]:
    """Every code address on the stack from ``start`` up
    (``arch/x86/kernel/dumpstack.c:__show_trace_log_lvl``).

    Those that the unwinder comes by are reliable, the others guesses: left behind by calls that are over.
    """
    frames = []
    low, high = unwinder.stack
    for place in range(max(-(-start // 8) * 8, low), high - 7, 8):
        address = unwinder.space.number(place, 8)
        if not is_text(address):
            continue
        reliable = place == unwinder.return_place
        frames.append(Frame(place, address, reliable))
        if reliable:
            unwinder.next_frame()
    return frames
