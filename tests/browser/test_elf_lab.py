# SPDX-License-Identifier: GPL-2.0-only
"""ElfLab in JupyterLab: a field is broken by keyboard, guessed, and answered as the core computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .cells import troubles
from .driving import choose_by_key, in_both_themes, measured, no_answer_is_cut, type_into, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("first_values")]
WIDGET, FIRST = "ElfLab('hello')", "✓ hello is loaded"


def core(part: int, name: str, value: int) -> Any:
    from kmodsim import ModuleFile, sample
    from kmodsim.widgets.elf_change import ElfChange, fields_of

    field = next(field for field in fields_of(part) if field.name == name)
    return ElfChange(ModuleFile(sample("hello")), part, field, value)


def test_by_keyboard_a_field_is_broken_guessed_and_answered(page: Any, artifacts: Path) -> None:
    before = page.locator(".kms-answer svg.kms").first.inner_html()
    type_into(page, "value", "183")
    wait_for(page, "Choose what you expect")
    assert page.locator(".kms-answer svg.kms").first.inner_html() != before
    choose_by_key(page, "guess", "ENOEXEC")
    answer = wait_for(page, "Right, as you expected: ENOEXEC")
    assert "Invalid architecture in ELF header: 183" in answer
    assert "hello is refused: ENOEXEC in elf_validity_check" in answer
    expected = core(-1, "e_machine", 183)
    assert all(view.text in answer for view in expected.views[:1])
    assert no_answer_is_cut(page)
    in_both_themes(page, artifacts, "elf-lab")


def test_a_section_header_has_its_own_fields(page: Any, artifacts: Path) -> None:
    choose_by_key(page, "part", "section 3 .text")
    choose_by_key(page, "field", "sh_flags")
    type_into(page, "value", "0x7")
    choose_by_key(page, "guess", "loaded")
    answer = wait_for(page, "You expected loaded; it is ENOEXEC")
    assert "hello: section .text (index 3) has invalid WRITE|EXEC flags" in answer
    assert core(3, "sh_flags", 7).views[0].text in answer
    page.locator(".kms-lab").screenshot(path=artifacts / "elf-lab-section.png")


def test_wrong_input_is_told(page: Any) -> None:
    type_into(page, "value", "zero")
    wait_for(page, "'zero' is no number")
    assert troubles(page) == []


def test_a_key_is_answered_at_once(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    choose_by_key(page, "guess", "no guess, show me")
    median, p95 = measured(page, ".kms-value input", [str(100 + n) for n in range(30)])
    with capsys.disabled():
        print(f"\nElfLab, key to picture: median {median:.0f} ms, p95 {p95:.0f} ms")
    assert median < 250  # a quiet machine takes a tenth of it; make bench-widgets judges
