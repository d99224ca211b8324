# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.realkernel errno-table|samples`` records truth, ``… run PLAN.json`` one plan."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .kernels import DEFAULT, KERNELS
from .machine import CannotRecord, Target
from .recorder import Boot, record
from .truth import WANTED, tidy, write_truth


def run_plan(target: Target, path: Path) -> str:
    """A plan: {"cmdline": …, "files": {name: path}, "operations": [{"op": "finit", "file": name, …}, …]}."""
    plan = json.loads(path.read_text())
    files = {name: Path(file).read_bytes() for name, file in plan.get("files", {}).items()}
    boot = Boot("plan", plan["operations"], plan.get("cmdline", ""))
    return json.dumps([tidy(answer) for answer in record(target, [boot], files)["plan"][1:]], indent=1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.realkernel", description=__doc__)
    parser.add_argument("command", choices=[*WANTED, "run"])
    parser.add_argument("plan", nargs="?", type=Path)
    parser.add_argument("--kernel", default=DEFAULT, choices=list(KERNELS))
    parser.add_argument("--jobs", type=int, default=1, help="boots at a time")
    parser.add_argument("--boots", default="", help="record only these boots (a,b,c), keep the others")
    options = parser.parse_args()
    try:
        target = Target.of(KERNELS[options.kernel])
        if options.command == "run":
            print(run_plan(target, options.plan))
        else:
            print(
                write_truth(
                    options.command, target, options.jobs, options.boots.split(",") if options.boots else (),
                    options.kernel,
                )
            )
    except CannotRecord as error:
        print(f"realkernel: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
