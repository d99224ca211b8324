# SPDX-License-Identifier: GPL-2.0-only
"""The time line of a load as a matplotlib figure, for print: bytes written by each stage, its states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.patches import Rectangle

from .memory_figure import _HATCH, MapFigure, _figure
from .svg import FILLS, INK
from .timeline import _STATE_FILL, Moment, timeline


def timeline_figure(moments: Sequence[Moment], title: str) -> MapFigure:
    """A bar for each stage on a logarithmic axis; a failing one is hatched and marked ✗. The text twin is the
    time line's."""
    figure, axes = _figure(4.2, timeline(moments, title))
    places = range(len(moments))
    sizes = [moment.changed for moment in moments]
    fills = ["bad" if moment.failed else "code" for moment in moments]
    bars = axes.bar(places, sizes, color=[FILLS[fill] for fill in fills], edgecolor=INK, linewidth=0.6)
    for bar, fill in zip(bars, fills, strict=True):
        bar.set_hatch(_HATCH[fill])
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(0, 20 * max(sizes, default=1) + 1)
    axes.set_ylabel("bytes of memory written")
    names = [f"{'✗ ' if moment.failed else ''}{moment.function}" for moment in moments]
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set_title(title, loc="left", fontsize=10)
    _states(axes, moments)
    return figure


def _states(axes: Any, moments: Sequence[Moment]) -> None:
    """A band for each state along the top of the axes."""
    across, begin = axes.get_xaxis_transform(), 0
    while begin < len(moments):
        end, state = begin, moments[begin].state
        while end < len(moments) and moments[end].state == state:
            end += 1
        if state:
            fill = _STATE_FILL.get(state, "plain")
            look: dict[str, Any] = {"facecolor": FILLS[fill], "edgecolor": INK, "linewidth": 0.6}
            axes.add_patch(Rectangle((begin - 0.5, 0.93), end - begin, 0.07, transform=across, **look))
            middle = (begin + end - 1) / 2
            axes.text(middle, 0.965, state, transform=across, ha="center", va="center", fontsize=7, color=INK)
        begin = end
