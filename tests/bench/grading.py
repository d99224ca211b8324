# SPDX-License-Identifier: GPL-2.0-only
"""The throughput of `kmodsim grade` beside `nbgrader autograde`, in one run, on the same submissions.

``python -m tests.bench.grading [--students 100] [--assignment 06-relocation]``: generated submissions (right,
partly right, untouched), a fresh gradebook for each of the two, the commands as a teacher types them. The
scores have to be the same, or the speed is worth nothing.
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

from tests.grading import honest
from tests.grading.inprocess import ROOT

BIN = Path(sys.executable).parent


def make_course(folder: Path, assignment: str, students: int) -> None:
    """A course with generated submissions, turn by turn from the honest cases of the assignment."""
    from kmodsim.course.grading.book import set_up

    (folder / "solutions" / assignment).mkdir(parents=True)
    for name in ("nbgrader_config.py", f"solutions/{assignment}/{assignment}.ipynb"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    cases = [case for case in honest.CASES if case.assignment == assignment]
    for number in range(students):
        path = folder / "submitted" / f"student{number:03}" / assignment / f"{assignment}.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(cases[number % len(cases)].notebook()), encoding="utf-8")
    set_up(folder, [assignment])


def scores(folder: Path, assignment: str) -> dict[str, float]:
    from kmodsim.course.grading.book import rows

    return {row.student: row.score for row in rows(folder, [assignment])}


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
    parser.add_argument("--assignment", default="06-relocation")
    options = parser.parse_args(argv)
    took, found = {}, {}
    commands = {
        "kmodsim grade, confined": [str(BIN / "kmodsim"), "grade", options.assignment, "--no-feedback"],
        "nbgrader autograde": [str(BIN / "nbgrader"), "autograde", options.assignment],
    }
    for name, command in commands.items():
        with tempfile.TemporaryDirectory() as text:
            folder = Path(text)
            make_course(folder, options.assignment, options.students)
            took[name] = timed(folder, *command)
            found[name] = scores(folder, options.assignment)
        rate = options.students / took[name] * 60
        print(f"{name:<26}{took[name]:8.1f} s {rate:8.0f} submissions a minute", flush=True)
    ours, theirs = commands
    print(f"{took[theirs] / took[ours]:.1f} times as fast, {os.cpu_count()} cores, start-up included")
    if found[ours] != found[theirs]:
        print("the scores differ")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
