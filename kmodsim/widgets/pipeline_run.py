# SPDX-License-Identifier: GPL-2.0-only
"""A load that was photographed after each stage: any stage can be shown alone, without doing it again."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any

from .. import syscalls
from ..corpus import sample
from ..errors import KernelError
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..trace import Record, Trace
from ..views.facts import facts, words
from ..views.memory_map import module_map
from ..views.memory_rows import Part
from ..views.of_kernel import outcome, parts_of
from ..views.of_results import moments_of
from ..views.pipeline import DONE, FAILED, UNREACHED, Step, strip
from ..views.stage import Change, changes_table, time_bar, values_table
from ..views.timeline import Moment
from ..views.view import View
from .attempt import providers
from .faults import BY_LABEL, FAULTS
from .guessing import Guesses

LISTED = 10  # changes of a stage that are written out
GUESSES: Guesses = {
    "this stage writes no byte of memory": lambda size: size == 0,
    "this stage writes up to 100 bytes": lambda size: 0 < size <= 100,
    "this stage writes more than 100 bytes": lambda size: size > 100,
}


class Photographs(Trace):
    """A trace that keeps, with each record, the module's memory as it was then."""

    def __init__(self, load: Load) -> None:
        super().__init__()
        self.load = load
        self.parts: list[tuple[Part, ...]] = []

    def append(self, record: Record) -> None:
        module = self.load.module
        if module is not None and not module.all_sections:
            module = None
        self.parts.append(tuple(parts_of(module)) if module is not None else ())
        super().append(record)


@dataclass(frozen=True)
class PipelineRun:
    """One traced load. ``trace[k]`` and ``parts[k]`` belong together."""

    name: str
    params: str
    kernel: Kernel
    load: Load
    trace: Photographs
    moments: tuple[Moment, ...]

    def next_change(self, stage: int, step: int = 1) -> int:
        """The nearest stage after (or before) ``stage`` that wrote memory; ``stage`` where there is none."""
        found = stage + step
        while 0 <= found < len(self.moments):
            if self.moments[found].changed:
                return found
            found += step
        return stage

    def views(self, stage: int) -> list[View]:
        """Stage ``stage``, counted from 0: pipeline, time line, what went in and out, bytes, memory."""
        record = self.trace[stage]
        command = f"insmod {self.name}.ko {self.params}".strip()
        result = outcome(self.load.error)
        views = [
            strip(self._steps(stage), command, result),
            time_bar(self.moments, stage, f"{len(self.moments)} stages of {command}"),
            values_table(_pairs(record.inputs), _pairs(record.outputs), "In and out"),
        ]
        if record.changes:
            views.append(changes_table(self._changes(stage), len(record.changes), record.changes.size,
                                       f"Bytes that {record.stage} wrote"))  # fmt: skip
        if self.trace.parts[stage]:
            note = f"As of stage {stage + 1}, {record.stage}."
            views.append(module_map(self.name, self.trace.parts[stage], note))
        return views

    def _steps(self, stage: int) -> list[Step]:
        steps = []
        for number, record in enumerate(self.trace):
            state = UNREACHED if number > stage else FAILED if record.error else DONE
            steps.append(Step(record.title, record.stage, state, f"{record.source}:{record.function}"))
        return steps

    def _changes(self, stage: int) -> list[Change]:
        found = islice(self.trace[stage].changes, LISTED)
        return [Change(self.place(c.start, stage), c.start, c.before, c.after) for c in found]

    def place(self, address: int, stage: int) -> str:
        """``.text+0x12``; where no section is, the part: ``core+0x2000``."""
        for part in self.trace.parts[stage]:
            for name, start, size in part.sections:
                if start <= address < start + size:
                    return f"{name}+{address - start:#x}"
            if part.base <= address < part.base + 4096 * len(part.pages):
                return f"{part.kind}+{address - part.base:#x}"
        return "elsewhere"

    def headline(self, stage: int) -> str:
        record = self.trace[stage]
        sign = f"✗ {record.error}" if record.error else "✓"
        ended = " (the load ends here)" if stage + 1 == len(self.trace) and record.error else ""
        return f"{stage + 1} of {len(self.trace)}{ended} {sign} {record.stage}: {record.title}"

    def models(self, stage: int) -> str:
        record = self.trace[stage]
        since = f", so since {record.since}"
        return f"Modelled: {record.source}:{record.function}{since}. {record.note}".strip()

    def log(self, stage: int) -> str:
        return "\n".join(line[3:] for line in self.trace[stage].log)

    def text(self, stage: int) -> str:
        """The whole answer as text."""
        log = [f"The log:\n{self.log(stage)}"] if self.log(stage) else []
        views = [view.text for view in self.views(stage)]
        return "\n\n".join([self.headline(stage), self.models(stage), *log, *views])

    def html(self, stage: int) -> str:
        """The whole answer for a notebook."""
        prompt = "overflow-x:auto;line-height:1.35;border-left:3px solid;padding-left:.7em"
        log = f'<pre tabindex="0" style="{prompt}">{escape(self.log(stage))}</pre>' if self.log(stage) else ""
        return (
            f'<p style="font-size:115%;margin:.4em 0"><b>{escape(self.headline(stage))}</b></p>'
            f'<p style="margin:.2em 0;font-size:90%">{escape(self.models(stage))}</p>{log}'
            + "".join(view._repr_html_() for view in self.views(stage))
        )


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, short(name, value)) for name, value in values.items()]


def short(name: str, value: Any) -> str:
    """Large values counted, as in the time line."""
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        said = facts({name: value})
        return said[0] if said else "nothing"
    return words(value, 70) if value is not None else "none"


def _known_providers(file: ModuleFile) -> list[str]:
    """What it needs, as far as it comes along; without it the load fails, which is to be seen too."""
    try:
        return providers(file)
    except ValueError:
        return []


def photographed(name: str, params: str = "", fault: str = FAULTS[0].label) -> PipelineRun:
    """Load a module into a fresh kernel where this goes wrong (a label of ``FAULTS``), a photograph a stage.

    ``name``: of a sample, or a path. ValueError, KernelError: there is no such file.
    """
    file = ModuleFile(sample(name)) if "/" not in name else ModuleFile(name)
    wrong = BY_LABEL[fault]
    kernel = Kernel(**wrong.kernel(file))
    for provider in _known_providers(file):
        kernel.load(sample(provider), trace=False)
    if wrong.twice:
        kernel.load(file.data, trace=False)
    call = syscalls.Call(kernel, params, 0, True)
    trace = Photographs(call.load)
    call.load.trace = trace
    load = call.load
    try:
        syscalls.finit_module(call, wrong.edit(file), kernel.caller(None))
    except KernelError as error:
        load.error, load.module = error, None
    return PipelineRun(file.name, params, kernel, load, trace, tuple(moments_of(trace)))
