# SPDX-License-Identifier: GPL-2.0-only
"""Time travel: every instruction of a run with the registers and the memory it left, forwards and back.

    with kernel.cpu.recording() as run:
        kernel.finit_module(sample("hello"))
    print(run)                                   # a line a step
    run.at(7)["rax"], run.changes(7), run.memory(address, 8, 3)

Nothing is run again to look at a moment: what each step wrote is kept with what was there before. A kernel
function that Python does is one step with all it wrote, too.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, overload

from ..errors import EFAULT, KernelError
from ..memory import Area, Change
from .calls import KernelCall
from .machine import NAMES
from .names import U64

if TYPE_CHECKING:
    from .cpu import Cpu


class Row(NamedTuple):
    """What is kept of a step beside registers and writes."""

    kind: str
    address: int
    code: bytes
    name: str
    comm: str
    depth: int
    call: KernelCall | None


class Write(NamedTuple):
    """Bytes that a step stored; ``area`` numbers the memory, for another may get the same address later."""

    area: int
    start: int
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    kind: "instruction"; "call": a kernel function, in one go; "enter": the kernel calls a function of the
    module; "return": that function is done; "kernel": what the kernel stored beside that, as the rest of
    a function behind its calls back into the module. ``address``, ``name``: where (``hello_init+0x12``);
    ``code``: the instruction's bytes; ``call``: the kernel function's record; ``comm``, ``depth``: which
    task, how many calls from the kernel deep. ``registers`` are those after the step.
    """

    number: int
    kind: str
    address: int
    name: str
    code: bytes
    comm: str
    depth: int
    call: KernelCall | None
    registers: dict[str, int]
    changes: list[Change]
    name_of: Callable[[int], str] = field(repr=False, compare=False)

    @property
    def text(self) -> str:
        """The instruction in AT&T's syntax with what it leads to (its bytes where capstone is not
        installed), or what happened."""
        if self.kind == "instruction":
            from .disassembly import address_in, instruction_text

            words = instruction_text(self.code, self.address)
            target = address_in(words, self.address + len(self.code))
            name = self.name_of(target) if target is not None else ""
            return f"{words} <{name}>" if name else words
        where = self.name or f"{self.address:#x}"
        rest = f"the rest of {self.call.name}()" if self.call is not None else "the kernel, in between"
        said = {"call": str(self.call), "enter": f"the kernel calls {where}",
                "return": f"back in the kernel, {where}"}  # fmt: skip
        return said.get(self.kind, rest)


