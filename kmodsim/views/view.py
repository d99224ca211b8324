# SPDX-License-Identifier: GPL-2.0-only
"""What every view returns: a picture or a table, its title and description, and the same content as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class View:
    """One picture (``svg``) or table (``html``) with its text twin; shows itself in a notebook.

    ``text`` says everything the picture says, for a terminal, a screen reader or a test. In a notebook the
    picture comes first and the text folds open below it. ``note`` is one line shown with it (a fallback).
    """

    title: str
    description: str
    text: str
    svg: str = ""
    html: str = ""
    note: str = ""

    def __str__(self) -> str:
        return f"{self.text}\n{self.note}" if self.note else self.text

    __repr__ = __str__

    def _repr_svg_(self) -> str | None:
        return self.svg or None

    def _repr_html_(self) -> str:
        """Picture or table in the page's own colours, with the text twin folded below a picture."""
        note = f'<p style="margin:.2em 0;font-size:90%">{escape(self.note)}</p>' if self.note else ""
        if not self.svg:
            return f"{self.html}{note}"
        return with_twin(f"{self.svg}{note}", self)


def with_twin(picture: str, view: View) -> str:
    """HTML of a picture with the view's text folded below it."""
    twin = f'<pre style="overflow-x:auto">{escape(view.text)}</pre>'
    summary = f"<summary>As text: {escape(view.title)}</summary>"
    return f'<div class="kms-view">{picture}<details style="font-size:90%">{summary}{twin}</details></div>'


def columns(rows: Sequence[tuple[str, ...]], right: Sequence[int] = ()) -> str:
    """Rows of cells as aligned text, the columns numbered in ``right`` aligned to the right."""
    if not rows:
        return ""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = (
        "  ".join(
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def table(
    title: str,
    description: str,
    heads: tuple[str, ...],
    rows: list[tuple[str, ...]],
    *,
    right: tuple[int, ...] = (),
    note: str = "",
    marked: Sequence[int] | None = None,
) -> View:
    """A table as a View: a real HTML table with caption and column heads, and the same as aligned text.

    ``marked``: numbers of rows that get a sign in a first column of its own, and a darker ground.
    """
    if marked is not None:
        heads, right = ("", *heads), tuple(i + 1 for i in right)
        rows = [("▶" if i in marked else "", *row) for i, row in enumerate(rows)]
    text = f"{title}\n" + columns([heads, *rows], right)
    head = "".join(_cell("th" if h else "td", h, i in right) for i, h in enumerate(heads))
    body = "".join(
        f"<tr{_GROUND if marked is not None and number in marked else ''}>"
        + "".join(_cell("td", c, i in right) for i, c in enumerate(row))
        + "</tr>"
        for number, row in enumerate(rows)
    )
    caption = (
        '<caption style="text-align:left;caption-side:top">'
        f"<b>{escape(title)}</b> {escape(description)}</caption>"
    )
    html = (
        f'<div style="overflow-x:auto"><table class="kms-table">{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return View(title, description, text, html=html, note=note)


_GROUND = ' style="background:rgba(128,128,128,.3);font-weight:600"'


def _cell(tag: str, words: str, right: bool) -> str:
    side = "right" if right else "left"
    more = ' scope="col"' if tag == "th" else ""
    font = ";padding:.15em .6em" + ("" if tag == "th" else ";font-family:monospace;white-space:pre")
    return f'<{tag}{more} style="text-align:{side}{font}">{escape(words)}</{tag}>'


def plural(count: int, word: str) -> str:
    """``plural(2, "page") == "2 pages"``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def size_text(size: int) -> str:
    """A number of bytes for people: exact below 1 KiB and for whole KiB, otherwise one decimal."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << shift:
            whole = size / (1 << shift)
            return f"{whole:.0f} {unit}" if whole == int(whole) else f"{whole:.1f} {unit}"
    return plural(size, "byte")
