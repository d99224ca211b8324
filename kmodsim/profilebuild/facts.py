# SPDX-License-Identifier: GPL-2.0-only
"""The small facts of a kernel, each taken from where the kernel itself has it. All results are plain data."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

from kmodsim.decompress import decompress
from kmodsim.profilebuild.boot import BuildError
from kmodsim.profilebuild.btf import Btf
from kmodsim.profilebuild.guest import Symbols
from kmodsim.profilebuild.vmlinux import Vmlinux
from kmodsim.profiles.rules import RULES

PAGE_SIZE = 4096
# arch/x86/include/asm/page_64_types.h, pgtable_64_types.h: the module area follows the kernel image
START_KERNEL_MAP, MODULES_END = 0xFFFFFFFF80000000, 0xFFFFFFFFFF000000

# the options that the loader, its patching, or what runs afterwards hang on
CONFIG = re.compile(
    r"MODULE|MODVERSIONS|KALLSYMS|SMP$|NR_CPUS$|HZ$|PREEMPT|X86_64$|RETPOLINE|RETHUNK|MITIGATION|CALL_DEPTH|PARAVIRT"
    r"|STRICT_|RANDOMIZE_BASE|RANDSTRUCT|UNWINDER|JUMP_LABEL|HAVE_STATIC_CALL|DYNAMIC_FTRACE|FTRACE$|LIVEPATCH"
    r"|KPROBES$|SECURITY_LOCKDOWN|LOCK_DOWN|X86_KERNEL_IBT|CFI_CLANG|FUNCTION_ERROR_INJECTION|PRINTK|DYNAMIC_DEBUG"
    r"|GENERIC_BUG|SYSFS$|TREE_SRCU|CONSTRUCTORS|TRACEPOINTS|EVENT_TRACING|DEBUG_INFO_BTF|BPF_EVENTS|BPF_JIT|KASAN"
    r"|PERCPU|SECONDARY_TRUSTED|SYSTEM_TRUSTED|SYSTEM_REVOCATION|TRIM_UNUSED|LOCALVERSION|CC_VERSION_TEXT"
    r"|KERNEL_XZ|CRYPTO_ECDSA$|STACK_VALIDATION|STACKPROTECTOR|GCC_PLUGIN|LTO_|UBSAN|TEST_LIVEPATCH|BASE_SMALL"
)


def config(path: Path) -> dict[str, str]:
    """CONFIG_X -> value, without quotes; those matching CONFIG."""
    pairs = re.findall(r"^CONFIG_(\w+)=(.*)$", path.read_text(), re.MULTILINE)
    return {f"CONFIG_{name}": value.strip('"') for name, value in sorted(pairs) if CONFIG.match(name)}


def rules(release: str) -> str:
    """The newest rules this package has that are not newer than the kernel (``profiles/rules``)."""
    mine = _version(release)
    known = [name for name in sorted(RULES, key=_version) if _version(name) <= mine]
    return known[-1] if known else min(RULES, key=_version)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


def module_area(options: dict[str, str]) -> tuple[int, int]:
    """MODULES_VADDR, MODULES_END: the kernel image has 1 GiB with RANDOMIZE_BASE, else 512 MiB."""
    size = (1 if options.get("CONFIG_RANDOMIZE_BASE") == "y" else 0.5) * (1 << 30)
    return START_KERNEL_MAP + int(size), MODULES_END


def vermagic(modules: Path, image: Vmlinux) -> str:
    """From the .modinfo of one of the distribution's modules; the image must hold the same text."""
    for path in sorted(modules.rglob("*.ko*")):
        found = re.search(rb"\0vermagic=([^\0]+)\0", decompress(path.read_bytes(), 1 << 28))
        if found:
            if found[1] + b"\0" not in image.image:
                raise BuildError(f"{path.name} was not built for this kernel: vermagic {found[1].decode()!r}")
            return found[1].decode()
    raise BuildError(f"no module with a vermagic below {modules}")


