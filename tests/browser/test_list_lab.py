# SPDX-License-Identifier: GPL-2.0-only
"""ListLab in JupyterLab: a module hidden and found by keyboard, steps added, taken back and typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .cells import troubles
from .driving import choose_by_key, in_both_themes, measured, no_answer_is_cut, type_into, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("first_values")]
WIDGET, FIRST = "ListLab()", "Now comes: list_del_init hello"
SHOW = "no guess, show me"
LOADED = "insmod chain_a; insmod chain_b; insmod hello"


def core(steps: str) -> Any:
    from kmodsim.widgets.list_steps import parse, play

    return play(parse(steps))


def press(page: Any, button: str) -> None:
    page.locator(f".kms-{button}").first.focus()
    page.keyboard.press("Enter")


def test_a_hidden_module_is_guessed_and_seen(page: Any, artifacts: Path) -> None:
    choose_by_key(page, "shown", "/sys/module only")
    choose_by_key(page, "unload", "ENOENT")
    answer = wait_for(page, "Right, as you expected: delete_module would answer ENOENT")
    hidden = core(f"{LOADED}; list_del_init hello")
    assert hidden.picture.text in answer and "Right, as you expected: seen in /sys/module only" in answer
    assert no_answer_is_cut(page)
    in_both_themes(page, artifacts, "list-lab")


def test_a_step_is_added_and_undone(page: Any, artifacts: Path) -> None:
    choose_by_key(page, "shown", SHOW)
    wait_for(page, "list_del_init hello: success")
    choose_by_key(page, "verb", "kobject_del: out of /sys/module")
    press(page, "add-step")
    answer = wait_for(page, "kobject_del hello: success")
    assert "hello is seen in neither of them" in answer and "mod_tree" in answer
    press(page, "undo-step")
    assert "hello is seen in /sys/module only" in wait_for(page, "list_del_init hello: success")
    assert troubles(page) == []


def test_steps_are_typed(page: Any, artifacts: Path) -> None:
    type_into(page, "steps", f"{LOADED}; list_del chain_b; try_module_get chain_b")
    wait_for(page, "Now comes: try_module_get chain_b")
    choose_by_key(page, "shown", SHOW)
    answer = wait_for(page, "try_module_get chain_b: success")
    assert core(f"{LOADED}; list_del chain_b; try_module_get chain_b").picture.text in answer
    assert "chain_a is used by chain_b" in answer and "LIST_POISON1" in answer
    in_both_themes(page, artifacts, "list-lab-poison")
    type_into(page, "steps", "hide hello")
    wait_for(page, "is no step: write insmod")


def test_a_change_is_answered_at_once(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    choose_by_key(page, "shown", SHOW)
    wait_for(page, "list_del_init hello: success")
    values = [f"{LOADED}; list_del hello", f"{LOADED}; list_del chain_b"] * 8
    median, p95 = measured(page, ".kms-steps textarea", values)
    with capsys.disabled():
        print(f"\nListLab, typed step to picture: median {median:.0f} ms, p95 {p95:.0f} ms")
    assert median < 250  # a quiet machine takes a tenth of it; make bench-widgets judges
