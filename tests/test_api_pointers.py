# SPDX-License-Identifier: GPL-2.0-only
"""A bad pointer given to any kernel function is the guest's fault: a KernelError, never a Python exception.

Every function of the table, every pointer of it, every kind of bad pointer, and numbers without any sense.
``python -m tests.fuzz.api`` does more of the same.
"""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kmodsim import KernelOops
from kmodsim.errors import EFAULT, ERANGE

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
from kmodsim.cpu.abi import U64
from kmodsim.cpu.table import FUNCTIONS

from .fuzz.api import ALONE, BAD, NUMBERS, REGISTERS, Call, Machine, calls, check, pointers

pytestmark = pytest.mark.core
PARTS = 16
NAMES = sorted(FUNCTIONS)
WITH_POINTERS = [name for name in NAMES if pointers(FUNCTIONS[name])]
WITH_SIZES = [
    name for name in WITH_POINTERS if set(FUNCTIONS[name].parameters) & {"u64", "s64", "u32", "s32"}
]


@pytest.mark.parametrize("part", range(PARTS))
def test_every_function_with_every_bad_pointer(part: int) -> None:
    for name in NAMES[part::PARTS]:
        machine = Machine()
        for call in calls(name):
            check(call, machine)
    gc.collect()


@settings(derandomize=True, max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_few_calls_after_one_another(data: Any) -> None:
    """What one call leaves behind, a timer in nowhere or a device without a name, harms no later one."""
    pointer = st.sampled_from([*BAD, "good", "good"])
    argument = st.one_of(pointer, st.sampled_from(NUMBERS), st.integers(0, U64))
    machine = Machine()
    for name in data.draw(st.lists(st.sampled_from(WITH_POINTERS), min_size=2, max_size=6)):
        arguments = data.draw(st.tuples(*[argument] * REGISTERS))
        check(Call(name, arguments), machine)


# --- sizes that no memory has: the fault is at the first page that is not there


@pytest.mark.parametrize("size", [4097, 1 << 20, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("name", ["memset", "memcpy", "memmove"])
def test_a_huge_size_faults_at_the_end_of_the_memory(name: str, size: int) -> None:
    """arch/x86/lib/memset_64.S, memcpy_64.S: ``rep stosb``, ``rep movsb``, one byte after the other."""
    machine = Machine()
    source = 0 if name == "memset" else ALONE
    with pytest.raises(KernelOops) as oops:
        machine.cpu.enter(machine.cpu.local_symbol(name), ALONE, source, size)
    assert oops.value.trap.address == ALONE + 4096  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(1 << 31) - 1, 1 << 40])
def test_absurd_numbers_take_no_memory(size: int) -> None:
    """Good pointers and one huge number everywhere else: less than 100 MB at any time."""
    tracemalloc.start()
    try:
        for name in WITH_SIZES:
            places, machine = pointers(FUNCTIONS[name]), Machine()
            call = Call(name, tuple("good" if i in places else size for i in range(REGISTERS)))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            check(call, machine)
            assert tracemalloc.get_traced_memory()[1] - before < 100_000_000, str(call)
    finally:
        tracemalloc.stop()
        gc.collect()


# --- a kernel address that is bad is not always fatal


def enter(machine: Machine, name: str, *arguments: int) -> int:
    return int(machine.cpu.enter(machine.cpu.local_symbol(name), *arguments))


def test_copying_to_a_user_stops_at_either_end() -> None:
    """arch/x86/lib/copy_user_64.S: what reads and what writes both have an entry in the exception table."""
    machine, user = Machine(), 0x10000000
    machine.kernel.user_memory().map(user, bytes(8192))
    copy = "_copy_to_user"
    assert enter(machine, copy, user, ALONE, 4096) == 0
    assert enter(machine, copy, user, ALONE + 4000, 200) == 104
    assert enter(machine, copy, user + 8000, ALONE, 300) == 108
    assert enter(machine, copy, user, BAD["nothing there"], 16) == 16
    assert enter(machine, copy, BAD["nothing there"], ALONE, 16) == 16


def test_copying_from_a_user_zeroes_the_rest_and_may_die_of_that() -> None:
    """lib/usercopy.c:_copy_from_user: memset of what was not copied, which no exception table covers."""
    machine, user = Machine(), 0x10000000
    machine.kernel.user_memory().map(user, b"u" * 4096)
    assert enter(machine, "_copy_from_user", ALONE, user + 4090, 16) == 10
    assert machine.cpu.space.read(ALONE, 16) == b"u" * 6 + bytes(10)
    with pytest.raises(KernelOops) as oops:
        enter(machine, "_copy_from_user", ALONE + 4090, user, 16)
    assert oops.value.trap.address == ALONE + 4096  # type: ignore[attr-defined]
    assert enter(machine, "copy_user_generic_unrolled", BAD["nothing there"], user, 16) == 16


def test_reading_the_kernel_without_faults() -> None:
    """mm/maccess.c:copy_from_kernel_nofault, arch/x86/mm/maccess.c:copy_from_kernel_nofault_allowed."""
    machine = Machine()
    machine.cpu.space.write(ALONE + 4090, b"secret")
    read = "copy_from_kernel_nofault"
    assert enter(machine, read, machine.good, ALONE + 4090, 6) == 0
    assert enter(machine, read, machine.good + 8, ALONE + 4090, 7) == -EFAULT & U64
    assert machine.cpu.space.read(machine.good, 16) == b"secret\0\0" * 2
    for bad in ("NULL", "user space", "list poison"):
        assert enter(machine, read, machine.good, BAD[bad], 8) == -ERANGE & U64
