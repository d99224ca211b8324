# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's doubly linked lists of modules, in the modules' own memory (``include/linux/rculist.h``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .module import Module

LIST_POISON2 = 0xDEAD000000000122  # include/linux/poison.h with CONFIG_ILLEGAL_POINTER_VALUE of x86-64
SetField = Callable[[Module, str, int], None]


class LinkedList:
    """A list whose links are a ``struct list_head`` called ``field`` inside struct module; newest first.

    ``head`` gives the address of the list's head, asked for when the first module comes; ``offset`` is that
    of the field in struct module. ``set_field`` stores into a module's memory.
    """

    def __init__(self, field: str, offset: int, head: Callable[[], int], set_field: SetField) -> None:
        self._field, self._offset, self._head, self._set = field, offset, head, set_field
        self._items: list[Module] = []

    def __iter__(self) -> Iterator[Module]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, mod: object) -> bool:
        return mod in self._items

    def add(self, mod: Module) -> None:
        """``list_add_rcu``: behind the head, in front of all others."""
        self._items.insert(0, mod)
        self._join(-1, 0)
        self._join(0, 1)

    def remove(self, mod: Module) -> None:
        """``list_del_rcu``: the neighbours join; the removed one keeps ``next`` for readers, not ``prev``."""
        at = self._items.index(mod)
        del self._items[at]
        self._join(at - 1, at)
        self._set(mod, f"{self._field}.prev", LIST_POISON2)

    def _join(self, left: int, right: int) -> None:
        """Make the entries at two neighbouring places point to each other; −1 and the end are the head."""
        if left >= 0:
            self._set(self._items[left], f"{self._field}.next", self._address(right))
        if right < len(self._items):
            self._set(self._items[right], f"{self._field}.prev", self._address(left))

    def _address(self, place: int) -> int:
        inside = 0 <= place < len(self._items)
        return self._items[place].address + self._offset if inside else self._head()
