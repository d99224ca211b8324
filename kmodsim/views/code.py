# SPDX-License-Identifier: GPL-2.0-only
"""Tables of running code: calls of the kernel, steps of a recording, annotated instructions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .view import View, plural, table

MORE = 12  # registers and stores of a step that are shown


class CallLine(NamedTuple):
    """A call: seconds since boot, the task, where it came from, how many calls back it is deep (1: none),
    function with arguments, result, whether the result was made up."""

    seconds: float
    task: str
    site: str
    depth: int
    call: str
    result: str
    stand_in: bool


class StepLine(NamedTuple):
    """A step: its number, where, what it did; name -> value of what it changed, registers and memory."""

    number: int
    place: str
    text: str
    changed: dict[str, str]


class CodeLine(NamedTuple):
    """An instruction: address, offset in its section, bytes, text, what is to be said of it, symbol here."""

    address: int
    offset: int
    code: bytes
    text: str
    notes: Sequence[str]
    label: str


def call_table(lines: Sequence[CallLine], title: str) -> View:
    """An strace of kernel functions."""
    rows: list[tuple[str, ...]] = [
        (f"{c.seconds:.6f}", c.task, c.site, "  " * (c.depth - 1) + c.call,
         c.result + ("  [stand-in]" if c.stand_in else ""))
        for c in lines
    ]  # fmt: skip
    made_up = sum(c.stand_in for c in lines)
    words = plural(len(lines), "call") + (f", {made_up} of them answered by a stand-in" if made_up else "")
    return table(title, words, ("seconds", "task", "from", "call", "result"), rows, right=(0,))


def step_table(lines: Sequence[StepLine], title: str, *, cut: bool = False) -> View:
    """The steps of a run, each with what it changed."""
    rows: list[tuple[str, ...]] = [(str(s.number), s.place, s.text, _changed(s.changed)) for s in lines]
    note = "The recording's limit was reached: there were more." if cut else ""
    heads = ("step", "where", "what", "changes")
    return table(title, plural(len(lines), "step"), heads, rows, right=(0,), note=note)


def _changed(values: dict[str, str]) -> str:
    shown = [f"{name}={value}" for name, value in values.items()]
    return "  ".join(shown[:MORE]) + ("  …" if len(shown) > MORE else "")


def code_table(lines: Sequence[CodeLine], title: str) -> View:
    """A disassembly; where a symbol begins stands its name."""
    rows: list[tuple[str, ...]] = [
        (c.label, f"{c.address:x}", f"{c.offset:x}", c.code.hex(" "), c.text, "; ".join(c.notes))
        for c in lines
    ]
    heads = ("symbol", "address", "offset", "bytes", "instruction", "what is known of it")
    return table(title, plural(len(lines), "instruction"), heads, rows, right=(1, 2))
