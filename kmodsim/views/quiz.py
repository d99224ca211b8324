# SPDX-License-Identifier: GPL-2.0-only
"""A question with answers to open, a hint behind each wrong one. Needs neither a server nor JavaScript."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from .view import View


def quiz(question: str, answers: Sequence[tuple[str, bool, str]]) -> View:
    """``answers``: (text, whether it is right, what to say to somebody who chose it).

    At least one answer is right and each has something to say (ValueError otherwise).
    """
    if not any(right for _, right, _ in answers) or not all(hint for _, _, hint in answers):
        raise ValueError("a quiz needs a right answer and a hint for each answer")
    items = "".join(
        f'<li><details><summary style="cursor:pointer">{escape(text)}</summary>'
        f'<p style="margin:.3em 0 .6em 1em"><b>{"✓ Yes." if right else "✗ Not so."}</b> '
        f"{escape(hint)}</p></details></li>"
        for text, right, hint in answers
    )
    html = (
        f'<div class="kms-quiz" role="group" aria-label="Question"><p><b>{escape(question)}</b></p>'
        f'<ol type="a">{items}</ol></div>'
    )
    letters = "abcdefghij"
    lines = [question, *(f"  {letters[i]}) {text}" for i, (text, _, _) in enumerate(answers)), "Answers:"]
    lines += [
        f"  {letters[i]}) {'yes' if right else 'no'}: {hint}" for i, (_, right, hint) in enumerate(answers)
    ]
    return View(question, "Choose an answer to see what is behind it.", "\n".join(lines), html=html)
