# SPDX-License-Identifier: GPL-2.0-only
"""nbgrader's gradebook, autograded notebooks and feedback from judged notebooks, by nbgrader's own classes.

The single writer. What a learner handed in beside the notebook is left where it is.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .release import configuration, release


class Row(NamedTuple):
    """One learner's points for one assignment, as the gradebook has them."""

    student: str
    first_name: str
    last_name: str
    email: str
    lms_user_id: str
    assignment: str
    score: float
    max_score: float


def set_up(course: Path, assignments: list[str]) -> list[str]:
    """Tell the gradebook of assignments it does not know or whose cells moved; returns which.

    exercises/ is not touched: the release goes to a folder that is thrown away.
    """
    from nbgrader.api import Gradebook, MissingEntry

    new = []
    with Gradebook(_db(course)) as book:
        for name in assignments:
            try:
                cells = {cell.name: cell.source for cell in book.find_notebook(name, name).source_cells}
            except MissingEntry:
                cells = {}
            if cells != _source_cells(course, name):
                new.append(name)
    with tempfile.TemporaryDirectory() as folder:
        for name in new:
            release(course, [name], database=True, release_directory=folder)
    return new


def _db(course: Path) -> str:
    from nbgrader.coursedir import CourseDirectory

    directory: Any = CourseDirectory(config=configuration(course))
    return str(directory.db_url)


def _source_cells(course: Path, name: str) -> dict[str, str]:
    import nbformat
    from nbgrader.coursedir import CourseDirectory

    directory: Any = CourseDirectory(config=configuration(course))
    path = course / directory.source_directory / name / f"{name}.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    named = [cell for cell in cells if "nbgrader" in cell.metadata]
    return {cell.metadata.nbgrader.grade_id: cell.source for cell in named}


class Book:
    """Writes judged notebooks. Use it as a context: the staging folder goes at the end."""

    def __init__(self, course: Path) -> None:
        self.course = course
        self._staging = Path(tempfile.mkdtemp(prefix="kmodsim-grading-"))

    def __enter__(self) -> Book:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._staging, ignore_errors=True)

    def write(self, result: dict[str, Any], papers: dict[str, bytes]) -> None:
        """One judged notebook, and what the exchange laid beside it, into gradebook and autograded/.

        nbgrader's exceptions come out.
        """
        student, assignment = result["student"], result["assignment"]
        folder = self._staging / "submitted" / student / assignment
        folder.mkdir(parents=True)
        (folder / f"{assignment}.ipynb").write_text(result["notebook"], encoding="utf-8")
        for name, text in papers.items():
            if text:
                (folder / name).write_bytes(text)
        config = configuration(self.course)
        config.CourseDirectory.assignment_id = assignment
        config.CourseDirectory.student_id = student
        with _quiet():
            _start(_keeper(), config, str(self._staging / "submitted"))
        shutil.rmtree(folder)


def feedback(course: Path, assignment: str, student: str = "*") -> None:
    """Write feedback/ for one assignment from autograded/ and gradebook, of one learner or of all."""
    config = configuration(course)
    config.CourseDirectory.assignment_id = assignment
    config.CourseDirectory.student_id = student
    with _quiet():
        _start(_teller(), config, None)


def _start(kind: Any, config: Any, submitted: str | None) -> None:
    from nbgrader.coursedir import CourseDirectory

    directory: Any = CourseDirectory(config=config)
    if submitted is not None:
        directory.submitted_directory = submitted
    converter = kind(coursedir=directory, config=config)
    converter.log.setLevel(logging.ERROR)
    converter.force = True
    converter.start()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """nbconvert warns of every cell without an id; ours have none on purpose."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _keeper() -> Any:
    """nbgrader's Autograde without running anything: the outputs are there already."""
    from nbgrader.converters import Autograde
    from nbgrader.converters.base import BaseConverter
    from nbgrader.preprocessors import (
        AssignLatePenalties,
        CheckCellMetadata,
        LimitOutput,
        OverwriteCells,
        SaveAutoGrades,
    )

    class Keep(Autograde):
        sanitize_preprocessors = [
            OverwriteCells,
            CheckCellMetadata,
            LimitOutput,
            SaveAutoGrades,
            AssignLatePenalties,
        ]

        def convert_single_notebook(self, notebook_filename: str) -> None:
            self._sanitizing = True
            self._init_preprocessors()
            BaseConverter.convert_single_notebook(self, notebook_filename)

    return Keep


def _teller() -> Any:
    """nbgrader's feedback in which tests show what learners may see of them."""
    from nbgrader.converters import GenerateFeedback
    from nbgrader.preprocessors import ClearHiddenTests

    class Tell(GenerateFeedback):
        preprocessors = [ClearHiddenTests, *GenerateFeedback.preprocessors.default_args[0]]

    return Tell


def rows(course: Path, assignments: list[str]) -> list[Row]:
    """The gradebook's points, every learner and assignment that was handed in."""
    from nbgrader.api import Gradebook

    found = []
    with Gradebook(_db(course)) as book:
        for name in assignments:
            for submission in book.assignment_submissions(name):
                s = submission.student
                person = s.id, s.first_name or "", s.last_name or "", s.email or "", s.lms_user_id or ""
                found.append(Row(*person, name, submission.score, submission.max_score))
    return sorted(found)
