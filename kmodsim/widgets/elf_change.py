# SPDX-License-Identifier: GPL-2.0-only
"""One field of a module's ELF header or of a section header changed, and what the kernel says to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..errors import KernelError
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..views.elf_fields import HEADER, NOBODY, SECTION, Field
from ..views.elf_header import field_regions, field_table, section_headers
from ..views.hexdump import hex_dump
from ..views.of_files import header_lines
from ..views.view import View
from .editor import Editor
from .guessing import SHOW, judged
from .pages import Page, dmesg_lines, insmod_lines, outcome_of, place_of, verdict

ELF_HEADER = -1  # a part's number: the ELF header, or the number of a section
GUESSES = ("loaded", "ENOEXEC", "another errno", "oops")


def parse_value(text: str) -> int | None:
    """``"183"``, ``"0xb7"``, ``"-1"``; None for nothing. ValueError says what is wrong."""
    words = text.strip()
    if not words:
        return None
    try:
        return int(words, 0)
    except ValueError:
        raise ValueError(f"{words[:40]!r} is no number: write 183, 0xb7 or -1") from None


def fields_of(part: int) -> tuple[Field, ...]:
    return HEADER if part == ELF_HEADER else SECTION


@dataclass(frozen=True)
class ElfChange:
    """``file`` with ``field`` of ``part`` set to ``value`` (None: as it is), and the load of that.

    ``signed``: keep a signature, so that the kernel notices the change before it looks at any field.
    """

    file: ModuleFile
    part: int
    field: Field
    value: int | None
    signed: bool = False

    @cached_property
    def whole(self) -> bytes:
        """The file before the change."""
        return self.file.data if self.signed else bytes(Editor(self.file.data).unsigned())

    @property
    def start(self) -> int:
        """File offset of the header that is changed."""
        return 0 if self.part == ELF_HEADER else Editor(self.whole).section_at(self.part)

    @cached_property
    def data(self) -> bytes:
        """The changed file; ValueError when the value does not fit."""
        if self.value is None:
            return self.whole
        editor = Editor(self.whole)
        return bytes(editor.put(self.start + self.field.offset, self.field.size, self.value))

    @cached_property
    def load(self) -> Load:
        """Into a fresh kernel; init is not run, for the question is whether the file is taken."""
        return Kernel(cpu=None).load(self.data, trace=False)

    @property
    def kernel(self) -> Kernel:
        return self.load.kernel

    @property
    def error(self) -> KernelError | None:
        return self.load.error

    @property
    def name(self) -> str:
        return "the ELF header" if self.part == ELF_HEADER else f"section header {self.part}"

    @property
    def views(self) -> tuple[View, View, View]:
        """The header's bytes, its fields, and all section headers as readelf would show them."""
        size = 64
        now = self.data[self.start : self.start + size]
        before = self.whole[self.start : self.start + size]
        fields = fields_of(self.part)
        title = f"{self.name.removeprefix('the ').replace('section', 'Section')} of {self.file.name}.ko"
        marks = [(self.start + self.field.offset, self.field.size)]
        regions = field_regions(fields, self.start)
        dump = hex_dump(now, self.start, regions, marks, title=f"{title} (grey: nobody looks)")
        table = field_table(fields, now, f"Fields: {title}", before, self.field.name)
        row = None if self.part == ELF_HEADER else self.part
        title = f"Section headers of {self.file.name}.ko"
        return dump, table, section_headers(header_lines(ModuleFile(self.data)), title, row)

    def page(self, guess: str = SHOW, guessed: bool = True) -> Page:
        """The answer; the kernel's part of it only when there is a guess, or nothing was changed."""
        page = Page()
        if guessed or self.value is None:
            page.headline(verdict(self.file.name, self.error))
            page.words(judged(guess, guess_of(self.error)))
            page.terminal([*insmod_lines(self.file.name, "", self.error), *dmesg_lines(self.kernel.dmesg)])
            page.words(self.error.why if self.error is not None else "")
        else:
            page.headline("What will the kernel say? Choose what you expect.")
        reads = "Nobody looks at it" if self.field.reader == NOBODY else f"Looked at by {self.field.reader}"
        page.words(f"{self.field.name} of {self.name}. {self.field.words} {reads}.")
        dump, table, sections = self.views
        page.view(dump).view(table).folded(sections)
        places = [place_of("elf_validity_check")]
        if self.error is not None and (guessed or self.value is None):
            places.append(place_of(self.error.stage))
        return page.models(*dict.fromkeys(places))


def guess_of(error: KernelError | None) -> str:
    """The outcome as one of GUESSES."""
    outcome = outcome_of(error)
    return outcome if outcome in GUESSES else "another errno"
