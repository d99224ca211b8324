# SPDX-License-Identifier: GPL-2.0-only
"""An edition with a secret: other hidden inputs, the same notebooks for learners, and it grades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kmodsim.cli import main
from kmodsim.course import edition, new
from kmodsim.course.grading import submission
from kmodsim.course.seeds import random_for
from kmodsim.course.tasks import ASSIGNMENTS, TASKS, tasks_of

from . import inprocess

pytestmark = pytest.mark.core
SECRET = b"a secret of a test's own"
SAME_FOR_ALL = ("add_nops",)  # every input there is


def for_learners(notebook: dict[str, Any]) -> list[str]:
    return [submission.without_hidden("".join(cell["source"])) for cell in notebook["cells"]]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_learners_see_no_difference(assignment: str) -> None:
    secret, public = edition.notebook(assignment, SECRET), edition.notebook(assignment)
    assert for_learners(secret) == for_learners(public)
    keyed = "".join("".join(cell["source"]) for cell in secret["cells"]).count("key='")
    hidden = [claim for task in tasks_of(assignment) for claim in task.claims if claim.kind != "public"]
    assert keyed == len(hidden) > 0


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_the_variants_inputs_are_others(task: Any) -> None:
    """Of each task the inputs of some claim hang on the key, and not on the key alone."""

    def drawn(key: str, student: str) -> list[str]:
        claims = [claim for claim in task.claims if claim.kind != "public"]
        return [repr(list(c.cases(random_for(key, student, task.name, c.title)))) for c in claims]

    keys = {tuple(drawn(f"key {number}", "alice")) for number in range(12)}
    students = {tuple(drawn("key", f"student {number}")) for number in range(12)}
    varies = task.name not in SAME_FOR_ALL
    assert (len(keys) > 1) == (len(students) > 1) == varies


@pytest.mark.parametrize("assignment", ["06-relocation", "08-module-list"])
def test_it_grades(assignment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edition.write(tmp_path / "solutions", SECRET)
    monkeypatch.setattr(inprocess, "ROOT", tmp_path)
    points = inprocess.run(inprocess.cells("solutions", assignment)).points
    assert sum(points.values()) == sum(task.points for task in tasks_of(assignment))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["course", "new", str(tmp_path / "c"), "--secret", str(tmp_path / "secret")]
    assert main(words) == 0
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    name = "06-relocation"
    text = (tmp_path / "c" / "solutions" / name / f"{name}.ipynb").read_text(encoding="utf-8")
    again = edition.notebook(name, (tmp_path / "secret").read_bytes().strip())
    assert json.loads(text) == again
    assert main(words) == 1
    assert "is a course already" in capsys.readouterr().err


def test_a_short_secret(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1234")
    with pytest.raises(ValueError, match="at least 16 bytes"):
        new.read_secret(tmp_path / "secret")
