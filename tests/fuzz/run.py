# SPDX-License-Identifier: GPL-2.0-only
"""The fuzzer's loop: cases of one seed, one after the other, until the number or the time is reached.

    python -m tests.fuzz.run [--runs N] [--seed S] [--seconds T] [--first I] [--keep DIRECTORY]

Exit status 1 when something was found. A find is named by seed and number (``--seed S --first I --runs 1``
runs it again); with --keep it is written to the directory, as small as it can be made, for tests/fuzz/finds.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import replace
from pathlib import Path

from .case import Case, apply_edits, dumps, edits, make_case, sound
from .check import run

HANGS = 60.0  # seconds of the wall clock after which a case counts as hanging


def signature(case: Case) -> str:
    """What escaped and from where, so that two finds can be called the same; empty when nothing is found."""
    try:
        run(case)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        text = str(error).split(":")[0] if isinstance(error, AssertionError) else ""
        return f"{type(error).__name__} {Path(frame.filename).name}:{frame.name} {text[:60]}"
    return ""


def smaller(case: Case, wanted: str, tries: int = 400) -> Case:
    """Leave out circumstances, then edits, then parts of edits, as long as the same is found."""
    for change in (
        {"params": b""},
        {"flags": 0},
        {"before": ()},
        {"cmdline": ""},
        {"returned": None},
        {"refuse": 0},
        {"cpus": 1},
        {"uid": None},
        {"way": "finit"},
        {"delete_flags": 0o4000},
    ):
        tried = replace(case, **change)
        if tried != case and signature(tried) == wanted:
            case = tried
    base = b"" if case.packed else sound(case.base)
    kept, length = edits(base, case.data), len(case.data)
    if len(base) > length and signature(replace(case, data=apply_edits(base, len(base), kept))) == wanted:
        length = len(base)
    size = max(len(kept) // 2, 1)
    while size and tries > 0:
        start = 0
        while start < len(kept) and tries > 0:
            fewer = kept[:start] + kept[start + size :]
            tries -= 1
            if signature(replace(case, data=apply_edits(base, length, fewer))) == wanted:
                kept = fewer
            else:
                start += size
        size //= 2
    return replace(case, data=apply_edits(base, length, kept))


class Watch:
    """A case that does not end is named, and the process ends with it: Python stops no loop from outside.

    ``over`` ends the watch, so that a process which called ``main`` lives on.
    """

    def __init__(self, seed: int) -> None:
        self.seed, self.number, self.since, self.over = seed, 0, time.monotonic(), False
        threading.Thread(target=self._look, daemon=True).start()

    def now(self, number: int) -> None:
        self.number, self.since = number, time.monotonic()

    def _look(self) -> None:
        while not self.over:
            time.sleep(2)
            if not self.over and time.monotonic() - self.since > HANGS:
                print(f"seed {self.seed} case {self.number} does not end", flush=True)
                faulthandler.dump_traceback()
                os._exit(3)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="write the finds there, made smaller")
    chosen = parser.parse_args(arguments)
    ends, finds = Counter[str](), Counter[str]()
    start, slowest, watch = time.monotonic(), (0.0, 0), Watch(chosen.seed)
    number = chosen.first
    for number in range(chosen.first, chosen.first + chosen.runs):
        if time.monotonic() - start > chosen.seconds:
            break
        watch.now(number)
        began = time.process_time()
        case = make_case(chosen.seed, number)
        try:
            ends[run(case)] += 1
        except Exception as error:
            found = signature(case) or f"only once: {type(error).__name__}"
            finds[found] += 1
            print(f"FIND seed {chosen.seed} case {number} ({case.base}, {case.way}): {found}", flush=True)
            print(f"    {error}", flush=True)
            if finds[found] == 1:
                traceback.print_exception(error)
                if chosen.keep:
                    keep(case, found, chosen.keep / f"seed{chosen.seed}-{number}.json")
        slowest = max(slowest, (time.process_time() - began, number))
        if (number - chosen.first) % 5000 == 4999:
            print(f"seed {chosen.seed}: up to case {number}, {finds.total()} finds", flush=True)
    watch.over = True
    report(ends, finds, time.monotonic() - start, slowest, chosen.seed)
    return 1 if finds else 0


def keep(case: Case, found: str, path: Path) -> None:
    small = smaller(case, found)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(small, found=found))
    print(f"    kept as {path.name}: {len(edits(sound(case.base), small.data))} edits", flush=True)


def report(
    ends: Counter[str], finds: Counter[str], seconds: float, slowest: tuple[float, int], seed: int
) -> None:
    done = ends.total() + finds.total()
    rate = done / seconds if seconds else 0
    print(f"seed {seed}: {done} runs in {seconds:.0f} s ({rate:.0f} a second), {finds.total()} finds")
    print(f"slowest: case {slowest[1]}, {slowest[0]:.2f} s of processor time")
    for end, count in ends.most_common(40):
        print(f"{count:8}  {end}")
    for find, count in finds.most_common():
        print(f"{count:8}  FOUND {find}")


if __name__ == "__main__":
    sys.exit(main())
