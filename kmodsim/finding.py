# SPDX-License-Identifier: GPL-2.0-only
"""Finding modules without asking the list: what a defender compares /proc/modules with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .errors import KernelError
from .records import text

if TYPE_CHECKING:
    from .kernel import Kernel

NAME_LEN = 56  # include/linux/module.h:MODULE_NAME_LEN, 64 - sizeof(unsigned long)


class Found(NamedTuple):
    """A struct module that was found in memory: its address and the name that stands in it."""

    address: int
    name: str


def on_the_list(kernel: Kernel) -> set[str]:
    """The names in /proc/modules (``kernel/module/procfs.c:m_show``)."""
    return {line.split()[0] for line in kernel.read("/proc/modules").splitlines()}


def in_sysfs(kernel: Kernel) -> set[str]:
    """The folders of /sys/module with a file ``initstate``: what is built into the kernel has none
    (``kernel/module/main.c:modinfo_attrs``, ``kernel/params.c:locate_module_kobject``)."""
    names = kernel.listdir("/sys/module")
    return {name for name in names if _is_there(kernel, f"/sys/module/{name}/initstate")}


def _is_there(kernel: Kernel, path: str) -> bool:
    try:
        kernel.read(path)
    except KernelError:
        return False
    return True


def in_memory(kernel: Kernel) -> list[Found]:
    """Every struct module in the module area, lowest address first; no list and no tree is asked.

    It gives itself away: the field ``mtn.mod`` of its first memory holds its own address
    (``kernel/module/tree_lookup.c:mod_tree_insert``). So a word is looked for whose value is the word's own
    address less the field's offset.
    """
    fields = kernel.profile.struct_module.fields
    own = fields[f"{kernel.profile.rules.memories.kinds[0].field}.mtn.mod"][0]
    found = []
    for area in kernel.memory.areas.values():
        words = area.data.view("<u8")
        places = np.arange(len(words), dtype=np.uint64) * np.uint64(8) + np.uint64(area.start)
        for number in np.flatnonzero(words == places - np.uint64(own)).tolist():
            address = area.start + 8 * number - own
            name = kernel.memory.read(address + fields["name"][0], NAME_LEN)
            found.append(Found(address, text(name.split(b"\0", 1)[0])))
    return sorted(found)
