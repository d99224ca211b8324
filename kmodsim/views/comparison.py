# SPDX-License-Identifier: GPL-2.0-only
"""Two answers side by side, yours and the kernel's: the first field or byte that differs comes first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .svg import WIDTH, Drawing
from .view import View, columns, plural

NAME_W, BAR_X, BAR_W = 170, 178, 380
ROW, CELL, WINDOW = 22, 34, 16  # a section's row; one byte of the strip; bytes in a strip
MOST_ROWS, MOST_RUNS = 14, 1000


class Field(NamedTuple):
    """Something that both answers have a word for: a size, an address, an errno."""

    name: str
    mine: str
    theirs: str


class Region(NamedTuple):
    """A section's bytes in both answers; ``address`` is where the kernel has it."""

    name: str
    address: int
    mine: bytes
    theirs: bytes


class Fixup(NamedTuple):
    """A relocation entry with its numbers: ``size`` bytes at ``P`` of ``S + A`` or ``S + A − P``."""

    type: str
    formula: str
    symbol: str
    S: int
    A: int
    P: int
    size: int


class Run(NamedTuple):
    """Bytes in a row that differ: ``offset`` in the section, ``length``."""

    region: Region
    offset: int
    length: int

    @property
    def place(self) -> str:
        return f"{self.region.name}+{self.offset:#x}"


def differing(regions: Sequence[Region], most: int = MOST_RUNS) -> list[Run]:
    """The first ``most`` runs of bytes that differ, by address; a missing end differs, too."""
    runs: list[Run] = []
    for region in sorted(regions, key=lambda region: region.address):
        if region.mine == region.theirs:
            continue
        runs += [Run(region, start, end - start) for start, end in _runs(region.mine, region.theirs)]
        if len(runs) >= most:
            break
    return runs[:most]


