# SPDX-License-Identifier: GPL-2.0-only
"""Load all modules of the distribution kernel in dependency order and compare every relocation.

    python -m tests.conformance.run [--jobs N] [--only NAME …]

The tree is found by ``kmodsim.corpus.tree()`` (KMODSIM_TREE, the user's cache, /lib/modules). Every process
loads all modules; each compares its share of them with pyelftools' reading of the files.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from kmodsim import Kernel, KernelError, Module, corpus
from kmodsim.loader.load import Load
from kmodsim.loader.relocate import apply_relocations

from .independent import Reading
from .rows import TOOLS, Row


def load_order(tree: Path) -> list[Path]:
    """The module files, every one behind those it depends on (by modules.dep where it is, else the index)."""
    depends = _modules_dep(tree) or {m.path: [] for m in corpus.index().values()}
    if not (tree / "modules.dep").is_file():
        index = corpus.index()
        depends = {m.path: [index[name].path for name in m.depends] for m in index.values()}
    order: dict[str, None] = {}

    def visit(path: str) -> None:
        if path not in order:
            for needed in reversed(depends[path]):
                visit(needed)
            order[path] = None

    for path in depends:
        visit(path)
    return [tree / path for path in order]


def _modules_dep(tree: Path) -> dict[str, list[str]]:
    file = tree / "modules.dep"
    if not file.is_file():
        return {}
    rows = (line.partition(":") for line in file.read_text().splitlines())
    return {path: needed.split() for path, _, needed in rows}


class Checker:
    """A kernel whose apply_relocations stage compares what it did with the independent reading."""

    def __init__(self, share: int, shares: int) -> None:
        self.share, self.shares, self.turn = share, shares, -1
        self.counts: Counter[str] = Counter()
        self.complaints: list[str] = []
        self.provided: dict[str, int] = {}
        self.kernel = Kernel(cpu=None, stages={"apply_relocations": self.relocate_and_compare})
        self.provided.update({name: export.address for name, export in self.kernel.profile.exports.items()})

    def relocate_and_compare(self, load: Load) -> None:
        """The stage itself, and then every place it should have written."""
        apply_relocations(load)
        module = load.module
        assert module is not None
        addresses = {s.index: s.addr for s in load.sections if s.alloc}
        if load.index.pcpu and module.percpu is not None:
            addresses[load.index.pcpu] = module.percpu
        reading = Reading(load.image[: load.length].tobytes()) if self._mine(load) else None
        if reading is not None:
            self._compare(reading, addresses, module)

    def _mine(self, load: Load) -> bool:
        return self.turn % self.shares == self.share

    def _compare(self, reading: Reading, addresses: dict[int, int], module: Module) -> None:
        memory = set(addresses)
        cache: dict[int, bytes] = {}
        for section, offset, stored in reading.expected(addresses, self.provided):
            if section not in cache:
                size = reading.elf.get_section(section)["sh_size"]
                cache[section] = module.memory.read(addresses[section], size) if section in memory else b""
            self.counts["relocations"] += 1
            if cache[section][offset : offset + len(stored)] != stored:
                self.counts["different"] += 1
                if len(self.complaints) < 20:
                    found = cache[section][offset : offset + len(stored)].hex()
                    place = f"{module.name}: section {section} + {offset:#x}"
                    self.complaints.append(f"{place}: expected {stored.hex()}, found {found}")
        self.counts["compared"] += 1

    def load(self, path: Path) -> None:
        """Load one module; its exports become known from the file's own symbol table."""
        self.turn += 1
        try:
            module = self.kernel.finit_module(str(path))
        except KernelError as error:
            self.counts["refused"] += 1
            self.complaints.append(f"{path.name}: {error}")
            return
        self.counts["loaded"] += 1
        self.provided.update({e.name: e.address for e in module.exports.values()})


def run_share(share: int, shares: int, tree: str, only: list[str]) -> tuple[dict[str, int], list[str]]:
    """One process's part of the work."""
    checker = Checker(share, shares)
    for path in load_order(Path(tree)):
        if not only or path.stem.replace("-", "_") in only:
            checker.load(path)
    return dict(checker.counts), checker.complaints


Results = list[tuple[dict[str, int], list[str]]]


def all_shares(pool: Executor, jobs: int, tree: Path, only: list[str]) -> Results:
    """Every process's part, at the same time."""
    tasks = [pool.submit(run_share, n, jobs, str(tree), only) for n in range(jobs)]
    return [task.result() for task in tasks]


def measured(pool: Executor, jobs: int, tree: Path) -> list[Row]:
    """The rows of the table of tests/conformance/table.py."""
    results = all_shares(pool, jobs, tree, [])
    count = Counter[str]()
    for counts, _ in results:
        count.update(counts)
    loaded, refused = (results[0][0].get(name, 0) for name in ("loaded", "refused"))
    lines = tuple(sorted({line for _, complaints in results for line in complaints}))
    places, wrong = count["relocations"], count["different"]
    return [
        Row(TOOLS, "modules load", loaded + refused, loaded, refused, 0, () if wrong else lines),
        Row(TOOLS, "relocations", places, places - wrong, wrong, 0, lines if wrong else ()),
    ]


def report(results: Results, seconds: float) -> int:
    """Print the table; 0 when all is equal."""
    compared = sum(c.get("compared", 0) for c, _ in results)
    relocations = sum(c.get("relocations", 0) for c, _ in results)
    different = sum(c.get("different", 0) for c, _ in results)
    loaded, refused = results[0][0].get("loaded", 0), results[0][0].get("refused", 0)
    rows: list[tuple[str, Any]] = [
        ("modules loaded, in dependency order", loaded), ("modules refused", refused),
        ("modules compared with pyelftools", compared), ("relocations compared", relocations),
        ("relocations equal", relocations - different), ("relocations different", different),
    ]  # fmt: skip
    for what, number in rows:
        print(f"{what:<40}{number:>12,}")
    print(f"{'seconds':<40}{seconds:>12.1f}")
    for complaint in sorted({c for _, complaints in results for c in complaints})[:40]:
        print(" ", complaint)
    return int(bool(different or refused or not loaded))


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", default=[], help="names of modules; the default is all")
    options = parser.parse_args(argv)
    tree = corpus.tree()
    if tree is None:
        print("skipped: needs the distribution's modules: kmodsim fetch, or KMODSIM_TREE=…")
        return int(os.environ.get("KMODSIM_REQUIRE_ALL", "0") not in ("", "0"))
    start = time.perf_counter()
    jobs = max(1, options.jobs)
    with ProcessPoolExecutor(jobs) as pool:
        results = all_shares(pool, jobs, tree, options.only)
    return report(results, time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
