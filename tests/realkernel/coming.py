# SPDX-License-Identifier: GPL-2.0-only
"""Modules' memory at COMING: recorded on the real kernel, compared with kmodsim.

    python -m tests.realkernel.coming record all|chosen    boots the real kernel, writes tests/truth/coming-*
    python -m tests.realkernel.coming again all|chosen     records without writing; status 1: something moved
    python -m tests.realkernel.coming compare all|chosen   replays it on kmodsim; status 1: something differs

Recording needs qemu-system-x86_64, gcc-12, the package linux-headers installed, and linux-image unpacked in
the folder that KMODSIM_PACKAGE_ROOT names; comparing needs only the tree of modules (KMODSIM_TREE).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .kernels import DEFAULT, KERNELS, Recorded
from .machine import CannotRecord, Target
from .observer import sequences
from .observer.replay import Difference, Replay
from .observer.truth import TRUTH, dump, file_of, load, module_file, record_truth

SHORT = {"all": "all", "chosen": "60"}


def file(what: str, kernel: str = DEFAULT) -> Path:
    """The truth file of a kernel."""
    return TRUTH / f"coming-{SHORT[what]}-{kernel}.json.xz"


FILES = {what: file(what) for what in SHORT}


def record(what: str, kernel: Recorded, jobs: int = 1) -> dict[str, Any]:
    """Boot the real kernel for one truth file."""
    boots = {name: (steps, what == "chosen") for name, steps in sequences.BOOTS_OF[what](kernel).items()}
    which = "" if kernel.name == DEFAULT else f" --kernel {kernel.name}"
    made_by = f"python -m tests.realkernel.coming record {what}{which}"
    return record_truth(kernel, Target.of(kernel), made_by, boots, jobs)


def moved(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """What two recordings do not have in common. Whole memories hold addresses on the heap: digests count."""
    yield from (key for key in {**old, **new} if key != "boots" and old.get(key) != new.get(key))
    for boot in {**old["boots"], **new["boots"]}:
        ours, theirs = old["boots"].get(boot, []), new["boots"].get(boot, [])
        if len(ours) != len(theirs):
            yield f"{boot}: {len(ours)} steps, then {len(theirs)}"
        for number, (one, other) in enumerate(zip(ours, theirs, strict=False)):
            keys = [key for key in {**one, **other} if key != "memory" and one.get(key) != other.get(key)]
            if keys:
                yield f"{boot}, step {number}, {one.get('load') or one.get('unload')}: {', '.join(keys)}"


def replay(
    what: str, boots: Sequence[str] = (), tree: Path | None = None, kernel: Recorded = KERNELS[DEFAULT]
) -> Iterator[Difference]:
    """What differs in these boots of a truth file (none named: in all)."""
    truth = load(file(what, kernel.name))
    own = kernel.name == DEFAULT
    for name, steps in truth["boots"].items():
        if not boots or name in boots:
            get = (lambda one: module_file(one, tree)) if own else partial(file_of, kernel)
            yield from Replay(get, kernel.profile).run(steps)


def compare(what: str, kernel: Recorded, boots: Sequence[str] = ()) -> int:
    """Print every difference without a cause, and count those with one."""
    count: Counter[str] = Counter()
    for difference in replay(what, boots, kernel.tree, kernel):
        count[difference.cause or "not explained"] += 1
        if difference.cause is None:
            print(difference)
    for cause, number in count.most_common():
        print(f"{number:6} {cause}")
    return int(count["not explained"] > 0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.realkernel.coming", description=__doc__)
    parser.add_argument("command", choices=["record", "again", "compare"])
    parser.add_argument("what", choices=sorted(FILES))
    parser.add_argument("--kernel", default=DEFAULT, choices=list(KERNELS))
    parser.add_argument("--jobs", type=int, default=1, help="boots at a time")
    parser.add_argument("--boots", default="", help="compare: only these (a,b)")
    options = parser.parse_args()
    kernel, path = KERNELS[options.kernel], file(options.what, options.kernel)
    if options.command == "compare":
        return compare(options.what, kernel, options.boots.split(",") if options.boots else ())
    try:
        found = record(options.what, kernel, options.jobs)
    except CannotRecord as error:
        print(f"coming: {error}", file=sys.stderr)
        return 2
    if options.command == "again":
        lines = list(moved(load(path), found))
        print("\n".join(lines) or "nothing moved")
        return int(bool(lines))
    dump(found, path)
    print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
