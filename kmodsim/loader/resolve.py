# SPDX-License-Identifier: GPL-2.0-only
"""Every symbol becomes an address (``kernel/module/main.c:simplify_symbols``), and providers are
referenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EBUSY, ENOENT, ENOEXEC, KernelError, errno_name
from ..records import SHN_ABS, SHN_COMMON, SHN_LIVEPATCH, SHN_UNDEF, STB_WEAK, SYM, Records, view
from ..symbols import Resolution
from .unformed import section_addresses

if TYPE_CHECKING:
    from .load import Load

# Undefined names that modules may carry without anybody providing them
# (kernel/module/main.c:ignore_undef_symbol)
IGNORED_UNDEFINED = frozenset(("_GLOBAL_OFFSET_TABLE_",))
IGNORED_COMMON_PREFIX = "__gnu_lto"
SPECIAL = (SHN_UNDEF, SHN_ABS, SHN_LIVEPATCH, SHN_COMMON)


def simplify_symbols(load: Load) -> None:
    """Write final addresses into the symbol table's copy in init memory.

    All bad symbols are reported; the errno is that of the last one.
    """
    table = symbol_table(load)
    load.symtab = table
    shndx = table["st_shndx"]
    special = np.isin(shndx, SPECIAL) | (shndx >= len(load.sections))
    special[:1] = True  # symbol 0 stays as it is
    before = table["st_value"].copy()
    ordinary = ~special
    table["st_value"][ordinary] += section_addresses(load)[shndx[ordinary]]
    errno = _resolve_special(load, table, np.flatnonzero(special)[1:].tolist())
    _journal(load, table, before)
    if errno:
        raise KernelError(errno, why=f"at least one symbol could not be resolved ({errno_name(errno)})")


def symbol_table(load: Load) -> Records:
    """The symbol table where move_module put it, as records over the init memory."""
    section = load.sections[load.index.sym]
    module = load.module
    assert module is not None and module.init_area is not None
    offset = section.addr - module.init_area.start
    return view(module.init_area.data, offset, section.size // SYM.itemsize, SYM)


def _resolve_special(load: Load, table: Records, numbers: list[int]) -> int:
    strings = load.sections[load.index.str].offset
    errno = 0
    for i, (name_offset, info, _other, shndx, _value, _size) in zip(
        numbers, table[numbers].tolist(), strict=True
    ):
        name = load.name_at(strings, name_offset)
        if shndx == SHN_UNDEF:
            address, failed = resolve_symbol_wait(load, name, info >> 4)
            if address is not None:
                table["st_value"][i] = address
            errno = failed or errno
        elif shndx == SHN_COMMON and not name.startswith(IGNORED_COMMON_PREFIX):
            assert load.module is not None
            load.kernel.printk(4, f"{load.module.name}: please compile with -fno-common")
            errno = ENOEXEC
        elif shndx not in SPECIAL:
            assert load.module is not None
            most = len(load.sections) - 1
            load.kernel.printk(
                3, f"{load.module.name}: Symbol {name} has an invalid section index {shndx} (max {most})"
            )
            errno = ENOEXEC
    return errno


def resolve_symbol_wait(load: Load, name: str, bind: int) -> tuple[int | None, int]:
    """(address, 0), or (None, errno) with the errno reported; (None, 0) for weak and ignored names."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    importer = kernel.importer(load)
    found: Resolution = load.pure("resolve_symbol")(name, importer, kernel.vmlinux, kernel.exports)
    kernel.print_records(found.log)
    if found.using_gplonly_symbols and not mod.using_gplonly_symbols:
        mod.using_gplonly_symbols = True
        kernel.set_field(mod, "using_gplonly_symbols", 1)
    if found.inherit_taint:
        mod.taint_mask |= 1  # TAINT_PROPRIETARY_MODULE is bit 0; the kernel itself is tainted already
        kernel.set_field(mod, "taints", mod.taint_mask)
    if found.force:
        kernel.try_to_force_load(load, name)
    errno = found.errno
    if found.export is not None:
        errno = kernel.ref_module(mod, getattr(found.export, "owner", None))
        if not errno:
            return int(found.export.address), 0
        if errno == EBUSY:
            kernel.printk(4, f"{mod.name}: gave up waiting for init of module {found.export.owner.name}.")
    if found.export is None and not errno and (bind == STB_WEAK or name in IGNORED_UNDEFINED):
        return None, 0
    errno = errno or ENOENT
    kernel.printk(4, f"{mod.name}: Unknown symbol {name} (err -{errno})")
    return None, errno


class SymbolChanges:
    """The st_value fields that simplify_symbols filled in; bytes are made only when somebody reads them."""

    def __init__(self, start: int, numbers: NDArray[Any], before: NDArray[Any], after: NDArray[Any]) -> None:
        self._start, self._numbers, self._before, self._after = start, numbers, before, after
        self.size = 8 * len(numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, i: int) -> Any:
        from ..memory import Change

        if i >= len(self._numbers):
            raise IndexError(i)
        address = self._start + SYM.itemsize * int(self._numbers[i]) + 8
        return Change(address, self._before[i].tobytes(), self._after[i].tobytes())


def _journal(load: Load, table: Records, before: NDArray[Any]) -> None:
    journal = load.kernel.memory.journal
    if journal is not None:
        changed = np.flatnonzero(table["st_value"] != before)
        start = load.sections[load.index.sym].addr
        journal.append(SymbolChanges(start, changed, before[changed], table["st_value"][changed].copy()))
