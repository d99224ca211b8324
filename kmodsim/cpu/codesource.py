# SPDX-License-Identifier: GPL-2.0-only
"""Where a disassembly has its facts from: a file, a traced load, or a module in memory, as one shape.

Of a load the bytes are the file's with every change of the trace applied, in the trace's order; which stage
made a change tells what it was.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ..loader.load import Load
from ..module import Module
from ..modulefile import ModuleFile, Relocation
from ..records import SHF_ALLOC, SHF_EXECINSTR
from .calls import quoted
from .names import short_name
from .symbolize import lookup

if TYPE_CHECKING:
    from ..kernel import Kernel

# stage of the load -> what it does to code (kmodsim.loader.pipeline, in its order)
PATCHES = {
    "apply_paravirt": "paravirt",
    "apply_retpolines": "retpoline",
    "apply_returns": "return thunk",
    "apply_alternatives": "alternative",
    "alternatives_smp_module_add": "SMP lock",
    "ftrace_module_init": "ftrace NOP",
    "jump_label_add_module": "jump label",
    "static_call_add_module": "static call",
}
LONGEST_PATCH = 255  # struct alt_instr counts its bytes in an u8
NAMING = ("FUNC", "NOTYPE", "OBJECT")  # types of symbols that name places


class Patch(NamedTuple):
    """What the kernel wrote over code: the kind, the stage whose record says so, where in the section, the
    bytes before and after."""

    kind: str
    stage: str
    offset: int
    before: bytes
    after: bytes


class CodeSection(NamedTuple):
    """A section with code: its bytes, and the address of the first (0 in a file)."""

    name: str
    address: int
    data: bytes


class Span(NamedTuple):
    """Any section, code or not: its name, where in memory it is (0: not loaded), how large."""

    name: str
    address: int
    size: int


class Name(NamedTuple):
    """A symbol: its name, section, offset in it, size."""

    name: str
    section: int
    offset: int
    size: int


class Code:
    """All code of one module with what is known of it. Sections go by their number in the file."""

    def __init__(
        self, name: str, sections: dict[int, CodeSection], spans: dict[int, Span], names: Iterable[Name], *,
        file: ModuleFile | None = None, kernel: Kernel | None = None,
    ) -> None:  # fmt: skip
        self.name, self.sections, self._spans = name, sections, spans
        self._file, self._kernel = file, kernel
        self._patches: dict[int, list[Patch]] = defaultdict(list)
        self._names: dict[int, list[Name]] = defaultdict(list)
        for each in names:
            self._names[each.section].append(each)
        for found in self._names.values():
            found.sort(key=lambda each: each.offset)  # of several at one place the table's first stays first
        self._offsets = {number: [each.offset for each in found] for number, found in self._names.items()}

    def size(self, number: int) -> int:
        return len(self.sections[number].data)

    # --- symbols

    def symbol(self, name: str) -> Name | None:
        """The first symbol of that name in code."""
        names = (each for number in self.sections for each in self._names.get(number, ()))
        return next((each for each in names if each.name == name), None)

    def labels(self, number: int) -> dict[int, str]:
        """Offset -> name; of several the first in the table."""
        return {each.offset: each.name for each in reversed(self._names.get(number, ()))}

    def places(self, number: int) -> list[int]:
        """The offsets of a section that have a symbol, ascending."""
        return sorted(set(self._offsets.get(number, ())))

    def _in_section(self, number: int, offset: int) -> str:
        """``symbol+0x12``, or ``.section+0x12`` where no symbol holds the offset."""
        names, offsets = self._names.get(number, []), self._offsets.get(number, [])
        row = bisect_right(offsets, offset) - 1
        if row >= 0:
            first = names[bisect_left(offsets, offsets[row])]
            if offset == first.offset or offset < first.offset + first.size:
                return short_name(first.name, offset - first.offset)
        span = self._spans.get(number)
        if span is None:
            return ""
        return signed_name(span.name, offset) + self._string(number, span.name, offset)

    def _string(self, number: int, name: str, offset: int) -> str:
        """The text at that place where the compiler keeps strings only."""
        section = self._file.sections.get(number) if self._file is not None and ".str" in name else None
        text = section.string(offset) if section is not None else ""
        return f" {quoted(text.encode('utf-8', 'surrogateescape'))}" if text else ""

    def name_of(self, part: int, address: int) -> str:
        """What lies at an address (in a file: at an offset of the section ``part``); "" for nothing known."""
        if not self.sections[part].address:
            return self._in_section(part, address) if 0 <= address < self.size(part) else ""
        for number, span in self._spans.items():
            if span.address and span.address <= address < span.address + span.size:
                return self._in_section(number, address - span.address)
        found = lookup(self._kernel, address) if self._kernel is not None else None
        return short_name(found.name, found.offset) if found is not None else ""

    # --- relocations

    @cached_property
    def _relocations(self) -> dict[int, tuple[list[int], list[Relocation]]]:
        """Section -> its relocations by place."""
        found: dict[int, tuple[list[int], list[Relocation]]] = {}
        for table in self._file.relocations.tables if self._file is not None else ():
            if table.target is not None and table.target.index in self.sections:
                rows = sorted(table, key=lambda relocation: relocation.offset)
                found[table.target.index] = ([r.offset for r in rows], rows)
        return found

    def relocations(self, number: int, start: int, end: int) -> list[Relocation]:
        """Those whose place lies in [start, end) of the section."""
        offsets, rows = self._relocations.get(number, ([], []))
        return rows[bisect_left(offsets, start) : bisect_left(offsets, end)]

    def pointed(self, relocation: Relocation, addend: int) -> str:
        """Symbol + addend by the name of what lies there, where that is in this module."""
        symbol = self._file.symbols.get(relocation.symbol_index) if self._file is not None else None
        if symbol is not None and symbol.section_index in self._spans:
            return self._in_section(symbol.section_index, symbol.value + addend)
        return signed_name(relocation.symbol, addend)

    # --- patches

    def patch(self, number: int, patch: Patch) -> None:
        insort(self._patches[number], patch, key=_offset)

    def patches(self, number: int, start: int, end: int) -> list[Patch]:
        """What was written over bytes in [start, end) of the section, by place, then in the trace's order."""
        rows = self._patches.get(number, [])
        first = bisect_left(rows, start - LONGEST_PATCH, key=_offset)
        near = rows[first : bisect_left(rows, end, key=_offset)]
        return [patch for patch in near if start < patch.offset + len(patch.after)]


