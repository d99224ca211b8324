# SPDX-License-Identifier: GPL-2.0-only
"""One load twice: under two kernels, command lines or processors, or facts of then beside those of now."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets

from ..corpus import PROFILE
from ..loader import STAGES
from ..profile import KernelProfile
from ..views.two_columns import two_columns
from .columns import GROUPS, MODELS, Side, known_profiles
from .first_load import MODULES
from .guessing import Guesses, Guessing, guess_control, predicted
from .lab import Lab, wide

GUESSES: Guesses = {
    "nothing differs here": lambda sides: _differences(*sides) == 0,
    "one to three facts differ": lambda sides: 0 < _differences(*sides) <= 3,
    "more than three facts differ": lambda sides: _differences(*sides) > 3,
}
NOT_REACHED = {"result": "not reached"}
Groups = Mapping[str, Mapping[str, str]]


def _differences(left: Mapping[str, str], right: Mapping[str, str]) -> int:
    return sum(left.get(name) != right.get(name) for name in {*left, *right})


class TwoColumns(Guessing, Lab):
    """``TwoColumns("hello")`` in a notebook cell; ``.left`` and ``.right`` are the facts that are shown.

    ``facts``: two mappings of words with ``heads``, in the place of loads: then there is only the choice of
    what to show.
    """

    looks = ("only",)
    left: Mapping[str, str]
    right: Mapping[str, str]

    def __init__(
        self, module: str = "hello", facts: tuple[Mapping[str, str], Mapping[str, str]] | None = None,
        heads: tuple[str, str] = ("left", "right"),
    ) -> None:  # fmt: skip
        self._facts, self._heads, self._known = facts, heads, dict[Side, Groups]()
        only = ipywidgets.Checkbox(value=True, description="Only what differs", indent=False)
        controls = {} if facts is not None else self._choices(module)
        controls |= {"only": wide(only), "guess": guess_control([*GUESSES], ask=False)}
        super().__init__("Two columns.", controls, "The same load, twice.")

    def _choices(self, module: str) -> dict[str, Any]:
        choose, write = ipywidgets.Dropdown, ipywidgets.Text
        modules = tuple(dict.fromkeys((module, *MODULES)))
        controls: dict[str, Any] = {}
        controls["module"] = wide(choose(options=modules, value=module, description="Module"))
        shows = [*GROUPS, *(stage.name for stage in STAGES)]
        controls["show"] = wide(choose(options=shows, description="Show"))
        kernels = known_profiles()
        models = list(KernelProfile.load(PROFILE).cpu_models)
        for side, cmdline in (("left", ""), ("right", f"module_blacklist={module}")):
            title = side.capitalize()
            controls |= {
                f"{side}-profile": wide(choose(options=kernels, description=f"{title}: kernel")),
                f"{side}-cmdline": wide(write(value=cmdline, description=f"{title}: command line")),
                f"{side}-params": wide(write(description=f"{title}: parameters")),
                f"{side}-cpu": wide(choose(options=models, description=f"{title}: processor")),
            }
        return controls

    def answer(self) -> tuple[str, str]:
        if self._facts is not None:
            self.left, self.right = self._facts
        else:
            show = self.controls["show"].value
            self.left, self.right = (self._side(which).get(show, NOT_REACHED) for which in ("left", "right"))
        guess, question = self.controls["guess"].value, "How many facts differ? Choose above."
        question = f"{question}\nModelled: {self._models()}"
        return predicted(guess, GUESSES, (self.left, self.right), question, self._shown)

    def _shown(self) -> tuple[str, str]:
        only = self.controls["only"].value
        view = two_columns(self.left, self.right, self._heads, self._title(), only)
        words = f"{view.description}. Modelled: {self._models()}"
        return f"<p><b>{escape(words)}</b></p>{view._repr_html_()}", f"{words}\n\n{view}"

    def _title(self) -> str:
        module = self.controls.get("module")
        return "Side by side" if module is None else f"{module.value} side by side"

    def _models(self) -> str:
        show = self.controls["show"].value if "show" in self.controls else ""
        return next((f"{stage.source}:{stage.function}" for stage in STAGES if stage.name == show), MODELS)

    def _side(self, which: str) -> Groups:
        """The facts of one side; kept, since a key in one column changes nothing in the other."""
        value = {name: control.value for name, control in self.controls.items()}
        side = Side(
            value[f"{which}-profile"], value["module"], value[f"{which}-params"], value[f"{which}-cmdline"],
            value[f"{which}-cpu"],
        )  # fmt: skip
        if side not in self._known:
            if len(self._known) > 50:
                self._known.clear()
            self._known[side] = side.facts
        return self._known[side]
