# SPDX-License-Identifier: GPL-2.0-only
"""Bad pointers and absurd numbers into every kernel function that is implemented in Python.

    python -m tests.fuzz.api [--rounds N] [--only NAME]

Each function is called as a module's code would call it: at its address, with arguments in registers.
Whatever it is given, it returns, or the call ends in a KernelError (an oops, a wait for ever, NotModelled).
The calls are the same whenever they are made.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any

from kmodsim import Kernel, KernelError
from kmodsim.cpu import api as _all_of_it  # noqa: F401  # fills the table
from kmodsim.cpu.abi import U64
from kmodsim.cpu.space import GuestFault, new_area
from kmodsim.cpu.table import FUNCTIONS, KernelFunction
from kmodsim.memory import READ

READ_ONLY, ALONE = 0xFFFFC90010000000, 0xFFFFC90010100000  # pages of our own with nothing behind them
BAD = {
    "NULL": 0,
    "almost NULL": 8,
    "user space": 0x7F0000001000,
    "list poison": 0xDEAD000000000100,
    "nothing there": 0xFFFFFFFFC0800000,
    "read only": READ_ONLY,
    "last byte of a page": ALONE + 4095,
    "last byte of all": U64,
}
NUMBERS = (
    0, 1, 2, 3, 8, 64, 255, 4096, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63,
    U64, U64 - 11, U64 - 4095,
)  # fmt: skip
REGISTERS = 6
SECONDS = 10.0  # of one call


@dataclass(frozen=True)
class Call:
    """One call of ``name``: what each register points to or holds."""

    name: str
    arguments: tuple[str | int, ...]

    def __str__(self) -> str:
        parts = (f'"{each}"' if isinstance(each, str) else f"{each:#x}" for each in self.arguments)
        return f"{self.name}({', '.join(parts)})"


def pointers(function: KernelFunction) -> list[int]:
    """The places of its pointers; an unknown convention has one everywhere."""
    if function.own_registers:
        return [0]
    return [i for i, kind in enumerate(function.parameters[:REGISTERS]) if kind in ("ptr", "cstr")]


def calls(name: str, rounds: int = 1) -> list[Call]:
    """Each bad pointer for all pointers at once, and for each one while the others are good."""
    function = FUNCTIONS[name]
    places = pointers(function)
    groups = [places] + ([[place] for place in places] if len(places) > 1 else [])
    found = []
    for number in range(rounds):
        chance = random.Random(f"{name} {number}")
        for group in groups:
            for bad in BAD if group else ["NULL"] * 4:
                arguments: list[str | int] = [chance.choice(NUMBERS) for _ in range(REGISTERS)]
                for place in places:
                    arguments[place] = bad if place in group else "good"
                found.append(Call(name, tuple(arguments)))
    return found


class Machine:
    """A fresh kernel with the pages that cases point to."""

    def __init__(self) -> None:
        self.kernel = Kernel(cpu="strict")
        self.cpu: Any = self.kernel.cpu
        self.cpu.space.add(new_area(READ_ONLY, 4096, "test", access=READ))
        self.cpu.space.add(new_area(ALONE, 4096, "test"))
        self.good = self.cpu.heap.kmalloc(4096, zero=True)

    def run(self, call: Call) -> str:
        """How it ended: "returned" or the exception's name. Whatever is no KernelError comes out as it is."""
        function = FUNCTIONS[call.name]
        values = [self._value(each) for each in call.arguments]
        address = self.cpu.local_symbol(call.name)
        try:
            if function.own_registers:
                self.cpu.machine.write({"rax": values[0], "rcx": values[0]})
            if address:
                self.cpu.enter(address, *values)
            else:  # a function of other releases: nothing of this kernel's code can call it
                self._without_address(function, values)
            self.cpu.advance(0.1)
        except KernelError as error:
            return type(error).__name__
        return "returned"

    def _without_address(self, function: KernelFunction, values: list[int]) -> None:
        self.cpu.fresh_limits()
        with suppress(GuestFault):
            function.call(self.cpu, chain(values, repeat(0)))

    def _value(self, argument: str | int) -> int:
        if isinstance(argument, int):
            return argument
        return self.good if argument == "good" else BAD[argument]


def check(call: Call, machine: Machine | None = None) -> str:
    """Run one call, on a kernel of its own if no other is given; AssertionError: it took too long."""
    start = time.monotonic()
    ended = (machine or Machine()).run(call)
    assert time.monotonic() - start < SECONDS, f"{call} took {time.monotonic() - start:.1f} s"
    return ended


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.api")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    ends: Counter[str] = Counter()
    for name in [options.only] if options.only else sorted(FUNCTIONS):
        machine = Machine()
        for call in calls(name, options.rounds):
            try:
                ends[check(call, machine)] += 1
            except Exception as error:
                frame = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{frame.filename.rpartition('/')[2]}:{frame.lineno}"
                print(f"{call}: {type(error).__name__} {error} at {where}")
                ends["FOUND"] += 1
                machine = Machine()
        gc.collect()  # a kernel's memory is in circles of references
    print(dict(ends))
    return int(ends["FOUND"] > 0)


if __name__ == "__main__":
    sys.exit(main())
