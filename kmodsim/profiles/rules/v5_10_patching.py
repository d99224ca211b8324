# SPDX-License-Identifier: GPL-2.0-only
"""How Linux 5.10 rewrites the code it has loaded, where that is not as in 6.1.

NOPs are chosen by the processor (``alternative.c:arch_init_ideal_nops``), native code for a few calls through
pv_ops is put in place of them (``paravirt_patch.c:native_patch``), and static branches get the NOP of this
processor (``jump_label.c:jump_label_apply_nops``). All three are gone since 5.13.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...arch import x86_64_patching as x86
from ...loader import patching
from ...loader.load import Load
from ...memory import U64
from ...records import JUMP_ENTRY, Bytes, view


class Nops(NamedTuple):
    """``by_length``: NOPs of 0 to 8 bytes; ``atomic5``: of five bytes in one instruction."""

    by_length: tuple[bytes, ...]
    atomic5: bytes


# arch/x86/include/asm/nops.h, by the variable that ideal_nops points to
IDEAL_NOPS = {
    "k8_nops": Nops(tuple(bytes.fromhex(text) for text in (
        "", "90", "6690", "666690", "66666690", "6666906690", "666690666690", "66666690666690",
        "6666669066666690",
    )), bytes.fromhex("6666666690")),
    "p6_nops": Nops(x86.NOPS, x86.NOP5),
}  # fmt: skip
DEFAULT_NOP = x86.NOP5  # STATIC_KEY_INIT_NOP, as the compiler leaves it
UD2 = b"\x0f\x0b"
# paravirt_patch.c:patch_data_xxl; the last two only if the slot holds the native function
NATIVE = {
    "irq.irq_disable": b"\xfa", "irq.irq_enable": b"\xfb", "irq.save_fl": b"\x9c\x58",
    "irq.restore_fl": b"\x57\x9d", "mmu.read_cr2": b"\x0f\x20\xd0", "mmu.read_cr3": b"\x0f\x20\xd8",
    "mmu.write_cr3": b"\x0f\x22\xdf", "cpu.wbinvd": b"\x0f\x09",
}  # fmt: skip
NATIVE_IF = {
    "lock.queued_spin_unlock": ("__raw_callee_save___native_queued_spin_unlock", b"\xc6\x07\x00"),
    "lock.vcpu_is_preempted": ("__raw_callee_save___native_vcpu_is_preempted", b"\x31\xc0"),
}
IDENTITY = b"\x48\x89\xf8"  # mov %rdi, %rax


def nops_of(name: str) -> Nops:
    """The NOPs of a processor, by the name in its CpuModel."""
    return IDEAL_NOPS.get(name, IDEAL_NOPS["p6_nops"])


def patch_paravirt(place: int, length: int, function: int, known: dict[int, bytes], nops: Nops) -> bytes:
    """An indirect call through pv_ops becomes a direct one, or the code that is ``known`` for a function."""
    code = known.get(function)
    if code is None:
        code = x86.rel32(x86.CALL, place, function)
    return code + x86.add_nops(length - len(code), nops.by_length)


def apply_paravirt(load: Load) -> None:
    """Calls through pv_ops become native code or direct calls."""
    kernel, facts = load.kernel, load.profile.patching
    nops = nops_of(kernel.cpu_facts.nops)
    known = {
        0: UD2, kernel.address_of("_paravirt_nop"): b"", kernel.address_of("_paravirt_ident_64"): IDENTITY,
    }  # fmt: skip
    native = {facts.pv_slots[name]: code for name, code in NATIVE.items()}
    for name, (symbol, code) in NATIVE_IF.items():
        if facts.pv_ops[facts.pv_slots[name]] == kernel.address_of(symbol):
            native[facts.pv_slots[name]] = code
    for instr, kind, length in patching.paravirt_sites(load):
        function = facts.pv_ops[kind]
        here = {function: native[kind]} if kind in native else known
        patching.write(load, instr, load.pure("patch_paravirt")(instr, length, function, here, nops))


def jump_label_apply_nops(load: Load) -> None:
    """Static branches that are NOPs get the NOP of this processor."""
    section = load.named("__jump_table")
    table = view(load.bytes_of(section), 0, section.size // JUMP_ENTRY.itemsize, JUMP_ENTRY)
    nop = nops_of(load.kernel.cpu_facts.nops).atomic5
    if not len(table) or nop == DEFAULT_NOP:
        return
    own = (section.addr & U64) - (1 << 64) + 16 * np.arange(len(table), dtype=np.int64)
    default, ideal = (np.frombuffer(code, np.uint8) for code in (DEFAULT_NOP, nop))

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        return (before == default).all(axis=1), np.tile(ideal, (len(before), 1))

    patching.poke(load, (table["code"] + own).view(np.uint64), rewrite)


def patch_static_call(
    place: int, tail: bool, function: int, return0: int, thunk: int | None, nops: Nops
) -> bytes:
    """A site calls what its key points to; an empty key makes it a NOP or, at the end of a function, a
    return."""
    if not function:
        return x86.patch_return(place, thunk) if tail else nops.atomic5
    return x86.rel32(x86.JMP32 if tail else x86.CALL, place, function)


def patch_jump_label(place: int, target: int, length: int, jump: bool, nops: Nops) -> bytes:
    """A static branch: a jump or a NOP, of five bytes always."""
    return x86.rel32(x86.JMP32, place, target) if jump else nops.atomic5


def patch_retpoline(opcode: int, length: int, register: int, lfence: bool, nops: Nops) -> bytes | None:
    """A call or jump through a thunk becomes the indirect instruction itself; None when it does not fit.

    Nothing stops speculation behind a jump yet (INT3 came with 5.17).
    """
    code = b"\x0f\xae\xe8" if lfence else b""
    code += b"\x41" if register >= 8 else b""
    code += bytes((0xFF, (0xD0 if opcode == x86.CALL else 0xE0) + (register & 7)))
    if len(code) > length:
        return None
    return x86.optimize_nops(code + bytes((x86.NOP,)) * (length - len(code)), length, nops.by_length)