def keyring(image: Vmlinux, symbols: Symbols) -> list[bytes]:
    """The DER certificates between system_certificate_list and its size (certs/system_certificates.S)."""
    start = symbols.address("system_certificate_list")
    (length,) = struct.unpack("<Q", image.read(symbols.address("system_certificate_list_size"), 8))
    data, certificates = image.read(start, length), []
    while data[:2] == b"\x30\x82":  # a SEQUENCE with a two-byte length, as certs/system_keyring.c expects it
        size = int.from_bytes(data[2:4], "big") + 4
        certificates.append(data[:size])
        data = data[size:]
    if any(data) or not certificates:
        raise BuildError("the built-in certificate list is not a row of DER certificates")
    return certificates


def percpu_reserved(memory: dict[str, bytes], btf: Btf) -> tuple[int, int]:
    """pcpu_reserved_chunk's range, as offsets in the per-CPU area (mm/percpu.c:pcpu_setup_first_chunk)."""
    _, fields = btf.layout("pcpu_chunk", depth=1)
    chunk = memory.get("pcpu_reserved_chunk.pointed", b"")
    if not chunk:
        raise BuildError("the booted kernel has no reserved per-CPU chunk")

    def value(name: str) -> int:
        offset, size = fields[name]
        return int.from_bytes(chunk[offset : offset + size], "little")

    base = value("base_addr") - int.from_bytes(memory["pcpu_base_addr"], "little")
    start = base + value("start_offset")
    end = base + value("nr_pages") * PAGE_SIZE - value("end_offset")
    if value("free_bytes") != end - start:
        raise BuildError("the reserved per-CPU chunk is already in use at boot")
    return start, end


def cpu_feature_names(header: Path) -> dict[str, int]:
    """Names and numbers of arch/x86/include/asm/cpufeatures.h; bugs counted on behind the NCAPINTS words."""
    text = header.read_text()
    words = _ncapints(text)
    names = {name: 32 * int(word) + int(bit) for name, word, bit in re.findall(
        r"^#define (X86_FEATURE_\w+)\s+\(\s*(\d+)\*32\s*\+\s*(\d+)\)", text, re.MULTILINE)}  # fmt: skip
    for name, first, second in re.findall(
        r"^#define (X86_BUG_\w+)\s+X86_BUG\((?:\s*(\d+)\*32\s*\+)?\s*(\d+)\)", text, re.MULTILINE
    ):
        names[name] = 32 * (words + int(first or 0)) + int(second)
    return names


def cpu_model(memory: dict[str, bytes], btf: Btf, symbols: Symbols, header: Path) -> dict[str, Any]:
    """The set bits of boot_cpu_data.x86_capability, and the return thunk in use."""
    _, fields = btf.layout("cpuinfo_x86", depth=1)
    offset, size = fields["x86_capability"]
    words = struct.unpack_from(f"<{size // 4}I", memory["boot_cpu_data"], offset)
    numbers = [32 * row + bit for row, word in enumerate(words) for bit in range(32) if word >> bit & 1]
    bugs = 32 * _ncapints(header.read_text())
    return {
        "features": [number for number in numbers if number < bugs],
        "bugs": [number for number in numbers if number >= bugs],
        "return_thunk": _return_thunk(memory, symbols),
        **_nops(memory, symbols),
    }


def _nops(memory: dict[str, bytes], symbols: Symbols) -> dict[str, str]:
    """Before 5.13 the kernel chose its NOPs by the processor: ideal_nops points to "k8_nops" or "p6_nops"."""
    address = int.from_bytes(memory.get("ideal_nops", b""), "little")
    rows = [row for row, place in enumerate(symbols.addresses) if place == address != 0]
    return {"nops": symbols.names[rows[0]]} if rows else {}


def _return_thunk(memory: dict[str, bytes], symbols: Symbols) -> str | None:
    address = int.from_bytes(memory.get("x86_return_thunk", b""), "little")
    names = [symbols.names[row] for row, place in enumerate(symbols.addresses) if place == address != 0]
    return next((name for name in names if name.endswith("return_thunk")), names[0] if names else None)


def _ncapints(header: str) -> int:
    found = re.search(r"^#define NCAPINTS\s+(\d+)", header, re.MULTILINE)
    if not found:
        raise BuildError("no NCAPINTS in cpufeatures.h")
    return int(found[1])
