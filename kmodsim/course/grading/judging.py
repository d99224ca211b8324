# SPDX-License-Identifier: GPL-2.0-only
"""The judge: a submitted notebook in, the same notebook with trusted outputs and points out. Data only.

Test cells are taken from the source notebook and run in this process, which no learner's code ever enters.
A name of the learner's stands there for a function that asks the confined process.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import math
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from ..seeds import STUDENT_VARIABLE
from . import submission
from .confinement import Limits, Zygote
from .learner import EndedError, Learner

SPARE = 5.0  # seconds a test may think about the answers beyond the learner's own time


class Names(dict[str, Any]):
    """What a test cell sees: its own names first, Python's, then the learner's."""

    def __init__(self, learner: Learner, trusted: dict[str, Any]) -> None:
        super().__init__(trusted)
        self["__builtins__"] = builtins
        self._learner = learner

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)  # Python looks there next
        return self._learner.look(name)


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """EndedError after so many seconds: data may be made so that comparing it takes for ever."""

    def ring(*_: object) -> None:
        raise EndedError("its answers took too long to judge")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge(task: dict[str, Any], zygote: Zygote, limits: Limits) -> dict[str, Any]:
    """Grade one notebook. ``task``: student, assignment, notebook (bytes handed in), source (text).

    The result: student, assignment, notebook (text, with outputs), scores {grade_id: points}, notes,
    seconds. ConfinementError when no confined process can be had.
    """
    began = time.monotonic()
    source = json.loads(task["source"])
    try:
        handed_in = submission.read(task["notebook"])
        note = []
    except submission.UnreadableError as error:
        handed_in, note = [], [str(error)]
    notebook, notes = submission.sane(handed_in, source)
    learner = Learner(zygote, limits)
    try:
        with _environment(task["student"]):
            scores = _go_through(notebook["cells"], learner, limits)
    finally:
        learner.close()
    notes = note or notes + _boasts(handed_in, notebook["cells"])
    return {
        "student": task["student"],
        "assignment": task["assignment"],
        "notebook": json.dumps(notebook, ensure_ascii=False),
        "scores": scores,
        "notes": notes,
        "seconds": time.monotonic() - began,
    }


@contextlib.contextmanager
def _environment(student: str) -> Iterator[None]:
    before = os.environ.get(STUDENT_VARIABLE)
    os.environ[STUDENT_VARIABLE] = student
    try:
        yield
    finally:
        os.environ.pop(STUDENT_VARIABLE)
        if before is not None:
            os.environ[STUDENT_VARIABLE] = before


def _go_through(cells: list[dict[str, Any]], learner: Learner, limits: Limits) -> dict[str, float]:
    trusted: dict[str, Any] = {"__name__": "__main__"}
    scores: dict[str, float] = {}
    number = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        number += 1
        cell["execution_count"] = number
        learner.begin_cell()
        if submission.is_test(cell):
            points = float(submission.info(cell)["points"])
            name = submission.info(cell)["grade_id"]
            outputs, scores[name] = _test(cell, points, learner, trusted, limits)
        else:
            if submission.info(cell).get("locked"):
                exec(cell["source"], trusted)  # the source's own text
            outputs = _run(cell["source"], learner)
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
        cell["outputs"] = outputs
    return scores


def _run(source: str, learner: Learner) -> list[dict[str, Any]]:
    try:
        with deadline(learner.cell_end - time.monotonic() + SPARE):
            said = learner.run(source)
    except EndedError as error:
        return [_error("Ended", str(error))]
    outputs = [_stream("stdout", said.out)] if said.out else []
    outputs += [_stream("stderr", said.err)] if said.err else []
    return outputs + ([_error(*said.error)] if said.error else [])


def _test(
    cell: dict[str, Any], most: float, learner: Learner, trusted: dict[str, Any], limits: Limits
) -> tuple[list[dict[str, Any]], float]:
    """Run a test cell here. Outputs, and the points by nbgrader's own rule: an error or anything on standard
    error gives none, a number as last expression so many, anything else all.
    """
    tree = ast.parse(cell["source"])
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    names, printed = Names(learner, trusted), io.StringIO()
    outputs: list[dict[str, Any]] = []
    value: Any = None
    try:
        with contextlib.redirect_stdout(printed), deadline(limits.cell + SPARE):
            exec(compile(tree, "<test>", "exec"), names)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), "<test>", "eval"), names)
    except EndedError as error:
        outputs.append(_error("Ended", str(error)))
    except Exception as error:
        outputs.append(_error(type(error).__name__, str(error)[:300]))
    if learner.noise:
        outputs.append(_stream("stderr", "".join(learner.noise)[:5000]))
    score, result = (0.0, []) if outputs else _points(value, most)
    text = [_stream("stdout", printed.getvalue())] if printed.getvalue() else []
    return text + outputs + result, score


def _points(value: Any, most: float) -> tuple[float, list[dict[str, Any]]]:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return most, []
    score = min(max(float(value), 0.0), most)
    shown = repr(int(score) if score.is_integer() else score)
    return score, [{"output_type": "execute_result", "data": {"text/plain": shown}, "metadata": {}}]


def _stream(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text.encode("utf-8", "replace").decode()}


def _error(name: str, words: str) -> dict[str, Any]:
    line = f"{name}: {words}".encode("utf-8", "replace").decode()
    name, _, words = line.partition(": ")
    return {"output_type": "error", "ename": name, "evalue": words, "traceback": [line]}


def _boasts(handed_in: list[dict[str, Any]], judged: list[dict[str, Any]]) -> list[str]:
    """Where the outputs that came along promise more than the grading found."""
    found: set[str] = set()
    for cell in judged:
        for output in cell.get("outputs", ()):
            found |= set(str(output.get("text", "")).splitlines())
    notes = []
    for cell in handed_in:
        name = submission.grade_id(cell)
        more = submission.claimed(cell) - found
        if name and more:
            notes.append(f"the output handed in with {name[:60]} differs: {min(more)[:120]}")
    return notes
