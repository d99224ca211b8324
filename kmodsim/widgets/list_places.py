# SPDX-License-Identifier: GPL-2.0-only
"""Where a module is seen: eight places, what each goes by, and what it shows now."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..cpu.symbolize import module_at, sprint_symbol
from ..files import module_kallsyms
from ..finding import in_memory
from ..kernel import Kernel
from ..module import Module
from ..views.view import plural

Answer = tuple[bool | None, str]  # whether it is seen (None: there would be nothing to see), and what
Look = Callable[[Kernel, str, Module | None], Answer]


class Place(NamedTuple):
    """One who may know the module: where one looks, what it goes by, what is seen, the kernel's function."""

    where: str
    goes_by: str
    shows: bool | None
    said: str
    source: str


def _line(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    lines = [line for line in kernel.read("/proc/modules").splitlines() if line.split()[0] == name]
    return bool(lines), lines[0] if lines else "no line"


def _name(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    found = kernel.find_module(name) is not None
    return found, "found by its name" if found else "no such module"


def _kallsyms(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    count = sum(len(module_kallsyms(kernel, one)) for one in kernel.modules.values() if one.name == name)
    return count > 0, plural(count, "line")


def _exports(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    mine = list(mod.exports) if mod is not None else []
    found = any(export in kernel.exports_seen for export in mine)
    said = f"{', '.join(mine[:3])}: {'found' if found else 'not found'}"
    return (found, said) if mine else (None, "it exports nothing")


def _sysfs(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    if mod is None or not mod.sysfs:
        return False, "no such folder"
    return True, f"initstate: {kernel.read(f'/sys/module/{name}/initstate').strip()}"


def _users(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    providers = mod.uses if mod is not None else []
    said = [f"{one.name} is used by {','.join(one.holders)}" for one in providers]
    return (True, "; ".join(said)) if said else (None, "it uses no other module")


def _address(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    if mod is None or module_at(kernel, mod.base) is not mod:
        return False, "no module there"
    return True, sprint_symbol(kernel, mod.base)


def _memory(kernel: Kernel, name: str, mod: Module | None) -> Answer:
    found = [f"{one.address:#x}" for one in in_memory(kernel) if one.name == name]
    return bool(found), "struct module at " + ", ".join(found) if found else "no struct module"


LIST, KERNEL = "the list", "kernel/module"
PLACES: tuple[tuple[str, str, Look, str], ...] = (
    ("/proc/modules, lsmod", LIST, _line, "procfs.c:m_show"),
    ("rmmod, insmod again", LIST, _name, "main.c:find_module_all"),
    ("/proc/kallsyms", LIST, _kallsyms, "kallsyms.c:module_get_kallsym"),
    ("symbols for newcomers", LIST, _exports, "main.c:find_symbol"),
    ("/sys/module", "kobjects", _sysfs, "sysfs.c:mod_sysfs_init"),
    ("Used by, of others", "source_list", _users, "procfs.c:print_unload_info"),
    ("an address in a report", "mod_tree", _address, "main.c:__module_address"),
    ("the module area", "the bytes", _memory, "tree_lookup.c:mod_tree_insert"),
)


def places_of(kernel: Kernel, name: str, mod: Module | None) -> list[Place]:
    """Who knows the module; ``mod``: what a pointer to it leads to, None when it is not in memory."""
    return [Place(where, by, *look(kernel, name, mod), source) for where, by, look, source in PLACES]
