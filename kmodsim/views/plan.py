# SPDX-License-Identifier: GPL-2.0-only
"""modprobe's plan drawn: step after step with its reason, arcs from what is needed to who needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing, wrap
from .view import View, columns, plural

ARCS, ACTION, NAME, REASON = 78, 92, 176, 372  # where the columns begin
TOP, ROW, LINE = 46, 40, 14
_ACTION_W = NAME - ACTION - 10
_FILL = {
    "insmod": "good", "rmmod": "code", "install": "data", "remove": "data", "builtin": "plain",
    "nothing": "", "refuse": "bad",
}  # fmt: skip


class PlanLine(NamedTuple):
    """One step. ``options``: (text, where it comes from); ``command``: run instead of loading; ``failed``:
    modprobe gives up here."""

    action: str
    module: str
    path: str
    reason: str
    options: tuple[tuple[str, str], ...] = ()
    command: str = ""
    failed: bool = False


def modprobe_plan(lines: Sequence[PlanLine], needs: Mapping[str, Sequence[str]], title: str) -> View:
    """The steps from top to bottom. ``needs``: module -> those whose symbols it takes; arcs join these."""
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    places: dict[str, float] = {}
    y = float(TOP)
    for number, line in enumerate(lines, 1):
        places[line.module] = y + 14
        y = _row(drawing, y, number, line)
    arcs = sorted((abs(places[user] - places[other]), user, other) for user, other in _arcs(needs, places))
    for span, user, other in arcs:
        _arc(drawing, places[other], places[user], span)
    if not lines:
        drawing.text(8, y + 14, "No step: nothing is loaded and nothing unloaded.")
        y += 24
    elif arcs:
        words = "An arc leads from what has to be there first to the module that takes its symbols."
        drawing.text(8, y + 12, words, "s")
        y += 18
    description = _describe(lines, len(arcs))
    return View(title, description, _text(lines, needs, title), drawing.svg(title, description, y + 6))


def _arcs(needs: Mapping[str, Sequence[str]], places: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(user, other) for user in places for other in needs.get(user, ()) if other in places]


def _arc(drawing: Drawing, start: float, end: float, span: float) -> None:
    out = max(2.0, ARCS - 18 - 62 * (span / (span + 90)))
    bend = f"{out:.0f} {start:.0f} {out:.0f} {end:.0f}"
    drawing.path(f"M{ARCS} {start:.0f}C{bend} {ACTION - 2} {end:.0f}", "thin", arrow=True)


def _row(drawing: Drawing, y: float, number: int, line: PlanLine) -> float:
    """One step; where the next begins."""
    fill = "bad" if line.failed else _FILL.get(line.action, "")
    tip = f"{number}. {line.action} {line.module}: {line.reason}"
    drawing.rect(ACTION, y + 2, _ACTION_W, 24, fill, css="box" if fill else "off", radius=4, tip=tip)
    on = "on " if fill else ""
    sign = " ✗" if line.failed else ""
    drawing.text(ACTION + _ACTION_W / 2, y + 18, f"{number} {line.action}{sign}", on + "s b", "middle")
    drawing.text(NAME, y + 12, line.module, "m b", room=REASON - NAME - 8)
    drawing.text(NAME, y + 26, line.path, "m s", room=REASON - NAME - 8)
    at = y + 12
    for words in wrap(line.reason, WIDTH - REASON - 8, "", 3):
        drawing.text(REASON, at, words)
        at += LINE
    extra = [f"options {text.strip() or '(none)'} (from {where})" for text, where in line.options]
    extra += [f"runs {line.command}"] if line.command else []
    for words in extra:
        for piece in wrap(words, WIDTH - REASON - 8, "s", 2):
            drawing.text(REASON, at, piece, "s")
            at += LINE
    return max(y + ROW, at + 6)


def _describe(lines: Sequence[PlanLine], arcs: int) -> str:
    counts: dict[str, int] = {}
    for line in lines:
        counts[line.action] = counts.get(line.action, 0) + 1
    words = ", ".join(f"{count} {action}" for action, count in counts.items()) or "none"
    joined = f"{arcs} dependencies" if arcs != 1 else "1 dependency"
    failed = "".join(f" {line.action} {line.module} fails." for line in lines if line.failed)
    return f"{plural(len(lines), 'step')}: {words}. {joined} between them.{failed}"


def _text(lines: Sequence[PlanLine], needs: Mapping[str, Sequence[str]], title: str) -> str:
    here = {line.module for line in lines}
    rows = [("#", "action", "module", "needs", "reason")]
    for number, line in enumerate(lines, 1):
        others = ",".join(other for other in needs.get(line.module, ()) if other in here) or "-"
        action = f"{line.action}{' ✗' if line.failed else ''}"
        rows.append((str(number), action, line.module, others, line.reason))
        rows += [("", "", "", "", f"options {text.strip()} (from {where})") for text, where in line.options]
        if line.command:
            rows.append(("", "", "", "", f"runs {line.command}"))
    return f"{title}\n{columns(rows, right=(0,))}" if lines else f"{title}\nno step"
