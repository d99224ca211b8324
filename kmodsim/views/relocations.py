# SPDX-License-Identifier: GPL-2.0-only
"""Relocation entries as a table, and one of them drawn with its numbers filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .svg import WIDTH, Drawing
from .view import View, plural, table

GIB = 1 << 30
AXIS = 6 * GIB  # how much of the top of the address space the axis shows
TOP = 1 << 64
BYTE_W, CELL_H, MARGIN = 26, 24, 12
# what the kernel asks of a value that is stored in fewer than eight bytes (RelocationType.check)
CHECKS = {
    "": "not checked",
    "unsigned": "the bytes cut off must be 00",
    "signed": "the bytes cut off must repeat the sign, bit 31",
}


class RelocationLine(NamedTuple):
    """One entry. ``number``: its place in the file's order; ``value``: what is stored, None where unknown."""

    number: int
    section: str
    offset: int
    type: str
    symbol: str
    addend: int | None
    value: bytes | None = None


class Filled(NamedTuple):
    """One entry with numbers: what stands in the formula, what it gives, what is stored.

    ``value`` is S + A or S + A − P modulo 2^64. ``size``: bytes stored, None where the kernel refuses the
    type. ``check``: "", "unsigned" or "signed". ``around``: bytes in front of P and behind the field.
    ``after`` None: nothing is stored, ``verdict`` says why. ``reads``: the S that the stored bytes give when
    the formula is turned round.
    """

    number: int
    type: str
    formula: str
    symbol: str
    place: str
    S: int
    A: int
    P: int
    value: int
    size: int | None
    check: str
    before: bytes
    after: bytes | None
    around: tuple[bytes, bytes] = (b"", b"")
    verdict: str = ""
    good: bool = True
    reads: int | None = None


def relocation_table(
    lines: Sequence[RelocationLine],
    title: str,
    *,
    total: int | None = None,
    kinds: Mapping[str, int] | None = None,
    chosen: int | None = None,
) -> View:
    """Entries in file order. ``lines`` may be a part of ``total``: what is left out is counted where it is
    missing, ``kinds`` (type -> how many) counts all of them, ``chosen`` is the number of the marked one."""
    total = len(lines) if total is None else total
    marked = chosen is not None
    rows: list[tuple[str, ...]] = []
    following = 0
    for line in lines:
        rows += _gap(line.number - following, marked)
        rows.append(_row(line, chosen))
        following = line.number + 1
    rows += _gap(total - following, marked)
    words = plural(total, "relocation") + (": " + _kinds(kinds) if kinds else "")
    heads = (("",) if marked else ()) + ("#", "section", "offset", "type", "symbol + addend", "stored")
    return table(title, words, heads, rows, right=(2, 4) if not marked else (1, 3))


def _row(line: RelocationLine, chosen: int | None) -> tuple[str, ...]:
    stored = line.value.hex(" ") if line.value is not None else ""
    mark = () if chosen is None else ("▶" if line.number == chosen else "",)
    return (
        *mark,
        str(line.number), line.section, f"{line.offset:#x}", line.type,
        line.symbol + (signed(line.addend, plus=True) if line.addend else ""), stored,
    )  # fmt: skip


def _gap(missing: int, marked: bool) -> list[tuple[str, ...]]:
    if missing <= 0:
        return []
    return [(("",) if marked else ()) + ("…", f"{missing:,} more", "", "", "", "")]


def _kinds(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name.removeprefix('R_X86_64_')}" for name, count in kinds.items())


def signed(value: int, *, plus: bool = False) -> str:
    """A signed number in hex: ``-0x4``; with ``plus`` also ``+0x4``."""
    sign = "-" if value < 0 else "+" if plus else ""
    return f"{sign}{abs(value):#x}"


def two_complement(value: int) -> int:
    """An unsigned 64-bit number as the signed one with the same bits."""
    return value - TOP if value >> 63 else value


