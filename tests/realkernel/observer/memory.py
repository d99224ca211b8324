# SPDX-License-Identifier: GPL-2.0-only
"""Reads what the observer left in the shared memory: one module after the other, as each was at COMING."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

HEAD = struct.Struct("<QII")  # struct shared_head of observer.c
RECORD = struct.Struct("<64s6Q10I")  # struct shared_record
RECORD_FIELDS = (
    "name", "address", "core_base", "init_base", "percpu", "init_function", "exit_function",
    "core_size", "core_text_size", "core_ro_size", "core_ro_after_init_size",
    "init_size", "init_text_size", "init_ro_size", "percpu_size", "number", "stored",
)  # fmt: skip


class Observed(NamedTuple):
    """One module at COMING. ``address`` is that of struct module, ``percpu`` an offset (0: none); ``fields``
    holds the rest of struct shared_record by name. Sizes are in bytes."""

    name: str
    address: int
    core_base: int
    core: bytes
    init_base: int
    init: bytes
    percpu: int
    percpu_size: int
    fields: dict[str, int]

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes at ``address``; None when they are not in core or init."""
        for base, data in ((self.core_base, self.core), (self.init_base, self.init)):
            if base <= address and address + size <= base + len(data):
                return data[address - base : address - base + size]
        return None


def parse(data: bytes) -> list[Observed]:
    """All modules, in the order in which they came. ValueError: the shared memory was too small."""
    used, records, lost = HEAD.unpack_from(data)
    if lost:
        raise ValueError(f"no room for {lost} of {records + lost} modules in the shared memory")
    found, at = [], HEAD.size
    while at < used:
        fields = dict(zip(RECORD_FIELDS, RECORD.unpack_from(data, at), strict=True))
        name = fields.pop("name").rstrip(b"\0").decode("latin-1")
        core_at = at + RECORD.size
        init_at = core_at + fields["core_size"]
        end = init_at + fields["init_size"]
        found.append(
            Observed(
                name, fields["address"], fields["core_base"], data[core_at:init_at],
                fields["init_base"], data[init_at:end], fields["percpu"], fields["percpu_size"], fields,
            )
        )  # fmt: skip
        at = end + -end % 8
    return found


def read_shared(path: Path, at: int) -> list[Observed]:
    """``parse`` for the shared memory's file, where the observer's part begins at byte ``at``."""
    with path.open("rb") as file:
        file.seek(at)
        (used, *_) = HEAD.unpack(file.read(HEAD.size))
        file.seek(at)
        return parse(file.read(used))
