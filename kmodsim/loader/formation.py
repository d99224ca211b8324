# SPDX-License-Identifier: GPL-2.0-only
"""From relocated to COMING: arguments copied, exports checked, pages protected, notifiers called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ENOEXEC, KernelError, KernelOops
from ..memory import EXEC, U64, WRITE
from ..module import Module, ModuleState
from ..profile import Export
from ..records import KERNEL_SYMBOL, text, view

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from .load import Load, SectionHeader

BUG_ENTRY_SIZE = 12  # include/asm-generic/bug.h:struct bug_entry with relative pointers
ARGS_LIMIT = (1 << 63) - 1  # strndup_user(uargs, ~0UL >> 1)


def strndup_user(load: Load) -> None:
    """Copy the argument text from the caller: EFAULT when the pointer is bad. Late: after relocation."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    if isinstance(load.params, int):
        raw = kernel.user_memory().strndup_user(load.params, ARGS_LIMIT)
    else:
        raw = load.params.split(b"\0", 1)[0]
    load.params = raw
    mod.args = text(raw)
    mod.args_address = kernel.heap.kstrdup(raw)
    load.undo.callback(lambda: kernel.heap.kfree(mod.args_address))
    kernel.set_field(mod, "args", mod.args_address)


def exported_symbols(load: Load) -> list[Export]:
    """What ``__ksymtab`` and ``__ksymtab_gpl`` offer, read from the relocated module, in table order."""
    mod = load.module
    assert mod is not None
    found = []
    for syms, crcs, gpl in (("__ksymtab", "__kcrctab", False), ("__ksymtab_gpl", "__kcrctab_gpl", True)):
        section = load.named(syms)
        table = view(load.bytes_of(section), 0, section.size // KERNEL_SYMBOL.itemsize, KERNEL_SYMBOL)
        if not len(table):
            continue
        crc_list = _crcs(load, load.named(crcs))
        for i, (value, name, namespace) in enumerate(table.tolist()):
            place = section.addr + i * KERNEL_SYMBOL.itemsize
            found.append(Export(
                _string(load, place + 4 + name), (place + value) & U64,
                crc_list[i] if i < len(crc_list) else None,
                gpl,
                _string(load, place + 8 + namespace) if namespace else None, mod,
            ))  # fmt: skip
    return found


def _crcs(load: Load, section: SectionHeader) -> list[int]:
    """With CONFIG_MODULE_REL_CRCS (before 5.19) the table holds distances to the values
    (``kernel/module.c:resolve_rel_crc``)."""
    data = load.bytes_of(section)[: section.size // 4 * 4]
    if "CONFIG_MODULE_REL_CRCS" not in load.profile.config:
        return data.view("<u4").tolist()
    places = (section.addr + 4 * i + distance for i, distance in enumerate(data.view("<i4").tolist()))
    try:
        return [int.from_bytes(load.kernel.memory.read(place, 4), "little") for place in places]
    except KernelError:
        raise KernelOops("page fault reading the CRC of an export") from None


def _string(load: Load, address: int) -> str:
    try:
        return text(load.kernel.memory.string(address))
    except KernelError:
        return ""


def find_duplicate(
    exports: Sequence[Any], vmlinux: Mapping[str, Any], modules: Mapping[str, Any]
) -> tuple[str, str] | None:
    """(symbol, owner) of the first export that somebody else exports already; the kernel itself is "kernel".

    Models ``kernel/module/main.c:verify_exported_symbols``.
    """
    for export in exports:
        other = vmlinux.get(export.name) or modules.get(export.name)
        if other is not None:
            owner = getattr(other, "owner", None)
            return export.name, owner.name if owner else "kernel"
    return None


def complete_formation(load: Load) -> None:
    """ENOEXEC for a duplicate export; then pages become read-only or not executable, and the state COMING."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    exports = exported_symbols(load)
    clash = load.pure("find_duplicate")(exports, kernel.vmlinux, kernel.exports_seen)
    if clash:
        kernel.printk(3, f"{mod.name}: exports duplicate symbol {clash[0]} (owned by {clash[1]})")
        raise KernelError(ENOEXEC)
    for export in exports:
        mod.exports.setdefault(export.name, export)
    _module_bug_finalize(load)
    protect(mod)
    kernel.set_state(mod, ModuleState.COMING)
    kernel.offer_exports(mod)
    load.undo.callback(kernel.withdraw_exports, mod)


def _module_bug_finalize(load: Load) -> None:
    """``lib/bug.c``: where BUG() and WARN() of this module are found."""
    kernel, mod, section = load.kernel, load.module, _any_bug_table(load)
    assert mod is not None
    kernel.set_field(mod, "bug_table", section.addr if section else 0)
    kernel.set_field(mod, "num_bugs", section.size // BUG_ENTRY_SIZE if section else 0)
    kernel.bug_list_add(mod)
    load.undo.callback(kernel.bug_list_del, mod)


def _any_bug_table(load: Load) -> SectionHeader | None:
    return next((s for s in load.sections if s.name == "__bug_table"), None)


def protect(mod: Module, *, after_init: bool = False) -> None:
    """module_enable_ro, module_enable_nx and module_enable_x: page permissions by protection group.

    The module area is mapped writable and not executable at first. Text becomes read-only and executable,
    read-only
    data read-only, and once init has run (``after_init``) the ro_after_init group read-only too.
    """
    for name, area in mod.areas.items():
        layout, area.reset_perms = mod.layouts[name], True
        mod.memory.protect(area.start, layout.text_size, set_bits=EXEC, clear=WRITE)
        mod.memory.protect(area.start + layout.text_size, layout.ro_size - layout.text_size, clear=WRITE)
        if after_init:
            start, size = area.start + layout.ro_size, layout.ro_after_init_size - layout.ro_size
            mod.memory.protect(start, size, clear=WRITE)


def prepare_coming_module(load: Load) -> None:
    """Call the notifiers with COMING; an error of one of them ends the load after those before it saw
    GOING."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    load.undo.callback(_bug_cleanup, load)
    kernel.set_field(mod, "klp_alive", 1)  # kernel/livepatch/core.c:klp_module_coming
    errno = kernel.notify_robust(ModuleState.COMING, ModuleState.GOING, mod)
    if errno:
        raise KernelError(errno, why="a module notifier refused")
    load.undo.callback(_coming_cleanup, load)


def _bug_cleanup(load: Load) -> None:
    assert load.module is not None
    load.kernel.set_state(load.module, ModuleState.GOING)


def _coming_cleanup(load: Load) -> None:
    kernel, mod = load.kernel, load.module
    assert mod is not None
    kernel.set_state(mod, ModuleState.GOING)
    kernel.destroy_params(mod)
    kernel.notify(ModuleState.GOING, mod)