def relocation_picture(filled: Filled, title: str, *, hidden: bool = False) -> View:
    """S, A and P, the formula, the value byte by byte, memory before and after, and where all that lies.

    ``hidden``: what is computed is left out, so that it can be guessed."""
    drawing = Drawing(WIDTH)
    drawing.text(MARGIN, 24, title, "big", room=WIDTH - 2 * MARGIN)
    _terms(drawing, filled, 38)
    drawing.text(MARGIN, 118, _formula(filled, hidden), "m", room=WIDTH - 2 * MARGIN)
    _value(drawing, filled, 132, hidden)
    _memory(drawing, filled, 212, hidden)
    _axis(drawing, filled, 318)
    text = _text(filled, title, hidden)
    description = f"{filled.type}: {filled.formula or 'nothing is stored'}. " + (
        "The bytes are hidden until you guess." if hidden else filled.verdict
    )
    return View(title, description, text, drawing.svg(title, description, 404))


def _terms(drawing: Drawing, f: Filled, top: float) -> None:
    width = (WIDTH - 2 * MARGIN - 2 * 14) / 3
    terms = (("S", "the symbol's address", f"{f.S:#x}", f.symbol, "code"),
             ("A", "the addend, from the entry", signed(f.A), str(f.A), "rodata"),
             ("P", "the place to be changed", f"{f.P:#x}", f.place, "data"))  # fmt: skip
    for number, (letter, words, value, name, fill) in enumerate(terms):
        x = MARGIN + number * (width + 14)
        used = letter in f.formula.split()
        on = "on " if used else ""
        drawing.rect(x, top, width, 58, fill if used else "", css="box" if used else "off", radius=6)
        drawing.text(x + 8, top + 17, f"{letter}  {words}" + ("" if used else " (not used)"), on + "b s")
        drawing.text(x + 8, top + 34, value, on + "m")
        drawing.text(x + 8, top + 50, name, on + "m s", room=width - 16)


def _formula(f: Filled, hidden: bool) -> str:
    if not f.formula:
        return f"{f.type} computes nothing."
    terms = {"S": f"{f.S:#x}", "A": f"({signed(f.A)})" if f.A < 0 else f"{f.A:#x}", "P": f"{f.P:#x}"}
    filled = " ".join(terms.get(word, word) for word in f.formula.split())
    return f"{f.formula} = {filled} = " + ("?" if hidden else signed(two_complement(f.value)))


def _value(drawing: Drawing, f: Filled, top: float, hidden: bool) -> None:
    """The 64-bit value, highest byte first as people write it, and which of its bytes are stored."""
    size = f.size or 0
    raw = f.value.to_bytes(8, "big")
    drawing.text(MARGIN, top + 16, "value", "b s")
    for place, byte in enumerate(raw):
        x = MARGIN + 90 + place * BYTE_W
        stored = place >= 8 - size
        fill = ("good" if f.good else "bad") if stored else ""
        drawing.rect(x, top, BYTE_W, CELL_H, fill, css="box" if stored else "off")
        words = "??" if hidden else f"{byte:02x}"
        drawing.text(x + BYTE_W / 2, top + 16, words, ("on " if stored else "") + "m", "middle")
    x = MARGIN + 90 + 8 * BYTE_W + 12
    field = "this kernel refuses the type" if f.size is None else f"the field has {plural(size, 'byte')}"
    drawing.text(x, top + 10, field, "s")
    rule = CHECKS[f.check] if 0 < size < 8 else ""
    drawing.text(x, top + 24, rule, "s")
    if 0 < size < 8:
        drawing.text(MARGIN + 90 + (8 - size) * BYTE_W / 2, top + 38, "cut off", "s", "middle")
    if size:
        middle = MARGIN + 90 + (8 - size / 2) * BYTE_W
        drawing.text(middle, top + 38, "stored, lowest byte first", "s", "middle")
    elif f.size == 0:
        drawing.text(MARGIN + 90, top + 38, "nothing is stored", "s")


