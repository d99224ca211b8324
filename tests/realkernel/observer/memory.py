# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the observer left in the shared memory: one module after the other, as each was at COMING."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("<QII")  # struct shared_head of observer.c
# struct shared_record, of kernels with core and init and of those with seven memories
TWO = struct.Struct("<64s6Q10I")
TWO_FIELDS = (
    "name", "address", "core_base", "init_base", "percpu", "init_function", "exit_function",
    "core_size", "core_text_size", "core_ro_size", "core_ro_after_init_size",
    "init_size", "init_text_size", "init_ro_size", "percpu_size", "number", "stored",
)  # fmt: skip
SEVEN = struct.Struct("<64s11Q10I")
SEVEN_KINDS = ("text", "data", "rodata", "ro_after_init", "init_text", "init_data", "init_rodata")
SEVEN_FIELDS = (
    "name", "address", *(f"{kind}_base" for kind in SEVEN_KINDS), "percpu", "init_function", "exit_function",
    *(f"{kind}_size" for kind in SEVEN_KINDS), "percpu_size", "number", "stored",
)  # fmt: skip
FORMATS = {("core", "init"): (TWO, TWO_FIELDS), SEVEN_KINDS: (SEVEN, SEVEN_FIELDS)}

Memories = dict[str, tuple[int, bytes]]  # kind -> (base, bytes); empty ones have base 0


class Observed(NamedTuple):
    """One module at COMING. ``address`` is that of struct module, ``percpu`` an offset (0: none); ``fields``
    holds the rest of struct shared_record by name. Sizes are in bytes."""

    name: str
    address: int
    memories: Memories
    percpu: int
    percpu_size: int
    fields: dict[str, int]

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes at ``address``; None when they are not all in one memory."""
        for base, data in self.memories.values():
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        return None


def parse(data: bytes, kinds: tuple[str, ...] = ("core", "init")) -> list[Observed]:
    """All modules, in the order in which they came; ``kinds``: the memories of this kernel. ValueError: the
    shared memory was too small."""
    used, records, lost = HEAD.unpack_from(data)
    if lost:
        raise ValueError(f"no room for {lost} of {records + lost} modules in the shared memory")
    form, names = FORMATS[kinds]
    found, at = [], HEAD.size
    while at < used:
        fields = dict(zip(names, form.unpack_from(data, at), strict=True))
        name = fields.pop("name").rstrip(b"\0").decode("latin-1")
        at += form.size
        memories = {}
        for kind in kinds:
            size = fields[f"{kind}_size"]
            memories[kind] = (fields[f"{kind}_base"], data[at : at + size])
            at += size
        one = Observed(name, fields["address"], memories, fields["percpu"], fields["percpu_size"], fields)
        found.append(one)
        at += -at % 8
    return found


def read_shared(path: Path, at: int, kinds: tuple[str, ...] = ("core", "init")) -> list[Observed]:
    """``parse`` for the shared memory's file, where the observer's part begins at byte ``at``."""
    with path.open("rb") as file:
        file.seek(at)
        (used, *_) = HEAD.unpack(file.read(HEAD.size))
        file.seek(at)
        return parse(file.read(used), kinds)
