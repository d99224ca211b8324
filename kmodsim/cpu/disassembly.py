# SPDX-License-Identifier: GPL-2.0-only
"""A module's code, annotated: symbols, the relocation behind each operand, what the kernel patched there.

``disassemble(load)`` takes the file's bytes and everything the load's trace says was written over them, so
that init code can be read when its memory is long gone. Syntax and columns are those of ``objdump -dr``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any, NamedTuple

from ..arch.x86_64_length import instruction_length
from ..errors import ENOENT, KernelError
from ..loader.load import Load
from ..module import Module
from ..modulefile import ModuleFile, Relocation
from .codesource import Code, Patch, code_of, signed_name

NOT_INSTALLED = "capstone is not installed (pip install 'kmodsim[exec]')"
BAD = "(bad)"  # objdump's word for bytes that are no instruction
# where an operand says an address: behind %rip, as a jump's target, as a number
RIP_RELATIVE = re.compile(r"(-?)(?:0x)?([0-9a-f]*)\(%rip\)")
ABSOLUTE = re.compile(r"\$?\b(0xffff[0-9a-f]{12})\b")
LONG_DECIMAL = re.compile(r"\$(\d{10,})\b")  # capstone does not write all large numbers in hex
BRANCH = re.compile(r"^(?:call|j[a-z]+|loop[a-z]*|xbegin)q?$")
HTML_ROWS = 2000
UNDEFINED = ("ud0", "ud1")  # capstone leaves out their ModRM byte


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction as it is after the load (of a file: as it lies there).

    ``address`` in memory, in a file the same as ``offset``, which counts from the start of ``section``.
    ``target``: what a jump or an operand leads to, "_printk" or ".rodata.str1.1+0x5". ``relocations``:
    those that made bytes of it. ``patches``: what the kernel wrote over it. ``label``: the symbol here.
    """

    address: int
    section: str
    offset: int
    code: bytes
    text: str
    target: str = ""
    relocations: tuple[Relocation, ...] = ()
    patches: tuple[Patch, ...] = ()
    label: str = ""

    @property
    def notes(self) -> list[str]:
        """Target, relocations and patches in words."""
        words = [f"-> {self.target}"] if self.target else []
        words += [f"{r.type_name} {signed_name(r.symbol, r.addend or 0)}" for r in self.relocations]
        for patch in self.patches:
            first = patch.offset >= self.offset
            was = f", was {patch.before.hex(' ')}" if first else ""
            words.append(f"{patch.kind}{was}" if first else f"{patch.kind}, goes on")
        return words

    def __str__(self) -> str:
        left = f"{self.address:16x} {self.offset:6x}: {self.code.hex(' '):<30} {self.text}"
        return f"{left:<92} # {'; '.join(self.notes)}" if self.notes else left


class Listing(list[Instruction]):
    """Instructions in the order of their addresses; ``str()`` is a listing with a heading a symbol."""

    def __str__(self) -> str:
        return "\n".join(self._lines(self))

    def _repr_html_(self) -> str:
        text = "\n".join(self._lines(self[:HTML_ROWS]))
        left = len(self) - HTML_ROWS
        note = f"<p>{left} more instructions; print(…) shows all.</p>" if left > 0 else ""
        return f'<pre style="overflow-x:auto">{escape(text)}</pre>{note}'

    @staticmethod
    def _lines(rows: Iterable[Instruction]) -> Iterator[str]:
        for row in rows:
            if row.label:
                yield f"\n{row.label}:   {row.section}+{row.offset:#x}"
            yield str(row)


def disassemble(what: Load | Module | ModuleFile, function: str | None = None) -> Listing:
    """The instructions of one function, or section; without a name of all code.

    what: a ``Load`` with a trace (all that can be known); a ``ModuleFile`` (as the file has it, nothing
    relocated or patched); a ``Module`` (the bytes in memory now and their symbols).
    KernelError: ENOENT for a function that is not there; capstone is not installed.
    """
    decoder()
    code = code_of(what)
    rows = Listing()
    for part, start, end in _ranges(code, function):
        rows += _instructions(code, part, start, end)
    return rows


