# SPDX-License-Identifier: GPL-2.0-only
"""The table of pure functions: the thinking of the stages, plain data in and plain data out.

``Kernel(stages={name: mine})`` puts another function in the place of any of them, or of a whole stage.
``print(kmodsim.functions.describe())`` shows the table with signatures.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from . import memory, params, symbols, unloader
from .arch import x86_64_patching
from .loader import (
    copying,
    finalize,
    formation,
    init,
    layout,
    load,
    load_info,
    modinfo,
    permission,
    relocate,
    signature,
    unformed,
    validity,
)
from .profile import CpuModel
from .profiles.rules import Rules

MAIN = "kernel/module/main.c"
KALLSYMS = "kernel/module/kallsyms.c"


class PureFunction(NamedTuple):
    """One row: the function and the place in the kernel that it models."""

    function: Callable[..., Any]
    models: str


_ROWS = (
    (permission.may_init_module, f"{MAIN}:may_init_module"),
    (copying.copy_chunks, f"{MAIN}:copy_chunked_from_user"),
    (signature.judge_signature, "kernel/module/signing.c:module_sig_check"),
    (validity.check_elf_header, f"{MAIN}:elf_validity_check"),
    (validity.check_string_table, f"{MAIN}:elf_validity_check"),
    (validity.check_sections, f"{MAIN}:elf_validity_check"),
    (load.find_sec, f"{MAIN}:find_sec"),
    (load_info.find_symtab, f"{MAIN}:setup_load_info"),
    (load_info.parse_modinfo, f"{MAIN}:get_next_modinfo"),
    (load_info.is_blacklisted, f"{MAIN}:blacklisted"),
    (symbols.check_version, "kernel/module/version.c:check_version"),
    (modinfo.same_magic, "kernel/module/version.c:same_magic"),
    (modinfo.taints_of, f"{MAIN}:check_modinfo"),
    (modinfo.find_wx_section, "kernel/module/strict_rwx.c:module_enforce_rwx_sections"),
    (layout.place_sections, f"{MAIN}:layout_sections"),
    (layout.core_symbols, f"{KALLSYMS}:is_core_symbol"),
    (memory.find_vmap_area, "mm/vmalloc.c:find_vmap_lowest_match"),
    (unformed.may_add, f"{MAIN}:add_unformed_module"),
    (symbols.resolve_symbol, f"{MAIN}:resolve_symbol"),
    (relocate.relocate_one, "arch/x86/kernel/module.c:__apply_relocate_add"),
    (finalize.sort_exception_table, "lib/extable.c:sort_extable"),
    (symbols.elf_type, f"{KALLSYMS}:elf_type"),
    (x86_64_patching.patch_paravirt, "arch/x86/kernel/paravirt.c:paravirt_patch"),
    (x86_64_patching.patch_retpoline, "arch/x86/kernel/alternative.c:patch_retpoline"),
    (x86_64_patching.patch_return, "arch/x86/kernel/alternative.c:patch_return"),
    (x86_64_patching.apply_alternative, "arch/x86/kernel/alternative.c:apply_alternatives"),
    (x86_64_patching.ftrace_nop_replace, "arch/x86/kernel/ftrace.c:ftrace_nop_replace"),
    (x86_64_patching.patch_jump_label, "arch/x86/kernel/jump_label.c:__jump_label_patch"),
    (x86_64_patching.patch_static_call, "arch/x86/kernel/static_call.c:__static_call_transform"),
    (finalize.sort_orc, "arch/x86/kernel/unwind_orc.c:unwind_module_init"),
    (formation.find_duplicate, f"{MAIN}:verify_exported_symbols"),
    (params.parse_parameters, "kernel/params.c:parse_args"),
    (init.judge_init, f"{MAIN}:do_init_module"),
    (unloader.may_unload, f"{MAIN}:delete_module"),
)
FUNCTIONS: dict[str, PureFunction] = {f.__name__: PureFunction(f, models) for f, models in _ROWS}


def describe() -> str:
    """The table as text: name and signature, what it models, the first line of its docstring."""
    rows = []
    for name, row in FUNCTIONS.items():
        first = (inspect.getdoc(row.function) or "").split("\n")[0]
        rows.append(f"{name}{inspect.signature(row.function)}\n    {row.models}\n    {first}")
    return "\n".join(rows)


def with_overrides(
    overrides: dict[str, Callable[..., Any]] | None, rules: Rules, cpu: CpuModel
) -> tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]:
    """(pure functions, whole stages) of a kernel with ``overrides`` in place; ValueError for a name that is
    neither."""
    pure = {name: row.function for name, row in FUNCTIONS.items()} | dict(rules.functions(cpu))
    stages = {stage.name for stage in rules.stages}
    whole = {}
    for name, function in (overrides or {}).items():
        if name in pure:
            pure[name] = function
        elif name in stages:
            whole[name] = function
        else:
            known = ", ".join(sorted([*pure, *stages]))
            raise ValueError(f"no stage or function of the loader is called {name!r}; there are: {known}")
    return pure, whole
