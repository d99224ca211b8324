# SPDX-License-Identifier: GPL-2.0-only
"""Guess first, then look: a Lab whose answer waits for what the learner expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets

from .lab import wide

NOT_YET, SHOW = "(choose first)", "no guess, show me"


class Guessing:
    """Put before Lab: the controls named in ``guesses`` hold only until another control changes.

    With SHOW chosen, everything is answered at once and SHOW stays.
    """

    guesses: tuple[str, ...] = ("guess",)
    controls: dict[str, Any]
    _quiet: bool

    @property
    def guessed(self) -> bool:
        """Whether every guess is made, or the learner asked to be shown."""
        values = [self.controls[name].value for name in self.guesses]
        return SHOW in values or NOT_YET not in values

    @property
    def shown_without_guess(self) -> bool:
        return any(self.controls[name].value == SHOW for name in self.guesses)

    def _changed(self, change: Any) -> None:
        mine = [self.controls[name] for name in self.guesses]
        if not self._quiet and not any(change["owner"] is control for control in mine):
            self._forget(mine)
        super()._changed(change)  # type: ignore[misc]

    def _forget(self, controls: Sequence[Any]) -> None:
        self._quiet = True
        try:
            for control in controls:
                if control.value != SHOW:
                    control.value = NOT_YET
        finally:
            self._quiet = False


def guess_control(options: Sequence[str], label: str = "What do you expect?") -> Any:
    """A list of answers to choose from, with "not yet" in front and "show me" at the end."""
    choices = [NOT_YET, *options, SHOW]
    control = wide(ipywidgets.Dropdown(options=choices, value=NOT_YET, description=label))
    # an arrow key on the closed list would choose, and show, the first answer
    control.tooltip = "With the keyboard: Space opens the list, Enter chooses"
    return control


def judged(guess: str, truth: str, words: str = "") -> str:
    """"Right: …" or "Not so: you expected …"; nothing when there was no guess."""
    if guess in (NOT_YET, SHOW):
        return ""
    said = words or truth
    return f"Right, as you expected: {said}." if guess == truth else f"You expected {guess}; it is {said}."
