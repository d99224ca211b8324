# SPDX-License-Identifier: GPL-2.0-only
"""kmodsim beside the recorded real kernel, as one table. Status 1 when anything differs.

    python -m tests.conformance.table [--jobs N] [--no-tree] [--write docs/fidelity.md]

The recorded answers need nothing but this repository (a minute). The distribution's modules are loaded too
where they are found (``kmodsim.corpus.tree()``: KMODSIM_TREE, the user's cache, /lib/modules); --write wants
all of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kmodsim import corpus

from . import answers, document, memory, run
from .rows import Row, total

COLUMNS = ("cases", "equal", "different", "not modelled")
COMPLAINTS = 40


def measured(jobs: int, tree: Path | None) -> list[Row]:
    """All rows; without ``tree`` those of the recorded answers alone."""
    with ProcessPoolExecutor(jobs) as pool:
        rows = answers.measured(pool)
        if tree is not None:
            rows += memory.measured(pool, tree)
            rows += run.measured(pool, jobs, tree)
    return rows


def as_text(rows: Sequence[Row]) -> Iterator[str]:
    """The table for a terminal, what differs, and what is not modelled."""
    whole = total(rows)
    wide = max((len(row.title) for row in rows), default=0) + 4
    yield f"{'':<{wide}}" + "".join(f"{name:>14}" for name in COLUMNS)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            yield group
        yield _line(f"  {row.title:<{wide - 2}}", row)
    yield _line(f"{whole.title:<{wide}}", whole)
    yield f"{whole.equal / whole.cases:.3%} equal" if whole.cases else "nothing was compared"
    yield from (f"not modelled: {case}: {reason}" for case, reason in whole.reasons.items())
    yield from (f"DIFFERENT {line}" for line in whole.complaints[:COMPLAINTS])
    if len(whole.complaints) > COMPLAINTS:
        yield f"… and {len(whole.complaints) - COMPLAINTS} more"


def _line(name: str, row: Row) -> str:
    return name + "".join(f"{number:>14,}" for number in row.numbers)


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--no-tree", action="store_true", help="the recorded answers alone")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the document with the numbers")
    options = parser.parse_args(argv)
    tree = None if options.no_tree else corpus.tree()
    missing = tree is None and not options.no_tree
    if options.write and tree is None:
        print("cannot write: needs the distribution's modules, kmodsim fetch gets them", file=sys.stderr)
        return 2
    rows = measured(max(1, options.jobs), tree)
    print("\n".join(as_text(rows)))
    if missing:
        print("left out: the distribution's modules (kmodsim fetch, or KMODSIM_TREE=…/lib/modules/RELEASE)")
    if options.write:
        options.write.write_text(document.text(rows), encoding="utf-8")
    bad = [row for row in rows if row.different or row.complaints or not row.cases]
    required = missing and os.environ.get("KMODSIM_REQUIRE_ALL", "0") not in ("", "0")
    return int(bool(bad or required or not rows))


if __name__ == "__main__":
    sys.exit(main())
