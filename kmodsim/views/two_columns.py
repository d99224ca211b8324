# SPDX-License-Identifier: GPL-2.0-only
"""Facts side by side: one thing under two kernels, or then and now, with what differs marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap

from .view import View, plural, table

EQUAL, DIFFERENT = "=", "≠"
SHOWN = 42  # letters of a value in a column


def two_columns(
    left: Mapping[str, str], right: Mapping[str, str], heads: tuple[str, str], title: str,
    only_differences: bool = False,
) -> View:  # fmt: skip
    """A row for each fact that either side has, in the order of the left one; "-" where a side has none."""
    names = [*left, *(name for name in right if name not in left)]
    marks = {name: EQUAL if left.get(name) == right.get(name) else DIFFERENT for name in names}
    shown = [name for name in names if marks[name] == DIFFERENT or not only_differences]
    rows: list[tuple[str, ...]] = []
    for name in shown:
        rows += _rows(marks[name], name, left.get(name, "-"), right.get(name, "-"))
    count = sum(mark == DIFFERENT for mark in marks.values())
    words = f"{plural(count, 'difference')} in {plural(len(names), 'fact')}"
    left_out = len(names) - len(shown)
    note = f"{plural(left_out, 'equal fact')} not shown." if left_out else ""
    return table(title, words, ("", "what", *heads), rows, note=note)


def _rows(mark: str, name: str, left: str, right: str) -> list[tuple[str, ...]]:
    """One row, or one for each line where values have several lines."""
    ones, others = _lines(left), _lines(right)
    rows: list[tuple[str, ...]] = []
    for number in range(max(len(ones), len(others))):
        one, other = (lines[number] if number < len(lines) else "" for lines in (ones, others))
        rows.append((mark if not number else "", name if not number else "", one, other))
    return rows


def _lines(value: str) -> Sequence[str]:
    """Lines of at most ``SHOWN`` letters, broken between words where that goes."""
    pieces = []
    for line in value.split("\n"):
        pieces += wrap(line, SHOWN, break_on_hyphens=False) or [""]
    return pieces
