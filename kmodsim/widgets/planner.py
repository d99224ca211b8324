# SPDX-License-Identifier: GPL-2.0-only
"""Type a modprobe command line and a file of /etc/modprobe.d: what modprobe would do, among 4,023 modules."""

from __future__ import annotations

from typing import Any

import ipywidgets

from .guessing import Guessing, guess_control, predicted
from .lab import Lab, wide
from .planning import BY_LABEL, EXAMPLES, GUESSES, Planned, loaded, planned

LINES = "alias, blacklist, softdep, options, install, remove: a line each"
FILLED = ("word", "options", "params", "config", "loaded")  # what an example sets


class PlannerLab(Guessing, Lab):
    """``PlannerLab()`` in a notebook cell; ``.planned`` holds the steps and the streams of what is shown.

    ``kernel``: a Kernel whose loaded modules count, instead of those that are typed in.
    """

    planned: Planned

    def __init__(self, word: str = EXAMPLES[0].word, kernel: Any = None) -> None:
        self.kernel = kernel
        self._given = kernel is not None
        write, choose = ipywidgets.Text, ipywidgets.Dropdown
        examples = [example.label for example in EXAMPLES]
        controls = {
            "example": wide(choose(options=examples, description="Fill in an example")),
            "word": wide(write(value=word, description="Module or alias")),
            "options": wide(write(value="-v", description="Options", placeholder="-r -D -b -i --first-time")),
            "params": wide(write(description="Parameters", placeholder="name=value name=value")),
            "config": wide(ipywidgets.Textarea(description="modprobe.d file", rows=3, placeholder=LINES)),
            "cmdline": wide(write(description="Kernel command line", placeholder="modprobe.blacklist=a,b")),
            "loaded": wide(write(description="Loaded already", placeholder="fat ext4:1 (1: a mounted disk)")),
            "guess": guess_control([*GUESSES], ask=False),
        }
        if self._given:
            del controls["loaded"]
        controls["example"].observe(self._fill, "value")
        super().__init__("Plan a modprobe.", controls, "Nothing is loaded: this is what modprobe would do.")

    def _fill(self, change: Any) -> None:
        """An example was chosen: one answer, when all of it stands there."""
        example, quiet = BY_LABEL[change["new"]], self._quiet
        self._quiet = True
        for name in FILLED:
            if name in self.controls:
                self.controls[name].value = getattr(example, name)
        self._quiet = quiet

    def answer(self) -> tuple[str, str]:
        values = {name: control.value for name, control in self.controls.items()}
        if not self._given:
            self.kernel = loaded(values["loaded"])
        given = {name: values[name] for name in ("word", "options", "params", "config", "cmdline")}
        self.planned = planned(**given, kernel=self.kernel)
        shown = self.planned
        question = f"{shown.models}\n\nWhat will it do? Choose above what you expect."
        return predicted(values["guess"], GUESSES, shown, question, lambda: (shown.html, shown.text))
