# SPDX-License-Identifier: GPL-2.0-only
"""The document on its way to the page: a JSON head and one block of bytes, which zlib makes small.

The block holds the large columns one after the other. ``columns`` in the head says of each its type, where it
begins and how many bytes it has. Types: "u1" "u2" "u4" "i4" "u8" "i8" (little-endian numbers), "json", "text"
(UTF-8).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .document import Document
from .parts import Relocation, Symbol
from .twin import twin


class _Block:
    """Columns are added, the head's table of them grows."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.table: dict[str, list[Any]] = {}
        self._end = 0

    def add(self, name: str, kind: str, data: bytes) -> None:
        self.table[name] = [kind, self._end, len(data)]
        self.pieces.append(data)
        self._end += len(data)

    def numbers(self, name: str, kind: str, values: Iterable[int]) -> None:
        self.add(name, kind, np.array(list(values), f"<{kind}").tobytes())

    def json(self, name: str, value: Any) -> None:
        self.add(name, "json", json.dumps(value).encode("ascii"))


def packed(document: Document) -> tuple[str, bytes]:
    """(the head as JSON, the block deflated)."""
    block = _Block()
    file = b"".join(document.image[s.offset : s.offset + s.kept] for s in document.segments)
    block.add("file", "u1", file)
    lists = _symbols(block, document.symbols)
    _relocations(block, document.relocations)
    _writes(block, document)
    _code(block, document)
    block.add("twin", "text", twin(document).encode("utf-8", "replace"))
    head = {**_head(document), **lists, "columns": block.table}
    return json.dumps(head, separators=(",", ":")), zlib.compress(b"".join(block.pieces), 6)


def _head(document: Document) -> dict[str, Any]:
    """What is small: rows as lists, fields in the order of ``parts.py``; JSON has no 64-bit numbers."""
    kinds = sorted({relocation.type for relocation in document.relocations})
    return {
        "name": document.name, "profile": document.profile, "outcome": document.outcome,
        "first": document.first, "fileSize": len(document.image), "leftOut": document.left_out,
        "parts": [(part.kind, hex(part.base), *part[2:]) for part in document.parts],
        "sections": [(*section[:8], hex(section.address), *section[9:]) for section in document.sections],
        "segments": document.segments,
        "spans": document.spans, "types": {number: document.type(number) for number in kinds},
        "start": document.start, "moved": document.moved, "relocated": document.relocated,
        "freed": document.freed,
        "formed": document.number("complete_formation"), "live": document.number("do_init_module"),
        "stages": [
            [s.name, s.title, s.function, s.source, s.summary, s.error, s.log, len(s.writes), s.elsewhere]
            for s in document.stages
        ],
    }  # fmt: skip


def _coded(values: Sequence[str]) -> tuple[list[str], Iterator[int]]:
    """The different values, and each as its number among them."""
    kinds = list(dict.fromkeys(values))
    numbers = {kind: number for number, kind in enumerate(kinds)}
    return kinds, (numbers[value] for value in values)


def _symbols(block: _Block, symbols: Sequence[Symbol]) -> dict[str, list[str]]:
    block.json("names", [symbol.name for symbol in symbols])
    lists = {}
    for name in ("type", "bind", "home"):
        lists[f"{name}Names"], numbers = _coded([getattr(symbol, name) for symbol in symbols])
        block.numbers(f"symbol_{name}", "u2", numbers)
    block.numbers("symbol_section", "u2", (symbol.section for symbol in symbols))
    block.numbers("symbol_value", "u8", (symbol.value for symbol in symbols))
    block.numbers("symbol_size", "u8", (symbol.size for symbol in symbols))
    block.numbers("symbol_known", "u1", (symbol.address is not None for symbol in symbols))
    block.numbers("symbol_address", "u8", (symbol.address or 0 for symbol in symbols))
    return lists


def _relocations(block: _Block, rows: Sequence[Relocation]) -> None:
    block.numbers("relocation_table", "u2", (row.table for row in rows))
    block.numbers("relocation_section", "u2", (row.section for row in rows))
    block.numbers("relocation_offset", "u8", (row.offset for row in rows))
    block.numbers("relocation_type", "u4", (row.type for row in rows))
    block.numbers("relocation_symbol", "u4", (row.symbol for row in rows))
    block.numbers("relocation_addend", "i8", (row.addend for row in rows))
    block.numbers("relocation_place", "i4", (row.place for row in rows))
    block.numbers("relocation_before", "u8", (_number(row.before) for row in rows))
    block.numbers("relocation_after", "u8", (_number(row.after) for row in rows))
    known = ((row.before is not None) + (row.after is not None) for row in rows)
    block.numbers("relocation_known", "u1", known)


def _number(data: bytes | None) -> int:
    return int.from_bytes(data or b"", "little")


def _writes(block: _Block, document: Document) -> None:
    """All stages' writes; those that copy from the file have no bytes of their own."""
    writes = [write for stage in document.stages for write in stage.writes]
    kept = {s.offset: s.kept for s in document.segments}
    copied = [w.source if w.source >= 0 and kept.get(w.source, 0) >= len(w.data) else -1 for w in writes]
    block.numbers("write_place", "u4", (write.place for write in writes))
    block.numbers("write_length", "u4", (len(write.data) for write in writes))
    block.numbers("write_source", "i4", copied)
    data = (write.data for write, source in zip(writes, copied, strict=True) if source < 0)
    block.add("write_data", "u1", b"".join(data))


def _code(block: _Block, document: Document) -> None:
    texts, numbers = _coded([row.text for row in document.code])
    block.json("texts", texts)
    block.numbers("code_place", "u4", (row.place for row in document.code))
    block.numbers("code_length", "u1", (row.length for row in document.code))
    block.numbers("code_text", "u4", numbers)
    block.numbers("code_since", "u1", (row.since for row in document.code))
    block.numbers("code_until", "u1", (row.until for row in document.code))
