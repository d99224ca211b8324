# SPDX-License-Identifier: GPL-2.0-only
"""How quickly widgets answer in a browser, beside a memory map of matplotlib, and what they weigh.

    python -m tests.bench.widgets [--rounds 20] [--gap 200] [--only FirstLoad …] [--module e1000e]

One JupyterLab, one Chromium. Of each widget of ``kmodsim.widgets.WIDGETS`` the first slider, text, list or
check box is moved; measured is the time from the event in the page to the new picture in the page, through
Python and back. Moves that follow each other closer than some 250 ms meet JupyterLab's own late work on the
page, about 33 ms of it now and then (``--gap 40`` shows that). Then each widget is made in a process of its
own on one module: its peak memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from kmodsim.widgets import WIDGETS

AIM, EXPLORER_AIM, MEMORY_AIM = 60, 20, 400  # ms, ms, MB
EXPLORER = "Explorer"  # answers in the page itself: tests/bench/explorer.py
BESIDE = "matplotlib in an Output widget"
FIGURE = """
import ipywidgets
from IPython.display import display
from kmodsim import Kernel, sample, views
kernel = Kernel(cpu=None)
modules = [kernel.load(sample(n), trace=False).module for n in ("hello", "minimal")]
out = ipywidgets.Output()
slider = ipywidgets.IntSlider(value=1, min=1, max=40, description="n")
slider.add_class("kms-n")
def draw(change):
    figure = views.memory_map_figure(modules[slider.value % 2])
    out.clear_output(wait=True)
    with out:
        display(figure)
slider.observe(draw, "value")
draw(None)
box = ipywidgets.VBox([slider, out])
box.add_class("kms-lab")
out.add_class("kms-answer")
box
"""
# Moves the first control there is; resolves with the times in ms, or null when there is none to move. A
# picture is there with the last change before a tenth of a second of calm: an Output is cleared, then filled
MEASURE = """async ({number, rounds, gap}) => {
    const cell = jupyterapp.shell.currentWidget.content.widgets[number].node;
    const inPage = !cell.querySelector('.kms-answer');
    const answer = cell.querySelector(inPage ? '.jp-OutputArea-output' : '.kms-answer');
    const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
    const pick = () => {
        for (const kind of ['.noUi-handle', 'select', 'input[type=text]', 'textarea', 'input[type=checkbox]'])
            for (const found of cell.querySelectorAll(`[class*="kms-"] ${kind}`)) return [kind, found];
        return [null, null];
    };
    const [kind, control] = pick();
    if (!control) return null;
    const key = name => control.dispatchEvent(new KeyboardEvent('keydown', {key: name, bubbles: true}));
    const original = control.value, event = name => control.dispatchEvent(new Event(name, {bubbles: true}));
    const moves = {
        '.noUi-handle': i => key(i % 2 ? 'ArrowLeft' : 'ArrowRight'),
        'select': i => { control.selectedIndex = (control.selectedIndex + 1) % control.options.length;
                         event('change'); },
        'input[type=text]': i => { control.value = i % 2 ? original : original + ' '; event('input'); },
        'textarea': i => { control.value = i % 2 ? original : original + '# '; event('input'); },
        'input[type=checkbox]': i => control.click(),
    };
    const times = [];
    for (let i = 0; i < rounds + 2; i++) {
        let last = null;
        const watcher = new MutationObserver(async () => {
            last = performance.now();
            const images = [...answer.querySelectorAll('img[src^="data:image"]')];
            if (!images.length) return;
            await Promise.all(images.map(image => image.decode().catch(() => null)));
            last = performance.now();
        });
        watcher.observe(answer, {childList: true, subtree: true, characterData: true, attributes: inPage});
        const start = performance.now();
        moves[kind](i);
        while (performance.now() - start < 3000 && (last === null || performance.now() - last < 100))
            await wait(10);
        watcher.disconnect();
        if (last !== null && i > 1) times.push(last - start);
        await wait(gap);
    }
    return [kind, times];
}"""
WEIGH = """
import inspect, resource, sys
import kmodsim.widgets
widget = getattr(kmodsim.widgets, sys.argv[1])
names, module = inspect.signature(widget).parameters, sys.argv[2]
given = {name: module for name in ("module", "word", "path", "file") if name in names}
if "modules" in names:
    given["modules"] = (module,)
