# SPDX-License-Identifier: GPL-2.0-only
"""Judging a learner's function: ``claim`` for graded cells, ``check`` for learning, in the same words.

A function is called with data and judged by the data it returns; it may live in this process or in a
confined one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

from .plain import NotPlainError, plain
from .seeds import random_for, student
from .task import Case, Claim, Task
from .words import difference, show

ARGUMENT = 110  # characters of an argument that are shown


class Verdict(NamedTuple):
    """``ok``, how many calls were made, and the words about the first wrong one ("" when all were right)."""

    ok: bool
    calls: int
    words: str = ""


def find_task(name: str) -> Task:
    """The task of that name; ValueError that lists the known ones."""
    from .tasks import TASKS

    if name not in TASKS:
        raise ValueError(f"no task is called {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]


def judge(task: Task, claim: Claim, mine: Callable[..., Any], seed: object, key: str = "") -> Verdict:
    """Call ``mine`` with every case of the claim, up to the first wrong answer."""
    calls = 0
    for case in claim.cases(random_for(key, seed, task.name, claim.title)):
        calls += 1
        words = _one(task, case, mine)
        if words:
            return Verdict(False, calls, words)
    assert calls, f"{task.name}: {claim.title}: no cases"
    return Verdict(True, calls)


def _one(task: Task, case: Case, mine: Callable[..., Any]) -> str:
    expected = plain(task.truth(*copy.deepcopy(case)))
    try:
        found = plain(mine(*copy.deepcopy(case)))
    except NotImplementedError:
        return f"{task.name} is not written yet."
    except NotPlainError as error:
        return f"{_call(task, case)}: it returns no plain data: {error}."
    except Exception as error:
        return (
            f"{_call(task, case)}: expected {show(expected)}, but the function raised "
            f"{type(error).__name__}: {str(error)[:200]}"
        )
    words = difference(expected, found)
    if not words:
        return ""
    note = task.note(case, expected, found) if task.note else ""
    return f"{_call(task, case)}\n  {words}" + (f"\n  {note}" if note else "")


def _call(task: Task, case: Case) -> str:
    shown = (text if len(text := show(argument)) <= ARGUMENT else text[:ARGUMENT] + "…" for argument in case)
    return f"{task.name}({', '.join(shown)})"


def claim(name: str, mine: Callable[..., Any], title: str, points: int, key: str = "") -> int:
    """``points`` when ``mine`` fulfils the claim ``title`` of the task, else 0; says in words what is wrong.

    What a graded cell calls. ``key`` is what a course's secret adds to hidden claims.
    """
    task = find_task(name)
    verdict = judge(task, task.claim(title), mine, student(), key)
    print(_line(verdict, title, points))
    if not verdict.ok:
        print(f"  {verdict.words}\n  Read {task.models}.")
    return points if verdict.ok else 0


def _line(verdict: Verdict, title: str, points: int) -> str:
    worth = f"{points} point" + ("s" if points != 1 else "")
    return f"✓ {title}: {worth}" if verdict.ok else f"✗ {title}: 0 of {worth}"


def check(name: str, mine: Callable[..., Any], seed: object = None) -> bool:
    """Judge ``mine`` by the public claims and by practice of the others; print what is wrong and where.

    ``name``: a task, see ``kmodsim.course.tasks.TASKS``. The inputs of the hidden and variant claims are
    drawn from ``seed`` (default: the user's name, with "practice" added, so they are not those of the
    grading). Returns whether all went well. ValueError for an unknown name.
    """
    task = find_task(name)
    all_well = True
    for one in task.claims:
        base = student() if one.kind == "public" else f"practice {student() if seed is None else seed}"
        verdict = judge(task, one, mine, base)
        all_well &= verdict.ok
        print(f"{'✓' if verdict.ok else '✗'} {one.title}")
        if not verdict.ok:
            print(f"  {verdict.words}\n  Read {task.models}. Hint: {task.hint}")
            if verdict.words.endswith("is not written yet."):
                break
    return all_well
