# SPDX-License-Identifier: GPL-2.0-only
"""Every notebook runs from top to bottom in a fresh kernel, without an error and without a word on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

pytestmark = pytest.mark.notebook

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def run(path: Path, **environment: str) -> Any:
    """The notebook with its outputs; a cell that raises ends the test."""
    notebook = nbformat.read(path, as_version=4)
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}
    )
    return client.execute(env={**os.environ, "PYTHONPATH": found, **environment})


def outputs(notebook: Any) -> list[tuple[str, Any]]:
    """(cell id, output) of all code cells."""
    return [(cell.id, output) for cell in notebook.cells for output in cell.get("outputs", ())]


def silent_on_stderr(notebook: Any) -> None:
    said = [
        (cell, o.text) for cell, o in outputs(notebook) if o.output_type == "stream" and o.name == "stderr"
    ]
    assert said == [], "a grader gives no points to a cell that writes to stderr"


def test_there_are_notebooks() -> None:
    assert [path.name for path in NOTEBOOKS][:1] == ["00-start-here.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(path: Path) -> None:
    notebook = run(path)
    silent_on_stderr(notebook)
    assert all(
        cell.execution_count for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_cells_have_names_of_their_own(path: Path) -> None:
    """Ids written by hand stay the same from edit to edit, so that a difference shows what changed."""
    ids = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    assert len(ids) == len(set(ids))
    assert all(not name.isalnum() or name.isalpha() for name in ids), "an id made by a machine"


def test_the_first_one_shows_what_it_promises_where_no_program_is_installed() -> None:
    """An empty PATH: no dot. The graph is drawn all the same, with a line that says so."""
    notebook = run(NOTEBOOKS[0], PATH="")
    silent_on_stderr(notebook)
    shown = {cell: o.data for cell, o in outputs(notebook) if "data" in o}
    for cell in ("load", "time", "deps-graph", "deps-list", "unload"):
        assert "image/svg+xml" in shown[cell], cell
    assert "Drawn without Graphviz" in shown["deps-graph"]["text/html"]
    assert all(name in shown["deps-graph"]["image/svg+xml"] for name in ("diamond_top", "diamond_bottom"))
    assert "image/png" in shown["memory-now"]
    alive_and_static = {"application/vnd.jupyter.widget-view+json", "text/html"}
    assert alive_and_static <= set(shown["widget"])


def test_a_figure_says_nothing_on_stderr_where_matplotlib_cannot_keep_its_fonts() -> None:
    """Its complaint about a folder it cannot write to would cost a student the points of the cell."""
    code = "from kmodsim import Kernel, views; views.memory_map_figure(Kernel())._repr_png_()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": os.path.join(os.devnull, "no")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
