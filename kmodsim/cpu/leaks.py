# SPDX-License-Identifier: GPL-2.0-only
"""What a module leaves behind when it goes: memory it asked for and never gave back, files, timers.

The real kernel does not look (only kmemleak, a debugging option, would find the memory): the memory is lost
until the next boot, and a timer that is left fires into nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..memory import Area
from .symbolize import sprint_symbol

if TYPE_CHECKING:
    from ..module import Module
    from .cpu import Cpu


@dataclass(frozen=True)
class Leak:
    """One thing left behind: what it is, where, how large in bytes (0: no memory), who asked for it."""

    what: str
    address: int
    size: int
    caller: str = ""

    def __str__(self) -> str:
        size = f", {self.size} bytes" if self.size else ""
        return f"{self.what} at {self.address:#x}{size}" + (f", from {self.caller}" if self.caller else "")


class Leaks:
    """Who asked for what, as far as it has to be remembered."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu
        self._by_init: dict[str, list[Leak]] = {}  # module -> what its init asked for
        self.left: dict[str, list[Leak]] = {}  # module that has gone -> what it left behind

    def init_returned(self, mod: Module) -> None:
        """Its code goes now; what it asked for is remembered by name."""
        self._by_init[mod.name] = self._asked_from(mod.init_area)

    def module_gone(self, mod: Module) -> list[Leak]:
        """What a module leaves behind whose core is still there, memory first."""
        live = {address for _, address, _, _ in self._memory()}
        found = [leak for leak in self._by_init.pop(mod.name, []) if leak.address in live]
        found += self._asked_from(mod.core)
        found += [Leak("a pending timer", timer, 0) for timer in self._cpu.timers if _inside(mod.core, timer)]
        found += [
            Leak(f"{each.kind} {each.name}".rstrip(), each.address, 0)
            for each in self._cpu.registered
            if each.module == mod.name
        ]
        if found:
            self.left[mod.name] = found
        return found

    def _asked_from(self, area: Area | None) -> list[Leak]:
        return [
            Leak(what, address, size, sprint_symbol(self._cpu.kernel, caller, backtrace=True))
            for what, address, size, caller in self._memory()
            if _inside(area, caller)
        ]

    def _memory(self) -> Iterator[tuple[str, int, int, int]]:
        """(kind, address, bytes, return address of the call that asked) of all that is in use."""
        for block in self._cpu.heap.live():
            yield block.cache, block.address, block.size, block.caller
        for area, caller in self._cpu.pages.live():
            yield area.kind, area.start, len(area.data), caller


def _inside(area: Area | None, address: int) -> bool:
    return area is not None and area.start <= address < area.end
