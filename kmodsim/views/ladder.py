# SPDX-License-Identifier: GPL-2.0-only
"""A ladder of checks: each asked in the kernel's order, until one refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing, wrap
from .view import View, columns

PASSED, REFUSED, FORCED, UNREACHED = "passed", "refuses", "forced", "not reached"
SIGNS = {PASSED: "✓", REFUSED: "✗", FORCED: "!", UNREACHED: "·"}
_FILL = {PASSED: "good", REFUSED: "bad", FORCED: "rodata", UNREACHED: ""}
LEFT, BOX_W, BOX_H, ROW = 34, 500, 44, 56


class Rung(NamedTuple):
    """One check. ``found``: what it looks at is now; ``errno``: what it refuses with; ``force``: what gets
    past it all the same, "" for nothing; ``state``: PASSED, REFUSED, FORCED or UNREACHED."""

    question: str
    found: str
    errno: str
    force: str
    function: str
    state: str


def ladder(rungs: Sequence[Rung], title: str, outcome: str) -> View:
    """The checks from the first to the last, the one that refuses marked; ``outcome`` stands at its foot."""
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big", room=WIDTH - 16)
    for number, rung in enumerate(rungs):
        _rung(drawing, number, rung)
    end = 40 + len(rungs) * ROW
    through = all(rung.state in (PASSED, FORCED) for rung in rungs)
    for x in (LEFT + 24, LEFT + BOX_W - 24):  # the rails, as far as the call got
        for number, rung in enumerate(rungs):
            css = "line" if rung.state in (PASSED, FORCED) else "thin"
            top = 40 + number * ROW + BOX_H
            last = number == len(rungs) - 1
            drawing.path(f"M{x} {top}V{top + ROW - BOX_H}", css, arrow=last and through)
    drawing.rect(LEFT, end, BOX_W, 30, "good" if through else "", css="box" if through else "off", radius=6)
    words = outcome if through else "not reached: the module stays"
    drawing.text(LEFT + 10, end + 20, words, "on b" if through else "s", room=BOX_W - 20)
    description = _describe(rungs, outcome)
    return View(title, description, _text(rungs, title, outcome), drawing.svg(title, description, end + 42))


def _rung(drawing: Drawing, number: int, rung: Rung) -> None:
    top, fill = 40 + number * ROW, _FILL[rung.state]
    css = "box heavy" if rung.state == REFUSED else "box" if fill else "off"
    tip = f"{rung.question} {rung.found}: {rung.state} ({rung.function})"
    drawing.rect(LEFT, top, BOX_W, BOX_H, fill, css=css, radius=6, tip=tip)
    on = "on " if fill else ""
    drawing.text(LEFT - 8, top + 18, str(number + 1), "b", "end")
    drawing.text(LEFT + 10, top + 18, f"{SIGNS[rung.state]}  {rung.question}", on + "b", room=BOX_W - 120)
    drawing.text(LEFT + 27, top + 35, rung.found, on + "s", room=BOX_W - 40)
    errno = f"-1 {rung.errno}" if rung.state == REFUSED else f"else {rung.errno}"
    drawing.text(LEFT + BOX_W - 10, top + 18, errno, on + "m", "end")
    at = top + 13
    force = rung.force or "nothing gets past it"
    for line in [rung.function, *wrap(force, WIDTH - LEFT - BOX_W - 20, "s", 2)]:
        drawing.text(LEFT + BOX_W + 12, at, line, "m s" if line == rung.function else "s")
        at += 14


def _describe(rungs: Sequence[Rung], outcome: str) -> str:
    stop = next((rung for rung in rungs if rung.state == REFUSED), None)
    return f"{outcome}." if stop is None else f"{outcome}. {stop.question} {stop.found}: that refuses."


def _text(rungs: Sequence[Rung], title: str, outcome: str) -> str:
    rows = [("#", "", "check", "found", "errno", "what gets past it", "where")]
    rows += [
        (str(number), SIGNS[r.state], r.question, r.found, r.errno, r.force or "nothing", r.function)
        for number, r in enumerate(rungs, 1)
    ]  # fmt: skip
    return f"{title}: {outcome}\n{columns(rows, right=(0,))}"
