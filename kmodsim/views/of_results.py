# SPDX-License-Identifier: GPL-2.0-only
"""From results of tools and traces to the plain data that views draw: modprobe's steps, time lines."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .plan import PlanLine, modprobe_plan
from .timeline import Moment
from .view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..trace import Record
    from ..userland.modprobe import Done, Plan, Step


def steps_of_modprobe(
    plan: Plan | Sequence[Done], title: str = "", needs: Mapping[str, Sequence[str]] | None = None
) -> View:
    """The steps of a ``Plan``, or of a run of modprobe with their results (``ToolResult.value``).

    ``needs``: module -> those whose symbols it takes; None: of the distribution's modules, from the index.
    """
    from ..userland.modprobe import Plan

    if isinstance(plan, Plan):
        lines = [_line(step) for step in plan.steps]
        title = title or f"The plan of modprobe {'-r ' if plan.remove else ''}{plan.word}"
    else:
        lines = [_line(done.step, _fails(done)) for done in plan]
    if needs is None:
        from ..corpus import index

        known = {line.module for line in lines} & set(index())
        needs = {name: [other.replace("-", "_") for other in index()[name].depends] for name in known}
    return modprobe_plan(lines, needs, title or "The steps of modprobe")


def _fails(done: Done) -> bool:
    return done.result < 0 and not done.step.loaded and done.step.needed


def _line(step: Step, failed: bool = False) -> PlanLine:
    path = (step.path or "").partition("/lib/modules/")[2].partition("/")[2] or step.path or ""
    command = step.expanded if step.command else ""
    return PlanLine(step.action, step.module, path, step.reason, tuple(step.options), command, failed)


def moments_of(trace: Sequence[Record]) -> list[Moment]:
    """The stages of a trace for the time bar, each with the module's state after it."""
    moments, state = [], ""
    for record in trace:
        state = str(record.outputs.get("state") or state)
        log = tuple(line[3:] for line in record.log)
        moments.append(Moment(record.title, record.stage, record.source, state, record.changes.size, (), log,
                              bool(record.error)))  # fmt: skip
    return moments


def trace_figure(trace: Sequence[Record], title: str) -> Figure:
    """The time line of a traced load (``load.trace``) as a matplotlib ``Figure`` for print."""
    # matplotlib's first import writes to stderr, where a notebook must not write
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from .timeline_figure import timeline_figure

    return timeline_figure(moments_of(trace), title)
