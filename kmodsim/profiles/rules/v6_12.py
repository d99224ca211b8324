# SPDX-License-Identifier: GPL-2.0-only
"""Linux 6.12: seven memories a module (since 6.4), taints after the name is taken, the kernel
decompresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from ...arch.x86_64 import RELOCATION_TYPES, fits, relocation_value
from ...loader import finalize, layout, unformed
from ...loader.load import SectionHeader
from ...loader.relocate import Fault, Relocation
from ...module import Layout, MemoryKind, MemoryKinds
from ...profile import CpuModel
from . import Oids, v6_1
from . import v6_12_patching as patching
from . import v6_12_validity as validity
from .stages import ALTERNATIVE, MAIN, STAGES, Stage, rearranged
from .v6_12_sorting import heapsort_order
from .xz import module_decompress

# include/linux/module.h:enum mod_mem_type; numbers of layout.GROUPS
MEMORIES = MemoryKinds(
    (MemoryKind("text", False, (0,), "mem.0"), MemoryKind("data", False, (3,), "mem.1"),
     MemoryKind("rodata", False, (1,), "mem.2"), MemoryKind("ro_after_init", False, (2,), "mem.3"),
     MemoryKind("init_text", True, (0,), "mem.4"), MemoryKind("init_data", True, (3,), "mem.5"),
     MemoryKind("init_rodata", True, (1,), "mem.6")), 60, ("data", "init_data"),
)  # fmt: skip
INIT_BIT = 1 << 62  # of a kind's number in sh_entsize: 4, 5 and 6 are the init ones
ORC_TYPE = 0x700  # arch/x86/include/asm/orc_types.h: a type of 0 is ORC_TYPE_UNDEFINED

# include/linux/oid_registry.h, crypto/asymmetric_keys/pkcs7_parser.c: no MD2, MD4, MD5, SM2 (6.10), but SHA-3
_NIST = "2.16.840.1.101.3.4"
OIDS = Oids(
    gone=frozenset((
        "1.2.840.113549.1.1.2", "1.2.840.113549.1.1.3", "1.2.840.113549.1.1.4", "1.2.840.113549.2.2",
        "1.2.840.113549.2.4", "1.2.840.113549.2.5",
    )),
    unused=frozenset(("1.2.156.10197.1.501",)),
    more=(
        ("1.3.6.1.4.1.311.2.2.10", ("1.3.6.1.4.1.311.2.2.30",)),
        ("1.3.132.0.34", ("1.3.132.0.35",)),
        ("2.23.133.10.1.5", tuple(f"{_NIST}.{n}" for n in (
            "2.8", "2.9", "2.10", "3.10", "3.11", "3.12", "3.14", "3.15", "3.16"))),
    ),
    digests=((f"{_NIST}.2.8", "sha3_256"), (f"{_NIST}.2.9", "sha3_384"), (f"{_NIST}.2.10", "sha3_512")),
    public_keys=tuple((f"{_NIST}.3.{n}", "ecdsa") for n in (10, 11, 12)),
)  # fmt: skip

_BY_NAME = {stage.name: stage for stage in STAGES}


class Placement(NamedTuple):
    """``offsets[i]``: byte offset of section i in its memory, the number of the kind above bit 60, 2**64 - 1
    when it is not loaded."""

    offsets: list[int]
    text: Layout
    data: Layout
    rodata: Layout
    ro_after_init: Layout
    init_text: Layout
    init_data: Layout
    init_rodata: Layout


def place_sections(sections: Sequence[SectionHeader]) -> Placement:
    """Offsets of all allocated sections, each in the memory for its permissions, and the seven sizes.

    Models ``kernel/module/main.c:__layout_sections``. Nothing needs padding: each memory starts on a page.
    """
    offsets, layouts = layout.place_in(MEMORIES, sections)
    return Placement(offsets, *layouts)


def relocate_one(relocation: Relocation, existing: bytes) -> bytes | Fault:
    """The bytes to store at P, or why not: a value too wide is seen before a target that is not zero.

    Models ``arch/x86/kernel/module.c:__write_relocate_add`` (since 6.3).
    """
    kind, s, a, p = relocation
    row = RELOCATION_TYPES.get(kind)
    if row is None or row.size is None:
        return Fault("unknown", kind)
    value = relocation_value(kind, s, a, p)
    if not fits(kind, value):
        return Fault("too wide", value)
    if any(existing):
        return Fault("nonzero", value)
    return (value & ((1 << 8 * row.size) - 1)).to_bytes(row.size, "little")


def functions(cpu: CpuModel) -> Mapping[str, Callable[..., Any]]:
    return {
        "place_sections": place_sections,
        "core_symbols": partial(layout.core_symbols, init=INIT_BIT),
        "relocate_one": relocate_one,
        "apply_alternative": patching.apply_alternative,
        "sort_orc": partial(finalize.sort_orc, real=ORC_TYPE),
    }


STAGES_6_12 = rearranged(
    STAGES,
    without=("elf_validity_check", "setup_load_info", "check_modinfo", "taint_unsigned_module",
             "check_module_license_and_versions", "apply_paravirt"),
    instead=(
        _BY_NAME["layout_sections"]._replace(
            title="an offset in one of seven memories for every section", outputs=("layouts", "sections")),
        _BY_NAME["layout_symtab"]._replace(inputs=("layouts",), outputs=("layouts", "symtab_layout")),
        _BY_NAME["move_module"]._replace(
            title="memory at last: allocate up to seven, copy the sections", inputs=("layouts",),
            outputs=("module.memories", "sections")),
        _BY_NAME["apply_alternatives"]._replace(run=patching.apply_alternatives),
        _BY_NAME["alternatives_smp_module_add"]._replace(run=patching.alternatives_smp_module_add),
        _BY_NAME["do_free_init"]._replace(outputs=("module.init_size", "module.size")),
    ),
    before=(
        ("blacklisted", Stage(
            "elf_validity_cache_copy", validity.elf_validity_cache_copy,
            "an ELF file that can be walked? where is what?", "elf_validity_cache_copy", MAIN, "6.4",
            ("length",), ("header", "sections", "index", "name", "modinfo"))),
        ("module_enforce_rwx_sections", Stage(
            "check_modinfo", validity.check_modinfo, "does the vermagic fit?", "check_modinfo", MAIN, "6.4",
            ("modinfo",))),
        ("module_enforce_rwx_sections", Stage(
            "module_patient_check_exists", validity.module_patient_check_exists, "is the name taken already?",
            "module_patient_check_exists", MAIN, "6.4", ("name",))),
        ("percpu_modalloc", Stage(
            "module_augment_kernel_taints", validity.module_augment_kernel_taints,
            "out of tree, licence, signature: what taints", "module_augment_kernel_taints", MAIN, "6.4",
            ("modinfo", "sig_ok"), ("module.taints",))),
        ("setup_modinfo", Stage(
            "check_export_symbol_versions", unformed.check_export_symbol_versions, "exports without CRCs",
            "check_export_symbol_versions", MAIN, "6.4", (), ("module.taints",))),
        ("alternatives_smp_module_add", Stage(
            "apply_seal_endbr", patching.apply_seal_endbr, "landing pads that nobody needs are sealed",
            "apply_seal_endbr", ALTERNATIVE, "5.18")),
    ),
)  # fmt: skip

RULES = replace(
    v6_1.RULES,
    name="6.12",
    stages=STAGES_6_12,
    memories=MEMORIES,
    decompress=module_decompress,
    no_memory=("<4>execmem: unable to allocate memory",),
    nonzero="module: x86/modules: Invalid relocation target, existing value is nonzero for type {type}, "
            "loc {loc}, val {val:x}",
    fortified_name=False,
    alt_instr=patching.ALT_INSTR,
    orc_real=ORC_TYPE,
    sort_order=heapsort_order,
    oids=OIDS,
    files={"/sys/module/compression": "xz\n"},
    functions=functions,
)  # fmt: skip
