# SPDX-License-Identifier: GPL-2.0-only
"""What a memory map shows, before anybody draws it: rows of pages with pieces of sections in them.

Plain data in, plain data out; the SVG, the matplotlib figure and the text twin all come from these rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

PAGE = 4096
MOST_ROWS = 48  # above this many page rows a part is drawn by runs of equal permission instead

# how the kernel protects pages, in words, and the fill that stands for it
PERMISSIONS: dict[str, tuple[str, str]] = {
    "r-x": ("code", "code"),
    "r--": ("read-only", "rodata"),
    "rw-": ("data", "data"),
    "rwx": ("writable code", "bad"),
    "---": ("no access", "guard"),
}
# writable until init has returned (kernel/module/main.c:module_mark_ro_after_init, SHF_RO_AFTER_INIT)
RO_AFTER_INIT = frozenset({".data..ro_after_init", "__jump_table", ".static_call_sites"})


class Part(NamedTuple):
    """One allocation of a module. ``pages``: permission of each page; ``sections``: (name, address, size)."""

    kind: str
    base: int
    pages: tuple[str, ...]
    sections: tuple[tuple[str, int, int], ...]


class Piece(NamedTuple):
    """A section's share of a row: its bytes [start, end) counted from the row's first byte."""

    name: str
    start: int
    end: int


class Row(NamedTuple):
    """``pages`` pages with one permission; drawn as one bar that stands for ``span`` bytes."""

    address: int
    offset: int
    pages: int
    permission: str
    pieces: tuple[Piece, ...]
    span: int
    folded: bool

    @property
    def free(self) -> int:
        """Bytes of the row that belong to no section."""
        return self.span - sum(piece.end - piece.start for piece in self.pieces)


def rows(part: Part, most: int = MOST_ROWS) -> list[Row]:
    """The rows of one allocation: a row a page, pages filled by one section folded together.

    More than ``most`` rows: one row for each run of pages with equal permission; amdgpu fits on a screen.
    """
    by_page = list(_fold(list(_page_rows(part)))) if len(part.pages) <= 40 * most else []
    if by_page and len(by_page) <= most:
        return by_page
    return [_row(part, first, last) for first, last in _runs(part.pages)]


def _page_rows(part: Part) -> Iterator[Row]:
    sections = sorted(part.sections, key=lambda section: section[1])
    first = 0
    for number, permission in enumerate(part.pages):
        low = part.base + number * PAGE
        while first < len(sections) and sections[first][1] + sections[first][2] <= low:
            first += 1
        yield Row(low, number * PAGE, 1, permission, _pieces(sections[first:], low, low + PAGE), PAGE, False)


def _pieces(sections: Sequence[tuple[str, int, int]], low: int, high: int) -> tuple[Piece, ...]:
    out = []
    for name, start, size in sections:
        if start >= high:
            break
        if size and start + size > low:
            out.append(Piece(name, max(start, low) - low, min(start + size, high) - low))
    return tuple(out)


def _fold(pages: list[Row]) -> Iterator[Row]:
    """Join three or more pages in a row that one section fills entirely, or that hold none."""
    begin = 0
    while begin < len(pages):
        end = begin + 1
        while end < len(pages) and _uniform(pages[begin]) and _same(pages[begin], pages[end]):
            end += 1
        if end - begin >= 3:
            row, span = pages[begin], (end - begin) * PAGE
            pieces = tuple(Piece(piece.name, 0, span) for piece in row.pieces)
            yield row._replace(pages=end - begin, span=span, folded=True, pieces=pieces)
        else:
            yield from pages[begin:end]
        begin = end


def _uniform(row: Row) -> bool:
    return not row.pieces or (len(row.pieces) == 1 and row.free == 0)


def _same(one: Row, other: Row) -> bool:
    names = [[piece.name for piece in row.pieces] for row in (one, other)]
    return _uniform(other) and one.permission == other.permission and names[0] == names[1]


def _runs(pages: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = 0
    for number in range(1, len(pages) + 1):
        if number == len(pages) or pages[number] != pages[begin]:
            yield begin, number
            begin = number


def _row(part: Part, first: int, last: int) -> Row:
    low, high = part.base + first * PAGE, part.base + last * PAGE
    sections = sorted(part.sections, key=lambda section: section[1])
    return Row(
        low,
        first * PAGE,
        last - first,
        part.pages[first],
        _pieces(sections, low, high),
        high - low,
        last - first > 1,
    )


def fill_of(row: Row, piece: Piece) -> str:
    """The name of the fill for a piece: by permission, with what became read-only after init apart."""
    if row.permission == "r--" and piece.name in RO_AFTER_INIT:
        return "roafter"
    return PERMISSIONS.get(row.permission, ("", "plain"))[1]


def words_of(permission: str) -> str:
    """``"r-x"`` → ``"code"``."""
    return PERMISSIONS.get(permission, (permission, ""))[0]


class Stretch(NamedTuple):
    """A stretch of the module area: ``kind`` is "core", "init", "guard", "hole", or what took it at boot."""

    start: int
    size: int
    kind: str
    owner: str


def stretches(regions: Sequence[tuple[int, int, str, str]], low: int, high: int) -> list[Stretch]:
    """All of [low, high) in order: what is in use, a guard page behind each allocation, the holes between.

    A region without owner was taken at boot; its size includes its guard page (``/proc/vmallocinfo``).
    """
    out: list[Stretch] = []
    at = low
    for start, size, kind, owner in sorted(regions):
        if not low <= start < high:
            continue
        if start > at:
            out.append(Stretch(at, start - at, "hole", ""))
        out.append(Stretch(start, size, kind, owner))
        at = start + size
        if owner:
            out.append(Stretch(at, PAGE, "guard", owner))
            at += PAGE
    if at < high:
        out.append(Stretch(at, high - at, "hole", ""))
    return out
