# SPDX-License-Identifier: GPL-2.0-only
"""Memory maps as SVG: the pages of one module with its sections, and the whole module area."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .memory_rows import PAGE, Part, Row, Stretch, fill_of, rows, words_of
from .svg import WIDTH, Drawing, text_width, wrap
from .view import View, columns, plural, size_text

LEFT, BAR, RIGHT = 194, 424, 626
ROW = 26

LEGEND = (
    ("code", "r-x code"),
    ("rodata", "r-- read-only"),
    ("roafter", "r-- since init returned"),
    ("data", "rw- data"),
)


def module_map(name: str, parts: Sequence[Part], note: str = "") -> View:
    """A module's pages from low to high addresses, a bar for each page, sections in proportion inside it.

    ``note``: one line for what cannot be seen, e.g. that the init part has been freed.
    """
    title = f"Memory of {name}"
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    _legend(drawing, 36)
    y = 66.0
    for part in parts:
        drawing.text(8, y + 12, f"{part.kind}: {plural(len(part.pages), 'page')} at {part.base:#x}", "b")
        drawing.text(
            LEFT + BAR, y + 12, f"a bar is one page of {PAGE:,} bytes unless it says more", "s", "end"
        )
        y += 20
        for row in rows(part):
            y += _page(drawing, y, part.kind, row)
        y = _guard(drawing, y, part.base + len(part.pages) * PAGE)
    if note:
        drawing.text(8, y + 12, note)
        y += 22
    description = _describe(parts, note)
    return View(title, description, _module_text(title, parts, note), drawing.svg(title, description, y + 4))


def _legend(drawing: Drawing, y: float) -> None:
    x = 8.0
    for fill, words in LEGEND:
        drawing.rect(x, y, 22, 13, fill)
        drawing.text(x + 28, y + 11, words, "s")
        x += 46 + text_width(words, "s")


def _page(drawing: Drawing, y: float, kind: str, row: Row) -> float:
    """One bar with address, pieces and permission; returns the height it took."""
    drawing.text(8, y + 14, f"{row.address:016x}", "m")
    drawing.text(LEFT - 8, y + 14, f"+{row.offset:#x}", "m", "end")
    drawing.rect(LEFT, y, BAR, 19, css="off", tip=f"{kind}+{row.offset:#x}: {size_text(row.free)} of padding")
    small = []
    for piece in row.pieces:
        x, w = LEFT + BAR * piece.start / row.span, BAR * (piece.end - piece.start) / row.span
        label = f"{piece.name} {piece.end - piece.start:,}"
        drawing.rect(
            x,
            y,
            w,
            19,
            fill_of(row, piece),
            tip=f"{piece.name}: {piece.end - piece.start:,} bytes at "
            f"{row.address + piece.start:#x}, {row.permission}",
        )
        short = label if text_width(label, "m s") + 6 < w else piece.name
        if text_width(short, "m s") + 6 < w:
            drawing.text(x + 4, y + 13.5, short, "on m s")
        else:
            small.append(label)
    pages = f" × {row.pages:,}" if row.pages > 1 else ""
    drawing.text(RIGHT, y + 14, f"{row.permission} {words_of(row.permission)}{pages}", "m s")
    lines = wrap("small: " + ", ".join(small), WIDTH - LEFT - 14, "s", 3) if small else []
    for number, line in enumerate(lines):
        drawing.text(LEFT + 4, y + 31 + 13 * number, line, "s")
    return ROW + (2 + 13 * len(lines) if lines else 0)


def _guard(drawing: Drawing, y: float, address: int) -> float:
    drawing.text(8, y + 11, f"{address:016x}", "m")
    drawing.rect(LEFT, y, BAR, 14, "guard", css="box", tip="guard page: never mapped, any access faults")
    drawing.text(LEFT + BAR / 2, y + 11, "guard page", "on s", "middle")
    drawing.text(RIGHT, y + 11, "--- not mapped", "m s")
    return y + 26


def _describe(parts: Sequence[Part], note: str) -> str:
    words = []
    for part in parts:
        counts = dict.fromkeys(part.pages, 0)
        for permission in part.pages:
            counts[permission] += 1
        groups = ", ".join(f"{count} {permission}" for permission, count in counts.items())
        words.append(f"{part.kind} part of {plural(len(part.pages), 'page')} ({groups})")
    return f"{'; '.join(words) or 'No memory'}, with a guard page behind each. {note}".strip()


def _module_text(title: str, parts: Sequence[Part], note: str) -> str:
    table = [("address", "part", "offset", "pages", "perm", "bytes", "section")]
    for part in parts:
        for row in rows(part):
            table.append(
                (f"{row.address:016x}", part.kind, f"{row.offset:#x}", str(row.pages), row.permission, "", "")
            )
            for piece in row.pieces:
                table.append(
                    (
                        f"{row.address + piece.start:016x}",
                        "",
                        f"{row.offset + piece.start:#x}",
                        "",
                        "",
                        f"{piece.end - piece.start:,}",
                        piece.name,
                    )
                )
            if row.free:
                table.append(("", "", "", "", "", f"{row.free:,}", "(padding)"))
        end = part.base + len(part.pages) * PAGE
        table.append((f"{end:016x}", "guard", "", "1", "---", "", ""))
    return "\n".join([title, columns(table, right=(2, 3, 5)), *([note] if note else [])])


MOST_BLOCKS = 60
_BLOCK_FILL = {"core": "code", "init": "roafter", "guard": "guard", "hole": ""}


def area_map(spans: Sequence[Stretch], title: str = "The module area") -> View:
    """The area for modules from its lowest address up, holes and guard pages too; heights are logarithmic."""
    shown, folded = _shorten(spans)
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    y = 44.0
    for span in shown:
        y = _block(drawing, y, span)
    note = f"{folded} more areas are not drawn" if folded else ""
    description = _describe_area(spans)
    head = [("address", "size", "what", "owner")]
    body = [(f"{s.start:016x}", size_text(s.size), _what(s), s.owner) for s in shown]
    return View(
        title,
        description,
        f"{title}\n{columns(head + body, right=(1,))}",
        drawing.svg(title, description, y + 10),
        note=note,
    )


def _shorten(spans: Sequence[Stretch]) -> tuple[list[Stretch], int]:
    """At most MOST_BLOCKS blocks: the lowest ones and the hole at the end."""
    if len(spans) <= MOST_BLOCKS:
        return list(spans), 0
    return [*spans[: MOST_BLOCKS - 1], spans[-1]], len(spans) - MOST_BLOCKS


def _block(drawing: Drawing, y: float, span: Stretch) -> float:
    pages = max(1, span.size // PAGE)
    height = 15.0 if span.kind == "guard" else min(64.0, 20 + 4 * math.log2(pages))
    fill = _BLOCK_FILL.get(span.kind, "taken")
    what = f"{_what(span)} {span.owner}".strip() if span.kind != "guard" else "guard page"
    drawing.rect(LEFT, y, 330, height, fill, css="box" if fill else "off", tip=f"{span.start:#x}: {what}")
    middle = y + height / 2 + 4
    drawing.text(8, y + 12, f"{span.start:016x}", "m")
    drawing.text(
        LEFT + 165,
        middle,
        what,
        "on b" if fill and span.kind != "guard" else "on s" if fill else "",
        "middle",
        room=320,
    )
    if span.kind != "guard":
        drawing.text(LEFT + 344, middle, f"{size_text(span.size)} ({plural(pages, 'page')})", "s")
    return y + height


def _what(span: Stretch) -> str:
    return {"hole": "free", "guard": "guard page of"}.get(
        span.kind, span.kind if span.owner else f"{span.kind} (since boot)"
    )


def _describe_area(spans: Sequence[Stretch]) -> str:
    modules = len({s.owner for s in spans if s.owner})
    used = sum(s.size for s in spans if s.owner and s.kind != "guard")
    free = sum(s.size for s in spans if s.kind == "hole")
    return f"{plural(modules, 'module')} in {size_text(used)}; {size_text(free)} free."
