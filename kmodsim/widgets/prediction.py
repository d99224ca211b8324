# SPDX-License-Identifier: GPL-2.0-only
"""Guess first, then see: a list of guesses in front of an answer, the same in several widgets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

Guesses = Mapping[str, Callable[[Any], bool]]  # what one may expect -> whether the answer is so
SHOW, HIDE = "show it at once", "(hidden) I want to guess first"


def choices(guesses: Guesses) -> list[str]:
    """What the list offers: to see the answer, to hide it, and the guesses."""
    return [SHOW, HIDE, *guesses]


def predicted(
    guess: str, guesses: Guesses, subject: Any, question: str, answer: Callable[[], tuple[str, str]]
) -> tuple[str, str]:
    """(HTML, text): the question alone while the answer is hidden, else the answer, the verdict before it.

    ``subject`` is what the guesses judge; ``answer`` is made only when it is shown.
    """
    if guess == HIDE:
        return "".join(f"<p>{escape(line)}</p>" for line in question.split("\n")), question
    html, text = answer()
    if guess == SHOW:
        return html, text
    words = f"{'✓ Right' if guesses[guess](subject) else '✗ Not so'}: you expected that {guess}."
    return f"<p><b>{escape(words)}</b></p>{html}", f"{words}\n\n{text}"
