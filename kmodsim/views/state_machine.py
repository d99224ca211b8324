# SPDX-License-Identifier: GPL-2.0-only
"""The states of a module, who makes each step between them, and where a module is now.

Models ``enum module_state`` (``include/linux/module.h``) and the places in ``kernel/module/main.c`` of Linux
6.1 that store into ``mod->state``.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .view import View, columns

GONE = "no module"
BOX_W, BOX_H = 92, 44
# state -> its box's left upper corner, its fill, what it means
PLACES: dict[str, tuple[int, int, str, str]] = {
    GONE: (8, 54, "plain", "name is free"),
    "UNFORMED": (225, 54, "taken", "name is taken"),
    "COMING": (442, 54, "data", "init may run"),
    "LIVE": (659, 54, "good", "in use"),
    "GOING": (442, 188, "roafter", "no new users"),
}


class Edge(NamedTuple):
    """A step: from a state to a state, the function that stores it, on what condition; how it is drawn."""

    start: str
    end: str
    function: str
    when: str
    path: str
    label: tuple[int, int]


# in the order of a life, failures behind it
EDGES: tuple[Edge, ...] = (
    Edge(GONE, "UNFORMED", "add_unformed_module", "the name is free", "M100 66H222", (102, 60)),
    Edge("UNFORMED", "COMING", "complete_formation", "it is relocated", "M317 76H439", (320, 70)),
    Edge("COMING", "LIVE", "do_init_module", "init returned ≥ 0", "M534 76H656", (541, 70)),
    Edge("LIVE", "GOING", "try_stop_module", "delete_module may", "M705 98V210H537", (558, 204)),
    Edge("COMING", "GOING", "do_init_module", "init returned < 0", "M472 98V185", (366, 128)),
    Edge("COMING", "GOING", "load_module", "arguments or sysfs", "M506 98V185", (514, 128)),
    Edge("GOING", "UNFORMED", "free_module", "/sys entry is gone", "M442 210H271V101", (284, 204)),
    Edge("GOING", GONE, "load_module", "a failed load undone", "M488 232V246H54V101", (84, 240)),
    Edge("UNFORMED", GONE, "free_module", "list_del, at the end", "M225 86H103", (128, 100)),
)


Step = tuple[str, str, str]  # a step that was made: from, to, the function that made it


def state_machine(present: str, taken: Collection[Step], title: str) -> View:
    """All states and steps. ``present``: a key of PLACES; ``taken``: the steps made so far."""
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big", room=WIDTH - 16)
    for edge in EDGES:
        done = _is_taken(edge, taken)
        drawing.path(edge.path, "line" if done else "thin", arrow=True)
        x, y = edge.label
        drawing.text(x, y, edge.function, "m s b" if done else "m s")
        below = y + 13 if "H" not in edge.path else y + 19  # words stand on both sides of a line
        drawing.text(x, below, edge.when, "s")
    for name, (x, y, fill, words) in PLACES.items():
        _box(drawing, name, x, y, fill, words, name == present)
    way = ", ".join(f"{start} → {end}" for start, end, _ in taken) or "none yet"
    description = f"Now: {present}. Steps made: {way}."
    svg = drawing.svg(title, description, 272)
    return View(title, description, _text(present, taken, title), svg)


def _is_taken(edge: Edge, taken: Collection[Step]) -> bool:
    """Between COMING and GOING lead two ways: there the function decides."""
    ways = [other for other in EDGES if (other.start, other.end) == (edge.start, edge.end)]
    functions = [function for start, end, function in taken if (start, end) == (edge.start, edge.end)]
    return edge.function in functions if len(ways) > 1 else bool(functions)


def _box(drawing: Drawing, name: str, x: int, y: int, fill: str, words: str, present: bool) -> None:
    css = "box heavy" if present else "off"
    drawing.rect(x, y, BOX_W, BOX_H, fill if present else "", css=css, radius=8, tip=f"{name}: {words}")
    on = "on " if present else ""
    drawing.text(x + BOX_W / 2, y + 18, f"▶ {name}" if present else name, on + "b", "middle")
    drawing.text(x + BOX_W / 2, y + 34, words, on + "s", "middle", room=BOX_W - 6)


def _text(present: str, taken: Collection[Step], title: str) -> str:
    rows = [("", "from", "to", "function (kernel/module/main.c)", "when")]
    rows += [("✓" if _is_taken(e, taken) else "", e.start, e.end, e.function, e.when) for e in EDGES]
    return f"{title}\nnow: {present}\n{columns(rows)}"
