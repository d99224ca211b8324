# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.realkernel.running`` records what modules say while their code runs.

The faults of the sample buggy, one a boot, with the whole report; what the sample formats prints, and what
vsnprintf warns of; the samples that go on working: loaded, left alone for some seconds, unloaded. Faults that
hang the caller are left out; of those that stop the machine only that is kept. Needs KMODSIM_PACKAGE_ROOT, as
docs/recording.md says.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.files import RUNNING, SAMPLES

from .machine import CannotRecord, Target
from .recorder import Boot, record_boot

TRUTH = Path(__file__).parent.parent / "truth" / "running-6.1.json"
SOURCE = SAMPLES.parent / "src" / "buggy.c"
ROW = re.compile(r'^\t\{ "(\w+)", \w+, "(oops|BUG|WARN|quiet)" \},', re.MULTILINE)
ALONE_FOR = 3000  # milliseconds between loading and unloading
ODD = range(1, 9)  # values of formats' parameter odd
KEPT = ("errno", "signal", "log", "modules", "tainted")


def faults() -> list[str]:
    """The faults after which the kernel may still answer, from the table in buggy.c."""
    return [name for name, _ in ROW.findall(SOURCE.read_text())]


def lives() -> list[str]:
    """The samples that go on working while they are loaded."""
    return sorted(RUNNING - {"buggy"})


def ask(target: Target, boot: Boot) -> list[dict[str, Any]]:
    """The kernel's answers; none when the whole machine went down."""
    files = {name: (SAMPLES / f"{name}.ko").read_bytes() for name in boot.files}
    try:
        answers = record_boot(target, boot, files)[1:]
    except (CannotRecord, RuntimeError) as error:
        print(f"{boot.name}: no answer ({str(error).splitlines()[0]})", file=sys.stderr)
        return []
    return [{key: answer[key] for key in KEPT if key in answer} for answer in answers]


def record(target: Target, boots: list[Boot]) -> dict[str, list[dict[str, Any]]]:
    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(lambda boot: (boot.name, ask(target, boot)), boots))


def formats(load: dict[str, Any]) -> list[Boot]:
    """Every format, with pointers that are not hashed; and one boot for each thing that is said only once."""
    odd = [Boot(f"odd={odd}", [load | {"file": "formats", "params": f"odd={odd}"}]) for odd in ODD]
    return [Boot("no_hash_pointers", [load | {"file": "formats"}], cmdline="no_hash_pointers"), *odd]


def main() -> None:
    target = Target.from_environment()
    load = {"op": "finit", "settle": 100}
    failing = [Boot(name, [load | {"file": "buggy", "params": f"fault={name}"}]) for name in faults()]
    unload = {"op": "delete", "settle": 300}
    living = [
        Boot(name, [load | {"file": name, "settle": ALONE_FOR}, unload | {"name": name}]) for name in lives()
    ]
    about = {"made by": "python -m tests.realkernel.running", "release": target.release, "cpu": target.cpu}
    boots = {"faults": failing, "formats": formats(load), "lives": living}
    found = {what: record(target, each) for what, each in boots.items()}
    TRUTH.write_text(json.dumps(about | found, indent=1) + "\n")


if __name__ == "__main__":
    main()
