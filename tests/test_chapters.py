# SPDX-License-Identifier: GPL-2.0-only
"""Each notebook has the parts that docs/writing.md asks for, and its quizzes have one right answer."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STAGES = [path for path in NOTEBOOKS if not path.name.startswith("00")]  # the first one is a tour
ORDER = (
    r"^# ", r"^## What you will be able to do", r"^## Before you start", r"^## 1 · ",
    r"^## Widely believed, and not so", r"^## Your exercise", r"^## In ten lines",
)  # fmt: skip
ANSWER = re.compile(r"<details><summary>(.*?)</summary>\s*(.*?)</details>", re.DOTALL)

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_stage = pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)


@cache
def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def prose(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def code(path: Path) -> str:
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")


def quizzes(path: Path) -> list[tuple[str, list[str]]]:
    """(id, answers) of the cells that ask."""
    found = []
    for cell in read(path).cells:
        answers = [text for _, text in ANSWER.findall(cell.source) if text.lstrip().startswith(("✓", "✗"))]
        if cell.cell_type == "markdown" and answers:
            found.append((cell.id, answers))
    return found


@every
def test_its_metadata_place_it_in_the_course(path: Path) -> None:
    about = read(path).metadata["kmodsim"]
    known = {read(other).metadata["kmodsim"]["chapter"] for other in NOTEBOOKS}
    assert about["chapter"] == path.stem.split("-")[0]
    assert about["license"] == "CC-BY-SA-4.0" and about["title"]
    assert 10 <= about["minutes"] <= 60
    assert set(about["needs"]) <= known and about["chapter"] not in about["needs"]


@every
def test_it_carries_no_outputs(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


@every
def test_each_quiz_has_one_right_answer_and_a_hint_for_each_wrong_one(path: Path) -> None:
    for name, answers in quizzes(path):
        assert sum(answer.startswith("✓ *Yes.*") for answer in answers) == 1, name
        assert all(answer.startswith(("✓ *Yes.*", "✗ *Not so.*")) for answer in answers), name
        assert len(answers) >= 3 and all(len(answer) > 40 for answer in answers), name


@every
def test_its_links_lead_to_files(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", prose(path)):
        if "://" not in target:
            assert (path.parent / target).exists(), target


@each_stage
def test_the_parts_stand_in_their_order(path: Path) -> None:
    text = prose(path)
    places = [re.search(pattern, text, re.MULTILINE) for pattern in ORDER]
    assert all(places), [pattern for pattern, found in zip(ORDER, places, strict=True) if not found]
    starts = [found.start() for found in places if found]
    assert starts == sorted(starts)
    assert "**Try this" in text and "**Sources**" in text


@each_stage
def test_it_asks_before_it_tells(path: Path) -> None:
    assert len(re.findall(r"\*\*Predict", prose(path))) >= 3
    assert len(quizzes(path)) >= 5


@each_stage
def test_it_ends_in_ten_lines(path: Path) -> None:
    text = prose(path)
    summary = text[re.search(r"^## In ten lines", text, re.MULTILINE).end() :]  # type: ignore[union-attr]
    assert re.findall(r"^(\d+)\. ", summary, re.MULTILINE)[:11] == [str(n) for n in range(1, 11)]


@each_stage
def test_it_shows_the_code_of_its_stage_a_widget_and_asserts(path: Path) -> None:
    text = code(path)
    assert "source_of(" in text and "kmodsim.widgets" in text
    assert text.count("assert ") >= 5


@each_stage
def test_it_is_long_enough_to_teach_and_short_enough_to_finish(path: Path) -> None:
    """Some 200 words a minute in a foreign language, half of the time at work with cells."""
    words = len(prose(path).split())
    assert 1200 <= words <= 6000
    assert 40 <= read(path).metadata["kmodsim"]["minutes"] <= 60
