# SPDX-License-Identifier: GPL-2.0-only
"""The kernel rewrites the code it has just loaded: pure functions, bytes in, bytes out.

Models ``arch/x86/kernel/alternative.c``, ``paravirt.c``, ``static_call.c`` and ``ftrace.c`` of Linux 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .x86_64_length import instruction_length

CALL, JMP32, JMP8, RET, INT3, NOP = 0xE8, 0xE9, 0xEB, 0xC3, 0xCC, 0x90
ALTINSTR_FLAG_INV = 1 << 15
# arch/x86/include/asm/nops.h: the longest is 8 bytes, longer gaps take several
NOPS = tuple(bytes.fromhex(text) for text in (
    "", "90", "6690", "0f1f00", "0f1f4000", "0f1f440000", "660f1f440000", "0f1f8000000000",
    "0f1f840000000000",
))  # fmt: skip
ASM_NOP_MAX = 8
NOP5 = NOPS[5]
XOR5RAX = bytes.fromhex("2e2e2e31c0")  # xor %eax,%eax in five bytes: a call that would only return 0
RET5 = bytes((RET, INT3, INT3, INT3, INT3))


def add_nops(length: int, nops: Sequence[bytes] = NOPS) -> bytes:
    """``length`` bytes of NOPs, as few instructions as possible (``alternative.c:add_nops``)."""
    return nops[ASM_NOP_MAX] * (length // ASM_NOP_MAX) + nops[length % ASM_NOP_MAX]


def optimize_nops(code: bytes, length: int, nops: Sequence[bytes] = NOPS) -> bytes:
    """Runs of single-byte NOPs in the first ``length`` bytes become longer NOPs
    (``alternative.c:optimize_nops``).

    Bytes behind ``length`` help to decode an instruction that reaches there, and stay.
    """
    if NOPS[1] * 2 not in code[:length]:
        return code
    out, at = bytearray(code), 0
    while at < length:
        if out[at] == NOP:
            end = at
            while end < length and out[end] == NOP:
                end += 1
            if end - at > 1:
                out[at:end] = add_nops(end - at, nops)
            at = end
            continue
        size = instruction_length(bytes(out[at:]))
        if not size:
            break
        at += size
    return bytes(out)


def rel32(opcode: int, place: int, target: int) -> bytes:
    """A call or jump at ``place`` to ``target``: opcode and 32-bit distance from the next instruction."""
    return bytes((opcode,)) + ((target - place - 5) & 0xFFFFFFFF).to_bytes(4, "little")


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


class AltInstr(NamedTuple):
    """``struct alt_instr`` with addresses: where the code is, its replacement, when, and both lengths in
    bytes. ``cpuid`` holds the flags too, from bit 15 or 16 on."""

    instr: int
    replacement: int
    cpuid: int
    instrlen: int
    replacementlen: int


def applies(alternative: AltInstr, features: frozenset[int]) -> bool:
    """Whether the replacement is used: the feature is there, or is not there and the entry asks for that."""
    wanted = not alternative.cpuid & ALTINSTR_FLAG_INV
    return (alternative.cpuid & ~ALTINSTR_FLAG_INV in features) == wanted


def apply_alternative(
    alternative: AltInstr, code: bytes, replacement: bytes, features: frozenset[int],
    nops: Sequence[bytes] = NOPS,
) -> bytes:
    """The bytes at ``alternative.instr`` afterwards; NOPs are merged whether or not it was replaced.

    ``code``: at least ``instrlen`` bytes there now, ``replacement``: the other sequence. Distances of a
    call or jump are counted from the new place, and a jump shrinks to two bytes when it can. ``nops``: by
    length.
    """
    a, new = alternative, code
    if applies(a, features):
        insn = bytearray(replacement[: a.replacementlen])
        if a.replacementlen == 5 and insn[0] == CALL:
            insn[1:5] = ((_signed(bytes(insn[1:5])) + a.replacement - a.instr) & 0xFFFFFFFF).to_bytes(
                4, "little"
            )
        if a.replacementlen == 5 and insn[0] in (JMP8, JMP32):
            insn[:] = recompute_jump(a, bytes(insn), nops)
        insn += bytes((NOP,)) * (a.instrlen - len(insn))
        new = bytes(insn) + code[len(insn) :]
    return optimize_nops(new, a.instrlen, nops)


def recompute_jump(a: AltInstr, insn: bytes, nops: Sequence[bytes] = NOPS) -> bytes:
    """A five-byte jump of a replacement, counted from its new place (``alternative.c:recompute_jump``)."""
    target = a.replacement + a.replacementlen + _signed(insn[1:5])
    distance = target - a.instr
    if (distance >= 0 and distance - 2 <= 127) or (distance < 0 and ((distance - 2) & 0xFF) == distance - 2):
        return bytes((JMP8, (distance - 2) & 0xFF)) + add_nops(3, nops)
    return bytes((JMP32,)) + ((distance - 5) & 0xFFFFFFFF).to_bytes(4, "little")


def patch_paravirt(place: int, length: int, function: int | None, nop: int, bug: int) -> bytes:
    """An indirect call through pv_ops becomes a direct one, or NOPs when the function does nothing.

    ``function``: what the slot holds (None or 0: the kernel's paravirt_BUG is called).
    ``arch/x86/kernel/paravirt.c``.
    """
    if function and function == nop:
        return add_nops(length)
    return rel32(CALL, place, function or bug) + add_nops(length - 5)


def patch_return(place: int, thunk: int | None) -> bytes:
    """``jmp __x86_return_thunk`` becomes a plain return, or a jump to the thunk in use (``patch_return``)."""
    return RET5 if thunk is None else rel32(JMP32, place, thunk)


def patch_retpoline(opcode: int, length: int, register: int, lfence: bool) -> bytes | None:
    """A call or jump through a thunk becomes the indirect instruction itself; None when it does not fit.

    Only where retpolines are off, or are done by LFENCE. ``register`` is its number, 0 for rax.
    """
    code = b"\x0f\xae\xe8" if lfence else b""
    code += b"\x41" if register >= 8 else b""
    code += bytes((0xFF, (0xD0 if opcode == CALL else 0xE0) + (register & 7)))
    if len(code) > length:
        return None
    if opcode == JMP32 and len(code) < length:
        code += bytes((INT3,))
    return optimize_nops(code + bytes((NOP,)) * (length - len(code)), length)


def ftrace_nop_replace() -> bytes:
    """What a call of ``__fentry__`` becomes until somebody traces the function (``ftrace.c``)."""
    return NOP5


def patch_static_call(place: int, tail: bool, function: int, return0: int, thunk: int | None) -> bytes:
    """A site calls what its key points to; an empty key makes it a NOP or, at the end of a function, a
    return."""
    if not function:
        return patch_return(place, thunk) if tail else NOP5
    if function == return0 and not tail:
        return XOR5RAX
    return rel32(JMP32 if tail else CALL, place, function)


def patch_jump_label(place: int, target: int, length: int, jump: bool) -> bytes:
    """A static branch: a jump of two or five bytes, or NOPs (``arch/x86/kernel/jump_label.c``)."""
    if not jump:
        return NOPS[length]
    if length == 2:
        return bytes((JMP8, (target - place - 2) & 0xFF))
    return rel32(JMP32, place, target)
