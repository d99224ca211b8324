# SPDX-License-Identifier: GPL-2.0-only
"""``record``: boots, each a list of operations, to what the real kernel answered."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from .machine import CannotRecord, Target, boot
from .plan import Answer, Operation, parse_answer, to_plan

# Lines of other parts of the kernel that may fall between two operations.
INCIDENTAL = re.compile(
    r"<\d>(clocksource: |random: crng|input: |tsc: |hrtimer: interrupt took "
    r"|perf: |sched: |rcu: |sched_clock: |watchdog: "
    r"|systemd|psmouse |workqueue: |Freeing initrd|process '.*' started with executable stack)"
)


@dataclass(frozen=True)
class Boot:
    """One run of the kernel: its name, its extra command line and what happens in it."""

    name: str
    operations: Sequence[Operation]
    cmdline: str = ""
    files: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", frozenset(o["file"] for o in self.operations if "file" in o))


def record_boot(target: Target, one: Boot, files: Mapping[str, bytes]) -> list[Answer]:
    """One boot: the answers, the first of them the state after booting."""
    start = time.monotonic()
    wanted = {name: files[name] for name in sorted(one.files)}
    try:
        answers = parse_answer(boot(target, to_plan(one.operations), wanted, one.cmdline))
    except CannotRecord as error:
        raise CannotRecord(f"boot {one.name}: {error}") from error
    if len(answers) != len(one.operations) + 1:
        raise RuntimeError(f"{one.name}: {len(one.operations)} operations, {len(answers) - 1} answers")
    for answer in answers:
        answer["log"] = [line for line in answer["log"] if not INCIDENTAL.match(line)]
    print(f"{one.name}: {len(one.operations)} operations, {time.monotonic() - start:.0f} s", file=sys.stderr)
    return answers


def record(
    target: Target, boots: Sequence[Boot], files: Mapping[str, bytes], jobs: int = 1
) -> dict[str, list[Answer]]:
    """All boots, ``jobs`` of them at a time; the answers by the boot's name."""
    names = [boot.name for boot in boots]
    with ThreadPoolExecutor(jobs) as pool:
        return dict(zip(names, pool.map(lambda b: record_boot(target, b, files), boots), strict=True))


def describe(target: Target, answers: Mapping[str, list[Answer]]) -> dict[str, Any]:
    """What a truth file says about its origin."""
    first = next(iter(answers.values()))[0]["files"]
    return {
        "kernel": first["/proc/version"].strip(),
        "machine": f"qemu-system-x86_64 (TCG), -cpu {target.cpu} -smp {target.cpus}",
        "cmdline": first["/proc/cmdline"].strip(),
    }
