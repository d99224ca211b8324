# SPDX-License-Identifier: GPL-2.0-only
"""The file's sections on the left, their places in memory on the right, and the way of each between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .memory_rows import PAGE
from .svg import WIDTH, Drawing, text_width
from .view import View, columns, plural, size_text

ROW, TOP, BOX = 19, 88, 250
LEFT, RIGHT = 8, WIDTH - BOX - 8
MOST = 70  # rows of a side that are drawn

# group -> words; the groups follow each other in memory in this order, each on pages of its own
GROUPS: dict[str, str] = {
    "code": "code r-x",
    "rodata": "read-only r--",
    "roafter": "read-only after init",
    "data": "data rw-",
    "plain": "symbols for kallsyms",
}


class Way(NamedTuple):
    """A section that is loaded. ``file``: its offset there, None where the file has no bytes of it;
    ``part``: "core" or "init"; ``offset``: in that part; ``group``: a key of GROUPS."""

    name: str
    file: int | None
    size: int
    part: str
    offset: int
    group: str
    align: int = 1


class Part(NamedTuple):
    """An allocation: its name, where it lies, its bytes (whole pages)."""

    name: str
    base: int
    size: int


def file_to_memory(
    ways: Sequence[Way], parts: Sequence[Part], title: str, *, left_out: int = 0, mark: str = ""
) -> View:
    """Sections in file order, and in memory order by part and group. ``left_out``: sections of the file that
    are read but not loaded; ``mark``: the name of one that is framed."""
    left = sorted(ways, key=lambda w: (w.file is None, w.file or 0))[:MOST]
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    _legend(drawing)
    drawing.text(LEFT, TOP - 10, "the file", "b")
    drawing.text(RIGHT, TOP - 10, "memory", "b")
    places, bottom = _memory(drawing, ways, parts, mark)
    for number, way in enumerate(left):
        y = TOP + number * ROW
        _file_row(drawing, y, way, mark)
        if way in places:
            _ribbon(drawing, y, places[way], way, mark)
    y = TOP + len(left) * ROW
    if left_out:
        drawing.text(LEFT, y + 14, f"and {plural(left_out, 'section')} not loaded", "s")
    description = _describe(ways, parts)
    height = max(y + 24, bottom)
    text = _text(ways, parts, title, description, left_out)
    return View(title, description, text, drawing.svg(title, description, height))


def _legend(drawing: Drawing) -> None:
    x = 8.0
    for fill, words in GROUPS.items():
        drawing.rect(x, 38, 22, 13, fill)
        drawing.text(x + 28, 49, words, "s")
        x += 46 + text_width(words, "s")


def _file_row(drawing: Drawing, y: float, way: Way, mark: str) -> None:
    fill = "" if way.file is None else way.group
    css = "box heavy" if way.name == mark else "box" if fill else "off"
    where = "no bytes in the file" if way.file is None else f"{way.file:#x}"
    drawing.rect(LEFT, y, BOX, ROW - 3, fill, css=css, tip=f"{way.name}: {way.size:,} bytes, {where}")
    on = "on " if fill else ""
    drawing.text(LEFT + 5, y + 12, way.name, on + "m s", room=BOX - 110)
    note = where if way.file is not None else "zeros" if way.group != "plain" else "new"
    drawing.text(LEFT + BOX - 5, y + 12, f"{note}  {way.size:,}", on + "m s", "end")


def _memory(
    drawing: Drawing, ways: Sequence[Way], parts: Sequence[Part], mark: str
) -> tuple[dict[Way, float], float]:
    """The right side: where each way ends (y of its row), and the lowest y."""
    y, places, drawn = float(TOP), {}, 0
    for part in parts:
        pages = part.size // PAGE
        drawing.text(RIGHT, y + 12, f"{part.name}: {plural(pages, 'page')} at {part.base:#x}", "b s")
        y += ROW
        group = ""
        for way in sorted((w for w in ways if w.part == part.name), key=lambda w: (w.offset, w.size)):
            if group and way.group != group and not (way.offset % PAGE):
                drawing.path(f"M{RIGHT - 6} {y - 0.5}H{RIGHT + BOX}", "line")  # a page of its own
                y += 4
            group = way.group
            if drawn < MOST:
                _memory_row(drawing, y, way, mark)
                places[way] = y
                y += ROW
                drawn += 1
        y += 10
    return places, y


def _memory_row(drawing: Drawing, y: float, way: Way, mark: str) -> None:
    css = "box heavy" if way.name == mark else "box"
    tip = f"{way.name}: {way.size:,} bytes at {way.part}+{way.offset:#x}, aligned to {way.align}"
    drawing.rect(RIGHT, y, BOX, ROW - 3, way.group, css=css, tip=tip)
    drawing.text(RIGHT + 5, y + 12, way.name, "on m s", room=BOX - 110)
    drawing.text(RIGHT + BOX - 5, y + 12, f"+{way.offset:#x}  {way.size:,}", "on m s", "end")


def _ribbon(drawing: Drawing, y: float, end: float, way: Way, mark: str) -> None:
    start_x, end_x = LEFT + BOX, RIGHT
    one, other, middle = y + ROW / 2 - 2, end + ROW / 2 - 2, (start_x + end_x) / 2
    css = "line heavy" if way.name == mark else "thin" if way.size else "off"
    drawing.path(f"M{start_x} {one:.1f}C{middle} {one:.1f} {middle} {other:.1f} {end_x} {other:.1f}", css)


def waste(ways: Sequence[Way], part: Part) -> int:
    """Bytes of a part that belong to no section: padding for alignment and to the end of pages."""
    return part.size - sum(way.size for way in ways if way.part == part.name)


def _describe(ways: Sequence[Way], parts: Sequence[Part]) -> str:
    words = []
    for part in parts:
        count = sum(way.part == part.name for way in ways)
        words.append(
            f"{part.name}: {plural(count, 'section')} in {plural(part.size // PAGE, 'page')}, "
            f"{size_text(waste(ways, part))} of them padding"
        )
    return "; ".join(words) + "." if words else "Nothing is loaded."


def _text(ways: Sequence[Way], parts: Sequence[Part], title: str, description: str, left_out: int) -> str:
    order = {part.name: number for number, part in enumerate(parts)}
    base = {part.name: part.base for part in parts}
    rows = [("section", "file offset", "bytes", "part", "offset", "address", "align", "group")]
    for way in sorted(ways, key=lambda w: (order.get(w.part, 9), w.offset, w.size)):
        rows.append(
            (way.name, "-" if way.file is None else f"{way.file:#x}", f"{way.size:,}", way.part,
             f"{way.offset:#x}", f"{base.get(way.part, 0) + way.offset:016x}", str(way.align),
             GROUPS[way.group])
        )  # fmt: skip
    lines = [title, description, columns(rows, right=(1, 2, 4, 6))]
    return "\n".join(lines + ([f"{plural(left_out, 'section')} not loaded"] if left_out else []))
