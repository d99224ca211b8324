# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim progress``: what is done of the course and what comes next, read from one's own notebooks.

Nothing is run. What counts is what JupyterLab saved: which cells were run, and what ``check`` said last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .chapters import Chapter, chapters
from .lab import first_notebook

UNTOUCHED = "raise NotImplementedError()"  # what a task's cell says before somebody writes it
DONE, BEGUN, NOT_YET = "✓", "…", " "


class Item(NamedTuple):
    """A chapter or an assignment: its notebook, how much is done of how much, and a few words."""

    path: Path
    title: str
    done: int
    all: int
    unit: str
    words: str = ""

    @property
    def sign(self) -> str:
        if self.all and self.done >= self.all:
            return DONE
        return BEGUN if self.done or self.words else NOT_YET

    def line(self, root: Path, width: int) -> str:
        place = self.path.relative_to(root).as_posix()
        line = f" {self.sign} {place:{width}} {self.done:3} of {self.all:<3} {self.unit}"
        return f"{line}  {self.words}".rstrip()


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook. ValueError: it is none; OSError: it cannot be read."""
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError("it is no notebook")
    return cells


def text_of(value: Any) -> str:
    """A source or an output's text: one string, or a list of them."""
    parts = value if isinstance(value, list) else [value]
    return "".join(part for part in parts if isinstance(part, str))


def chapter_item(chapter: Chapter) -> Item:
    """How many of its code cells were run."""
    code = [cell for cell in cells_of(chapter.path) if cell.get("cell_type") == "code"]
    code = [cell for cell in code if text_of(cell.get("source")).strip()]
    run = sum(cell.get("execution_count") is not None for cell in code)
    return Item(chapter.path, f"{chapter.number} · {chapter.title}", run, len(code), "cells run")


def assignment_item(path: Path) -> Item:
    """How many of its tasks ``check`` was content with, and the first that is open."""
    cells = cells_of(path)
    tasks = [cell for cell in cells if _is_task(cell)]
    states = [(str(_grade(cell).get("grade_id")), _state(cell, cells)) for cell in tasks]
    right = sum(state == "right" for _, state in states)
    written = sum(state != "not begun" for _, state in states)
    first = next((f"{name}: {state}" for name, state in states if state != "right"), "")
    return Item(path, path.stem, right, len(states), "tasks right", first if written else "")


def _grade(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def _is_task(cell: dict[str, Any]) -> bool:
    return cell.get("cell_type") == "code" and _grade(cell).get("solution") is True


def _state(task: dict[str, Any], cells: Sequence[dict[str, Any]]) -> str:
    """right, wrong, not checked, or not begun."""
    if UNTOUCHED in text_of(task.get("source")):
        return "not begun"
    name = str(_grade(task).get("grade_id")).replace("-", "_")
    said = [_output(cell) for cell in cells if text_of(cell.get("source")).startswith(f'check("{name}"')]
    lines = "".join(said).splitlines()
    if not any(line.startswith(("✓", "✗")) for line in lines):
        return "not checked"
    return "wrong" if any(line.startswith("✗") for line in lines) else "right"


def _output(cell: dict[str, Any]) -> str:
    outputs = cell.get("outputs")
    if not isinstance(outputs, list):
        return ""
    return "".join(text_of(output.get("text")) for output in outputs if isinstance(output, dict))


def items(root: Path) -> Iterator[Item]:
    """Chapters and assignments in the course's order, each assignment behind its chapter.

    ValueError, OSError: a chapter's notebook cannot be read. An assignment that cannot be is told as such.
    """
    assignments = {path.stem[:2]: path for path in sorted((root / "exercises").glob("*/*.ipynb"))}
    for chapter in chapters(root / "notebooks"):
        yield chapter_item(chapter)
        path = assignments.get(chapter.number)
        if path is not None:
            try:
                yield assignment_item(path)
            except (OSError, ValueError) as error:
                yield Item(path, path.stem, 0, 0, "tasks right", f"cannot be read: {error}"[:100])


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for each chapter and assignment, and what comes next. Status 1: no course is here."""
    parser = argparse.ArgumentParser(prog="kmodsim progress", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, help="the course's folder (found by itself)")
    options = parser.parse_args(argv)
    first = first_notebook()
    root = options.folder or (first.parent.parent if first else None)
    if root is None or not (root / "notebooks").is_dir():
        print("kmodsim progress: no course here: change into its folder, or name it")
        return 1
    try:
        found = list(items(root))
    except (OSError, ValueError) as error:
        print(f"kmodsim progress: {error}")
        return 1
    width = max((len(item.path.relative_to(root).as_posix()) for item in found), default=0)
    print(*(item.line(root, width) for item in found), sep="\n")
    print(f"\n{_next(found, root)}")
    return 0


def _next(found: Sequence[Item], root: Path) -> str:
    done = sum(item.sign == DONE for item in found)
    following = next((item for item in found if item.sign != DONE), None)
    if following is None:
        return f"All {len(found)} are done."
    return f"{done} of {len(found)} are done. Next: {following.path.relative_to(root).as_posix()}"