class Run(Sequence[Step]):
    """What was recorded. Steps count from 0; as a moment, ``-1`` is before the first step.

    ``cut``: there were more steps, or they wrote more, than the recording's limit; it ends there.
    """

    def __init__(self) -> None:
        self.cut = False
        self.steps: Sequence[Step] = self
        self._rows: list[Row] = []
        self._registers = array("Q")  # those before each step, and after the last
        self._writes: list[Write] = []
        self._first: list[int] = []  # each step's first write
        self._areas: list[tuple[int, Area]] = []  # (first step that touched it, memory)
        self._kept: dict[int, bytes] = {}  # number of an area -> its bytes when the recording ended
        self._cpu: Cpu | None = None

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, k: int) -> Step: ...
    @overload
    def __getitem__(self, k: slice) -> list[Step]: ...
    def __getitem__(self, k: int | slice) -> Step | list[Step]:
        if isinstance(k, slice):
            return [self[i] for i in range(len(self))[k]]
        k = range(len(self))[k]
        row = self._rows[k]
        return Step(
            k, row.kind, row.address, row.name, row.code, row.comm, row.depth, row.call, self.at(k),
            self.changes(k), self._name_of,
        )  # fmt: skip

    def at(self, k: int) -> dict[str, int]:
        """All registers after step ``k``; IndexError: there is no such moment."""
        self._moment(k)
        size = len(NAMES)
        return dict(zip(NAMES, self._registers[(k + 1) * size : (k + 2) * size], strict=True))

    def changed(self, k: int) -> dict[str, int]:
        """The registers that step ``k`` left with another value, without rip."""
        before, after = self.at(k - 1), self.at(k)
        return {name: value for name, value in after.items() if value != before[name] and name != "rip"}

    def changes(self, k: int) -> list[Change]:
        """What step ``k`` stored, in order, with what was there before."""
        end = self._first[k + 1] if k + 1 < len(self._first) else len(self._writes)
        return [Change(w.start, w.before, w.after) for w in self._writes[self._first[k] : end]]

    def memory(self, address: int, length: int, k: int) -> bytes:
        """``length`` bytes at ``address`` as they were after step ``k``.

        KernelError(EFAULT): nothing was mapped there. Of what the run did not touch, the kernel's own
        large areas are read as they are now.
        """
        self._moment(k)
        out = bytearray()
        while len(out) < length:
            piece = self._piece(address + len(out), length - len(out), k)
            out += piece
        return bytes(out)

    def writers(self, address: int, length: int = 1) -> list[int]:
        """The steps that stored something in those bytes: from when on is this value wrong?"""
        found = (i for i, w in enumerate(self._writes) if w.start < address + length
                 and address < w.start + len(w.after))  # fmt: skip
        return sorted({bisect_right(self._first, i) - 1 for i in found})

    @cached_property
    def _names(self) -> dict[int, str]:
        return {row.address: row.name for row in self._rows}

    def _name_of(self, address: int) -> str:
        """What an address was called when the run came by there, or is called now."""
        found = self._names.get(address)
        return found if found is not None else self._cpu.names.of(address) if self._cpu is not None else ""

    def _moment(self, k: int) -> None:
        if not -1 <= k < len(self):
            raise IndexError(f"moments are -1 … {len(self) - 1}, not {k}")

    def _piece(self, address: int, length: int, k: int) -> bytes:
        """As many of the bytes as one area holds."""
        number = self._area_then(address, k)
        if number is None:
            area = self._cpu.space.area_at(address) if self._cpu is not None else None
            if area is None:
                raise KernelError(EFAULT, why=f"{address & U64:#018x}: nothing was mapped there")
            return bytes_at(area, address, length)
        area = self._areas[number][1]
        offset = address - area.start
        kept = self._kept.get(number)
        data = bytearray(bytes_at(area, address, length) if kept is None else kept[offset : offset + length])
        after = self._first[k + 1] if k + 1 < len(self._first) else len(self._writes)
        for write in reversed(self._writes[after:]):
            if write.area == number:
                _overlay(data, address, write)
        return bytes(data)

    def _area_then(self, address: int, k: int) -> int | None:
        """The number of the memory that held ``address`` at step ``k``: the last that was there by then."""
        held = [i for i, (_, area) in enumerate(self._areas) if area.start <= address < area.end]
        then = [i for i in held if self._areas[i][0] <= k]
        return then[-1] if then else held[0] if held else None

    def __str__(self) -> str:
        lines = [f"{step.number:6d}  {_line(step, self.changed(step.number))}" for step in self]
        return "\n".join([*lines, *(["        cut: the recording's limit was reached"] if self.cut else [])])

    def __repr__(self) -> str:
        return f"<{len(self)} steps{', cut' if self.cut else ''}>"


def _line(step: Step, changed: dict[str, int]) -> str:
    results = [f"{name}={value:#x}" for name, value in changed.items()]
    results += [f"[{c.start:#x}]={_number(c.after)}" for c in step.changes if c.before != c.after]
    place = f"{step.address:#x} {step.name}" if step.kind == "instruction" else step.kind
    return f"{place:<46} {step.text:<60} {'  '.join(results[:8])}{'  …' if len(results) > 8 else ''}".rstrip()


def _number(data: bytes) -> str:
    """What was stored: a number as large as a register, else how many bytes."""
    return f"{int.from_bytes(data, 'little'):#x}" if len(data) <= 8 else f"{len(data)} bytes"


def bytes_at(area: Area, address: int, length: int) -> bytes:
    offset = address - area.start
    return area.data[offset : offset + length].tobytes()


def _overlay(data: bytearray, address: int, write: Write) -> None:
    """Put what was there before a write back, as far as it lies in ``data``."""
    start, end = max(address, write.start), min(address + len(data), write.start + len(write.before))
    if start < end:
        data[start - address : end - address] = write.before[start - write.start : end - write.start]
