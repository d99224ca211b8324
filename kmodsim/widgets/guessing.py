# SPDX-License-Identifier: GPL-2.0-only
"""Guess first, then look: a Lab whose answer waits for what the learner expects."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import ipywidgets

from .lab import wide

NOT_YET, SHOW = "(choose first)", "no guess, show me"
Guesses = Mapping[str, Callable[[Any], bool]]  # what one may expect -> whether the answer is so


class Guessing:
    """Put before Lab: the controls named in ``guesses`` hold only until another control changes.

    With SHOW chosen, everything is answered at once and SHOW stays. ``looks`` names controls that change
    only what of the answer is shown: a guess outlives them.
    """

    guesses: tuple[str, ...] = ("guess",)
    looks: tuple[str, ...] = ()
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
        keep = [*mine, *(self.controls[name] for name in self.looks)]
        if not self._quiet and not any(change["owner"] is control for control in keep):
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


def guess_control(options: Sequence[str], label: str = "What do you expect?", *, ask: bool = True) -> Any:
    """A list of answers to choose from, with "not yet" in front and "show me" at the end.

    ``ask`` False: it begins at "show me".
    """
    choices = [NOT_YET, *options, SHOW]
    first = NOT_YET if ask else SHOW
    control = wide(ipywidgets.Dropdown(options=choices, value=first, description=label))
    # an arrow key on the closed list would choose, and show, the first answer
    control.tooltip = "With the keyboard: Space opens the list, Enter chooses"
    return control


def judged(guess: str, truth: str, words: str = "") -> str:
    """ "✓ Right, …" or "✗ You expected …"; nothing when there was no guess."""
    if guess in (NOT_YET, SHOW):
        return ""
    said = words or truth
    right = guess == truth
    return f"✓ Right, as you expected: {said}." if right else f"✗ You expected {guess}; it is {said}."


def predicted(
    guess: str, guesses: Guesses, subject: Any, question: str, answer: Callable[[], tuple[str, str]]
) -> tuple[str, str]:
    """(HTML, text): the question alone while there is no guess, else the answer, the verdict before it.

    ``subject`` is what the guesses judge; ``answer`` is made only when it is shown.
    """
    if guess == NOT_YET:
        return "".join(f"<p>{escape(line)}</p>" for line in question.split("\n")), question
    html, text = answer()
    if guess == SHOW:
        return html, text
    words = f"{'✓ Right, as you expected' if guesses[guess](subject) else '✗ Not so, you expected'}: {guess}."
    return f"<p><b>{escape(words)}</b></p>{html}", f"{words}\n\n{text}"
