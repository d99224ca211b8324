# SPDX-License-Identifier: GPL-2.0-only
"""One load, stage by stage: move along the time line and see what each stage read, wrote and printed."""

from __future__ import annotations

import ipywidgets

from ..loader import STAGES
from ..views.of_kernel import FINIT_MODULE
from .faults import FAULTS
from .first_load import MODULES
from .guessing import Guessing, guess_control, predicted
from .lab import Lab, wide
from .pipeline_run import GUESSES, PipelineRun, photographed

ALL = len(FINIT_MODULE) + len(STAGES)
FIRST = "apply_relocations"  # the stage that is shown first


class PipelineLab(Guessing, Lab):
    """``PipelineLab("ext4")`` in a notebook cell; ``.run`` is the load that is shown, ``.kernel`` its kernel.

    ``module``: a sample's name or a path. Driven from code: ``lab.controls["stage"].value = 12``.
    """

    run: PipelineRun

    def __init__(self, module: str = "hello", params: str = "", stage: str = FIRST) -> None:
        self._key: tuple[str, str, str] | None = None
        choose = ipywidgets.Dropdown
        modules = tuple(dict.fromkeys((module, *MODULES, "e1000")))
        self.run = photographed(module, params)
        names = [record.stage for record in self.run.trace]
        chosen = names.index(stage) + 1 if stage in names else len(names)
        slider = ipywidgets.IntSlider(value=chosen, min=1, max=ALL, description="Stage")
        controls = {
            "module": wide(choose(options=modules, value=module, description="Module")),
            "params": wide(
                ipywidgets.Text(value=params, description="Parameters", placeholder="name=value name=value")
            ),
            "fault": wide(choose(options=[fault.label for fault in FAULTS], description="What goes wrong")),
            "stage": wide(slider),
            "guess": guess_control([*GUESSES], ask=False),
        }
        buttons = {
            "Back": lambda: self.go(-1),
            "Step": lambda: self.go(1),
            "Previous change": lambda: self.jump(-1),
            "Next change": lambda: self.jump(1),
        }
        about = "The kernel's load_module, one step at a time; what the module needs is loaded already."
        super().__init__("Stage by stage.", controls, about, buttons)

    def go(self, steps: int) -> None:
        """So many stages on, or back; stops at the ends."""
        self.controls["stage"].value = min(max(self.stage + 1 + steps, 1), len(self.run.trace))

    def jump(self, step: int) -> None:
        """To the next stage that writes memory, or the one before (-1)."""
        self.controls["stage"].value = self.run.next_change(self.stage, step) + 1

    @property
    def stage(self) -> int:
        """The stage that is shown, from 0; behind the end of a load that failed it is the last one."""
        return min(self.controls["stage"].value, len(self.run.trace)) - 1

    def answer(self) -> tuple[str, str]:
        values = {name: control.value for name, control in self.controls.items()}
        key = (values["module"], values["params"], values["fault"])
        if key != self._key:
            self.run = photographed(*key)
            self._key, self.kernel = key, self.run.kernel
        run, stage, guess = self.run, self.stage, values["guess"]
        question = f"{run.headline(stage)}\n{run.models(stage)}\nDoes it write memory? Choose above."
        size = run.moments[stage].changed
        return predicted(guess, GUESSES, size, question, lambda: (run.html(stage), run.text(stage)))
