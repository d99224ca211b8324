# SPDX-License-Identifier: GPL-2.0-only
"""The rows of the explorer's document. All numbers are Python ints, addresses and offsets in bytes.

Memory is counted twice: by address, and by *place*, an offset into all of the module's memory laid end to end
(core first, then init), because that is what arrays are indexed with. A place of -1 is nowhere.
"""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """One allocation: "core" or "init" (``struct module_layout``), whole pages.

    ``text``, ``ro``, ``ro_after_init``: ends of its protection groups, in bytes from its start.
    """

    kind: str
    base: int
    place: int
    size: int
    text: int
    ro: int
    ro_after_init: int


class Section(NamedTuple):
    """One section header. ``length``: bytes in the file; ``kept``: how many of its bytes the document has.

    ``address`` and ``place`` are where it was loaded (0 and -1: it is not).
    """

    number: int
    name: str
    type: str
    flags: str
    offset: int
    size: int
    length: int
    align: int
    address: int
    place: int
    kept: int


class Segment(NamedTuple):
    """A stretch of the file: a section, or what lies around them (header, padding, signature)."""

    name: str
    offset: int
    size: int
    section: int  # 0: no section
    kept: int


class Span(NamedTuple):
    """A stretch of memory: a section, what kallsyms keeps, or a hole between them (name "")."""

    name: str
    place: int
    size: int
    section: int
    kept: int
    code: bool


class Symbol(NamedTuple):
    """``Elf64_Sym`` and S, the address ``simplify_symbols`` gave it (None: the load did not come so far).

    ``section``: st_shndx; ``home``: who has it: this module's section, "the kernel" or another module's name.
    """

    number: int
    name: str
    type: str
    bind: str
    section: int
    value: int
    size: int
    address: int | None
    home: str


class Relocation(NamedTuple):
    """``Elf64_Rela``: in ``table`` (a section's number), for the section ``section``, at ``offset`` of it.

    ``before`` and ``after``: the bytes there when ``apply_relocations`` began and ended, None when it did not
    store any. P is the section's address + ``offset``, S the symbol's address, A ``addend``.
    """

    table: int
    section: int
    offset: int
    type: int
    symbol: int
    addend: int
    place: int
    before: bytes | None
    after: bytes | None


class Write(NamedTuple):
    """Bytes that a stage stored at ``place``; ``source``: where in the file the same bytes are, or -1."""

    place: int
    data: bytes
    source: int = -1


class Stage(NamedTuple):
    """One stage of the load; ``elsewhere``: bytes it changed outside the module (per-CPU, other modules)."""

    name: str
    title: str
    function: str
    source: str
    summary: str
    error: str
    log: tuple[str, ...]
    writes: tuple[Write, ...]
    elsewhere: int


class Instruction(NamedTuple):
    """An instruction as it reads from stage ``since`` until before stage ``until`` (their numbers)."""

    place: int
    length: int
    text: str
    since: int
    until: int
