# SPDX-License-Identifier: GPL-2.0-only
"""How long is an instruction? As much of a decoder as finding NOPs between instructions needs.

64-bit mode, by the opcode maps of the Intel manual (volume 2, appendix A). EVEX code is not decoded.
"""

from __future__ import annotations

PREFIXES = frozenset(b"\x66\x67\xf0\xf2\xf3\x2e\x36\x3e\x26\x64\x65")
MAX_LENGTH = 15


def _bytes(*ranges: int | tuple[int, int]) -> frozenset[int]:
    found: set[int] = set()
    for entry in ranges:
        first, last = entry if isinstance(entry, tuple) else (entry, entry)
        found |= set(range(first, last + 1))
    return frozenset(found)


_ALU_MODRM = _bytes(*((base, base + 3) for base in range(0, 0x40, 8)))
MODRM = _ALU_MODRM | _bytes(0x63, 0x69, 0x6B, (0x80, 0x8F), (0xC0, 0xC1), (0xC6, 0xC7), (0xD0, 0xD3),
                            (0xD8, 0xDF), 0xF6, 0xF7, 0xFE, 0xFF)  # fmt: skip
INVALID = _bytes(0x06, 0x07, 0x0E, 0x16, 0x17, 0x1E, 0x1F, 0x27, 0x2F, 0x37, 0x3F, (0x60, 0x62), 0x82, 0x9A,
                 0xCE, 0xD4, 0xD5, 0xD6, 0xEA)  # fmt: skip
IMM8 = _bytes(*(base + 4 for base in range(0, 0x40, 8)), 0x6A, 0x6B, (0x70, 0x7F), 0x80, 0x83, 0xA8,
              (0xB0, 0xB7), 0xC0, 0xC1, 0xC6, 0xCD, (0xE0, 0xE7), 0xEB)  # fmt: skip
# 4 bytes, 2 with prefix 66
IMM_Z = _bytes(*(base + 5 for base in range(0, 0x40, 8)), 0x68, 0x69, 0x81, 0xA9, 0xC7)
IMM32 = _bytes(0xE8, 0xE9)
IMM16 = _bytes(0xC2, 0xCA)
# the map behind 0F: everything has a ModRM byte but these
NO_MODRM_0F = _bytes((0x05, 0x09), 0x0B, 0x0E, (0x30, 0x37), 0x77, (0x80, 0x8F), (0xA0, 0xA2), (0xA8, 0xAA),
                     (0xC8, 0xCF))  # fmt: skip
IMM8_0F = _bytes(0x0F, (0x70, 0x73), 0xA4, 0xAC, 0xBA, 0xC2, (0xC4, 0xC6))
JCC_0F = _bytes((0x80, 0x8F))


def instruction_length(code: bytes) -> int:
    """Bytes of the instruction that ``code`` starts with; 0 when it is cut off or not known here."""
    try:
        length = _length(code)
    except IndexError:
        return 0
    return length if 0 < length <= min(len(code), MAX_LENGTH) else 0


def _length(code: bytes) -> int:
    at, word, wide = 0, False, False
    while code[at] in PREFIXES:
        word |= code[at] == 0x66
        at += 1
    if 0x40 <= code[at] <= 0x4F:
        wide = bool(code[at] & 8)
        at += 1
    opcode = code[at]
    at += 1
    if opcode == 0x0F:
        return _two_byte(code, at)
    if opcode in (0xC4, 0xC5):
        return _vex(code, at, opcode)
    if opcode in INVALID or opcode == 0x62:
        return 0
    start = at
    if opcode in MODRM:
        at = _modrm_end(code, at)
    return at + _immediate(opcode, code[start] >> 3 & 7 if opcode in MODRM else 0, word, wide, code)


def _immediate(opcode: int, reg: int, word: bool, wide: bool, code: bytes) -> int:
    if opcode in (0xF6, 0xF7):  # only test, the first two of the group, has an immediate
        return 0 if reg > 1 else 1 if opcode == 0xF6 else 2 if word else 4
    if 0xB8 <= opcode <= 0xBF:
        return 8 if wide else 2 if word else 4
    if 0xA0 <= opcode <= 0xA3:
        return 4 if 0x67 in code[:4] else 8
    if opcode == 0xC8:
        return 3
    if opcode in IMM_Z:
        return 2 if word else 4
    return 4 if opcode in IMM32 else 2 if opcode in IMM16 else 1 if opcode in IMM8 else 0


def _two_byte(code: bytes, at: int) -> int:
    opcode = code[at]
    at += 1
    if opcode in (0x38, 0x3A):
        return _modrm_end(code, at + 1) + (opcode == 0x3A)
    if opcode in NO_MODRM_0F:
        return at + (4 if opcode in JCC_0F else 0)
    return _modrm_end(code, at) + (opcode in IMM8_0F)


def _vex(code: bytes, at: int, opcode: int) -> int:
    opcode_map = code[at] & 31 if opcode == 0xC4 else 1
    at += 2 if opcode == 0xC4 else 1
    number = code[at]
    if opcode_map == 1 and number == 0x77:  # vzeroupper, vzeroall
        return at + 1
    return _modrm_end(code, at + 1) + (opcode_map == 3 or (opcode_map == 1 and number in IMM8_0F))


def _modrm_end(code: bytes, at: int) -> int:
    """Where ModRM, SIB and displacement that start at ``at`` end."""
    mod, rm = code[at] >> 6, code[at] & 7
    at += 1
    if mod == 3:
        return at
    displacement = (0, 1, 4)[mod]
    if rm == 4:
        if mod == 0 and code[at] & 7 == 5:
            displacement = 4
        at += 1
    elif mod == 0 and rm == 5:
        displacement = 4
    return at + displacement
