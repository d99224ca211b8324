# SPDX-License-Identifier: GPL-2.0-only
"""How fast the loader is, beside other readers of the same files, in one run.

    python -m tests.bench.run [--quick] [--all] [--cpu] [--modules NAME …] [--seconds N] [--write FILE]

Competitors take turns (A B C A B C …), so that a busy machine is unfair to all alike. Nothing is judged: the
exit status is 0 whatever the numbers are.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median

import numpy as np

from kmodsim import Kernel, __version__, corpus
from tests.conformance.run import load_order

from .depmod import AS_LONG, bench_depmod
from .modprobe import PLAN, bench_modprobe
from .rivals import Run, Subject, prepare, rivals, timed, use_processor_time
from .running import LOAD, TRAVEL, bench_running

MODULES = ("hello", "ext4", "btrfs", "i915", "nouveau", "amdgpu")
QUICK_MODULES = ("hello", "ext4", "amdgpu")
COLUMNS = ("floor", "kmodsim", "traced", "signature", "scalar", "LIEF", "pyelftools", "CLE")
NO_TREE = "needs the distribution's modules: `kmodsim fetch`, or KMODSIM_TREE=…/lib/modules/RELEASE"
ROUNDS = 15
LONG = 1.0  # seconds: a run that takes this long is not repeated for repetition's sake
Times = Mapping[str, list[float]]

EXPLAINED = """\
floor       a minimal vectorised relocator in numpy: headers, layout, copy, symbols, relocation, no checks
kmodsim     the system call from bytes to the notifiers' COMING, no trace, no signature
traced      the same with a record of every stage
signature   checking the signature alone, of the file as it is shipped
scalar      a plain Python loop over the relocations, relocation alone
LIEF        its parser, nothing relocated
pyelftools  sections, symbols with names and relocations walked, nothing relocated
CLE         load and relocate (pip install cle); it leaves R_X86_64_PC64 alone and goes by names: not equal"""

# What is measured, the limit in its unit, the unit
TARGETS = {
    "ext4 to COMING": (15, "ms"), "amdgpu to COMING": (120, "ms"), "amdgpu traced / not traced": (2, "times"),
    "amdgpu trace kept / file": (3, "times"), "Kernel() after the first": (5, "ms"),
    "import kmodsim": (200, "ms"), "whole tree": (12, "s"), "whole tree, peak memory": (300, "MiB"),
    "ext4 / floor": (2.5, "times"), "amdgpu / floor": (2.5, "times"), PLAN: (50, "ms"),
    LOAD: (10, "ms"), TRAVEL: (50, "ms"), AS_LONG: (2, "times"),
}  # fmt: skip


def take_turns(runs: Mapping[str, Run], seconds: float, rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of every run of each competitor, after one run each to warm up.

    Nobody gets much more than an equal share of ``seconds``, but three runs unless one takes long.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    share = seconds / len(runs)
    for _ in range(rounds):
        for name, run in runs.items():
            done = times[name]
            if sum(done) < share or (len(done) < 3 and done[-1] < LONG):
                done.append(run())
    return times


# --- one module ---------------------------------------------------------------------------------------------


def row(label: str, first: str, cells: Mapping[str, str]) -> str:
    return f"{label:<9}{first:>12}" + "".join(f"{cells.get(c, '-'):>11}" for c in COLUMNS)


def table_of(subject: Subject, times: Times) -> Iterator[str]:
    """Medians, minima, ratios of the medians."""
    middle = {name: median(found) for name, found in times.items()}
    yield row(subject.name, "median ms", {name: f"{1e3 * m:.2f}" for name, m in middle.items()})
    yield row(f"{subject.relocations:,}", "minimum ms", {n: f"{1e3 * min(t):.2f}" for n, t in times.items()})
    yield row("", "to kmodsim", {name: f"{m / middle['kmodsim']:.2f}" for name, m in middle.items()})
    yield row("", "to floor", {name: f"{m / middle['floor']:.2f}" for name, m in middle.items()})


def trace_memory(subject: Subject) -> float:
    """Bytes that a trace keeps alive when all else is gone, over the bytes of the file."""
    kernel = subject.kernel
    tracemalloc.start()
    load = kernel.load(subject.image, trace=True)
    if load.module is not None:
        kernel.delete_module(load.module.name)
    kernel.unloading, trace = None, load.trace
    del load
    gc.collect()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(trace)
    return kept / len(subject.image)


def bench_modules(names: list[str], seconds: float, found: dict[str, float]) -> Iterator[str]:
    """The table; what has a target goes into ``found``."""
    yield row("", "", {c: c for c in COLUMNS})
    for name in names:
        try:
            subject = prepare(name)
        except ValueError:
            yield f"{name:<9}not measured: {NO_TREE}"
            continue
        times = take_turns(rivals(subject), seconds)
        middle = {key: median(t) for key, t in times.items()}
        found[f"{name} to COMING"] = 1e3 * middle["kmodsim"]
        found[f"{name} / floor"] = middle["kmodsim"] / middle["floor"]
        found[f"{name} traced / not traced"] = middle["traced"] / middle["kmodsim"]
        yield from table_of(subject, times)
        if f"{name} trace kept / file" in TARGETS:
            found[f"{name} trace kept / file"] = trace_memory(subject)


# --- starting -----------------------------------------------------------------------------------------------

FRESH = """
from time import {clock} as clock
times = [clock()]
import kmodsim
times.append(clock())
from kmodsim import Kernel
times.append(clock())
Kernel(cpu=None)
times.append(clock())
print(*(b - a for a, b in zip(times, times[1:])))
"""


def fresh_process(clock: str) -> list[float]:
    """Seconds of `import kmodsim`, of importing Kernel and of the first Kernel(), in a fresh process."""
    code = FRESH.replace("{clock}", clock)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def insmod_rmmod() -> None:
    kernel = Kernel(cpu=None)
    path = corpus.sample("hello")
    kernel.finit_module(path)
    kernel.delete_module("hello")


def bench_start(rounds: int, clock: str, found: dict[str, float]) -> Iterator[str]:
    """What everybody waits for: imports, a kernel, the smallest module in and out."""
    fresh = list(zip(*(fresh_process(clock) for _ in range(rounds)), strict=True))
    warm = {
        "Kernel() after the first": timed(lambda: Kernel(cpu=None)),
        "Kernel(), finit_module(hello), delete_module": timed(insmod_rmmod),
    }
    titles = ("import kmodsim", "from kmodsim import Kernel, then", "the first Kernel(), then")
    rows = {title: list(times) for title, times in zip(titles, fresh, strict=True)}
    rows |= take_turns(warm, 2.0, 10 * rounds)
    yield f"{'':<46}{'median ms':>11}{'minimum ms':>12}"
    for title, times in rows.items():
        found[title] = 1e3 * median(times)
        yield f"{title:<46}{1e3 * median(times):>11.2f}{1e3 * min(times):>12.2f}"


# --- the whole tree -----------------------------------------------------------------------------------------


def bench_tree(readers: list[str], clock: str, limit: int | None, found: dict[str, float]) -> Iterator[str]:
    """One run of each reader over all modules, or the first ``limit``, each in its own process."""
    tree = corpus.tree()
    if tree is None:
        yield f"whole tree not measured: {NO_TREE}"
        return
    yield f"{'':<12}{'modules':>10}{'seconds':>10}{'peak MiB':>10}"
    paths = "\n".join(str(path) for path in load_order(tree)[:limit])
    for name in readers:
        command = [sys.executable, "-m", "tests.bench.tree", name, clock]
        done = subprocess.run(command, input=paths, capture_output=True, text=True)
        if done.returncode:
            yield f"{name:<12}failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
            continue
        got = json.loads(done.stdout)
        yield f"{name:<12}{got['modules']:>10,}{got['seconds']:>10.2f}{got['mebibytes']:>10.0f}"
        if name == "kmodsim" and not limit:
            found["whole tree"], found["whole tree, peak memory"] = got["seconds"], got["mebibytes"]


# --- all of it ----------------------------------------------------------------------------------------------


def machine() -> str:
    """What was measured on, and how busy it was."""
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return (
        f"kmodsim {__version__}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors{load}"
    )


def targets(found: Mapping[str, float]) -> Iterator[str]:
    """Every target with what was measured."""
    yield f"{'target':<30}{'at most':>12}{'measured':>16}"
    for what, (limit, unit) in TARGETS.items():
        value = found.get(what)
        mark = "✓" if value is not None and value <= limit else "✗"
        measured = "not measured" if value is None else f"{value:.1f} {unit} {mark}"
        yield f"{what:<30}{f'{limit} {unit}':>12}{measured:>16}"


def report(options: argparse.Namespace) -> Iterator[str]:
    """The lines of one run, as they become known."""
    found: dict[str, float] = {}
    yield machine()
    if options.cpu:
        use_processor_time()
        yield "All times are processor time, for the machine is busy (--cpu)."
    yield ""
    yield from bench_modules(options.modules, options.seconds, found)
    yield ""
    yield from EXPLAINED.splitlines()
    yield ""
    clock = "process_time" if options.cpu else "perf_counter"
    yield from bench_start(3 if options.quick else 7, clock, found)
    yield ""
    slow = () if options.all else ("traced", "pyelftools")
    readers = [c for c in COLUMNS if c not in ("scalar", "CLE") and c not in slow]
    yield from bench_tree(readers, "cpu" if options.cpu else "clock", 200 if options.quick else None, found)
    yield ""
    yield from bench_modprobe(3 if options.quick else 7, found)
    yield from bench_depmod(3 if options.quick else 9, found)
    yield ""
    yield from bench_running(3 if options.quick else 7, found)
    yield ""
    yield from targets(found)


def write(path: Path, lines: list[str]) -> None:
    """Put the lines between the two marks of a Markdown file."""
    begin, end = "<!-- measured -->\n", "<!-- end -->"
    before, _, rest = path.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    block = "```text\n" + "\n".join(lines) + "\n```\n"
    path.write_text(before + begin + block + end + after, encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats, 200 modules of the tree")
    parser.add_argument("--all", action="store_true", help="the slow readers over the tree, too: minutes")
    parser.add_argument("--cpu", action="store_true", help="processor time, which is steadier when busy")
    parser.add_argument("--modules", nargs="+", help=f"default: {' '.join(MODULES)}; a few with --quick")
    parser.add_argument("--seconds", type=float, help="about, for all competitors on one module: 6")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the report into this Markdown file")
    options = parser.parse_args(argv)
    options.modules = options.modules or list(QUICK_MODULES if options.quick else MODULES)
    options.seconds = options.seconds or (1.0 if options.quick else 6.0)
    lines = []
    for line in report(options):
        print(line.rstrip(), flush=True)
        lines.append(line.rstrip())
    if options.write:
        write(options.write, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
