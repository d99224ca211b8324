# SPDX-License-Identifier: GPL-2.0-only
"""When init_module, finit_module and delete_module of Linux 6.1 refuse or complain, in order.

Each row has at least one recorded case (``cases.py``), or names the place in the kernel's source and why it
cannot be recorded (``UNREACHED``).
"""

from __future__ import annotations

ROWS: dict[str, str] = {
    # both calls
    "permission": "no CAP_SYS_MODULE, modules_disabled or nomodule: EPERM",
    # finit_module
    "finit-flags": "unknown flag bits, before the descriptor is looked at: EINVAL",
    "finit-fd": "descriptor not open, write-only or O_PATH: EBADF",
    "finit-file": "directory, pipe, empty file: EINVAL",
    "finit-written": "the file is open for writing: ETXTBSY",
    "finit-compressed": "MODULE_INIT_COMPRESSED_FILE on a kernel without it: EOPNOTSUPP",
    # init_module
    "init-length": "fewer than 64 bytes: ENOEXEC",
    "init-memory": "absurd length: ENOMEM; unreadable memory: EFAULT",
    # signature
    "signature-bad": "marker, but wrong length field, no trailer or no PKCS#7: EBADMSG",
    "signature-fields": "non-zero algo, hash, signer_len, key_id_len, pad: EBADMSG",
    "signature-mismatch": "the signature does not fit the bytes: EKEYREJECTED",
    "signature-id-type": "id_type is not PKCS#7: as unsigned, with a message",
    "signature-none": "no marker at the very end, or flags 1 or 2: unsigned",
    "signature-enforced": "unsigned under module.sig_enforce=1: EKEYREJECTED",
    "signature-unknown-key": "unknown key: as unsigned; enforced: EKEYREJECTED",
    "signature-unsupported": "unsupported crypto: as unsigned; enforced: EKEYREJECTED",
    "signature-lockdown": "unsigned under lockdown=integrity: EPERM",
    # elf_validity_check
    "elf-length": "shorter than an ELF header: ENOEXEC",
    "elf-header": "magic, e_type, e_machine, e_shentsize: ENOEXEC",
    "elf-table": "section header table outside the file: ENOEXEC",
    "elf-shstrndx": "e_shstrndx 0 or too large: ENOEXEC",
    "elf-shstrtab": "section name table outside, empty or not terminated: ENOEXEC",
    "elf-section-0": "section 0 with a type, size or address: ENOEXEC",
    "elf-symtab-link": "a symbol table with a bad sh_link: ENOEXEC",
    "elf-section-bounds": "a section outside the file: ENOEXEC",
    "elf-section-name": "sh_name of an allocated section outside the name table: ENOEXEC",
    # setup_load_info and the blacklist
    "setup-symtab": "no symbol table: ENOEXEC",
    "setup-this-module": "no allocated .gnu.linkonce.this_module: ENOEXEC",
    "blacklist": "module_blacklist=: EPERM",
    # versions
    "layout-version": "CRC of module_layout wrong or not listed: ENOEXEC",
    "versions-missing": "no __versions, or flag 1: forced, taint F",
    # check_modinfo
    "vermagic": "vermagic differs: ENOEXEC",
    "vermagic-missing": "no vermagic, or flag 2: forced, taint F",
    "modinfo-taints": "out of tree, staging, livepatch, licence, test; retpoline",
    # layout
    "write-exec": "a section with WRITE and EXEC: ENOEXEC",
    "layout-memory": "no memory for core or init: ENOMEM",
    "percpu-memory": "per-CPU area full: ENOMEM",
    # add_unformed_module
    "name-live": "a module of this name is there: EEXIST",
    "name-busy": "a module of this name is going, or its load failed meanwhile: EBUSY",
    "unsigned-taint": "the first unsigned module of the boot: taint E",
    "exports-without-crc": "exports without __kcrctab: forced",
    # simplify_symbols
    "symbol-unknown": "unknown symbol, or a GPL-only one for a proprietary module: ENOENT",
    "symbol-version": "CRC of a symbol wrong or not listed: EINVAL",
    "symbol-provider-going": "the provider is going: ENOENT",
    "symbol-special": "undefined _GLOBAL_OFFSET_TABLE_, COMMON __gnu_lto*, weak: fine",
    "symbol-namespace": "namespace not imported: EINVAL",
    "symbol-provider-coming": "the provider is still coming after 30 s: EBUSY",
    "symbol-common": "SHN_COMMON: ENOEXEC",
    "symbol-index": "section index outside: ENOEXEC",
    "symbol-last-error": "all are reported, the errno is the last one's",
    "symbol-proprietary": "GPL-only and proprietary symbols together, inherited taint",
    # apply_relocations
    "relocation-type": "unknown relocation type: ENOEXEC",
    "relocation-target": "the target is not zero: ENOEXEC",
    "relocation-overflow": "a 32-bit relocation does not fit: ENOEXEC",
    "relocation-rel": "SHT_REL: ENOEXEC",
    # later
    "params-pointer": "the parameter line cannot be read: EFAULT",
    "export-duplicate": "an export that exists: ENOEXEC",
    "parameters": "a value that the parameter's type does not take: EINVAL, ERANGE, ENOSPC",
    "parameters-sysfs": "reading and writing /sys/module/NAME/parameters",
    "sysfs-name": "/sys/module/NAME is there already: EINVAL",
    "init-negative": "init returns -E: E, and the module is gone",
    "init-positive": "init returns a positive number: it loads, with a warning",
    # what is not checked
    "not-checked": "fields that nobody looks at: the module loads",
    "oops": "what is not checked and kills the caller",
    # delete_module
    "delete-permission": "no CAP_SYS_MODULE: EPERM",
    "delete-name": "bad pointer EFAULT; empty, too long, unknown: ENOENT",
    "delete-used": "used by other modules: EAGAIN, even with O_TRUNC",
    "delete-state": "not LIVE: EBUSY",
    "delete-no-exit": "init but no exit: EBUSY; O_TRUNC forces, taint R",
    "delete-held": "reference count not 0: EAGAIN; O_TRUNC forces, taint R",
    "delete-flags": "unknown flag bits and O_NONBLOCK change nothing",
}

# row: kernel source location and why there is no recording
UNREACHED: dict[str, str] = {}
