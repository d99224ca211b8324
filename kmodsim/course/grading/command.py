# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim grade``: grade what was collected, safely, into nbgrader's gradebook.

Run it in the course's folder, after ``nbgrader collect`` or with submitted/ filled otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .book import Book, feedback, rows, set_up
from .confinement import PACKAGE, ConfinementError, Limits, choose
from .hand import judge_all
from .release import configuration
from .table import FORMATS
from .table import write as write_table

PAPERS = ("timestamp.txt", "submission_secret.txt")  # what `nbgrader collect` lays beside a notebook


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kmodsim grade", description=__doc__)
    parser.add_argument("assignment", nargs="*", help="which (default: all that were handed in)")
    parser.add_argument("--course", type=Path, default=Path(), help="the course's folder (default: this one)")
    parser.add_argument("--student", action="append", help="only this learner (may be given again)")
    cores = os.cpu_count() or 1
    parser.add_argument("--workers", type=int, default=cores, help="side by side (%(default)s)")
    parser.add_argument("--confine", metavar="HOW", help="bubblewrap (default) or container")
    parser.add_argument("--unconfined", action="store_true", help="run learners' code as your own")
    parser.add_argument("--cell-seconds", type=float, default=Limits().cell, help="for a cell (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=Limits().submission, help="for a submission (%(default)s)"
    )
    parser.add_argument("--memory", type=int, default=Limits().memory, help="MiB (%(default)s)")
    parser.add_argument("--cluster", metavar="ADDRESS", help="a Dask scheduler's address: docs/scaling.md")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the points here, too")
    parser.add_argument("--csv-format", choices=FORMATS, default="plain")
    parser.add_argument("--no-feedback", action="store_true", help="write no feedback/")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command: 0 when all was graded, 1 when something could not be, 2 when nothing may be graded
    here.
    """
    options = _parser().parse_args(argv)
    course = options.course.resolve()
    limits = Limits(memory=options.memory, cell=options.cell_seconds, submission=options.seconds)
    wanted = "nothing" if options.unconfined else options.confine
    if not (course / "nbgrader_config.py").is_file():
        print(f"kmodsim: grade: {course} is no course: it has no nbgrader_config.py", file=sys.stderr)
        return 2
    try:
        # each worker of a cluster tries its own
        unseen = [str(course), str(PACKAGE), "/etc/passwd"]
        mode = (wanted or "bubblewrap") if options.cluster else choose(wanted, limits, unseen)
    except ConfinementError as error:
        print(f"kmodsim: grade: {error}", file=sys.stderr)
        return 2
    if mode == "nothing":
        print("kmodsim: UNCONFINED: what was handed in can read, change and send all that you can")
    tasks = list(collected(course, options.assignment, options.student))
    if not tasks:
        print("kmodsim: grade: nothing was handed in", file=sys.stderr)
        return 1
    return grade(course, tasks, options, mode, limits)


def grade(course: Path, tasks: list[dict[str, Any]], options: Any, mode: str, limits: Limits) -> int:
    """Judge all tasks and write what comes; the exit status."""
    names = sorted({task["assignment"] for task in tasks})
    set_up(course, names)
    papers = {(task["student"], task["assignment"]): task.pop("papers") for task in tasks}
    began, failed, notes = time.monotonic(), [], []
    with Book(course) as book:
        for number, result in enumerate(_judged(tasks, options, mode, limits), 1):
            whose = f"{result['student']} {result['assignment']}"
            try:
                if "failed" in result:
                    raise RuntimeError(result["failed"])
                book.write(result, papers[result["student"], result["assignment"]])
                notes += [f"{whose}: {note}" for note in result["notes"]]
            except (Exception, SystemExit) as error:  # one learner's trouble is no other's
                failed.append(f"{whose}: not graded: {type(error).__name__}: {str(error)[:300]}")
            _progress(number, len(tasks), began, whose)
    print(f"kmodsim: {len(tasks) - len(failed)} of {len(tasks)} graded in {time.monotonic() - began:.1f} s")
    for line in [*notes, *failed]:
        # learners' words may hold a terminal's control sequences
        print("kmodsim: " + "".join(letter if letter.isprintable() else "�" for letter in line))
    if options.csv:
        write_table(options.csv, rows(course, names), options.csv_format)
    if not options.no_feedback:
        for name in names:
            for student in options.student or ["*"]:
                feedback(course, name, student)
        print(f"kmodsim: feedback written, {time.monotonic() - began:.1f} s in all")
    return 1 if failed else 0


def _judged(
    tasks: list[dict[str, Any]], options: Any, mode: str, limits: Limits
) -> Iterator[dict[str, Any]]:
    if options.cluster:
        from . import cluster

        return cluster.judge_all(tasks, options.cluster, mode, limits)
    return judge_all(tasks, options.workers, mode, limits)


def collected(course: Path, assignments: list[str], students: list[str] | None) -> Iterator[dict[str, Any]]:
    """What lies in submitted/, as tasks for the judge. Links and files of other names are passed over."""
    from nbgrader.coursedir import CourseDirectory

    directory: Any = CourseDirectory(config=configuration(course))
    submitted = course / directory.submitted_directory
    for folder in sorted(submitted.glob("*/*")):
        student, assignment = folder.parent.name, folder.name
        source = course / directory.source_directory / assignment / f"{assignment}.ipynb"
        if (assignments and assignment not in assignments) or (students and student not in students):
            continue
        if not source.is_file() or student.startswith("."):
            continue
        yield {
            "student": student,
            "assignment": assignment,
            "notebook": _handed_in(folder / f"{assignment}.ipynb"),
            "source": source.read_text(encoding="utf-8"),
            "papers": {name: text for name in PAPERS if (text := _handed_in(folder / name)[:200]).isascii()},
        }


def _handed_in(path: Path) -> bytes:
    """A plain file's bytes, b"" for anything else; a link could lead to a file of the teacher's."""
    from .submission import MOST

    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(number, "rb") as stream:
        try:
            return stream.read(MOST + 1)
        except OSError:
            return b""


def _progress(number: int, count: int, began: float, whose: str) -> None:
    """A bar on a terminal; a line for every tenth part elsewhere."""
    spent = time.monotonic() - began
    left = spent / number * (count - number)
    if sys.stdout.isatty():
        bar = "█" * (30 * number // count)
        print(f"\r{bar:30} {number}/{count} {left:4.0f} s left  {whose:40.40}", end="", flush=True)
        if number == count:
            print()
    elif number == count or number * 10 // count != (number - 1) * 10 // count:
        print(f"kmodsim: {number}/{count} graded, {spent:.1f} s", flush=True)
