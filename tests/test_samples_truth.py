# SPDX-License-Identifier: GPL-2.0-only
"""Every sample loads and unloads as on the real kernel: lines, addresses, sysfs, symbols, counts, order.

The expectation is the recording in truth/samples-6.1.json (``python -m tests.realkernel samples``).
"""

from __future__ import annotations

import pytest

from .realkernel.compare import differences
from .realkernel.replay import case_ids, recorded, replayed, stale

pytestmark = pytest.mark.core
TRUTH = "samples-6.1.json"


@pytest.mark.parametrize(
    ("boot", "case"), [pytest.param(boot, case, id=case) for boot, case in case_ids(TRUTH)]
)
def test_as_recorded(boot: str, case: str) -> None:
    wanted = recorded(TRUTH, boot, case)["steps"]
    found = replayed(TRUTH, boot)[case]
    assert differences(wanted, found) == []


def test_recording_is_of_these_files() -> None:
    assert stale(TRUTH) == []
