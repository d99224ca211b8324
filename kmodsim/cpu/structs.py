# SPDX-License-Identifier: GPL-2.0-only
"""Fields of the kernel's structures in memory, by name: offsets and sizes come from the kernel's BTF."""

from __future__ import annotations

from functools import cache

from ..errors import NotModelled
from ..profile import KernelProfile
from .space import AddressSpace

# What a field was called in older releases
FORMERLY = {"task_struct.__state": "state"}  # until 5.13


@cache
def place(profile: KernelProfile, path: str) -> tuple[int, int]:
    """(offset, size) of ``"timer_list.entry.pprev"``; NotModelled when this kernel has no such field."""
    struct, _, field = path.partition(".")
    fields = profile.struct(struct).fields
    for name in (field, FORMERLY.get(path)):
        if name in fields:
            return fields[name]
    raise NotModelled(f"{profile.release} has no {path}", stage="struct")


class Structs:
    """Reading and writing fields; GuestFault where the structure is not mapped."""

    def __init__(self, space: AddressSpace, profile: KernelProfile) -> None:
        self._space, self._profile = space, profile

    def get(self, address: int, path: str, *, signed: bool = False) -> int:
        """The number in the field ``path`` of the structure at ``address``."""
        offset, size = place(self._profile, path)
        return self._space.number(address + offset, size, signed=signed)

    def set(self, address: int, path: str, value: int) -> None:
        """Store into the field; the bits that fit."""
        offset, size = place(self._profile, path)
        self._space.store(address + offset, value, size)

    def at(self, address: int, path: str) -> int:
        """The address of the field."""
        return address + place(self._profile, path)[0]

    def offset(self, path: str) -> int:
        """offsetof: where the field lies in its structure."""
        return place(self._profile, path)[0]

    def field_size(self, path: str) -> int:
        """sizeof of the field."""
        return place(self._profile, path)[1]

    def container(self, address: int, path: str) -> int:
        """container_of: the structure whose field ``path`` lies at ``address``."""
        return address - place(self._profile, path)[0]

    def size(self, struct: str) -> int:
        """sizeof(struct …)."""
        return self._profile.struct(struct).size

    # --- struct list_head, as include/linux/list.h keeps it

    def list_init(self, head: int) -> None:
        self._space.store(head, head, 8)
        self._space.store(head + 8, head, 8)

    def list_add(self, new: int, head: int, *, tail: bool = False) -> None:
        """Insert behind ``head``, or before it with ``tail``."""
        before = self._space.number(head + 8, 8) if tail else head
        behind = head if tail else self._space.number(head, 8)
        self._space.store(new, behind, 8)
        self._space.store(new + 8, before, 8)
        self._space.store(before, new, 8)
        self._space.store(behind + 8, new, 8)

    def list_del_init(self, entry: int) -> None:
        """Take out; the entry then points to itself."""
        behind, before = self._space.number(entry, 8), self._space.number(entry + 8, 8)
        self._space.store(before, behind, 8)
        self._space.store(behind + 8, before, 8)
        self.list_init(entry)

    def list_entries(self, head: int, limit: int = 10_000) -> list[int]:
        """The entries as they are now, first to last; an unused head (zeros) counts as empty."""
        entries: list[int] = []
        entry = self._space.number(head, 8)
        while entry not in (head, 0) and len(entries) < limit:
            entries.append(entry)
            entry = self._space.number(entry, 8)
        return entries
