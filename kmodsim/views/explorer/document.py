# SPDX-License-Identifier: GPL-2.0-only
"""The explorer's document: everything about one load, computed once, as plain data.

Bytes come from the file and from the trace's changes, S from the symbol table as ``simplify_symbols`` left
it; nothing here asks a kernel that has gone on since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from ...arch.x86_64 import RELOCATION_TYPES, RelocationType
from ...errors import KernelError
from ...loader.load import Load
from ...modulefile import ModuleFile
from .code import CodeHistory, CodeSpan
from .layout import Layout, layout_of, segments_of
from .parts import Instruction, Part, Relocation, Section, Segment, Span, Stage, Symbol
from .replay import Replay

WHOLE = 4 << 20  # bytes of a file that is shown whole
KEPT = 96 << 10  # of larger ones: as many bytes of each section
MOST_MEMORY = 256 << 20


@dataclass(frozen=True)
class Document:
    """One module before, while and after it is loaded; ``outcome``: "success" or errno and stage.

    ``stages[k].writes`` applied for all k up to n give the memory as of stage n. ``moved``, ``relocated``,
    ``freed``: numbers of the stages that allocate memory, relocate, and free init; the number of stages where
    the load did not come so far. ``left_out``: what a reduced document lacks, in words.
    """

    name: str
    profile: str
    outcome: str
    first: tuple[str, ...]
    image: bytes
    parts: tuple[Part, ...]
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    spans: tuple[Span, ...]
    symbols: tuple[Symbol, ...]
    relocations: tuple[Relocation, ...]
    stages: tuple[Stage, ...]
    code: tuple[Instruction, ...]
    left_out: tuple[str, ...]

    def number(self, stage: str) -> int:
        """The number of the stage so called, if it ended well; else how many stages there are."""
        found = (i for i, s in enumerate(self.stages) if s.name == stage and not s.error)
        return next(found, len(self.stages))

    @cached_property
    def moved(self) -> int:
        return self.number("move_module")

    @cached_property
    def relocated(self) -> int:
        """The stage of the relocations, whether it ended well or not."""
        found = (i for i, s in enumerate(self.stages) if s.name == "apply_relocations")
        return next(found, len(self.stages))

    @cached_property
    def freed(self) -> int:
        return self.number("do_free_init")

    @cached_property
    def start(self) -> int:
        """The relocation to begin with: the first whose bytes stay as they are; -1 where there is none."""
        end = self.memory(len(self.stages) - 1)
        stays = (
            number
            for number, row in enumerate(self.relocations)
            if row.after and end.startswith(row.after, row.place) and self.part(row.place) == "core"
        )
        return next(stays, 0 if self.relocations else -1)

    def part(self, place: int) -> str:
        """The kind of part at a place: "core", "init", "" nowhere."""
        return next((p.kind for p in self.parts if p.place <= place < p.place + p.size), "")

    @property
    def size(self) -> int:
        """Bytes of memory, all parts."""
        return sum(part.size for part in self.parts)

    def memory(self, stage: int) -> bytes:
        """All of the module's memory, by place, as the stage of that number left it."""
        memory = bytearray(self.size)
        for each in self.stages[: stage + 1]:
            for write in each.writes:
                memory[write.place : write.place + len(write.data)] = write.data
        return bytes(memory)

    def address(self, place: int) -> int:
        """The address of a place in memory; 0 for -1."""
        part = next((p for p in self.parts if p.place <= place < p.place + p.size), None)
        return part.base + place - part.place if part else 0

    def place(self, address: int) -> int:
        """The place of an address in the module's memory, -1 for one outside it."""
        part = next((p for p in self.parts if p.base <= address < p.base + p.size), None)
        return part.place + address - part.base if part else -1

    def type(self, number: int) -> RelocationType:
        """Name, formula, size and check of a relocation type (``kmodsim.arch.x86_64``)."""
        return RELOCATION_TYPES.get(number) or RelocationType(number, f"type {number}", "")


def explorer_document(load: Load, whole: Sequence[str] = (), kept: int | None = None) -> Document:
    """What the explorer shows of a traced load.

    ``kept``: bytes of each section that are taken along, by default all, of a file above 4 MiB the first
    96 KiB; ``whole``: names of sections of which all is taken. KernelError: the module's memory is larger
    than 256 MiB.
    """
    from ..of_kernel import outcome

    file = ModuleFile(load.image.tobytes())
    if kept is None:
        kept = KEPT if len(file.data) > WHOLE else len(file.data) + MOST_MEMORY
    layout = layout_of(load, file, frozenset(whole), kept)
    if layout.size > MOST_MEMORY:
        raise KernelError(None, strerror=f"{layout.size:,} bytes of memory are too many to show")
    replay = Replay(load, file, layout)
    code, missing = _history(file, layout)
    stages = replay.run(code)
    relocations = replay.relocations()
    return Document(
        load.name or file.name or "(no name)", load.profile.name, outcome(load.error),
        tuple(reversed([name for name in load.kernel.modules if name != load.name])), file.data,
        layout.parts, layout.sections, segments_of(file, layout), layout.spans, replay.symbols, relocations,
        stages, tuple(code.instructions(len(stages))) if code else (),
        (*_left_out(layout, file, len(relocations)), *missing),
    )  # fmt: skip


def _history(file: ModuleFile, layout: Layout) -> tuple[CodeHistory | None, tuple[str, ...]]:
    """Where code is, to be decoded; None and why where that cannot be."""
    from ...cpu.disassembly import decoder

    try:
        decoder()
    except KernelError as error:
        return None, (f"disassembly: {error.strerror}",)
    starts: dict[int, list[int]] = {}
    for symbol in file.symbols:
        starts.setdefault(symbol.section_index, []).append(symbol.value)
    spans = [
        CodeSpan(span.place, layout.address(span.place), span.kept, starts.get(span.section, []))
        for span in layout.spans
        if span.code and span.kept
    ]
    return CodeHistory(spans), ()


def _left_out(layout: Layout, file: ModuleFile, shown: int) -> tuple[str, ...]:
    cut = [s for s in layout.sections if s.kept < s.size]
    if not cut:
        return ()
    gone = sum(s.size - s.kept for s in cut)
    rows, most = len(file.relocations) - shown, max(s.kept for s in cut)
    return (
        f"{gone:,} bytes: of {len(cut)} sections only the first {most:,} bytes each are here",
        f"{rows:,} of {len(file.relocations):,} relocations: those of the bytes left out",
    )
