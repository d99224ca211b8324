# SPDX-License-Identifier: GPL-2.0-only
"""Linux 5.10: all of the loader in one file, few words about broken ELF files, NOPs by processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ...arch import x86_64_patching as x86
from ...errors import MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC
from ...loader.load import SectionHeader
from ...loader.modinfo import MODINFO_TAINTS, taints_of
from ...loader.validity import validate_section_offset
from ...profile import CpuModel
from ...symbols import resolve_symbol
from . import Oids, v6_1
from . import v5_10_patching as patching
from .stages import ALTERNATIVE, MAIN, STAGES, Stage, rearranged

# What 5.18 and 5.19 split into kernel/module/, and what 6.0 moved
ONE_FILE = "kernel/module.c"
FILES_BEFORE = {
    MAIN: ONE_FILE, "kernel/module/signing.c": ONE_FILE, "kernel/module/version.c": ONE_FILE,
    "kernel/module/strict_rwx.c": ONE_FILE, "kernel/module/kallsyms.c": ONE_FILE,
    "kernel/module/sysfs.c": ONE_FILE, "kernel/static_call_inline.c": "kernel/static_call.c",
}  # fmt: skip
# kernel/module.c:elf_validity_check has words for these two only; load_module adds a line of its own
SAID_OF_SECTIONS = ("Invalid ELF section in module", "Invalid ELF section name in module")
INVALID = "Module has invalid ELF structures"


def said(fault: str) -> tuple[str, ...]:
    """What is printed of a fault in the ELF structures: of most only that there is one."""
    return (fault, INVALID) if fault.startswith(SAID_OF_SECTIONS) else (INVALID,)


def check_string_table(section: SectionHeader, length: int, last_byte: int) -> str:
    """The section name table must be inside the file and end in NUL; of an empty one the byte before it is
    looked at (``kernel/module.c:elf_validity_check``)."""
    if not validate_section_offset(section.offset, section.size, length):
        return f"Invalid ELF section hdr(type {section.type})"
    return "section name table isn't null terminated" if last_byte else ""


def sort_exception_table(entries: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Exception table entries (insn, fixup, handler) ordered by the instruction they belong to.

    All three are distances from their own field: the handler, too, until 5.16 made it a number
    (``lib/extable.c:sort_extable``, ``arch/x86/include/asm/extable.h:swap_ex_entry_fixup``).
    """
    absolute = [
        (12 * i + insn, 12 * i + 4 + fixup, 12 * i + 8 + handler)
        for i, (insn, fixup, handler) in enumerate(entries)
    ]
    absolute.sort(key=lambda entry: entry[0])
    return [
        (insn - 12 * i, fixup - 12 * i - 4, handler - 12 * i - 8)
        for i, (insn, fixup, handler) in enumerate(absolute)
    ]


def functions(cpu: CpuModel) -> Mapping[str, Callable[..., Any]]:
    """5.10's, with the NOPs of this processor."""
    nops = patching.nops_of(cpu.nops)
    return {
        "check_string_table": check_string_table,
        "taints_of": partial(taints_of, table=tuple(row for row in MODINFO_TAINTS if row.tag != "test")),
        "resolve_symbol": partial(resolve_symbol, uses="uses symbols from proprietary module {owner}"),
        "sort_exception_table": sort_exception_table,
        "apply_alternative": partial(x86.apply_alternative, nops=nops.by_length),
        "patch_paravirt": patching.patch_paravirt,
        "patch_retpoline": partial(patching.patch_retpoline, nops=nops),
        "patch_static_call": partial(patching.patch_static_call, nops=nops),
        "patch_jump_label": partial(patching.patch_jump_label, nops=nops),
        "ftrace_nop_replace": lambda: nops.atomic5,
    }


def source(path: str) -> str:
    """Where a file of 6.1's source was."""
    return FILES_BEFORE.get(path, path)


# include/linux/oid_registry.h; what crypto/asymmetric_keys/pkcs7_parser.c knows: no SM2, SM3, GOST, ECDSA
OIDS = Oids(
    gone=frozenset((
        "1.2.840.10045.3.1.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.1", "1.2.840.10045.4.3.2",
        "1.2.840.10045.4.3.3", "1.2.840.10045.4.3.4", "1.2.840.48018.1.2.2", "1.2.840.113554.1.2.2",
        "1.2.840.113554.1.2.2.3", "1.3.6.1.4.1.311.2.2.10", "1.3.6.1.5.5.2", "1.3.6.1.5.2.5", "1.3.5.1.5.2.7",
        "1.3.6.1.5.5.14", "1.3.132.0.34", "1.2.752.43.14.2", "1.2.752.43.14.3", "2.23.133.10.1.3",
        "2.23.133.10.1.4", "2.23.133.10.1.5",
    )),
    unused=frozenset((
        "1.2.840.10045.4.1", "1.2.156.10197.1.401", "1.2.156.10197.1.501", "1.2.643.7.1.1.1.1",
        "1.2.643.7.1.1.1.2", "1.2.643.7.1.1.2.2", "1.2.643.7.1.1.2.3",
    )),
)  # fmt: skip

STAGES_5_10 = tuple(
    stage._replace(source=source(stage.source))
    for stage in rearranged(
        STAGES,
        without=("apply_paravirt",),
        before=(
            ("unwind_module_init", Stage(
                "apply_paravirt", patching.apply_paravirt, "calls through pv_ops become direct, or native",
                "apply_paravirt", ALTERNATIVE, "2.6.20")),
            ("unwind_module_init", Stage(
                "jump_label_apply_nops", patching.jump_label_apply_nops,
                "static branches get this processor's NOP", "jump_label_apply_nops", "kernel/jump_label.c",
                "2.6.37")),
        ),
    )
)  # fmt: skip

RULES = replace(
    v6_1.RULES,
    name="5.10",
    stages=STAGES_5_10,
    finit_flags=MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC,
    said=said,
    decompress=None,
    fortified_name=False,
    index_checked=False,
    lazy_vfree=True,
    oids=OIDS,
    extable_handlers=("ex_handler_default", "ex_handler_uaccess"),  # arch/x86/mm/extable.c
    functions=functions,
    source=source,
)
