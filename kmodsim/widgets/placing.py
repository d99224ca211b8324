# SPDX-License-Identifier: GPL-2.0-only
"""Where the sections of a module come to lie when one of them is changed, or another one is added."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .. import syscalls
from ..errors import KernelError
from ..kernel import Kernel
from ..loader import STAGES
from ..loader.layout import layout_sections, layout_symtab
from ..loader.load import Load, SectionHeader
from ..loader.modinfo import module_enforce_rwx_sections
from ..memory import PAGE_SIZE
from ..modulefile import ModuleFile
from ..records import SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_PROGBITS
from ..views import memory_rows
from ..views.file_to_memory import Part, Way, file_to_memory, waste
from ..views.memory_map import module_map
from ..views.of_files import ways_of
from ..views.view import View, plural
from .guessing import SHOW, judged
from .pages import Page, dmesg_lines, place_of, verdict

NOWHERE = (1 << 64) - 1
FLAGS = {
    "A": SHF_ALLOC, "WA": SHF_WRITE | SHF_ALLOC, "AX": SHF_ALLOC | SHF_EXECINSTR,
    "WAX": SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR, "not loaded": 0,
}  # fmt: skip
_RWX = SHF_WRITE | SHF_ALLOC | SHF_EXECINSTR
GUESSES = ("fewer pages", "as many pages", "one page more", "more than that", "refused")
_BEFORE = "module_enforce_rwx_sections"  # the stages up to this one do not depend on a change


@dataclass(frozen=True)
class Change:
    """What a section is to be: ``section`` its number; None: a value stays as it is."""

    section: int = 0
    size: int | None = None
    align: int | None = None
    flags: int | None = None


@dataclass(frozen=True)
class Extra:
    """One more section; none without a name."""

    name: str = ""
    size: int = 64
    align: int = 8
    flags: int = FLAGS["WA"]


class Prepared:
    """A load that was led to where sections are placed; ``place`` goes on from there, again and again."""

    def __init__(self, file: ModuleFile) -> None:
        self.file = file

    @cached_property
    def load(self) -> Load:
        """KernelError: the file does not come that far."""
        kernel = Kernel(cpu=None)
        call = syscalls.Call(kernel, "")
        load = call.load
        call.take((np.frombuffer(self.file.data, np.uint8), len(self.file.data)))
        for stage in STAGES:
            if stage.name == _BEFORE:
                return load
            try:
                stage.run(load)
            except KernelError as error:
                error.stage, error.dmesg = error.stage or stage.name, list(kernel.dmesg)
                raise
        raise AssertionError(_BEFORE)

    @cached_property
    def refusal(self) -> KernelError | None:
        """Why no section will be placed; None: they will."""
        try:
            _ = self.load
        except KernelError as error:
            return error
        return None

    @property
    def sections(self) -> list[SectionHeader]:
        """Those that will be placed."""
        return [] if self.refusal else [s for s in self.load.sections if s.flags & SHF_ALLOC]

    @cached_property
    def plain(self) -> Placed:
        """The file as it is."""
        return self.place(Change(), Extra())

    def place(self, change: Change, extra: Extra) -> Placed:
        """Sections and symbols placed as the kernel's loader would; an error is in ``Placed.error``."""
        if self.refusal is not None:
            return Placed(self.file.name, Kernel(cpu=None), error=self.refusal)
        load = copy(self.load)
        load.kernel = Kernel(cpu=None)
        load.sections = _changed([replace(s) for s in self.load.sections], change)
        if extra.name:
            number, at = len(load.sections), len(load.image)
            load.sections.append(
                SectionHeader(number, extra.name, SHT_PROGBITS, extra.flags, 0, at, extra.size, 0, 0,
                              extra.align, 0)
            )  # fmt: skip
        named = [s.name for s in load.sections if s.index == change.section]
        return _placed(load, extra.name or "".join(named))


def _changed(sections: list[SectionHeader], change: Change) -> list[SectionHeader]:
    """``sections`` with the change made in them; number 0 stands for none."""
    if not 0 < change.section < len(sections):
        return sections
    section = sections[change.section]
    section.size = section.size if change.size is None else change.size
    section.addralign = section.addralign if change.align is None else change.align
    if change.flags is not None:
        section.flags = section.flags & ~_RWX | change.flags
    return sections


