# SPDX-License-Identifier: GPL-2.0-only
"""A submitted notebook made sane: every cell that nbgrader knows is what the source notebook says it is.

A learner's file is anything; what leaves here is a notebook of known form, in the learner's order.
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST = 4 << 20  # bytes of a notebook
LONGEST = 200_000  # characters of a cell
CELLS = 1000
TAG = re.compile(r"<(?=[a-zA-Z/!?])")


class UnreadableError(Exception):
    """The file is no notebook; the message says why."""


def grade_id(cell: dict[str, Any]) -> str | None:
    """nbgrader's name of a cell, or None."""
    found = _dict(_dict(cell.get("metadata")).get("nbgrader")).get("grade_id")
    return found if isinstance(found, str) else None


def info(cell: dict[str, Any]) -> dict[str, Any]:
    """nbgrader's metadata of a sane cell."""
    found: dict[str, Any] = cell["metadata"].get("nbgrader", {})
    return found


def is_test(cell: dict[str, Any]) -> bool:
    """Whether it is a code cell that gives points by itself."""
    return cell["cell_type"] == "code" and bool(info(cell).get("grade")) and not info(cell).get("solution")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = "".join(piece for piece in value if isinstance(piece, str))
    text = value[:LONGEST] if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode()


def read(data: bytes) -> list[dict[str, Any]]:
    """The cells as they were handed in; UnreadableError when it is no notebook at all."""
    if len(data) > MOST:
        raise UnreadableError(f"the notebook has {len(data)} bytes, more than {MOST}")
    try:
        cells = json.loads(data)["cells"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        words = f"{type(error).__name__}: {str(error)[:100]}"
        raise UnreadableError(f"the file is no notebook: {words}") from None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise UnreadableError("the file is no notebook: no list of cells")
    return cells[:CELLS]


def sane(handed_in: list[dict[str, Any]], source: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The notebook to grade and notes about what was put right.

    Of cells with the same name the last one counts, as with nbgrader. Locked cells get the source's text;
    missing ones come back: the setup at the top, tests at the end.
    """
    known = {grade_id(cell): cell for cell in source["cells"] if grade_id(cell) is not None}
    ours = {_text(cell["source"]) for cell in source["cells"]}
    last = {grade_id(cell): number for number, cell in enumerate(handed_in)}
    cells: list[dict[str, Any]] = []
    notes: list[str] = []
    for number, cell in enumerate(handed_in):
        name = grade_id(cell)
        if name in known and last[name] == number:
            cells.append(_as_source(cell, known[name], notes))
        else:
            cells.append(_free(cell, _kind(cell)))
        if cells[-1]["cell_type"] == "markdown" and cells[-1]["source"] not in ours:
            # formgrader shows text as it is: a learner's scripts would run in the teacher's browser
            cells[-1]["source"] = TAG.sub("&lt;", cells[-1]["source"])
    for name, cell in reversed(known.items()):
        if name not in last and cell["cell_type"] == "code" and info(cell)["locked"]:
            notes.append(f"the cell {name} was missing")
            put_back = _free(cell, "code") | {"metadata": {"nbgrader": dict(info(cell))}}
            cells.insert(len(cells) if is_test(cell) else 0, put_back)
    return {**source, "cells": cells}, notes


def _kind(cell: dict[str, Any]) -> str:
    kind = cell.get("cell_type")
    return kind if kind in ("code", "markdown") else "raw"


def _free(cell: dict[str, Any], kind: str) -> dict[str, Any]:
    made: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": _text(cell.get("source"))}
    if kind == "code":
        made.update(execution_count=None, outputs=[])
    return made


def _as_source(cell: dict[str, Any], source: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    made = _free(cell, source["cell_type"])
    made["metadata"] = {"nbgrader": dict(info(source))}
    if info(source)["locked"]:
        wanted = _text(source["source"])
        if made["source"] != wanted and made["source"] != without_hidden(wanted):
            notes.append(f"the locked cell {info(source)['grade_id']} was changed")
        made["source"] = wanted
    return made


def without_hidden(text: str) -> str:
    """A test's text as learners see it: nbgrader's ClearHiddenTests takes the marks and all between them."""
    kept, hidden = [], False
    for line in text.split("\n"):
        if "### BEGIN HIDDEN TESTS" in line:
            hidden = True
        elif "### END HIDDEN TESTS" in line:
            hidden = False
        elif not hidden:
            kept.append(line)
    return "\n".join(kept)


def claimed(cell: dict[str, Any]) -> set[str]:
    """The lines with a ✓ in the outputs that came with a submitted cell."""
    lines: set[str] = set()
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        text = _text(_dict(output).get("text"))
        lines |= {line for line in text.splitlines() if line.startswith("✓ ")}
    return lines
