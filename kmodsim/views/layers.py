# SPDX-License-Identifier: GPL-2.0-only
"""A plain layered drawing of a graph: users above, what they use below. Needs no program and no package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .svg import Drawing, text_width

BOX_H, ROW_H, GAP, MARGIN = 40, 92, 26, 14


def ranks(uses: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Row of each node: 0 where nobody uses it, else one below the lowest of its users. Cycles are cut."""
    users: dict[str, list[str]] = {name: [] for name in uses}
    for name, others in uses.items():
        for other in others:
            users.setdefault(other, []).append(name)
    rank: dict[str, int] = dict.fromkeys(users, 0)
    for _ in range(len(rank)):
        changed = False
        for name, above in users.items():
            want = max((rank[user] + 1 for user in above if user != name), default=0)
            if want > rank[name] and want < len(rank):
                rank[name], changed = want, True
        if not changed:
            break
    return rank


def rows_of(uses: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The nodes row by row; ordered within a row by the middle of their users: few crossings."""
    rank = ranks(uses)
    out: list[list[str]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    for name, number in rank.items():
        out[number].append(name)
    place = {name: float(i) for row in out for i, name in enumerate(row)}
    for names in out[1:]:
        names.sort(key=lambda name: _middle(name, uses, place))
        place.update({name: float(i) for i, name in enumerate(names)})
    return [row for row in out if row]


def _middle(name: str, uses: Mapping[str, Sequence[str]], place: Mapping[str, float]) -> float:
    above = [place[user] for user, others in uses.items() if name in others]
    return sum(above) / len(above) if above else place[name]


def layered(
    uses: Mapping[str, Sequence[str]], labels: Mapping[str, str], title: str, description: str
) -> str:
    """SVG of the graph. ``labels``: what to write in a node, lines separated by newlines."""
    grid = rows_of(uses)
    widths = {
        name: 24 + max(text_width(line, "b") for line in labels.get(name, name).split("\n"))
        for row in grid
        for name in row
    }
    spread = [sum(widths[name] + GAP for name in row) - GAP for row in grid]
    width = int(max([320, *spread]) + 2 * MARGIN)
    drawing = Drawing(width)
    middle: dict[str, tuple[float, float]] = {}
    for number, row in enumerate(grid):
        x = (width - spread[number]) / 2
        for name in row:
            middle[name] = (x + widths[name] / 2, MARGIN + number * ROW_H)
            x += widths[name] + GAP
    for name, others in uses.items():
        for other in others:
            _edge(drawing, middle[name], middle[other])
    for name, (x, y) in middle.items():
        drawing.rect(x - widths[name] / 2, y, widths[name], BOX_H, "good", radius=6)
        lines = labels.get(name, name).split("\n")
        for index, line in enumerate(lines):
            drawing.text(
                x,
                y + BOX_H / 2 + 4 + 14 * (index - (len(lines) - 1) / 2),
                line,
                "on b" if not index else "on s",
                "middle",
            )
    return drawing.svg(title, description, 2 * MARGIN + (len(grid) - 1) * ROW_H + BOX_H)


def _edge(drawing: Drawing, above: tuple[float, float], below: tuple[float, float]) -> None:
    (x0, y0), (x1, y1) = (above[0], above[1] + BOX_H), (below[0], below[1] - 2)
    if y1 <= y0:  # part of a cycle, or within one row: leave from the side
        y0 -= BOX_H / 2
    bend = (y0 + y1) / 2
    drawing.path(f"M{x0:.0f} {y0:.0f}C{x0:.0f} {bend:.0f} {x1:.0f} {bend:.0f} {x1:.0f} {y1:.0f}", arrow=True)
