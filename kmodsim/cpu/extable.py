# SPDX-License-Identifier: GPL-2.0-only
"""The exception table: "if this instruction faults, go on there" (``arch/x86/mm/extable.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .abi import U64, signed

if TYPE_CHECKING:
    from .cpu import Cpu

ENTRY = 12  # struct exception_table_entry: insn, fixup, data, each relative to itself
# arch/x86/include/asm/extable_fixup_types.h
EX_TYPE_DEFAULT, EX_TYPE_FAULT, EX_TYPE_UACCESS, EX_TYPE_IMM_REG = 1, 2, 3, 17
# numbered as the processor's instructions do
REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))


def fixup(cpu: Cpu, rip: int) -> int:
    """Where to go on after a fault at ``rip``, registers set; 0: nobody expects it there."""
    for mod in cpu.kernel.known_modules:
        section = mod.sections.get("__ex_table")
        if section is None:
            continue
        for i, (insn, target, data) in enumerate(mod.extable):
            place = section.address + ENTRY * i
            if place + insn & U64 == rip and _expected(cpu, place, data):
                return place + 4 + target & U64
    return 0


def _expected(cpu: Cpu, place: int, data: int) -> bool:
    """Whether the third word's handler or type is known; what it asks for is done."""
    handlers = cpu.kernel.profile.rules.extable_handlers
    if handlers:
        return place + 8 + data & U64 in {cpu.kernel.address_of(name) for name in handlers}
    return _handle(cpu, data)


def _handle(cpu: Cpu, data: int) -> bool:
    """Do what the entry's type asks for; False for a type that is not known here."""
    kind, register, value = data & 0xFF, data >> 8 & 15, signed(data >> 16, 16)
    if kind == EX_TYPE_IMM_REG:
        cpu.machine[REGISTERS[register]] = value & U64
    return kind in (EX_TYPE_DEFAULT, EX_TYPE_FAULT, EX_TYPE_UACCESS, EX_TYPE_IMM_REG)
