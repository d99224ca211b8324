# SPDX-License-Identifier: GPL-2.0-only
"""The first notebook in JupyterLab in Chromium: it runs, and its widget answers as the core computes."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .cells import change_theme, troubles
from .conftest import Lab, run_all
from .driving import settled, wait_for

pytestmark = pytest.mark.browser

NOTEBOOK = "00-start-here.ipynb"
MEASURE = """async ({text, rounds}) => {
    const input = document.querySelector('.kms-params input');
    const answer = document.querySelector('.kms-answer .widget-html-content');
    const times = [];
    for (let i = 0; i < rounds; i++) {
        const done = new Promise(resolve => {
            const watcher = new MutationObserver(() => { watcher.disconnect(); resolve(performance.now()); });
            watcher.observe(answer, {childList: true, subtree: true});
        });
        const start = performance.now();
        input.value = text + i;
        input.dispatchEvent(new Event('input', {bubbles: true}));
        times.push(await done - start);
        await new Promise(resolve => setTimeout(resolve, 60));
    }
    return times;
}"""


@pytest.fixture(scope="module")
def page(browser: Any, lab: Lab, artifacts: Path) -> Iterator[Any]:
    """The notebook, open and run once for all tests of this file."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    run_all(page, lab, NOTEBOOK)
    page.wait_for_selector(".kms-lab .kms-answer svg", timeout=30_000)
    yield page
    page.close()


@pytest.fixture(autouse=True)
def first_values(page: Any) -> None:
    """Each test begins with the widget as it came up."""
    settled(page)
    page.locator(".kms-reset").click()
    wait_for(page, "hello is loaded and LIVE")


def press_space_on(page: Any, selector: str) -> None:
    """Focus a check box and press Space; again when a busy Lab took the focus in between."""
    box = page.locator(selector)
    for _ in range(3):
        box.focus()
        page.keyboard.press("Space")
        page.wait_for_timeout(500)
        if box.is_checked():
            return
    raise AssertionError(f"Space does not check {selector}")


def core(module: str, params: str, fault: str, needs_first: bool = False) -> Any:
    """What the core computes for the same setting, without any widget."""
    from kmodsim.widgets.attempt import attempt

    return attempt(module, params, fault, needs_first)


def test_every_cell_ran_without_an_error(page: Any) -> None:
    ran = page.evaluate(
        "() => jupyterapp.shell.currentWidget.content.widgets"
        ".filter(cell => cell.model.executionCount).length"
    )
    assert ran > 20
    assert troubles(page) == []


def test_each_control_has_a_label(page: Any) -> None:
    for label in ("Module", "Parameters", "What goes wrong", "First load the modules it needs"):
        assert page.locator(".kms-lab").get_by_label(label, exact=True).count() == 1, label


def test_tab_goes_through_the_controls_in_their_order(page: Any) -> None:
    page.locator(".kms-module select").focus()
    seen = []
    for _ in range(4):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.closest('[class*=kms-]').className.match(/kms-\\w+/)[0]")
        )
    assert seen == ["kms-params", "kms-fault", "kms-needs", "kms-reset"]


def test_a_screen_reader_finds_the_pictures_by_name(page: Any) -> None:
    answer = page.locator(".kms-answer")
    for name in ("insmod hello.ko", "Memory of hello"):
        assert answer.get_by_role("img", name=name).count() == 1, name


def test_the_keyboard_chooses_the_module_and_the_picture_changes(page: Any) -> None:
    before = page.locator(".kms-answer svg.kms").last.inner_html()
    page.locator(".kms-module select").focus()
    page.keyboard.press("ArrowDown")
    answer = wait_for(page, "minimal is loaded and LIVE")
    expected = core("minimal", "howmany=3", "nothing")
    assert expected.terminal in answer
    assert all(view.text in answer for view in expected.pictures)
    assert page.locator(".kms-answer svg.kms").last.inner_html() != before
    page.keyboard.press("ArrowUp")
    wait_for(page, "hello is loaded and LIVE")


