# SPDX-License-Identifier: GPL-2.0-only
"""Cases about symbols, relocations and exports."""

from __future__ import annotations

from .case import (
    Case,
    accepted,
    load,
    refused,
    unload,
)

SYMBOLS = [
    *refused("symbol-unknown", ["missing_symbol", "chain_b", "chain_c", "proprietary_gpl"], "symbols"),
    *refused("symbol-unknown", ["unknown_empty_name", "unknown_local"], "symbols"),
    *refused("symbol-version", ["symbol_crc", "symbol_not_listed"], "symbols"),
    *refused("symbol-last-error", ["symbols_crc_two", "unknown_two", "unknown_then_crc"], "symbols"),
    *accepted(
        "symbol-special",
        ["weak_undefined", "got", "common_lto", "absolute", "section_flags_livepatch"],
        boot="symbols",
    ),
    Case(
        "symbol-special/weak_symbol",
        "symbol-special",
        (
            load("weak_symbol"),
            load("no_init"),
            unload("no_init"),
            unload("weak_symbol"),
            load("no_init"),
            load("weak_symbol"),
            unload("no_init"),
            unload("weak_symbol"),
            unload("no_init"),
        ),
        "symbols",
    ),
    Case(
        "symbol-namespace/thief",
        "symbol-namespace",
        (
            load("namespace_thief"),
            load("namespace_provider"),
            load("namespace_thief"),
            load("namespace_user"),
            unload("namespace_provider"),
            unload("namespace_user"),
            unload("namespace_provider"),
        ),
        "symbols",
    ),
    *refused("symbol-common", ["common"], "symbols"),
    *refused("symbol-index", ["section_index", "section_index_end", "section_index_xindex"], "symbols"),
    Case(
        "symbol-unknown/version-of-provider",
        "symbol-version",
        (
            load("gpl_only"),
            load("gpl_crc"),
            load("gpl_user"),
            unload("gpl_only"),
            unload("gpl_user"),
            unload("gpl_only"),
        ),
        "symbols",
    ),
    Case(
        "symbol-proprietary/bridge",
        "symbol-proprietary",
        (
            load("proprietary"),
            load("gpl_only"),
            load("proprietary_bridge"),
            load("bridge_gpl_crc"),
            load("proprietary_heir"),
            unload("proprietary"),
            unload("proprietary_heir"),
            unload("proprietary"),
            unload("gpl_only"),
        ),
        "proprietary",
    ),
    *refused("relocation-type", ["relocation_unknown", "relocation_gotpcrel", "relocation_16"], "symbols"),
    *refused("relocation-target", ["relocation_target", "relocation_target_64"], "symbols"),
    *refused("relocation-overflow", ["relocation_32_overflow", "relocation_32s_overflow"], "symbols"),
    *accepted("relocation-overflow", ["relocation_pc32_overflow"], boot="symbols"),
    *refused("relocation-rel", ["relocation_rel"], "symbols"),
    *accepted("relocation-rel", ["relocation_rel_of_comment"], boot="symbols"),
    Case(
        "export-duplicate/chain",
        "export-duplicate",
        (
            load("chain_a"),
            load("duplicate_export"),
            load("chain_a_twin"),
            load("chain_b"),
            unload("chain_b"),
            unload("chain_a"),
            load("duplicate_export"),
            load("chain_a"),
            unload("duplicate_export"),
        ),
        "symbols",
    ),
    *refused("export-duplicate", ["export_of_kernel"], "symbols"),
    *refused("sysfs-name", ["name_built_in"], "symbols"),
]
