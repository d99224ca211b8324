# SPDX-License-Identifier: GPL-2.0-only
"""The relocation types of x86-64: which the loader applies, and how.

Numbers and formulas from the psABI (AMD64 supplement, table "Relocation Types"); what the kernel does with
them from
``arch/x86/kernel/module.c:__apply_relocate_add``. Rows without a size are those the kernel refuses.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

U64 = (1 << 64) - 1


class RelocationType(NamedTuple):
    """``size`` bytes are stored (None: the kernel refuses it); ``check`` says how an overflow is found."""

    number: int
    name: str
    formula: str
    size: int | None = None
    pc_relative: bool = False
    check: str = ""  # "unsigned" or "signed": the value must come back when 4 bytes are widened again


_ROWS = (
    RelocationType(0, "R_X86_64_NONE", "", 0),
    RelocationType(1, "R_X86_64_64", "S + A", 8),
    RelocationType(2, "R_X86_64_PC32", "S + A - P", 4, pc_relative=True),
    RelocationType(3, "R_X86_64_GOT32", "G + A"),
    RelocationType(
        4, "R_X86_64_PLT32", "S + A - P", 4, pc_relative=True
    ),  # psABI: L + A - P; modules have no PLT
    RelocationType(5, "R_X86_64_COPY", ""),
    RelocationType(6, "R_X86_64_GLOB_DAT", "S"),
    RelocationType(7, "R_X86_64_JUMP_SLOT", "S"),
    RelocationType(8, "R_X86_64_RELATIVE", "B + A"),
    RelocationType(9, "R_X86_64_GOTPCREL", "G + GOT + A - P"),
    RelocationType(10, "R_X86_64_32", "S + A", 4, check="unsigned"),
    RelocationType(11, "R_X86_64_32S", "S + A", 4, check="signed"),
    RelocationType(12, "R_X86_64_16", "S + A"),
    RelocationType(13, "R_X86_64_PC16", "S + A - P"),
    RelocationType(14, "R_X86_64_8", "S + A"),
    RelocationType(15, "R_X86_64_PC8", "S + A - P"),
    RelocationType(16, "R_X86_64_DTPMOD64", ""),
    RelocationType(17, "R_X86_64_DTPOFF64", ""),
    RelocationType(18, "R_X86_64_TPOFF64", ""),
    RelocationType(19, "R_X86_64_TLSGD", ""),
    RelocationType(20, "R_X86_64_TLSLD", ""),
    RelocationType(21, "R_X86_64_DTPOFF32", ""),
    RelocationType(22, "R_X86_64_GOTTPOFF", ""),
    RelocationType(23, "R_X86_64_TPOFF32", ""),
    RelocationType(24, "R_X86_64_PC64", "S + A - P", 8, pc_relative=True),
    RelocationType(25, "R_X86_64_GOTOFF64", "S + A - GOT"),
    RelocationType(26, "R_X86_64_GOTPC32", "GOT + A - P"),
    RelocationType(32, "R_X86_64_SIZE32", "Z + A"),
    RelocationType(33, "R_X86_64_SIZE64", "Z + A"),
    RelocationType(37, "R_X86_64_IRELATIVE", "indirect (B + A)"),
    RelocationType(41, "R_X86_64_GOTPCRELX", "G + GOT + A - P"),
    RelocationType(42, "R_X86_64_REX_GOTPCRELX", "G + GOT + A - P"),
)
RELOCATION_TYPES: dict[int, RelocationType] = {row.number: row for row in _ROWS}

# The same table as arrays, for whole relocation sections at once: bytes stored (-1: refused), all ones where
# P is subtracted
SIZE_OF: NDArray[np.int8] = np.full(256, -1, np.int8)
PC_MASK: NDArray[np.uint64] = np.zeros(256, np.uint64)
for _row in _ROWS:
    if _row.size is not None:
        SIZE_OF[_row.number], PC_MASK[_row.number] = _row.size, U64 if _row.pc_relative else 0


def relocation_value(number: int, S: int, A: int, P: int) -> int:
    """S + A, less P for the PC-relative types, as an unsigned 64-bit number.

    ``number`` is the relocation type; KeyError for one that is not in the table.
    """
    value = S + A - (P if RELOCATION_TYPES[number].pc_relative else 0)
    return value & U64


def fits(number: int, value: int) -> bool:
    """Whether the kernel accepts ``value`` (unsigned 64-bit) for this type; PC32 and PLT32 are never
    checked."""
    check = RELOCATION_TYPES[number].check
    low = value & 0xFFFFFFFF
    if check == "unsigned":
        return value == low
    if check == "signed":
        return value == (low - (1 << 32) if low >> 31 else low) & U64
    return True
