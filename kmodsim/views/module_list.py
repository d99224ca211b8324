# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's doubly linked list of modules, newest first (``kernel/module/main.c:modules``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import Drawing, wrap
from .view import View, columns, plural

HEAD = "modules"
BOX_W, BOX_H, GAP, MOST = 140, 82, 44, 4
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
    width = max(640, 30 + (len(cells) + 1) * (BOX_W + GAP))
    drawing = Drawing(width)
    drawing.text(14, 24, title, "big")
    top = 62
    _head(drawing, top)
    for number, entry in enumerate(cells, 1):
        _box(drawing, 14 + number * (BOX_W + GAP), top, entry)
    for number in range(len(cells)):
        x = 14 + number * (BOX_W + GAP) + BOX_W
        drawing.path(f"M{x} {top + 24}H{x + GAP - 3}", arrow=True)
        drawing.path(f"M{x + GAP} {top + 48}H{x + 3}", arrow=True)
        drawing.text(x + GAP / 2, top + 18, "next", "s", "middle")
        drawing.text(x + GAP / 2, top + 62, "prev", "s", "middle")
    _ring(drawing, top, len(cells))
    description = "From the head by next: " + " → ".join([HEAD, *(e.name for e in entries[:40]), HEAD]) + "."
    return View(title, description, _text(entries, title), drawing.svg(title, description, top + BOX_H + 56))


def _shorten(entries: Sequence[Entry]) -> list[Entry]:
    """A long list keeps its newest and its oldest entries, with one cell for those between."""
    if len(entries) <= MOST + 1:
        return list(entries)
    between = len(entries) - MOST
    return [*entries[: MOST - 1], Entry(f"… {between} more …", "", 0, ()), entries[-1]]


def _head(drawing: Drawing, top: float) -> None:
    drawing.rect(14, top, BOX_W, BOX_H, "plain", radius=6, tip="struct list_head modules")
    drawing.text(24, top + 20, HEAD, "on b")
    drawing.text(24, top + 38, "struct list_head", "on m s")
    drawing.text(24, top + 56, "the head: no module", "on s")


def _box(drawing: Drawing, x: float, top: float, entry: Entry) -> None:
    fill = _STATE_FILL.get(entry.state, "")
    drawing.rect(
        x, top, BOX_W, BOX_H, fill, css="box" if fill else "off", radius=6, tip=f"{entry.name}: {entry.state}"
    )
    on = "on " if fill else ""
    drawing.text(x + 10, top + 20, entry.name, on + "b", room=BOX_W - 16)
    if entry.state:
        drawing.text(
            x + 10, top + 38, f"{entry.state}  refcount {entry.refcount}", on + "m s", room=BOX_W - 14
        )
        users = "used by " + ", ".join(entry.holders) if entry.holders else "used by no module"
        for number, line in enumerate(wrap(users, BOX_W - 16, "s", 2)):
            drawing.text(x + 10, top + 56 + 13 * number, line, on + "s")


def _ring(drawing: Drawing, top: float, cells: int) -> None:
    """next of the last entry is the head, prev of the head is the last entry."""
    left, right = 14 + BOX_W / 2, 14 + cells * (BOX_W + GAP) + BOX_W / 2
    low, high = top + BOX_H, top
    if not cells:
        drawing.text(14 + BOX_W + 14, top + 38, "next and prev point to the head itself: no module is loaded")
        return
    drawing.path(f"M{right + 20} {low}V{low + 26}H{left + 20}V{low + 3}", arrow=True)
    drawing.text((left + right) / 2, low + 40, "next of the oldest: back to the head", "s", "middle")
    drawing.path(f"M{left - 20} {high}V{high - 18}H{right - 20}V{high - 3}", arrow=True)
    drawing.text((left + right) / 2, high - 24, "prev of the head: the oldest", "s", "middle")


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
