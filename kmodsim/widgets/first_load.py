# SPDX-License-Identifier: GPL-2.0-only
"""The first widget: choose a module, its parameters and what goes wrong, and see where the load stops."""

from __future__ import annotations

import ipywidgets

from .attempt import Attempt, attempt
from .faults import FAULTS
from .lab import Lab, wide

OURS = ("hello", "minimal", "chain_c", "diamond_top", "no_exit", "no_init", "percpu", "missing_symbol")
DEBIANS = ("crc16", "vfat", "ext4")  # real ones, signed by the distribution
MODULES = (*OURS, *DEBIANS)


class FirstLoad(Lab):
    """``FirstLoad()`` in a notebook cell; ``.attempt`` holds the kernel and the Load of what is shown."""

    attempt: Attempt

    def __init__(
        self, modules: tuple[str, ...] = MODULES, module: str = "hello", params: str = "howmany=3"
    ) -> None:
        choose, write, yes = ipywidgets.Dropdown, ipywidgets.Text, ipywidgets.Checkbox
        controls = {
            "module": wide(choose(options=modules, value=module, description="Module")),
            "params": wide(
                write(value=params, description="Parameters", placeholder="name=value name=value")
            ),
            "fault": wide(choose(options=[fault.label for fault in FAULTS], description="What goes wrong")),
            "needs": wide(yes(value=False, description="First load the modules it needs")),
        }
        super().__init__(
            "Load it yourself.", controls, "Every change is a freshly booted kernel and a new insmod."
        )

    def answer(self) -> tuple[str, str]:
        values = {name: control.value for name, control in self.controls.items()}
        self.attempt = attempt(values["module"], values["params"], values["fault"], values["needs"])
        return self.attempt.html, self.attempt.text
