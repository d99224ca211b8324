# SPDX-License-Identifier: GPL-2.0-only
"""LayoutLab: change a section's size, alignment or flags, add one, and see where all of them come to lie."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..loader.load import SectionHeader
from ..modulefile import ModuleFile
from .guessing import SHOW, Guessing, guess_control
from .lab import Lab, wide
from .pages import given
from .placing import FLAGS, GUESSES, Change, Extra, Placed, Prepared, page_of

ALIGNMENTS = [*(1 << n for n in range(13)), 3, 8192]
_RWX = FLAGS["WAX"]
_NONE = SectionHeader(0, "(none can be placed)", 0, 0, 0, 0, 0, 0, 0, 1, 0)  # for a file that is refused


class LayoutLab(Guessing, Lab):
    """``LayoutLab("hello")``: also a path, bytes or a ModuleFile. ``.placed`` is what is shown."""

    placed: Placed

    def __init__(self, module: ModuleFile | str | os.PathLike[str] | bytes = "hello") -> None:
        self.file = given(module)
        self.prepared = Prepared(self.file)
        sections = self.prepared.sections or [_NONE]
        first = next((s for s in sections if s.name == ".data"), sections[0])
        most = max(32768, 2 * max(s.size for s in sections))
        choose, write, slide = ipywidgets.Dropdown, ipywidgets.Text, ipywidgets.IntSlider
        names = [(f"{s.name} ({s.index})" if s.index else s.name, s.index) for s in sections]
        aligned = [(_aligned(n), n) for n in sorted({*ALIGNMENTS, *(s.addralign for s in sections)} - {0})]
        flags = list(FLAGS)
        controls: dict[str, Any] = {
            "section": wide(choose(options=names, value=first.index, description="Section")),
            "size": wide(slide(value=first.size, max=most, description="Its size in bytes")),
            "align": wide(choose(options=aligned, value=first.addralign or 1, description="Its alignment")),
            "flags": wide(choose(options=flags, value=_flags(first), description="Its flags")),
            "extra": wide(write(value="", description="One more section", placeholder=".data.mine")),
            "extra_size": wide(slide(value=64, max=32768, description="Size of that")),
            "extra_align": wide(choose(options=aligned, value=8, description="Alignment of that")),
            "extra_flags": wide(choose(options=flags[:-1], value="WA", description="Flags of that")),
            "guess": guess_control(GUESSES),
        }
        controls["guess"].value = SHOW  # sliders are for playing; who wants to be asked chooses so
        about = "Only names, flags, sizes and alignments decide where sections lie."
        super().__init__(f"Lay out {self.file.name}.ko.", controls, about)

    @property
    def kernel(self) -> Kernel:
        return self.placed.kernel

    def _changed(self, change: Any) -> None:
        if change["owner"] is self.controls["section"] and change["new"] and not self._quiet:
            self._take_over(self.prepared.load.sections[change["new"]])
        super()._changed(change)

    def _take_over(self, section: SectionHeader) -> None:
        """The controls show the section as it is in the file."""
        self._quiet = True
        try:
            self.controls["size"].value = section.size
            self.controls["align"].value = section.addralign or 1
            self.controls["flags"].value = _flags(section)
        finally:
            self._quiet = False

    def answer(self) -> tuple[str, str]:
        v = {name: control.value for name, control in self.controls.items()}
        name = v["extra"].strip()
        if not name.isprintable() or len(name) > 60:
            raise ValueError("a section's name has at most 60 characters that can be printed")
        change = Change(v["section"], v["size"], v["align"], FLAGS[v["flags"]])
        extra = Extra(name, v["extra_size"], v["extra_align"], FLAGS[v["extra_flags"]])
        self.placed = self.prepared.place(change, extra)
        return page_of(self.placed, self.prepared.plain, v["guess"], self.guessed).answer()


def _flags(section: SectionHeader) -> str:
    return next(name for name, value in FLAGS.items() if section.flags & _RWX == value)


def _aligned(value: int) -> str:
    return str(value) if value & (value - 1) == 0 else f"{value}: no power of two"
