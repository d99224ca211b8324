# SPDX-License-Identifier: GPL-2.0-only
"""ElfLab: break any field of an ELF header, and see who notices."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from .elf_change import ELF_HEADER, GUESSES, ElfChange, fields_of, parse_value
from .guessing import Guessing, guess_control
from .lab import Lab, wide
from .pages import given


class ElfLab(Guessing, Lab):
    """``ElfLab("hello")``: also a path, bytes or a ModuleFile. ``.change`` is what is shown, with its
    ``.kernel`` and ``.load``."""

    change: ElfChange

    def __init__(self, module: ModuleFile | str | os.PathLike[str] | bytes = "hello") -> None:
        self.file = given(module)
        parts = [("ELF header", ELF_HEADER)]
        parts += [(f"section {s.index} {s.name}".strip(), s.index) for s in self.file.sections]
        choose, write = ipywidgets.Dropdown, ipywidgets.Text
        controls: dict[str, Any] = {
            "part": wide(choose(options=parts, value=ELF_HEADER, description="Which header")),
            "field": wide(choose(options=_names(ELF_HEADER), value="e_machine", description="Field")),
            "value": wide(write(value="", description="New value", placeholder="183 or 0xb7")),
            "guess": guess_control(GUESSES),
        }
        if self.file.signature is not None:
            controls["signed"] = wide(ipywidgets.Checkbox(value=False, description="Keep its signature"))
        super().__init__(
            f"Break the headers of {self.file.name}.ko.", controls, "Which fields does the kernel look at?"
        )

    @property
    def kernel(self) -> Kernel:
        return self.change.kernel

    @property
    def load(self) -> Load:
        return self.change.load

    def _changed(self, change: Any) -> None:
        if change["owner"] is self.controls["part"]:
            self._offer_fields(change["new"])
        super()._changed(change)

    def _offer_fields(self, part: int) -> None:
        """Another kind of header has other fields; without an answer in between."""
        names, field, quiet = _names(part), self.controls["field"], self._quiet
        if tuple(field.options) != names:
            self._quiet = True
            try:
                field.options = names
                field.value = "e_machine" if part == ELF_HEADER else "sh_type"
            finally:
                self._quiet = quiet

    def answer(self) -> tuple[str, str]:
        values = {name: control.value for name, control in self.controls.items()}
        part = values["part"]
        field = next(field for field in fields_of(part) if field.name == values["field"])
        self.change = ElfChange(
            self.file, part, field, parse_value(values["value"]), values.get("signed", False)
        )
        return self.change.page(values["guess"], self.guessed).answer()


def _names(part: int) -> tuple[str, ...]:
    return tuple(field.name for field in fields_of(part))
