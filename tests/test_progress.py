# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim progress``: what it says of notebooks in which cells were run and checks were made."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kmodsim.progress import assignment_item, items, main

pytestmark = pytest.mark.core
ROOT = Path(__file__).resolve().parent.parent
FIRST, ASSIGNMENT = "notebooks/00-start-here.ipynb", "exercises/01-elf-layout/01-elf-layout.ipynb"


@pytest.fixture
def course(tmp_path: Path) -> Path:
    for folder in ("notebooks", "exercises"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return tmp_path


def change(path: Path, act: Any) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        act(number, cell)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def run_it(number: int, cell: dict[str, Any]) -> None:
    if cell["cell_type"] == "code":
        cell["execution_count"] = number + 1


def solved(words: str) -> Any:
    """Every task written, and its check saying ``words``."""

    def act(number: int, cell: dict[str, Any]) -> None:
        source = "".join(cell["source"])
        cell["source"] = source.replace("raise NotImplementedError()", "return None")
        if source.startswith("check("):
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": words}]

    return act


def lines(course: Path) -> tuple[list[str], int]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        status = main([str(course)])
    return output.getvalue().splitlines(), status


def test_a_fresh_course(course: Path) -> None:
    said, status = lines(course)
    assert status == 0
    assert (
        len([line for line in said if " of " in line]) == len(list((ROOT / "notebooks").glob("*.ipynb"))) + 13
    )
    assert said[-1] == f"0 of 26 are done. Next: {FIRST}"
    assert not any("✓" in line for line in said)


def test_a_chapter_that_was_run_is_done(course: Path) -> None:
    change(course / FIRST, run_it)
    said, _ = lines(course)
    assert (
        said[0].startswith(f" ✓ {FIRST}")
        and said[-1] == "1 of 26 are done. Next: notebooks/01-elf-layout.ipynb"
    )


def test_a_half_run_chapter_is_begun(course: Path) -> None:
    change(course / FIRST, lambda number, cell: run_it(number, cell) if number < 10 else None)
    assert lines(course)[0][0].startswith(f" … {FIRST}")


@pytest.mark.parametrize(
    ("words", "done", "told"),
    [
        ("✓ one\n✓ two\n", 4, ""),
        ("✓ one\n✗ two\n  expected 1, found 2\n", 0, "read-section-header: wrong"),
        ("", 0, "read-section-header: not checked"),
    ],
)
def test_tasks_count_when_check_was_content(course: Path, words: str, done: int, told: str) -> None:
    change(course / ASSIGNMENT, solved(words))
    item = assignment_item(course / ASSIGNMENT)
    assert (item.done, item.all, item.words) == (done, 4, told)


@pytest.mark.parametrize("right", [True, False])
def test_what_check_really_says_counts(course: Path, right: bool) -> None:
    """The words of the real ``check`` under the task's cell."""
    from kmodsim.course import check
    from kmodsim.course.judge import find_task

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        mine = find_task("read_section_header").truth if right else lambda *given, **more: None
        assert check("read_section_header", mine) is right
    change(course / ASSIGNMENT, solved(output.getvalue()))
    assert assignment_item(course / ASSIGNMENT).done == (4 if right else 0)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cells": 3}', '{"cells": [1]}', "[" * 100_000, "\0"])
def test_a_broken_assignment_is_told(course: Path, text: str) -> None:
    (course / ASSIGNMENT).write_text(text, encoding="utf-8")
    said, status = lines(course)
    assert status == 0 and any("cannot be read" in line for line in said)


@pytest.mark.parametrize(
    "cell",
    [{}, {"cell_type": "code", "metadata": 3, "source": 4, "outputs": 5}, {"metadata": {"nbgrader": []}},
     {"cell_type": "code", "metadata": {"nbgrader": {"solution": True}}, "outputs": [1, {"text": [2]}]}],
)  # fmt: skip
def test_odd_cells_do_no_harm(course: Path, cell: dict[str, Any]) -> None:
    (course / ASSIGNMENT).write_text(json.dumps({"cells": [cell]}), encoding="utf-8")
    assert len(list(items(course))) == 26


def test_no_course_is_told(tmp_path: Path) -> None:
    said, status = lines(tmp_path)
    assert status == 1 and "no course here" in said[0]
