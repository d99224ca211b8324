# SPDX-License-Identifier: GPL-2.0-only
"""The same tools by other hands: busybox 1.35 (Debian 12) and module-init-tools 3.16, the last before kmod.

    run(kernel, ["insmod", "hello.ko"], flavour="busybox")        kmodsim.userland.run
    DIFFERENCES                                                   what differs, each with its source

What a flavour's program does not have is done by kmod's: dmesg.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

FLAVOURS = ("kmod", "busybox", "module-init-tools")
# flavour -> tool -> the module of this package with its run()
PROGRAMS: dict[str, dict[str, str]] = {
    "kmod": {},
    "busybox": {
        tool: f"busybox_{tool}" for tool in ("insmod", "rmmod", "lsmod", "modinfo", "modprobe")
    },
    "module-init-tools": {
        tool: f"mit_{tool}" for tool in ("insmod", "rmmod", "lsmod", "modinfo", "modprobe")
    },
}  # fmt: skip


def check(flavour: str) -> None:
    """``ValueError`` when there is no such flavour."""
    if flavour not in FLAVOURS:
        raise ValueError(f"no flavour {flavour!r}; there are {', '.join(FLAVOURS)}")


def find(tool: str, flavour: str) -> Any:
    """The tool's ``run(kernel, argv, uid)`` in that flavour; None: it is kmod's. ``ValueError``: no such
    flavour."""
    check(flavour)
    module = PROGRAMS[flavour].get(tool)
    return None if module is None else import_module(f".{module}", __name__).run
