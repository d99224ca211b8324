# SPDX-License-Identifier: GPL-2.0-only
"""What differs between kmod, busybox and module-init-tools, as data: ``differences.toml``.

differences("insmod")        rows of one tool
print(markdown())            docs/flavours.md's tables
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from . import FLAVOURS

DATA = Path(__file__).with_suffix(".toml")
TOOLS = ("insmod", "rmmod", "lsmod", "modinfo", "modprobe", "depmod")
COLUMNS = {"kmod": "kmod", "busybox": "busybox", "module-init-tools": "mit"}  # flavour -> key in the file


class Cell(NamedTuple):
    """What one flavour does, ``file:function`` of its source, and the text in its record that shows it."""

    text: str
    source: str
    proof: str


class Difference(NamedTuple):
    """One row. ``session`` and ``line`` say where the record shows it, ``after`` which line comes before."""

    tool: str
    what: str
    session: str
    line: str
    after: str
    cells: dict[str, Cell]


def differences(tool: str | None = None) -> tuple[Difference, ...]:
    """All rows, or those of one tool, in the order of ``TOOLS``."""
    return tuple(row for row in _rows() if tool in (None, row.tool))


@cache
def _rows() -> tuple[Difference, ...]:
    with open(DATA, "rb") as file:
        found = tomllib.load(file)["row"]
    return tuple(
        Difference(
            row["tool"], row["what"], row["line"][0], row["line"][1], row.get("after", ""),
            {flavour: Cell(*row[COLUMNS[flavour]]) for flavour in FLAVOURS},
        )
        for row in found
    )  # fmt: skip


class Markdown(str):
    """A text that a notebook shows as what it is."""

    def _repr_markdown_(self) -> str:
        return str(self)


def markdown(tool: str | None = None) -> Markdown:
    """The rows as tables in Markdown, one a tool."""
    return Markdown("\n".join("\n".join(_table(name)) + "\n" for name in TOOLS if tool in (None, name)))


def _table(tool: str) -> Iterator[str]:
    yield f"### {tool}\n"
    yield f"| | {' | '.join(FLAVOURS)} |"
    yield "|---|" + "---|" * len(FLAVOURS)
    for row in differences(tool):
        cells = (f"{cell.text}<br>`{cell.source}`" for cell in row.cells.values())
        yield f"| {row.what} | {' | '.join(cells)} |"


if __name__ == "__main__":
    print(markdown(), end="")