@dataclass(frozen=True)
class Placed:
    """The outcome: ``ways`` of the sections, ``parts`` with their addresses, or the ``error``."""

    name: str
    kernel: Kernel
    ways: tuple[Way, ...] = ()
    parts: tuple[Part, ...] = ()
    ends: tuple[tuple[int, ...], ...] = ()  # of each part: where its groups end, in bytes
    left_out: int = 0
    mark: str = ""
    error: KernelError | None = None

    @property
    def pages(self) -> int:
        return sum(part.size for part in self.parts) // PAGE_SIZE

    @property
    def views(self) -> tuple[View, View]:
        """The way from the file to memory, and the pages with their permissions."""
        title = f"{self.name}: from the file into memory"
        way = file_to_memory(self.ways, self.parts, title, left_out=self.left_out, mark=self.mark)
        rows = [_pages(part, ends, self.ways) for part, ends in zip(self.parts, self.ends, strict=True)]
        return way, module_map(self.name, rows)


def _placed(load: Load, mark: str) -> Placed:
    try:
        module_enforce_rwx_sections(load)
        layout_sections(load)
        layout_symtab(load)
        layouts = [("core", load.core_layout), ("init", load.init_layout)]
        memory = load.kernel.memory
        parts = tuple(
            Part(name, memory.vmalloc(layout.size, name, load.name).start, layout.size)
            for name, layout in layouts
            if layout.size or name == "core"
        )
    except KernelError as error:
        error.stage = error.stage or ("move_module" if load.core_layout.size else _BEFORE)
        return Placed(load.name, load.kernel, error=error, mark=mark)
    ends = tuple((lay.text_size, lay.ro_size, lay.ro_after_init_size) for _, lay in layouts[: len(parts)])
    ways = tuple(ways_of(load))
    left_out = len(load.sections) - 1 - sum(not way.name.startswith("(") for way in ways)
    return Placed(load.name, load.kernel, ways, parts, ends, left_out, mark)


def _pages(part: Part, ends: tuple[int, ...], ways: tuple[Way, ...]) -> memory_rows.Part:
    """A permission for each page: code, read-only twice, the rest writable."""
    text, read_only, after_init = ends
    after_init = max(after_init, read_only)
    permissions = tuple(
        "r-x" if at < text else "r--" if at < after_init else "rw-" for at in range(0, part.size, PAGE_SIZE)
    )
    sections = tuple((w.name, part.base + w.offset, w.size) for w in ways if w.part == part.name)
    return memory_rows.Part(part.name, part.base, permissions, sections)


def page_of(placed: Placed, plain: Placed, guess: str = SHOW, guessed: bool = True) -> Page:
    """The answer: pages and padding beside those of the file as it is, both pictures."""
    page = Page()
    places = (place_of("layout_sections"), place_of("layout_symtab"), place_of("move_module"))
    was = f"As it is in the file, {plain.name} takes {plural(plain.pages, 'page')}"
    if not guessed and plain.error is None:
        page.headline("How many pages will it take now? Choose what you expect.")
        return page.words(f"{was}.").view(plain.views[0]).models(*places)
    if placed.error is not None:
        page.headline(verdict(placed.name, placed.error)).words(judged(guess, "refused"))
        page.terminal(dmesg_lines(placed.kernel.dmesg or placed.error.dmesg)).words(placed.error.why)
        return page.models(place_of(placed.error.stage), *places)
    words = "; ".join(
        f"{part.name} {plural(part.size // PAGE_SIZE, 'page')}, {waste(placed.ways, part):,} bytes padding"
        for part in placed.parts
    )
    page.headline(f"{plural(placed.pages, 'page')}: {words}").words(judged(guess, guess_of(placed, plain)))
    page.words(f"{was}. Every group begins on a page of its own, so that it can be protected on its own.")
    for view in placed.views:
        page.view(view)
    return page.models(*places)


def guess_of(placed: Placed, plain: Placed) -> str:
    """The outcome as one of GUESSES."""
    if placed.error is not None:
        return "refused"
    more = placed.pages - plain.pages
    return GUESSES[0] if more < 0 else GUESSES[min(more, 2) + 1]
