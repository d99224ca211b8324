# SPDX-License-Identifier: GPL-2.0-only
"""axe-core looks at every widget of the table, in both themes: no serious and no critical barrier."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kmodsim.widgets import WIDGETS

from .cells import change_theme, open_cells
from .conftest import Lab

pytestmark = pytest.mark.browser

BAD = ("serious", "critical")
# one cell's output; what JupyterLab puts around it is not ours
RUN = """async number => {
    const cell = jupyterapp.shell.currentWidget.content.widgets[number].node;
    const found = await axe.run(cell.querySelector('.jp-OutputArea-output'), {resultTypes: ['violations']});
    return [found.passes.length, found.violations.map(v => [v.impact, v.id, v.help,
        v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + ' :: ' + (n.any[0]?.message ?? ''))])];
}"""


@pytest.fixture(scope="module")
def page(browser: Any, lab: Lab) -> Iterator[Any]:
    """A notebook with a cell for each widget, and axe-core in it."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    cells = [f"from kmodsim.widgets import {name}\n{name}()" for name in WIDGETS]
    page = open_cells(browser, lab, "accessible", *cells)
    page.wait_for_function(
        "count => document.querySelectorAll('.jp-OutputArea-output .widget-html-content').length >= count",
        arg=len(WIDGETS),
        timeout=30_000,
    )
    page.wait_for_timeout(1000)
    page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_no_widget_has_a_serious_barrier(page: Any, theme: str) -> None:
    change_theme(page, theme)
    page.wait_for_timeout(500)
    found = []
    for number, name in enumerate(WIDGETS):
        passed, violations = page.evaluate(RUN, number)
        assert passed > 5, f"axe saw nothing of {name}"
        found += [(name, *violation) for violation in violations if violation[0] in BAD]
    assert found == []


def test_axe_sees_a_barrier_where_there_is_one(page: Any) -> None:
    """A picture without a name, put into the first widget and taken out again."""
    page.evaluate("""() => document.querySelector('.kms-answer .widget-html-content').insertAdjacentHTML(
        'beforeend', '<img id="barrier" src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=">')""")
    _, violations = page.evaluate(RUN, 0)
    page.evaluate("document.querySelector('#barrier').remove()")
    assert "image-alt" in [violation[1] for violation in violations]
