# SPDX-License-Identifier: GPL-2.0-only
"""lsmod: /proc/modules for the names, /sys/module for the rest (kmod 30 ``tools/lsmod.c``)."""

from __future__ import annotations

from typing import Any

from ..errors import KernelError
from . import ToolResult, sysfs

HEADING = "Module                  Size  Used by"


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The table of loaded modules, newest first; it takes no arguments.

    Sizes and counts come from sysfs, so a module whose directory is gone already (UNFORMED) shows -2
    (-ENOENT).
    """
    if len(argv) != 1:
        return ToolResult(stderr=f"Usage: {argv[0]}\n", status=1)
    try:
        names = [line.split()[0] for line in kernel.read("/proc/modules").splitlines()]
    except KernelError as error:
        return ToolResult(stderr=_no_list(error), status=1, error=error)
    lines, complaints = [HEADING], []
    for name in names:
        size, count = (sysfs.number(kernel, name, file) for file in ("coresize", "refcnt"))
        users, complaint = sysfs.holders(kernel, name)
        lines.append(f"{name:<19s} {size:8d}  {count}" + " " * bool(users) + ",".join(users))
        if complaint:  # lsmod leaves libkmod's own log as it is, with another beginning and no brackets
            complaints.append("libkmod: ERROR " + complaint.replace("()", ":", 1) + "\n")
    return ToolResult("\n".join(lines) + "\n", "".join(complaints))


def _no_list(error: KernelError) -> str:
    where = "../libkmod/libkmod-module.c:1725 kmod_module_new_from_loaded"
    return (f"libkmod: ERROR {where}: could not open /proc/modules: {error.strerror}\n"
            f"Error: could not get list of modules: {error.strerror}\n")  # fmt: skip
