# SPDX-License-Identifier: GPL-2.0-only
"""Widget 7: a module's life, state by state."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from ..kernel import Kernel
from .chosen import file_of
from .guessing import NOT_YET, SHOW, Guessing, guess_control, judged
from .lab import PROMPT, Lab, told, wide
from .life import AS_WRITTEN, RETURNS, Life, live

MODULES = ("hello", "fail_init", "no_exit", "no_init", "chain_a", "buggy")
STATES = ("no module", "UNFORMED", "COMING", "LIVE", "GOING")
MOST = 15


class LifeCycle(Guessing, Lab):
    """``LifeCycle("hello")``: load it, let init run or fail, unload it; one step at a time.

    module: as ``file_of`` takes it; it stands first in the list. ``ask`` False: show each state without a
    guess. ``lab.kernel`` is the kernel after the life, ``lab.life`` the life as data.
    Models ``kernel/module/main.c:load_module``, ``do_init_module``, ``delete_module``.
    """

    life: Life

    def __init__(self, module: Any = "hello", *, ask: bool = True) -> None:
        file = file_of(module)
        self._files = {file.name: file, **{name: name for name in MODULES if name != file.name}}
        self._lives: dict[tuple[Any, ...], Life] = {}
        choose = ipywidgets.Dropdown
        guess = guess_control(STATES, "Which state is it in then?")
        if not ask:
            guess.value = SHOW
        controls = {
            "module": wide(choose(options=list(self._files), description="Module")),
            "params": wide(ipywidgets.Text(description="Parameters", placeholder="howmany=2")),
            "returns": wide(choose(options=list(RETURNS), value=AS_WRITTEN, description="init returns")),
            "unload": wide(ipywidgets.Checkbox(value=True, description="Unload it afterwards (rmmod)")),
            "step": wide(ipywidgets.IntSlider(min=0, max=MOST, description="Step")),
            "guess": guess,
        }
        buttons = {"Back": lambda: self._move(-1), "Next": lambda: self._move(1)}
        about = "Its code really runs, in a kernel of its own."
        super().__init__("A module's life.", controls, about, buttons)

    @property
    def kernel(self) -> Kernel:
        return self.life.kernel

    def _move(self, steps: int) -> None:
        slider = self.controls["step"]
        last = len(self.life.moments) - 1
        slider.value = min(max(min(slider.value, last) + steps, 0), last)

    def _live(self) -> Life:
        """The life that the controls ask for: lived once, then remembered."""
        value = {name: control.value for name, control in self.controls.items()}
        key = (value["module"], value["params"], value["returns"], value["unload"])
        if key not in self._lives:
            if len(self._lives) > 8:
                self._lives.clear()
            file = file_of(self._files[value["module"]])
            self._lives[key] = live(file, value["params"], RETURNS[value["returns"]], value["unload"])
        return self._lives[key]

    def answer(self) -> tuple[str, str]:
        return self._answer(self.controls["guess"].value)

    def _answer(self, guess: str) -> tuple[str, str]:
        self.life = life = self._live()
        number = min(self.controls["step"].value, len(life.moments) - 1)
        moment = life.moments[number]
        where = f"Step {number} of {len(life.moments) - 1} of {life.name}'s life: {moment.what}"
        if guess == NOT_YET:
            words = f"{where}.\nWhich state is the module in then? Choose above what you expect."
            return "".join(f"<p><b>{escape(line)}</b></p>" for line in words.split("\n")), words
        verdict = judged(guess, moment.state)
        picture, words = life.picture(number), life.words(number)
        more = [v for v in (life.report, life.calls) if v is not None and number == len(life.moments) - 1]
        head = life.headline if number == len(life.moments) - 1 else ""
        lines = [line for line in (verdict, where, head) if line]
        html = (
            "".join(f'<p style="margin:.4em 0"><b>{escape(line)}</b></p>' for line in lines)
            + picture._repr_html_()
            + f'<pre style="{PROMPT}">{escape(words)}</pre>'
            + "".join(view._repr_html_() for view in more)
        )
        return html, "\n\n".join([*lines, picture.text, words, *(view.text for view in more)])

    def static(self) -> str:
        """With nobody there to guess, the state is shown."""
        return self._static_of(told(lambda: self._answer(SHOW))[0])
