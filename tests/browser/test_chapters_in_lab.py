# SPDX-License-Identifier: GPL-2.0-only
"""The chapters in JupyterLab: each runs, and its widget answers what the chapter asks to find out.

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
from .driving import choose_by_key, no_answer_is_cut, slide, tick, type_into, wait_for

pytestmark = pytest.mark.browser
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


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


def ask_as_a_proprietary_module(page: Any) -> None:
    choose_by_key(page, "licence", "Proprietary")
    choose_by_key(page, "guess", "ENOENT")
    wait_for(page, "Right, as you expected: ENOENT")


def compute_a_call(page: Any) -> None:
    """The chapter's own sum: S 0xffffffffc0201000, A -4, P 0xffffffffc0206006."""
    type_into(page, "symbol", "chain_a_add")
    type_into(page, "guess", "fa af ff ff")
    wait_for(page, "✗ fa af ff ff")
    type_into(page, "guess", "f6 af ff ff")
    assert "✓ Right: f6 af ff ff" in wait_for(page, "S + A - P")


def live_a_life(page: Any) -> None:
    for steps, state in ((1, "UNFORMED"), (1, "COMING")):
        slide(page, "step", steps)
        choose_by_key(page, "guess", state)
        wait_for(page, f"Right, as you expected: {state}")


def hide_a_module(page: Any) -> None:
    choose_by_key(page, "shown", "/sys/module only")
    choose_by_key(page, "unload", "ENOENT")
    answer = wait_for(page, "✓ Right, as you expected: delete_module would answer ENOENT")
    assert "struct module at 0x" in answer


def climb_the_ladder(page: Any) -> None:
    choose_by_key(page, "module", "chain_a")
    tick(page, "used")
    choose_by_key(page, "guess", "EAGAIN")
    assert "Module chain_a is in use by: chain_b" in wait_for(page, "✓ Right, as you expected: EAGAIN")


def plan_vfat(page: Any) -> None:
    type_into(page, "word", "vfat")
    assert "fat.ko" in wait_for(page, "2 files loaded")


def guess_a_place(page: Any) -> None:
    choose_by_key(page, "guess", "a direct call")
    assert "native_save_fl" in wait_for(page, "✓ Right, as you expected: a direct call")


def make_a_mistake(page: Any) -> None:
    choose_by_key(page, "mistake", "relocate_one: the addend is left out")
    wait_for(page, "First difference: .exit.text+0x3")


def read_the_post(page: Any) -> None:
    assert "b.4 arguments" in wait_for(page, "c list")
    tick(page, "only")
    wait_for(page, "place 7")


# notebook -> what to do with its widget
CHAPTERS: dict[str, Callable[[Any], None]] = {
    "01-elf-layout": break_the_header,
    "02-from-insmod-to-the-kernel": tear_a_hole,
    "03-sanity-checks": strip_the_symbols,
    "04-memory-layout": add_to_init,
    "05-symbol-resolution": ask_as_a_proprietary_module,
    "06-relocation": compute_a_call,
    "07-parameters-states-init": live_a_life,
    "08-the-module-list": hide_a_module,
    "09-unloading": climb_the_ladder,
    "10-dependencies": plan_vfat,
    "11-the-kernel-rewrites-itself": guess_a_place,
    "12-capstone": make_a_mistake,
    "A-then-and-now": read_the_post,
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
    page.locator(".kms-lab").first.screenshot(path=artifacts / f"chapter-{name}.png")
    assert no_answer_is_cut(page)
    assert troubles(page) == []


def test_every_chapter_with_a_widget_is_driven() -> None:
    course = {path.stem for path in NOTEBOOKS.glob("*.ipynb")}
    assert set(CHAPTERS) == course - {"00-start-here"}  # test_first_notebook.py
