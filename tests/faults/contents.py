# SPDX-License-Identifier: GPL-2.0-only
"""Cases about what is in the file: signature, ELF headers, versions, modinfo, layout."""

from __future__ import annotations

from .case import (
    Case,
    accepted,
    init,
    load,
    refused,
    unload,
)

SIGNATURE = [
    *accepted("signature-none", ["signed"], "crc7"),
    *refused(
        "signature-bad",
        [
            "signature_garbage",
            "signature_truncated",
            "signature_empty",
            "signature_length_long",
            "signature_length_all",
            "signature_length_short",
            "signature_marker_only",
            "signature_marker_after_short",
        ],
    ),
    *accepted("signature-bad", ["signature_trailing_byte"], "crc7"),
    *accepted("signature-id-type", ["signature_unsigned_with_marker"], "crc7"),
    *refused(
        "signature-fields",
        ["signature_algo", "signature_hash", "signature_signer_len", "signature_key_id_len", "signature_pad"],
    ),
    *refused(
        "signature-mismatch",
        ["signature_edited_body", "signature_edited_header", "signature_edited_signature", "signature_twice"],
    ),
    *accepted("signature-unknown-key", ["signature_own_key_edited"], "crc7"),
    *accepted("signature-id-type", ["signature_id_type_0", "signature_id_type_1"], "crc7"),
    *accepted("signature-none", ["signature_stripped", "signature_marker_moved"], "crc7"),
    *[
        Case(
            f"signature-none/flags-{flags}",
            "signature-none",
            (load("signed", flags=flags), unload("crc7")),
            "forced",
        )
        for flags in (1, 2, 3)
    ],
    *accepted("signature-unknown-key", ["signature_own_key"], "crc7"),
    *accepted("signature-unsupported", ["signature_unsupported"], "crc7"),
    *accepted("signature-enforced", ["signed"], "crc7", "enforce"),
    *refused(
        "signature-enforced",
        ["hello", "signature_stripped", "signature_id_type_0", "signature_edited_body", "text_file", "empty"],
        "enforce",
    ),
    *[
        Case(
            f"signature-enforced/flags-{flags}",
            "signature-enforced",
            (load("signed", flags=flags),),
            "enforce",
        )
        for flags in (1, 2)
    ],
    Case(
        "signature-enforced/init",
        "signature-enforced",
        (init("signed"), init("hello"), unload("crc7")),
        "enforce",
    ),
    Case("signature-unknown-key/enforced", "signature-unknown-key", (load("signature_own_key"),), "enforce"),
    Case(
        "signature-unsupported/enforced", "signature-unsupported", (load("signature_unsupported"),), "enforce"
    ),
    Case("signature-lockdown/hello", "signature-lockdown", (load("hello"), load("hello")), "lockdown"),
    Case("signature-lockdown/text", "signature-lockdown", (load("text_file"),), "lockdown"),
    Case("signature-lockdown/init", "signature-lockdown", (init("hello"),), "lockdown"),
    Case("signature-lockdown/own-key", "signature-lockdown", (load("signature_own_key"),), "lockdown"),
    Case("signature-lockdown/edited", "signature-lockdown", (load("signature_edited_body"),), "lockdown"),
    Case("signature-lockdown/signed", "signature-lockdown", (load("signed"), unload("crc7")), "lockdown"),
]

ELF = [
    *refused("elf-length", ["one_byte", "bytes_63"]),
    *refused(
        "elf-header",
        [
            "bytes_64",
            "text_file",
            "magic",
            "type_exec",
            "type_none",
            "machine_386",
            "machine_arm64",
            "shentsize",
            "shentsize_zero",
        ],
    ),
    *refused(
        "elf-table", ["truncated", "shoff_outside", "shoff_end", "shoff_huge", "shnum_too_many", "shoff_zero"]
    ),
    *refused("elf-shstrndx", ["shstrndx_zero", "shstrndx_end", "shstrndx_xindex", "shnum_zero", "shnum_one"]),
    *refused(
        "elf-shstrtab", ["shstrtab_outside", "shstrtab_overflow", "shstrtab_empty", "shstrtab_not_terminated"]
    ),
    *refused("elf-section-0", ["section0_type", "section0_size", "section0_addr"]),
    *refused("elf-symtab-link", ["symtab_link_zero", "symtab_link_outside"]),
    *refused(
        "elf-section-bounds", ["section_offset", "section_size", "section_wraps", "section_not_alloc_outside"]
    ),
    *accepted("elf-section-bounds", ["nobits_outside"]),
    *refused("elf-section-name", ["section_name_outside"]),
    *accepted("elf-section-name", ["section_name_outside_not_alloc"]),
]

SETUP = [
    *refused("setup-symtab", ["no_symtab"]),
    *refused(
        "setup-this-module", ["no_this_module", "this_module_not_alloc", "no_this_module_and_no_modinfo"]
    ),
    Case(
        "blacklist/hello",
        "blacklist",
        (load("hello"), init("minimal"), load("chain_a"), unload("chain_a")),
        "blacklist",
    ),
    Case("blacklist/other-name", "blacklist", (load("names_differ"), unload("struct_name")), "blacklist"),
    Case("blacklist/after-validity", "blacklist", (load("no_symtab"), load("vermagic_flags")), "blacklist"),
]

