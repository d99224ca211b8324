# SPDX-License-Identifier: GPL-2.0-only
"""The stages of a system call drawn as a row of boxes: done, failed, not reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing, wrap
from .view import View, plural

DONE, FAILED, UNREACHED = "done", "failed", "not reached"
SIGNS = {DONE: "✓", FAILED: "✗", UNREACHED: "·"}
_FILL = {DONE: "good", FAILED: "bad", UNREACHED: ""}

COLUMNS, GAP, BOX_H, ROW_H, MARGIN = 4, 16, 66, 86, 10
BOX_W = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS


class Step(NamedTuple):
    """One stage as the pipeline shows it. ``state`` is DONE, FAILED or UNREACHED."""

    title: str
    name: str
    state: str
    source: str = ""


def pipeline(steps: Sequence[Step], title: str, outcome: str = "", first: int = 1) -> View:
    """Numbered boxes in the order the kernel takes them, the way marked, the failing one crossed out.

    ``outcome``: one line for what came of the call; ``first``: the number of the first box.
    """
    drawing = Drawing(WIDTH)
    drawing.text(MARGIN, 24, title, "big")
    drawing.text(WIDTH - MARGIN, 24, outcome, "b", "end")
    for index, step in enumerate(steps):
        _box(drawing, index, step, index + first)
        if index:
            _arrow(drawing, index, step.state)
    rows = -(-len(steps) // COLUMNS)
    return View(
        title,
        _describe(steps, outcome),
        _text(steps, title, outcome, first),
        drawing.svg(title, _describe(steps, outcome), 40 + rows * ROW_H - (ROW_H - BOX_H) + MARGIN),
    )


def _corner(index: int) -> tuple[float, float]:
    row, column = divmod(index, COLUMNS)
    return MARGIN + column * (BOX_W + GAP), 40 + row * ROW_H


def _box(drawing: Drawing, index: int, step: Step, number: int) -> None:
    x, y = _corner(index)
    fill = _FILL[step.state]
    css = "box heavy" if step.state == FAILED else "box" if fill else "off"
    drawing.rect(
        x, y, BOX_W, BOX_H, fill, css=css, radius=6, tip=f"{step.name} ({step.source}): {step.state}"
    )
    on = "on " if fill else ""
    drawing.text(x + 7, y + 15, f"{number} {SIGNS[step.state]}", on + "b")
    at = y + 15
    for line in wrap(step.name, BOX_W - 44, on + "m s", 2, at="_"):
        drawing.text(x + 42, at, line, on + "m s b")
        at += 12
    for line in wrap(step.title, BOX_W - 14, on + "s", 3):
        drawing.text(x + 7, at + 4, line, on + "s")
        at += 13


def _arrow(drawing: Drawing, index: int, state: str) -> None:
    css = "line" if state != UNREACHED else "thin"
    x, y = _corner(index)
    if index % COLUMNS:
        drawing.path(f"M{x - GAP:.0f} {y + BOX_H / 2:.0f}H{x - 2:.0f}", css, arrow=True)
        return
    last_x, last_y = _corner(index - 1)
    gutter = y - (ROW_H - BOX_H) / 2
    drawing.path(
        f"M{last_x + BOX_W / 2:.0f} {last_y + BOX_H:.0f}V{gutter:.0f}H{x + BOX_W / 2:.0f}V{y - 2:.0f}",
        css,
        arrow=True,
    )


def strip(steps: Sequence[Step], title: str, outcome: str = "", first: int = 1) -> View:
    """The same in one or two lines of small numbered cells, with words only for the last stage reached."""
    drawing = Drawing(WIDTH)
    rows = 1 if len(steps) <= 24 else 2
    columns = max(1, -(-len(steps) // rows))
    width = min(40.0, (WIDTH - 2 * MARGIN) / columns)
    for index, step in enumerate(steps):
        row, column = divmod(index, columns)
        x, y = MARGIN + column * width, 8 + row * 40
        fill = _FILL[step.state]
        css = "box heavy" if step.state == FAILED else "box" if fill else "off"
        tip = f"{step.name}: {step.state}. {step.title}"
        drawing.rect(x, y, width - 4, 34, fill, css=css, radius=3, tip=tip)
        on = "on " if fill else ""
        drawing.text(x + (width - 4) / 2, y + 15, SIGNS[step.state], on + "b", "middle")
        drawing.text(x + (width - 4) / 2, y + 29, str(index + first), on, "middle")
    reached = [index for index, step in enumerate(steps) if step.state != UNREACHED]
    if reached:
        last = steps[reached[-1]]
        words = f"{SIGNS[last.state]} {reached[-1] + first} {last.name}: {last.title}"
        drawing.text(MARGIN, 22 + rows * 40, words, "b", room=WIDTH - 2 * MARGIN)
    description = _describe(steps, outcome)
    return View(
        title,
        description,
        _text(steps, title, outcome, first),
        drawing.svg(title, description, 32 + rows * 40),
    )


def _describe(steps: Sequence[Step], outcome: str) -> str:
    failed = [step for step in steps if step.state == FAILED]
    done = sum(step.state == DONE for step in steps)
    words = f"{plural(len(steps), 'stage')}, {done} done"
    if failed:
        words += f", failed in {failed[0].name}, {len(steps) - done - len(failed)} not reached"
    return f"{words}. {outcome}".strip()


def _text(steps: Sequence[Step], title: str, outcome: str, first: int) -> str:
    width = max((len(step.title) for step in steps), default=0)
    lines = [
        f"{number:3} {SIGNS[step.state]} {step.title.ljust(width)}  {step.name}"
        + ("" if step.state == DONE else f"   ({step.state})")
        for number, step in enumerate(steps, first)
    ]
    return "\n".join([f"{title}: {outcome}" if outcome else title, *lines])
