# SPDX-License-Identifier: GPL-2.0-only
"""The stages of load_module in the kernel's order: Linux 6.1's, from which the other kernels' are made.

Reading STAGES is reading the lesson plan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...loader import (
    arguments,
    finalize,
    formation,
    init,
    layout,
    load_info,
    modinfo,
    patching,
    relocate,
    resolve,
    signature,
    sysfs_setup,
    unformed,
    validity,
)
from ...loader.load import Load

MAIN = "kernel/module/main.c"
ALTERNATIVE = "arch/x86/kernel/alternative.c"


class Stage(NamedTuple):
    """One stage: its name, what it models (kernel function, file, release it has been so since), what it
    shows."""

    name: str
    run: Callable[[Load], None]
    title: str
    function: str
    source: str = MAIN
    since: str = "2.6"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


STAGES: tuple[Stage, ...] = (
    Stage("module_sig_check", signature.module_sig_check, "is it signed by a key the kernel trusts?",
          "module_sig_check", "kernel/module/signing.c", "3.7", ("length", "flags"), ("sig_ok", "length")),
    Stage("elf_validity_check", validity.elf_validity_check, "is this an ELF file that can be walked?",
          "elf_validity_check", MAIN, "5.17", ("length",), ("header", "sections")),
    Stage("setup_load_info", load_info.setup_load_info, "the convenience variables: where is what?",
          "setup_load_info", MAIN, "2.6.37", ("sections",), ("index", "name", "modinfo")),
    Stage("blacklisted", load_info.check_blacklist, "did the boot parameters forbid it?",
          "blacklisted", MAIN, "4.7", ("name",)),
    Stage("rewrite_section_headers", load_info.rewrite_section_headers, "section headers point into the copy",
          "rewrite_section_headers", MAIN, "2.6.37", ("index",), ("sections",)),
    Stage("check_modstruct_version", load_info.check_modstruct_version,
          "was it built for this struct module?",
          "check_modstruct_version", "kernel/module/version.c", "2.6", ("index",)),
    Stage("check_modinfo", modinfo.check_modinfo, "vermagic, licence and what taints",
          "check_modinfo", MAIN, "2.6.37", ("modinfo",), ("taint_mask",)),
    Stage("module_enforce_rwx_sections", modinfo.module_enforce_rwx_sections,
          "nothing writable and executable",
          "module_enforce_rwx_sections", "kernel/module/strict_rwx.c", "5.8", ("sections",)),
    Stage("layout_sections", layout.layout_sections, "an offset in core or init for every section",
          "layout_sections", MAIN, "2.6", ("sections",), ("core_layout", "init_layout", "sections")),
    Stage("layout_symtab", layout.layout_symtab, "room for the symbols that stay and those that go",
          "layout_symtab", "kernel/module/kallsyms.c", "2.6.32", ("core_layout", "init_layout"),
          ("core_layout", "init_layout", "symtab_layout")),
    Stage("move_module", layout.move_module, "memory at last: allocate, copy the sections",
          "move_module", MAIN, "2.6.37", ("core_layout", "init_layout"),
          ("module.base", "module.init_base", "sections")),
    Stage("add_unformed_module", unformed.add_unformed_module,
          "on the list of modules, UNFORMED: the name is taken",
          "add_unformed_module", MAIN, "3.9", ("name",), ("module.state", "list")),
    Stage("taint_unsigned_module", unformed.taint_unsigned_module, "no good signature: taint E",
          "load_module", MAIN, "3.7", ("sig_ok",), ("module.taints",)),
    Stage("percpu_modalloc", unformed.percpu_modalloc, "per-CPU data gets its offset",
          "percpu_modalloc", MAIN, "2.6", (), ("module.percpu", "module.percpu_size")),
    Stage("module_unload_init", unformed.module_unload_init, "the reference count starts",
          "module_unload_init", MAIN, "2.6", (), ("module.refcount",)),
    Stage("find_module_sections", unformed.find_module_sections, "parameters, exports and tables are found",
          "find_module_sections", MAIN, "2.6.37", ("sections",)),
    Stage("check_module_license_and_versions", unformed.check_module_license_and_versions,
          "names that taint; exports without CRCs", "check_module_license_and_versions", MAIN, "2.6.37", (),
          ("module.taints",)),
    Stage("setup_modinfo", unformed.setup_modinfo, "version and srcversion are kept for /sys",
          "setup_modinfo", MAIN, "2.6", (), ("module.version", "module.srcversion")),
    Stage("simplify_symbols", resolve.simplify_symbols, "every symbol becomes an address",
          "simplify_symbols", MAIN, "2.6", (), ("uses", "module.taints")),
    Stage("apply_relocations", relocate.apply_relocations, "S + A - P into the code",
          "apply_relocations", MAIN, "2.6.37", (), ("relocated",)),
    Stage("sort_extable", finalize.sort_extable, "the exception table is put in order",
          "post_relocation", MAIN, "2.6.37", (), ()),
    Stage("percpu_modcopy", finalize.percpu_modcopy, "each CPU's copy of the per-CPU data",
          "percpu_modcopy", MAIN, "2.6", (), ("module.percpu",)),
    Stage("add_kallsyms", finalize.add_kallsyms, "names for addresses: kallsyms",
          "add_kallsyms", "kernel/module/kallsyms.c", "2.6", (), ()),
    Stage("apply_paravirt", patching.apply_paravirt, "calls through pv_ops become direct",
          "apply_paravirt", ALTERNATIVE, "2.6.20"),
    Stage("apply_retpolines", patching.apply_retpolines, "calls of indirect thunks stay, or become indirect",
          "apply_retpolines", ALTERNATIVE, "5.16"),
    Stage("apply_returns", patching.apply_returns, "jumps to the return thunk become returns",
          "apply_returns", ALTERNATIVE, "5.19"),
    Stage("apply_alternatives", patching.apply_alternatives, "code for this processor's features",
          "apply_alternatives", ALTERNATIVE, "2.6"),
    Stage("alternatives_smp_module_add", patching.alternatives_smp_module_add, "one processor needs no lock",
          "alternatives_smp_module_add", ALTERNATIVE, "2.6.17"),
    Stage("unwind_module_init", finalize.unwind_module_init, "the unwinder's tables are put in order",
          "unwind_module_init", "arch/x86/kernel/unwind_orc.c", "4.14"),
    Stage("strndup_user", formation.strndup_user, "now the arguments are copied",
          "load_module", MAIN, "2.6", (), ("module.args",)),
    Stage("ftrace_module_init", patching.ftrace_module_init, "calls for the function tracer become NOPs",
          "ftrace_module_init", "kernel/trace/ftrace.c", "2.6.27"),
    Stage("complete_formation", formation.complete_formation, "duplicate exports? page permissions; COMING",
          "complete_formation", MAIN, "3.9", (), ("module.state", "exports")),
    Stage("jump_label_add_module", patching.jump_label_add_module, "static branches: sorted, some rewritten",
          "jump_label_add_module", "kernel/jump_label.c", "2.6.37"),
    Stage("static_call_add_module", patching.static_call_add_module, "static calls become direct",
          "static_call_add_module", "kernel/static_call_inline.c", "5.10"),
    Stage("prepare_coming_module", formation.prepare_coming_module, "notifiers are told: COMING",
          "prepare_coming_module", MAIN, "4.6", (), ("module.state",)),
    Stage("parse_args", arguments.parse_args, "the arguments reach the parameters",
          "parse_args", "kernel/params.c", "2.6", ("params",), ("module.args",)),
    Stage("mod_sysfs_setup", sysfs_setup.mod_sysfs_setup, "/sys/module/NAME appears",
          "mod_sysfs_setup", "kernel/module/sysfs.c", "2.6", (), ("module.holders",)),
    Stage("free_copy", init.free_copy, "the temporary copy goes; no way back by undoing",
          "free_copy", MAIN, "2.6.37", (), ()),
    Stage("do_init_module", init.do_init_module, "init runs; LIVE",
          "do_init_module", MAIN, "3.13", (), ("returned", "module.state", "module.refcount")),
    Stage("do_free_init", init.do_free_init, "init memory is given back",
          "do_free_init", MAIN, "5.10", (), ("module.init_size", "module.size")),
)  # fmt: skip


def rearranged(
    stages: Sequence[Stage], *, without: Sequence[str] = (), instead: Sequence[Stage] = (),
    before: Sequence[tuple[str, Stage]] = (),
) -> tuple[Stage, ...]:
    """Another kernel's stages: some left out, some in the place of those with their names, some put before
    others. ValueError: there is none of that name."""
    row = [stage for stage in stages if stage.name not in without]
    for stage in instead:
        row[_place(row, stage.name)] = stage
    for name, stage in before:
        row.insert(_place(row, name), stage)
    return tuple(row)


def _place(row: Sequence[Stage], name: str) -> int:
    return [stage.name for stage in row].index(name)
