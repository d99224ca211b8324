# SPDX-License-Identifier: GPL-2.0-only
"""lsmod of busybox (``modutils/lsmod.c``): all from /proc/modules, and the taint beside the heading."""

from __future__ import annotations

from typing import Any

from ...errors import KernelError
from .. import ToolResult
from . import busybox

TAINTS = ("PG", "F ", "S ")  # the letters for bits 0, 1 and 2: set, clear


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The applet; whatever words it gets do not matter."""
    if argv[1:] == ["--help"]:
        return busybox.usage("lsmod", 0)
    complaint = ""
    try:
        lines = kernel.read("/proc/modules").splitlines()
    except KernelError as error:
        lines, complaint = [], f"lsmod: can't open '/proc/modules': {error.strerror}\n"
    heading = f"{'Module':24s}Size  Used by" + _taint(kernel)
    return ToolResult(heading + "".join(_line(line.split()) for line in lines), complaint)


def _taint(kernel: Any) -> str:
    tainted = int(kernel.read("/proc/sys/kernel/tainted"))
    if not tainted:
        return "    Not tainted\n"
    letters = (pair[0] if tainted >> bit & 1 else pair[1] for bit, pair in enumerate(TAINTS))
    return f"    Tainted: {''.join(letters)}\n"


def _line(words: list[str]) -> str:
    """The users without the last letter, a comma or the dash that means none."""
    name, size, count, users = words[:4]
    return f"{name:<19s} {size:>8s} {count:>2s} {users[:-1]}\n"
