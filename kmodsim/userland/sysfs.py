# SPDX-License-Identifier: GPL-2.0-only
"""What libkmod reads of a loaded module under /sys/module (kmod 30 ``libkmod/libkmod-module.c``,
"loaded")."""

from __future__ import annotations

from typing import Any

from ..errors import EINVAL, ENOENT, KernelError


def initstate(kernel: Any, name: str) -> str | None:
    """``"live"``, ``"coming"``, ``"going"``, ``"builtin"``, or None: not in the kernel.

    A directory without the file means "coming": the load has not come so far yet.
    """
    if name in kernel.profile.builtin_modules and name not in kernel.modules:
        return "builtin"
    try:
        return str(kernel.read(f"/sys/module/{name}/initstate")).strip()
    except KernelError:
        try:
            kernel.listdir(f"/sys/module/{name}")
        except KernelError:
            return None
        return "coming"


def holders(kernel: Any, name: str) -> tuple[list[str], str]:
    """The names in the holders directory, and libkmod's complaint when it cannot be opened (then no
    names)."""
    path = f"/sys/module/{name}/holders"
    try:
        return list(kernel.listdir(path)), ""
    except KernelError as error:
        where = "../libkmod/libkmod-module.c:1998 kmod_module_get_holders()"
        return [], f"{where} could not open '{path}': {error.strerror}"


def number(kernel: Any, name: str, file: str) -> int:
    """The number in a file of the module's directory; minus errno when there is none."""
    try:
        return int(kernel.read(f"/sys/module/{name}/{file}"))
    except KernelError as error:
        return -(error.errno or ENOENT)
    except ValueError:
        return -EINVAL
