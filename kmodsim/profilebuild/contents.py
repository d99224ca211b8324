# SPDX-License-Identifier: GPL-2.0-only
"""Writes the initial contents of exported variables, as far as the kernel's image has any.

What lies in .bss, in per-CPU data, or is all zeros needs no row. Columns: names, lengths, and the bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from kmodsim.profile import Export
from kmodsim.profilebuild.vmlinux import Vmlinux
from kmodsim.profiles.columns import write_columns

LARGEST = 4096
SECTIONS = (".rodata", ".data")


def contents_file(image: Vmlinux, exports: Sequence[Export], ends: Sequence[int]) -> bytes:
    """The file. ``ends``: the addresses of all symbols, ascending: a variable reaches to the next one."""
    rows: list[tuple[str, bytes]] = []
    for export in exports:
        section = _section_of(image, export.address)
        if section is None:
            continue
        start, data = section
        after = ends[min(bisect_right(ends, export.address), len(ends) - 1)]
        offset = export.address - start
        content = bytes(data[offset : min(offset + LARGEST, after - start, len(data))]).rstrip(b"\0")
        if content and after - export.address <= LARGEST:
            rows.append((export.name, content))
    return write_columns({
        "names": ("text", [name for name, _ in rows]),
        "lengths": ("u2", [len(content) for _, content in rows]),
        "bytes": ("u1", list(b"".join(content for _, content in rows))),
    })  # fmt: skip


def _section_of(image: Vmlinux, address: int) -> tuple[int, bytes] | None:
    for name in SECTIONS:
        if name in image.sections:
            start, data = image.section(name)
            if start <= address < start + len(data):
                return start, data
    return None
