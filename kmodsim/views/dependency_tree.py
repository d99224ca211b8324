# SPDX-License-Identifier: GPL-2.0-only
"""Drawings of a dependency graph: what is near one module, and all modules of a kernel in one picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .dependencies import dependency_graph
from .svg import WIDTH, Drawing
from .view import View, columns, plural

if TYPE_CHECKING:
    from ..depgraph import DependencyGraph

SIDE, STEP = 4, 5  # a module's square and the distance to the next one, in pixels
PER_ROW, LEFT, TOP, BETWEEN = 130, 96, 44, 26  # squares in a row, the picture's margins, between two layers
NAMED = 3  # names written beside each layer
# the folder below kernel/ -> fill; the rest has the plain one
FILLS = {"drivers": "code", "sound": "roafter", "net": "good", "fs": "data"}
OTHERS = "plain"


def neighbourhood(
    graph: DependencyGraph, name: str, above: int = 1, below: int = 9, dot: bool = True
) -> View:
    """What is near one module: who needs it, up to ``above`` steps away, and what it needs, up to ``below``
    steps. The text names the number of symbols on each arrow. ``KeyError`` for an unknown module."""
    name = graph.name(name)
    part = graph.around(name, above, below)
    title = f"What {name} needs, and who needs it"
    view = dependency_graph(part.direct, focus=name, dot=dot, title=title)
    rows = [("module", "takes from", "symbols", "for example")]
    for user, owners in part.direct.items():
        for owner in owners:
            symbols = graph.symbols(user, owner)
            rows.append((user, owner, str(len(symbols)), symbols[0] if symbols else ""))
    text = f"{title}\n{columns(rows, right=(2,))}"
    return View(title, view.description, text, view.svg, note=view.note)


def whole_tree(graph: DependencyGraph, marked: str | None = None) -> View:
    """All modules, one small square each, in layers: at the bottom those that need no other module, above
    them those that need only these, and so on. Squares of a layer stand in the order of their folders.

    ``marked``: a module that is drawn black with all it needs, and whose users have a frame. The picture of
    4,023 modules has less than 100 KB, since the squares of one fill are one path.
    """
    layers = _layers(graph)
    pulled = set(graph.pulls_in(marked)) | {graph.name(marked)} if marked else set()
    users = set(graph.used_by(marked, everywhere=True)) if marked else set()
    title = f"{plural(len(graph), 'module')} by what has to be loaded first"
    description = _describe(graph, layers, marked, len(pulled), len(users))
    drawing = Drawing(WIDTH)
    _legend(drawing, graph)
    y = float(TOP)
    for depth in sorted(layers, reverse=True):
        y = _layer(drawing, graph, depth, layers[depth], y, pulled, users)
    text = _text(graph, layers, title, marked, pulled, users)
    return View(title, description, text, drawing.svg(title, description, y))


def _layers(graph: DependencyGraph) -> dict[int, list[str]]:
    layers: dict[int, list[str]] = {}
    for name, depth in graph.depths.items():
        layers.setdefault(depth, []).append(name)
    for names in layers.values():
        names.sort(key=lambda name: (graph.folders.get(name, ""), name))
    return layers


def _fill(graph: DependencyGraph, name: str) -> str:
    parts = graph.folders.get(name, "").split("/")
    return FILLS.get(parts[1] if len(parts) > 1 else "", OTHERS)


def _layer(
    drawing: Drawing, graph: DependencyGraph, depth: int, names: list[str], y: float, pulled: set[str],
    users: set[str],
) -> float:  # fmt: skip
    """Draw one layer from ``y`` on; where the next begins. All squares of one fill are one path."""
    paths: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        x, row = LEFT + number % PER_ROW * STEP, int(y) + number // PER_ROW * STEP
        css = "tip" if name in pulled else f"f-{_fill(graph, name)}"
        paths.setdefault(css, []).append(f"M{x} {row}h{SIDE}v{SIDE}h-{SIDE}z")
        if name in users:
            paths.setdefault("thin", []).append(f"M{x} {row}h{SIDE}v{SIDE}h-{SIDE}z")
    for css, squares in sorted(paths.items()):
        drawing.path("".join(squares), css)
    rows = -(-len(names) // PER_ROW)
    drawing.text(LEFT - 8, y + 8, _layer_name(depth), "b", "end")
    drawing.text(LEFT - 8, y + 21, f"{len(names):,}", "s", "end")
    shown = ", ".join(_most_used(graph, names, NAMED))
    bottom = y + max(rows * STEP, 14)
    drawing.text(
        LEFT, bottom + 12, f"most used: {shown}" if shown else "used by none", "s", room=WIDTH - LEFT
    )
    return bottom + BETWEEN


def _layer_name(depth: int) -> str:
    return f"layer {depth}" if depth >= 0 else "in circles"


def _legend(drawing: Drawing, graph: DependencyGraph) -> None:
    counts = Counter(_fill(graph, name) for name in graph.direct)
    x = float(LEFT)
    for folder, fill in {**FILLS, "elsewhere": OTHERS}.items():
        if counts[fill]:
            drawing.add(f'<rect x="{x:.0f}" y="12" width="10" height="10" class="f-{fill} box"/>')
            drawing.text(x + 15, 21, f"{folder} {counts[fill]:,}", "s")
            x += 105


def _most_used(graph: DependencyGraph, names: list[str], most: int) -> list[str]:
    users: Mapping[str, tuple[str, ...]] = graph.users
    chosen = sorted((name for name in names if users[name]), key=lambda name: (-len(users[name]), name))
    return [f"{name} ({len(users[name]):,})" for name in chosen[:most]]


def _describe(
    graph: DependencyGraph, layers: Mapping[int, list[str]], marked: str | None, pulled: int, users: int
) -> str:
    counts = "; ".join(f"{_layer_name(depth)}: {len(layers[depth]):,}" for depth in sorted(layers))
    words = f"{graph.edges:,} dependencies. {counts}."
    if marked:
        words += (
            f" Black: {graph.name(marked)} and the {pulled - 1:,} it pulls in; framed: its {users:,} users."
        )
    return words


def _text(
    graph: DependencyGraph, layers: Mapping[int, list[str]], title: str, marked: str | None, pulled: set[str],
    users: set[str],
) -> str:  # fmt: skip
    rows: list[tuple[str, ...]] = [
        ("layer", "modules", "drivers", "sound", "net", "fs", "elsewhere", "most used")
    ]
    for depth in sorted(layers, reverse=True):
        names = layers[depth]
        kinds = Counter(_fill(graph, name) for name in names)
        used = ", ".join(_most_used(graph, names, NAMED)) or "-"
        cells = [str(kinds[fill]) for fill in (*FILLS.values(), OTHERS)]
        rows.append((_layer_name(depth), f"{len(names):,}", *cells, used))
    lines = [title, columns(rows, right=(1, 2, 3, 4, 5, 6))]
    if marked:
        name = graph.name(marked)
        needed = ", ".join(graph.pulls_in(name)) or "nothing"
        direct = ", ".join(graph.used_by(name)) or "none"
        lines += [
            f"{name} pulls in {len(pulled) - 1:,}: {needed}",
            f"{name} is used by {len(users):,}, directly by: {direct}",
        ]
    return "\n".join(lines)
