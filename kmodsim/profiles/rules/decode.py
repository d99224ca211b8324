# SPDX-License-Identifier: GPL-2.0-only
"""Where in an instruction the distances are: a jump's or call's, and ``disp(%rip)``. 64-bit mode."""

from __future__ import annotations

from typing import NamedTuple

from ...arch import x86_64_length as maps

CALL_JMP32 = (0xE8, 0xE9)
JMP8, FIRST_JCC8, LAST_JCC8 = 0xEB, 0x70, 0x7F


class Decoded(NamedTuple):
    """``length`` in bytes, 0 for what is no instruction; ``opcode`` without prefixes; ``jump``, ``rip``:
    offsets of the distances, 0 for none; ``jump_size``: bytes of the former, the latter has four."""

    length: int
    opcode: bytes = b"\0"
    jump: int = 0
    jump_size: int = 0
    rip: int = 0


def decode(code: bytes) -> Decoded:
    """The instruction that ``code`` starts with."""
    length = maps.instruction_length(code)
    if not length:
        return Decoded(0)
    at = 0
    while code[at] in maps.PREFIXES:
        at += 1
    if 0x40 <= code[at] <= 0x4F:  # REX
        at += 1
    opcode = code[at : at + 2] if code[at] == 0x0F else code[at : at + 1]
    width = _jump_size(opcode)
    modrm = _modrm(code, at)
    rip = modrm + 1 if modrm and code[modrm] & 0xC7 == 5 else 0
    return Decoded(length, opcode, length - width if width else 0, width, rip)


def _jump_size(opcode: bytes) -> int:
    first = opcode[0]
    if first in CALL_JMP32 or (len(opcode) > 1 and 0x80 <= opcode[1] <= 0x8F):
        return 4
    return 1 if first == JMP8 or FIRST_JCC8 <= first <= LAST_JCC8 else 0


def _modrm(code: bytes, at: int) -> int:
    """Offset of the ModRM byte, 0 when there is none; ``at``: of the opcode."""
    opcode = code[at]
    if opcode in (0xC4, 0xC5):  # VEX: two or one more bytes, then the opcode
        return at + (4 if opcode == 0xC4 else 3)
    if opcode != 0x0F:
        return at + 1 if opcode in maps.MODRM else 0
    if code[at + 1] in (0x38, 0x3A):
        return at + 3
    return 0 if code[at + 1] in maps.NO_MODRM_0F else at + 2
