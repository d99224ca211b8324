# SPDX-License-Identifier: GPL-2.0-only
"""How Linux 6.12 rewrites the code it has loaded, where that is not as in 6.1.

Models ``arch/x86/kernel/alternative.c``: calls through pv_ops are alternatives (since 6.8), a replacement may
be several instructions whose distances are all counted anew (6.3), NOPs are merged into one (6.8), and
``endbr64`` where nobody jumps to is sealed (5.18).
"""

from __future__ import annotations

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ...arch import x86_64_patching as x86
from ...errors import KernelOops
from ...loader import patching
from ...loader.load import Load
from ...records import Bytes
from .decode import Decoded, decode

# arch/x86/include/asm/alternative.h: struct alt_instr is packed; cpuid has the flags above it
ALT_INSTR = np.dtype([
    ("instr_offset", "<i4"), ("repl_offset", "<i4"), ("cpuid_and_flags", "<u4"), ("instrlen", "u1"),
    ("replacementlen", "u1"),
])  # fmt: skip
INSTRLEN = 12  # its offset
ALT_FLAG_NOT, ALT_FLAG_DIRECT_CALL = 1 << 16, 2 << 16
CALL_INDIRECT = b"\xff\x15"  # call *disp(%rip)
ENDBR64, ENDBR_POISON = bytes.fromhex("f30f1efa"), bytes.fromhex("660f1f00")
# arch/x86/include/asm/nops.h: the longest is 11 bytes; a longer gap is jumped over
NOPS = (*x86.NOPS, *(bytes.fromhex(text) for text in (
    "2e0f1f840000000000", "662e0f1f840000000000", "66662e0f1f840000000000",
)))  # fmt: skip


def add_nop(length: int) -> bytes:
    """One instruction that does nothing, or a jump over INT3 (``alternative.c:add_nop``)."""
    if length < len(NOPS):
        return NOPS[length]
    jump = bytes((x86.JMP8, length - 2)) if length < 128 else x86.rel32(x86.JMP32, 0, length)
    return jump + bytes((x86.INT3,)) * (length - len(jump))


def optimize_nops(code: bytes, length: int) -> bytes:
    """NOPs that follow each other in the first ``length`` bytes become one; one at the very end stays."""
    out, at = bytearray(code), 0
    while at < length:
        size = _nop_size(bytes(out[at:]))
        if size is None:
            break
        if size == 0:
            at += decode(bytes(out[at:])).length
            continue
        if at + size == length:
            break
        end = at + size
        while end < length and (more := _nop_size(bytes(out[end:]))):
            end += more
        out[at:end] = add_nop(end - at)
        at = end
    return bytes(out)


def _nop_size(code: bytes) -> int | None:
    """Bytes of the NOP or NOPL that ``code`` starts with, 0: something else, None: no instruction."""
    found = decode(code)
    if not found.length:
        return None
    plain = found.opcode == b"\x90" and code[0] != 0xF3
    return found.length if plain or found.opcode == b"\x0f\x1f" else 0


def applies(alternative: x86.AltInstr, features: frozenset[int]) -> bool:
    """Whether the replacement is used: the feature is there, or ALT_FLAG_NOT asks for its absence."""
    return (alternative.cpuid & 0xFFFF in features) != bool(alternative.cpuid & ALT_FLAG_NOT)


def apply_alternative(
    alternative: x86.AltInstr, code: bytes, replacement: bytes, features: frozenset[int]
) -> bytes:
    """The bytes at ``alternative.instr`` afterwards; NOPs are merged whether or not it was replaced.

    ``code``: at least ``instrlen`` bytes there now. Distances in the replacement that lead out of it are
    counted from the new place, and a jump shrinks to two bytes when it can.
    """
    a = alternative
    if not applies(a, features):
        return optimize_nops(code[: a.instrlen], a.instrlen) + code[a.instrlen :]
    new = replacement + bytes((x86.NOP,)) * (a.instrlen - len(replacement))
    return optimize_nops(relocated(new, a), len(new)) + code[len(new) :]


def relocated(code: bytes, a: x86.AltInstr) -> bytes:
    """Distances of calls, jumps and ``disp(%rip)`` counted from ``a.instr`` instead of ``a.replacement``."""
    out, at, moved = bytearray(code), 0, a.replacement - a.instr
    while at < a.instrlen:
        found = decode(bytes(out[at:]))
        if not found.length:
            break
        for place, width in ((found.jump, found.jump_size), (found.rip, 4)):
            if place:
                _recount(out, at, place, width, found, a.replacementlen, moved)
        at += found.length
    return bytes(out)


