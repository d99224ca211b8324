# SPDX-License-Identifier: GPL-2.0-only
"""Every format of printk, as the sample formats prints them, beside the recorded real kernel."""

from __future__ import annotations

import json
import re

import pytest

import kmodsim
from kmodsim import Kernel, KernelError, sample

from .realkernel.running import TRUTH
from .test_oops import kept

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core
RECORDED: list[str] = json.loads(TRUTH.read_text())["lives"]["formats"][0]["log"]


@pytest.fixture(scope="module")
def printed() -> list[str]:
    """Bytes that are no UTF-8 stand in the model's log as \\xNN, in the recording as one character."""
    kernel = Kernel(cpu="strict")
    with pytest.raises(KernelError) as failed:
        kernel.finit_module(sample("formats"))
    assert failed.value.errno == kmodsim.EAGAIN
    return [re.sub(r"\\x([89a-f].)", lambda found: chr(int(found[1], 16)), line) for line in kernel.dmesg]


@pytest.mark.parametrize("number", range(len(RECORDED)))
def test_line_by_line(printed: list[str], number: int) -> None:
    """Up to the WARN about what printk does not know; of the report, what does not hang on the machine."""
    start = next(i for i, line in enumerate(RECORDED) if "cut here" in line)
    if number < start:
        assert printed[number] == RECORDED[number]
    elif number == start:
        assert kept(printed[start:]) == kept(RECORDED[start:])
