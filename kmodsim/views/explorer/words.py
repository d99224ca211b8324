# SPDX-License-Identifier: GPL-2.0-only
"""What is chosen in the explorer, in one line of words.

The page says the same line in JavaScript (``words.js``); a browser test compares the two.
"""

from __future__ import annotations

from bisect import bisect_right

from ...arch.x86_64 import U64, fits, relocation_value
from .document import Document
from .parts import Relocation, Section, Span, Symbol

NAMING = ("FUNC", "OBJECT", "NOTYPE")  # types of symbols that name places
SPECIAL = {0: "UND", 0xFFF1: "ABS", 0xFFF2: "COM"}
FIELD = 4  # bytes from a PC-relative field to its instruction's end where no disassembly tells


def words(document: Document, kind: str, number: int, shift: int = 0) -> str:
    """One line on what is chosen, with the module ``shift`` bytes above where it was loaded.

    ``kind``: "section", "symbol", "relocation" (their numbers), "file" (an offset in the file) or "memory" (a
    place). IndexError: there is no such thing.
    """
    if kind == "file":
        return _file_byte(document, number)
    if kind == "memory":
        return _memory_byte(document, number, shift)
    table = {"section": document.sections, "symbol": document.symbols, "relocation": document.relocations}
    if not 0 <= number < len(table[kind]):
        raise IndexError(f"{document.name} has no {kind} {number}")
    if kind == "section":
        return _section(document, document.sections[number], shift)
    if kind == "symbol":
        return _symbol(document, document.symbols[number], shift)
    return _relocation(document, number, document.relocations[number], shift)


def _section(document: Document, section: Section, shift: int) -> str:
    there = "no bytes in the file"
    if section.length:
        there = f"{section.length:#x} bytes at offset {section.offset:#x} of the file"
    memory = "not loaded"
    if section.address:
        memory = f"{section.size:#x} bytes at {section.address + shift & U64:#x} in memory"
    count = sum(1 for row in document.relocations if row.section == section.number)
    return f"section {section.number} {section.name}: {there}; {memory}; {count} relocations"


def _symbol(document: Document, symbol: Symbol, shift: int) -> str:
    count = sum(1 for row in document.relocations if row.symbol == symbol.number)
    where = "S is not known, the load did not come so far"
    if symbol.address is not None:
        where = f"S = {address_of(document, symbol, shift):#x}"
        where += f" in {symbol.home}" if symbol.home else ""
    place = section_name(document, symbol.section)
    if 0 < symbol.section < len(document.sections):
        place = f"{symbol.size:#x} bytes at {place}+{symbol.value:#x}"
    kind = f"{symbol.type} {symbol.bind}"
    return f"symbol {symbol.number} {symbol.name}: {kind}, {place}; {where}; {count} relocations use it"


def _relocation(document: Document, number: int, row: Relocation, shift: int) -> str:
    kind = document.type(row.type)
    symbol = document.symbols[row.symbol] if row.symbol < len(document.symbols) else None
    name = symbol.name if symbol else f"symbol {row.symbol}, which is not there"
    place = f"{section_name(document, row.section)}+{row.offset:#x}"
    head = f"relocation {number}, {kind.name} at {place} for {name}"
    if kind.size is None:
        return f"{head}: the kernel refuses this type"
    if row.place < 0 or symbol is None or symbol.address is None or row.before is None:
        return f"{head}: not applied"
    s, p = address_of(document, symbol, shift), document.address(row.place) + shift & U64
    value = relocation_value(row.type, s, row.addend, p)
    told = f"{head}: {_formula(kind.formula, s, row.addend, p, value)}"
    if row.after is None:
        return f"{told}; not stored, the load stopped here or before"
    after = (value & (1 << 8 * kind.size) - 1).to_bytes(kind.size, "little")
    told += f"; {bytes_in_words(row.before)} -> {bytes_in_words(after)}"
    return f"{told}; {_verdict(document, row, symbol, value, shift)}" if kind.size else told


def _formula(formula: str, s: int, a: int, p: int, value: int) -> str:
    numbers = {"S": f"{s:#x}", "A": f"{a:#x}", "P": f"{p:#x}"}
    filled = " ".join(numbers.get(word, word) for word in formula.split())
    return f"{formula} = {filled} = {value:#x}"


