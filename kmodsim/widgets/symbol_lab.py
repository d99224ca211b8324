# SPDX-License-Identifier: GPL-2.0-only
"""SymbolLab: who exports what a module wants, and may it have it?"""

from __future__ import annotations

import os
from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from .guessing import Guessing, guess_control
from .lab import Lab, wide
from .looking_up import CRCS, GUESSES, LICENCES, NAMESPACES, LookUp
from .pages import given


class SymbolLab(Guessing, Lab):
    """``SymbolLab("gpl_user")``: also a path, bytes or a ModuleFile. ``.lookup`` is what is shown."""

    lookup: LookUp

    def __init__(self, module: ModuleFile | str | os.PathLike[str] | bytes = "gpl_user") -> None:
        self.file = given(module)
        names = list(dict.fromkeys(imported.name for imported in self.file.imports if imported.name))
        choose, yes = ipywidgets.Dropdown, ipywidgets.Checkbox
        controls: dict[str, Any] = {
            "symbol": wide(choose(options=names, value=_first(self.file, names), description="Symbol")),
            "provided": wide(yes(value=True, description="The modules it depends on are loaded")),
            "licence": wide(choose(options=LICENCES, description="Its licence")),
            "crc": wide(choose(options=CRCS, description="Its CRC of the symbol")),
            "namespace": wide(choose(options=NAMESPACES, description="Namespaces")),
            "guess": guess_control(GUESSES, "What becomes of it?"),
        }
        about = "The kernel first, then the modules, the newest first; then four questions."
        super().__init__(f"Look up what {self.file.name}.ko wants.", controls, about)

    @property
    def kernel(self) -> Kernel:
        return self.lookup.kernel

    @property
    def load(self) -> Load:
        return self.lookup.load

    def answer(self) -> tuple[str, str]:
        v = {name: control.value for name, control in self.controls.items()}
        if v["symbol"] is None:
            raise ValueError(f"{self.file.name} wants no symbol of others")
        self.lookup = LookUp(self.file, v["symbol"], v["licence"], v["crc"], v["namespace"], v["provided"])
        return self.lookup.page(v["guess"], self.guessed).answer()


def _first(file: ModuleFile, names: list[str]) -> str | None:
    """A symbol that a module exports, if there is one: it has more to tell than the kernel's own."""
    from ..corpus import sample
    from .looking_up import providers

    exported = {e.name for name in providers(file) for e in ModuleFile(sample(name)).exports}
    return next((name for name in names if name in exported), names[0] if names else None)
