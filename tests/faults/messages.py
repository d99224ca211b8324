# SPDX-License-Identifier: GPL-2.0-only
"""What Linux 6.1 writes into its log about a module: row of ``rows.py`` -> printf's format -> who says it.

``test_errnos.py`` holds that every recorded line is one of these, and that each was recorded in its row.
"""

from __future__ import annotations

import re
from functools import cache

MAIN, PARAMS = "kernel/module/main.c", "kernel/params.c"
CHECK, RELOCATE = f"{MAIN}:elf_validity_check", "arch/x86/kernel/module.c:__apply_relocate_add"
PKCS7 = "crypto/asymmetric_keys/pkcs7_parser.c"

MESSAGES: dict[str, dict[str, str]] = {
    "signature-fields": {
        "%s: PKCS#7 signature info has unexpected non-zero params": "kernel/module_signature.c:mod_check_sig",
    },
    "signature-id-type": {
        "%s: not signed with expected PKCS#7 message": "kernel/module_signature.c:mod_check_sig",
    },
    "signature-enforced": {"Loading of %s is rejected": "kernel/module/signing.c:module_sig_check"},
    "signature-unsupported": {
        "PKCS7: Unknown OID: [%x] %s": f"{PKCS7}:pkcs7_note_OID",
        "Unsupported digest algo: %u": f"{PKCS7}:pkcs7_sig_note_digest_algo",
    },
    "signature-lockdown": {
        "Lockdown: %s: %s is restricted; see man kernel_lockdown.7":
            "security/lockdown/lockdown.c:lockdown_is_locked_down",
    },
    "elf-length": {"Invalid ELF header len %u": CHECK},
    "elf-header": {
        "Invalid ELF header magic: != %s": CHECK,
        "Invalid ELF header type: %u != %u": CHECK,
        "Invalid architecture in ELF header: %u": CHECK,
        "Invalid ELF section header size": CHECK,
    },
    "elf-table": {"Invalid ELF section header overflow": CHECK},
    "elf-shstrndx": {"Invalid ELF section name index: %d || e_shstrndx (%d) >= e_shnum (%d)": CHECK},
    "elf-shstrtab": {
        "Invalid ELF section hdr(type %u)": CHECK,
        "empty section name table": CHECK,
        "ELF Spec violation: section name table isn't null terminated": CHECK,
    },
    "elf-section-0": {"ELF Spec violation: section 0 type(%d)!=SH_NULL or non-zero len or addr": CHECK},
    "elf-symtab-link": {
        "Invalid ELF sh_link!=SHN_UNDEF(%d) or (sh_link(%d) >= hdr->e_shnum(%d)": CHECK,
    },
    "elf-section-bounds": {"Invalid ELF section in module (section %u type %u)": CHECK},
    "elf-section-name": {"Invalid ELF section name in module (section %u type %u)": CHECK},
    "setup-symtab": {"%s: module has no symbols (stripped?)": f"{MAIN}:setup_load_info"},
    "setup-this-module": {"%s: No module found in object": f"{MAIN}:setup_load_info"},
    "blacklist": {"Module %s is blacklisted": f"{MAIN}:load_module"},
    "layout-version": {
        "%s: disagrees about version of symbol %s": "kernel/module/version.c:check_version",
        "%s: no symbol version for %s": "kernel/module/version.c:check_version",
    },
    "versions-missing": {
        "%s: %s: kernel tainted.": f"{MAIN}:try_to_force_load",
        "Disabling lock debugging due to kernel taint": "kernel/panic.c:add_taint",
    },
    "vermagic": {"%s: version magic '%s' should be '%s'": f"{MAIN}:check_modinfo"},
    "modinfo-taints": {
        "%s: loading out-of-tree module taints kernel.": f"{MAIN}:check_modinfo",
        "%s: module is from the staging directory, the quality is unknown, you have been warned.":
            f"{MAIN}:check_modinfo",
        "%s: loading test module taints kernel.": f"{MAIN}:check_modinfo",
        "%s: loading module not compiled with retpoline compiler.": f"{MAIN}:check_modinfo_retpoline",
        "Spectre V2 : System may be vulnerable to spectre v2":
            "arch/x86/kernel/cpu/bugs.c:retpoline_module_ok",
        "%s: tainting kernel with TAINT_LIVEPATCH": f"{MAIN}:check_modinfo_livepatch",
        "%s: module license '%s' taints kernel.": f"{MAIN}:set_license",
    },
    "write-exec": {
        "%s: section %s (index %d) has invalid WRITE|EXEC flags":
            "kernel/module/strict_rwx.c:module_enforce_rwx_sections",
    },
    "percpu-memory": {
        "%s: per-cpu alignment %u > %u": f"{MAIN}:percpu_modalloc",
        "percpu: allocation failed, size=%u align=%u atomic=%d, %s": "mm/percpu.c:pcpu_alloc",
        "%s: Could not allocate %u bytes percpu data": f"{MAIN}:percpu_modalloc",
    },
    "unsigned-taint": {
        "%s: module verification failed: signature and/or required key missing - tainting kernel":
            f"{MAIN}:load_module",
    },
    "symbol-unknown": {"%s: Unknown symbol %s (err %d)": f"{MAIN}:simplify_symbols"},
    "symbol-namespace": {
        "%s: module uses symbol (%s) from namespace %s, but does not import it.":
            f"{MAIN}:verify_namespace_is_imported",
    },
    "symbol-provider-coming": {
        "%s: gave up waiting for init of module %s.": f"{MAIN}:resolve_symbol_wait",
    },
    "symbol-common": {"%s: please compile with -fno-common": f"{MAIN}:simplify_symbols"},
    "symbol-index": {
        "%s: Symbol %s has an invalid section index %d (max %d)": f"{MAIN}:simplify_symbols",
    },
    "symbol-proprietary": {
        "%s: module uses symbols %s from proprietary module %s, inheriting taint.": f"{MAIN}:inherit_taint",
    },
    "export-duplicate": {
        "%s: exports duplicate symbol %s (owned by %s)": f"{MAIN}:verify_exported_symbols",
    },
    "relocation-type": {"module: %s: Unknown rela relocation: %u": RELOCATE},
    "relocation-target": {
        "module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type %d, "
        "loc %s, val %x": RELOCATE,
    },
    "relocation-overflow": {
        "module: overflow in relocation type %d val %x": RELOCATE,
        "module: `%s' likely not compiled with -mcmodel=kernel": RELOCATE,
    },
    "relocation-rel": {
        "module %s: REL relocation unsupported": "include/linux/moduleloader.h:apply_relocate",
    },
    "parameters": {
        "%s: `%s' invalid for parameter `%s'": f"{PARAMS}:parse_args",
        "%s: `%s' too large for parameter `%s'": f"{PARAMS}:parse_args",
        "%s: unknown parameter '%s' ignored": f"{MAIN}:unknown_module_param_cb",
        "%s: parameters '%s' after `--' ignored": f"{MAIN}:load_module",
        "%s: string parameter too long": f"{PARAMS}:param_set_charp",
        "%s: string doesn't fit in %u chars.": f"{PARAMS}:param_set_copystring",
        "%s: can only take %d arguments": f"{PARAMS}:param_array",
        "Setting dangerous option %s - tainting kernel": f"{PARAMS}:param_check_unsafe",
    },
    "sysfs-name": {"%s: module is already loaded": "kernel/module/sysfs.c:mod_sysfs_init"},
    "init-positive": {
        "do_init_module: '%s'->init suspiciously returned %d, it should follow 0/-E convention\n"
        "do_init_module: loading module anyway...": f"{MAIN}:do_init_module",
    },
}  # fmt: skip

SOURCES: dict[str, str] = {format: source for row in MESSAGES.values() for format, source in row.items()}
_WORDS = {"%s": ".*", "%d": r"-?\d+", "%u": r"\d+", "%x": "[0-9a-f]+"}
_ARGUMENT = re.compile("(%[sdux])")


@cache
def _pattern(message: str) -> re.Pattern[str]:
    parts = _ARGUMENT.split(message)
    return re.compile("".join(_WORDS.get(part, re.escape(part)) for part in parts), re.DOTALL)


def message_of(line: str) -> str | None:
    """The format that a line of the log was made with: of those that fit, the one with the most own words."""
    fitting = [message for message in SOURCES if _pattern(message).fullmatch(line)]
    return max(fitting, key=lambda message: len(_ARGUMENT.sub("", message)), default=None)
