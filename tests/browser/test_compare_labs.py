# SPDX-License-Identifier: GPL-2.0-only
"""The two widgets that compare, in JupyterLab: by keys alone, and the answer is what the core computes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kmodsim.widgets.comparing import MISTAKES, compared

from .cells import open_cells
from .conftest import Lab
from .driving import choose, in_both_themes, slide, type_into, wait_for

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def compare(browser: Any, lab: Lab) -> Iterator[Any]:
    page = open_cells(browser, lab, "compare", "from kmodsim.widgets import CompareLab\nCompareLab()")
    wait_for(page, "First difference")
    yield page
    page.close()


@pytest.fixture(scope="module")
def two(browser: Any, lab: Lab) -> Iterator[Any]:
    page = open_cells(browser, lab, "two", "from kmodsim.widgets import TwoColumns\nTwoColumns()")
    wait_for(page, "EPERM in blacklisted")
    yield page
    page.close()


def test_a_mistake_is_chosen_and_its_first_difference_named(compare: Any, artifacts: Path) -> None:
    choose(compare, "mistake", 1)
    view = compared("hello", list(MISTAKES)[1]).view()
    answer = wait_for(compare, view.text.splitlines()[1])
    assert view.text in answer and "made by R_X86_64_PC32 for .data" in answer
    picture = compare.locator(".kms-answer svg").first.inner_html()
    slide(compare, "which", 1)
    second = compared("hello", list(MISTAKES)[1]).view(1).text
    wait_for(compare, second.splitlines()[2])
    assert compare.locator(".kms-answer svg").first.inner_html() != picture
    in_both_themes(compare, artifacts, "compare")
    compare.locator(".kms-reset").focus()
    compare.keyboard.press("Enter")
    wait_for(compare, "after apply_relocations")


def test_two_command_lines_side_by_side(two: Any, artifacts: Path) -> None:
    in_both_themes(two, artifacts, "two-columns")
    type_into(two, "right-cmdline", "module.sig_enforce=1")
    answer = wait_for(two, "EKEYREJECTED in module_sig_check")
    assert "Loading of unsigned module is rejected" in answer
    choose(two, "right-cpu", 2)
    wait_for(two, "EPYC")
