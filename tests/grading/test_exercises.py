# SPDX-License-Identifier: GPL-2.0-only
"""The assignments: sources made from their texts, exercises from the sources, full marks and none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kmodsim.course import edition
from kmodsim.course.tasks import ASSIGNMENTS, TASKS, tasks_of

from . import inprocess

ROOT = inprocess.ROOT
each = pytest.mark.parametrize("assignment", ASSIGNMENTS)


def read(folder: str, assignment: str) -> dict[str, Any]:
    return json.loads((ROOT / folder / assignment / f"{assignment}.ipynb").read_text(encoding="utf-8"))


@pytest.mark.core
@each
def test_the_source_is_the_one_of_its_text(assignment: str) -> None:
    again = "run python -m kmodsim.course.edition solutions"
    assert read("solutions", assignment) == edition.notebook(assignment), again


@pytest.mark.tool
def test_the_exercises_are_what_nbgrader_makes_of_the_sources(tmp_path: Path) -> None:
    pytest.importorskip("nbgrader", reason="needs nbgrader")
    from kmodsim.course.grading.release import release

    release(ROOT, ASSIGNMENTS, release_directory=str(tmp_path))
    for assignment in ASSIGNMENTS:
        name = f"{assignment}.ipynb"
        made = (tmp_path / assignment / name).read_text(encoding="utf-8")
        kept = (ROOT / "exercises" / assignment / name).read_text(encoding="utf-8")
        assert made == kept, f"{assignment}: run python -m kmodsim.course.grading.release"


@pytest.mark.core
@each
def test_a_solution_gets_full_marks_and_the_released_exercise_none(assignment: str) -> None:
    tasks = {edition.cell_id(task.name, "points"): task.points for task in tasks_of(assignment)}
    solved = inprocess.run(inprocess.cells("solutions", assignment))
    assert solved.points == tasks, {name: solved.words[name] for name in tasks}
    blank = inprocess.run(inprocess.cells("exercises", assignment))
    assert blank.points == dict.fromkeys(tasks, 0)


@pytest.mark.core
def test_there_is_enough_of_it() -> None:
    assert len(ASSIGNMENTS) >= 11 and len(TASKS) >= 45


@pytest.mark.core
@each
def test_a_third_of_the_points_go_to_stated_variants(assignment: str) -> None:
    tasks = tasks_of(assignment)
    variant = sum(claim.points for task in tasks for claim in task.claims if claim.kind == "variant")
    assert 3 * variant >= sum(task.points for task in tasks)
    for task in tasks:
        kinds = [claim.kind for claim in task.claims]
        assert {"public", "hidden"} <= set(kinds) and len(task.claims) >= 3, task.name
        assert task.hint and re.search(r"\w", task.models)


@pytest.mark.core
@each
def test_learners_find_no_hidden_test_no_solution_and_one_question_without_points(assignment: str) -> None:
    cells = read("exercises", assignment)["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells)
    assert "BEGIN" not in text and "HIDDEN" not in text
    marks = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    written = [mark for mark in marks if mark.get("grade") and mark.get("solution")]
    assert [mark["points"] for mark in written] in ([], [0])
    assert sum(mark.get("points", 0) for mark in marks) == sum(task.points for task in tasks_of(assignment))
