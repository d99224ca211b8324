# SPDX-License-Identifier: GPL-2.0-only
"""Bytes as people read them: a hex dump with named regions, and the difference of two images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .svg import FILLS, WIDTH, Drawing
from .view import View, columns, plural

Region = tuple[int, int, str, str]  # address, size in bytes, name, fill (a name of svg.FILLS or "")
Mark = tuple[int, int]  # address, size in bytes

LEFT, CELL, CHAR, ROW, TOP = 128, 21, 7.2, 20, 40
REPEATED, EQUAL = "like the one above", "without a difference"
MOST = 64  # rows of one dump; more are counted, not drawn


class Line(NamedTuple):
    """One row: its address, its bytes, a word before the address ("before", "after").

    ``data`` None: ``left_out`` rows are left out here, ``label`` says why.
    """

    address: int
    data: bytes | None
    label: str = ""
    left_out: int = 0


def hex_dump(
    data: bytes,
    start: int = 0,
    regions: Sequence[Region] = (),
    marks: Sequence[Mark] = (),
    columns: int = 16,
    title: str = "Bytes",
    most: int = MOST,
) -> View:
    """``data`` as rows of ``columns`` bytes, the first at address ``start``.

    ``regions`` are (address, size, name, fill): coloured and named, a later one over an earlier one;
    ``marks`` are (address, size): framed. Equal rows that hold no beginning of either are left out, as
    hexdump(1) does, and rows beyond ``most`` too.
    """
    lines = list(_lines(data, start, columns, [r[0] for r in regions] + [m[0] for m in marks]))
    shown, rest = lines[:most], sum(_rows(line) for line in lines[most:])
    note = f"{plural(rest, 'more row')} not shown" if rest else ""
    end = start + len(data)
    description = f"{plural(len(data), 'byte')} from {start:#x} to {end:#x}. " + _told(marks, regions)
    return _view(shown, regions, marks, columns, title, description.strip(), note)


def hex_difference(
    before: bytes,
    after: bytes,
    start: int = 0,
    regions: Sequence[Region] = (),
    columns: int = 16,
    title: str = "What changed",
    most: int = MOST,
    names: tuple[str, str] = ("before", "after"),
) -> View:
    """The rows in which two images differ, one below the other, differing bytes framed; equal rows left out.

    ``most``: how many differing rows are drawn. Lengths may differ: a byte that only one of them has differs.
    """
    changed = differences(before, after)
    spans = [range(at // columns, (at + size - 1) // columns + 1) for at, size in changed]
    rows = sorted({row for span in spans for row in span})
    rest = max(0, len(rows) - most)
    shown = list(_pairs(before, after, start, columns, names, rows[:most]))
    marks = [(start + at, size) for at, size in changed]
    note = f"{plural(rest, 'more row')} that differ not shown" if rest else ""
    description = _first_difference(before, after, changed, start, regions, names)
    return _view(shown, regions, marks, columns, title, description, note)


def differences(before: bytes, after: bytes) -> list[Mark]:
    """(offset, size) of each run of bytes that differ or that only the longer one has."""
    common = min(len(before), len(after))
    old, new = (np.frombuffer(data, np.uint8)[:common] for data in (before, after))
    places = np.flatnonzero(old != new)
    longest = max(len(before), len(after))
    places = np.append(places, np.arange(common, longest))
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    return [(int(run[0]), len(run)) for run in np.split(places, breaks) if len(run)]


# --- rows ---------------------------------------------------------------------------------------------------


def _lines(data: bytes, start: int, width: int, keep: Sequence[int]) -> Iterator[Line]:
    """The rows of a dump; a run of rows equal to the one above becomes one line without bytes."""
    above: bytes | None = None
    out = 0
    for at in range(0, len(data), width):
        row = data[at : at + width]
        held = any(start + at <= place < start + at + width for place in keep)
        if row == above and not held and at + width < len(data):
            out += 1
            continue
        if out:
            yield Line(start + at - out * width, None, REPEATED, out)
        yield Line(start + at, row)
        above, out = row, 0


def _pairs(
    before: bytes, after: bytes, start: int, width: int, names: tuple[str, str], rows: Sequence[int]
) -> Iterator[Line]:
    """The rows with these numbers from both images, and lines for those between them."""
    reached = 0
    for row in rows:
        if row > reached:
            yield Line(start + reached * width, None, EQUAL, row - reached)
        at, reached = row * width, row + 1
        for name, data in zip(names, (before, after), strict=True):
            yield Line(start + at, data[at : at + width], name)


def _rows(line: Line) -> int:
    return line.left_out or 1


# --- words --------------------------------------------------------------------------------------------------


def _told(marks: Sequence[Mark], regions: Sequence[Region]) -> str:
    """The marked bytes in words: where, and in which region."""
    words = [f"{_place(at, regions)}, {plural(size, 'byte')}" for at, size in marks[:8]]
    more = f" and {len(marks) - 8} more" if len(marks) > 8 else ""
    return f"Marked: {'; '.join(words)}{more}." if words else ""


def _place(address: int, regions: Sequence[Region]) -> str:
    """``0x12 (e_machine)``; further into a region ``0x13 (e_machine+0x1)``."""
    for at, size, name, _ in reversed(regions):
        if at <= address < at + size:
            return f"{address:#x} ({name}{f'+{address - at:#x}' if address > at else ''})"
    return f"{address:#x}"


def _first_difference(
    before: bytes, after: bytes, changed: Sequence[Mark], start: int, regions: Sequence[Region],
    names: tuple[str, str],
) -> str:  # fmt: skip
    if not changed:
        return f"No byte differs in {plural(len(before), 'byte')}."
    at = changed[0][0]
    old, new = (f"{data[at]:02x}" if at < len(data) else "nothing" for data in (before, after))
    total = sum(size for _, size in changed)
    lengths = ""
    if len(before) != len(after):
        lengths = f" Lengths: {names[0]} {len(before):,}, {names[1]} {len(after):,}."
    verb = "differs" if total == 1 else "differ"
    return (
        f"{plural(total, 'byte')} {verb}, the first at {_place(start + at, regions)}: {old} → {new}.{lengths}"
    )


def _text(lines: Sequence[Line], regions: Sequence[Region], marks: Sequence[Mark], width: int) -> list[str]:
    rows: list[tuple[str, ...]] = []
    labelled = any(line.label and line.data is not None for line in lines)
    for line in lines:
        if line.data is None:
            cells: tuple[str, ...] = ("*", f"{plural(line.left_out, 'row')} {line.label}", "")
        else:
            near = _near(marks, line.address, len(line.data))
            cells = (f"{line.address:0{_digits(lines)}x}", _hex(line, near, width), _ascii(line.data))
        rows.append((line.label if line.data is not None else "", *cells) if labelled else cells)
    out = columns(rows).splitlines()
    if regions:
        table = [("address", "bytes", "region")]
        table += [(f"{at:#x}", f"{size:,}", name) for at, size, name, _ in regions]
        out += ["", *columns(table, right=(1,)).splitlines()]
    return out


def _near(marks: Sequence[Mark], row: int, size: int) -> list[Mark]:
    """The marks that touch a row."""
    return [(at, length) for at, length in marks if at < row + size and at + length > row]


def _hex(line: Line, marks: Sequence[Mark], width: int) -> str:
    """``7f 45 [4c] 46``: marked bytes in brackets, runs in one pair."""
    assert line.data is not None
    out = ""
    marked = [_marked(line.address + i, marks) for i in range(len(line.data))]
    for i, byte in enumerate(line.data):
        before = i > 0 and marked[i - 1] and not (_begins(line.address + i, marks))
        gap = "[" if marked[i] and not before else "]" if i and marked[i - 1] and not marked[i] else " "
        out += f"{gap}{byte:02x}"
    out += "]" if marked and marked[-1] else ""
    return out.ljust(3 * width + 1)


def _marked(address: int, marks: Sequence[Mark]) -> bool:
    return any(at <= address < at + size for at, size in marks)


def _begins(address: int, marks: Sequence[Mark]) -> bool:
    return any(at == address for at, _ in marks)


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)


def _digits(lines: Sequence[Line]) -> int:
    return max(4, max((len(f"{line.address:x}") for line in lines), default=4))


# --- the picture --------------------------------------------------------------------------------------------


def _view(
    lines: Sequence[Line], regions: Sequence[Region], marks: Sequence[Mark], width: int, title: str,
    description: str, note: str,
) -> View:  # fmt: skip
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    y = float(TOP)
    labelled = any(line.label and line.data is not None for line in lines)
    for line in lines:
        _draw(drawing, y, line, regions, marks, width, _digits(lines), labelled)
        y += ROW
    text = "\n".join([title, description, *_text(lines, regions, marks, width)])
    return View(title, description, text, drawing.svg(title, description, y + 10), note=note)


def _draw(
    drawing: Drawing, y: float, line: Line, regions: Sequence[Region], marks: Sequence[Mark], width: int,
    digits: int, labelled: bool,
) -> None:  # fmt: skip
    left = LEFT + (46 if labelled else 0)
    if line.data is None:
        drawing.text(left, y + 14, f"⋮ {plural(line.left_out, 'row')} {line.label}", "s")
        return
    drawing.text(8, y + 14, line.label, "s")
    drawing.text(left - 10, y + 14, f"{line.address:0{digits}x}", "m", "end")
    size = len(line.data)
    on = [False] * size
    here = [r for r in regions if r[0] < line.address + size and r[0] + r[1] > line.address]
    for at, length, name, fill in here:
        first, last = _span(at, length, line.address, size)
        on[first:last] = [bool(fill)] * (last - first)
        _cover(drawing, left, y, first, last, fill, f"{name}: {plural(length, 'byte')} at {at:#x}")
    _glyphs(drawing, left, y, line.data, on)
    for at, length in _near(marks, line.address, size):
        first, last = _span(at, length, line.address, size)
        x, w = _frame(left, first, last)
        drawing.rect(x - 1, y - 1.5, w + 2, ROW, css="line heavy", radius=3)
    right = _x(left, width) + 8
    drawing.text(right, y + 14, _ascii(line.data), "m")
    names = ", ".join(name for at, _, name, _ in here if at >= line.address)
    names_at = right + width * CHAR + 8
    drawing.text(names_at, y + 14, names, "s", room=WIDTH - names_at - 6)


def _x(left: float, column: int) -> float:
    """Left edge of a byte; a wider gap in the middle of a row, as hexdump -C has it."""
    return left + column * CELL + (6 if column >= 8 else 0)


def _span(at: int, size: int, row: int, width: int) -> tuple[int, int]:
    """The columns [first, last) of a row that belong to ``size`` bytes at ``at``."""
    return max(0, at - row), min(width, at + size - row)


def _frame(left: float, first: int, last: int) -> tuple[float, float]:
    """x and width of a box around the columns [first, last)."""
    x = _x(left, first) - 1.5
    return x, _x(left, last - 1) + CELL - 3.5 - x


def _cover(drawing: Drawing, left: float, y: float, first: int, last: int, fill: str, tip: str) -> None:
    x, w = _frame(left, first, last)
    known = fill if fill in FILLS else "plain" if fill else ""
    drawing.rect(x, y, w, ROW - 3, known, css="box" if known else "off", tip=tip, radius=2)


def _glyphs(drawing: Drawing, left: float, y: float, data: bytes, on: Sequence[bool]) -> None:
    """The bytes of a row as at most two text elements, each digit at its own place."""
    for filled in (True, False):
        chosen = [i for i in range(len(data)) if on[i] is filled]
        if chosen:
            places = " ".join(f"{_x(left, i) + 1:.1f} {_x(left, i) + 8:.1f}" for i in chosen)
            digits, css = "".join(f"{data[i]:02x}" for i in chosen), "m on" if filled else "m"
            drawing.add(f'<text x="{places}" y="{y + 13:.1f}" class="{css}">{digits}</text>')
