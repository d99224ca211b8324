# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of the heart share: a kernel's whole state as data, errnos, tables of one's own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, sample

from .faults.editor import SHF_ALLOC, SHF_WRITE, SHN_ABS, SHT_NOBITS, SHT_PROGBITS, SHT_RELA, Image

ROWS = tuple[int, int, int, int]  # r_offset, type, number of the symbol value, r_addend


def snapshot(kernel: Kernel) -> dict[str, Any]:
    """All that a load that failed must leave as it was; the log and the taints are not part of it."""
    folders = {
        path: kernel.listdir(path) for path in ["/sys/module", *(f"/sys/module/{n}" for n in kernel.modules)]
    }
    return {
        "regions": kernel.memory.regions, "holes": list(kernel.memory.holes), "exports": dict(kernel.exports),
        "proc": kernel.read("/proc/modules"), "heap": dict(kernel.heap.blocks), "folders": folders,
        "bugs": [m.name for m in kernel._bugs], "names": sorted(m.name for m in kernel.known_modules),
        "percpu": {offset: data.tobytes() for offset, data in kernel.percpu.data.items()},
        "modules": [
            (m.name, m.state, m.raw_refcount, m.holders, tuple(m.uses), tuple(m.holder_links), m.taints,
             m.core.data.tobytes() if m.core else b"", bytes(m.core.pages) if m.core else b"", m.init_base)
            for m in kernel.module_list
        ],
    }  # fmt: skip


def errno_of(call: Callable[..., object], *args: Any, **more: Any) -> int | None:
    """The errno with which the call fails; a call that succeeds fails the test."""
    with pytest.raises(KernelError) as caught:
        call(*args, **more)
    return caught.value.errno


def with_table(rows: Iterable[ROWS], values: Iterable[int], content: bytes | int = 64, **entry: int) -> bytes:
    """``minimal`` with a section ``.test`` and a relocation table for it.

    ``values``: one absolute symbol each (S). ``content``: the target's bytes, or the size of a zeroed one
    (.bss-like).
    """
    image = Image(sample("minimal").read_bytes())
    first = image.section(".symtab", "sh_size") // 24
    for i, value in enumerate(values):
        image.add_symbol(f"s{i}", shndx=SHN_ABS, value=value)
    data = content if isinstance(content, bytes) else bytes(content)
    kind = SHT_PROGBITS if isinstance(content, bytes) else SHT_NOBITS
    image.add_section(".test", data, sh_flags=SHF_ALLOC | SHF_WRITE, sh_addralign=16, sh_type=kind)
    table = b"".join(
        struct.pack("<QIIq", offset, type_, first + symbol, addend) for offset, type_, symbol, addend in rows
    )
    image.add_section(
        ".rela.test",
        table,
        sh_type=SHT_RELA,
        sh_info=image.index(".test"),
        sh_link=image.index(".symtab"),
        **entry,
    )
    return bytes(image)


def at_coming(kernel: Kernel, file: Any, **more: Any) -> dict[str, Any]:
    """Load and note at COMING what is gone later: core, init and the sections' addresses and bytes."""
    seen: dict[str, Any] = {}

    def look(state: str, module: Any) -> None:
        if state == "COMING" and not seen:
            seen.update(
                name=module.name, core=(module.base, module.core.data.tobytes()),
                init=(module.init_base, module.init_area.data.tobytes()),
                sections={s.name: (s.address, s.size,
                    s.data if s.kind else b"") for s in module.sections.all},
            )  # fmt: skip

    kernel.register_module_notifier(look)
    try:
        seen["load"] = kernel.load(file, **more)
    finally:
        kernel.unregister_module_notifier(look)
    return seen