def _runs(mine: bytes, theirs: bytes) -> list[tuple[int, int]]:
    """(start, end) of all runs of bytes that differ."""
    common = min(len(mine), len(theirs))
    differ = np.ones(max(len(mine), len(theirs)) + 2, np.int8)
    differ[0] = differ[-1] = 0
    one, other = (np.frombuffer(data[:common], np.uint8) for data in (mine, theirs))
    differ[1 : common + 1] = one != other
    edges = np.flatnonzero(np.diff(differ)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def comparison(
    fields: Sequence[Field], regions: Sequence[Region], fixups: Sequence[Fixup], title: str, chosen: int = 0
) -> View:
    """What differs, the first thing in words. ``chosen``: which run of bytes is shown large, from 0.

    ``fixups``: relocation entries; the one that covers the bytes is shown with its numbers.
    """
    runs = differing(regions)
    unequal = [field for field in fields if field.mine != field.theirs]
    shown = runs[min(chosen, len(runs) - 1)] if runs else None
    first = _first(unequal, runs)
    lines = _lines_of(shown, fixups) if shown else []
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    y = 46.0
    for line in [first, *(f"{f.name}: yours {f.mine}, the kernel's {f.theirs}" for f in unequal[:6])]:
        drawing.text(8, y, line, "b" if y == 46 else "", room=WIDTH - 16)
        y += 18
    y = _overview(drawing, y + 6, regions, runs)
    if shown:
        y = _strip(drawing, y + 8, shown, lines)
    text = _text(title, first, unequal, regions, runs, lines)
    return View(title, first, text, drawing.svg(title, first, y + 8))


def _first(unequal: Sequence[Field], runs: Sequence[Run]) -> str:
    if unequal:
        field = unequal[0]
        return f"✗ First difference: {field.name} is {field.mine}, the kernel's is {field.theirs}."
    if runs:
        found, wanted = _bytes_of(runs[0])
        return f"✗ First difference: {runs[0].place} has {found}, the kernel's has {wanted}."
    return "✓ No difference: every field and every byte is the kernel's."


def _bytes_of(run: Run, most: int = 8) -> tuple[str, str]:
    """(yours, the kernel's) of a run, written out."""

    def hex_of(data: bytes) -> str:
        piece = data[run.offset : run.offset + run.length]
        return (piece[:most].hex(" ") or "nothing") + (" …" if len(piece) > most else "")

    return hex_of(run.region.mine), hex_of(run.region.theirs)


def _lines_of(run: Run, fixups: Sequence[Fixup]) -> list[str]:
    """In words: the run, and the relocation entry that should have made these bytes."""
    found, wanted = _bytes_of(run)
    address = run.region.address + run.offset
    lines = [f"{run.place}, {address:#x}: found {found}, expected {wanted}"]
    for fixup in fixups:
        if address + run.length > fixup.P and fixup.P + fixup.size > address:
            value = (fixup.S + fixup.A - (fixup.P if "P" in fixup.formula else 0)) % (1 << 64)
            numbers = f"S {fixup.S:#x}, A {fixup.A:+#x}, P {fixup.P:#x}"
            stored = (value % (1 << 8 * fixup.size)).to_bytes(fixup.size, "little").hex(" ")
            formula = fixup.formula.replace("-", "−")
            lines.append(f"made by {fixup.type} for {fixup.symbol}: {formula} with {numbers}")
            lines.append(f"is {value:#x}; its low {fixup.size} bytes, the least first: {stored}")
            at = fixup.P - run.region.address
            if run.region.theirs[at : at + fixup.size].hex(" ") != stored:
                lines.append("these bytes were patched after that, and are no longer the relocation's")
            return lines
    return [*lines, "no relocation entry covers these bytes: another stage writes them, or none does"]


def _overview(drawing: Drawing, y: float, regions: Sequence[Region], runs: Sequence[Run]) -> float:
    """A bar for each section with what differs marked; those that differ come first when there are many."""
    counts = _counts(runs)
    order = sorted(regions, key=lambda region: region.address)
    if len(order) > MOST_ROWS:
        order = sorted(order, key=lambda region: region.name not in counts)[:MOST_ROWS]
    for region in order:
        length = max(len(region.mine), len(region.theirs), 1)
        drawing.text(NAME_W, y + 13, region.name, "m s", "end", room=NAME_W - 8)
        drawing.rect(BAR_X, y + 2, BAR_W, 15, "good", tip=f"{region.name}: {plural(length, 'byte')}")
        own = [run for run in runs if run.region is region]
        marks = {(BAR_W * r.offset // length, max(2, BAR_W * r.length // length)) for r in own}
        for x, width in sorted(marks):
            drawing.rect(BAR_X + x, y + 2, min(width, BAR_W - x), 15, "bad")
        count = counts.get(region.name, 0)
        words = f"✗ {count:,} of {length:,} bytes differ" if count else f"✓ {plural(length, 'byte')}"
        drawing.text(BAR_X + BAR_W + 8, y + 14, words, "s")
        y += ROW
    if len(regions) > len(order):
        drawing.text(BAR_X, y + 12, f"{len(regions) - len(order)} more sections are not drawn", "s")
        y += 18
    return y


def _counts(runs: Sequence[Run]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for run in runs:
        counts[run.region.name] = counts.get(run.region.name, 0) + run.length
    return counts


def _strip(drawing: Drawing, y: float, run: Run, lines: Sequence[str]) -> float:
    """Sixteen bytes of both answers around a run, those that differ marked; what it should be in words."""
    start = max(0, run.offset - 4)
    for row, (name, data) in enumerate((("yours", run.region.mine), ("the kernel's", run.region.theirs))):
        top = y + 16 + 24 * row
        drawing.text(NAME_W, top + 15, name, "b", "end")
        for column in range(WINDOW):
            at = start + column
            if at >= len(data):
                break
            differs = run.region.mine[at : at + 1] != run.region.theirs[at : at + 1]
            x = BAR_X + column * CELL
            fill, css = ("bad", "box heavy") if differs else ("plain", "box")
            drawing.rect(x, top, CELL - 4, 20, fill, css=css)
            drawing.text(x + (CELL - 4) / 2, top + 14, f"{data[at]:02x}", "on m", "middle")
    drawing.text(BAR_X, y + 10, f"{run.region.name}+{start:#x}", "m s")
    y += 82
    for line in lines:
        drawing.text(8, y, line, "m s", room=WIDTH - 16)
        y += 16
    return y


def _text(
    title: str, first: str, unequal: Sequence[Field], regions: Sequence[Region], runs: Sequence[Run],
    lines: Sequence[str],
) -> str:  # fmt: skip
    counts = _counts(runs)
    rows = [("section", "bytes", "differ", "first at")]
    for region in sorted(regions, key=lambda region: region.address):
        at = next((f"+{run.offset:#x}" for run in runs if run.region is region), "-")
        length = max(len(region.mine), len(region.theirs))
        rows.append((region.name, f"{length:,}", f"{counts.get(region.name, 0):,}", at))
    differ = [f"{field.name}: yours {field.mine}, the kernel's {field.theirs}" for field in unequal]
    many = f"{'at least ' if len(runs) >= MOST_RUNS else ''}{plural(len(runs), 'run')} of bytes differ"
    return "\n".join([title, first, *differ, *lines, many, columns(rows, right=(1, 2))])
