# SPDX-License-Identifier: GPL-2.0-only
"""The recorded calls: which row of the checks they belong to, in which boot they run, and the operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Operation = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """``operations`` follow one another; ``boot`` names an entry of BOOTS. Cases of one boot run in order."""

    id: str
    row: str
    operations: tuple[Operation, ...]
    boot: str = "plain"


# name: kernel command line. Names with a "/" boot the same way, each for itself: what the kernel says once in its
# life, and what kills it, needs a boot of its own.
BOOTS: dict[str, str] = {
    "plain": "", "parameters": "", "symbols": "", "taints": "", "states": "", "proprietary": "", "unload": "",
    "nomodule": "nomodule", "disabled": "", "blacklist": "module_blacklist=minimal,hello", "enforce":
    "module.sig_enforce=1", "lockdown": "lockdown=integrity", "forced": "",
}


def boot_cmdline(boot: str) -> str:
    return BOOTS.get(boot, "")


def load(file: str, params: str | None = None, **more: Any) -> Operation:
    return {"op": "finit", "file": file, "params": params, **more}


def init(file: str, params: str | None = None, **more: Any) -> Operation:
    return {"op": "init", "file": file, "params": params, **more}


def unload(name: str = "hello", **more: Any) -> Operation:
    return {"op": "delete", "name": name, **more}


def read(path: str) -> Operation:
    return {"op": "read", "path": path}


def write(path: str, data: str) -> Operation:
    return {"op": "write", "path": path, "data": data}


def parameter(name: str, module: str = "hello") -> str:
    return f"/sys/module/{module}/parameters/{name}"


def refused(row: str, files: Iterable[str], boot: str = "plain", **more: Any) -> list[Case]:
    """One case for each file: a load that is expected to fail (if not, the unload shows it)."""
    return [Case(f"{row}/{file}", row, (load(file, **more),), boot) for file in files]


def accepted(row: str, files: Iterable[str], name: str = "hello", boot: str = "plain", **more: Any) -> list[Case]:
    """One case for each file: load and unload."""
    return [Case(f"{row}/{file}", row, (load(file, **more), unload(name)), boot) for file in files]


SYS_MODULE = 1 << 16  # CAP_SYS_MODULE as a bit of a capability set
O_NONBLOCK, O_TRUNC = 0o4000, 0o1000
KERNEL_ADDRESS, NOWHERE, PAGE = 0xFFFFFFFF81000000, 0xDEAD000, 4096
IMAGE_AT, PARAMS_AT, NAME_AT = 0x10000000, 0x30000000, 0x38000000  # where the probe puts things; see probe.c

FIRST = [Case("unsigned-taint/first", "unsigned-taint", (load("hello"), unload())),
         Case("unsigned-taint/second", "unsigned-taint", (load("hello"), unload()))]

PERMISSION = [
    Case("permission/uid", "permission", (load("hello", uid=1000), init("hello", uid=1000), unload(uid=1000))),
    Case("permission/no-capabilities", "permission", (load("hello", caps=0), init("hello", caps=0))),
    Case("permission/before-flags", "permission", (load("hello", caps=0, flags=64), load("hello", caps=0, open="closed"))),
    Case("permission/capability-alone", "permission", (load("hello", uid=1000, caps=SYS_MODULE), unload(uid=1000,
                                                       caps=SYS_MODULE))),
    Case("permission/nomodule", "permission", (load("hello"), init("hello"), unload()), "nomodule"),
    Case("permission/modules-disabled", "permission", (
        load("minimal"), write("/proc/sys/kernel/modules_disabled", "1"), load("hello"), init("hello"),
        unload("minimal"), write("/proc/sys/kernel/modules_disabled", "0"), read("/proc/sys/kernel/modules_disabled"),
    ), "disabled"),
]

FINIT = [
    *[Case(f"finit-flags/{flags:#x}", "finit-flags", (load("hello", flags=flags),)) for flags in (8, 0x40, 0xFFFFFFFF)],
    Case("finit-flags/closed", "finit-flags", (load("hello", flags=8, open="closed"),)),
    *[Case(f"finit-fd/{how}", "finit-fd", (load("hello", open=how),)) for how in ("closed", "wronly", "path")],
    *[Case(f"finit-file/{how}", "finit-file", (load("hello", open=how),)) for how in ("directory", "pipe")],
    Case("finit-file/empty", "finit-file", (load("empty"),)),
    *[Case(f"finit-written/{how}", "finit-written", (load("hello", open=how),)) for how in ("written", "rdwr")],
    *[Case(f"finit-compressed/{flags}", "finit-compressed", (load("hello", flags=flags),)) for flags in (4, 5, 6, 7)],
    Case("finit-compressed/closed", "finit-compressed", (load("hello", flags=4, open="closed"),)),
]

INIT = [
    *[Case(f"init-length/{n}", "init-length", (init("hello", length=n),)) for n in (0, 1, 63)],
    Case("init-length/64", "init-length", (init("hello", length=64),)),
    Case("init-length/all", "init-length", (init("hello"), unload())),
    Case("init-length/null-63", "init-length", (init("hello", image_at=0, length=63),)),
    *[Case(f"init-memory/length-{n:#x}", "init-memory", (init("hello", length=n),)) for n in (1 << 41, 1 << 62, (1 << 64) - 1)],
    Case("init-memory/beyond", "init-memory", (init("hello", length=1 << 20),)),
    Case("init-memory/null", "init-memory", (init("hello", image_at=0),)),
    Case("init-memory/nowhere", "init-memory", (init("hello", image_at=NOWHERE),)),
    Case("init-memory/kernel", "init-memory", (init("hello", image_at=KERNEL_ADDRESS),)),
    Case("init-memory/first-page", "init-memory", (init("hello", unmap=f"{IMAGE_AT:#x}:{PAGE}"),)),
    Case("init-memory/last-page", "init-memory", (init("hello", unmap=f"{IMAGE_AT + 3 * PAGE:#x}:{PAGE}"),)),
]

SIGNATURE = [
    *accepted("signature-none", ["signed"], "crc7"),
    *refused("signature-bad", [
        "signature_garbage", "signature_truncated", "signature_empty", "signature_length_long", "signature_length_all",
        "signature_length_short", "signature_marker_only", "signature_marker_after_short"]),
    *accepted("signature-bad", ["signature_trailing_byte"], "crc7"),
    *accepted("signature-id-type", ["signature_unsigned_with_marker"], "crc7"),
    *refused("signature-fields", ["signature_algo", "signature_hash", "signature_signer_len", "signature_key_id_len",
                                  "signature_pad"]),
    *refused("signature-mismatch", ["signature_edited_body", "signature_edited_header", "signature_edited_signature",
                                    "signature_twice"]),
    *accepted("signature-unknown-key", ["signature_own_key_edited"], "crc7"),
    *accepted("signature-id-type", ["signature_id_type_0", "signature_id_type_1"], "crc7"),
    *accepted("signature-none", ["signature_stripped", "signature_marker_moved"], "crc7"),
    *[Case(f"signature-none/flags-{flags}", "signature-none", (load("signed", flags=flags), unload("crc7")), "forced")
      for flags in (1, 2, 3)],
    *accepted("signature-unknown-key", ["signature_own_key"], "crc7"),
    *accepted("signature-unsupported", ["signature_unsupported"], "crc7"),
    *accepted("signature-enforced", ["signed"], "crc7", "enforce"),
    *refused("signature-enforced", ["hello", "signature_stripped", "signature_id_type_0", "signature_edited_body",
                                    "text_file", "empty"], "enforce"),
    *[Case(f"signature-enforced/flags-{flags}", "signature-enforced", (load("signed", flags=flags),), "enforce")
      for flags in (1, 2)],
    Case("signature-enforced/init", "signature-enforced", (init("signed"), init("hello"), unload("crc7")), "enforce"),
    Case("signature-unknown-key/enforced", "signature-unknown-key", (load("signature_own_key"),), "enforce"),
    Case("signature-unsupported/enforced", "signature-unsupported", (load("signature_unsupported"),), "enforce"),
    Case("signature-lockdown/hello", "signature-lockdown", (load("hello"), load("hello")), "lockdown"),
    Case("signature-lockdown/text", "signature-lockdown", (load("text_file"),), "lockdown"),
    Case("signature-lockdown/init", "signature-lockdown", (init("hello"),), "lockdown"),
    Case("signature-lockdown/own-key", "signature-lockdown", (load("signature_own_key"),), "lockdown"),
    Case("signature-lockdown/edited", "signature-lockdown", (load("signature_edited_body"),), "lockdown"),
    Case("signature-lockdown/signed", "signature-lockdown", (load("signed"), unload("crc7")), "lockdown"),
]

ELF = [
    *refused("elf-length", ["one_byte", "bytes_63"]),
    *refused("elf-header", ["bytes_64", "text_file", "magic", "type_exec", "type_none", "machine_386", "machine_arm64",
                            "shentsize", "shentsize_zero"]),
    *refused("elf-table", ["truncated", "shoff_outside", "shoff_end", "shoff_huge", "shnum_too_many", "shoff_zero"]),
    *refused("elf-shstrndx", ["shstrndx_zero", "shstrndx_end", "shstrndx_xindex", "shnum_zero", "shnum_one"]),
    *refused("elf-shstrtab", ["shstrtab_outside", "shstrtab_overflow", "shstrtab_empty", "shstrtab_not_terminated"]),
    *refused("elf-section-0", ["section0_type", "section0_size", "section0_addr"]),
    *refused("elf-symtab-link", ["symtab_link_zero", "symtab_link_outside"]),
    *refused("elf-section-bounds", ["section_offset", "section_size", "section_wraps", "section_not_alloc_outside"]),
    *accepted("elf-section-bounds", ["nobits_outside"]),
    *refused("elf-section-name", ["section_name_outside"]),
    *accepted("elf-section-name", ["section_name_outside_not_alloc"]),
]

SETUP = [
    *refused("setup-symtab", ["no_symtab"]),
    *refused("setup-this-module", ["no_this_module", "this_module_not_alloc", "no_this_module_and_no_modinfo"]),
    Case("blacklist/hello", "blacklist", (load("hello"), init("minimal"), load("chain_a"), unload("chain_a")), "blacklist"),
    Case("blacklist/other-name", "blacklist", (load("names_differ"), unload("struct_name")), "blacklist"),
    Case("blacklist/after-validity", "blacklist", (load("no_symtab"), load("vermagic_flags")), "blacklist"),
]

VERSIONS = [
    *refused("layout-version", ["layout_crc", "layout_not_listed", "versions_empty"]),
    *[Case(f"versions-missing/{file}", "versions-missing", (load(file), unload()), "forced")
      for file in ("no_versions", "versions_not_alloc")],
    Case("versions-missing/flag", "versions-missing", (load("layout_crc", flags=1), unload()), "forced"),
    *refused("vermagic", ["vermagic_flags", "vermagic_no_space", "vermagic_empty", "names_differ_vermagic"]),
    *accepted("vermagic", ["vermagic_release"]),
    Case("vermagic/flag-1", "vermagic", (load("vermagic_release", flags=1),)),
    Case("vermagic/no-versions", "vermagic", (load("vermagic_release_no_versions"),), "forced"),
    Case("vermagic-missing/missing", "vermagic-missing", (load("vermagic_missing"), unload()), "taints/vermagic"),
    Case("vermagic-missing/flag-2", "vermagic-missing", (load("vermagic_flags", flags=2), unload()), "forced"),
    Case("vermagic-missing/flag-3", "vermagic-missing", (load("vermagic_flags", flags=3), unload()), "forced"),
    Case("vermagic-missing/no-modinfo", "vermagic-missing", (load("no_modinfo"), unload()), "taints/modinfo"),
    Case("versions-missing/first", "versions-missing", (load("no_versions"), load("minimal"), unload(), unload("minimal")),
         "taints/versions"),
    Case("exports-without-crc/first", "exports-without-crc", (load("no_kcrctab"), load("chain_b"), unload("chain_a")),
         "taints/crc"),
]

TAINTS = [
    Case("modinfo-taints/in-tree", "modinfo-taints", (load("in_tree"), unload()), "taints"),
    Case("modinfo-taints/out-of-tree", "modinfo-taints", (load("hello"), unload()), "taints"),
    Case("modinfo-taints/staging", "modinfo-taints", (load("tag_staging"), load("staging"), unload("tag_staging"),
                                                      unload()), "taints"),
    Case("modinfo-taints/livepatch", "modinfo-taints", (load("tag_livepatch"), unload("tag_livepatch")), "taints"),
    Case("modinfo-taints/test", "modinfo-taints", (load("tag_test"), unload("tag_test"), load("tag_test")), "taints"),
    Case("modinfo-taints/retpoline", "modinfo-taints", (load("no_retpoline"), unload()), "taints"),
    Case("modinfo-taints/no-license", "modinfo-taints", (load("no_license"), unload()), "taints"),
    Case("modinfo-taints/proprietary", "modinfo-taints", (load("license_proprietary"), unload()), "taints"),
    *accepted("modinfo-taints", ["license_gpl_lower_case", "license_dual_mpl"], boot="taints"),
    Case("modinfo-taints/before-failure", "modinfo-taints", (load("license_proprietary", "howmany=x"),),
         "taints/failure"),
    Case("not-checked/names-differ", "not-checked", (load("names_differ"), unload("modinfo_name"), unload("struct_name"))),
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
    Case("name-live/after-version", "name-live", (load("hello"), load("layout_crc"), load("symbol_crc"), unload())),
    Case("name-live/name-of-other", "name-live", (load("chain_a"), load("chain_a_twin"), unload("twin"), unload("chain_a"))),
]

SYMBOLS = [
    *refused("symbol-unknown", ["missing_symbol", "chain_b", "chain_c", "proprietary_gpl"], "symbols"),
    *refused("symbol-unknown", ["unknown_empty_name", "unknown_local"], "symbols"),
    *refused("symbol-version", ["symbol_crc", "symbol_not_listed"], "symbols"),
    *refused("symbol-last-error", ["symbols_crc_two", "unknown_two", "unknown_then_crc"], "symbols"),
    *accepted("symbol-special", ["weak_undefined", "got", "common_lto", "absolute", "section_flags_livepatch"],
              boot="symbols"),
    Case("symbol-special/weak_symbol", "symbol-special", (
        load("weak_symbol"), load("no_init"), unload("no_init"), unload("weak_symbol"), load("no_init"),
        load("weak_symbol"), unload("no_init"), unload("weak_symbol"), unload("no_init")), "symbols"),
    Case("symbol-namespace/thief", "symbol-namespace", (
        load("namespace_thief"), load("namespace_provider"), load("namespace_thief"), load("namespace_user"),
        unload("namespace_provider"), unload("namespace_user"), unload("namespace_provider")), "symbols"),
    *refused("symbol-common", ["common"], "symbols"),
    *refused("symbol-index", ["section_index", "section_index_end", "section_index_xindex"], "symbols"),
    Case("symbol-unknown/version-of-provider", "symbol-version", (
        load("gpl_only"), load("gpl_crc"), load("gpl_user"), unload("gpl_only"), unload("gpl_user"),
        unload("gpl_only")), "symbols"),
    Case("symbol-proprietary/bridge", "symbol-proprietary", (
        load("proprietary"), load("gpl_only"), load("proprietary_bridge"), load("proprietary_heir"),
        unload("proprietary"), unload("proprietary_heir"), unload("proprietary"), unload("gpl_only")), "proprietary"),
    *refused("relocation-type", ["relocation_unknown", "relocation_gotpcrel", "relocation_16"], "symbols"),
    *refused("relocation-target", ["relocation_target", "relocation_target_64"], "symbols"),
    *refused("relocation-overflow", ["relocation_32_overflow", "relocation_32s_overflow"], "symbols"),
    *accepted("relocation-overflow", ["relocation_pc32_overflow"], boot="symbols"),
    *refused("relocation-rel", ["relocation_rel"], "symbols"),
    *accepted("relocation-rel", ["relocation_rel_of_comment"], boot="symbols"),
    Case("export-duplicate/chain", "export-duplicate", (
        load("chain_a"), load("duplicate_export"), load("chain_a_twin"), load("chain_b"), unload("chain_b"),
        unload("chain_a"), load("duplicate_export"), load("chain_a"), unload("duplicate_export")), "symbols"),
    *refused("export-duplicate", ["export_of_kernel"], "symbols"),
    *refused("sysfs-name", ["name_built_in"], "symbols"),
]

LATE = [
    *[Case(f"params-pointer/{name}", "params-pointer", (load("hello", params_at=at), init("hello", params_at=at)))
      for name, at in (("null", 0), ("nowhere", NOWHERE), ("kernel", KERNEL_ADDRESS))],
    Case("params-pointer/runs-off", "params-pointer", (
        load("hello", "whom=" + "x" * 4091, unmap=f"{PARAMS_AT + PAGE:#x}:{PAGE}"),)),
    *[Case(f"init-negative/{number}", "init-negative", (load("fail_init", f"error=-{number}"),))
      for number in (1, 2, 12, 16, 19, 22, 517, 4095)],
    Case("init-negative/default", "init-negative", (load("fail_init"), load("fail_init", "error=0"), unload("fail_init"))),
    Case("init-negative/beyond", "init-negative", (load("fail_init", "error=-4096"),)),
    Case("init-positive/5", "init-positive", (load("fail_init", "error=5"), unload("fail_init"))),
]

NOT_CHECKED = [
    *accepted("not-checked", [
        "ident_32_bit_big_endian", "header_fields_ignored", "bytes_behind", "second_symtab", "symtab_entsize",
        "alignment_three", "sh_addr_ignored", "type_unknown", "relocation_none", "relocation_info_outside",
        "relocation_info_zero", "relocation_of_comment", "relocation_link_ignored"]),
    *[Case(f"oops/{file}", "oops", (load(file, timeout=5000), unload("minimal", timeout=3000)), f"oops/{file}") for file in (
        "this_module_size_0", "this_module_size_64", "name_not_terminated", "name_empty", "relocation_offset_outside",
        "relocation_symbol_outside", "symbol_name_outside")],
]

STATES = [
    Case("delete-state/init-oops", "delete-state", (
        load("init_oops", timeout=5000), unload(), unload(flags=O_TRUNC), read("/sys/module/hello/initstate"),
        read("/sys/module/hello/refcnt")), "states/oops"),
    Case("delete-state/coming", "delete-state", (
        load("slow", background=1, until="hello"), unload(), read("/sys/module/hello/initstate"),
        read("/sys/module/hello/refcnt"), read("/sys/module/hello/initsize"), unload(flags=O_TRUNC),
        load("minimal"), unload("minimal"), {"op": "join", "background": 1}), "states"),
    Case("delete-state/going", "delete-state", (
        unload(background=1, until="hello"), unload(), read("/sys/module/hello/initstate"),
        read("/sys/module/hello/refcnt"), unload(flags=O_TRUNC), {"op": "join", "background": 1}), "states"),
    Case("delete-state/failing", "delete-state", (
        load("slow_fail_init", background=1, until="fail_init"), unload("fail_init"), {"op": "join", "background": 1}), "states"),
    Case("name-busy/going", "name-busy", (
        load("slow"), unload(background=1, until="hello"), load("hello"), {"op": "join", "background": 1}), "states"),
    Case("symbol-provider-coming/chain", "symbol-provider-coming", (
        load("very_slow_chain_a", background=1, until="chain_a"), load("chain_b", timeout=60000),
        {"op": "join", "background": 1, "timeout": 60000}), "states/coming"),
    Case("symbol-provider-going/chain", "symbol-provider-going", (
        load("slow_chain_a"), unload("chain_a", background=1, until="chain_a"), load("chain_b"),
        {"op": "join", "background": 1}), "states"),
]

UNLOAD = [
    Case("delete-permission/uid", "delete-permission", (load("hello"), unload(uid=1000), unload(caps=0),
                                                        unload("nobody", caps=0), unload()), "unload"),
    Case("delete-name/bad", "delete-name", tuple(
        unload("hello", name_at=at) for at in (0, NOWHERE, KERNEL_ADDRESS)), "unload"),
    Case("delete-name/unknown", "delete-name", (unload(""), unload("nobody"), unload("n" * 55), unload("n" * 56),
                                                unload("n" * 300), unload("printk"), unload("hello ")), "unload"),
    Case("delete-name/runs-off", "delete-name", (
        unload("hello", name_at=NAME_AT + PAGE - 3, unmap=f"{NAME_AT + PAGE:#x}:{PAGE}"),
        unload("", name_at=NAME_AT + PAGE - 1, unmap=f"{NAME_AT + PAGE:#x}:{PAGE}")), "unload"),
    Case("delete-name/dash", "delete-name", (load("chain_a"), unload("chain-a"), unload("chain_a")), "unload"),
    Case("delete-used/chain", "delete-used", (
        load("chain_a"), load("chain_b"), load("chain_c"), unload("chain_a"), unload("chain_b"),
        unload("chain_a", flags=O_TRUNC | O_NONBLOCK), unload("chain_c"), unload("chain_a"), unload("chain_b"),
        unload("chain_a")), "unload"),
    Case("delete-flags/any", "delete-flags", tuple(
        step for flags in (0, O_NONBLOCK, 0xFFFFFFFF & ~O_TRUNC) for step in (load("hello"), unload(flags=flags))), "unload"),
    Case("delete-held/device", "delete-held", (
        load("chardev"), {"op": "hold", "path": "/dev/chardev", "slot": 1}, unload("chardev"), unload("chardev", flags=0),
        read("/sys/module/chardev/refcnt"), {"op": "hold", "path": "/dev/chardev", "slot": 2}, unload("chardev"),
        {"op": "release", "slot": 1}, unload("chardev"), {"op": "release", "slot": 2}, unload("chardev")), "unload"),
    Case("delete-flags/truncate-unused", "delete-flags", (load("hello"), unload(flags=O_TRUNC | O_NONBLOCK)), "unload"),
    Case("delete-no-exit/no_init", "delete-no-exit", (load("no_init"), unload("no_init")), "unload"),
    Case("delete-no-exit/no_exit", "delete-no-exit", (
        load("no_exit"), unload("no_exit"), unload("no_exit", flags=0), unload("no_exit", flags=O_TRUNC)), "unload"),
    Case("delete-held/forced", "delete-held", (
        load("chardev"), {"op": "hold", "path": "/dev/chardev", "slot": 3}, unload("chardev"),
        unload("chardev", flags=O_TRUNC)), "unload"),
]


def all_cases() -> list[Case]:
    """Every case; ids are unique."""
    from . import parameters  # it builds on the helpers above

    return [*FIRST, *PERMISSION, *FINIT, *INIT, *SIGNATURE, *ELF, *SETUP, *VERSIONS, *TAINTS, *LAYOUT, *SYMBOLS, *LATE,
            *NOT_CHECKED, *STATES, *UNLOAD, *parameters.CASES]
