# SPDX-License-Identifier: GPL-2.0-only
"""One stage of a load among the others: a time line with it marked, and what it read, gave and wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .timeline import _STATE_FILL, Moment
from .view import View, columns, plural, size_text, table

LEFT, BARS, BASE = 84, 74, 118  # where bars begin; the highest one; the line they stand on
SHOWN = 16  # bytes of one change that are written out


class Change(NamedTuple):
    """Bytes that a stage wrote. ``place``: section+offset, or an address where no section is."""

    place: str
    address: int
    before: bytes
    after: bytes


def time_bar(moments: Sequence[Moment], chosen: int, title: str) -> View:
    """A bar for each stage, its height the bytes written (logarithmic), states below; ``chosen`` from 0."""
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    step = (WIDTH - LEFT - 12) / max(len(moments), 1)
    most = max((moment.changed for moment in moments), default=0)
    drawing.text(8, BASE - 4, "bytes written", "s")
    drawing.text(8, BASE + 16, "state", "s")
    drawing.path(f"M{LEFT} {BASE}H{WIDTH - 12}", "thin")
    for number, moment in enumerate(moments):
        _bar(drawing, LEFT + number * step, step, moment, most, number == chosen)
    _states(drawing, moments, step)
    if moments:
        _pointer(drawing, LEFT + (chosen + 0.5) * step, chosen, moments[chosen])
    description = _describe(moments, chosen)
    return View(title, description, _text(moments, chosen, title), drawing.svg(title, description, BASE + 64))


def _bar(drawing: Drawing, x: float, step: float, moment: Moment, most: int, marked: bool) -> None:
    tip = f"{moment.function}: {plural(moment.changed, 'byte')}"
    height = BARS * math.log2(moment.changed + 1) / math.log2(most + 1) if moment.changed else 0
    fill = "bad" if moment.failed else "data" if marked else "code"
    css = "box heavy" if marked else "box"
    drawing.rect(x + 1, BASE - max(height, 2), max(step - 3, 2), max(height, 2), fill, css=css, tip=tip)
    if moment.log:
        drawing.text(x + step / 2 - 1, BASE - height - 6, "✉", "s", "middle")


def _states(drawing: Drawing, moments: Sequence[Moment], step: float) -> None:
    begin = 0
    while begin < len(moments):
        end = begin
        while end < len(moments) and moments[end].state == moments[begin].state:
            end += 1
        state, width = moments[begin].state, (end - begin) * step
        if state:
            x = LEFT + begin * step
            drawing.rect(x + 1, BASE + 5, width - 3, 15, _STATE_FILL.get(state, "plain"), radius=3, tip=state)
            drawing.text(x + width / 2, BASE + 16, state, "on s", "middle", room=width - 4)
        begin = end


def _pointer(drawing: Drawing, x: float, chosen: int, moment: Moment) -> None:
    drawing.path(f"M{x:.0f} {BASE + 40}V{BASE + 23}", arrow=True)
    anchor = "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle"
    drawing.text(x, BASE + 54, f"{chosen + 1} {moment.function}: {moment.title}", "b", anchor)


def _describe(moments: Sequence[Moment], chosen: int) -> str:
    if not moments:
        return "No stage was recorded."
    moment = moments[chosen]
    return (
        f"Stage {chosen + 1} of {len(moments)} is marked: {moment.function}, which wrote "
        f"{plural(moment.changed, 'byte')}. ✉ marks stages that wrote to the log."
    )


def _text(moments: Sequence[Moment], chosen: int, title: str) -> str:
    rows = [("", "#", "stage", "state", "bytes", "log lines")]
    for number, moment in enumerate(moments):
        mark = "→" if number == chosen else "✗" if moment.failed else ""
        written, lines = f"{moment.changed:,}", str(len(moment.log)) if moment.log else "-"
        rows.append((mark, str(number + 1), moment.function, moment.state or "-", written, lines))
    return f"{title}\n{columns(rows, right=(1, 4, 5))}"


def changes_table(changes: Sequence[Change], total: int, size: int, title: str) -> View:
    """Bytes before and after. ``changes`` are the first ones of ``total``, which wrote ``size`` bytes."""
    rows: list[tuple[str, ...]] = [
        (c.place, f"{c.address:#x}", str(len(c.after)), _hex(c.before), _hex(c.after))
        for c in changes
    ]
    words = f"{plural(total, 'change')}, {size_text(size)}"
    note = f"{total - len(changes):,} more are not listed." if total > len(changes) else ""
    return table(title, words, ("where", "address", "bytes", "before", "after"), rows, right=(2,), note=note)


def _hex(data: bytes) -> str:
    return data[:SHOWN].hex(" ") + (" …" if len(data) > SHOWN else "")


def values_table(inputs: Sequence[tuple[str, str]], outputs: Sequence[tuple[str, str]], title: str) -> View:
    """What a stage was given and what it gave: (name, value) in words."""
    rows: list[tuple[str, ...]] = [("in", *pair) for pair in inputs]
    rows += [("out", *pair) for pair in outputs]
    return table(title, f"{len(inputs)} in, {len(outputs)} out", ("", "name", "value"), rows)
