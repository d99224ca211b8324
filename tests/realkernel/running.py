# SPDX-License-Identifier: GPL-2.0-only
"""``python -m tests.realkernel.running`` records what modules say while their code runs.

The faults of the sample buggy, one a boot, with the whole report; what the sample formats prints, and what
vsnprintf warns of; the samples that go on working: loaded, used through their files, left alone for some
seconds, unloaded. Faults that hang the caller are left out; of those that stop the machine only that is kept.
Needs KMODSIM_PACKAGE_ROOT, as docs/recording.md says.
"""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kmodsim.corpus import SAMPLES
from tests.faults.files import RUNNING

from .kernels import DEFAULT, KERNELS
from .machine import CannotRecord, Target
from .recorder import Boot, record_boot

TRUTH = Path(__file__).parent.parent / "truth" / "running-6.1.json"
SOURCE = SAMPLES.parent / "src" / "buggy.c"
ROW = re.compile(r'^\t\{ "(\w+)", \w+, "(oops|BUG|WARN|quiet)" \},', re.MULTILINE)
ALONE_FOR = 3000  # milliseconds between loading and unloading
ODD = range(1, 9)  # values of formats' parameter odd
KEPT = ("result", "errno", "signal", "files", "log", "modules", "tainted")


def read(path: str) -> dict[str, Any]:
    return {"op": "read", "path": path}


def write(path: str, data: str) -> dict[str, Any]:
    return {"op": "write", "path": path, "data": data}


DEBUG, SYSFS, PROC = "/sys/kernel/debug/sample/", "/sys/kernel/sample/", "/proc/sample/"
LOAD: dict[str, Any] = {"op": "finit", "settle": 100}
HOLD = {"op": "hold", "path": "/dev/chardev", "slot": 1}

# What is done with a sample while it is loaded
USES: dict[str, tuple[dict[str, Any], ...]] = {
    "chardev": (
        read("/dev/chardev"), write("/dev/chardev", "new text"), write("/dev/chardev", "x" * 65),
        read("/dev/chardev"), HOLD, {"op": "delete", "name": "chardev", "flags": 0o4000},
        {"op": "release", "slot": 1},
    ),
    "cdev": (
        write("/dev/cdev0", "eight by"), write("/dev/cdev0", "y" * 40), write("/dev/cdev0", "z"),
        read("/dev/cdev0"), read("/dev/cdev0"), read("/dev/cdev1"), read("/dev/cdev2"),
    ),
    "misc": (
        read("/dev/greeter"), write("/dev/greeter", " you \n"), write("/dev/greeter", "x" * 40),
        read("/dev/greeter"),
    ),
    "proc": (
        read(PROC + "hello"), read(PROC + "squares"), read(PROC + "note"), write(PROC + "note", "milk\n"),
        read(PROC + "note"), write(PROC + "note", "x" * 64), write(PROC + "hello", "x"),
        write("/sys/module/proc/parameters/count", "2"), read(PROC + "squares"), read(PROC + "cubes"),
    ),
    "debugfs": (
        *(read(DEBUG + name) for name in ("small", "number", "large", "mask", "flag", "counter")),
        read(DEBUG + "blob"), read(DEBUG + "array"),
        write(DEBUG + "small", "7"), write(DEBUG + "small", "300"), read(DEBUG + "small"),
        write(DEBUG + "flag", "N"), read(DEBUG + "flag"), write(DEBUG + "counter", "-3"),
        write(DEBUG + "inner/twice", "9"), write(DEBUG + "inner/twice", "0x20"), read(DEBUG + "inner/twice"),
        write(DEBUG + "mask", "zero"), write(DEBUG + "large", "1"), read(DEBUG + "inner/state"),
    ),
    "sysfs": (
        read(SYSFS + "level"), write(SYSFS + "level", "7\n"), read(SYSFS + "level"),
        write(SYSFS + "level", "11"), write(SYSFS + "level", "high"), write(SYSFS + "label", "blue\n"),
        read(SYSFS + "label"), write(SYSFS + "label", "x" * 16), read(SYSFS + "statistics/shown"),
        write(SYSFS + "statistics/shown", "1"), write(SYSFS + "statistics/reset", "now\n"),
        write(SYSFS + "statistics/reset", "later"), read(SYSFS + "statistics/reset"), read(SYSFS + "level"),
    ),
    "notifier": (
        LOAD | {"file": "hello"}, {"op": "delete", "name": "hello"},
        write("/sys/module/notifier/parameters/refuse", "hello"), LOAD | {"file": "hello"},
    ),
}  # fmt: skip


def faults() -> list[str]:
    """The faults after which the kernel may still answer, from the table in buggy.c."""
    return [name for name, _ in ROW.findall(SOURCE.read_text())]


def lives() -> list[str]:
    """The samples that go on working while they are loaded."""
    return sorted(RUNNING - {"buggy"} | set(USES))


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


def life(name: str) -> list[dict[str, Any]]:
    """Load, use, leave alone, unload."""
    wait, unload = {"op": "wait", "settle": ALONE_FOR}, {"op": "delete", "name": name, "settle": 300}
    return [LOAD | {"file": name}, *USES.get(name, ()), wait, unload]


def formats() -> list[Boot]:
    """Every format, with pointers that are not hashed; and one boot for each thing that is said only once."""
    odd = [Boot(f"odd={odd}", [LOAD | {"file": "formats", "params": f"odd={odd}"}]) for odd in ODD]
    return [Boot("no_hash_pointers", [LOAD | {"file": "formats"}], cmdline="no_hash_pointers"), *odd]


def main(names: list[str]) -> None:
    """All of it, or only the boots that are named; the others stay as they were."""
    target = Target.of(KERNELS[DEFAULT])
    rows = {
        "faults": [Boot(each, [LOAD | {"file": "buggy", "params": f"fault={each}"}]) for each in faults()],
        "formats": formats(),
        "lives": [Boot(each, life(each)) for each in lives()],
    }
    known = json.loads(TRUTH.read_text()) if names else {}
    about: dict[str, Any] = {"made by": "python -m tests.realkernel.running"}
    about |= {"release": target.release, "cpu": target.cpu}
    for key, boots in rows.items():
        found = record(target, [boot for boot in boots if boot.name in names or not names])
        kept = known.get(key, {}) | found
        about[key] = {boot.name: kept[boot.name] for boot in boots if boot.name in kept}
    TRUTH.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
