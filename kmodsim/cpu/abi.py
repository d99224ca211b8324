# SPDX-License-Identifier: GPL-2.0-only
"""The System V calling convention as the kernel uses it: arguments, results, variable arguments.

Six integer arguments travel in registers, the rest on the stack; the kernel passes no floating point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from .space import AddressSpace

U64 = (1 << 64) - 1
ARGUMENT_REGISTERS = ("rdi", "rsi", "rdx", "rcx", "r8", "r9")
CALLEE_SAVED = ("rbx", "rbp", "r12", "r13", "r14", "r15")

# C types of parameters and results of kernel functions implemented in Python, as annotations
u8: TypeAlias = int
u16: TypeAlias = int
u32: TypeAlias = int
u64: TypeAlias = int
s32: TypeAlias = int
s64: TypeAlias = int
ptr: TypeAlias = int
cstr: TypeAlias = bytes  # const char *, read up to its NUL: GuestFault when it cannot be read


def signed(value: int, bits: int) -> int:
    """``value`` cut to ``bits`` bits and read as two's complement."""
    half = 1 << (bits - 1)
    return ((value & ((1 << bits) - 1)) ^ half) - half


class VarArgs:
    """The arguments behind ``...`` one after the other, raw 64-bit values: of a call, or of a ``va_list``."""

    def __init__(self, values: Iterator[int]) -> None:
        self._values = values

    def next(self) -> int:
        """The next argument as the 64 bits that were passed; the caller cuts it to its C type."""
        return next(self._values) & U64


def call_arguments(space: AddressSpace, registers: tuple[int, ...], rsp: int) -> Iterator[int]:
    """All arguments of a call in order: ``registers`` are the six, ``rsp`` points to the return address."""
    yield from registers
    place = rsp + 8
    while True:
        yield space.number(place, 8)
        place += 8


def va_list_arguments(space: AddressSpace, address: int, *, keep: bool = False) -> Iterator[int]:
    """The arguments of a ``va_list``: struct {u32 gp_offset, fp_offset; void *overflow, *reg_save_area}.

    Each one taken is noted in the structure, as ``va_arg`` does, for several functions may take in turn;
    with ``keep`` it is not (``va_copy``).
    """
    gp_offset = space.number(address, 4)
    overflow, registers = space.number(address + 8, 8), space.number(address + 16, 8)
    while True:
        if gp_offset < 8 * len(ARGUMENT_REGISTERS):
            place = registers + gp_offset
            gp_offset += 8
        else:
            place = overflow
            overflow += 8
        if not keep:
            space.store(address, gp_offset, 4)
            space.store(address + 8, overflow, 8)
        yield space.number(place & U64, 8)


CONVERT: dict[str, Callable[[AddressSpace, int], object]] = {
    "u8": lambda space, raw: raw & 0xFF,
    "u16": lambda space, raw: raw & 0xFFFF,
    "u32": lambda space, raw: raw & 0xFFFFFFFF,
    "u64": lambda space, raw: raw,
    "s32": lambda space, raw: signed(raw, 32),
    "s64": lambda space, raw: signed(raw, 64),
    "bool": lambda space, raw: bool(raw & 0xFF),
    "ptr": lambda space, raw: raw,
    "cstr": lambda space, raw: space.string(raw),
}
