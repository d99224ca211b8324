# SPDX-License-Identifier: GPL-2.0-only
"""Instructions through the stages of a load: each text with the stages during which it reads so.

Code is decoded once, when ``move_module`` has copied it; after that only what a stage wrote over is decoded
again, from the instruction that begins before the write to the first one that ends where an old one ends.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...records import Bytes
from .parts import Instruction, Write

LONGEST = 15  # bytes of an x86 instruction


class CodeSpan(NamedTuple):
    """Code of one section: its place, its address, how many bytes, and where symbols begin (offsets)."""

    place: int
    address: int
    size: int
    symbols: Sequence[int]


class Reading(NamedTuple):
    """How an instruction reads now, and since which stage."""

    length: int
    text: str
    since: int


class CodeHistory:
    """``begin`` when the code has been copied, ``wrote`` after every stage that stored something."""

    def __init__(self, spans: Iterable[CodeSpan]) -> None:
        self._spans = sorted(spans)
        self._now: list[dict[int, Reading]] = [{} for _ in self._spans]
        self._starts: list[list[int]] = [[] for _ in self._spans]
        self._past: list[Instruction] = []

    def begin(self, stage: int, memory: Bytes) -> None:
        """Decode everything, each symbol's code on its own, as objdump does."""
        from ...cpu.disassembly import decode

        for span, now in zip(self._spans, self._now, strict=True):
            cuts = sorted({0, span.size, *(s for s in span.symbols if 0 < s < span.size)})
            for start, end in pairwise(cuts):
                code = memory[span.place + start : span.place + end].tobytes()
                for address, raw, text in decode(code, span.address + start):
                    now[span.place + address - span.address] = Reading(len(raw), text, stage)
        self._starts = [sorted(now) for now in self._now]

    def wrote(self, stage: int, memory: Bytes, writes: Iterable[Write]) -> None:
        """Decode again what these writes touch."""
        places = [span.place for span in self._spans]
        for write in writes:
            number = bisect_right(places, write.place) - 1
            if number >= 0 and write.place < places[number] + self._spans[number].size and self._now[number]:
                self._again(number, stage, memory, write)

    def _again(self, number: int, stage: int, memory: Bytes, write: Write) -> None:
        span, now, starts = self._spans[number], self._now[number], self._starts[number]
        end, stop = span.place + span.size, write.place + len(write.data)
        at = starts[max(0, bisect_right(starts, write.place) - 1)]
        while at < end and (at < stop or at not in now):
            length, text = self._decode(span, memory, at, end)
            for old in self._covered(starts, at + 1, at + length):
                self._close(now, old, stage)
                starts.remove(old)
            was = now.get(at)
            if was is None or was[:2] != (length, text):
                self._close(now, at, stage)
                if was is None:
                    insort(starts, at)
                now[at] = Reading(length, text, stage)
            at += length

    @staticmethod
    def _covered(starts: list[int], low: int, high: int) -> list[int]:
        return starts[bisect_left(starts, low) : bisect_left(starts, high)]

    def _close(self, now: dict[int, Reading], at: int, stage: int) -> None:
        was = now.pop(at, None)
        if was is not None and was.since != stage:
            self._past.append(Instruction(at, was.length, was.text, was.since, stage))

    @staticmethod
    def _decode(span: CodeSpan, memory: Bytes, at: int, end: int) -> tuple[int, str]:
        from ...cpu.disassembly import decode

        code = memory[at : min(at + LONGEST, end)].tobytes()
        found = next(decode(code, span.address + at - span.place))
        return len(found.code), found.text

    def instructions(self, stages: int) -> list[Instruction]:
        """All readings by place, then by stage; the last ones hold to the end (``stages``)."""
        rows = [*self._past, *self._present(stages)]
        return sorted(rows, key=lambda row: (row.place, row.since))

    def _present(self, stages: int) -> Iterator[Instruction]:
        for now in self._now:
            for at, reading in now.items():
                yield Instruction(at, reading.length, reading.text, reading.since, stages)
