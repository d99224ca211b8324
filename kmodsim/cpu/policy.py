# SPDX-License-Identifier: GPL-2.0-only
"""What happens when a module calls a kernel function that is not implemented: a policy.

"strict": the run ends and says which function, called from where. "typed": a stand-in answers by the
function's prototype. "zero": every such function returns 0. "default": typed for the distribution's own
modules, strict for those from elsewhere. What was made up is counted in ``Cpu.stubbed`` and marked in the
calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..errors import NotModelled
from ..memory import PAGE_SIZE
from .abi import ARGUMENT_REGISTERS
from .heap import KMALLOC_MAX_SIZE
from .symbolize import sprint_symbol
from .table import STAND_IN, KernelFunction

if TYPE_CHECKING:
    from ..profiles.prototypes import CType
    from .cpu import Cpu

# Names of functions that look something up: there is nothing to be found on this machine, and who gets an
# object again and again loops for ever
LOOKS_UP = re.compile(
    r"(^|_)(find|lookup|look_up|match|matching|search|next|first|last|peek|dequeue|pop|by_\w+|get_(\w+_)?by)(_|$)"
    r"|^(pci_get|pci_find|x86_match|dmi_|acpi_get|acpi_dev_get|of_|fwnode_|bus_find|driver_find|dev_get_by|"
    r"__dev_get_by|class_find|symbol_get|__symbol_get|rhashtable_walk|radix_tree_|xa_|xas_|idr_|mtree_|mas_|rb_)"
)


class Policy(Protocol):
    """One policy."""

    def stand_in(self, name: str, caller: int) -> KernelFunction:
        """A row for the function ``name``, or NotModelled."""


class Strict:
    """Nothing is made up."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu

    def stand_in(self, name: str, caller: int) -> KernelFunction:
        raise NotModelled(f"unimplemented: {name}(), called from {sprint_symbol(self._cpu.kernel, caller)}")


class Zero:
    """Every function returns 0."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu = cpu

    def stand_in(self, name: str, caller: int) -> KernelFunction:
        self._cpu.stubbed[name] = self._cpu.stubbed.get(name, 0) + 1
        return KernelFunction(name, STAND_IN, self._answer(name))

    def _answer(self, name: str) -> Callable[..., int]:
        return _nothing


class Typed(Zero):
    """By the prototype: a pointer is to a fresh zeroed object, NULL from look-ups, every number is 0.

    Where an int says that all went well and a parameter is ``struct x **``, an object is put there, too.
    """

    def __init__(self, cpu: Cpu) -> None:
        super().__init__(cpu)
        self._answers: dict[str, Callable[..., int]] = {}

    def _answer(self, name: str) -> Callable[..., int]:
        if name not in self._answers:
            self._answers[name] = self._by_prototype(name)
        return self._answers[name]

    def _by_prototype(self, name: str) -> Callable[..., int]:
        prototype = self._cpu.profile.prototypes.get(name)
        if prototype is None or LOOKS_UP.search(name):
            return _nothing
        if prototype.result.target is not None:
            return _fresh(object_size(prototype.result.target))
        places = {
            number: object_size(kind.target.target)
            for number, (_, kind) in enumerate(prototype.parameters[: len(ARGUMENT_REGISTERS)])
            if kind.target is not None and kind.target.target is not None and not kind.target.const
            and kind.target.target.kind == "struct"
        }  # fmt: skip
        return _stores(places) if places and prototype.result.kind == "int" else _nothing


class Default:
    """Who calls decides: the author of an out-of-tree module wants to know what is missing."""

    def __init__(self, cpu: Cpu) -> None:
        self._cpu, self._typed, self._strict = cpu, Typed(cpu), Strict(cpu)

    def stand_in(self, name: str, caller: int) -> KernelFunction:
        mod = self._cpu.calling_module(caller)
        own = mod is not None and "O" not in mod.taints
        return (self._typed if own else self._strict).stand_in(name, caller)


def _nothing(cpu: Cpu) -> int:
    return 0


def _fresh(size: int) -> Callable[..., int]:
    def make(cpu: Cpu) -> int:
        """The module does not own it: nobody asked for memory."""
        return cpu.heap.kmalloc(size, zero=True, cache="stand-in")

    return make


def _stores(places: dict[int, int]) -> Callable[..., int]:
    """``places``: number of the argument -> bytes of the object; what points to something good stays."""

    def store(cpu: Cpu) -> int:
        for number, size in places.items():
            place = cpu.calls[-1].registers[number]
            if place and cpu.space.area_at(cpu.space.number(place, 8)) is None:
                cpu.space.store(place, _fresh(size)(cpu), 8)
        return 0

    return store


def object_size(target: CType) -> int:
    """Bytes of a stand-in object: a page where the type says nothing (void, char, declared only)."""
    size = target.size if target.kind in ("struct", "union", "array") else 0
    return min(size or PAGE_SIZE, KMALLOC_MAX_SIZE)


POLICIES: dict[str, Callable[[Cpu], Policy]] = {
    "default": Default, "strict": Strict, "typed": Typed, "zero": Zero,
}  # fmt: skip