def test_a_letter_chooses_from_the_list_and_does_not_change_the_cell(page: Any) -> None:
    """M would make it a Markdown cell, if JupyterLab saw the key."""
    page.locator(".kms-module select").focus()
    page.keyboard.press("m")
    wait_for(page, "minimal is loaded and LIVE")
    assert page.evaluate("document.activeElement.tagName") == "SELECT"


def test_a_wrong_parameter_is_told_with_the_kernels_own_words(page: Any, artifacts: Path) -> None:
    page.locator(".kms-params input").focus()
    page.keyboard.press("Control+a")
    page.keyboard.type("howmany=three")
    answer = wait_for(page, "hello: `three' invalid for parameter `howmany'")
    assert "insmod: ERROR: could not insert module hello.ko: Invalid parameters" in answer
    assert "EINVAL in parse_args" in answer
    assert core("hello", "howmany=three", "nothing").terminal in answer
    label = page.locator(".kms-answer svg.kms").first.locator("desc").text_content()
    assert "failed in parse_args" in label
    page.locator(".kms-lab").screenshot(path=artifacts / "widget-wrong-parameter.png")


def test_something_goes_wrong_and_reset_puts_it_right(page: Any) -> None:
    page.locator(".kms-fault select").focus()
    for _ in range(4):
        page.keyboard.press("ArrowDown")
    answer = wait_for(page, "Invalid architecture in ELF header: 183")
    assert "Invalid module format" in answer
    reset = page.locator(".kms-reset")
    reset.focus()
    page.keyboard.press("Enter")
    answer = wait_for(page, "hello is loaded and LIVE")
    assert core("hello", "howmany=3", "nothing").terminal in answer
    assert page.locator(".kms-params input").input_value() == "howmany=3"


def test_what_it_needs_is_loaded_first_with_the_space_bar(page: Any) -> None:
    page.locator(".kms-module select").select_option("chain_c")
    wait_for(page, "chain_c: Unknown symbol chain_b_add (err -2)")
    press_space_on(page, ".kms-needs input")
    answer = wait_for(page, "chain_c is loaded and LIVE")
    lines = re.findall(r"chain_[abc] \d+ \d+ \S+ Live 0x[0-9a-f]+", answer)
    assert [line.split()[0] for line in lines[:3]] == ["chain_c", "chain_b", "chain_a"]


def test_a_key_is_answered_at_once(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """From the input event to the new picture in the page, through Python and back."""
    times = sorted(page.evaluate(MEASURE, {"text": "howmany=", "rounds": 30}))
    p95 = times[int(len(times) * 0.95) - 1]
    with capsys.disabled():
        print(f"\nkey to picture: median {statistics.median(times):.0f} ms, p95 {p95:.0f} ms")
    assert statistics.median(times) < 200  # alone on two cores: about 55


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_screenshots_in_both_themes(page: Any, artifacts: Path, theme: str) -> None:
    """For human eyes; checked here: text and background differ enough in this theme."""
    change_theme(page, theme)
    colours = page.evaluate(
        """() => [['.kms-answer svg text:not(.on)', 'fill'], ['.kms-answer svg .bg', 'fill']].map(
            ([selector, property]) => getComputedStyle(document.querySelector(selector))[property])"""
    )
    light, dark = sorted((brightness(colour) for colour in colours), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 7
    name = theme.lower()
    page.locator(".kms-lab").screenshot(path=artifacts / f"widget-{name}.png")
    page.locator(".jp-NotebookPanel-notebook").screenshot(path=artifacts / f"notebook-{name}.png")


def brightness(colour: str) -> float:
    """Relative luminance of ``rgb(…)`` or ``rgba(…)``; transparency over a dark page counts as itself."""
    numbers = [float(n) for n in re.findall(r"[\d.]+", colour)]
    alpha = numbers[3] if len(numbers) > 3 else 1.0
    channels = [n / 255 * alpha if sum(numbers[:3]) > 380 else n / 255 + (1 - alpha) for n in numbers[:3]]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
