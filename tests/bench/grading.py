# SPDX-License-Identifier: GPL-2.0-only
"""The throughput of `kmodsim grade` beside `nbgrader autograde`, in one run, on the same submissions.

``python -m tests.bench.grading [--students 100]``: generated submissions of 06-relocation (right, partly
right, untouched), a fresh gradebook for each of the two, the commands as a teacher types them. The scores
have to be those that the submissions are worth, or the speed is worth nothing.

``--hostile 10`` makes the last ten hostile and leaves nbgrader out: it would run them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.grading import honest, hostile
from tests.grading.inprocess import ROOT

BIN = Path(sys.executable).parent
ASSIGNMENT = "06-relocation"
BAD = (
    "input transformers", "kmodsim patched", "test cells edited", "outputs faked", "answers forged",
    "returns: an endless loop", "cell: fork bomb", "cell: all memory", "cell: endless output",
    "cell: a crash",
)  # fmt: skip


def submissions(students: int, bad: int) -> list[tuple[bytes, float]]:
    """Notebooks and what they are worth."""
    cases = [case for case in honest.CASES if case.assignment == ASSIGNMENT]
    made = [(json.dumps(case.notebook()).encode(), case.points) for case in cases]
    attacks = [attack for attack in hostile.ATTACKS if attack.name in BAD]
    evil = [(hostile.notebook(attack.make()), sum(attack.points)) for attack in attacks]
    good = [made[number % len(made)] for number in range(students - bad)]
    return good + [evil[number % len(evil)] for number in range(bad)]


def make_course(folder: Path, handed_in: list[tuple[bytes, float]]) -> None:
    """A course in which these were collected, known to its gradebook."""
    from kmodsim.course.grading.book import set_up

    (folder / "solutions" / ASSIGNMENT).mkdir(parents=True)
    for name in ("nbgrader_config.py", f"solutions/{ASSIGNMENT}/{ASSIGNMENT}.ipynb"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for number, (notebook, _) in enumerate(handed_in):
        path = folder / "submitted" / f"student{number:03}" / ASSIGNMENT / f"{ASSIGNMENT}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_bytes(notebook)
    set_up(folder, [ASSIGNMENT])


def scores(folder: Path) -> list[float]:
    """The gradebook's points in the students' order."""
    from kmodsim.course.grading.book import rows

    return [row.score for row in rows(folder, [ASSIGNMENT])]


def timed(folder: Path, *command: str) -> float:
    """Seconds that a command takes; SystemExit with its words when it fails."""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.monotonic() - began


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("--hostile", type=int, default=0)
    options = parser.parse_args(argv)
    handed_in = submissions(options.students, options.hostile)
    took, wrong = {}, False
    commands = {
        "kmodsim grade, confined": [str(BIN / "kmodsim"), "grade", "--no-feedback", "--cell-seconds", "10"],
        "nbgrader autograde": [str(BIN / "nbgrader"), "autograde", ASSIGNMENT],
    }
    if options.hostile:
        del commands["nbgrader autograde"]
    for name, command in commands.items():
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            make_course(folder, handed_in)
            took[name] = timed(folder, *command)
            wrong |= scores(folder) != [points for _, points in handed_in]
        rate = options.students / took[name] * 60
        print(f"{name:<26}{took[name]:8.1f} s {rate:8.0f} submissions a minute", flush=True)
    ours, *theirs = took.values()
    for one in theirs:
        print(f"{one / ours:.1f} times as fast, {os.cpu_count()} cores, start-up included")
    print("the scores are not those they are worth" if wrong else "every score is exact")
    return int(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
