# SPDX-License-Identifier: GPL-2.0-only
"""Tables of what is in a module's symbol table and in its .modinfo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .view import View, plural, table

MOST = 400  # symbols that are shown; the others are counted

# tag -> who reads it, and what for: kernel/module/main.c unless it says more
TAGS: dict[str, str] = {
    "name": "the kernel, until struct module is in memory",
    "vermagic": "the kernel: check_modinfo refuses another one",
    "license": "the kernel: set_license; what is not GPL-compatible taints",
    "intree": "the kernel: without it taint O",
    "retpoline": "the kernel: without it a warning where Spectre v2 matters",
    "staging": "the kernel: taint C",
    "livepatch": "the kernel: taint K",
    "import_ns": "the kernel: verify_namespace_is_imported",
    "version": "the kernel shows it in /sys/module",
    "srcversion": "the kernel shows it in /sys/module",
    "depends": "depmod and modprobe; the kernel does not load what is missing",
    "alias": "depmod and modprobe: names for devices",
    "softdep": "modprobe: load these before or after",
    "firmware": "tools that pack firmware",
    "parm": "modinfo: what a parameter is for",
    "parmtype": "modinfo: a parameter's type",
    "description": "modinfo",
    "author": "modinfo",
    "sig_id": "modinfo, from the signature",
}


class SymbolLine(NamedTuple):
    """A symbol as it is in the file; ``address``: what simplify_symbols made of it, None where unknown."""

    number: int
    value: int
    size: int
    type: str
    bind: str
    section: str
    name: str
    address: int | None = None


def symbol_table(
    lines: Sequence[SymbolLine], title: str, *, loaded: bool = False, marked: int | None = None
) -> View:
    """The symbols in the file's order and, when ``loaded``, the address each one got.

    ``marked``: the number of a symbol that is marked, and shown wherever it stands.
    """
    shown = list(lines[:MOST])
    shown += [line for line in lines[MOST:] if line.number == marked]
    heads = ("#", "value", "size", "type", "bind", "section", "name", *(("address",) if loaded else ()))
    rows: list[tuple[str, ...]] = [
        (str(s.number), f"{s.value:#x}", str(s.size), s.type, s.bind, s.section, s.name,
         *((f"{s.address:016x}" if s.address is not None else "",) if loaded else ()))
        for s in shown
    ]  # fmt: skip
    wanted = sum(line.section == "UND" and bool(line.name) for line in lines)
    words = f"{plural(len(lines), 'symbol')}, {wanted} of them wanted from others."
    rest = len(lines) - len(shown)
    note = f"{plural(rest, 'more symbol')} not shown" if rest else ""
    places = [i for i, line in enumerate(shown) if line.number == marked] if marked is not None else None
    return table(title, words, heads, rows, right=(0, 1, 2), note=note, marked=places)


def modinfo_table(pairs: Sequence[tuple[str, str]], title: str) -> View:
    """The tags of .modinfo in the file's order, each with who reads it."""
    rows: list[tuple[str, ...]] = [(tag, value, TAGS.get(tag, "")) for tag, value in pairs]
    kernel = sum(TAGS.get(tag, "").startswith("the kernel") for tag, _ in pairs)
    words = f"{plural(len(rows), 'tag')}, {kernel} of them for the kernel, the others for tools."
    return table(title, words, ("tag", "value", "who reads it"), rows)
