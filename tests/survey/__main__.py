# SPDX-License-Identifier: GPL-2.0-only
"""The survey's command: runs all modules, prints the page, writes it with --write.

    python -m tests.survey [--jobs 2] [--write docs/running.md] [NAME …]

Exit status 1 when fewer than 98 % of the init functions returned, or Python raised an exception of its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from kmodsim import corpus

from .page import page, returned
from .run import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.survey", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these modules")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", type=Path, metavar="FILE", help="also write the page there")
    chosen = parser.parse_args()
    if corpus.tree() is None:
        print("needs the distribution's modules: `kmodsim fetch`, or KMODSIM_TREE=…/lib/modules/RELEASE")
        return 2
    start = time.monotonic()
    survey = run(chosen.names or None, chosen.jobs)
    text = page(survey)
    print(text)
    print(f"{time.monotonic() - start:.0f} s in {chosen.jobs} processes")
    if chosen.write and not chosen.names:
        chosen.write.write_text(text)
    share, strange = returned(survey)
    return int(share < 0.98 or strange > 0)


if __name__ == "__main__":
    sys.exit(main())
