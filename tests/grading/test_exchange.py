# SPDX-License-Identifier: GPL-2.0-only
"""The whole round through an exchange folder: release, fetch, submit, collect, grade, feedback."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kmodsim.cli import main

from .inprocess import ROOT
from .test_stock import grade, scores

pytestmark = pytest.mark.tool
NAME = "06-relocation"


class Round:
    """A teacher's and a learner's folder, and the exchange between them."""

    def __init__(self, folder: Path) -> None:
        self.course, self.home, self.exchange = (folder / name for name in ("course", "home", "exchange"))
        self.home.mkdir()
        self.exchange.mkdir()
        self.exchange.chmod(0o777)

    def nbgrader(self, where: Path, *words: str) -> str:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        command = [sys.executable, "-m", "nbgrader", *words, f"--Exchange.root={self.exchange}"]
        command.append("--CourseDirectory.course_id=inside-insmod")
        done = subprocess.run(
            command, cwd=where, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


def test_round(tmp_path: Path, needs: Callable[[str], str]) -> None:
    needs("bwrap")
    pytest.importorskip("nbgrader", reason="needs nbgrader")
    made = Round(tmp_path)
    assert main(["course", "new", str(made.course), "--secret", str(tmp_path / "secret")]) == 0
    made.nbgrader(made.course, "generate_assignment", NAME)
    released = (made.course / "exercises" / NAME / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert "HIDDEN" not in released and "key=" not in released
    made.nbgrader(made.course, "release_assignment", NAME)
    made.nbgrader(made.home, "fetch_assignment", NAME)
    fetched = made.home / NAME / f"{NAME}.ipynb"
    assert fetched.read_text(encoding="utf-8") == released
    shutil.copyfile(ROOT / "solutions" / NAME / f"{NAME}.ipynb", fetched)  # the public edition's solution
    made.nbgrader(made.home, "submit", NAME)
    made.nbgrader(made.course, "collect", NAME)
    (student,) = (path.name for path in (made.course / "submitted").iterdir())
    done = grade(made.course, "--csv", str(tmp_path / "out.csv"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(value or 0 for value in scores(made.course, NAME, student).values()) == 21
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as stream:
        assert list(csv.reader(stream))[1] == [student, NAME, "21", "21"]
    made.nbgrader(made.course, "release_feedback", NAME)
    made.nbgrader(made.home, "fetch_feedback", NAME)
    (page,) = (made.home / NAME / "feedback").glob("*/*.html")
    text = page.read_text(encoding="utf-8")
    assert "BEGIN HIDDEN" not in text and "key=" not in text
    assert "✓ variant: the table of another processor, AArch64: 2 points" in text
