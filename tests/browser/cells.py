# SPDX-License-Identifier: GPL-2.0-only
"""A notebook made of given cells, opened and run in JupyterLab: how a widget is met in a browser, alone."""

from __future__ import annotations

from typing import Any

import nbformat

from .conftest import Lab, run_all


def open_cells(browser: Any, lab: Lab, name: str, *cells: str, theme: str = "") -> Any:
    """A page with the notebook ``name`` of these code cells, all run; the caller closes it.

    ``theme``: "Light" or "Dark". AssertionError when a cell failed or wrote to stderr.
    """
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    # without it JupyterLab asks which kernel to start, and waits
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, lab.folder / f"{name}.ipynb")
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    run_all(page, lab, f"{name}.ipynb")
    assert troubles(page) == []
    if theme:
        change_theme(page, theme)
    return page


def troubles(page: Any) -> list[Any]:
    """(output type, stream name, text) of every output that is an error or on stderr."""
    outputs = page.evaluate(
        """() => jupyterapp.shell.currentWidget.content.widgets.filter(cell => cell.model.type === 'code')
            .flatMap(cell => cell.model.outputs.toJSON().map(
                o => [o.output_type, o.name ?? '', String(o.text ?? o.evalue ?? '')]))"""
    )
    return [output for output in outputs if output[0] == "error" or output[1] == "stderr"]


def change_theme(page: Any, theme: str) -> None:
    """Change JupyterLab's theme to "Light" or "Dark" and wait until the page shows it."""
    page.evaluate(
        "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
    )
    page.wait_for_function(
        "dark => document.body.dataset.jpThemeLight === String(!dark)", arg=theme == "Dark"
    )
    page.wait_for_selector("#jupyterlab-splash", state="detached")
