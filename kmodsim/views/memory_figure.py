# SPDX-License-Identifier: GPL-2.0-only
"""Memory maps as matplotlib figures, for print and for notebooks that stand: no pyplot, no global state."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from .memory_map import LEGEND, MOST_BLOCKS, area_map, module_map
from .memory_rows import PAGE, Part, Row, Stretch, fill_of, rows
from .svg import FILLS, INK
from .view import View, size_text, with_twin

_HATCH = {
    "rodata": "..",
    "roafter": "//",
    "data": "||",
    "guard": "xx",
    "bad": "xx",
    "code": "",
    "taken": "--",
}
_CHAR = 34  # bytes of a page that one letter of a label takes up


class MapFigure(Figure):
    """A matplotlib ``Figure`` that shows itself without pyplot, with its text twin (``view.text``)."""

    view: View

    def _repr_png_(self) -> bytes:
        target = io.BytesIO()
        self.savefig(target, format="png", dpi=100)
        return target.getvalue()

    def _repr_html_(self) -> str:
        """The picture with its description for screen readers, and the text twin folded below."""
        alt = escape(f"{self.view.title}. {self.view.description}")
        data = base64.b64encode(self._repr_png_()).decode()
        image = f'<img alt="{alt}" style="max-width:100%" src="data:image/png;base64,{data}">'
        return with_twin(image, self.view)


def _figure(height: float, view: View) -> tuple[MapFigure, Any]:
    figure = MapFigure(figsize=(9.4, height), facecolor="white", layout="constrained")
    figure.view = view
    axes = figure.add_subplot()
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _bar(axes: Any, y: float, start: float, width: float, fill: str) -> None:
    corner = (start, y - 0.36)
    axes.add_patch(Rectangle(corner, width, 0.72, facecolor=FILLS[fill], edgecolor=INK, linewidth=0.8))
    if hatch := _HATCH.get(fill):  # a second, hollow one: the hatch may then be paler than the edge
        pale = Rectangle(
            corner, width, 0.72, facecolor="none", edgecolor="#00000040", linewidth=0, hatch=hatch
        )
        axes.add_patch(pale)


def module_figure(name: str, parts: Sequence[Part], note: str = "") -> MapFigure:
    """A row for each page (lowest address on top), sections to scale inside it."""
    lines = [(part, row) for part in parts for row in [*rows(part), None]]
    figure, axes = _figure(1.5 + 0.36 * len(lines), module_map(name, parts, note))
    labels = []
    for y, (part, row) in enumerate(lines):
        if row is None:
            end = part.base + len(part.pages) * PAGE
            _bar(axes, y, 0, PAGE, "guard")
            labels.append(f"{end:#x}  guard page")
            continue
        _pages(axes, y, row)
        times = f" ×{row.pages}" if row.pages > 1 else ""
        labels.append(f"{row.address:#x}  {part.kind} {row.permission}{times}")
    axes.set_yticks(range(len(lines)), labels, family="monospace", fontsize=8)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlim(0, PAGE)
    axes.set_xticks(range(0, PAGE + 1, 512))
    axes.set_xlabel("bytes from the start of the page (rows of several pages: in proportion)")
    axes.set_title(f"Memory of {name}" + (f"\n{note}" if note else ""), loc="left", fontsize=11)
    _legend(figure, (*LEGEND, ("guard", "--- guard page")))
    return figure


def _pages(axes: Any, y: float, row: Row) -> None:
    """One bar; names stand in their pieces where they fit, otherwise behind the last one."""
    scale = PAGE / row.span
    corner = (0.0, y - 0.36)
    axes.add_patch(
        Rectangle(corner, PAGE, 0.72, facecolor="white", edgecolor="#888888", linewidth=0.5, linestyle=":")
    )
    small = []
    for piece in row.pieces:
        start, width = piece.start * scale, (piece.end - piece.start) * scale
        _bar(axes, y, start, width, fill_of(row, piece))
        if width > _CHAR * len(piece.name) + 40:
            axes.text(
                start + 18,
                y,
                piece.name,
                va="center",
                fontsize=8,
                color=INK,
                bbox={"facecolor": "#ffffffb0", "edgecolor": "none", "pad": 0.6},
            )
        else:
            small.append(piece.name)
    end = row.pieces[-1].end * scale if row.pieces else 0.0
    words = "‹ " + ", ".join(small)
    room = int((PAGE - end - 40) / _CHAR)
    if small and room > 8:
        axes.text(
            end + 20, y, words if len(words) <= room else words[: room - 1] + "…", va="center", fontsize=8
        )


def _legend(figure: Figure, marks: Sequence[tuple[str, str]]) -> None:
    patches = [
        Patch(facecolor=FILLS[fill], edgecolor=INK, hatch=_HATCH[fill], label=words, linewidth=0.6)
        for fill, words in marks
    ]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches), frameon=False, fontsize=8)


def area_figure(spans: Sequence[Stretch], title: str = "The module area") -> MapFigure:
    """A row for each module: its core and init parts and their guard pages, to scale."""
    mine = [span for span in spans if span.owner]
    owners = list(dict.fromkeys(span.owner for span in mine))[:MOST_BLOCKS]
    figure, axes = _figure(1.6 + 0.36 * max(1, len(owners)), area_map(spans, title))
    low = mine[0].start if mine else 0
    for span in mine:
        if span.owner in owners:
            fill = {"core": "code", "init": "roafter"}.get(span.kind, "guard")
            _bar(axes, owners.index(span.owner), (span.start - low) / 1024, span.size / 1024, fill)
    first = {name: next(span for span in mine if span.owner == name) for name in owners}
    labels = [f"{name}  {first[name].start:#x}" for name in owners]
    axes.set_yticks(range(len(owners)), labels, family="monospace", fontsize=8)
    axes.set_ylim(len(owners) - 0.4, -0.6)
    axes.set_xlim(0, (mine[-1].start + mine[-1].size - low) / 1024 * 1.02 if mine else 1)
    axes.set_xlabel(f"KiB above {low:#x}" if mine else "no module is loaded")
    boot = ", ".join(
        f"{span.kind} {size_text(span.size)}" for span in spans if not span.owner and span.kind != "hole"
    )
    free = sum(span.size for span in spans if span.kind == "hole")
    axes.set_title(
        f"{title}: {size_text(free)} free" + (f"; taken at boot: {boot}" if boot else ""),
        loc="left",
        fontsize=11,
    )
    _legend(figure, (("code", "core part"), ("roafter", "init part"), ("guard", "guard page")))
    return figure
