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


def test_a_list_that_is_not_freed() -> None:
    """list.c: three nodes of 24 bytes are in the list after init; here exit does not free them."""
    found = left_by("list", nodes_exit=lambda: 0)
    assert len(found) == 3
    assert all(", 24 bytes, from " in line for line in found)


def test_a_timer_that_is_not_stopped() -> None:
    found = left_by("timer", ticker_exit=lambda: 0)
    assert [line.partition(" at ")[0] for line in found] == ["a pending timer"]
