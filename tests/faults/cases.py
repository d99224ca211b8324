# SPDX-License-Identifier: GPL-2.0-only
"""All recorded cases, and the boots they run in."""

from __future__ import annotations

from . import calls, contents, links, parameters, unloading
from .case import Case, load, unload

# name: kernel command line. Names with a "/" have none, each boots for itself: what the kernel says once in
# its life, and what kills it, needs a boot of its own.
BOOTS: dict[str, str] = {
    "plain": "",
    "parameters": "",
    "symbols": "",
    "taints": "",
    "states": "",
    "proprietary": "",
    "unload": "",
    "nomodule": "nomodule",
    "disabled": "",
    "blacklist": "module_blacklist=minimal,hello",
    "enforce": "module.sig_enforce=1",
    "lockdown": "lockdown=integrity",
    "forced": "",
}


def boot_cmdline(boot: str) -> str:
    return BOOTS.get(boot, "")


FIRST = [
    Case("unsigned-taint/first", "unsigned-taint", (load("hello"), unload())),
    Case("unsigned-taint/second", "unsigned-taint", (load("hello"), unload())),
]


def all_cases() -> list[Case]:
    """Every case; ids are unique, and those of one boot run in this order."""
    return [
        *FIRST,
        *calls.PERMISSION,
        *calls.FINIT,
        *calls.INIT,
        *contents.SIGNATURE,
        *contents.ELF,
        *contents.SETUP,
        *contents.VERSIONS,
        *contents.TAINTS,
        *contents.LAYOUT,
        *links.SYMBOLS,
        *calls.LATE,
        *contents.NOT_CHECKED,
        *unloading.STATES,
        *unloading.UNLOAD,
        *parameters.CASES,
    ]