def bytes_in_words(data: bytes) -> str:
    return data.hex(" ") or "nothing"


def _verdict(document: Document, row: Relocation, symbol: Symbol, value: int, shift: int) -> str:
    """What it leads to, or how it does not fit."""
    kind = document.type(row.type)
    if not fits(row.type, value):
        what = f"overflow in relocation type {row.type} val {value:x}"
        return f"{what}; `{document.name}' likely not compiled with -mcmodel=kernel"
    low = value & 0xFFFFFFFF
    if kind.pc_relative and kind.size == 4 and value != (low - (low >> 31 << 32)) & U64:
        return "4 bytes are too few for that distance and the kernel does not check: it leads elsewhere"
    return f"leads to {target_name(document, row, symbol, shift)}"


def target_name(document: Document, row: Relocation, symbol: Symbol, shift: int) -> str:
    """What S + A points to, by name; in code as seen from the end of the instruction, like the processor."""
    s = address_of(document, symbol, shift)
    distance = row.addend + (behind(document, row.place) if document.type(row.type).pc_relative else 0)
    if symbol.home == "this module":
        place = document.place(s + distance - shift & U64)
        if place >= 0:
            return place_name(document, place)
    sign = "-" if distance < 0 else "+"
    return symbol.name + (f"{sign}{abs(distance):#x}" if distance else "")


def behind(document: Document, place: int) -> int:
    """Bytes from a field to the end of its instruction; 0 in data."""
    span = span_at(document, place)
    if span is None or not span.code:
        return 0
    at = bisect_right(document.code, (place, 255)) - 1
    while at >= 0 and document.code[at].place > place - 15:
        found = document.code[at]
        if found.since <= document.relocated < found.until and found.place + found.length > place:
            return found.place + found.length - place
        at -= 1
    return FIELD


def address_of(document: Document, symbol: Symbol, shift: int) -> int:
    """S with the module moved: what is in one of its sections moves along."""
    moves = 0 < symbol.section < len(document.sections) and document.sections[symbol.section].address
    return (symbol.address or 0) + (shift if moves else 0) & U64


def section_name(document: Document, number: int) -> str:
    if 0 < number < len(document.sections):
        return document.sections[number].name
    return SPECIAL.get(number, f"section {number}")


def span_at(document: Document, place: int) -> Span | None:
    at = bisect_right(document.spans, place, key=lambda span: span.place) - 1
    span = document.spans[at] if at >= 0 else None
    return span if span is not None and place < span.place + span.size else None


def place_name(document: Document, place: int) -> str:
    """``symbol+0x12``, or ``.section+0x12`` where no symbol holds the place."""
    span = span_at(document, place)
    if span is None or not span.section:
        return f"{span.name if span and span.name else 'no section'}+{place - span.place if span else 0:#x}"
    offset = place - document.sections[span.section].place
    best = None
    for symbol in document.symbols:
        if symbol.section != span.section or symbol.type not in NAMING or not symbol.name:
            continue
        inside = symbol.value == offset or symbol.value <= offset < symbol.value + symbol.size
        if inside and (best is None or symbol.value > best.value):
            best = symbol
    if best is None:
        return f"{span.name}+{offset:#x}"
    return best.name + (f"+{offset - best.value:#x}" if offset != best.value else "")


def _file_byte(document: Document, offset: int) -> str:
    segment = next((s for s in document.segments if s.offset <= offset < s.offset + s.size), None)
    if segment is None:
        raise IndexError(f"{document.name} has no byte {offset:#x}")
    name = segment.name or "between sections"
    head = f"offset {offset:#x} of the file: {name}+{offset - segment.offset:#x}"
    if offset >= segment.offset + segment.kept:
        return f"{head}, left out"
    return f"{head}, byte {document.image[offset]:02x}"


def _memory_byte(document: Document, place: int, shift: int) -> str:
    if not 0 <= place < document.size:
        raise IndexError(f"{document.name} has no byte at place {place}")
    return f"{document.address(place) + shift & U64:#x} in memory: {place_name(document, place)}"
