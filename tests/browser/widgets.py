# SPDX-License-Identifier: GPL-2.0-only
"""What tests of single widgets share: reading the answer, moving controls by keys, both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .cells import change_theme


def wait_for(page: Any, words: str) -> str:
    """Wait until the widget's answer has these words; all of it, the text twins too."""
    page.wait_for_function(
        "words => document.querySelector('.kms-answer')?.textContent.includes(words)",
        arg=words,
        timeout=10_000,
    )
    return str(page.locator(".kms-answer").text_content())


def write(page: Any, control: str, text: str) -> None:
    """Replace what stands in a text control, by the keyboard."""
    page.locator(f".kms-{control}").locator("input, textarea").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type(text) if text else page.keyboard.press("Delete")


def choose(page: Any, control: str, downs: int) -> None:
    """So many entries down in a list, by the keyboard."""
    page.locator(f".kms-{control} select").focus()
    for _ in range(downs):
        page.keyboard.press("ArrowDown")


def slide(page: Any, control: str, steps: int) -> None:
    """Move a slider by so many steps, by the keyboard; to the left when negative."""
    page.locator(f".kms-{control} .noUi-handle").focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")


def screenshots(page: Any, artifacts: Path, name: str) -> None:
    """The widget in the light and in the dark theme, for human eyes."""
    page.set_viewport_size({"width": 1280, "height": 2600})
    for theme in ("Dark", "Light"):
        change_theme(page, theme)
        page.wait_for_timeout(300)
        page.locator(".kms-lab").first.screenshot(path=artifacts / f"{name}-{theme.lower()}.png")
    page.set_viewport_size({"width": 1280, "height": 900})
