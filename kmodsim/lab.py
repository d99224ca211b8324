# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim lab``: JupyterLab at the first notebook, on any system that has Python."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

FIRST = Path("notebooks") / "00-start-here.ipynb"


def first_notebook() -> Path | None:
    """The first notebook, under the current folder or beside the package's source; None when neither has
    it."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parent.parent):
        if (folder / FIRST).is_file():
            return folder / FIRST
    return None


def main(argv: list[str] | None = None) -> int:
    """Start JupyterLab and stay until it ends; further words go to JupyterLab. Returns its exit status."""
    notebook = first_notebook()
    if notebook is None:
        return _missing(f"no {FIRST.as_posix()} here: change into the folder of the course first")
    if importlib.util.find_spec("jupyterlab") is None:
        return _missing('JupyterLab is not installed: python -m pip install "kmodsim[lab]"')
    root = notebook.parent.parent
    shown = f"--ServerApp.root_dir={root}"
    command = [sys.executable, "-m", "jupyterlab", shown, *(argv or []), str(notebook)]
    try:
        return subprocess.run(command, cwd=root).returncode
    except KeyboardInterrupt:
        return 0  # that is how JupyterLab is ended


def _missing(text: str) -> int:
    print(f"kmodsim lab: {text}", file=sys.stderr)
    return 1
