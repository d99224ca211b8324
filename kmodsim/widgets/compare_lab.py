# SPDX-License-Identifier: GPL-2.0-only
"""Yours and the kernel's: two memories of one module compared, the first difference first."""

from __future__ import annotations

from html import escape

import ipywidgets

from ..functions import FUNCTIONS
from .comparing import GUESSES, MISTAKES, Compared, Functions, Image, compared, image_of, kernels
from .guessing import Guessing, guess_control, predicted
from .lab import Lab, wide

MODULES = ("hello", "minimal", "tables", "percpu", "chain_c", "crc16", "e1000")


class CompareLab(Guessing, Lab):
    """``CompareLab("hello")`` compares a loader with a mistake, ``CompareLab("hello", {"relocate_one": my})``
    one with your function, ``CompareLab("hello", mine=image, theirs=image)`` two images of yours.

    ``.compared`` holds what is shown.
    """

    looks = ("which",)
    compared: Compared

    def __init__(
        self, module: str = "hello", functions: Functions | None = None, mine: Image | None = None,
        theirs: Image | None = None,
    ) -> None:  # fmt: skip
        self._functions, self._mine, self._theirs = functions, mine, theirs
        self._key: tuple[str, str] | None = None
        choose = ipywidgets.Dropdown
        modules = (module,) if mine is not None else tuple(dict.fromkeys((module, *MODULES)))
        own = "your functions" if functions else "the image you gave"
        wrong = [own] if functions or mine is not None else list(MISTAKES)
        slider = ipywidgets.IntSlider(value=1, min=1, max=40, description="Difference shown large")
        controls = {
            "module": wide(choose(options=modules, value=module, description="Module")),
            "mistake": wide(choose(options=wrong, description="Yours has")),
            "which": wide(slider),
            "guess": guess_control([*GUESSES], ask=False),
        }
        super().__init__("Yours and the kernel's.", controls, "The memory of one module, byte for byte.")

    def answer(self) -> tuple[str, str]:
        key = (self.controls["module"].value, self.controls["mistake"].value)
        if key != self._key:
            self.compared, self._key = self._two(*key), key
        models = f"Modelled: {self._models(key[1])}"
        question = f"{models}\nWhat will differ from the kernel's memory? Choose above."
        guess = self.controls["guess"].value
        return predicted(guess, GUESSES, self.compared, question, lambda: self._shown(models))

    def _shown(self, models: str) -> tuple[str, str]:
        view = self.compared.view(self.controls["which"].value - 1)
        head = f'<p style="font-size:115%;margin:.4em 0"><b>{escape(view.description)}</b></p>'
        small = f'<p style="margin:.2em 0;font-size:90%">{escape(models)}</p>'
        return f"{head}{small}{view._repr_html_()}", f"{view.description}\n{models}\n\n{view.text}"

    def _two(self, module: str, mistake: str) -> Compared:
        if self._mine is not None:
            return Compared(module, self._mine, self._theirs or kernels(module))
        if self._functions:
            return Compared(module, image_of(module, self._functions), self._theirs or kernels(module))
        return compared(module, mistake)

    def _models(self, mistake: str) -> str:
        """The kernel's functions in whose place something else was put."""
        names = self._functions or MISTAKES.get(mistake) or {}
        rows = [FUNCTIONS[name].models for name in names if name in FUNCTIONS]
        return ", ".join(rows) or "kernel/module/main.c:load_module"

    @property
    def differences(self) -> int:
        """How many runs of bytes differ, up to 1,000."""
        return len(self.compared.runs)
