# SPDX-License-Identifier: GPL-2.0-only
"""Where things are: the file cut into segments, the memory into parts and spans, and how much is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from ...loader.load import Load, SectionHeader
from ...memory import page_align
from ...module import Layout as ModuleLayout
from ...modulefile import ModuleFile
from ...modulefile import Section as FileSection
from ...records import SHF_EXECINSTR
from .parts import Part, Section, Segment, Span


@dataclass(frozen=True)
class Layout:
    """The module's memory, its sections and its spans; empty where the load never got memory."""

    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    spans: tuple[Span, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def place(self, address: int) -> int:
        for part in self.parts:
            if part.base <= address < part.base + part.size:
                return part.place + address - part.base
        return -1

    def address(self, place: int) -> int:
        for part in self.parts:
            if part.place <= place < part.place + part.size:
                return part.base + place - part.place
        return 0


def layout_of(load: Load, file: ModuleFile, whole: frozenset[str], kept: int) -> Layout:
    """Parts from the trace's move_module, sections from the file with the loader's addresses, then spans."""
    parts = tuple(_parts(load))
    plain = Layout(parts, (), ())
    loaded = {s.index: s for s in load.sections if parts and s.alloc and s.entsize != (1 << 64) - 1}
    sections = tuple(_section(s, loaded.get(s.index), plain, whole, kept) for s in file.sections)
    return Layout(parts, sections, tuple(_spans(load, parts, sections, kept)))


def _parts(load: Load) -> Iterator[Part]:
    """core and init as ``move_module`` allocated them."""
    record = next((r for r in load.trace if r.stage == "move_module" and not r.error), None)
    place = 0
    for kind, name in (("core", "base"), ("init", "init_base")):
        base = int(record.outputs.get(name) or 0) if record else 0
        layout: ModuleLayout = getattr(load, f"{kind}_layout")
        if base and layout.size:
            size = page_align(layout.size)
            yield Part(kind, base, place, size, layout.text_size, layout.ro_size, layout.ro_after_init_size)
            place += size


def _section(
    section: FileSection, loaded: SectionHeader | None, memory: Layout, whole: frozenset[str], kept: int
) -> Section:
    address = loaded.addr if loaded is not None else 0
    place = memory.place(address) if loaded is not None else -1
    # an empty section may stand at the end of its part: no place, but its symbols have addresses
    inside = any(part.base <= address <= part.base + part.size for part in memory.parts)
    return Section(
        section.index, section.name, section.type_name, section.flags_text, section.offset, section.size,
        section.length, section.align, address if inside else 0, place,
        section.size if section.name in whole else min(section.size, kept),
    )  # fmt: skip


def _spans(
    load: Load, parts: Iterable[Part], sections: Iterable[Section], kept: int
) -> Iterator[Span]:
    """All of memory in order: the sections, holes between them, kallsyms behind them."""
    headers = {s.index: s for s in load.sections}
    placed = sorted((s.place, s.size, s.number, s) for s in sections if s.place >= 0 and s.size)
    for part in parts:
        at, end = part.place, part.place + part.size
        for place, size, _, section in placed:
            stop = min(place + size, end)
            if not part.place <= place < end or stop <= at:
                continue  # of another part; or covered by the one before, which only a student's layout does
            if place > at:
                yield Span("", at, place - at, 0, min(place - at, kept), False)
            start = max(at, place)
            keep = max(0, min(stop, place + section.kept) - start)
            code = bool(headers[section.number].flags & SHF_EXECINSTR) and section.type != "NOBITS"
            yield Span(section.name, start, stop - start, section.number, keep, code)
            at = stop
        if at < end:
            yield from _behind(load, part, at, end, kept)


def _behind(load: Load, part: Part, at: int, end: int, kept: int) -> Iterator[Span]:
    """The end of a part: in core the symbols that stay (``kernel/module/kallsyms.c:layout_symtab``)."""
    start = part.place + load.symtab_layout.symoffs
    if part.kind != "core" or not load.symtab_layout.num_core_symbols or not at <= start < end:
        yield Span("", at, end - at, 0, min(end - at, kept), False)
        return
    if start > at:
        yield Span("", at, start - at, 0, min(start - at, kept), False)
    yield Span("(kallsyms: symbols that stay)", start, end - start, 0, min(end - start, kept), False)


class _Piece(NamedTuple):
    offset: int
    size: int
    name: str
    section: int
    kept: int


def segments_of(file: ModuleFile, layout: Layout) -> tuple[Segment, ...]:
    """The whole file in order, every byte once; what overlaps in a broken file belongs to the first."""
    return tuple(_segments(file, layout))


def _segments(file: ModuleFile, layout: Layout) -> Iterator[Segment]:
    at, end = 0, len(file.data)
    for piece in sorted(_pieces(file, layout)):
        if piece.offset > at:
            yield Segment("", at, piece.offset - at, 0, piece.offset - at)
            at = piece.offset
        stop = min(piece.offset + piece.size, end)
        if stop > at:
            keep = max(0, min(stop, piece.offset + piece.kept) - at)
            yield Segment(piece.name, at, stop - at, piece.section, keep)
            at = stop
    if at < end:
        name = "(appended signature)" if file.signature is not None else ""
        yield Segment(name, at, end - at, 0, end - at)


def _pieces(file: ModuleFile, layout: Layout) -> Iterator[_Piece]:
    header = file.header
    if header is not None:
        yield _Piece(0, header.e_ehsize, "(ELF header)", 0, header.e_ehsize)
        table = header.e_shnum * header.e_shentsize
        if table and header.e_shoff < len(file.data):
            yield _Piece(header.e_shoff, table, "(section headers)", 0, table)
    for section in layout.sections:
        if section.length:
            yield _Piece(section.offset, section.length, section.name, section.number, section.kept)
