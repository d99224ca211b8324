# SPDX-License-Identifier: GPL-2.0-only
"""The notebooks of an edition, from the texts in ``source/`` and the table of tasks: nbgrader's source
notebooks.

``python -m kmodsim.course.edition DIR`` writes DIR/<assignment>/<assignment>.ipynb. With a secret the
inputs of hidden claims and variants hang on it; without one they are those of the public course. What a
learner sees is the same.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .task import Task
from .tasks import ASSIGNMENTS, tasks_of

SOURCE = Path(__file__).parent / "source"
FENCE = re.compile(r"^```python( setup)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
COMMON = """\
# Locked: what your functions may use, beside Python itself and numpy
from kmodsim import sample
from kmodsim.course import Layout, Record, boot, check, inputs, practice
"""
FIRST = """\
*Write each function in its cell, run `check` below it as often as you like, and go on when it is satisfied.
Its inputs are other ones than those of the grading, from the same rules. A function gets plain data and
returns plain data; do not change its name or its arguments. The cells with points are locked. Each task asks
for one **variant**: the same function, by another stated rule. `practice("name", seed=7)` asks one more
question. Every stage before yours comes solved: `inputs("place_sections", "hello")` shows what arrives.*"""


def cell_id(*words: str) -> str:
    """The same id for the same cell in every edition."""
    return "-".join(words).replace("_", "-").replace(" ", "-").lower()[:64]


def _cell(kind: str, source: str, name: str, **nbgrader: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if nbgrader:
        base = {
            "grade": False,
            "grade_id": name,
            "locked": False,
            "schema_version": 3,
            "solution": False,
            "task": False,
        }
        metadata = {"nbgrader": {**base, **nbgrader}}
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": name,
        "metadata": metadata,
        "source": source.strip("\n").splitlines(True),
    }
    if kind == "code":
        cell.update(execution_count=None, outputs=[])
    return cell


def notebook(assignment: str, secret: bytes = b"") -> dict[str, Any]:
    """The source notebook of one assignment as nbformat's JSON; KeyError for an unknown name."""
    text = (SOURCE / f"{assignment}.md").read_text(encoding="utf-8")
    licence, _, rest = text.partition("\n")
    head, *parts = re.split(r"^## ", rest, flags=re.MULTILINE)
    cells = [*_opening(head, licence, tasks_of(assignment))]
    tasks = {task.name: task for task in tasks_of(assignment)}
    for part in parts:
        name, _, body = part.partition("\n")
        cells += _closing(name, body) if name not in tasks else _task_cells(tasks[name], body, secret)
    kernel = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _opening(head: str, licence: str, tasks: tuple[Task, ...]) -> Iterator[dict[str, Any]]:
    setup = FENCE.search(head)
    words = FENCE.sub("", head).strip()
    total = sum(task.points for task in tasks)
    yield _cell(
        "markdown", f"{words}\n\n{FIRST}\n\n{len(tasks)} tasks, {total} points.\n{licence}", "opening"
    )
    code = COMMON + ("\n" + setup[2] if setup else "")
    yield _cell("code", code, "setup", locked=True)


def _task_cells(task: Task, body: str, secret: bytes) -> Iterator[dict[str, Any]]:
    code = FENCE.search(body)
    assert code is not None, f"{task.name} has no code"
    yield _cell("markdown", _heading(task, FENCE.sub("", body).strip()), cell_id(task.name, "text"))
    yield _cell("code", code[2], cell_id(task.name), solution=True)
    yield _cell("code", f'check("{task.name}", {task.name})', cell_id(task.name, "check"))
    yield _cell(
        "code",
        _tests(task, secret),
        cell_id(task.name, "points"),
        grade=True,
        locked=True,
        points=task.points,
    )


def _heading(task: Task, words: str) -> str:
    public = ", ".join(f"{c.title} ({c.points})" for c in task.claims if c.kind == "public")
    variant = "; ".join(
        f"{c.title.removeprefix('variant: ')} ({c.points})" for c in task.claims if c.kind == "variant"
    )
    hidden = sum(c.points for c in task.claims if c.kind == "hidden")
    judged = f"*{task.points} points. Public: {public}. Hidden: {hidden} for other inputs and edges. "
    judged += f"Variant: {variant}.*"
    hint = f"<details><summary>A hint</summary>\n\n{task.hint}\n\n</details>"
    return f"## {task.name}\n\nModels `{task.models}`.\n\n{words}\n\n{judged}\n\n{hint}"


def _tests(task: Task, secret: bytes) -> str:
    """The graded cell: a call for each claim; all but the public ones stand between nbgrader's marks."""
    public = [claim for claim in task.claims if claim.kind == "public"]
    titles = ", ".join(f"{claim.title} ({claim.points})" for claim in public)
    lines = [
        f"# Locked. {task.name}: {task.points} points, of which public: {titles}",
        "from kmodsim.course import claim",
        "",
        "points = 0",
    ]
    lines += [
        f'points += claim("{task.name}", {task.name}, {claim.title!r}, {claim.points})' for claim in public
    ]
    lines.append("### BEGIN HIDDEN TESTS")
    for claim in task.claims:
        if claim.kind != "public":
            key = f", key={_key(secret, task.name, claim.title)!r}" if secret else ""
            lines.append(f'points += claim("{task.name}", {task.name}, {claim.title!r}, {claim.points}{key})')
    return "\n".join([*lines, "### END HIDDEN TESTS", "points"])


def _key(secret: bytes, *words: str) -> str:
    return hmac.new(secret, "\0".join(words).encode(), hashlib.sha256).hexdigest()[:32]


def _closing(name: str, body: str) -> Iterator[dict[str, Any]]:
    code = FENCE.search(body)
    words = FENCE.sub("", body).strip()
    if name != "Question":
        yield _cell("markdown", f"## {name}\n\n{words}" if words else f"## {name}", cell_id(name, "text"))
        if code:
            yield _cell("code", code[2], cell_id(name))
        return
    question, _, answer = words.partition("\n\n")
    yield _cell(
        "markdown",
        f"## Question\n\n*0 points unless your course says otherwise.* {question}",
        "question-text",
    )
    marked = f"### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
    yield _cell("markdown", marked, "question", grade=True, solution=True, points=0)


def write(folder: Path, secret: bytes = b"") -> list[Path]:
    """Write all source notebooks below ``folder``; returns their paths. Nothing else there is touched."""
    paths = []
    for assignment in ASSIGNMENTS:
        path = folder / assignment / f"{assignment}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(notebook(assignment, secret), indent=1, ensure_ascii=False, sort_keys=True)
        path.write_text(text + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def main(argv: list[str] | None = None) -> int:
    """``python -m kmodsim.course.edition [DIR]``; DIR is ``solutions`` by default."""
    import sys

    words = sys.argv[1:] if argv is None else argv
    for path in write(Path(words[0] if words else "solutions")):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
