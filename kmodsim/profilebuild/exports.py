# SPDX-License-Identifier: GPL-2.0-only
"""What vmlinux exports: read from the tables in its image, checked against Module.symvers of the headers.

``include/linux/export.h`` with CONFIG_HAVE_ARCH_PREL32_RELOCATIONS: an entry is three 32-bit offsets (value,
name, namespace), each relative to its own place; __kcrctab runs beside __ksymtab. With CONFIG_MODULE_REL_CRCS
(before 5.19) it holds distances to the CRCs (``kernel/module.c:resolve_rel_crc``).
"""

from __future__ import annotations

import struct
from pathlib import Path

from kmodsim.profile import Export
from kmodsim.profilebuild.boot import BuildError
from kmodsim.profilebuild.vmlinux import Vmlinux

TABLES = (("__ksymtab", "__kcrctab", False), ("__ksymtab_gpl", "__kcrctab_gpl", True))
MASK = (1 << 64) - 1


def read_exports(image: Vmlinux, relative_crcs: bool = False) -> list[Export]:
    """All exports of the image, by address then name."""
    rows: list[Export] = []
    for table, crcs, gpl in TABLES:
        start, data = image.section(table)
        sums = _crcs(image, crcs, len(data) // 12, relative_crcs)
        for index, crc in enumerate(sums):
            place = start + 12 * index
            value, name, namespace = struct.unpack_from("<iii", data, 12 * index)
            text = _text(image, place + 4 + name)
            space = _text(image, place + 8 + namespace) if namespace else None
            rows.append(Export(text, (place + value) & MASK, crc, gpl, space or None))
    return sorted(rows, key=lambda row: (row.address, row.name))


def _crcs(image: Vmlinux, name: str, count: int, relative: bool) -> list[int]:
    start, data = image.section(name)
    if not relative:
        return list(struct.unpack(f"<{count}I", data))
    distances = struct.unpack(f"<{count}i", data)
    places = (start + 4 * index + distance for index, distance in enumerate(distances))
    return [int.from_bytes(image.read(place, 4), "little") for place in places]


def check_against_symvers(exports: list[Export], symvers: Path) -> None:
    """BuildError unless Module.symvers says the same of vmlinux (scripts/mod/modpost.c:write_dump)."""
    stated = set()
    for line in symvers.read_text().splitlines():
        crc, name, module, kind, namespace = (line.split("\t") + [""])[:5]
        if module == "vmlinux":
            stated.add((name, int(crc, 16), kind == "EXPORT_SYMBOL_GPL", namespace or None))
    seen = {(row.name, row.crc, row.gpl, row.namespace) for row in exports}
    if seen != stated:
        names = sorted({row[0] for row in seen ^ stated})
        raise BuildError(f"{symvers} is not of this kernel: {len(names)} symbols differ, {names[0]} first")


def _text(image: Vmlinux, address: int) -> str:
    start, strings = image.section("__ksymtab_strings")
    offset = address - start
    return strings[offset : strings.index(b"\0", offset)].decode()
