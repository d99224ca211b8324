# SPDX-License-Identifier: GPL-2.0-only
"""What docs/exercises.md says of points and tasks is what the assignments' own metadata say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = sorted((ROOT / "solutions").glob("*/*.ipynb"))
OTHERS = {"In the kernel", "Question"}  # headings that are no tasks


def rows() -> dict[str, tuple[int, list[str]]]:
    page = (ROOT / "docs" / "exercises.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| \[([\w-]+)\]\(\.\./exercises/[^)]*\) \| (\d+) \| (.*) \|$", page, re.MULTILINE)
    return {name: (int(points), tasks.split(", ")) for name, points, tasks in found}


def test_every_assignment_has_its_row() -> None:
    assert len(SOLUTIONS) == 12 and set(rows()) == {path.stem for path in SOLUTIONS}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_points_and_tasks_are_the_notebooks(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    graded = [cell["metadata"].get("nbgrader", {}) for cell in cells]
    points = sum(cell["points"] for cell in graded if cell.get("grade"))
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    tasks = [head for head in re.findall(r"^## (.+)$", text, re.MULTILINE) if head not in OTHERS]
    assert rows()[path.stem] == (points, tasks)
