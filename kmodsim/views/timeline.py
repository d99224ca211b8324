# SPDX-License-Identifier: GPL-2.0-only
"""The time line of a load or unload: stage after stage, what each one changed, the module's state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing, fit, wrap
from .view import View, columns, plural, size_text

TOP, LANE, BAR_X, BAR_W, NOTE_X = 62, 92, 418, 62, 492
ROW, LOG_ROW = 32, 15
_STATE_FILL = {"UNFORMED": "plain", "COMING": "data", "LIVE": "good", "GOING": "roafter"}


class Moment(NamedTuple):
    """One stage. ``changed``: bytes of memory it wrote; ``state``: the module's state after it."""

    title: str
    function: str
    source: str
    state: str
    changed: int
    notes: tuple[str, ...]
    log: tuple[str, ...]
    failed: bool = False


def timeline(moments: Sequence[Moment], title: str) -> View:
    """A row for each stage: state of the module, bytes written (logarithmic bar), results, log lines."""
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    for x, head in (
        (8, "state"),
        (LANE + 28, "stage"),
        (BAR_X, "written"),
        (NOTE_X, "what came of it"),
    ):
        drawing.text(x, 50, head, "s b")
    most = max((moment.changed for moment in moments), default=0)
    heights = [ROW + LOG_ROW * (len(moment.log) + len(_notes(moment)) - 1) for moment in moments]
    _states(drawing, moments, heights)
    y = float(TOP)
    for number, (moment, height) in enumerate(zip(moments, heights, strict=True), 1):
        _row(drawing, y, number, moment, most)
        y += height
    if moments:
        drawing.path(f"M{LANE + 12} {TOP + 14}V{y - heights[-1] + 14:.0f}", "thin")
    description = _describe(moments)
    return View(title, description, _text(moments, title), drawing.svg(title, description, y + 8))


def _states(drawing: Drawing, moments: Sequence[Moment], heights: Sequence[int]) -> None:
    """One band per run of equal states, its name written along it."""
    y, begin = float(TOP), 0
    while begin < len(moments):
        end = begin
        while end < len(moments) and moments[end].state == moments[begin].state:
            end += 1
        height = float(sum(heights[begin:end]))
        state = moments[begin].state
        if state:
            drawing.rect(
                8, y + 2, LANE - 20, height - 4, _STATE_FILL.get(state, "plain"), radius=4, tip=state
            )
            drawing.text(8 + (LANE - 20) / 2, y + min(height / 2 + 4, 22), state, "on s b", "middle")
        y, begin = y + height, end


def _row(drawing: Drawing, y: float, number: int, moment: Moment, most: int) -> None:
    fill = "bad" if moment.failed else "good"
    drawing.add(f'<circle cx="{LANE + 12}" cy="{y + 14:.1f}" r="10" class="box f-{fill}"/>')
    drawing.text(LANE + 12, y + 18, "✗" if moment.failed else str(number), "on s b", "middle")
    drawing.text(LANE + 28, y + 13, moment.function, "m s b", room=BAR_X - LANE - 36)
    drawing.text(LANE + 28, y + 27, moment.title, "s", room=BAR_X - LANE - 36)
    if moment.changed:
        length = BAR_W * math.log2(moment.changed + 1) / math.log2(most + 1)
        drawing.rect(BAR_X, y + 4, length, 9, "code", tip=f"{moment.changed:,} bytes")
        drawing.text(BAR_X, y + 27, size_text(moment.changed), "s")
    for words in _notes(moment):
        drawing.text(NOTE_X, y + 13, words)
        y += LOG_ROW
    y -= LOG_ROW
    drawing.text(NOTE_X, y + 27, moment.source, "m s", room=WIDTH - NOTE_X - 10)
    for index, line in enumerate(moment.log):
        drawing.text(LANE + 28, y + 41 + LOG_ROW * index, "log: " + fit(line, WIDTH - LANE - 90, "m"), "m")


def _notes(moment: Moment) -> list[str]:
    """What came of it, in as many lines as it takes, up to three."""
    return wrap("; ".join(moment.notes), WIDTH - NOTE_X - 6, lines=3)


def _describe(moments: Sequence[Moment]) -> str:
    states = list(dict.fromkeys(moment.state for moment in moments if moment.state))
    total = sum(moment.changed for moment in moments)
    failed = next((f", failed in {moment.function}" for moment in moments if moment.failed), "")
    return (
        f"{plural(len(moments), 'stage')}{failed}; states {', '.join(states) or 'none'}; "
        f"{plural(total, 'byte')} of memory written."
    )


def _text(moments: Sequence[Moment], title: str) -> str:
    rows = [("", "stage", "function", "state", "bytes", "what came of it")]
    for number, moment in enumerate(moments, 1):
        rows.append(
            (
                f"{number}{' ✗' if moment.failed else ''}",
                moment.title,
                moment.function,
                moment.state or "-",
                f"{moment.changed:,}",
                "; ".join(moment.notes),
            )
        )
        rows.extend(("", "", "", "", "", f"log: {line}") for line in moment.log)
    return f"{title}\n{columns(rows, right=(4,))}"
