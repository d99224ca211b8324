# SPDX-License-Identifier: GPL-2.0-only
"""Modules' code: hello's load with its init, and a time travel over 500 steps, recorded and walked back."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter

from kmodsim import Kernel, corpus
from kmodsim.cpu import installed

LOAD, TRAVEL = "hello's load and init", "500 steps of time travel"
STEPS = 500


def load_and_run() -> float:
    """Seconds of finit_module with hello's code run, in a kernel whose processor is new."""
    kernel = Kernel(cpu="strict")
    start = perf_counter()
    kernel.finit_module(corpus.sample("hello"))
    return perf_counter() - start


def travel() -> float:
    """Seconds of recording list's init, 500 steps of it, and of going back through every moment."""
    kernel = Kernel(cpu="strict")
    start = perf_counter()
    with kernel.cpu.recording(limit=STEPS) as run:
        kernel.finit_module(corpus.sample("list"), "count=40")
    seen = [(step.registers, step.changes) for step in reversed(run)]
    seconds = perf_counter() - start
    assert len(seen) == STEPS
    return seconds


def bench_running(rounds: int, found: dict[str, float]) -> Iterator[str]:
    """Median and minimum of both, after one run each to warm up."""
    if not installed():
        yield "running code not measured: it needs the extra exec"
        return
    yield f"{'':<46}{'median ms':>11}{'minimum ms':>12}"
    for title, run in ((LOAD, load_and_run), (TRAVEL, travel)):
        run()
        times = [1e3 * run() for _ in range(10 * rounds)]
        found[title] = median(times)
        yield f"{title:<46}{median(times):>11.2f}{min(times):>12.2f}"
