# SPDX-License-Identifier: GPL-2.0-only
"""The explorer as text: sections, symbols, relocations with their numbers filled in, stages."""

from __future__ import annotations

from collections.abc import Iterator

from ..view import columns
from .document import Document
from .words import bytes_in_words, section_name


def twin(document: Document) -> str:
    """Sections, symbols, relocations with their numbers filled in, and the stages, as text."""
    return "\n".join(_twin(document)) + "\n"


def _twin(document: Document) -> Iterator[str]:
    yield f"{document.name}: {len(document.image):,} bytes, loaded by {document.profile}: {document.outcome}"
    if document.first:
        yield f"loaded before it: {', '.join(document.first)}"
    for part in document.parts:
        yield f"{part.kind}: {part.size:#x} bytes at {part.base:#x}"
    yield from (f"left out: {line}" for line in document.left_out)
    yield f"\nSections\n{columns(_section_rows(document), (0, 3, 4))}"
    yield f"\nSymbols\n{columns(_symbol_rows(document), (0, 4))}"
    yield f"\nRelocations\n{columns(_relocation_rows(document), (0,))}"
    yield f"\nStages\n{columns(_stage_rows(document), (0, 2))}"


def _section_rows(document: Document) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("#", "name", "type", "offset", "size", "flags", "address")]
    for s in document.sections:
        address = f"{s.address:#x}" if s.address else "-"
        rows.append((str(s.number), s.name, s.type, f"{s.offset:#x}", f"{s.size:#x}", s.flags, address))
    return rows


def _symbol_rows(document: Document) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("#", "name", "type", "bind", "value", "section", "S", "in")]
    for s in document.symbols:
        place = section_name(document, s.section)
        address = f"{s.address:#x}" if s.address is not None else "-"
        rows.append((str(s.number), s.name, s.type, s.bind, f"{s.value:#x}", place, address, s.home))
    return rows


def _relocation_rows(document: Document) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("#", "place", "type", "symbol", "S", "A", "P", "before", "after")]
    for number, row in enumerate(document.relocations):
        symbol = document.symbols[row.symbol] if row.symbol < len(document.symbols) else None
        address = symbol.address if symbol is not None else None
        rows.append((
            str(number), f"{section_name(document, row.section)}+{row.offset:#x}",
            document.type(row.type).name, symbol.name if symbol else str(row.symbol),
            f"{address:#x}" if address is not None else "-", f"{row.addend:#x}",
            f"{document.address(row.place):#x}" if row.place >= 0 else "-",
            "-" if row.before is None else bytes_in_words(row.before),
            "-" if row.after is None else bytes_in_words(row.after),
        ))  # fmt: skip
    return rows


def _stage_rows(document: Document) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("#", "stage", "bytes", "source", "what came out")]
    for number, stage in enumerate(document.stages, 1):
        stored = sum(len(write.data) for write in stage.writes)
        what = stage.error or stage.summary
        rows.append((str(number), stage.name, str(stored), f"{stage.source}:{stage.function}", what))
    return rows
