# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim doctor``: each thing that can be wrong, made from a released exercise, is found and told."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmodsim.course.doctor import findings, main
from kmodsim.course.tasks import ASSIGNMENTS

pytestmark = pytest.mark.core
ROOT = Path(__file__).resolve().parent.parent
NAME = "09-unloading"
Cells = list[dict[str, Any]]


def cell(cells: Cells, name: str) -> dict[str, Any]:
    return next(one for one in cells if one["metadata"].get("nbgrader", {}).get("grade_id") == name)


@pytest.fixture
def made(tmp_path: Path) -> Callable[[Callable[[Cells], None] | None], Path]:
    """The released exercise, its functions written (they return nothing), changed by a function."""

    def make(change: Callable[[Cells], None] | None = None) -> Path:
        path = tmp_path / f"{NAME}.ipynb"
        shutil.copy(ROOT / "exercises" / NAME / path.name, path)
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for one in notebook["cells"]:
            one["source"] = "".join(one["source"]).replace("raise NotImplementedError()", "return None")
        if change is not None:
            change(notebook["cells"])
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path

    return make


def delete(cells: Cells) -> None:
    cells.remove(cell(cells, "may-unload-points"))


def copy(cells: Cells) -> None:
    cells.append({**cell(cells, "may-unload-points"), "id": "another"})


def edit(cells: Cells) -> None:
    cell(cells, "may-unload-points")["source"] = "points = 5\npoints"


def unlock(cells: Cells) -> None:
    cell(cells, "may-unload-points")["metadata"]["nbgrader"]["locked"] = False


def worth(cells: Cells) -> None:
    cell(cells, "may-unload-points")["metadata"]["nbgrader"]["points"] = 50


def stranger(cells: Cells) -> None:
    one = cell(cells, "may-unload-points")
    cells.append(
        {**one, "id": "own", "metadata": {"nbgrader": {**one["metadata"]["nbgrader"], "grade_id": "own"}}}
    )


def split(cells: Cells) -> None:
    one = cell(cells, "may-unload")
    cells.append({"cell_type": "code", "id": "own", "metadata": {}, "source": one["source"], "outputs": []})
    one["source"] = "# below"


def rename(cells: Cells) -> None:
    one = cell(cells, "may-unload")
    one["source"] = one["source"].replace("def may_unload", "def my_unload")


def no_python(cells: Cells) -> None:
    cell(cells, "may-unload")["source"] = "def may_unload(module, flags):\nreturn 0"


def unwritten(cells: Cells) -> None:
    cell(cells, "may-unload")["source"] = "def may_unload(module, flags):\n    raise NotImplementedError()"


def noisy(cells: Cells) -> None:
    output = {"output_type": "stream", "name": "stderr", "text": "DeprecationWarning: old"}
    cell(cells, "may-unload-points")["outputs"] = [output]


FOUND: list[tuple[Callable[[Cells], None], str]] = [
    (delete, "cell 'may-unload-points' is gone"),
    (copy, "cell 'may-unload-points' is there 2 times: delete the copies"),
    (edit, "cell 'may-unload-points' is locked and was changed"),
    (unlock, "cell 'may-unload-points' has other metadata (was it unlocked?)"),
    (worth, "cell 'may-unload-points' has other metadata"),
    (stranger, "cell 'own' has nbgrader's metadata and is none of the assignment"),
    (split, "may_unload is defined in cell 'number "),
    (rename, "no cell defines may_unload: write it in cell 'may-unload'"),
    (no_python, "cell 'may-unload' is no Python"),
    (unwritten, "cell 'may-unload' is not written yet"),
    (noisy, "wrote on standard error ('DeprecationWarning: old')"),
]


@pytest.mark.parametrize(("change", "words"), FOUND, ids=[change.__name__ for change, _ in FOUND])
def test_what_is_wrong_is_told(made: Any, change: Callable[[Cells], None], words: str) -> None:
    said = list(findings(made(change), 0))
    assert any(words in one for one in said), said


def test_nothing_is_said_of_a_sound_one(made: Any) -> None:
    assert list(findings(made(), 0)) == []


def test_a_solved_one_is_run_and_nothing_is_said(made: Any) -> None:
    """The solution's functions in the released notebook, run from top to bottom."""
    pytest.importorskip("nbclient", reason="needs nbclient")
    solution = json.loads((ROOT / "solutions" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8"))["cells"]

    def solve(cells: Cells) -> None:
        for one in cells:
            grading = one["metadata"].get("nbgrader", {})
            if grading.get("solution") and one["cell_type"] == "code":
                one["source"] = "".join(cell(solution, grading["grade_id"])["source"])

    assert list(findings(made(solve), 30)) == []


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_a_fresh_exercise_is_only_unwritten(assignment: str) -> None:
    said = list(findings(ROOT / "exercises" / assignment / f"{assignment}.ipynb", 0))
    assert said and all("is not written yet" in one for one in said), said


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "def may_unload(module, flags, force_unload=True):\n    while True:\n        pass",
            "does not end within",
        ),
        (
            "import sys\nprint('old', file=sys.stderr)\n\n\ndef may_unload(module, flags):\n    return 0",
            "standard error",
        ),
        ("def may_unload(module, flags):\n    return 0\n\n\nlost_name", "NameError: name 'lost_name'"),
    ],
    ids=["loop", "stderr", "name"],
)
def test_what_only_running_shows(made: Any, source: str, words: str) -> None:
    pytest.importorskip("nbclient", reason="needs nbclient")

    def change(cells: Cells) -> None:
        cell(cells, "may-unload")["source"] = source

    said = list(findings(made(change), 5))
    assert any(words in one for one in said), said


@pytest.mark.parametrize("text", ["", "[]", "{", '{"cells": [1]}', "[" * 100_000, "\0", '{"cells": [{}]}'])
def test_garbage_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{NAME}.ipynb"
    path.write_text(text, encoding="utf-8")
    assert list(findings(path, 0))


def test_the_command(made: Any, tmp_path: Path) -> None:
    path, output = made(delete), io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main([str(path), "--no-run"]) == 1
        assert main([str(made()), "--no-run"]) == 0
        assert main([str(tmp_path / "nothing.ipynb")]) == 2
    assert (
        "  * cell 'may-unload-points' is gone" in output.getvalue() and "nothing to say" in output.getvalue()
    )
    other = tmp_path / "mine.ipynb"
    other.write_text("{}", encoding="utf-8")
    assert "no assignment's name" in next(findings(other, 0))
