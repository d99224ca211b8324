# SPDX-License-Identifier: GPL-2.0-only
"""BreakLab in JupyterLab: two guesses by keyboard, a look, the score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .cells import troubles
from .driving import choose_by_key, in_both_themes, measured, no_answer_is_cut, settled, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("first_values")]
WIDGET, FIRST = "BreakLab()", "No guess yet; 50 things to break."


def look(page: Any) -> None:
    settled(page)  # quicker than a hand, the press would overtake the last guess, which then does not count
    page.locator(".kms-look input").focus()
    page.keyboard.press("Space")


def test_guesses_by_keyboard_are_judged_and_scored(page: Any, artifacts: Path) -> None:
    from kmodsim.widgets.breaking import Tried
    from kmodsim.widgets.breaks import BREAKS_BY_LABEL

    choose_by_key(page, "what", ".text may be written")
    wait_for(page, "hello.ko: .text may be written. Where does it stop")
    choose_by_key(page, "stage", "check_modinfo: vermagic, licence and what taints")
    choose_by_key(page, "errno", "ENOEXEC")
    look(page)
    answer = wait_for(page, "Score: 1 of 2 points; guessed 1 of 50 breaks.")
    assert "✗ the stage: you said check_modinfo, it is module_enforce_rwx_sections" in answer
    assert "✓ the errno: ENOEXEC" in answer
    assert "insmod: ERROR: could not insert module hello.ko: Invalid module format" in answer
    found = Tried(BREAKS_BY_LABEL[".text may be written"])
    assert all(record[3:] in answer for record in found.log)
    assert no_answer_is_cut(page)
    in_both_themes(page, artifacts, "break-lab")


def test_the_next_break_asks_anew(page: Any) -> None:
    look(page)
    wait_for(page, "Invalid architecture in ELF header: 183")
    choose_by_key(page, "what", "it was built for a kernel configured otherwise")
    answer = wait_for(page, "it was built for a kernel configured otherwise. Where does it stop")
    assert "insmod: ERROR" not in answer
    assert not page.locator(".kms-look input").is_checked()
    assert troubles(page) == []


def test_a_choice_is_answered_at_once(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    options = page.locator(".kms-what select option").evaluate_all("all => all.map(one => one.value)")
    median, p95 = measured(page, ".kms-what select", options[5:35])
    with capsys.disabled():
        print(f"\nBreakLab, choice to question: median {median:.0f} ms, p95 {p95:.0f} ms")
    assert median < 250  # a quiet machine takes a tenth of it; make bench-widgets judges
