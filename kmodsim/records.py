# SPDX-License-Identifier: GPL-2.0-only
"""ELF and kernel structures as numpy record types: views of bytes, never copies.

The kernel casts its buffer to ``Elf64_Ehdr *`` and reads; it looks at neither EI_CLASS nor EI_DATA. So
does this
file: little-endian 64-bit records laid over whatever bytes there are (``include/uapi/linux/elf.h``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Records = NDArray[Any]

EHDR = np.dtype([
    ("e_ident", "V16"), ("e_type", "<u2"), ("e_machine", "<u2"), ("e_version", "<u4"), ("e_entry", "<u8"),
    ("e_phoff", "<u8"), ("e_shoff", "<u8"), ("e_flags", "<u4"), ("e_ehsize", "<u2"), ("e_phentsize", "<u2"),
    ("e_phnum", "<u2"), ("e_shentsize", "<u2"), ("e_shnum", "<u2"), ("e_shstrndx", "<u2"),
])  # fmt: skip
SHDR = np.dtype([
    ("sh_name", "<u4"), ("sh_type", "<u4"), ("sh_flags", "<u8"), ("sh_addr", "<u8"), ("sh_offset", "<u8"),
    ("sh_size", "<u8"), ("sh_link", "<u4"), ("sh_info", "<u4"), ("sh_addralign", "<u8"),
    ("sh_entsize", "<u8"),
])  # fmt: skip
SYM = np.dtype([
    ("st_name", "<u4"), ("st_info", "u1"), ("st_other", "u1"), ("st_shndx", "<u2"), ("st_value", "<u8"),
    ("st_size", "<u8"),
])  # fmt: skip
RELA = np.dtype([("r_offset", "<u8"), ("r_type", "<u4"), ("r_sym", "<u4"), ("r_addend", "<i8")])

# include/linux/export.h with CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: three self-relative offsets
KERNEL_SYMBOL = np.dtype([("value_offset", "<i4"), ("name_offset", "<i4"), ("namespace_offset", "<i4")])
# include/linux/moduleparam.h:struct kernel_param
KERNEL_PARAM = np.dtype([
    ("name", "<u8"), ("mod", "<u8"), ("ops", "<u8"), ("perm", "<u2"), ("level", "i1"), ("flags", "u1"),
    ("_pad", "<u4"), ("arg", "<u8"),
])  # fmt: skip
# include/linux/module.h:struct modversion_info (64 bytes: MODULE_NAME_LEN is 64 - sizeof(unsigned long))
MODVERSION = np.dtype([("crc", "<u8"), ("name", "S56")])
# arch/x86/include/asm/extable.h
EXTABLE = np.dtype([("insn", "<i4"), ("fixup", "<i4"), ("data", "<i4")])
# arch/x86/include/asm/orc_types.h: 2 + 2 + 2 bytes beside .orc_unwind_ip's int
ORC_ENTRY = np.dtype([("sp_offset", "<i2"), ("bp_offset", "<i2"), ("bits", "<u2")])
# arch/x86/include/asm/alternative.h, paravirt_types.h; include/linux/jump_label.h, static_call_types.h
ALT_INSTR = np.dtype([
    ("instr_offset", "<i4"), ("repl_offset", "<i4"), ("cpuid", "<u2"), ("instrlen", "u1"),
    ("replacementlen", "u1"),
])  # fmt: skip
PARAVIRT_SITE = np.dtype([("instr", "<u8"), ("type", "u1"), ("len", "u1"), ("_pad", "V6")])
JUMP_ENTRY = np.dtype([("code", "<i4"), ("target", "<i4"), ("key", "<i8")])
STATIC_CALL_SITE = np.dtype([("addr", "<i4"), ("key", "<i4")])
# include/linux/module_signature.h: the trailer before the marker; sig_len is big-endian
MODULE_SIGNATURE = np.dtype([
    ("algo", "u1"), ("hash", "u1"), ("id_type", "u1"), ("signer_len", "u1"), ("key_id_len", "u1"),
    ("pad", "V3"), ("sig_len", ">u4"),
])  # fmt: skip
SIGNATURE_MARKER = b"~Module signature appended~\n"

# sh_type
SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOTE, SHT_NOBITS, SHT_REL = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
)
# sh_flags; SHF_RO_AFTER_INIT and SHF_RELA_LIVEPATCH are the kernel's own
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 0x1, 0x2, 0x4
SHF_RO_AFTER_INIT, SHF_RELA_LIVEPATCH = 0x00200000, 0x00100000
# st_shndx
SHN_UNDEF, SHN_LORESERVE, SHN_LIVEPATCH, SHN_ABS, SHN_COMMON = 0, 0xFF00, 0xFF20, 0xFFF1, 0xFFF2
# st_info
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION, STT_FILE = 0, 1, 2, 3, 4
ET_REL, EM_X86_64 = 1, 62


def view(image: Bytes, offset: int, count: int, dtype: np.dtype[Any]) -> Records:
    """``count`` records of ``dtype`` laid over ``image`` at ``offset``, without copying; fewer where the
    bytes end.

    A write to the view is a write to the image, as with the kernel's pointers.
    """
    if offset < 0 or offset >= len(image) or count <= 0:
        return np.empty(0, dtype)
    count = min(count, (len(image) - offset) // dtype.itemsize)
    return image[offset : offset + count * dtype.itemsize].view(dtype)


def c_string(data: bytes | memoryview | Bytes, offset: int, limit: int = 1 << 16) -> bytes:
    """The NUL-terminated string at ``offset``, at most ``limit`` bytes; empty where there are no bytes."""
    if offset < 0 or offset >= len(data):
        return b""
    piece = bytes(data[offset : offset + limit])
    return piece.split(b"\0", 1)[0]


def text(data: bytes) -> str:
    """Bytes of a name or message as str, printable whatever they are."""
    return data.decode("utf-8", "backslashreplace")
