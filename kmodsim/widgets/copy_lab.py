# SPDX-License-Identifier: GPL-2.0-only
"""CopyLab: the way of a module's bytes from the caller into the kernel."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from .elf_change import parse_value
from .guessing import Guessing, guess_control
from .lab import Lab, wide
from .pages import given
from .user_call import CALLS, GUESSES, OPENED, UserCall, parse_pages


class CopyLab(Guessing, Lab):
    """``CopyLab("e1000")``: also a path, bytes or a ModuleFile. ``.call`` is what is shown, with its
    ``.kernel`` and ``.load``."""

    call: UserCall

    def __init__(self, module: ModuleFile | str | os.PathLike[str] | bytes = "e1000") -> None:
        self.file = given(module)
        choose, write, yes = ipywidgets.Dropdown, ipywidgets.Text, ipywidgets.Checkbox
        size = f"{len(self.file.data)}: all of the file"
        slide = ipywidgets.IntSlider(value=0, max=4095, description="Begins in its page at")
        controls: dict[str, Any] = {
            "call": wide(choose(options=CALLS, description="System call")),
            "capable": wide(yes(value=True, description="The caller has CAP_SYS_MODULE")),
            "length": wide(write(value="", description="Length it gives", placeholder=size)),
            "holes": wide(write(value="", description="Pages not mapped", placeholder="none; 3 or 5-7")),
            "offset": wide(slide),
            "opened": wide(choose(options=OPENED, description="The descriptor is")),
            "guess": guess_control(GUESSES),
        }
        about = "init_module copies from the caller's memory, finit_module reads a file."
        super().__init__(f"Into the kernel: {self.file.name}.ko.", controls, about)

    @property
    def kernel(self) -> Kernel:
        return self.call.kernel

    @property
    def load(self) -> Load:
        return self.call.load

    def answer(self) -> tuple[str, str]:
        v = {name: control.value for name, control in self.controls.items()}
        self.call = UserCall(
            self.file, v["call"], v["capable"], parse_pages(v["holes"]), parse_value(v["length"]),
            v["offset"], v["opened"],
        )  # fmt: skip
        return self.call.page(v["guess"], self.guessed).answer()
