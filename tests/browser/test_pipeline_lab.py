# SPDX-License-Identifier: GPL-2.0-only
"""The stages of a load in JupyterLab: the slider and the buttons show what the core recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kmodsim.widgets.pipeline_run import photographed

from .driving import choose, in_both_themes, slide, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("first_values")]
WIDGET, FIRST = "PipelineLab()", "24 of 44 ✓ apply_relocations"


def test_the_slider_moves_with_the_arrow_keys(page: Any) -> None:
    before = page.locator(".kms-answer svg").last.inner_html()
    slide(page, "stage", -9)
    answer = wait_for(page, "15 of 44 ✓ move_module")
    run = photographed("hello")
    for view in run.views(14):
        assert (view.svg and view.text in answer) or view.title in answer
    assert page.locator(".kms-answer svg").last.inner_html() != before


def test_the_buttons_step_and_jump(page: Any) -> None:
    page.locator(".kms-next-change").focus()
    page.keyboard.press("Enter")
    wait_for(page, "27 of 44 ✓ add_kallsyms")
    page.locator(".kms-back").focus()
    page.keyboard.press("Enter")
    wait_for(page, "26 of 44 ✓ percpu_modcopy")
    page.locator(".kms-previous-change").click()
    wait_for(page, "24 of 44 ✓ apply_relocations")


def test_a_load_that_fails_shows_where(page: Any) -> None:
    choose(page, "fault", 5)
    answer = wait_for(page, "(the load ends here) ✗ -ENOEXEC check_modinfo")
    assert "hello: version magic" in answer


def test_screenshots(page: Any, artifacts: Path) -> None:
    in_both_themes(page, artifacts, "pipeline")
