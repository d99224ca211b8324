# SPDX-License-Identifier: GPL-2.0-only
"""What happens when a module calls a kernel function that is not implemented: a policy.

"strict": the run ends and says which function, called from where. "typed": a result made by the prototype.
"zero": every such function returns 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..errors import NotModelled
from .symbolize import sprint_symbol
from .table import KernelFunction

if TYPE_CHECKING:
    from ..module import Module
    from .cpu import Cpu


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
        return KernelFunction(name, "", lambda cpu: 0)


POLICIES: dict[str, Callable[[Cpu], Policy]] = {"strict": Strict, "zero": Zero, "typed": Zero}


def choose_policy(cpu: Cpu, mod: Module | None) -> Policy:
    """The one asked for; by default typed for the distribution's modules, strict for all others."""
    name = cpu.policy
    if name == "default":
        name = "typed" if mod is not None and "O" not in mod.taints else "strict"
    return POLICIES[name](cpu)
