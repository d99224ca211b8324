# SPDX-License-Identifier: GPL-2.0-only
"""The trace played once from beginning to end: what stages stored, S of all symbols, what relocation did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ...arch.x86_64 import SIZE_OF
from ...loader.load import Load
from ...memory import Change
from ...modulefile import ModuleFile, RelocationTable
from ...records import SHN_UNDEF, SYM, Bytes, view
from ...trace import Record
from .code import CodeHistory
from .layout import Layout
from .parts import Relocation, Stage, Symbol, Write

SHORT = 64  # a copy from the file that is shorter is as well kept as bytes


class Replay:
    """``run`` first; then ``symbols`` and ``relocations``."""

    def __init__(self, load: Load, file: ModuleFile, layout: Layout) -> None:
        self._load, self._file, self._layout = load, file, layout
        self._memory: Bytes = np.zeros(layout.size, np.uint8)
        self._before: Bytes = self._memory
        self._after: Bytes | None = None
        self._stored: frozenset[int] | None = None  # places, where the stage did not end well
        self._addresses: list[int] | None = None
        self._kept = sorted((s.place, s.place + s.kept) for s in layout.spans if s.kept)

    def run(self, code: CodeHistory | None) -> tuple[Stage, ...]:
        """Every stage of the trace; ``code`` follows it."""
        return tuple(self._stage(number, record, code) for number, record in enumerate(self._load.trace))

    def _stage(self, number: int, record: Record, code: CodeHistory | None) -> Stage:
        if record.stage == "apply_relocations":
            self._before = self._memory.copy()
        writes, elsewhere = self._writes(record)
        if code is not None and record.stage == "move_module" and not record.error:
            code.begin(number, self._memory)
        elif code is not None and writes:
            code.wrote(number, self._memory, writes)
        if record.stage == "simplify_symbols":
            self._addresses = self._values()
        if record.stage == "apply_relocations":
            self._after = self._memory.copy()
            self._stored = frozenset(write.place for write in writes) if record.error else None
        words = "" if record.error else record.summary()
        return Stage(
            record.stage, record.title, record.function, record.source, words, record.error or "",
            tuple(line[3:] for line in record.log), tuple(self._shown(writes)), elsewhere,
        )  # fmt: skip

    def _writes(self, record: Record) -> tuple[list[Write], int]:
        """What the stage stored in the module's memory, and how many bytes it changed elsewhere."""
        writes, elsewhere = [], 0
        sources = self._sources() if record.stage == "move_module" else {}
        for change in record.changes:
            place = self._layout.place(change.start)
            if place < 0 or place + len(change.after) > len(self._memory):
                elsewhere += len(change.after)
                continue
            self._memory[place : place + len(change.after)] = np.frombuffer(change.after, np.uint8)
            writes.append(Write(place, change.after, self._source(change, sources)))
        return writes, elsewhere

    def _sources(self) -> dict[int, int]:
        """Address of a section -> where in the file its bytes are."""
        return {s.address: s.offset for s in self._layout.sections if s.place >= 0 and s.length}

    def _source(self, change: Change, sources: dict[int, int]) -> int:
        offset = sources.get(change.start, -1)
        size = len(change.after)
        if offset < 0 or size < SHORT or self._file.data[offset : offset + size] != change.after:
            return -1
        return offset

    def _shown(self, writes: Iterable[Write]) -> Iterator[Write]:
        """The writes, or their beginnings, that lie in what the document keeps."""
        starts = [low for low, _ in self._kept]
        for write in writes:
            row = max(0, int(np.searchsorted(starts, write.place, "right")) - 1) if starts else 0
            end = write.place + len(write.data)
            for low, high in self._kept[row:]:
                if low >= end:
                    break
                first, last = max(low, write.place), min(high, end)
                if first < last:
                    data = write.data[first - write.place : last - write.place]
                    source = write.source + first - write.place if write.source >= 0 else -1
                    yield Write(first, data, source)

    def _values(self) -> list[int]:
        """st_value of all symbols, as ``simplify_symbols`` leaves them in init memory."""
        header = self._load.sections[self._load.index.sym]
        place = self._layout.place(header.addr)
        table = view(self._memory, place, header.size // SYM.itemsize, SYM)
        return [int(value) for value in table["st_value"].tolist()]

    @property
    def symbols(self) -> tuple[Symbol, ...]:
        values = self._addresses or []
        return tuple(
            self._symbol(s, values[s.index] if s.index < len(values) else None) for s in self._file.symbols
        )

    def _symbol(self, symbol: Any, address: int | None) -> Symbol:
        home = "this module"
        if symbol.section_index == SHN_UNDEF:
            area = self._load.kernel.memory.area_at(address or 0)
            home = area.owner if area is not None else "the kernel" if address else ""
        name = self._file.symbols.label(symbol.index)
        return Symbol(
            symbol.index, name, symbol.type, symbol.bind, symbol.section_index, symbol.value, symbol.size,
            address, home,
        )  # fmt: skip

    def relocations(self) -> tuple[Relocation, ...]:
        """All entries of the bytes that are kept, in the order the loader takes them."""
        return tuple(row for table in self._file.relocations.tables for row in self._of(table))

    def _of(self, table: RelocationTable) -> Iterator[Relocation]:
        target = self._layout.sections[table.target.index] if table.target is not None else None
        section, size = (target.number, target.kept) if target is not None else (0, 0)
        for row in table.records.tolist():
            offset, kind, symbol = row[:3]
            if target is not None and offset >= size and target.kept < target.size:
                continue
            inside = target is not None and target.place >= 0 and offset < target.size
            place = target.place + offset if target is not None and inside else -1
            addend = row[3] if len(row) > 3 else 0
            before, after = self._bytes(place, int(SIZE_OF[kind]) if kind < len(SIZE_OF) else -1)
            yield Relocation(table.section.index, section, offset, kind, symbol, addend, place, before, after)

    def _bytes(self, place: int, size: int) -> tuple[bytes | None, bytes | None]:
        if self._after is None or place < 0 or size < 0 or place + size > len(self._memory):
            return None, None
        before = self._before[place : place + size].tobytes()
        if self._stored is not None and place not in self._stored:
            return before, None
        return before, self._after[place : place + size].tobytes()
