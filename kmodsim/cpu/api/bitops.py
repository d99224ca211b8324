# SPDX-License-Identifier: GPL-2.0-only
"""Looking for bits in bitmaps (``lib/find_bit.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import ptr, s32, u32, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

SOURCE = "lib/find_bit.c"
LARGEST = 1 << 26  # bits: beyond it nothing is looked at


def _find(cpu: Cpu, bitmap: int, size: int, start: int, *, zero: bool = False, both: int = 0) -> int:
    """The first set (or clear) bit from ``start`` on, set in ``both`` too; ``size`` for none."""
    bits = min(size, LARGEST)
    length = -(-bits // 64) * 8
    if start >= bits:
        return size
    value = int.from_bytes(cpu.space.read(bitmap, length), "little")
    if both:
        value &= int.from_bytes(cpu.space.read(both, length), "little")
    value = (~value if zero else value) & ((1 << bits) - 1)
    value = value >> start << start
    return (value & -value).bit_length() - 1 if value else size


@kernel_function(SOURCE)
def _find_first_bit(cpu: Cpu, bitmap: ptr, size: u64) -> u64:
    return _find(cpu, bitmap, size, 0)


@kernel_function(SOURCE)
def _find_next_bit(cpu: Cpu, bitmap: ptr, size: u64, start: u64) -> u64:
    return _find(cpu, bitmap, size, start)


@kernel_function(SOURCE)
def _find_first_zero_bit(cpu: Cpu, bitmap: ptr, size: u64) -> u64:
    return _find(cpu, bitmap, size, 0, zero=True)


@kernel_function(SOURCE)
def _find_next_zero_bit(cpu: Cpu, bitmap: ptr, size: u64, start: u64) -> u64:
    return _find(cpu, bitmap, size, start, zero=True)


@kernel_function(SOURCE)
def _find_first_and_bit(cpu: Cpu, a: ptr, b: ptr, size: u64) -> u64:
    return _find(cpu, a, size, 0, both=b)


@kernel_function(SOURCE)
def _find_next_and_bit(cpu: Cpu, a: ptr, b: ptr, size: u64, start: u64) -> u64:
    return _find(cpu, a, size, start, both=b)


@kernel_function("arch/x86/lib/hweight.S")
def __sw_hweight32(cpu: Cpu, word: u32) -> u32:
    return word.bit_count()


@kernel_function("arch/x86/lib/hweight.S")
def __sw_hweight64(cpu: Cpu, word: u64) -> u64:
    return word.bit_count()


@kernel_function("lib/cpumask.c")
def cpumask_next(cpu: Cpu, n: s32, mask: ptr) -> u32:
    """The next processor behind ``n`` in ``mask``; ``nr_cpu_ids`` or more for none. 5.10 exports it."""
    count = cpu.space.number(cpu.kernel.address_of("nr_cpu_ids"), 4)
    return _find(cpu, mask, count, n + 1)
