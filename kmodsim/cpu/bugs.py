# SPDX-License-Identifier: GPL-2.0-only
"""``__bug_table``: which ``ud2`` is a BUG(), which a WARN() (``lib/bug.c``,
``include/asm-generic/bug.h``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .space import AddressSpace, GuestFault

if TYPE_CHECKING:
    from ..module import Module

BUG_ENTRY = np.dtype([("bug_addr_disp", "<i4"), ("file_disp", "<i4"), ("line", "<u2"), ("flags", "<u2")])
WARNING, ONCE, DONE, NO_CUT_HERE = 1, 2, 4, 8
UD2 = b"\x0f\x0b"


@dataclass(frozen=True)
class Bug:
    """One ``struct bug_entry``: where it lies, whose ``ud2``, in which source line, its flags."""

    place: int
    address: int
    file: str
    line: int
    flags: int

    @property
    def warning(self) -> bool:
        return bool(self.flags & WARNING)

    @property
    def cut_here(self) -> bool:
        """The cut line is still to be printed: ``__warn_printk`` has not done so."""
        return not self.flags & NO_CUT_HERE

    @property
    def taint(self) -> int:
        """``BUG_GET_TAINT``: the number of the taint that a WARN sets."""
        return self.flags >> 8


def find_bug(space: AddressSpace, modules: Iterable[Module], address: int) -> Bug | None:
    """``module_find_bug``: the entry of the ``ud2`` at ``address``; None: none says anything about it."""
    for mod in modules:
        section = mod.sections.get("__bug_table")
        if section is None:
            continue
        table = np.frombuffer(section.data[: section.size // 12 * 12], BUG_ENTRY)
        places = 12 * np.arange(len(table)) + table["bug_addr_disp"]  # from the section's start
        for row in np.flatnonzero(places == address - section.address).tolist()[:1]:
            return _entry(space, section.address + 12 * row, address, table[row])
    return None


def _entry(space: AddressSpace, place: int, address: int, record: np.void) -> Bug:
    try:
        file = space.string(place + 4 + int(record["file_disp"]), 4096).decode("utf-8", "backslashreplace")
    except GuestFault:
        file = ""
    return Bug(place, address, file, int(record["line"]), int(record["flags"]))


def silenced(space: AddressSpace, bug: Bug) -> bool:
    """Whether a WARN_ONCE has spoken before; if not, it has now: the DONE bit is set in the table."""
    if not bug.warning or not bug.flags & ONCE:
        return False
    if bug.flags & DONE:
        return True
    space.store(bug.place + 10, bug.flags | DONE, 2)
    return False
