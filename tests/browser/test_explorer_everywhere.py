# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer on refused files, in JupyterLab, and under axe-core's eyes in both themes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kmodsim import sample
from kmodsim.views.explorer import explored_load, explorer_document, explorer_page, words

from .cells import change_theme, open_cells, troubles
from .conftest import Lab
from .explorer_page import Opened, barriers, said

pytestmark = pytest.mark.browser


def refused() -> dict[str, tuple[bytes, str, str]]:
    """name -> (file, the stage that refuses it, what the page then says somewhere)."""
    data = bytearray(sample("hello").read_bytes())
    rela = bytes(data).index(bytes.fromhex("0a 00 00 00 00 00 00 00 0b 00 00 00 03 00 00 00"))
    data[rela + 8] = 99  # the type of .exit.text+0xa, R_X86_64_32S in readelf -r
    return {
        "script": (b"#!/bin/sh\n", "elf_validity_check", "no memory yet"),
        "empty": (b"", "EINVAL in kernel_read_file_from_fd", "no memory yet"),
        "cut": (sample("hello").read_bytes()[:9000], "elf_validity_check", "no memory yet"),
        "needs": (sample("chain_c").read_bytes(), "simplify_symbols", "not applied"),
        "type": (bytes(data), "apply_relocations", "the kernel refuses this type"),
    }


@pytest.mark.parametrize("name", refused())
def test_a_refused_file_has_its_page(browser: Any, tmp_path: Path, name: str) -> None:
    """Every control is used once; the last stage is the one that refused."""
    data, stage, words_there = refused()[name]
    file = tmp_path / f"{name}.html"
    document = explorer_document(explored_load(data, after=[]))
    file.write_text(explorer_page(document), encoding="utf-8")
    opened = Opened(browser, file)
    page = opened.page
    assert stage in page.locator(".kx h2").text_content()
    seen = []
    for control in [*page.locator(".kx button").all(), *page.locator(".kx-grid").all()]:
        control.click()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        page.keyboard.press("Enter")
        seen.append(page.locator(".kx").text_content())
    page.locator(".kx-search input").fill(".exit.text")
    page.keyboard.press("Enter")
    page.locator(".kx-reset").click()
    for number in range(len(document.relocations)):
        seen.append(page.evaluate(f"document.querySelector('.kx').explorer.words('relocation', {number})"))
        assert seen[-1] == words(document, "relocation", number)
    assert any(words_there in text for text in seen)
    assert opened.said == []
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_barrier_in_the_page(
    browser: Any, tmp_path: Path, theme: str, artifacts: Path
) -> None:
    file = tmp_path / "e1000.html"
    file.write_text(explorer_page(explorer_document(explored_load("e1000"))), encoding="utf-8")
    opened = Opened(browser, file, color_scheme=theme, bypass_csp=True)
    page = opened.page
    for act in ("", ".kx-edge", ".kx-back"):
        if act:
            page.locator(act).click()
        assert barriers(page) == []
    page.screenshot(path=artifacts / f"explorer-page-{theme}.png", full_page=True)
    page.close()


def test_in_jupyterlab(browser: Any, lab: Lab, artifacts: Path) -> None:
    """The page drives Python, Python drives the page; letters typed are no commands of JupyterLab."""
    hello = explorer_document(explored_load("hello"))
    page = open_cells(
        browser, lab, "explorer",
        "from kmodsim.widgets import Explorer\nexplorer = Explorer('hello')\nexplorer",
        "print(explorer.text)", "explorer.chosen = 'symbol 129'",
    )  # fmt: skip
    page.wait_for_selector(".kx-words", timeout=30_000)
    assert said(page).startswith("symbol 129 _printk")
    page.locator(".kx-relocations .kx-row", has_text=".exit.text+0xa").click()
    page.keyboard.press("ArrowDown")
    assert said(page) == words(hello, "relocation", 8)
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.keyboard.press("b")
    page.wait_for_timeout(400)
    cells = "jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.sharedModel.source)"
    sources = page.evaluate(cells)
    assert len(sources) == 3 and sources[0].endswith("explorer")
    printed = page.evaluate(
        """async () => {
            const {content, sessionContext} = jupyterapp.shell.currentWidget;
            let text = '';
            const future = sessionContext.session.kernel.requestExecute({code: 'print(explorer.text)'});
            future.onIOPub = message => { text += message.content.text ?? ''; };
            await future.done;
            return text;
        }"""
    )
    assert words(hello, "relocation", 8) in printed
    assert troubles(page) == []
    page.set_viewport_size({"width": 1280, "height": 1500})
    for theme in ("Light", "Dark"):
        change_theme(page, theme)
        for pane in ("sections", "symbols", "relocations"):  # rows are drawn anew
            page.locator(f".kx-{pane} .kx-row.kx-sel").wait_for(timeout=5000)
        page.wait_for_timeout(500)
        page.locator(".kx").screenshot(path=artifacts / f"explorer-lab-{theme.lower()}.png")
    page.close()


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_axe_finds_no_serious_barrier_in_the_notebook(browser: Any, lab: Lab, theme: str) -> None:
    cell = "from kmodsim.widgets import Explorer\nExplorer()"
    page = open_cells(browser, lab, "explorer-axe", cell, theme=theme)
    page.wait_for_selector(".kx-formula", timeout=30_000)
    assert barriers(page) == []
    page.close()
