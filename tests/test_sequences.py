# SPDX-License-Identifier: GPL-2.0-only
"""Random sequences of loads, unloads, held devices, writes: after each operation as on the real kernel.

The expectation is the recording in truth/sequences-6.1.json (``python -m tests.realkernel sequences``).
"""

from __future__ import annotations

from typing import Any

import pytest

from .realkernel.compare import differences
from .realkernel.replay import case_ids, recorded, replayed, stale, truth
from .realkernel.sequences import OPERATIONS, SEQUENCES, sequence_cases

pytestmark = pytest.mark.core
TRUTH = "sequences-6.1.json"
NOT_MODELLED: dict[str, str] = {}


@pytest.mark.parametrize(("boot", "case"), [pytest.param(*ids, id=ids[1]) for ids in case_ids(TRUTH)])
def test_as_recorded(boot: str, case: str) -> None:
    wanted = recorded(TRUTH, boot, case)["steps"]
    assert len(wanted) == OPERATIONS
    assert differences(wanted, replayed(TRUTH, boot)[case]) == []


def test_recording_is_of_these_sequences() -> None:
    """The files and the drawn operations of today are those of the recording."""
    assert stale(TRUTH) == []
    drawn: dict[str, Any] = {
        case.id: [{k: v for k, v in o.items() if v is not None} for o in case.operations]
        for case in sequence_cases()
    }
    kept = {
        case["id"]: [step["call"] for step in case["steps"]]
        for boot in truth(TRUTH)["boots"].values()
        for case in boot["cases"]
    }
    assert len(kept) == SEQUENCES
    assert kept == drawn


def test_sequences_reach_what_they_are_for() -> None:
    """On the real kernel: loads and unloads that succeed, common errnos, modules used, coming, forced."""
    steps = [
        step for boot in truth(TRUTH)["boots"].values() for case in boot["cases"] for step in case["steps"]
    ]
    outcomes = {(step["call"]["op"], step["answer"].get("errno")) for step in steps}
    for op, errnos in {
        "finit": (None, "EEXIST", "ENOENT", "EINVAL", "ENOEXEC", "EPERM", "ENODEV"),
        "init": (None, "EEXIST", "ENOENT"),
        "delete": (None, "ENOENT", "EAGAIN", "EBUSY", "EPERM"),
        "hold": (None, "ENOENT"),
        "release": (None,),
        "write": (None, "EINVAL", "EACCES", "ENOENT"),
        "read": (None, "ENOENT"),
    }.items():
        assert {(op, errno) for errno in errnos} <= outcomes
    lines = [line for step in steps for line in step["answer"].get("modules", [])]
    for word in (" Loading ", "[permanent]", "chain_c,", "diamond_top,", "(POE", "(COE", "(FOE"):
        assert any(word in line for line in lines), word
    assert max(len(step["answer"].get("modules", [])) for step in steps) >= 8
