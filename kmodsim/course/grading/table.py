# SPDX-License-Identifier: GPL-2.0-only
"""The grades as CSV: plain, and in the columns that Canvas and Moodle import.

Canvas: Student, ID, SIS User ID, SIS Login ID, Section, then a column for each assignment and a row
"Points Possible". Moodle: an id column to map, then one column for each assignment.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from .book import Row

FORMATS = ("plain", "canvas", "moodle")
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def _safe(text: str) -> str:
    """A spreadsheet takes a word that begins so for a formula."""
    return "'" + text if text.startswith(FORMULA) else text


def _number(value: float) -> str:
    return f"{value:g}"


def _pivot(rows: Iterable[Row]) -> tuple[dict[str, Row], dict[tuple[str, str], Row], list[str]]:
    people, cells, names = {}, {}, {}
    for row in rows:
        people[row.student] = row
        cells[row.student, row.assignment] = row
        names[row.assignment] = row.max_score
    return people, cells, sorted(names)


def _plain(rows: list[Row]) -> list[list[str]]:
    lines = [["student", "assignment", "score", "max_score"]]
    return lines + [[_safe(r.student), r.assignment, _number(r.score), _number(r.max_score)] for r in rows]


def _canvas(rows: list[Row]) -> list[list[str]]:
    people, cells, names = _pivot(rows)
    most = {row.assignment: _number(row.max_score) for row in rows}
    lines = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names]]
    lines.append(["    Points Possible", "", "", "", "", *(most[name] for name in names)])
    for student, row in people.items():
        whole = ", ".join(word for word in (row.last_name, row.first_name) if word) or student
        lines.append([_safe(whole), _safe(row.lms_user_id), _safe(student), _safe(student), ""])
        lines[-1] += [_number(cells[student, n].score) if (student, n) in cells else "" for n in names]
    return lines


def _moodle(rows: list[Row]) -> list[list[str]]:
    people, cells, names = _pivot(rows)
    lines = [["username", "email", *names]]
    for student, row in people.items():
        points = [_number(cells[student, n].score) if (student, n) in cells else "" for n in names]
        lines.append([_safe(student), _safe(row.email), *points])
    return lines


def write(path: Path, rows: list[Row], kind: str = "plain") -> None:
    """Write the file; ``kind`` is one of FORMATS."""
    lines = {"plain": _plain, "canvas": _canvas, "moodle": _moodle}[kind](rows)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
