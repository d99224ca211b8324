# SPDX-License-Identifier: GPL-2.0-only
"""Modules at COMING, recorded on the real kernel, beside kmodsim's: one row for each kind of section.

A case is one section (or address, errno, …) of one load. Needs the distribution's modules; loading, comparing
and the causes of differences in data are those of tests/realkernel/coming.py and observer/.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.realkernel.coming import FILES, replay
from tests.realkernel.observer.causes import CAUSES
from tests.realkernel.observer.replay import Difference
from tests.realkernel.observer.truth import load
from tests.test_coming_truth import NOT_MODELLED

from .rows import Row

GROUPS = {"chosen": "chosen modules as they come", "all": "all modules as they come"}
# All data sections together, without the places of known causes: no case counts these, but they are named.
DATA = "data but for causes"
# The same without those places only whose bytes no two boots have in common: not one more case.
NOT_COUNTED = ("data but for chance", "all data")
# What a comparison is called in the truth, or how it begins -> the row's title. The first that fits counts.
TITLES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("errno",), "errno of loads and unloads"),
    (("log",), "log of loads and unloads"),
    (("core", "init"), "base and size of core and init"),
    (("percpu",), "per-CPU data: where"),
    (("addresses", "sections"), "addresses of all sections"),
    (("sysfs",), "/sys/module/NAME"),
    ((".text", ".init.text", ".exit.text", ".noinstr.text", ".ref.text", ".sched.text", ".spinlock.text",
      ".kprobes.text", ".irqentry.text", ".softirqentry.text", ".static_call.text", ".cpuidle.text",
      ".entry.text"), "code: .text, .init.text, .exit.text, …"),
    ((".rodata", ".init.rodata"), "read-only data: .rodata*, .init.rodata"),
    ((".symtab", ".strtab", "rest of"), "kallsyms' copies, and what lies between sections"),
    ((DATA,), "data sections, but for the causes listed below"),
    ((".", "_"), "tables: exports, parameters, ORC, patch sites, …"),
)  # fmt: skip
EXACT = {"errno", "log", "core", "init", "percpu", "addresses", "sections", "sysfs"}


class Key(NamedTuple):
    """What identifies a case."""

    boot: str
    module: str
    kind: str


def title(kind: str) -> str:
    """The row under which a comparison counts; LookupError when there is none."""
    for starts, found in TITLES:
        begins = kind not in EXACT and kind.startswith(tuple(s for s in starts if s not in EXACT))
        if kind in starts or begins:
            return found
    raise LookupError(f"no row for {kind!r}")


@cache
def recorded(what: str) -> dict[str, Any]:
    """A truth file, {} when it is not there."""
    return load(FILES[what]) if FILES[what].is_file() else {}


def compared(step: dict[str, Any]) -> Iterator[str]:
    """What is compared of one step."""
    yield from ("errno", "log")
    if "core" in step:
        yield from ("core", "init", "percpu")
        yield from (kind for kind in ("sections", "sysfs") if kind in step)
        yield from (kind for kind in step["digests"] if kind not in NOT_COUNTED)


def cases(what: str) -> Counter[str]:
    """Row title to the number of cases, in the table's order."""
    boots = recorded(what).get("boots", {})
    found = Counter(title(kind) for steps in boots.values() for step in steps for kind in compared(step))
    return Counter({name: found[name] for _, name in TITLES if found[name]})


def promised() -> list[Row]:
    """The rows as they are when nothing differs, without loading a module."""
    counted = [(group, name, count) for what, group in GROUPS.items() for name, count in cases(what).items()]
    return [Row(group, name, count, count, 0) for group, name, count in counted]


def measured(pool: Executor, tree: Path) -> list[Row]:
    """The rows as loading every module gives them."""
    rows = []
    for what in GROUPS:
        boots = list(recorded(what).get("boots", {}))
        found: dict[Key, list[Difference]] = {}
        for part in pool.map(judge_boot, [what] * len(boots), boots, [str(tree)] * len(boots)):
            found |= part
        rows += [_row(GROUPS[what], name, count, found) for name, count in cases(what).items()]
    return rows


def judge_boot(what: str, boot: str, tree: str) -> dict[Key, list[Difference]]:
    """What differs in one boot, but for what no two boots have in common."""
    steps = recorded(what)["boots"][boot]
    kinds = {(step.get("load") or step["unload"], kind) for step in steps for kind in compared(step)}
    found: dict[Key, list[Difference]] = {}
    for difference in replay(what, [boot], Path(tree)):
        cause, kind = difference.cause, difference.kind
        if cause in CAUSES and CAUSES[cause].by_chance:
            continue
        cause = cause or NOT_MODELLED.get((difference.module, kind))
        if (difference.module, kind) not in kinds:
            kind = DATA
        found.setdefault(Key(boot, difference.module, kind), []).append(difference._replace(cause=cause))
    return found


def _row(group: str, name: str, count: int, found: Mapping[Key, list[Difference]]) -> Row:
    """A case differs when there is no cause for some of it; else it lies beyond the model, except in data,
    where the places of causes are left out."""
    mine = [(key.boot, found[key]) for key in found if title(key.kind) == name]
    complaints = [f"{boot}: {d}" for boot, some in mine for d in some if d.cause is None]
    different = sum(any(d.cause is None for d in some) for _, some in mine)
    causes = Counter(d.cause for _, some in mine for d in some if d.cause is not None)
    why = ", ".join(f"{cause} ({number})" for cause, number in causes.most_common())
    beyond = sum(_is_beyond(name, [d.cause for d in some]) for _, some in mine)
    equal = count - different - beyond
    reasons = {f"{group}: {name}": why} if why else {}
    return Row(group, name, count, equal, different, beyond, tuple(complaints), reasons)


def _is_beyond(name: str, causes: Sequence[str | None]) -> bool:
    listed = any(cause in NOT_MODELLED.values() for cause in causes)
    return None not in causes and (listed or name != title(DATA))


def causes() -> dict[str, str]:
    """Where the kernel writes what kmodsim does not know or not do: name to function and what."""
    return {name: f"{cause.function}: {cause.what}" for name, cause in CAUSES.items()}
