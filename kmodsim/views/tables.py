# SPDX-License-Identifier: GPL-2.0-only
"""Tables: sections with their way from file offset to address, and parameters with their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .view import View, plural, table


class SectionLine(NamedTuple):
    """A section of the file. ``part``: "core", "init" or "" (not loaded); ``address``: where it is now."""

    number: int
    name: str
    type: str
    flags: str
    offset: int
    size: int
    part: str
    address: int | None


class ParameterLine(NamedTuple):
    """A parameter. ``value``: what its file under /sys/module says, None where there is no file."""

    name: str
    type: str
    description: str
    value: str | None


def section_table(lines: Sequence[SectionLine], title: str, *, loaded: bool = False) -> View:
    """The section headers as readelf orders them and, when ``loaded``, where each went in memory."""
    heads = ("#", "name", "type", "flags", "file offset", "size")
    rows = [
        (str(s.number), s.name, s.type, s.flags, f"{s.offset:#x}", f"{s.size:,}")
        + (_place(s) if loaded else ())
        for s in lines
    ]
    taken = sum(bool(s.part) for s in lines)
    words = f"{plural(len(lines), 'section')}" + (f", {taken} of them loaded" if loaded else "")
    return table(title, words, heads + (("part", "address") if loaded else ()), rows, right=(0, 4, 5))


def _place(line: SectionLine) -> tuple[str, str]:
    if not line.part:
        return "not loaded", ""
    return line.part, "given back" if line.address is None else f"{line.address:#x}"


def parameter_table(lines: Sequence[ParameterLine], title: str) -> View:
    """The parameters with type and description, and their values where the module is loaded."""
    loaded = any(line.value is not None for line in lines)
    heads = ("parameter", "type", "what it is for") + (("value now",) if loaded else ())
    rows = [
        (p.name, p.type, p.description, *((p.value if p.value is not None else "no file",) if loaded else ()))
        for p in lines
    ]
    return table(title, plural(len(lines), "parameter"), heads, rows)
