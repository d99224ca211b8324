# SPDX-License-Identifier: GPL-2.0-only
"""Every symbol becomes an address (``kernel/module/main.c:simplify_symbols``), and providers are
referenced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EBUSY, ENOENT, ENOEXEC, KernelError, KernelOops, errno_name
from ..memory import U64, page_align
from ..records import (
    SHDR,
    SHN_ABS,
    SHN_COMMON,
    SHN_LIVEPATCH,
    SHN_LORESERVE,
    SHN_UNDEF,
    STB_WEAK,
    SYM,
    Records,
    view,
)
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
    load.symtab = table = symbol_table(load)
    value, count = table["st_value"], len(load.sections)
    shndx = np.ascontiguousarray(table["st_shndx"])
    before = value.copy() if len(table) and load.kernel.memory.journal is not None else value[:1].copy()
    bases = np.append(section_addresses(load), np.uint64(0))
    bases[[number for number in SPECIAL if number < count]] = 0
    value += bases.take(np.minimum(shndx, count))
    value[:1] = before[:1]  # symbol 0 stays as it is
    special = (shndx == SHN_UNDEF) | (shndx >= min(count, SHN_LORESERVE))
    errno = _resolve_special(load, table, np.flatnonzero(special[1:]) + 1)
    if load.kernel.memory.journal is not None:
        _journal(load, table, before)
    if errno:
        raise KernelError(errno, why=f"at least one symbol could not be resolved ({errno_name(errno)})")


def symbol_table(load: Load, *, behind: bool = False) -> Records:
    """The symbol table where move_module put it, as records over the init memory; ``behind``: and all that
    follows it there."""
    section = load.sections[load.index.sym]
    assert load.module is not None
    area = load.module.areas[load.memories.kallsyms[1]]
    count = 1 << 32 if behind else section.size // SYM.itemsize
    return view(area.data, section.addr - area.start, count, SYM)


def _resolve_special(load: Load, table: Records, numbers: NDArray[Any]) -> int:
    """The symbols ``numbers``, in order: looked up, left alone, or refused. Returns the last errno."""
    chosen, resolved, errno = table[numbers], {}, 0
    strings = load.sections[load.index.str].offset
    names = load.names_at(strings, load.strings, chosen["st_name"].tolist())
    modules = load.kernel.exports_seen
    infos, indices = chosen["st_info"].tolist(), chosen["st_shndx"].tolist()
    for number, name, info, shndx, quick in zip(
        numbers.tolist(), names, infos, indices, quick_look_up(load, names, modules), strict=True
    ):
        if shndx != SHN_UNDEF:
            errno = _check_index(load, name, shndx) or errno
            if not load.rules.index_checked and shndx not in SPECIAL:
                resolved[number] = int(table["st_value"][number]) + _address_beyond(load, shndx) & U64
        elif quick is not None:
            resolved[number] = quick
        else:
            address, failed = resolve_symbol_wait(load, name, info >> 4, modules)
            errno = failed or errno
            if address is not None:
                resolved[number] = address
    table["st_value"][list(resolved)] = np.fromiter(resolved.values(), np.uint64, len(resolved))
    return errno


def quick_look_up(
    load: Load, names: Sequence[str], modules: Mapping[str, Any]
) -> Iterator[int | None]:
    """Addresses where resolve_symbol has nothing to say or to note, None everywhere else: the module is not
    proprietary, the CRC fits, and a module that exports the symbol is referenced already."""
    kernel, mod, importer = load.kernel, load.module, load.kernel.importer(load)
    assert mod is not None
    if load.replaced("resolve_symbol") or importer.versions is None:
        yield from repeat(None, len(names))
        return
    namespaces = (None, "", *importer.namespaces)
    clean: set[Any] = {None}  # who exports: the kernel, modules referenced already and without taint P
    for name, export, crc in zip(
        names, map(kernel.vmlinux.get, names), map(importer.versions.get, names), strict=True
    ):
        found = export or modules.get(name)
        if found is None or crc is None:
            yield None
            continue
        _, address, wanted, gpl, namespace, owner = found
        if owner not in clean and owner in mod.uses and not owner.taint_mask & 1:
            clean.add(owner)
        fits = crc == wanted and owner in clean and namespace in namespaces
        free = (not gpl or mod.using_gplonly_symbols) and not mod.taint_mask & 1
        yield address if fits and free else None


def _check_index(load: Load, name: str, shndx: int) -> int:
    """ENOEXEC, and said so, for common symbols and for numbers of sections that are not there."""
    mod, count = load.module, len(load.sections)
    assert mod is not None
    if shndx == SHN_COMMON and not name.startswith(IGNORED_COMMON_PREFIX):
        load.kernel.printk(4, f"{mod.name}: please compile with -fno-common")
        return ENOEXEC
    if shndx in SPECIAL or shndx < count or not load.rules.index_checked:
        return 0
    said = f"Symbol {name} has an invalid section index {shndx} (max {count - 1})"
    load.kernel.printk(3, f"{mod.name}: {said}")
    return ENOEXEC


def _address_beyond(load: Load, shndx: int) -> int:
    """sh_addr of a section header behind the table: whatever the temporary copy has there."""
    place = load.header["e_shoff"] + SHDR.itemsize * shndx + 16
    if place + 8 > page_align(len(load.image)):
        raise KernelOops(f"page fault reading section header {shndx} behind the temporary copy")
    return int.from_bytes(load.file_bytes(place, 8).tobytes(), "little")


def resolve_symbol_wait(
    load: Load, name: str, bind: int, modules: Mapping[str, Any]
) -> tuple[int | None, int]:
    """(address, 0), or (None, errno) with the errno reported; (None, 0) for weak and ignored names."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    importer = kernel.importer(load)
    found: Resolution = load.pure("resolve_symbol")(name, importer, kernel.vmlinux, modules)
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
