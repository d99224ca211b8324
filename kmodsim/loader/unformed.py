# SPDX-License-Identifier: GPL-2.0-only
"""On the list before anything else: the name is taken, references can be counted, optional sections are
found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import EBUSY, EEXIST, ENOMEM, KernelError, WouldWait
from ..memory import PAGE_SIZE
from ..module import MODULE_REF_BASE, ModuleState
from ..records import KERNEL_SYMBOL

if TYPE_CHECKING:
    from .load import Load

PCPU_MIN_UNIT_SIZE = 32 << 10  # include/linux/percpu.h
# kernel/module/main.c:check_module_license_and_versions: names that taint whatever they say.
# "driverloader" and "lve"
# carry the taint themselves, ndiswrapper only taints the kernel.
NAMES_THAT_TAINT = {"ndiswrapper": False, "driverloader": True, "lve": True}


def may_add(state_of_old: str | None) -> int:
    """0 when the name is free, EEXIST when that module is LIVE, EBUSY when it is GOING; −1: wait for it.

    Models ``kernel/module/main.c:add_unformed_module``.
    """
    return {None: 0, "LIVE": EEXIST, "GOING": EBUSY}.get(state_of_old, -1)


def add_unformed_module(load: Load) -> None:
    """Put the module at the head of the list, UNFORMED: from now on the name is taken."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    patient_check_exists(load, mod.name)
    mod.taint_mask = load.taint_mask
    kernel.list_add(mod)
    load.undo.callback(kernel.list_del, mod)
    kernel.set_state(mod, ModuleState.UNFORMED)
    kernel.set_field(mod, "taints", mod.taint_mask)
    kernel.set_field(mod, "klp", int(load.get_modinfo("livepatch") is not None))
    _note_layout(load)


def patient_check_exists(load: Load, name: str) -> None:
    """EEXIST or EBUSY when a module has the name, after the wait for one that is still being loaded."""
    old = load.kernel.find_module_all(name)
    errno = load.pure("may_add")(old.state if old else None)
    if errno < 0:
        raise WouldWait(f"{name} is {old.state if old else '?'}: the call sleeps until that load has ended")
    if errno:
        raise KernelError(errno)


def _note_layout(load: Load) -> None:
    mod, set_field = load.module, load.kernel.set_field
    assert mod is not None
    for kind in mod.kinds:
        area, layout = mod.areas.get(kind.name), mod.layouts[kind.name]
        set_field(mod, f"{kind.field}.base", area.start if area else 0)
        for name in ("size", "text_size", "ro_size", "ro_after_init_size"):
            set_field(mod, f"{kind.field}.{name}", getattr(layout, name))
        set_field(mod, f"{kind.field}.mtn.mod", mod.address)


def taint_unsigned_module(load: Load) -> None:
    """Taint E for a module without a good signature; the kernel says so once a boot."""
    mod, kernel = load.module, load.kernel
    assert mod is not None
    mod.sig_ok = load.sig_ok
    kernel.set_field(mod, "sig_ok", int(mod.sig_ok))
    if not mod.sig_ok:
        if kernel.first_time("unsigned"):
            kernel.printk(
                5,
                f"{mod.name}: module verification failed: signature and/or required key missing - "
                "tainting kernel",
            )
        kernel.add_taint_module(mod, "E")


def percpu_modalloc(load: Load) -> None:
    """Offsets for ``.data..percpu`` in every CPU's area; ENOMEM when the reserved 8 KiB are full."""
    mod, kernel = load.module, load.kernel
    assert mod is not None
    section = load.sections[load.index.pcpu]
    if not load.index.pcpu or not section.size:
        return
    alignment = section.addralign or 1
    if alignment > PAGE_SIZE:
        kernel.printk(4, f"{mod.name}: per-cpu alignment {alignment} > {PAGE_SIZE}")
        alignment = PAGE_SIZE
    offset = _alloc_reserved_percpu(load, section.size, alignment)
    if offset is None:
        kernel.printk(4, f"{mod.name}: Could not allocate {section.size} bytes percpu data")
        raise KernelError(ENOMEM)
    load.undo.callback(kernel.percpu.free, offset)
    mod.percpu, mod.percpu_size = offset, section.size
    kernel.set_field(mod, "percpu", offset)
    kernel.set_field(mod, "percpu_size", section.size)


