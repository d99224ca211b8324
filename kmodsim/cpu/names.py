# SPDX-License-Identifier: GPL-2.0-only
"""Short names for many addresses, ``hello_init+0x12``, kept from the moment they were true.

Init memory is given back, modules go: what an address was called can only be told while it lasts.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from .symbolize import module_at, named_symbols

if TYPE_CHECKING:
    from ..kernel import Kernel
    from ..memory import Area
    from ..symbols import Kallsyms

KERNEL_MAP = 0xFFFFFFFF80000000  # arch/x86/include/asm/page_64_types.h:__START_KERNEL_map
MAX_ERRNO = 4095
U64 = (1 << 64) - 1
CACHED = 1 << 16  # names that are kept


def short_name(name: str, offset: int) -> str:
    return f"{name}+{offset:#x}" if offset else name


class SymbolIndex:
    """The symbols of one module's table in the order of their addresses; of several at one address the
    first in the table counts (``kernel/module/kallsyms.c:find_kallsyms_symbol``)."""

    def __init__(self, table: Kallsyms) -> None:
        rows = np.flatnonzero(named_symbols(table))
        values = table.records["st_value"][rows]
        order = np.argsort(values, kind="stable")
        self.table, self._rows, self._values = table, rows[order], values[order]

    def at(self, address: int) -> tuple[str, int] | None:
        """(name, offset) of the symbol that holds ``address`` by its ``st_size``; a symbol without a size
        reaches to the next one."""
        after = int(np.searchsorted(self._values, np.uint64(address & U64), side="right"))
        if not after:
            return None
        start = int(self._values[after - 1])
        row = int(self._rows[np.searchsorted(self._values, np.uint64(start), side="left")])
        size = int(self.table.records["st_size"][row])
        if size and address >= start + size:
            return None
        return self.table.names([row])[0], address - start


class Names:
    """What addresses of one kernel are called now; each is looked up once as long as its memory lives."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._known: dict[int, tuple[Any, str, str]] = {}  # address -> memory it was in, name, module
        self._index: SymbolIndex | None = None

    def of(self, address: int) -> str:
        """``symbol+0x12``; "" for heap, stacks, user memory, and where nothing has a name."""
        return self.where(address)[0]

    def where(self, address: int) -> tuple[str, str]:
        """(name, module); the module is "" for the kernel's own."""
        if not KERNEL_MAP <= address < U64 - MAX_ERRNO:
            return "", ""
        area = self._kernel.memory.area_at(address)
        known = self._known.get(address)
        if known is not None and _same(known[0], area):
            return known[1], known[2]
        name, module = self._look_up(address)
        if len(self._known) >= CACHED:
            self._known.clear()
        self._known[address] = (None if area is None else weakref.ref(area.data), name, module)
        return name, module

    def _look_up(self, address: int) -> tuple[str, str]:
        found = self._kernel.profile.kallsyms.at(address)
        if found is not None:
            return short_name(*found[:2]), ""
        mod = module_at(self._kernel, address)
        if mod is None or mod.symbols is None:
            return "", ""
        table = mod.symbols.current
        if self._index is None or self._index.table is not table:
            self._index = SymbolIndex(table)
        place = self._index.at(address)
        return (short_name(*place) if place is not None else ""), mod.name


def _same(memory: weakref.ref[Any] | None, area: Area | None) -> bool:
    """Whether the memory a name was found in is still what lies there."""
    return area is None if memory is None else area is not None and memory() is area.data
