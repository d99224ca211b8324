# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's doubly linked lists of modules, as they stand in memory (``include/linux/rculist.h``).

Nothing here remembers an order: who is on a list is found by following the pointers, as the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import KernelError, KernelOops, WouldWait
from .memory import U64, Memory
from .module import Module
from .records import Bytes

# include/linux/poison.h with CONFIG_ILLEGAL_POINTER_VALUE of x86-64
LIST_POISON1, LIST_POISON2 = 0xDEAD000000000100, 0xDEAD000000000122
NEXT, PREV = 0, 1
# what each way of taking an entry out leaves in it: (place, next) -> (next, prev)
LEFT_BEHIND: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "list_del_rcu": lambda place, following: (following, LIST_POISON2),
    "list_del": lambda place, following: (LIST_POISON1, LIST_POISON2),
    "list_del_init": lambda place, following: (place, place),
}


class LinkedList:
    """A list whose links are a ``struct list_head`` at ``offset`` in struct module; newest first.

    ``head`` gives the address of the list's head, asked for when the first module comes; ``memory`` the
    memory of now, which a test may have put in the place of another. Iterating follows
    ``next`` from the head; KernelOops where that leads to no module, WouldWait in a circle. ``known``: every
    module that was put here and not freed, on the list or not.
    """

    def __init__(self, offset: int, head: Callable[[], int], memory: Callable[[], Memory]) -> None:
        self.offset, self._find_head, self._memory = offset, head, memory
        self._head_words: NDArray[Any] = np.zeros(2, "<u8")
        self._at: dict[int, tuple[Module, NDArray[Any]]] = {}  # address of the links -> module, its two words
        self._called: dict[str, list[Module]] = {}

    @cached_property
    def head(self) -> int:
        """Address of the head; at boot it points to itself."""
        address = self._find_head()
        self._head_words[:] = address
        return address

    def __iter__(self) -> Iterator[Module]:
        at, left = self.links(self.head)[NEXT] if self._at else self.head, len(self._at)
        while at != self.head:
            if not left:
                raise WouldWait("the list of modules never comes back to its head")
            if at not in self._at:
                raise KernelOops(f"the list of modules leads to {at:#x}: no module's links are there")
            mod, words = self._at[at]
            at, left = int(words[NEXT]), left - 1
            yield mod

    @property
    def known(self) -> list[Module]:
        """Every module with a struct module in memory, oldest first."""
        return [mod for mod, _ in self._at.values()]

    def knows(self, mod: Module) -> bool:
        return self._at.get(mod.address + self.offset, (None,))[0] is mod

    def called(self, name: str) -> list[Module]:
        """The known ones of this name, on the list or not."""
        return self._called.get(name, [])

    def links(self, address: int) -> tuple[int, int]:
        """(next, prev) of the ``struct list_head`` at ``address``; KernelOops where nothing is mapped."""
        if address == self.head:
            return int(self._head_words[NEXT]), int(self._head_words[PREV])
        try:
            raw = self._memory().read(address, 16)
        except KernelError as error:
            raise KernelOops(f"a fault at {address & U64:#018x}, read as a struct list_head") from error
        return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")

    def store(self, address: int, which: int, value: int) -> None:
        """Store one pointer of the ``struct list_head`` at ``address``."""
        if address == self.head:
            self._head_words[which] = value
        else:
            self._memory().write(address + 8 * which, value.to_bytes(8, "little"))

    def lend(self, data: Bytes, start: int) -> None:
        """From now on the head lies in the kernel's data, where running code can reach it."""
        offset = self.head - start
        if 0 <= offset <= len(data) - 16:
            words = data[offset : offset + 16].view("<u8")
            words[:] = self._head_words
            self._head_words = words

    def add(self, mod: Module) -> None:
        """``list_add_rcu``: behind the head, in front of all others."""
        place, following = mod.address + self.offset, self.links(self.head)[NEXT]
        words = self._memory().view(place, 16).view("<u8")
        before = self.links(following)[PREV]
        if before != self.head or place == following:  # lib/list_debug.c:__list_add_valid
            raise KernelOops(f"list_add corruption. next->prev should be prev ({self.head:016x}), "
                             f"but was {before:016x}. (next={following:016x}).")  # fmt: skip
        if not self.knows(mod):
            self._at[place] = mod, words
            self._called.setdefault(mod.name, []).append(mod)
        self.store(place, NEXT, following)
        self.store(place, PREV, self.head)
        self.store(self.head, NEXT, place)
        self.store(following, PREV, place)

    def unlink(self, mod: Module, how: str) -> None:
        """Join the neighbours and leave in the entry what ``how``, a key of LEFT_BEHIND, leaves there."""
        place = mod.address + self.offset
        following, before = self.links(place)
        self._check(place, following, before)
        self.store(before, NEXT, following)
        self.store(following, PREV, before)
        for which, value in enumerate(LEFT_BEHIND[how](place, following)):
            self.store(place, which, value)

    def remove(self, mod: Module) -> None:
        """``list_del_rcu``, and its memory is about to go: readers still follow ``next``, nobody ``prev``."""
        self.unlink(mod, "list_del_rcu")
        del self._at[mod.address + self.offset]
        self._called[mod.name].remove(mod)

    def _check(self, place: int, following: int, before: int) -> None:
        """``lib/list_debug.c:__list_del_entry_valid``; CONFIG_BUG_ON_DATA_CORRUPTION makes it a BUG."""
        for name, value, poison in (("next", following, LIST_POISON1), ("prev", before, LIST_POISON2)):
            if value == poison:
                which = f"LIST_POISON{1 + (name == 'prev')}"
                raise KernelOops(f"list_del corruption, {place:016x}->{name} is {which} ({poison:016x})")
        sides = (("prev->next", before, self.links(before)[NEXT]),
                 ("next->prev", following, self.links(following)[PREV]))  # fmt: skip
        for words, side, value in sides:
            if value != place:
                said = f"{words} should be {place:016x}, but was {value:016x}. ({words[:4]}={side:016x})"
                raise KernelOops(f"list_del corruption. {said}")
