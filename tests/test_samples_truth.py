# SPDX-License-Identifier: GPL-2.0-only
"""Every sample loads and unloads as on the real kernel: lines, addresses, sysfs, symbols, counts, order.

The expectation is the recording in truth/samples-6.1.json (``python -m tests.realkernel samples``).
"""

from __future__ import annotations

import pytest

from .faults.files import PLAIN
from .realkernel.compare import differences
from .realkernel.replay import case_ids, case_params, recorded, replayed, stale
from .realkernel.samples import sample_cases

pytestmark = pytest.mark.core
TRUTH = "samples-6.1.json"


@pytest.mark.parametrize(("boot", "case"), case_params(TRUTH))
def test_as_recorded(boot: str, case: str) -> None:
    wanted = recorded(TRUTH, boot, case)["steps"]
    found = replayed(TRUTH, boot)[case]
    assert differences(wanted, found) == []


def test_recording_is_of_these_files_and_cases() -> None:
    """The samples of today are those of the recording, each of them has a case, and no case is unrecorded."""
    assert stale(TRUTH) == []
    ids = {case for _, case in case_ids(TRUTH)}
    assert {f"alone/{name}" for name in PLAIN} <= ids
    assert ids == {case.id for case in sample_cases()}
