# SPDX-License-Identifier: GPL-2.0-only
"""What a module leaves behind is found when it goes. The expectations follow from the samples' sources."""

from __future__ import annotations

import pytest

from kmodsim import Kernel, sample

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core


def left_by(name: str, **functions: object) -> list[str]:
    kernel = Kernel(cpu="strict", functions=functions)
    kernel.finit_module(sample(name))
    kernel.delete_module(name)
    found = [str(leak) for leak in kernel.cpu.leaks.left.get(name, [])]
    note = next(record.note for record in kernel.unloading.trace if "core" in record.stage)
    assert note == ("left behind: " + "; ".join(found) if found else "")
    return found


@pytest.mark.parametrize(
    "name",
    ["cdev", "chardev", "debugfs", "hrtimer", "list", "memory", "misc", "notifier", "proc", "sync", "sysfs",
     "thread", "timer", "work"],
)  # fmt: skip
def test_well_behaved_samples_leave_nothing(name: str) -> None:
    assert left_by(name) == []


def test_memory_that_is_forgotten() -> None:
    """memory.c with ``leak=1`` keeps a name, what krealloc gave, and four pages of vmalloc."""
    kernel = Kernel(cpu="strict")
    kernel.finit_module(sample("memory"), "leak=1")
    kernel.delete_module("memory")
    left = kernel.cpu.leaks.left["memory"]
    assert [leak.what for leak in left] == ["kmalloc-8", "kmalloc-512", "vmalloc"]
    assert {leak.caller.partition("+")[0] for leak in left} == {"memory_init"}
    assert left[2].size == 4 * 4096


def test_a_list_that_is_not_freed() -> None:
    """list.c: three nodes of 24 bytes are in the list after init; here exit does not free them."""
    found = left_by("list", nodes_exit=lambda: 0)
    assert len(found) == 3
    assert all(", 24 bytes, from " in line for line in found)


def test_a_timer_that_is_not_stopped() -> None:
    found = left_by("timer", ticker_exit=lambda: 0)
    assert [line.partition(" at ")[0] for line in found] == ["a pending timer"]
