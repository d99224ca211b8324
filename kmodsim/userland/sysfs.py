# SPDX-License-Identifier: GPL-2.0-only
"""What libkmod reads of a loaded module under /sys/module (kmod 30 ``libkmod/libkmod-module.c``,
"loaded")."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import EINVAL, ENOENT, KernelError

WORD = (1 << 64) - 1
GOLDEN_RATIO_64 = 0x61C8864680B583EB


def initstate(kernel: Any, name: str) -> str | None:
    """``"live"``, ``"coming"``, ``"going"``, or None: not in the kernel.

    A directory without the file means "coming" to libkmod: the load has not come so far yet. What is built
    into the kernel looks just so, unless depmod's modules.builtin is there to tell, which the model has
    not.
    """
    try:
        return str(kernel.read(f"/sys/module/{name}/initstate")).strip()
    except KernelError:  # the empty name is the folder itself
        return "coming" if name in ("", *kernel.listdir("/sys/module")) else None


def holders(kernel: Any, name: str) -> tuple[list[str], str]:
    """The names in the holders directory, and libkmod's complaint when it cannot be opened (then no
    names)."""
    path = f"/sys/module/{name}/holders"
    try:
        return kernfs_order(kernel.listdir(path)), ""
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


def kernfs_order(names: Iterable[str]) -> list[str]:
    """Names in the order in which sysfs lists them: by a hash of the name
    (``fs/kernfs/dir.c:kernfs_name_hash``)."""
    return sorted(names, key=lambda name: (_name_hash(name), name))


def _name_hash(name: str) -> int:
    """31 bits, from ``include/linux/stringhash.h`` and the multiplier of ``include/linux/hash.h:hash_64``."""
    value = 0
    for letter in name.encode("utf-8", "surrogateescape"):
        value = (value + (letter << 4) + (letter >> 4)) * 11 & WORD
    value = (value * GOLDEN_RATIO_64 & WORD) >> 32 & 0x7FFFFFFF
    return min(
        value + 2 if value < 2 else value, 0x7FFFFFFE
    )  # 0, 1 and the largest mark the ends of a listing
