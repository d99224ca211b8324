# SPDX-License-Identifier: GPL-2.0-only
"""What all widgets share: labelled controls, an answer below them, a reset button, a static twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets

from ..errors import KernelError

# In a notebook's command mode JupyterLab takes the keys of a list with the focus: an arrow goes to another
# cell, M makes this one Markdown. The attribute (lumino's CommandRegistry) tells it to leave them alone.
# A slider's handle is what a screen reader meets, and ipywidgets gives it no name: it gets its label's.
# ipywidgets sets no attributes, and HTML put into a page runs no <script>, but the handler of a broken image.
_KEYS = """<img hidden alt="" src="data:," onerror="
    const name = lab => lab.querySelectorAll('.noUi-handle:not([aria-label])').forEach(handle =>
        handle.setAttribute('aria-label',
            handle.closest('.widget-inline-hbox')?.querySelector('.widget-label')?.textContent || 'slider'));
    const tell = () => {
        const lab = this.closest('.kms-lab');
        if (!lab) return;
        lab.addEventListener('focusin', event => {
            if (event.target.tagName === 'SELECT')
                event.target.setAttribute('data-lm-suppress-shortcuts', '');
        });
        name(lab);
        new MutationObserver(() => name(lab)).observe(lab, {childList: true, subtree: true});
    };
    this.isConnected ? tell() : setTimeout(tell, 500);">"""

# the style of a terminal's lines in an answer
PROMPT = "overflow-x:auto;line-height:1.35;border-left:3px solid;padding-left:.7em"


class Lab(ipywidgets.VBox):
    """Controls above, one answer below, which is computed anew whenever a control changes.

    A subclass gives its controls by name and defines ``answer()``. ``lab.controls["module"].value = "hello"``
    drives it from code; ``lab.text`` is the answer as text; ``lab.static()`` is HTML without controls.
    ``buttons``: label -> what a press does, by changing controls.
    """

    def __init__(
        self, title: str, controls: Mapping[str, Any], about: str = "",
        buttons: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:  # fmt: skip
        self.title, self.about = title, about
        self.controls = dict(controls)
        self._start = {name: control.value for name, control in self.controls.items()}
        self.text = ""
        self._quiet = False
        self._output = ipywidgets.HTML()
        self._output.add_class("kms-answer")
        reset = ipywidgets.Button(description="Reset", tooltip="All controls back to where they began")
        reset.on_click(lambda _: self.reset())
        reset.add_class("kms-reset")
        for name, control in self.controls.items():
            control.observe(self._changed, "value")
            control.add_class(f"kms-{name}")
        head = ipywidgets.HTML(f'<b style="font-size:115%">{escape(title)}</b> {escape(about)}{_KEYS}')
        row = [ipywidgets.HBox([*map(_button, buttons, buttons.values())])] if buttons else []
        super().__init__([head, *self.controls.values(), *row, reset, self._output])
        self.add_class("kms-lab")
        self._show()

    def answer(self) -> tuple[str, str]:
        """(HTML, text) for the controls' present values."""
        raise NotImplementedError

    def reset(self) -> None:
        """All controls back to their first values; one new answer."""
        self._quiet = True
        try:
            for name, value in self._start.items():
                self.controls[name].value = value
        finally:
            self._quiet = False
        self._show()

    def _changed(self, _: Any) -> None:
        if not self._quiet:
            self._show()

    def _show(self) -> None:
        self._output.value, self.text = told(self.answer)

    def static(self) -> str:
        """The present answer with the controls' values in words: for pages where no kernel runs."""
        return self._static_of(self._output.value)

    def _static_of(self, answer: str) -> str:
        values = "; ".join(f"{c.description}: {_in_words(c.value)}" for c in self.controls.values())
        return (
            f"<div><p><b>{escape(self.title)}</b> (no kernel is running here, so this shows one setting: "
            f"{escape(values)})</p>{answer}</div>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, dict):
            bundle = {**bundle, "text/html": self.static(), "text/plain": self.text}
        return bundle


def told(answer: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    """What ``answer`` gives; where nothing can be answered, why not."""
    try:
        return answer()
    except (KernelError, ValueError) as error:
        words = f"This cannot be tried: {error}"
        return f'<p role="alert">{escape(words)}</p>', words


def _button(label: str, press: Callable[[], None]) -> Any:
    button = ipywidgets.Button(description=label)
    button.on_click(lambda _: press())
    button.add_class(f"kms-{label.lower().replace(' ', '-')}")
    return button


def _in_words(value: Any) -> str:
    if isinstance(value, bool):  # not by value: 0 and 1 are numbers here
        return "yes" if value else "no"
    return str(value) or "none"


def wide(control: Any) -> Any:
    """The control with its label in full and room for its value."""
    control.style.description_width = "13em"
    control.layout.width = "min(100%, 44em)"
    return control
