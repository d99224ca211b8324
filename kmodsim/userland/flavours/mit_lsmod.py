# SPDX-License-Identifier: GPL-2.0-only
"""lsmod of module-init-tools (``lsmod.c``): all from /proc/modules, so a permanent module says so."""

from __future__ import annotations

from typing import Any

from ...errors import KernelError
from .. import ToolResult
from ..lsmod import HEADING


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool; it takes no arguments."""
    if len(argv) != 1:
        return ToolResult(stderr="Usage: lsmod\n", status=1)
    try:
        lines = kernel.read("/proc/modules").splitlines()
    except KernelError as error:
        return ToolResult(stderr=f"Opening /proc/modules: {error.strerror}\n", status=1, error=error)
    return ToolResult("".join(f"{line}\n" for line in [HEADING, *map(_row, lines)]))


def _row(line: str) -> str:
    name, size, count, users = line.split(" ")[:4]
    return f"{name:<19s} {size:>8s}  {count} {'' if users == '-' else users.removesuffix(',')}"
