# SPDX-License-Identifier: GPL-2.0-only
"""What the words of a cause need beside the kernel's own line: numbers and names read from the file."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ..decompress import compression
from ..params.parsing import parse_args
from ..records import SHT_NOBITS, text

# include/uapi/linux/elf-em.h
MACHINES = {0: "none", 3: "x86 (32 bit)", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 22: "S390", 40: "ARM",
            43: "SPARC 64", 62: "x86-64", 183: "AArch64 (ARM 64)", 243: "RISC-V",
            258: "LoongArch"}  # fmt: skip
UNPACK = {"gzip": "gunzip", "xz": "unxz", "zstd": "unzstd"}


def hints(load: Any) -> list[str]:
    """Lines that stand for what the kernel knows and does not say."""
    found = ["modules_disabled"] if load.kernel.modules_disabled else []
    return found + ["packed"] if compression(load.image[:8].tobytes()) else found


def facts(load: Any, key: str, found: dict[str, str], why: str, data: bytes) -> dict[str, str]:
    """The named values of one cause's words; a name that nothing is known of reads "?"."""
    image = load.image[:16].tobytes()
    known = defaultdict(lambda: "?", {
        "why": why or "its log says no more", "name": load.name or "?", "size": f"{len(load.image):,}",
        "first": repr(image[:8])[1:] if image else "nothing",
        "area": str((load.profile.module_area[1] - load.profile.module_area[0]) >> 20),
        **found,
    })  # fmt: skip
    known |= MORE[key](load, known, data) if key in MORE else {}
    return known


def _machine(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    number = int(known["machine"])
    return {"machine_name": MACHINES.get(number, "a machine of an unknown kind")}


def _packing(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    kind = compression(load.image[:8].tobytes())
    return {"packing": kind, "unpack": UNPACK.get(kind, "unpack")}


def _wanted(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    """How many bytes the headers speak of: the table's end, or the farthest section's where it is read."""
    from ..modulefile import ModuleFile

    header = load.header
    end = header.get("e_shoff", 0) + header.get("e_shnum", 0) * header.get("e_shentsize", 0)
    sections = ModuleFile(data).sections if end <= len(load.image) else ()
    ends = [s.offset + s.size for s in sections if s.type not in (SHT_NOBITS, "NOBITS")]
    return {"wanted": f"{max([end, *ends]):,}"}


def _layout(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    mine = (load.versions or {}).get("module_layout")
    kernels = load.profile.exports["module_layout"].crc
    return {"mine": _crc(mine), "kernels": _crc(kernels)}


def _crc(value: int | None) -> str:
    return "none" if value is None else f"{value:#010x}"


def _vermagic(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    return {"differs": differs(known["mine"], known["kernels"])}


def differs(mine: str, kernels: str) -> str:
    """Which words of two vermagic strings differ.

    >>> differs("6.1.0 SMP mod_unload ", "6.1.0 SMP preempt mod_unload ")
    'it lacks preempt'
    """
    own, theirs = mine.split(), kernels.split()
    parts = []
    if own[:1] != theirs[:1]:
        parts.append(f"it says {' '.join(own[:1]) or 'nothing'}, this kernel is {' '.join(theirs[:1])}")
    lacking = [word for word in theirs[1:] if word not in own[1:]]
    added = [word for word in own[1:] if word not in theirs[1:]]
    parts += [f"it lacks {' '.join(lacking)}"] if lacking else []
    parts += [f"it has {' '.join(added)} too much"] if added else []
    return "; ".join(parts) or "blanks or the order of the words differ"


def _parameter(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    from ..modulefile import ModuleFile

    name = known["parameter"].replace("-", "_")
    kinds = {param.name.replace("-", "_"): param.type or param.kind for param in ModuleFile(data).params}
    given = {text(key).replace("-", "_"): value for key, value in parse_args(load.params).pairs}
    # the kernel's line has a value cut short where the set function put a NUL
    value = text(given[name]) if given.get(name) is not None else known["value"]  # type: ignore[arg-type]
    return {"type": kinds.get(name) or "of the module's own type", "value": value}


def _signer(load: Any, known: dict[str, str], data: bytes) -> dict[str, str]:
    from ..modulefile import ModuleFile

    signature = ModuleFile(data).signature
    details = signature.details() if signature else None
    return {"signer": f"{details.signer or 'no name'}, key {details.key}" if details else "unreadable"}


MORE: dict[str, Any] = {
    "architecture": _machine, "packed-file": _packing, "truncated": _wanted, "module-layout": _layout,
    "vermagic": _vermagic, "parameter": _parameter, "unknown-key-enforced": _signer,
}  # fmt: skip
