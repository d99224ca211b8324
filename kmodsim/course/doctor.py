# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim doctor``: what is wrong with an exercise's notebook before it is handed in, and what to do.

Cells are compared with those of the assignment; then the notebook is run, each cell with a limit of time.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..progress import UNTOUCHED, cells_of, text_of
from .edition import cell_id, notebook
from .tasks import ASSIGNMENTS, tasks_of

HIDDEN = "### BEGIN HIDDEN TESTS"
SECONDS = 30  # for one cell
FLAGS = ("grade", "locked", "solution", "task", "points")  # of nbgrader's metadata, what counts
RESTORE = "take the cell from a fresh copy of the assignment"


def nbgrader_of(cell: dict[str, Any]) -> dict[str, Any]:
    metadata = cell.get("metadata")
    found = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    return found if isinstance(found, dict) else {}


def released(assignment: str) -> dict[str, dict[str, Any]]:
    """grade_id -> nbgrader's cell of an assignment, without what only the grading sees."""
    found = {}
    for cell in notebook(assignment)["cells"]:
        if nbgrader_of(cell):
            head, _, _ = text_of(cell["source"]).partition(HIDDEN)
            found[str(nbgrader_of(cell)["grade_id"])] = {**cell, "source": head}
    return found


def findings(path: Path, seconds: float = SECONDS) -> Iterator[str]:
    """Sentences, each with what to do. ``seconds``: for one cell when the notebook is run; 0: not run."""
    if path.stem not in ASSIGNMENTS:
        yield f"{path.name} is no assignment's name: give it the name it had, one of {', '.join(ASSIGNMENTS)}"
        return
    try:
        cells = cells_of(path)
    except (OSError, ValueError) as error:
        yield f"it cannot be read ({error}): {RESTORE.replace('the cell', 'it')}"
        return
    wrong = [*_cells(cells, released(path.stem)), *_functions(cells, path.stem), *_outputs(cells)]
    yield from wrong
    if not wrong and seconds:
        yield from _run(path, seconds)


def _cells(cells: Sequence[dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Deleted, copied, changed and unlocked cells."""
    named = [(str(nbgrader_of(cell).get("grade_id")), cell) for cell in cells if nbgrader_of(cell)]
    count = Counter(name for name, _ in named)
    for name, cell in wanted.items():
        if not count[name]:
            yield f"cell {name!r} is gone: {RESTORE}"
        elif count[name] > 1:
            yield f"cell {name!r} is there {count[name]} times: delete the copies, keep the one that is yours"
        if not nbgrader_of(cell)["solution"] and count[name] == 1:
            mine = next(one for other, one in named if other == name)
            if not _same(text_of(mine.get("source")), text_of(cell["source"])):
                yield f"cell {name!r} is locked and was changed: {RESTORE}"
    for name, cell in named:
        if name not in wanted:
            yield f"cell {name!r} has nbgrader's metadata and is none of the assignment: delete it"
        elif any(nbgrader_of(cell).get(f) != nbgrader_of(wanted[name]).get(f) for f in FLAGS):
            yield f"cell {name!r} has other metadata (was it unlocked?): {RESTORE}"


def _same(mine: str, theirs: str) -> bool:
    """Whether a locked cell says what it said; the last line with the sum stands behind the hidden tests."""
    lines = [line.rstrip() for line in mine.strip().splitlines()]
    wanted = [line.rstrip() for line in theirs.strip().splitlines()]
    return lines[: len(wanted)] == wanted and lines[len(wanted) :] in ([], ["points"])


def _functions(cells: Sequence[dict[str, Any]], assignment: str) -> Iterator[str]:
    """Functions that are not where they are looked for, or not written in Python."""
    defined: dict[str, str] = {}
    for number, cell in enumerate(cells, 1):
        if cell.get("cell_type") != "code" or nbgrader_of(cell).get("locked"):
            continue
        source = text_of(cell.get("source"))
        place = str(nbgrader_of(cell).get("grade_id") or f"number {number}")
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if nbgrader_of(cell).get("solution"):
                yield f"cell {place!r} is no Python: {str(error)[:100]}"
            continue
        names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        defined |= dict.fromkeys(names, place)
        if UNTOUCHED in source:
            yield f"cell {place!r} is not written yet: it will get no points"
    for name in (task.name for task in tasks_of(assignment)):
        place = cell_id(name)
        if name not in defined:
            yield f"no cell defines {name}: write it in cell {place!r}, under this name"
        elif defined[name] != place:
            yield f"{name} is defined in cell {defined[name]!r}: move it to {place!r}, where it is looked for"


def _outputs(cells: Sequence[dict[str, Any]]) -> Iterator[str]:
    for number, cell in enumerate(cells, 1):
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            if isinstance(output, dict) and output.get("name") == "stderr":
                words = text_of(output.get("text")).strip()[:80]
                yield f"cell number {number} wrote on standard error ({words!r}): a test cell gets 0 for that"
                break


def _run(path: Path, seconds: float) -> Iterator[str]:
    """Run a copy, as after *Restart Kernel and Run All Cells*."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    copy, place = nbformat.read(path, as_version=4), {"metadata": {"path": str(path.parent)}}
    try:
        NotebookClient(copy, timeout=seconds, resources=place, allow_errors=True).execute()
    except CellTimeoutError:
        yield f"a cell does not end within {seconds:g} s: look for a loop without an end"
        return
    except DeadKernelError:
        yield "the kernel died while the cells were run: run them one by one to see which"
        return
    errors = (o for one in copy.cells for o in one.get("outputs", ()) if o["output_type"] == "error")
    for error in errors:
        yield f"{error['ename']}: {error['evalue'][:100]}: run all cells from a fresh kernel and put it right"
        break
    yield from _outputs(copy.cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Print what was found for each notebook. Status 0: nothing; 1: something; 2: there is no notebook."""
    parser = argparse.ArgumentParser(prog="kmodsim doctor", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, metavar="NOTEBOOK|FOLDER")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for one cell (%(default)s)")
    parser.add_argument("--no-run", action="store_true", help="look at the cells only")
    options = parser.parse_args(argv)
    found = [one for path in options.paths for one in _notebooks(path)]
    if not found:
        print("kmodsim doctor: no notebook there")
        return 2
    status = 0
    for path in found:
        said = list(findings(path, 0 if options.no_run else options.seconds))
        print(f"{path}: {'nothing to say' if not said else ''}".rstrip())
        print(*(f"  * {words}" for words in said), sep="\n", end="\n" if said else "")
        status |= bool(said)
    return status


def _notebooks(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    return [path] if path.exists() else []
