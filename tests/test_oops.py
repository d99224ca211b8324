# SPDX-License-Identifier: GPL-2.0-only
"""What the kernel says of a fault: the sample buggy's reports beside those recorded from the real kernel.

The recording is truth/running-6.1.json (``python -m tests.realkernel.running``). Compared are the lines that
do not depend on the rest of the machine: what happened and where, code bytes, the module's frames in the call
trace, modules, taints, and what became of caller and module.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, KernelOops, sample

from .realkernel.running import TRUTH as FILE
from .realkernel.running import faults

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core
TRUTH: dict[str, Any] = json.loads(FILE.read_text())["faults"]
ANSWERED = [name for name, answers in TRUTH.items() if answers]

# Registers, the stack, page tables, hardware and guessed frames belong to that machine
ELSEWHERE = re.compile(r"<\d>(R[A-DS][XPI]: |R\d\d: |RBP: |FS: |CS: |CR2: |PGD |Hardware name|RSP: | \? )")
KERNEL_FRAME = re.compile(r"<\d> [\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+$")
PROCESS = re.compile(r"PID: \d+|/\d+/0x|\[\d+\]")
DIFFERENT = {
    "bad_copy": "its address is mapped on the real machine",
    "use_after_free": "freed memory is poisoned here, as with slub_debug=P",
}


def kept(log: list[str]) -> list[str]:
    """The comparable lines, process numbers as N; of user space and the kernel's functions only the name."""
    lines: list[str] = []
    foreign = False
    for line in (PROCESS.sub("N", each) for each in log):
        if "RIP: " in line:
            foreign = "[buggy]" not in line
            line = line.split("+")[0] if foreign else line
        if "RIP: 0033" in line or (foreign and "Code: " in line):
            continue
        if not ELSEWHERE.match(line) and not KERNEL_FRAME.match(line):
            lines.append(line)
    return lines


def run(name: str) -> dict[str, Any]:
    kernel = Kernel(cpu="strict")
    answer: dict[str, Any] = {"errno": None, "killed": False}
    try:
        kernel.finit_module(sample("buggy"), f"fault={name}")
    except KernelOops:
        answer["killed"] = True
    except KernelError as error:
        answer["errno"] = str(error)
    modules = kernel.read("/proc/modules").splitlines()
    return answer | {"log": kernel.dmesg, "modules": modules, "tainted": kernel.tainted}


def test_every_fault_was_recorded() -> None:
    assert list(TRUTH) == faults()
    assert len(ANSWERED) >= 20


def cases() -> list[Any]:
    marks = {name: [pytest.mark.xfail(reason=why, strict=True)] for name, why in DIFFERENT.items()}
    return [pytest.param(name, marks=marks.get(name, [])) for name in ANSWERED]


@pytest.mark.parametrize("name", cases())
def test_report_as_recorded(name: str) -> None:
    wanted, found = TRUTH[name][0], run(name)
    assert kept(found["log"]) == kept(wanted["log"])
    assert found["killed"] == ("signal" in wanted)
    assert found["modules"] == wanted["modules"]
    assert found["tainted"] == wanted["tainted"]