def _recount(
    out: bytearray, at: int, place: int, width: int, found: Decoded, inside: int, moved: int
) -> None:
    field = slice(at + place, at + place + width)
    distance = int.from_bytes(out[field], "little", signed=True)
    target = at + found.length + distance  # counted from the start of the replacement
    new = distance + moved if target < 0 or target > inside else distance
    out[field] = (new & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    if found.opcode[0] == x86.JMP32:  # taken for one that leads out, whether it does or not
        short = distance + moved + 3
        if -128 <= short <= 127:
            out[at : at + found.length] = bytes((x86.JMP8, short & 0xFF)) + bytes((x86.INT3,)) * (
                found.length - 2
            )


def apply_alternatives(load: Load) -> None:
    """Code for the features of this processor; calls through pv_ops become direct."""
    section = patching.last_section(load, ".altinstructions")
    if section is None:
        return
    patch, features = load.pure("apply_alternative"), load.kernel.features
    entries = _padded(load, section.addr, patching.alternatives(load, section))
    for entry in entries:
        code = patching.read(load, entry.instr, max(entry.instrlen, entry.replacementlen))
        replacement = patching.read(load, entry.replacement, entry.replacementlen)
        if entry.cpuid & ALT_FLAG_DIRECT_CALL and applies(entry, features):
            replacement = direct_call(load, entry, code, replacement)
        new = patch(entry, code, replacement, features)
        if new != code:
            patching.write(load, entry.instr, new)


def _padded(load: Load, table: int, entries: list[x86.AltInstr]) -> list[x86.AltInstr]:
    """Entries for one place follow each other, and all get the length of the longest, in the table too."""
    padded: list[x86.AltInstr] = []
    for _, group in groupby(entries, key=lambda entry: entry.instr):
        same = list(group)
        longest = max(entry.instrlen for entry in same)
        for entry in same:
            if entry.instrlen != longest:
                place = table + len(padded) * ALT_INSTR.itemsize + INSTRLEN
                patching.write(load, place, bytes((longest,)))
            padded.append(entry._replace(instrlen=longest))
    return padded


def direct_call(load: Load, entry: x86.AltInstr, code: bytes, replacement: bytes) -> bytes:
    """``call BUG_func`` becomes a call of what the slot of pv_ops holds; empty where that does nothing."""
    if len(replacement) != 5 or replacement[0] != x86.CALL or code[:2] != CALL_INDIRECT:
        raise KernelOops("kernel BUG: a direct call is asked for where there is no call through pv_ops")
    kernel = load.kernel
    slot = entry.instr + entry.instrlen + int.from_bytes(code[2:6], "little", signed=True)
    bug, table = kernel.address_of("BUG_func"), kernel.address_of("pv_ops")
    number = (slot & patching.U64) - table
    slots = kernel.profile.patching.pv_ops
    target = (slots[number // 8] if 0 <= number < 8 * len(slots) else 0) or bug
    if target == kernel.address_of("nop_func"):
        return b""
    distance = int.from_bytes(replacement[1:], "little", signed=True) + target - bug
    return replacement[:1] + (distance & 0xFFFFFFFF).to_bytes(4, "little")


def apply_seal_endbr(load: Load) -> None:
    """``endbr64`` that no indirect call needs becomes a NOP, IBT or not."""
    section = patching.last_section(load, ".ibt_endbr_seal")
    if section is None:
        return
    poison, endbr = np.frombuffer(ENDBR_POISON, np.uint8), np.frombuffer(ENDBR64, np.uint8)

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        found = ((before == endbr) | (before == poison)).all(axis=1)
        return found, np.tile(poison, (len(before), 1))

    places = patching.self_relative(load, section)
    if patching.poke(load, places, rewrite, width=4) < len(places):
        load.kernel.add_taint("W")  # WARN_ONCE, whose report is not modelled


def alternatives_smp_module_add(load: Load) -> None:
    """With one processor no lock prefix is needed, wherever in the text memory it is."""
    assert load.module is not None
    area = load.module.areas.get("text")
    if area is not None:
        patching.unlock(load, area.start, len(area.data))