def _ranges(code: Code, function: str | None) -> Iterator[tuple[int, int, int]]:
    """(number of a section, start, end) of what is asked for; symbols split a section, as in objdump."""
    wanted = code.symbol(function) if function is not None else None
    if wanted is not None:
        start, size = wanted.offset, code.size(wanted.section)
        after = (place for place in code.places(wanted.section) if place > start)
        end = start + wanted.size if wanted.size else next(after, size)
        yield wanted.section, start, min(end, size)
        return
    numbers = [n for n in code.sections if function in (None, code.sections[n].name)]
    if function is not None and not numbers:
        raise KernelError(ENOENT, why=f"no code called {function!r} in {code.name}")
    for number in numbers:
        places = [0, *(place for place in code.places(number) if 0 < place < code.size(number))]
        for start, end in zip(places, [*places[1:], code.size(number)], strict=True):
            yield number, start, end


def _instructions(code: Code, part: int, start: int, end: int) -> Iterator[Instruction]:
    section = code.sections[part]
    labels = code.labels(part)
    told = 0  # relocations before this place stand with the patch that took their bytes
    for address, raw, text in decode(section.data[start:end], section.address + start):
        at = address - section.address
        stop = at + len(raw)
        patches = tuple(code.patches(part, at, stop))
        covered = max([stop, *(patch.offset + len(patch.after) for patch in patches)])
        relocations = tuple(code.relocations(part, max(at, told), covered))
        told = max(told, covered)
        target = _target(code, part, at, raw, text, () if patches else relocations)
        label = labels.get(at, "" if at else section.name)
        yield Instruction(address, section.name, at, raw, text, target, relocations, patches, label)


def _target(
    code: Code, part: int, at: int, raw: bytes, text: str, relocations: tuple[Relocation, ...]
) -> str:
    """What the operand leads to: by the relocation that made it, else by the address in it."""
    if relocations:
        first = relocations[0]
        behind = at + len(raw) - first.offset if "PC" in first.type_name or "PLT" in first.type_name else 0
        return code.pointed(first, (first.addend or 0) + behind)
    address = address_in(text, code.sections[part].address + at + len(raw))
    return code.name_of(part, address) if address is not None else ""


def address_in(text: str, following: int) -> int | None:
    """The address that an instruction's text says, if it says one."""
    mnemonic, _, operands = text.partition(" ")
    if found := RIP_RELATIVE.search(operands):
        distance = int(found[2] or "0", 16)
        return (following + (-distance if found[1] else distance)) & ((1 << 64) - 1)
    if BRANCH.match(mnemonic) and (number := re.fullmatch(r"\s*(?:0x)?([0-9a-f]+)", operands)):
        return int(number[1], 16)
    found = ABSOLUTE.search(operands)
    return int(found[1], 16) if found else None


# --- bytes to words


class Decoded(NamedTuple):
    """An instruction's address, its bytes and its text."""

    address: int
    code: bytes
    text: str


@cache
def decoder() -> Any:
    """Capstone for 64-bit x86 in AT&T's syntax; KernelError, with what to install, where it is missing."""
    try:
        import capstone
    except ImportError:
        raise KernelError(None, strerror=NOT_INSTALLED) from None
    machine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    machine.syntax = capstone.CS_OPT_SYNTAX_ATT
    return machine


def decode(code: bytes, address: int) -> Iterator[Decoded]:
    """All instructions in ``code``, the first at ``address``; a byte that begins none is "(bad)" alone."""
    machine, at = decoder(), 0
    while at < len(code):
        for place, size, mnemonic, operands in machine.disasm_lite(code[at:], address + at):
            start = place - address
            if mnemonic in UNDEFINED:
                size = max(size, instruction_length(code[start : start + 15]))
            operands = LONG_DECIMAL.sub(lambda number: f"${int(number[1]):#x}", operands)
            yield Decoded(place, code[start : start + size], f"{mnemonic:<6} {operands}".rstrip())
            at = start + size
            if mnemonic in UNDEFINED:
                break
        else:
            if at < len(code):
                yield Decoded(address + at, code[at : at + 1], BAD)
                at += 1


def instruction_text(code: bytes, address: int) -> str:
    """One instruction's text; its bytes where capstone is not installed."""
    try:
        return next(decode(code, address)).text if code else ""
    except KernelError:
        return code.hex(" ")