def _alloc_reserved_percpu(load: Load, size: int, align: int) -> int | None:
    """``mm/percpu.c:pcpu_alloc`` for the reserved chunk; its stack dumps are not modelled."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    if size > PCPU_MIN_UNIT_SIZE or align & (align - 1):
        kernel.add_taint("W")  # a WARN, whose report is not modelled
        return None
    offset = kernel.percpu.alloc(size, align, mod.name)
    if offset is None:
        why = "alloc from reserved chunk failed"
        kernel.printk(4, f"percpu: allocation failed, size={size} align={align} atomic=0, {why}")
    return offset


def module_unload_init(load: Load) -> None:
    """The reference count starts at MODULE_REF_BASE, plus one that is held while the module loads."""
    mod, kernel = load.module, load.kernel
    assert mod is not None
    kernel.set_refcount(mod, MODULE_REF_BASE + 1)
    for name in ("source_list", "target_list"):
        kernel.init_list_head(mod, name)
    load.undo.callback(kernel.module_unload_free, mod)


def find_module_sections(load: Load) -> None:
    """Note where the optional sections are: parameters, exports, exception table."""
    mod, kernel = load.module, load.kernel
    assert mod is not None
    kernel.init_list_head(mod, "param_lock.wait_list")  # init_param_lock, just before
    for name, fields, itemsize in SECTION_OBJS:
        section = load.named(name)
        kernel.set_field(mod, fields[0], section.addr if section.size else 0)
        if len(fields) > 1:
            kernel.set_field(mod, fields[1], section.size // itemsize)
    for name, field in ((".BTF", "btf_data_size"), (".BTF.base", "btf_base_data_size")):
        size = next((s.size for s in load.sections[1:] if s.name == name), 0)  # any_section_objs
        kernel.set_field(mod, field, size)
    if load.find_sec("__obsparm"):
        kernel.printk(4, f"{mod.name}: Ignoring obsolete parameters")
    mod.note_sections = tuple(s.name for s in load.sections if s.alloc and s.type == 7 and s.size)


# section, (pointer field, count field), bytes of one object; fields that a kernel does not have are skipped
SECTION_OBJS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("__param", ("kp", "num_kp"), 40),
    ("__ksymtab", ("syms", "num_syms"), KERNEL_SYMBOL.itemsize),
    ("__kcrctab", ("crcs",), 4),
    ("__ksymtab_gpl", ("gpl_syms", "num_gpl_syms"), KERNEL_SYMBOL.itemsize),
    ("__kcrctab_gpl", ("gpl_crcs",), 4),
    ("__tracepoints_ptrs", ("tracepoints_ptrs", "num_tracepoints"), 4),
    ("___srcu_struct_ptrs", ("srcu_struct_ptrs", "num_srcu_structs"), 8),
    ("__bpf_raw_tp_map", ("bpf_raw_events", "num_bpf_raw_events"), 32),
    ("__jump_table", ("jump_entries", "num_jump_entries"), 16),
    ("_ftrace_events", ("trace_events", "num_trace_events"), 8),
    ("_ftrace_eval_map", ("trace_evals", "num_trace_evals"), 8),
    ("__mcount_loc", ("ftrace_callsites", "num_ftrace_callsites"), 8),
    ("_error_injection_whitelist", ("ei_funcs", "num_ei_funcs"), 16),
    ("_kprobe_blacklist", ("kprobe_blacklist", "num_kprobe_blacklist"), 8),
    (".static_call_sites", ("static_call_sites", "num_static_call_sites"), 8),
    (".noinstr.text", ("noinstr_text_start", "noinstr_text_size"), 1),
    ("__ex_table", ("extable", "num_exentries"), 12),
    ("__dyndbg", ("dyndbg_info.descs", "dyndbg_info.num_descs"), 56),
    ("__dyndbg_classes", ("dyndbg_info.classes", "dyndbg_info.num_classes"), 56),
)


def check_module_license_and_versions(load: Load) -> None:
    """Names that taint whatever they say; exports without CRCs force the load (taint F)."""
    taint_by_name(load, load.kernel.test_taint("P"))
    check_export_symbol_versions(load)


def taint_by_name(load: Load, before: bool) -> None:
    """``before``: whether the kernel had taint P; if it was not so and is now, that is said."""
    mod, kernel = load.module, load.kernel
    assert mod is not None
    if NAMES_THAT_TAINT.get(mod.name):
        load.add_taint("P", unreliable=True)
    elif mod.name in NAMES_THAT_TAINT:
        kernel.add_taint("P", unreliable=True)
    if not before and kernel.test_taint("P"):
        kernel.printk(4, f"{mod.name}: module license taints kernel.")


def check_export_symbol_versions(load: Load) -> None:
    """Exports without CRCs force the load (taint F)."""
    for syms, crcs in (("__ksymtab", "__kcrctab"), ("__ksymtab_gpl", "__kcrctab_gpl")):
        if load.named(syms).size >= KERNEL_SYMBOL.itemsize and not load.find_sec(crcs):
            load.kernel.try_to_force_load(load, "no versions for exported symbols")
            return


def setup_modinfo(load: Load) -> None:
    """``version`` and ``srcversion`` are kept for /sys/module."""
    mod = load.module
    assert mod is not None
    mod.version, mod.srcversion = load.get_modinfo("version"), load.get_modinfo("srcversion")


def section_addresses(load: Load) -> np.ndarray:
    """sh_addr of each section as unsigned 64-bit; the per-CPU section's is its offset
    (``simplify_symbols``)."""
    addresses = np.array([s.addr for s in load.sections], np.uint64)
    if load.index.pcpu and load.module is not None:
        addresses[load.index.pcpu] = load.module.percpu or 0
    return addresses
