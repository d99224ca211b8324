# SPDX-License-Identifier: GPL-2.0-only
"""One boot with the observer: what the kernel answered to each operation, and the memory of all that came."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tests.realkernel.machine import Target, boot
from tests.realkernel.plan import Answer, Operation, parse_answer, to_plan
from tests.realkernel.recorder import INCIDENTAL

from .memory import Observed, read_shared

TEXT_BYTES = 96 << 20  # the probe's part of the shared memory
SHARED_BYTES = 512 << 20
# Init memory is given back by a work item after a grace period: expedited, so that a short pause suffices.
CMDLINE = "rcupdate.rcu_expedited=1"
SETTLE = 30  # that pause, in ms


class Recording(NamedTuple):
    """``start``: the state after booting; ``answers``: one for each operation; ``observed``: by coming."""

    start: Answer
    answers: list[Answer]
    observed: list[Observed]


def observer_load() -> Operation:
    """The first operation of every sequence."""
    return {"op": "finit", "file": "observer", "params": f"at={TEXT_BYTES} disarm=1", "settle": 200}


def record(
    target: Target, operations: Sequence[Operation], files: Mapping[str, bytes],
    kinds: tuple[str, ...] = ("core", "init"),
) -> Recording:
    """Boot, load the observer (``files["observer"]``), do ``operations``."""
    start = time.monotonic()
    observed: list[Observed] = []

    def keep(shared: Path) -> None:
        observed.extend(read_shared(shared, TEXT_BYTES, kinds))

    machine = replace(target, memory="3072M", shared_bytes=SHARED_BYTES)
    plan = [observer_load(), *({"settle": SETTLE, **operation} for operation in operations)]
    answers = parse_answer(boot(machine, to_plan(plan), files, CMDLINE, keep))
    if len(answers) != len(plan) + 1 or answers[1]["errno"]:
        raise RuntimeError(f"{len(answers) - 1} answers for {len(plan)} operations: {answers[1:2]}")
    for answer in answers:
        answer["log"] = [line for line in answer["log"] if not INCIDENTAL.match(line)]
    seconds = time.monotonic() - start
    print(f"{len(operations)} operations, {len(observed)} modules came, {seconds:.0f} s", file=sys.stderr)
    return Recording(answers[0], answers[1:], observed)
