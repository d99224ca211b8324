# SPDX-License-Identifier: GPL-2.0-only
"""One module after the other: a fresh kernel, the modules it depends on, its init function, its exit.

What is not implemented is answered by stand-ins (policy "typed"). A dependency that does not start on this
machine without devices is loaded all the same, its init left out, so that every module gets its turn.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from kmodsim import Kernel, KernelError, KernelOops, corpus
from kmodsim.errors import NotModelled, WouldWait, errno_name
from kmodsim.loader.load import Load
from kmodsim.moduleindex import IndexedModule


@dataclass
class Outcome:
    """What came of one module. ``end``: "0", an errno's name, "oops", "limit", "not modelled", or the name of
    a Python exception; "" when there is no init. ``after``: the same of exit."""

    name: str
    end: str = ""
    why: str = ""
    after: str = ""
    without: list[str] = field(default_factory=list)  # dependencies whose init was left out
    seconds: float = 0.0


@dataclass
class Survey:
    """All outcomes, and how often each kernel function was called, and answered by a stand-in."""

    outcomes: list[Outcome] = field(default_factory=list)
    called: Counter[str] = field(default_factory=Counter)
    made_up: Counter[str] = field(default_factory=Counter)
    registered: Counter[str] = field(default_factory=Counter)

    def add(self, other: Survey) -> None:
        self.outcomes += other.outcomes
        for mine, theirs in ((self.called, other.called), (self.made_up, other.made_up),
                             (self.registered, other.registered)):  # fmt: skip
            mine.update(theirs)


def ended(error: KernelError | None) -> tuple[str, str]:
    """(how, more words) of a call."""
    if error is None:
        return "0", ""
    if isinstance(error, KernelOops):
        lines = (error.report or "").splitlines()
        return "oops", next((line for line in lines if line.startswith("RIP:")), lines[0] if lines else "")
    if isinstance(error, WouldWait):
        return "limit", error.why
    if isinstance(error, NotModelled):
        return "not modelled", error.why
    return errno_name(error.errno), str(error.stage)


def needed_by(name: str) -> list[IndexedModule]:
    """The modules that have to be there first, in the order of loading."""
    index, order = corpus.index(), dict[str, None]()

    def visit(each: str) -> None:
        if each not in order:
            for other in index[each].depends:
                visit(other)
            order[each] = None

    visit(name)
    return [index[each] for each in order if each != name]


def prepared(tree: Path, needed: list[IndexedModule], without: set[str]) -> Kernel:
    """A kernel with these modules, the init of those in ``without`` left out; who fails joins them."""
    while True:
        kernel = Kernel(cpu="typed")
        for each in needed:
            if each.name in without:
                kernel.functions["init_module"] = lambda: 0  # every init function has this second name
            try:
                kernel.finit_module(tree / each.path)
            except KernelError:
                without.add(each.name)
                break
            finally:
                kernel.functions.pop("init_module", None)
        else:
            return kernel


def try_one(tree: Path, module: IndexedModule, without: set[str], survey: Survey) -> Outcome:
    """Load it and, when its init returned 0, unload it."""
    start, outcome = time.perf_counter(), Outcome(module.name)
    needed = needed_by(module.name)
    kernel = prepared(tree, needed, without)
    outcome.without = sorted(without & {each.name for each in needed})
    before = len(kernel.calls)
    try:
        load: Load = kernel.load(tree / module.path, trace=False)
        outcome.end, outcome.why = ended(load.error)
        survey.registered.update(each.kind for each in kernel.cpu.registered if each.module == module.name)
        if load.error is None and module.has_exit:
            outcome.after = ended(unloaded(kernel, module.name))[0]
    except Exception as error:
        outcome.end, outcome.why = type(error).__name__, str(error)
    outcome.end = outcome.end if module.has_init else ""
    for call in kernel.calls[before:]:
        survey.called[call.name] += 1
        survey.made_up[call.name] += call.stubbed
    outcome.seconds = time.perf_counter() - start
    return outcome


def unloaded(kernel: Kernel, name: str) -> KernelError | None:
    try:
        kernel.delete_module(name)
    except KernelError as error:
        return error
    return None


def run_share(share: int, shares: int, names: list[str]) -> Survey:
    """One process's part."""
    tree, index, survey = corpus.tree(), corpus.index(), Survey()
    assert tree is not None
    without: set[str] = set()
    for name in names[share::shares]:
        survey.outcomes.append(try_one(tree, index[name], without, survey))
    return survey


def run(names: list[str] | None = None, jobs: int = 2) -> Survey:
    """All modules of the tree, or those named, in ``jobs`` processes."""
    chosen = names if names is not None else list(corpus.index())
    whole = Survey()
    with ProcessPoolExecutor(jobs) as pool:
        for part in pool.map(run_share, range(jobs), [jobs] * jobs, [chosen] * jobs):
            whole.add(part)
    whole.outcomes.sort(key=lambda outcome: outcome.name)
    return whole