VERSIONS = [
    *refused("layout-version", ["layout_crc", "layout_not_listed", "versions_empty"]),
    *[
        Case(f"versions-missing/{file}", "versions-missing", (load(file), unload()), "forced")
        for file in ("no_versions", "versions_not_alloc")
    ],
    Case("versions-missing/flag", "versions-missing", (load("layout_crc", flags=1), unload()), "forced"),
    *refused("vermagic", ["vermagic_flags", "vermagic_no_space", "vermagic_empty", "names_differ_vermagic"]),
    *accepted("vermagic", ["vermagic_release"]),
    Case("vermagic/flag-1", "vermagic", (load("vermagic_release", flags=1),)),
    Case("vermagic/no-versions", "vermagic", (load("vermagic_release_no_versions"),), "forced"),
    Case(
        "vermagic-missing/missing",
        "vermagic-missing",
        (load("vermagic_missing"), unload()),
        "taints/vermagic",
    ),
    Case(
        "vermagic-missing/flag-2", "vermagic-missing", (load("vermagic_flags", flags=2), unload()), "forced"
    ),
    Case(
        "vermagic-missing/flag-3", "vermagic-missing", (load("vermagic_flags", flags=3), unload()), "forced"
    ),
    Case("vermagic-missing/no-modinfo", "vermagic-missing", (load("no_modinfo"), unload()), "taints/modinfo"),
    Case(
        "versions-missing/first",
        "versions-missing",
        (load("no_versions"), load("minimal"), unload(), unload("minimal")),
        "taints/versions",
    ),
    Case(
        "exports-without-crc/first",
        "exports-without-crc",
        (load("no_kcrctab"), load("chain_b"), unload("chain_a")),
        "taints/crc",
    ),
]

TAINTS = [
    Case("modinfo-taints/in-tree", "modinfo-taints", (load("in_tree"), unload()), "taints"),
    Case("modinfo-taints/out-of-tree", "modinfo-taints", (load("hello"), unload()), "taints"),
    Case(
        "modinfo-taints/staging",
        "modinfo-taints",
        (load("tag_staging"), load("staging"), unload("tag_staging"), unload()),
        "taints",
    ),
    Case(
        "modinfo-taints/livepatch",
        "modinfo-taints",
        (load("tag_livepatch"), unload("tag_livepatch")),
        "taints",
    ),
    Case(
        "modinfo-taints/test",
        "modinfo-taints",
        (load("tag_test"), unload("tag_test"), load("tag_test")),
        "taints",
    ),
    Case("modinfo-taints/retpoline", "modinfo-taints", (load("no_retpoline"), unload()), "taints"),
    Case("modinfo-taints/no-license", "modinfo-taints", (load("no_license"), unload()), "taints"),
    Case("modinfo-taints/proprietary", "modinfo-taints", (load("license_proprietary"), unload()), "taints"),
    *accepted("modinfo-taints", ["license_gpl_lower_case", "license_dual_mpl"], boot="taints"),
    Case(
        "modinfo-taints/before-failure",
        "modinfo-taints",
        (load("license_proprietary", "howmany=x"),),
        "taints/failure",
    ),
    Case(
        "not-checked/names-differ",
        "not-checked",
        (load("names_differ"), unload("modinfo_name"), unload("struct_name")),
    ),
    Case("not-checked/names-differ-params", "not-checked", (load("names_differ", "nobody=1 howmany=x"),)),
    Case("not-checked/name-missing", "not-checked", (load("name_missing_in_modinfo"), unload())),
    Case("not-checked/name-slash", "not-checked", (load("name_slash"), unload("a/b"))),
    Case("not-checked/name-55", "not-checked", (load("name_last_fits"), unload("n" * 55))),
]

LAYOUT = [
    *refused("write-exec", ["write_exec", "write_exec_data", "write_exec_not_alloc"]),
    *refused("layout-memory", ["no_memory_core", "no_memory_init"]),
    *refused("percpu-memory", ["percpu_full"]),
    *refused("percpu-memory", ["percpu_beyond_unit"], "taints/percpu"),
    *accepted("percpu-memory", ["percpu_alignment"], "percpu"),
    Case("name-live/hello", "name-live", (load("hello"), load("hello"), init("hello"), unload())),
    Case(
        "name-live/after-version",
        "name-live",
        (load("hello"), load("layout_crc"), load("symbol_crc"), unload()),
    ),
    Case(
        "name-live/name-of-other",
        "name-live",
        (load("chain_a"), load("chain_a_twin"), unload("twin"), unload("chain_a")),
    ),
]

NOT_CHECKED = [
    *accepted(
        "not-checked",
        [
            "ident_32_bit_big_endian",
            "header_fields_ignored",
            "bytes_behind",
            "second_symtab",
            "symtab_entsize",
            "bss_4_gib",
            "alignment_three",
            "sh_addr_ignored",
            "type_unknown",
            "relocation_none",
            "relocation_info_outside",
            "relocation_info_zero",
            "relocation_of_comment",
            "relocation_link_ignored",
        ],
    ),
    *[
        Case(
            f"oops/{file}",
            "oops",
            (load(file, timeout=5000), unload("minimal", timeout=3000)),
            f"oops/{file}",
        )
        for file in (
            "this_module_size_0",
            "this_module_size_64",
            "name_not_terminated",
            "name_empty",
            "relocation_offset_outside",
            "relocation_symbol_outside",
            "symbol_name_outside",
        )
    ],
]
