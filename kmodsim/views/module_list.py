# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's doubly linked list of modules, newest first (``kernel/module/main.c:modules``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .view import View, columns, plural

HEAD = "modules"
LEFT, BOX_W, BOX_H, ROW_H, MOST = 150, 380, 42, 66, 12
_STATE_FILL = {"UNFORMED": "plain", "COMING": "data", "LIVE": "good", "GOING": "roafter"}


class Entry(NamedTuple):
    """A module on the list. ``refcount`` as in /proc/modules; ``holders``: who uses it, newest first."""

    name: str
    state: str
    refcount: int
    holders: tuple[str, ...]


def module_list(entries: Sequence[Entry]) -> View:
    """The list head and the modules in list order with their ``next`` and ``prev`` pointers: a ring."""
    title = f"The list of modules: {plural(len(entries), 'module')}"
    cells = _shorten(entries)
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    _head(drawing)
    for number, entry in enumerate(cells, 1):
        top = _top(number)
        _box(drawing, top, entry)
        drawing.path(f"M{LEFT + 60} {top - ROW_H + BOX_H}V{top - 3}", arrow=True)
        drawing.path(f"M{LEFT + 120} {top}V{top - ROW_H + BOX_H + 3}", arrow=True)
        drawing.text(LEFT + 54, top - 9, "next", "s", "end")
        drawing.text(LEFT + 126, top - 9, "prev", "s")
    _ring(drawing, len(cells))
    description = "From the head by next: " + " → ".join([HEAD, *(e.name for e in entries[:40]), HEAD]) + "."
    svg = drawing.svg(title, description, _top(len(cells)) + BOX_H + 12)
    return View(title, description, _text(entries, title), svg)


def _shorten(entries: Sequence[Entry]) -> list[Entry]:
    """A long list keeps its newest and its oldest entries, with one cell for those between."""
    if len(entries) <= MOST:
        return list(entries)
    between = len(entries) - MOST + 1
    return [*entries[: MOST - 2], Entry(f"… {between} more …", "", 0, ()), entries[-1]]


def _top(number: int) -> int:
    return 40 + number * ROW_H


def _head(drawing: Drawing) -> None:
    drawing.rect(LEFT, _top(0), BOX_W, BOX_H, "plain", radius=6, tip="struct list_head modules")
    drawing.text(LEFT + 10, _top(0) + 17, HEAD, "on b")
    drawing.text(LEFT + 10, _top(0) + 34, "struct list_head: the head of the list is no module", "on s")


def _box(drawing: Drawing, top: int, entry: Entry) -> None:
    fill = _STATE_FILL.get(entry.state, "")
    tip = f"{entry.name}: {entry.state}"
    drawing.rect(LEFT, top, BOX_W, BOX_H, fill, css="box" if fill else "off", radius=6, tip=tip)
    on = "on " if fill else ""
    drawing.text(LEFT + 10, top + 17, entry.name, on + "b", room=BOX_W / 2)
    if entry.state:
        drawing.text(
            LEFT + BOX_W - 10, top + 17, f"{entry.state}  refcount {entry.refcount}", on + "m s", "end"
        )
        users = "used by " + ", ".join(entry.holders) if entry.holders else "used by no module"
        drawing.text(LEFT + 10, top + 34, users, on + "s", room=BOX_W - 20)


def _ring(drawing: Drawing, cells: int) -> None:
    """next of the last entry is the head, prev of the head is the last entry."""
    if not cells:
        drawing.text(LEFT + BOX_W + 14, _top(0) + 24, "next and prev: the head itself", "s")
        return
    first, last, right = _top(0) + BOX_H / 2, _top(cells) + BOX_H / 2, LEFT + BOX_W
    drawing.path(f"M{LEFT} {last}H{LEFT - 24}V{first}H{LEFT - 3}", arrow=True)
    drawing.path(f"M{right} {first}H{right + 24}V{last}H{right + 3}", arrow=True)
    middle = (first + last) / 2
    for number, words in enumerate(("next of the", "oldest: the", "head again")):
        drawing.text(LEFT - 32, middle - 10 + 13 * number, words, "s", "end")
    for number, words in enumerate(("prev of the head:", "the oldest")):
        drawing.text(right + 32, middle - 4 + 13 * number, words, "s")


def _text(entries: Sequence[Entry], title: str) -> str:
    names = [HEAD, *(entry.name for entry in entries), HEAD]
    rows = [
        ("entry", "prev", "next", "state", "refcount", "used by"),
        (HEAD, names[-2], names[1], "", "", ""),
    ]
    for number, entry in enumerate(entries, 1):
        rows.append(
            (
                entry.name,
                names[number - 1],
                names[number + 1],
                entry.state,
                str(entry.refcount),
                ",".join(entry.holders) or "-",
            )
        )
    return f"{title}\n{columns(rows, right=(4,))}"
