# SPDX-License-Identifier: GPL-2.0-only
"""A doubly linked list as it stands in memory: each ``struct list_head`` with its address and two pointers.

Models what ``include/linux/list.h`` and ``rculist.h`` leave behind: whole rings, entries taken out, poison.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from ..linkedlist import LIST_POISON1, LIST_POISON2
from .svg import WIDTH, Drawing
from .view import View, columns, plural

_NAMED = {LIST_POISON1: "LIST_POISON1", LIST_POISON2: "LIST_POISON2", 0: "NULL"}
LEFT, BOX_W, BOX_H, GAP, MOST = 118, 520, 66, 30, 9
_LANE = 16  # between two arrows that run side by side
NEXT, PREV = "next", "prev"


class Node(NamedTuple):
    """One ``struct list_head``: whose it is, where it lies, and its two words. ``note`` is a few words."""

    name: str
    address: int
    next: int
    prev: int
    note: str = ""


class _Shown(NamedTuple):
    node: Node
    on: bool  # reached from the head by next
    changed: tuple[str, ...]


def walk(nodes: Sequence[Node]) -> list[Node]:
    """The nodes that one meets from the first, the head, by ``next``; it ends where a pointer is broken."""
    by_address = {node.address: node for node in nodes}
    found, at = [nodes[0]], nodes[0].next
    while at in by_address and by_address[at] not in found:
        found.append(by_address[at])
        at = by_address[at].next
    return found


def list_pointers(
    nodes: Sequence[Node], title: str = "", changed: Collection[tuple[int, str]] = ()
) -> View:
    """``nodes``: the head first, then all entries, on the list or not. ``changed``: (address, "next" or
    "prev") of words that were written last; they get a sign."""
    on = walk(nodes)
    off = [node for node in nodes if node not in on]
    title = title or f"The list in memory, {plural(len(on) - 1, 'module')}"
    names = {node.address: node.name for node in nodes}
    shown = [
        _Shown(n, n in on, tuple(w for w in (NEXT, PREV) if (n.address, w) in changed)) for n in [*on, *off]
    ]
    cut = _cut(shown)
    drawing = Drawing(WIDTH)
    drawing.text(8, 22, title, "big")
    _arrows(drawing, cut)
    for number, row in enumerate(cut):
        _box(drawing, _top(number), row, names)
    ring = " → ".join(node.name for node in [*on[:40], on[0]]) if _closed(on) else _way(on)
    aside = f" Off the list: {', '.join(node.name for node in off)}." if off else ""
    description = f"From the head by next: {ring}.{aside}"
    svg = drawing.svg(title, description, _top(len(cut)) - GAP + 12)
    return View(title, description, _text(shown, names, title, description), svg)


def _closed(on: Sequence[Node]) -> bool:
    return on[-1].next == on[0].address


def _way(on: Sequence[Node]) -> str:
    return " → ".join([*(node.name for node in on), f"{on[-1].next:#x}, where no entry is"])


def _cut(shown: Sequence[_Shown]) -> list[_Shown | None]:
    """A long list keeps its newest, its oldest, and what is off it; None stands for those between."""
    if len(shown) <= MOST:
        return list(shown)
    on = [row for row in shown if row.on]
    off = [row for row in shown if not row.on][: MOST - 4]
    keep = max(MOST - len(off) - 2, 2)
    return [*on[:keep], None, on[-1], *off] if len(on) > keep + 1 else [*on, *off]


def _top(number: int) -> int:
    return 38 + number * (BOX_H + GAP)


def target(pointer: int, names: dict[int, str], own: int | None = None) -> str:
    """What a pointer leads to: an entry's name, a poison's, or nothing known."""
    if pointer == own:
        return "itself"
    return names.get(pointer) or _NAMED.get(pointer, "no entry")


def _box(drawing: Drawing, top: int, row: _Shown | None, names: dict[int, str]) -> None:
    if row is None:
        drawing.rect(LEFT, top, BOX_W, BOX_H, css="off", radius=6)
        drawing.text(LEFT + 12, top + 38, "… the entries between …")
        return
    node, head = row.node, top == _top(0)
    fill = "plain" if head else "good" if row.on else "bad"
    drawing.rect(LEFT, top, BOX_W, BOX_H, fill, radius=6, tip=f"struct list_head of {node.name}")
    drawing.text(LEFT + 12, top + 18, node.name, "on b", room=170)
    note = node.note if row.on else f"off the list: nobody leads here. {node.note}".strip()
    drawing.text(LEFT + BOX_W - 12, top + 18, note, "on s", "end", room=BOX_W - 200)
    drawing.text(LEFT + 12, top + 38, f"at {node.address:#018x}", "on m")
    for which, pointer, y in ((NEXT, node.next, top + 38), (PREV, node.prev, top + 57)):
        sign = "✎ " if which in row.changed else ""
        broken = "" if pointer in names else " ✗"
        words = f"{sign}{which} = {pointer:#018x} → {target(pointer, names, node.address)}{broken}"
        css = "on m b" if sign else "on m"
        drawing.text(LEFT + 182, y, words, css, room=BOX_W - 190)


def _arrows(drawing: Drawing, cut: Sequence[_Shown | None]) -> None:
    """Neighbours by straight arrows, all others by lanes: next on the right, prev on the left."""
    at = {row.node.address: number for number, row in enumerate(cut) if row}
    lanes = {NEXT: 0, PREV: 0}
    for number, row in enumerate(cut):
        if row is None:
            continue
        for which, pointer, step in ((NEXT, row.node.next, 1), (PREV, row.node.prev, -1)):
            there = at.get(pointer)
            if there is None or there == number:
                continue
            if there == number + step and (row.on or which == PREV):
                _straight(drawing, number, which)
            else:
                _around(drawing, number, there, which, lanes[which])
                lanes[which] += 1


def _straight(drawing: Drawing, number: int, which: str) -> None:
    x, top = LEFT + (210 if which == NEXT else 310), _top(number)
    if which == NEXT:
        drawing.path(f"M{x} {top + BOX_H}V{top + BOX_H + GAP - 2}", arrow=True)
        drawing.text(x + 7, top + BOX_H + GAP / 2 + 4, "next", "s")
    else:
        drawing.path(f"M{x} {top}V{top - GAP + 2}", arrow=True)
        drawing.text(x + 7, top - GAP / 2 + 4, "prev", "s")


def _around(drawing: Drawing, start: int, end: int, which: str, lane: int) -> None:
    right = which == NEXT
    edge = LEFT + BOX_W if right else LEFT
    x = edge + (22 + _LANE * (lane % 4)) * (1 if right else -1)
    y0, y1 = _top(start) + (34 if right else 52), _top(end) + (20 if right else 38) + 4 * (lane % 4)
    drawing.path(f"M{edge} {y0}H{x}V{y1}H{edge + (2 if right else -2)}", arrow=True)
    drawing.text(x + (5 if right else -5), (y0 + y1) / 2, which, "s", "start" if right else "end")


def _text(shown: Sequence[_Shown], names: dict[int, str], title: str, description: str) -> str:
    back = {row.node.address: row.node for row in shown}
    rows = [("entry", "its links at", "next", "→", "prev", "→", "what is to be said")]
    for row in shown:
        node = row.node
        said = [] if row.on else ["off the list: nobody leads here"]
        said += _mismatches(node, back)
        said += [f"{which} was just written" for which in row.changed]
        said += [node.note] if node.note else []
        own = node.address
        rows.append((node.name, f"{own:#018x}", f"{node.next:#018x}", target(node.next, names, own),
                     f"{node.prev:#018x}", target(node.prev, names, own), "; ".join(said)))  # fmt: skip
    return f"{title}\n{columns(rows)}\n{description}"


def _mismatches(node: Node, back: dict[int, Node]) -> list[str]:
    """Where a neighbour does not point back, as ``__list_del_entry_valid`` would find."""
    after, before = back.get(node.next), back.get(node.prev)
    said = []
    if after is not None and after.prev != node.address:
        said.append(f"next->prev is not this entry but {target(after.prev, _names(back))}")
    if before is not None and before.next != node.address:
        said.append(f"prev->next is not this entry but {target(before.next, _names(back))}")
    return said


def _names(back: dict[int, Node]) -> dict[int, str]:
    return {address: node.name for address, node in back.items()}
