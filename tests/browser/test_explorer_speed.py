# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer's interactions, timed in a page from disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kmodsim.views.explorer import explored_load, explorer_document, explorer_page
from tests.bench.explorer import EXPLORER_AIM, measured, p95, table


@pytest.mark.bench
def test_95_of_100_interactions_of_each_kind_within_20_ms(browser: Any, tmp_path: Path) -> None:
    """On e1000, which comes along; ``python -m tests.bench.explorer`` takes e1000e and amdgpu."""
    file = tmp_path / "e1000.html"
    file.write_text(explorer_page(explorer_document(explored_load("e1000"))), encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(file.as_uri())
    page.wait_for_selector(".kx-formula")
    found = measured(page, 100)
    page.close()
    print("\n".join(table(found)))
    assert len(found) == 9
    assert {kind: p95(work) for kind, (work, _) in found.items() if p95(work) > EXPLORER_AIM} == {}
