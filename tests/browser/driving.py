# SPDX-License-Identifier: GPL-2.0-only
"""Driving a widget in a page: wait for its answer, use its controls by keyboard, look, measure."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from .cells import change_theme

# from an event in a control to the next change of the answer, in the page's own clock; then a pause
_MEASURE = """async ({selector, values, kind}) => {
    const input = document.querySelector(selector);
    const answer = document.querySelector('.kms-answer .widget-html-content');
    const times = [];
    for (const value of values) {
        const done = new Promise(resolve => {
            const watcher = new MutationObserver(() => { watcher.disconnect(); resolve(performance.now()); });
            watcher.observe(answer, {childList: true, subtree: true});
        });
        const start = performance.now();
        if (kind === 'key') {
            input.focus();
            input.dispatchEvent(new KeyboardEvent('keydown', {key: value, bubbles: true, cancelable: true}));
        } else {
            input.value = value;
            input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input', {bubbles: true}));
        }
        times.push(await done - start);
        await new Promise(resolve => setTimeout(resolve, 60));
    }
    return times;
}"""


def settled(page: Any) -> None:
    """Wait until the kernel has answered all that the page has asked so far, and the page shows it.

    More than once: ipywidgets keeps changes back while an earlier one is being answered, then sends the last.
    """
    page.evaluate(
        """async () => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            for (let round = 0; round < 3; round++) {
                await kernel.requestExecute({code: '', silent: true, store_history: false}).done;
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            }
        }"""
    )


def wait_for(page: Any, words: str) -> str:
    """Wait until the answer that stays says ``words``; returns all of it, the text twins too."""
    for _ in range(5):
        page.wait_for_function(
            "words => document.querySelector('.kms-answer')?.textContent.includes(words)",
            arg=words,
            timeout=15_000,
        )
        settled(page)  # it may have been an answer on the way
        answer = str(page.locator(".kms-answer").first.text_content())
        if words in answer:
            return answer
    raise AssertionError(f"the answer does not stay at {words!r}")


def _control(page: Any, control: str, element: str) -> Any:
    """The control, once nothing asked before is under way.

    ipywidgets keeps a second change of one control back until the first is answered, so that a change of
    another control overtakes it. No hand is that fast, a test is.
    """
    settled(page)
    return page.locator(f".kms-{control}").first.locator(element).first


def choose(page: Any, control: str, downs: int) -> None:
    """So many entries down in a list, by the keyboard."""
    _control(page, control, "select").focus()
    for _ in range(downs):
        page.keyboard.press("ArrowDown")


def tick(page: Any, control: str) -> None:
    """Change a check box, by the keyboard."""
    _control(page, control, "input").focus()
    page.keyboard.press("Space")


def slide(page: Any, control: str, steps: int) -> None:
    """Move a slider by so many steps, by the keyboard; to the left when negative."""
    _control(page, control, ".noUi-handle").focus()
    for _ in range(abs(steps)):
        page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")


def choose_by_key(page: Any, control: str, option: str) -> None:
    """Choose from the list of a control with the arrow keys alone. ipywidgets shows blanks as U+00A0."""
    select = _control(page, control, "select")
    page.wait_for_function(  # another control may just be changing the list
        """([control, option]) => [...document.querySelectorAll(`.kms-${control} option`)]
            .some(one => one.textContent.replaceAll('\u00a0', ' ') === option)""",
        arg=[control, option],
        timeout=10_000,
    )
    labels = [label.replace("\u00a0", " ") for label in select.locator("option").all_text_contents()]
    select.focus()
    now = select.evaluate("select => select.selectedIndex")
    wanted = labels.index(option)
    for _ in range(abs(wanted - now)):
        page.keyboard.press("ArrowDown" if wanted > now else "ArrowUp")
    assert select.evaluate("select => select.selectedIndex") == wanted


def type_into(page: Any, control: str, words: str) -> None:
    """Replace the text of a control by keys."""
    _control(page, control, "input, textarea").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.type(words)


def in_both_themes(page: Any, artifacts: Path, name: str) -> None:
    """A screenshot of the widget in the light and the dark theme."""
    size = page.viewport_size
    page.set_viewport_size({"width": size["width"], "height": 2600})  # all of it at once
    for theme in ("Light", "Dark"):
        change_theme(page, theme)
        page.wait_for_timeout(300)
        page.locator(".kms-lab").first.screenshot(path=artifacts / f"{name}-{theme.lower()}.png")
    change_theme(page, "Light")
    page.set_viewport_size(size)


def measured(page: Any, selector: str, values: list[str], kind: str = "value") -> tuple[float, float]:
    """(median, p95) in milliseconds from a control's event to the changed picture."""
    times = sorted(page.evaluate(_MEASURE, {"selector": selector, "values": values, "kind": kind}))
    return statistics.median(times), times[int(len(times) * 0.95) - 1]


def no_answer_is_cut(page: Any) -> bool:
    """Whether the answer's pictures fit into the widget without a scroll bar."""
    return bool(
        page.evaluate(
            """() => {
                const right = element => element.getBoundingClientRect().right;
                const all = [...document.querySelectorAll('.kms-answer svg')];
                return all.every(svg => right(svg) <= right(svg.closest('.kms-lab')) + 1);
            }"""
        )
    )