def _memory(drawing: Drawing, f: Filled, top: float, hidden: bool) -> None:
    front, behind = f.around
    width = max(len(f.before), f.size or 0)
    drawing.text(MARGIN, top - 8, f"memory at P = {f.place}", "b s")
    for row, (name, data) in enumerate((("before", f.before), ("after", f.after))):
        y = top + row * (CELL_H + 10)
        drawing.text(MARGIN, y + 16, name, "b s")
        shown = [f"{byte:02x}" for byte in (f.before if data is None else data)]
        if row and hidden and f.size:
            shown = ["??"] * (f.size or 0)
        cells = [(f"{b:02x}", "") for b in front] + [(b, "x") for b in shown] + [
            (f"{b:02x}", "") for b in behind[: len(behind)]
        ]  # fmt: skip
        for number, (words, field) in enumerate(cells):
            x = MARGIN + 90 + number * BYTE_W
            fill = "data" if field and not row else ("good" if f.good else "bad") if field else ""
            drawing.rect(x, y, BYTE_W, CELL_H, fill, css="box" if fill else "off")
            drawing.text(x + BYTE_W / 2, y + 16, words, ("on " if fill else "") + "m", "middle")
    end = MARGIN + 90 + (len(front) + width + len(behind)) * BYTE_W + 12
    room = WIDTH - MARGIN - end
    if room > 60:
        drawing.text(end, top + CELL_H + 26, "" if hidden else ("✓" if f.good else "✗"), "big")


def _axis(drawing: Drawing, f: Filled, top: float) -> None:
    """The top 6 GiB of the address space: kernel, module area, the reach of the type, S and P."""
    left, right = MARGIN, WIDTH - MARGIN
    per = (right - left) / AXIS
    drawing.text(left, top - 8, "the top 6 GiB of the address space", "b s")
    for start, end, words in ((0xFFFFFFFF80000000, 0xFFFFFFFFC0000000, "kernel"),
                              (0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000, "modules")):  # fmt: skip
        x = left + (start - TOP + AXIS) * per
        drawing.rect(x, top + 20, (end - start) * per, 22, "plain", css="box")
        drawing.text(x + (end - start) * per / 2, top + 35, words, "on s", "middle")
    drawing.path(f"M{left} {top + 42}H{right}")
    reach = _reach(f)
    if reach is not None:
        first, last = (left + (max(0, min(AXIS, at - TOP + AXIS))) * per for at in reach)
        drawing.rect(first, top + 46, last - first, 9, "good", css="box")
        drawing.text(min(first + 4, right - 200), top + 68, f"what {f.type} can reach from P", "s")
    elif f.check == "unsigned":
        drawing.text(left, top + 62, "R_X86_64_32 reaches only the lowest 4 GiB: not in this picture", "s")
    for letter, address in (("S", f.S), ("P", f.P)):
        at = address - TOP + AXIS
        mark = left + max(0, min(AXIS, at)) * per
        words = letter if 0 <= at <= AXIS else f"◀ {letter}"
        drawing.path(f"M{mark:.1f} {top + 8}V{top + 44}")
        drawing.text(mark, top + 5, words, "b", "middle" if 20 < mark < WIDTH - 20 else "start")


def _reach(f: Filled) -> tuple[int, int] | None:
    """[start, end) of the addresses that a field of four bytes can name; None: all, or none shown."""
    if f.size != 4 or f.check == "unsigned":
        return None
    return (TOP - 2 * GIB, TOP) if f.check else (f.P - 2 * GIB, f.P + 2 * GIB)


def _text(f: Filled, title: str, hidden: bool) -> str:
    lines = [
        title,
        f"S       {f.S:#x}  {f.symbol}",
        f"A       {signed(f.A)}",
        f"P       {f.P:#x}  {f.place}",
        _formula(f, hidden),
    ]
    size = "refused by this kernel" if f.size is None else plural(f.size, "byte")
    rule = f", {CHECKS[f.check]}" if f.size == 4 else ""
    lines += [f"field   {size}{rule}", f"before  {f.before.hex(' ') or '(nothing)'}"]
    if hidden:
        return "\n".join([*lines, "after   ? (guess first)"])
    lines.append(f"after   {f.after.hex(' ') if f.after is not None else f.before.hex(' ') or '(nothing)'}")
    if f.reads is not None:
        lines.append(f"read back {f.reads:#x}" + (" = S" if f.reads == f.S else " ≠ S"))
    return "\n".join([*lines, f.verdict] if f.verdict else lines)
