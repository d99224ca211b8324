# SPDX-License-Identifier: GPL-2.0-only
"""Samples that go on working, from load to unload, beside the real kernel: results, files and the log.

The recording is truth/running-6.1.json (``python -m tests.realkernel.running``), which also says what is done
with each sample.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

import kmodsim
from kmodsim import Kernel, KernelError, sample
from kmodsim.errors import errno_name

from .realkernel.running import ALONE_FOR, TRUTH, life, lives

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core
LIVES: dict[str, Any] = json.loads(TRUTH.read_text())["lives"]
ROOM = 65536  # of the probe's buffer, which it doubles before every further read
NOT_YET: dict[str, str] = {}


class Life:
    """One boot, and what the probe does in it."""

    def __init__(self) -> None:
        self.kernel = Kernel(cpu="strict")
        self.held: dict[int, Any] = {}

    def finit(self, step: dict[str, Any]) -> int:
        self.kernel.finit_module(sample(step["file"]), step.get("params", ""))
        self.kernel.advance(step["settle"] / 1000)
        return 0

    def delete(self, step: dict[str, Any]) -> int:
        self.kernel.delete_module(step["name"], flags=step.get("flags", kmodsim.O_NONBLOCK))
        return 0

    def read(self, step: dict[str, Any]) -> int:
        data, room = b"", ROOM
        with self.kernel.open(step["path"], kmodsim.O_RDONLY) as file:
            while got := file.read(room - len(data) - 1):
                data, room = data + got, 2 * room
        self.files = {step["path"]: data.decode("latin-1")}
        return len(data)

    def write(self, step: dict[str, Any]) -> int:
        with self.kernel.open(step["path"], kmodsim.O_WRONLY) as file:
            return int(file.write(step["data"].encode()))

    def hold(self, step: dict[str, Any]) -> int:
        self.held[step["slot"]] = self.kernel.open(step["path"], kmodsim.O_RDONLY)
        return 0

    def release(self, step: dict[str, Any]) -> int:
        self.held.pop(step["slot"]).close()
        return 0

    def wait(self, step: dict[str, Any]) -> int:
        self.kernel.advance(step["settle"] / 1000)
        return 0

    def answer(self, step: dict[str, Any]) -> dict[str, Any]:
        """One operation, answered in the recorder's form."""
        self.files: dict[str, str] = {}
        try:
            result, errno = getattr(self, step["op"])(step), None
        except KernelError as error:
            result, errno = -1, errno_name(error.errno or 0)
        found = {"result": result, "errno": errno, "modules": self.kernel.read("/proc/modules").splitlines()}
        return found | ({"files": self.files} if self.files else {}) | {"tainted": self.kernel.tainted}


def cases() -> list[Any]:
    marks = {name: [pytest.mark.xfail(reason=why, strict=True)] for name, why in NOT_YET.items()}
    names = [name for name in lives() if name != "formats"]  # test_formats.py looks at it line by line
    return [pytest.param(name, marks=marks.get(name, [])) for name in names]


@pytest.mark.parametrize("name", cases())
def test_as_recorded(name: str) -> None:
    one, wanted = Life(), LIVES[name]
    found = [one.answer(step) for step in life(name)]
    assert found == [{key: value for key, value in step.items() if key != "log"} for step in wanted]
    assert one.kernel.dmesg == [line for step in wanted for line in step["log"]]


def test_every_life_was_recorded() -> None:
    assert list(LIVES) == lives()
    assert ALONE_FOR >= 1000