def _offset(patch: Patch) -> int:
    return patch.offset


def signed_name(name: str, offset: int) -> str:
    """``_printk-0x4``, as objdump writes addends."""
    return short_name(name, offset) if offset >= 0 else f"{name}-{-offset:#x}"


# --- the three sources


def code_of(what: Load | Module | ModuleFile) -> Code:
    """The code of a load, a module in memory or a file."""
    if isinstance(what, ModuleFile):
        return _of_file(what)
    return _of_load(what) if isinstance(what, Load) else _of_module(what)


def _of_file(file: ModuleFile) -> Code:
    return Code(file.name or "the file", _code_in(file), _spans(file, {}), _names_in(file), file=file)


def _code_in(file: ModuleFile) -> dict[int, CodeSection]:
    wanted = SHF_ALLOC | SHF_EXECINSTR
    return {s.index: CodeSection(s.name, 0, s.data) for s in file.sections if s.flags & wanted == wanted}


def _spans(file: ModuleFile, places: dict[int, int]) -> dict[int, Span]:
    return {s.index: Span(s.name, places.get(s.index, 0), s.size) for s in file.sections if s.index}


def _names_in(file: ModuleFile) -> Iterator[Name]:
    for symbol in file.symbols:
        if symbol.name and symbol.type in NAMING:
            yield Name(symbol.name, symbol.section_index, symbol.value, symbol.size)


def _of_load(load: Load) -> Code:
    """The file's bytes with the trace's changes over them; a load that failed early is what its file is."""
    file = ModuleFile(load.image.tobytes())
    if not any(record.stage == "move_module" and record.error is None for record in load.trace):
        return _of_file(file)
    places = {s.index: s.addr for s in load.sections if s.alloc and s.addr}
    plain = {n: section for n, section in _code_in(file).items() if n in places}
    data = {n: bytearray(section.data) for n, section in plain.items()}
    patches = _apply(load, {n: (places[n], data[n]) for n in data})
    sections = {n: CodeSection(plain[n].name, places[n], bytes(data[n])) for n in plain}
    code = Code(load.name, sections, _spans(file, places), _names_in(file), file=file, kernel=load.kernel)
    for number, patch in patches:
        code.patch(number, patch)
    return code


def _apply(load: Load, sections: dict[int, tuple[int, bytearray]]) -> list[tuple[int, Patch]]:
    """Write what each stage wrote; those that patch are noted, in the order of the trace."""
    found = []
    for record in load.trace:
        if record.stage == "move_module":  # that is the file's own bytes
            continue
        for change in record.changes:
            for number, (start, data) in sections.items():
                offset = change.start - start
                if offset >= 0 and offset + len(change.after) <= len(data):
                    data[offset : offset + len(change.after)] = change.after
                    if kind := PATCHES.get(record.stage):
                        patch = Patch(kind, record.stage, offset, change.before, change.after)
                        found.append((number, patch))
                    break
    return found


def _of_module(module: Module) -> Code:
    """The bytes in memory now. Without the file there are no relocations to tell of, and no trace."""
    there = {number: s for number, s in enumerate(module.sections.all, 1) if s.size}
    spans = {number: Span(s.name, s.address, s.size) for number, s in there.items()}
    code = {number: s for number, s in there.items() if s.flags & SHF_EXECINSTR}
    sections = {number: CodeSection(s.name, s.address, s.data) for number, s in code.items()}
    return Code(module.name, sections, spans, _names_of(module, spans))


def _names_of(module: Module, spans: dict[int, Span]) -> Iterator[Name]:
    """The module's kallsyms as offsets into its sections."""
    if module.symbols is None:
        return
    table = module.symbols.current
    for record, name in zip(table.records.tolist(), table.names(), strict=True):
        value, size = record[4], record[5]
        for number, span in spans.items():
            if name and span.address <= value < span.address + span.size:
                yield Name(name, number, value - span.address, size)
                break
