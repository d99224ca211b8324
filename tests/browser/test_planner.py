# SPDX-License-Identifier: GPL-2.0-only
"""The modprobe planner in JupyterLab: what is typed is answered as the core computes, by keys alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kmodsim.widgets.guessing import NOT_YET
from kmodsim.widgets.planning import EXAMPLES, planned

from .driving import choose, choose_by_key, in_both_themes, type_into, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("first_values")]
WIDGET, FIRST = "PlannerLab()", "10 files loaded"


def test_a_word_is_typed_and_the_plan_is_the_cores(page: Any) -> None:
    type_into(page, "word", "vfat")
    answer = wait_for(page, "2 files loaded")
    expected = planned("vfat", "-v")
    assert expected.terminal in answer
    assert all(view.text in answer for view in expected.pictures)
    assert page.locator(".kms-answer svg desc").first.text_content() == expected.pictures[0].description


def test_a_line_of_configuration_changes_the_plan(page: Any) -> None:
    type_into(page, "word", "e1000e")
    type_into(page, "config", "softdep e1000e pre: ptp_kvm\nfoo bar")
    wait_for(page, "ignoring bad line starting with 'foo'")
    answer = wait_for(page, "foo bar\n# modprobe")
    assert "softdep pre of e1000e (/etc/modprobe.d/yours.conf line 1)" in answer
    assert planned("e1000e", "-v", "", "softdep e1000e pre: ptp_kvm\nfoo bar").terminal in answer


def test_an_example_is_chosen_with_the_arrow_keys(page: Any) -> None:
    choose(page, "example", 4)
    answer = wait_for(page, "Error running install command '/bin/false'")
    assert "exit status 1" in answer
    assert page.locator(".kms-config textarea").input_value() == EXAMPLES[4].config


def test_a_guess_hides_the_answer_first(page: Any) -> None:
    choose_by_key(page, "guess", NOT_YET)
    assert "insmod /lib" not in wait_for(page, "Choose above what you expect")
    choose_by_key(page, "guess", "it loads several files")
    wait_for(page, "✓ Right, as you expected: it loads several files.")


def test_a_wrong_option_is_told_in_the_tools_words(page: Any) -> None:
    type_into(page, "options", "--no-such")
    assert "Traceback" not in wait_for(page, "unrecognized option '--no-such'")


def test_screenshots(page: Any, artifacts: Path) -> None:
    in_both_themes(page, artifacts, "planner")
    choose(page, "example", 5)
    wait_for(page, "softdep post of e1000e")
    in_both_themes(page, artifacts, "planner-softdep")
