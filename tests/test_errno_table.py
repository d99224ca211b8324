# SPDX-License-Identifier: GPL-2.0-only
"""Every refusal of the loader: errno, log, /proc/modules, taints as the real kernel answered; nothing left.

The expectation is the recording in truth/errno-table-6.1.json (``python -m tests.realkernel errno-table``).
"""

from __future__ import annotations

from typing import Any

import pytest

import kmodsim

from .faults.cases import all_cases
from .faults.files import make
from .faults.rows import ROWS, UNREACHED
from .realkernel.compare import differences
from .realkernel.replay import case_params, recorded, replayed, stale, truth

pytestmark = pytest.mark.core
TRUTH = "errno-table-6.1.json"


@pytest.mark.parametrize(("boot", "case"), case_params(TRUTH))
def test_as_recorded(boot: str, case: str) -> None:
    wanted = recorded(TRUTH, boot, case)["steps"]
    found = replayed(TRUTH, boot)[case]
    assert differences(wanted, found) == []


@pytest.mark.parametrize("row", ROWS)
def test_row_is_covered(row: str) -> None:
    """Each row of the table has recorded cases, or says where in the kernel's source it is and why not."""
    cases = [case for boot in truth(TRUTH)["boots"].values() for case in boot["cases"] if case["row"] == row]
    assert cases or row in UNREACHED


def test_recording_is_of_these_files_and_cases() -> None:
    """The broken files of today are those of the recording, and no case was added without recording it."""
    assert stale(TRUTH) == []
    calls: dict[str, Any] = {
        case.id: [{k: v for k, v in o.items() if v is not None} for o in case.operations]
        for case in all_cases()
    }
    kept = {
        case["id"]: [step["call"] for step in case["steps"]]
        for boot in truth(TRUTH)["boots"].values()
        for case in boot["cases"]
    }
    assert kept == calls


def test_same_name_while_coming_waits() -> None:
    """A second load of a name that is COMING waits for the first (kernel/module/main.c:add_unformed_module).

    Nobody would ever finish the first one here, so the model says that the call would wait for ever.
    """
    seen: list[object] = []

    def init() -> int:
        with pytest.raises(kmodsim.WouldWait):
            kernel.finit_module(make("hello"))
        seen.append(kernel.modules["hello"].state)
        return 0

    kernel = kmodsim.Kernel(cpu=None, functions={"hello_init": init})
    kernel.finit_module(make("hello"))
    assert seen == ["COMING"]
    assert kernel.modules["hello"].state == "LIVE"
