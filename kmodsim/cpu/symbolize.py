# SPDX-License-Identifier: GPL-2.0-only
"""Names for addresses, as the kernel prints them: ``kernel/kallsyms.c`` and ``kernel/module/kallsyms.c``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ..kernel import Kernel
    from ..module import Module
    from ..symbols import Kallsyms

U64 = (1 << 64) - 1


class Symbol(NamedTuple):
    """The symbol at or before an address; ``module`` None: the kernel's own. ``size`` may be huge: see
    below."""

    name: str
    offset: int
    size: int
    module: str | None


def module_at(kernel: Kernel, address: int) -> Module | None:
    """``__module_address``: the module whose core or init part holds ``address``, unless it is UNFORMED."""
    for mod in kernel.known_modules:
        for area in mod.areas.values():
            if area.start <= address < area.end and mod.state != "UNFORMED":
                return mod
    return None


def in_module_text(kernel: Kernel, address: int) -> bool:
    """``is_module_text_address``: the executable parts of a module only."""
    mod = module_at(kernel, address)
    return mod is not None and _text_start(mod, address) <= address < _text_end(mod, address)


def lookup(kernel: Kernel, address: int) -> Symbol | None:
    """The symbol that holds ``address``; None: nothing has a name there."""
    found = kernel.profile.kallsyms.at(address)
    if found is not None:
        return Symbol(*found, None)
    mod = module_at(kernel, address)
    return _in_module(mod, address) if mod is not None else None


def sprint_symbol(kernel: Kernel, address: int, *, backtrace: bool = False) -> str:
    """What %pS prints, ``hello_init+0x12/0x40 [hello]``; %pB with ``backtrace``: of the call before
    ``address``."""
    symbol = lookup(kernel, address - backtrace & U64)
    if symbol is None:
        return f"{address:#x}"
    where = f" [{symbol.module}]" if symbol.module else ""
    return f"{symbol.name}+{symbol.offset + backtrace:#x}/{symbol.size:#x}{where}"


def _in_module(mod: Module, address: int) -> Symbol | None:
    """``find_kallsyms_symbol``: where no symbol follows, the end of the text counts, even if that lies
    before."""
    if mod.symbols is None:
        return None
    table = mod.symbols.current
    values, named = table.records["st_value"], named_symbols(table)
    rows = np.flatnonzero(named & (values <= np.uint64(address)))
    if not len(rows):
        return None
    start = int(values[rows].max())
    first = int(rows[np.flatnonzero(values[rows] == start)[0]])
    later = values[named & (values > np.uint64(address))]
    end = min([_text_end(mod, address), *([int(later.min())] if len(later) else [])])
    return Symbol(table.names([first])[0], address - start, end - start & U64, mod.name)


def named_symbols(table: Kallsyms) -> NDArray[np.bool_]:
    """The symbols that count: defined, with a name that is none of the assembler's
    (``is_arm_mapping_symbol``)."""
    records = table.records
    strings = np.concatenate([table.strings, np.zeros(2, np.uint8)])
    at = np.minimum(records["st_name"], len(table.strings))
    local = (strings[at] == ord(".")) & (strings[at + 1] == ord("L"))
    return (records["st_shndx"] != 0) & (records["st_value"] != 0) & (strings[at] != 0) & ~local


def _text(mod: Module, address: int) -> tuple[int, int]:
    """Where the text of the part that holds ``address`` starts and how long it is."""
    init = mod.holds(address, init=True)
    name = next((kind.name for kind in mod.kinds if kind.init == init), "")
    area = mod.areas.get(name)
    return (area.start, mod.layouts[name].text_size) if area is not None else (0, 0)


def _text_start(mod: Module, address: int) -> int:
    return _text(mod, address)[0]


def _text_end(mod: Module, address: int) -> int:
    return sum(_text(mod, address))
