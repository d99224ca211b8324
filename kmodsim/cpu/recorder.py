# SPDX-License-Identifier: GPL-2.0-only
"""Recording a run for ``travel.py``: the machine says each instruction and store before it happens, the
address space what Python's kernel functions store, the processor where calls begin and end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..memory import Area
from .calls import KernelCall
from .machine import NAMES
from .names import U64
from .travel import Row, Run, Write, bytes_at

if TYPE_CHECKING:
    from .cpu import Cpu

STEPS = 50_000  # of one recording
BYTES = 32 << 20  # that its steps write, before and after counted
COPIED = 4 << 20  # areas up to this size are kept whole, of larger ones what the run wrote
HLT = b"\xf4"


@contextmanager
def recording(cpu: Cpu, limit: int = STEPS) -> Iterator[Run]:
    """Record what the processor does inside the ``with``. ValueError: something is recorded already."""
    if cpu.recorder is not None:
        raise ValueError("a recording is under way already")
    recorder = Recorder(cpu, limit)
    try:
        yield recorder.run
    finally:
        recorder.finish()


class Recorder:
    """Takes down steps while the processor runs; the processor tells it of what is no instruction."""

    def __init__(self, cpu: Cpu, limit: int) -> None:
        self._cpu, self._limit, self._left = cpu, limit, BYTES
        self.run = Run()
        self.run._cpu = cpu
        self._pending: list[tuple[int, int, bytes]] = []  # area, start, before: of the step that is open
        self._open = self._blind = False
        self._task = cpu.tasks.current
        self._numbers: dict[int, int] = {}  # id of an area's bytes -> its number
        self._last: Area | None = None
        self._stop_watching = cpu.machine.watch(self._instruction, self._stored)
        self._memory_write = cpu.kernel.memory.write
        # the loader's own stores pass the processor's address space by; for this while they do not
        vars(cpu.kernel.memory)["write"] = self._loader_stores
        cpu.space.noted = self._stored
        cpu.recorder = self

    def finish(self) -> None:
        """End it."""
        self._close()
        run, cpu = self.run, self._cpu
        cpu.recorder, cpu.space.noted = None, None
        del vars(cpu.kernel.memory)["write"]
        if not self._blind:
            self._stop_watching()
        if not run.cut:
            self._keep()

    # --- what the processor tells

    def entering(self, address: int) -> None:
        """The kernel calls a function of the module."""
        self._begin("enter", address, b"")
        self._give_up()

    def stopped(self) -> None:
        """That function has returned, or an instruction faulted: what is stored now is the kernel's doing."""
        self._close()

    def called(self, call: KernelCall) -> None:
        """The instruction that was met last is the first of a kernel function, which Python does now."""
        if not self.run.cut and self.run._rows:
            self.run._rows[-1] = self.run._rows[-1]._replace(kind="call", call=call)
        self._give_up()

    def returned(self, call: KernelCall) -> None:
        """Python is done with it."""
        self._close()
        rows = self.run._rows
        if rows and rows[-1].kind == "kernel" and rows[-1].call is None:
            rows[-1] = rows[-1]._replace(call=call)

    def _give_up(self) -> None:
        """Once the limit is reached, and the machine stands still, let it run at its own speed again."""
        if self.run.cut and not self._blind:
            self._blind = True
            self._stop_watching()

    # --- what the machine and the memory tell

    def _instruction(self, address: int, size: int) -> None:
        code = self._code(address & U64, size)
        stops = code == HLT and self._in_kernel(address & U64)
        self._begin("return" if stops else "instruction", address & U64, code)

    def _stored(self, address: int, length: int) -> None:
        """``length`` bytes at ``address`` are about to be stored."""
        if self.run.cut:
            return
        if not self._open or self._cpu.tasks.current is not self._task:
            self._begin("kernel", 0, b"")
        address &= U64
        area = self._area_at(address)
        if area is None:
            return
        before = bytes_at(area, address, length)
        self._left -= 2 * len(before)
        self._pending.append((self._number(area), address, before))

    def _loader_stores(self, address: int, data: bytes) -> None:
        self._stored(address, len(data))
        self._memory_write(address, data)

    # --- keeping

    def _begin(self, kind: str, address: int, code: bytes) -> None:
        run, task = self.run, self._cpu.tasks.current
        self._close()
        if run.cut:
            return
        if len(run._rows) >= self._limit or self._left < 0:
            run.cut = True
            self._keep()
            return
        name = self._cpu.names.of(address)
        run._rows.append(Row(kind, address, code, name, task.comm, task.depth, None))
        run._registers.extend(self._read_registers())
        run._first.append(len(run._writes))
        self._open, self._task = True, task

    def _keep(self) -> None:
        """The last moment: registers, and the memory that was touched, so that what happens later does not
        show in it."""
        run, heap = self.run, self._cpu.heap
        run._registers.extend(self._read_registers())
        for number, (_, area) in enumerate(run._areas):
            if len(area.data) <= COPIED or area is heap.area:
                run._kept[number] = area.data[: heap.used if area is heap.area else None].tobytes()

    def _close(self) -> None:
        """Look at what the open step left where it said that it would store."""
        areas = self.run._areas
        for number, start, before in self._pending:
            after = bytes_at(areas[number][1], start, len(before))
            self.run._writes.append(Write(number, start, before, after))
        self._pending.clear()
        self._open = False

    def _read_registers(self) -> Sequence[int]:
        return [value & U64 for value in self._cpu.machine.read(NAMES)]

    def _in_kernel(self, address: int) -> bool:
        start, end = self._cpu.profile.text
        return start <= address < end

    def _code(self, address: int, size: int) -> bytes:
        area = self._area_at(address)
        if area is None:
            return self._cpu.machine.kernel_code(address, size)
        self._number(area)
        return bytes_at(area, address, size)

    def _area_at(self, address: int) -> Area | None:
        if self._last is None or not self._last.start <= address < self._last.end:
            self._last = self._cpu.space.area_at(address)
        return self._last

    def _number(self, area: Area) -> int:
        """The area's number; it is kept alive, so its id is its own."""
        number = self._numbers.get(id(area))
        if number is None:
            number = self._numbers[id(area)] = len(self.run._areas)
            self.run._areas.append((len(self.run._rows), area))
        return number
