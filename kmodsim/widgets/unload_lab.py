# SPDX-License-Identifier: GPL-2.0-only
"""Widget 9: what stands between a module and rmmod."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from ..kernel import Kernel
from .chosen import file_of
from .guessing import NOT_YET, SHOW, Guessing, guess_control, judged
from .lab import PROMPT, Lab, told, wide
from .unloading import NAMES, STATES, UNLOADED, Situation, Unloading, unloading

MODULES = ("hello", "chain_a", "chain_b", "no_exit", "no_init", "diamond_bottom", "chardev")
GUESSES = (UNLOADED, "EPERM", "ENOENT", "EAGAIN", "EBUSY")
USERS = {"root": 0, "uid 1000": 1000}


class UnloadLab(Guessing, Lab):
    """``UnloadLab("chain_a")``: dependents, references, no exit, force; the ladder of checks.

    module: as ``file_of`` takes it; it stands first in the list. ``ask`` False: answer without asking what
    is expected. ``lab.kernel`` is the kernel after the call, ``lab.shown`` the answer as data.
    Models ``kernel/module/main.c:delete_module``.
    """

    shown: Unloading

    def __init__(self, module: Any = "hello", *, ask: bool = True) -> None:
        file = file_of(module)
        self._files = {file.name: file, **{name: name for name in MODULES if name != file.name}}
        choose, yes = ipywidgets.Dropdown, ipywidgets.Checkbox
        controls = {
            "module": wide(choose(options=list(self._files), description="Module")),
            "used": wide(yes(value=False, description="A module that uses it is loaded")),
            "held": wide(ipywidgets.IntSlider(min=0, max=5, description="References that are held")),
            "state": wide(choose(options=list(STATES), description="When")),
            "truncate": wide(yes(value=False, description="O_TRUNC: by force (rmmod -f)")),
            "nonblock": wide(yes(value=True, description="O_NONBLOCK (rmmod always)")),
            "user": wide(choose(options=list(USERS), description="Who calls")),
            "disabled": wide(yes(value=False, description="kernel.modules_disabled is 1")),
            "name": wide(choose(options=NAMES, description="Name that is given")),
            "guess": guess_control(GUESSES, ask=ask),
        }
        about = "Each change is a fresh kernel and one delete_module."
        super().__init__("Unload it yourself.", controls, about)

    @property
    def kernel(self) -> Kernel:
        return self.shown.kernel

    def answer(self) -> tuple[str, str]:
        return self._answer(self.controls["guess"].value)

    def _answer(self, expected: str) -> tuple[str, str]:
        value = {name: control.value for name, control in self.controls.items()}
        situation = Situation(
            value["module"], value["used"], value["held"], STATES[value["state"]], value["truncate"],
            value["nonblock"], USERS[value["user"]], value["disabled"], value["name"],
        )  # fmt: skip
        self.shown = shown = unloading(self._files[value["module"]], situation)
        if expected == NOT_YET:
            words = "? What will delete_module answer? Choose above what you expect."
            scene = f"# cat /proc/modules\n{shown.before}"
            html = f'<p><b>{words}</b></p><pre style="{PROMPT}">{escape(scene)}</pre>'
            return html, f"{words}\n\n{scene}"
        verdict = judged(expected, shown.outcome)
        html = (
            (f'<p role="status"><b>{escape(verdict)}</b></p>' if verdict else "")
            + f'<p style="font-size:115%;margin:.4em 0"><b>{escape(shown.headline)}</b></p>'
            f'{shown.ladder._repr_html_()}<pre style="{PROMPT}">{escape(shown.terminal)}</pre>'
            + (shown.steps._repr_html_() if shown.steps else "")
        )
        return html, "\n\n".join(filter(None, (verdict, shown.text)))

    def static(self) -> str:
        """With nobody there to expect anything, the answer is shown."""
        return self._static_of(told(lambda: self._answer(SHOW))[0])
