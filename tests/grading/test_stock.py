# SPDX-License-Identifier: GPL-2.0-only
"""`kmodsim grade` gives what `nbgrader autograde` gives, cell by cell, for honest work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from . import honest
from .inprocess import ROOT

pytestmark = pytest.mark.tool
STUDENT = "alice"


def course(folder: Path, assignment: str, notebooks: dict[str, str]) -> Path:
    """A course with one assignment and what learners handed in."""
    shutil.copy(ROOT / "nbgrader_config.py", folder)
    shutil.copytree(ROOT / "solutions" / assignment, folder / "solutions" / assignment)
    for student, text in notebooks.items():
        path = folder / "submitted" / student / assignment / f"{assignment}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")
    return folder


def scores(folder: Path, assignment: str, student: str) -> dict[str, float | None]:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder}/gradebook.db") as book:
        grades = book.find_submission_notebook(assignment, assignment, student).grades
        return {grade.name: grade.auto_score for grade in grades}


def grade(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kmodsim", "grade", "--course", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def stock(folder: Path, assignment: str) -> None:
    """`nbgrader autograde`; learners' seeds are told as kmodsim tells them."""
    shutil.rmtree(folder / "autograded", ignore_errors=True)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "NBGRADER_STUDENT": STUDENT,
    }
    command = [sys.executable, "-m", "nbgrader", "autograde", assignment, "--student", STUDENT, "--force"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", honest.CASES, ids=lambda case: f"{case.assignment} {case.what}")
def test_cell_by_cell(case: honest.Honest, tmp_path: Path, needs: Callable[[str], str]) -> None:
    needs("bwrap")
    pytest.importorskip("nbgrader", reason="needs nbgrader")
    folder = course(tmp_path, case.assignment, {STUDENT: json.dumps(case.notebook())})
    done = grade(folder, "--no-feedback")
    assert done.returncode == 0, done.stdout + done.stderr
    ours = scores(folder, case.assignment, STUDENT)
    assert sum(value or 0 for value in ours.values()) == case.points
    stock(folder, case.assignment)
    assert scores(folder, case.assignment, STUDENT) == ours
