# SPDX-License-Identifier: GPL-2.0-only
"""The caller's pages and what the kernel copies from them, chunk by chunk, into its temporary copy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .view import View, columns, plural

PAGE = 4096
MOST = 20  # chunks that are drawn; the first ones and the one that fails
LEFT, CELL, ROW, TOP = 150, 23, 34, 84
SIGNS = {"copied": "✓", "failed": "✗", "not reached": "·"}


class Chunk(NamedTuple):
    """One copy_from_user: ``offset`` in the image and ``size`` in bytes; ``state``: a key of SIGNS;
    ``copied``: bytes that were there; ``pages``: (page number, it is mapped) of each page it touches."""

    number: int
    offset: int
    size: int
    state: str
    copied: int
    pages: tuple[tuple[int, bool], ...]


def user_copy(
    chunks: Sequence[Chunk], address: int, length: int, title: str, total: int | None = None
) -> View:
    """The pages of the caller's memory from ``address`` on, a row for each chunk, and how far the copy got.

    Page 0 is the one that holds the image's first byte. ``total``: how many chunks there are, when those
    after the last one given are like it.
    """
    shown, total = _shorten(chunks), len(chunks) if total is None else total
    drawing = Drawing(WIDTH)
    drawing.text(8, 24, title, "big")
    _legend(drawing)
    y = float(TOP)
    last = -1
    for chunk in shown:
        if chunk.number > last + 1:
            drawing.text(LEFT, y + 14, f"⋮ {plural(chunk.number - last - 1, 'chunk')} more", "s")
            y += 22
        last = chunk.number
        _chunk(drawing, y, chunk)
        y += ROW
    if total > last + 1:
        drawing.text(LEFT, y + 14, f"⋮ {plural(total - last - 1, 'chunk')} more", "s")
        y += 22
    done = sum(chunk.copied for chunk in chunks)
    y = _copy(drawing, y, done, length, any(chunk.state == "failed" for chunk in chunks))
    description = _describe(chunks, address, length, total)
    return View(title, description, _text(shown, title, description), drawing.svg(title, description, y))


def _shorten(chunks: Sequence[Chunk]) -> list[Chunk]:
    """At most MOST chunks: the first ones, and those around a failure."""
    if len(chunks) <= MOST:
        return list(chunks)
    failed = next((c.number for c in chunks if c.state == "failed"), 0)
    near = [c for c in chunks if abs(c.number - failed) <= 1 and c.number >= MOST - 3]
    return [*chunks[: MOST - 3], *near]


def _legend(drawing: Drawing) -> None:
    x = 8.0
    for fill, words in (("good", "copied"), ("bad", "fault"), ("plain", "mapped"), ("", "not mapped")):
        drawing.rect(x, 38, 22, 13, fill, css="box" if fill else "off")
        drawing.text(x + 28, 49, words, "s")
        x += 110
    drawing.text(8, 72, "the chunk", "s")
    drawing.text(LEFT, 72, "the pages it lies in, by number", "s")


def _chunk(drawing: Drawing, y: float, chunk: Chunk) -> None:
    name = f"{SIGNS[chunk.state]} {chunk.number}: +{chunk.offset:#x}"
    drawing.text(8, y + 16, name, "m")
    faulted = chunk.state != "failed"
    for place, (page, mapped) in enumerate(chunk.pages):
        x = LEFT + place * CELL
        fault = not mapped and not faulted
        faulted = faulted or fault
        reached = chunk.state == "copied" or (chunk.state == "failed" and not faulted)
        fill = "bad" if fault else "" if not mapped else "good" if reached else "plain"
        drawing.rect(x, y, CELL - 1, 24, fill, css="box" if fill else "off", tip=_tip(page, mapped))
        drawing.text(x + (CELL - 1) / 2, y + 16, str(page), "on s" if fill else "s", "middle")
    end = LEFT + max(17, len(chunk.pages)) * CELL + 8
    drawing.text(end, y + 16, f"{chunk.size:,} bytes", "s", room=WIDTH - end)


def _tip(page: int, mapped: bool) -> str:
    return f"page {page}: {'mapped' if mapped else 'not mapped, a fault'}"


def _copy(drawing: Drawing, y: float, done: int, length: int, failed: bool) -> float:
    """The temporary copy as a bar: how much of it holds the image."""
    y += 20
    drawing.text(8, y + 14, "temporary copy", "b")
    width = WIDTH - LEFT - 8
    drawing.rect(LEFT, y, width, 20, css="off", tip=f"{length:,} bytes by vmalloc")
    if length and done:
        drawing.rect(LEFT, y, width * done / length, 20, "bad" if failed else "good")
    words = f"{done:,} of {length:,} bytes" + (": given back, the call fails" if failed else "")
    drawing.text(LEFT, y + 36, words, "s")
    return y + 48


def _describe(chunks: Sequence[Chunk], address: int, length: int, total: int) -> str:
    words = f"{length:,} bytes from {address:#x} in {plural(total, 'chunk')}"
    if chunks and all(c.state == "not reached" for c in chunks):
        return f"{words}: not copied yet."
    failed = next((c for c in chunks if c.state == "failed"), None)
    if failed is None:
        return f"{words}: all copied." if chunks else f"{words}: nothing is copied."
    hole = address + failed.offset + failed.copied
    return f"{words}: chunk {failed.number} fails, nothing is mapped at {hole:#x}."


def _text(chunks: Sequence[Chunk], title: str, description: str) -> str:
    rows = [("chunk", "offset", "bytes", "outcome", "pages", "not mapped")]
    for c in chunks:
        first, last = (c.pages[0][0], c.pages[-1][0]) if c.pages else (0, 0)
        holes = ",".join(str(page) for page, mapped in c.pages if not mapped) or "-"
        rows.append(
            (str(c.number), f"{c.offset:#x}", f"{c.size:,}", f"{SIGNS[c.state]} {c.state}",
             f"{first}-{last}" if c.pages else "-", holes)
        )  # fmt: skip
    return f"{title}\n{description}\n{columns(rows, right=(0, 1, 2))}"
