# SPDX-License-Identifier: GPL-2.0-only
"""The command: refusals, files that are no submissions, CSV, manual grades, feedback."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kmodsim.course.grading import command, confinement
from kmodsim.course.grading.confinement import Limits

from . import hostile
from .inprocess import ROOT
from .test_stock import course, scores

NAME = hostile.ASSIGNMENT


@pytest.mark.core
def test_refuses_without_bubblewrap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course(tmp_path, NAME, {"alice": "{}"})
    monkeypatch.setattr(confinement.shutil, "which", lambda name: None)
    assert command.main(["--course", str(tmp_path)]) == 2
    words = capsys.readouterr().err
    for part in ("nothing was graded", "bubblewrap is not installed", "--unconfined"):
        assert part in words
    assert not (tmp_path / "gradebook.db").exists()


@pytest.mark.core
def test_refuses_what_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Present is not enough: what a trial could do is named."""
    monkeypatch.setattr(confinement, "trial", lambda *_: ["open a socket", "see /etc/passwd"])
    with pytest.raises(confinement.ConfinementError, match="tried: open a socket; see /etc/passwd"):
        confinement.choose(None, Limits(), [])


@pytest.mark.core
def test_an_unknown_confinement() -> None:
    with pytest.raises(confinement.ConfinementError, match="bubblewrap, container"):
        confinement.choose("jail", Limits(), [])


@pytest.mark.core
def test_no_course(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--course", str(tmp_path)]) == 2
    assert "no nbgrader_config.py" in capsys.readouterr().err


def all_but_alice(write: Callable[..., None]) -> Callable[..., None]:
    def fail(book: Any, result: dict[str, Any], papers: dict[str, bytes]) -> None:
        if result["student"] == "alice":
            raise OSError("the disk is full")
        write(book, result, papers)

    return fail


@pytest.mark.tool
def test_a_class(tmp_path: Path, needs: Callable[[str], str], monkeypatch: Any, capsys: Any) -> None:
    needs("bwrap")
    pytest.importorskip("nbgrader", reason="needs nbgrader")
    script = {"cell_type": "markdown", "metadata": {}, "source": "**text** <script>steal()</script> \x1b[2J"}
    good = hostile.notebook([script, *hostile.honest()]).decode()
    half = hostile.notebook(hostile.instead(hostile.COPIED)()).decode()
    folder = course(tmp_path, NAME, {"alice": good, "=bob": half, "carol": "no notebook"})
    thief = folder / "submitted" / "dave" / NAME
    thief.mkdir(parents=True)
    (thief / f"{NAME}.ipynb").symlink_to(ROOT / "solutions" / NAME / f"{NAME}.ipynb")
    (folder / "submitted" / "carol" / NAME / "timestamp.txt").write_bytes(b"\xff\xfe")
    (folder / "submitted" / "=bob" / NAME / "timestamp.txt").write_text("2026-05-01 10:00:00 UTC")
    out = tmp_path / "out.csv"
    words = ["--course", str(folder), "--csv", str(out)]
    with monkeypatch.context() as patch:
        patch.setattr(command.Book, "write", all_but_alice(command.Book.write))
        assert command.main(words) == 1
    assert "alice 06-relocation: not graded: OSError: the disk is full" in capsys.readouterr().out
    assert scores(folder, NAME, "=bob")["fits-points"] == 4
    assert command.main(words) == 0
    assert "carol 06-relocation: the file is no notebook" in capsys.readouterr().out
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["student", "assignment", "score", "max_score"],
        ["'=bob", NAME, "19", "21"],
        ["alice", NAME, "21", "21"],
        ["carol", NAME, "0", "21"],
        ["dave", NAME, "0", "21"],
    ]
    _manual_grades_stay(folder)
    page = (folder / "feedback" / "alice" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "<script>steal" not in page and "<strong>text</strong>" in page and "<details>" in page
    page = (folder / "feedback" / "=bob" / NAME / f"{NAME}.html").read_text(encoding="utf-8")
    assert "variant: the table of another processor, AArch64: 0 of 2 points" in page
    assert "HIDDEN TESTS" not in page and "expected" in page


def _manual_grades_stay(folder: Path) -> None:
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{folder}/gradebook.db") as book:
        book.find_grade("question", NAME, NAME, "alice").manual_score = 0.5
        book.find_grade("fits-points", NAME, NAME, "=bob").manual_score = 1
        book.db.commit()
    assert command.main(["--course", str(folder), "--no-feedback", "--student", "=bob"]) == 0
    with Gradebook(f"sqlite:///{folder}/gradebook.db") as book:
        grade = book.find_grade("fits-points", NAME, NAME, "=bob")
        assert (grade.auto_score, grade.manual_score, grade.score) == (4, 1, 1)
        assert book.find_grade("question", NAME, NAME, "alice").manual_score == 0.5
    assert scores(folder, NAME, "alice")["fits-points"] == 4


@pytest.mark.core
def test_columns_that_platforms_import(tmp_path: Path) -> None:
    """Canvas' and Moodle's own column names, see the manuals named in table.py."""
    from kmodsim.course.grading.book import Row
    from kmodsim.course.grading.table import write

    rows = [
        Row("a1", "Ada", "L", "a@x", "77", "01-x", 2.5, 4.0),
        Row("a1", "Ada", "L", "a@x", "77", "02-y", 3.0, 3.0),
        Row("b2", "", "", "b@x", "", "02-y", 0.0, 3.0),
    ]
    found = {}
    for kind in ("canvas", "moodle"):
        write(tmp_path / kind, rows, kind)
        found[kind] = list(csv.reader((tmp_path / kind).read_text(encoding="utf-8").splitlines()))
    assert found["canvas"] == [
        ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01-x", "02-y"],
        ["    Points Possible", "", "", "", "", "4", "3"],
        ["L, Ada", "77", "a1", "a1", "", "2.5", "3"],
        ["b2", "", "b2", "b2", "", "", "0"],
    ]
    assert found["moodle"] == [
        ["username", "email", "01-x", "02-y"],
        ["a1", "a@x", "2.5", "3"],
        ["b2", "b@x", "", "0"],
    ]


@pytest.mark.core
def test_a_learners_cells_are_kept_in_their_order() -> None:
    from kmodsim.course.grading.submission import grade_id, read, sane

    source = json.loads((ROOT / "solutions" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8"))
    made, notes = sane(read(hostile.notebook(hostile.honest()[::-1])), source)
    assert [grade_id(c) for c in made["cells"]] == [grade_id(c) for c in source["cells"]][::-1]
    assert notes == []
