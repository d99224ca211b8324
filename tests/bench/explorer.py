# SPDX-License-Identifier: GPL-2.0-only
"""How quickly the linked explorer answers in its page, and how large the page is.

    python -m tests.bench.explorer [--module e1000e] [--rounds 120]

The page stands on disk, in Chromium. Of each kind of interaction ``rounds`` are made, all over the module.
In the page, "work" is from the event until all five panes are changed and laid out (script, style,
forced layout), which is what the aim of 20 ms is about; "frame" is from the event until the frame after it
has been handed on, with the wait for the screen's beat (16.7 ms) in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from kmodsim.errors import KernelError
from kmodsim.views.explorer import explored_load, explorer_document, explorer_page

from .widgets import EXPLORER_AIM, p95

# kind -> what round i does; a set-up that is not measured stands before the event
MEASURE = """async rounds => {
    const root = document.querySelector('.kx'), {doc, link, panes} = root.explorer;
    const grids = panes.map(pane => pane.grid), line = root.querySelector('.kx-line');
    const slider = root.querySelector('.kx-base input[type=range]');
    const press = key => new KeyboardEvent('keydown', {key, bubbles: true});
    const key = (element, name) => element.dispatchEvent(press(name));
    const spread = (i, count) => Math.floor(i * 0.618 * count) % count;
    const point = (grid, i) => {
        const row = grid.querySelectorAll('.kx-room .kx-row:not([hidden])')[1 + i % 8];
        const cell = row.querySelector('.kx-bytes') ?? row.firstElementChild;
        const clientX = cell.getBoundingClientRect().left + 30;
        cell.dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX}));
    };
    const scrolled = (grid, i) => { grid.scrollTop = spread(i, grid.scrollHeight - grid.clientHeight); };
    const kinds = {
        hover: [i => scrolled(grids[i % 5], i), i => point(grids[i % 5], i)],
        click: [i => scrolled(grids[i % 5], i), i => {
            const cells = '.kx-room .kx-row:not([hidden]) > span:not(.kx-whole)';
            grids[i % 5].querySelectorAll(cells)[2 + i % 5].click();
        }],
        'arrow key': [i => 0,
            i => key(grids[Math.floor(i * 5 / rounds)], i % 7 ? 'ArrowDown' : 'ArrowRight')],
        'page key': [i => 0, i => key(grids[i % 5], i % 4 === 3 ? 'PageUp' : 'PageDown')],
        'a relocation': [i => 0, i => link.choose('relocation', spread(i, doc.relocationCount))],
        'base slider': [i => 0, i => {
            slider.value = String(spread(i, Number(slider.max)));
            slider.dispatchEvent(new Event('input', {bubbles: true}));
        }],
        'stage, moved': [i => 0, i => key(line, i % 50 < 25 ? 'ArrowLeft' : 'ArrowRight')],
        stage: [i => link.shift && link.setShift(0n),
            i => key(line, i % 80 < 40 ? 'ArrowRight' : 'ArrowLeft')],
        'next change': [i => 0, i => root.querySelector('.kx-next').click()],
    };
    const found = {}, layout = () => grids.map(grid => grid.offsetHeight + grid.lastChild.offsetHeight);
    for (const [kind, [before, act]] of Object.entries(kinds)) {
        if (kind === 'stage') key(line, 'Home');
        if (kind === 'next change') key(line, 'Home');
        const work = [], frame = [];
        for (let i = 0; i < rounds; i++) {
            before(i);
            layout();
            await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
            const start = performance.now();
            act(i);
            layout();
            work.push(performance.now() - start);
            await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
            frame.push(performance.now() - start);
        }
        found[kind] = [work, frame];
    }
    return found;
}"""


def measured(page: Any, rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Interaction -> (ms of work, ms until the next frame) in an open explorer page."""
    found: dict[str, tuple[list[float], list[float]]] = page.evaluate(MEASURE, rounds)
    return found


def table(found: dict[str, tuple[list[float], list[float]]]) -> Iterator[str]:
    yield f"{'interaction':<20}{'work p50 ms':>12}{'p95':>8}{'most':>8}{'aim':>6}{'frame p50':>12}{'p95':>8}"
    for kind, (work, frame) in found.items():
        mark = "✓" if p95(work) <= EXPLORER_AIM else "✗"
        yield (
            f"{kind:<20}{median(work):>12.1f}{p95(work):>8.1f}{max(work):>8.1f}{EXPLORER_AIM:>6} {mark}"
            f"{median(frame):>10.1f}{p95(frame):>8.1f}"
        )


def pages(modules: list[str], folder: Path) -> Iterator[tuple[str, Path, str]]:
    """(name, the page on disk, a line about it) of each module that is here."""
    for name in modules:
        start = time.perf_counter()
        try:
            document = explorer_document(explored_load(name))
        except KernelError as error:
            yield name, folder, f"{name}: {error.strerror}"
            continue
        page, target = explorer_page(document), folder / f"{Path(name).stem}.html"
        seconds = time.perf_counter() - start
        target.write_text(page, encoding="utf-8")
        size = f"file {len(document.image):,} bytes, page {len(page):,}; {len(document.symbols):,} symbols"
        rows = f"{len(document.relocations):,} relocations, {len(document.code):,} instructions"
        yield name, target, f"{name}: {size}, {rows}; {seconds:.1f} s"


def report(modules: list[str], rounds: int) -> Iterator[str]:
    """The lines of one run."""
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import CHROMIUM_ARGS, chromium

    with tempfile.TemporaryDirectory(prefix="kmodsim-bench-") as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_ARGS))
        for _, target, line in pages(modules, Path(folder)):
            yield line
            if not target.is_file():
                continue
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            start = time.perf_counter()
            page.goto(target.as_uri())
            page.wait_for_selector(".kx-formula", state="attached", timeout=60_000)
            yield f"open in the browser: {time.perf_counter() - start:.2f} s"
            yield from table(measured(page, rounds))
            page.close()
        browser.close()


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--module", nargs="+", default=["e1000e", "amdgpu"], help="without: e1000e amdgpu")
    parser.add_argument("--rounds", type=int, default=120)
    options = parser.parse_args(argv)
    for line in report(options.module, options.rounds):
        print(line, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
