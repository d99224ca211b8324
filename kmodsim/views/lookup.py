# SPDX-License-Identifier: GPL-2.0-only
"""A search or a row of checks drawn as a ladder: each step with its answer, down to the one that decides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .view import View, columns, plural

# state -> (sign, fill, what it is called in the text)
STATES: dict[str, tuple[str, str, str]] = {
    "yes": ("✓", "good", "yes"),
    "no": ("–", "plain", "not here"),
    "passed over": ("○", "plain", "passed over"),
    "refused": ("✗", "bad", "refused"),
    "not asked": ("·", "", "not asked"),
}
ROW, TOP, LEFT, WORDS, ANSWER, ASKED = 30, 40, 8, 58, 322, 186


class Question(NamedTuple):
    """One step: the kernel function that asks, what it asks, the answer in words, a key of STATES."""

    function: str
    question: str
    answer: str
    state: str


def lookup(questions: Sequence[Question], title: str, outcome: str) -> View:
    """The steps from top to bottom, in the kernel's order, and what came of it all."""
    drawing = Drawing(WIDTH)
    drawing.text(LEFT, 24, title, "big", room=WIDTH - 16)
    for number, one in enumerate(questions):
        _question(drawing, TOP + number * ROW, number + 1, one)
    y = TOP + len(questions) * ROW
    drawing.text(LEFT, y + 18, f"→ {outcome}", "b", room=WIDTH - 16)
    description = f"{_reached(questions)} {outcome}"
    return View(title, description, _text(questions, title, outcome), drawing.svg(title, description, y + 30))


def _question(drawing: Drawing, y: float, number: int, one: Question) -> None:
    sign, fill, _ = STATES[one.state]
    heavy = " heavy" if one.state == "refused" else ""
    tip = f"{one.function}: {one.question} {one.answer}"
    drawing.rect(LEFT, y, WIDTH - 16, ROW - 5, fill, css=f"box{heavy}" if fill else "off", radius=4, tip=tip)
    on = "on " if fill else ""
    drawing.text(LEFT + 8, y + 17, f"{number}", on + "b")
    drawing.text(LEFT + 32, y + 17, sign, on + "b")
    drawing.text(LEFT + WORDS - 8, y + 17, one.question, on, room=ANSWER - WORDS - 6)
    answer = one.answer or STATES[one.state][2]
    drawing.text(LEFT + ANSWER, y + 17, answer, on + "m s", room=WIDTH - ANSWER - ASKED - 32)
    drawing.text(WIDTH - 16, y + 17, one.function, on + "s", "end", room=ASKED)


def _reached(questions: Sequence[Question]) -> str:
    asked = sum(one.state != "not asked" for one in questions)
    return f"{plural(asked, 'step')} of {len(questions)}."


def _text(questions: Sequence[Question], title: str, outcome: str) -> str:
    rows = [("#", "", "question", "answer", "asked by")]
    rows += [
        (str(number), STATES[r.state][0], r.question, r.answer or STATES[r.state][2], r.function)
        for number, r in enumerate(questions, 1)
    ]
    return f"{title}\n{columns(rows, right=(0,))}\n→ {outcome}"
