# SPDX-License-Identifier: GPL-2.0-only
"""Chapters 01 to 04 in JupyterLab: each runs, and its widget answers what the chapter asks to find out.

The expected words are the kernel's own: ``kernel/module/main.c:elf_validity_check``, ``setup_load_info``,
``copy_module_from_user``, ``layout_sections``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .cells import troubles
from .conftest import Lab, run_all
from .driving import choose_by_key, no_answer_is_cut, type_into, wait_for

pytestmark = pytest.mark.browser


def break_the_header(page: Any) -> None:
    choose_by_key(page, "field", "e_shoff")
    type_into(page, "value", "0xffffff")
    wait_for(page, "Choose what you expect")
    choose_by_key(page, "guess", "ENOEXEC")
    assert "Invalid ELF section header overflow" in wait_for(page, "Right, as you expected")


def tear_a_hole(page: Any) -> None:
    type_into(page, "holes", "20")
    choose_by_key(page, "guess", "EFAULT")
    assert "init_module(0x7f0000000000, 330137" in wait_for(page, "-1 EFAULT (Bad address)")


def strip_the_symbols(page: Any) -> None:
    choose_by_key(page, "what", "its symbols were stripped")
    page.locator(".kms-look input").check()
    assert "Invalid module format" in wait_for(page, "module has no symbols (stripped?)")


def add_to_init(page: Any) -> None:
    type_into(page, "extra", ".init.mine")
    assert "core 5 pages" in wait_for(page, ".init.mine")


# notebook -> what to do with its widget
CHAPTERS: dict[str, Callable[[Any], None]] = {
    "01-elf-layout": break_the_header,
    "02-from-insmod-to-the-kernel": tear_a_hole,
    "03-sanity-checks": strip_the_symbols,
    "04-memory-layout": add_to_init,
}


@pytest.fixture(params=CHAPTERS)
def chapter(request: Any, browser: Any, lab: Lab) -> Iterator[tuple[str, Any]]:
    """A chapter, open and run."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    run_all(page, lab, f"{request.param}.ipynb")
    page.wait_for_selector(".kms-lab .kms-answer", timeout=30_000)
    yield request.param, page
    page.close()


def test_it_runs_and_its_widget_answers(chapter: tuple[str, Any], artifacts: Path) -> None:
    name, page = chapter
    assert troubles(page) == []
    CHAPTERS[name](page)
    page.locator(".kms-lab").screenshot(path=artifacts / f"chapter-{name}.png")
    assert no_answer_is_cut(page)
    assert troubles(page) == []