made = widget(**given)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def cells(names: list[str]) -> list[str]:
    return [*(f"from kmodsim.widgets import {name}\n{name}()" for name in names), FIGURE]


def p95(times: list[float]) -> float:
    return sorted(times)[max(0, -(-len(times) * 95 // 100) - 1)]


def latencies(page: Any, names: list[str], rounds: int, gap: int) -> dict[str, tuple[str, list[float]]]:
    """Widget -> (the control that was moved, ms). Without times: nothing changed in three seconds."""
    found = {}
    for number, name in enumerate([*names, BESIDE]):
        page.evaluate("n => jupyterapp.shell.currentWidget.content.widgets[n].node.scrollIntoView()", number)
        page.wait_for_timeout(300)
        measured = page.evaluate(MEASURE, {"number": number, "rounds": rounds, "gap": gap})
        kind, times = measured or ("", [])
        found[name] = (kind.lstrip("."), times)
    return found


def memory(names: list[str], module: str) -> Iterator[tuple[str, str]]:
    """(widget, MB at most) of a fresh process that makes it on this module; "-" and why where it cannot.

    ipykernel's own part is in: it is imported first, as in a notebook's kernel.
    """
    for name in names:
        code = "import ipykernel.kernelapp\n" + WEIGH
        done = subprocess.run([sys.executable, "-c", code, name, module], capture_output=True, text=True)
        last = (done.stdout or done.stderr).strip().splitlines()
        yield name, last[-1] if last else "-"


def table(found: dict[str, tuple[str, list[float]]]) -> Iterator[str]:
    yield f"{'widget':<34}{'moved':<24}{'p50 ms':>8}{'p95 ms':>8}{'aim':>6}"
    for name, (kind, times) in found.items():
        aim = "" if name == BESIDE else str(AIM)
        if not times:
            yield f"{name:<34}{kind or 'no control found':<24}{'-':>8}{'-':>8}{aim:>6}"
            continue
        high = p95(times)
        mark = "" if not aim else " ✓" if high <= int(aim) else " ✗"
        yield f"{name:<34}{kind:<24}{median(times):>8.0f}{high:>8.0f}{aim:>6}{mark}"


def report(names: list[str], rounds: int, module: str, gap: int = 200) -> Iterator[str]:
    """The lines of one run."""
    from playwright.sync_api import sync_playwright

    from tests.browser.cells import open_cells
    from tests.browser.conftest import CHROMIUM_ARGS, chromium, running_lab

    with (
        tempfile.TemporaryDirectory(prefix="kmodsim-bench-") as home,
        running_lab(Path(home)) as lab,
        sync_playwright() as driver,
    ):
        browser = driver.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        page = open_cells(browser, lab, "bench", *cells(names))
        page.wait_for_timeout(2000)
        yield from table(latencies(page, names, rounds, gap))
        browser.close()
    yield from _explorer(module, 6 * rounds)
    yield ""
    yield f"peak memory of a notebook's kernel with the widget on {module}, aim {MEMORY_AIM} MB"
    for name, megabytes in memory([*names, EXPLORER], module):
        mark = (" ✓" if int(megabytes) <= MEMORY_AIM else " ✗") if megabytes.isdigit() else ""
        yield f"{name:<34}{megabytes:>10}{mark}"


def _explorer(module: str, rounds: int) -> Iterator[str]:
    """The linked explorer answers in its page alone: its own interactions, in a process of their own."""
    command = [sys.executable, "-m", "tests.bench.explorer", "--module", module, "--rounds", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True)
    yield ""
    yield "linked explorer"
    yield (done.stdout or done.stderr).strip()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--gap", type=int, default=200, help="ms of rest before the next move: 200")
    parser.add_argument("--only", nargs="+", choices=list(WIDGETS), default=list(WIDGETS))
    parser.add_argument("--module", default="e1000e", help="for the memory: e1000e")
    options = parser.parse_args(argv)
    from kmodsim.corpus import sample

    try:
        sample(options.module)
    except ValueError:  # the distribution's tree is not here
        options.module = "e1000"
    for line in report(options.only, options.rounds, options.module, options.gap):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
