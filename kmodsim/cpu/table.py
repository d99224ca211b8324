# SPDX-License-Identifier: GPL-2.0-only
"""The table of kernel functions that are implemented in Python, by the name that modules call.

``@kernel_function("mm/slab_common.c")`` above ``def kfree(cpu: Cpu, object: ptr) -> None`` makes a row. The
parameters' annotations are the C types of ``abi.py``; the last one may be ``args: VarArgs`` for ``...``. A
result is an int (stored in rax, two's complement), a bool, or None for void.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .abi import CONVERT, VarArgs

if TYPE_CHECKING:
    from .cpu import Cpu

STAND_IN = "a stand-in"  # the source of a row that a policy makes
Implementation = Callable[..., int | bool | None]


@dataclass(frozen=True, slots=True)
class KernelFunction:
    """One row: its name, where the kernel has it, what runs instead, and the C types of its parameters.

    ``records``: it only notes what was registered and returns 0. ``own_registers``: it follows a calling
    convention of its own, is called with the ``Cpu`` alone and reads and writes registers itself.
    """

    name: str
    source: str
    run: Implementation
    parameters: tuple[str, ...] = ()
    records: bool = False
    own_registers: bool = False

    def call(self, cpu: Cpu, raw: Any) -> int | bool | None:
        """Run it on the iterator ``raw`` of 64-bit arguments; GuestFault when it touches bad memory."""
        if self.own_registers:
            return self.run(cpu)
        kinds = self.parameters
        fixed = kinds[:-1] if kinds[-1:] == ("VarArgs",) else kinds
        space = cpu.space
        values = [CONVERT[kind](space, next(raw)) for kind in fixed]
        return self.run(cpu, *values, *([VarArgs(raw)] if len(fixed) < len(kinds) else []))


FUNCTIONS: dict[str, KernelFunction] = {}


def kernel_function(
    source: str, *also: str, name: str = "", records: bool = False, own_registers: bool = False
) -> Callable[[Implementation], Implementation]:
    """Enter a Python function into the table under its own name (or ``name``) and the names ``also``.

    ``source``: the kernel's file, 6.1. ValueError when a name is taken or an annotation is no C type.
    """

    def enter(run: Implementation) -> Implementation:
        kinds = tuple(str(kind) for key, kind in run.__annotations__.items() if key != "return")[1:]
        fixed = kinds[:-1] if kinds[-1:] == ("VarArgs",) else kinds
        if unknown := [kind for kind in fixed if kind not in CONVERT]:
            raise ValueError(f"{run.__name__}: {', '.join(unknown)} is no C type of abi.py")
        for each in (name or run.__name__, *also):
            if each in FUNCTIONS:
                raise ValueError(f"{each} is in the table already")
            FUNCTIONS[each] = KernelFunction(each, source, run, kinds, records, own_registers)
        return run

    return enter
