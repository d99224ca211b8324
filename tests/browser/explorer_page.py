# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer met as a page from disk, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

BAD = ("serious", "critical")
AXE = """async () => {
    const found = await axe.run(document.querySelector('.kx'), {resultTypes: ['violations']});
    return [found.passes.length, found.violations.map(v => [v.impact, v.id, v.help,
        v.nodes.slice(0, 4).map(n => n.html.slice(0, 160) + ' :: ' + (n.any[0]?.message ?? ''))])];
}"""


class Opened:
    """A page with what it asked for and complained of."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        size = {"width": 1280, "height": 1000}
        self.page = browser.new_page(**{"viewport": size, "offline": True, **options})
        self.asked: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector(".kx-words")


def said(page: Any) -> str:
    return str(page.locator(".kx-words").text_content())


def lit(page: Any, pane: str, mark: str = "kx-sel") -> str:
    """The text of a table's lit row, cell by cell; the lit bytes of file and memory."""
    lights = page.locator(f".kx-{pane} .kx-room .kx-row.{mark} > span, .kx-{pane} .kx-room i.{mark}")
    return " ".join(lights.all_text_contents()).strip()


def barriers(page: Any) -> list[Any]:
    """What axe-core, put into the page, finds serious or critical in the explorer."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    passed, violations = page.evaluate(AXE)
    assert passed > 10, "axe saw nothing"
    return [violation for violation in violations if violation[0] in BAD]
