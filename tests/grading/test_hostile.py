# SPDX-License-Identifier: GPL-2.0-only
"""Each hostile submission gets its exact points, and the honest one that comes next loses nothing by it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kmodsim.course.grading.confinement import Limits, Zygote, trial
from kmodsim.course.grading.judging import judge
from kmodsim.course.grading.submission import grade_id

from . import hostile
from .inprocess import ROOT

pytestmark = pytest.mark.tool
LIMITS = Limits(cell=4.0, submission=60.0, processor=30)
SOURCE = (ROOT / "solutions" / hostile.ASSIGNMENT / f"{hostile.ASSIGNMENT}.ipynb").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def zygote(needs: Callable[[str], str]) -> Iterator[Zygote]:
    needs("bwrap")
    made = Zygote("bubblewrap", LIMITS)
    yield made
    made.close()


def graded(zygote: Zygote, data: bytes, student: str = "mallory") -> dict[str, Any]:
    task = {"student": student, "assignment": hostile.ASSIGNMENT, "notebook": data, "source": SOURCE}
    return judge(task, zygote, LIMITS)


def points(result: dict[str, Any]) -> tuple[float, ...]:
    return tuple(result["scores"][f"{name}-points"] for name in hostile.TASKS)


def test_the_confinement_holds(needs: Callable[[str], str]) -> None:
    needs("bwrap")
    assert trial("bubblewrap", LIMITS, [str(ROOT), str(ROOT / "kmodsim"), "/etc/passwd", "/etc/shadow"]) == []


@pytest.mark.parametrize("attack", hostile.ATTACKS, ids=lambda attack: attack.name)
def test_exact_points(zygote: Zygote, attack: hostile.Attack) -> None:
    result = graded(zygote, hostile.notebook(attack.make()))
    assert points(result) == attack.points
    assert len(result["notebook"]) < 400_000
    after = graded(zygote, hostile.notebook(hostile.honest()), "alice")
    assert points(after) == hostile.FULL
    assert after["seconds"] < 10


@pytest.mark.parametrize("data", hostile.NOT_NOTEBOOKS.values(), ids=hostile.NOT_NOTEBOOKS.keys())
def test_no_notebook(zygote: Zygote, data: bytes) -> None:
    result = graded(zygote, data)
    assert points(result) == hostile.NONE
    assert result["notes"]


def test_more_is_claimed_than_found(zygote: Zygote) -> None:
    notes = graded(zygote, hostile.notebook(hostile.faked_outputs()))["notes"]
    assert any("relocation-value-points differs: ✓ S + A, and S + A - P: 1 point" in note for note in notes)


def test_what_was_put_right_is_told(zygote: Zygote) -> None:
    notes = graded(zygote, hostile.notebook(hostile.spoiled_setup()))["notes"]
    assert notes == ["the locked cell setup was changed"]


def test_words_for_the_learner(zygote: Zygote) -> None:
    made = hostile.instead("def relocation_value(kind, S, A, P, types=TYPES):\n    return S + A")()
    cells = json.loads(graded(zygote, hostile.notebook(made))["notebook"])["cells"]
    test = next(c for c in cells if grade_id(c) == "relocation-value-points")
    words = test["outputs"][0]["text"]
    assert "✗ S + A, and S + A - P: 0 of 1 point" in words
    assert "Read arch/x86/kernel/module.c:__apply_relocate_add." in words


def test_no_module_that_bears_answers(zygote: Zygote) -> None:
    """All modules of the worker's process are Python's own, numpy's, the worker's, or stand-ins."""
    listing = "import sys\nprint(*sorted({name.split('.')[0] for name in sys.modules}))"
    cells = json.loads(graded(zygote, hostile.notebook(hostile.first(listing)()))["notebook"])["cells"]
    text = next(c for c in cells if "print(*sorted" in c["source"])["outputs"][0]["text"]
    others = set(text.split()) - set(sys.stdlib_module_names) - {"__main__"}
    assert others == {"course", "kmodsim", "numpy"}


def test_kmodsim_inside_is_a_stand_in(zygote: Zygote) -> None:
    listing = "import kmodsim.arch.x86_64 as a\nprint(a.__spec__.origin, type(a.anything).__name__, *vars(a))"
    cells = json.loads(graded(zygote, hostile.notebook(hostile.first(listing)()))["notebook"])["cells"]
    text = next(c for c in cells if "a.anything" in c["source"])["outputs"][0]["text"]
    assert text.startswith("None Absent") and "relocation_value" not in text
