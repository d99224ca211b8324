# SPDX-License-Identifier: GPL-2.0-only
"""Widget 6: one relocation, guessed, computed, and made to overflow."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..views.view import plural
from .chosen import file_of
from .lab import PROMPT, Lab, told, wide
from .relocation import AS_IN_THE_FILE, MIB, TYPES, Answer, Bent, Relocatable, answer

EVERY = "every section"


class RelocationLab(Lab):
    """``RelocationLab("hello")``: S, A, P and the formula of one relocation; bytes before and after.

    module: as ``file_of`` takes it. ``ask`` False: show the bytes without a guess. ``lab.kernel`` is the
    kernel in which the module is loaded, ``lab.shown`` the present answer as data.
    Models ``arch/x86/kernel/module.c:__apply_relocate_add``.
    """

    shown: Answer

    def __init__(self, module: Any = "hello", *, ask: bool = True) -> None:
        self.file = file_of(module)
        self._loaded: Relocatable | None = None
        tables = self.file.relocations.tables
        names = dict.fromkeys(t.target.name for t in tables if t.target is not None and t.target.flags & 2)
        choose, write, slide = ipywidgets.Dropdown, ipywidgets.Text, ipywidgets.IntSlider
        last = max(0, len(self.file.relocations) - 1)
        controls = {
            "section": wide(choose(options=[EVERY, *names], description="Relocations for")),
            "symbol": wide(write(description="Symbol's name contains", placeholder="_printk")),
            "number": wide(ipywidgets.BoundedIntText(min=0, max=last, description="Which of these (from 0)")),
            "move": wide(slide(min=-4096, max=1000, step=8, description="Move the module by (MiB)")),
            "move_symbol": wide(slide(min=-4096, max=1000, step=8, description="Move the symbol by (MiB)")),
            "type": wide(choose(options=[AS_IN_THE_FILE, *TYPES], description="Relocation type")),
            "there": wide(ipywidgets.Checkbox(value=False, description="Something is in the place already")),
            "ask": wide(ipywidgets.Checkbox(value=ask, description="Let me guess first")),
            "guess": wide(
                write(description="What will the bytes be?", placeholder="f4 ff ff ff   or   -0xc")
            ),
        }
        title = f"Relocate {self.file.name} yourself."
        super().__init__(title, controls, "S + A − P, one entry at a time.")

    @property
    def loaded(self) -> Relocatable:
        """The module in its kernel. KernelError: it is refused before it is relocated."""
        if self._loaded is None:
            self._loaded = Relocatable(self.file)
        return self._loaded

    @property
    def kernel(self) -> Kernel:
        return self.loaded.kernel

    def answer(self) -> tuple[str, str]:
        return self._answer(self.controls["ask"].value)

    def _answer(self, ask: bool) -> tuple[str, str]:
        value = {name: control.value for name, control in self.controls.items()}
        section = "" if value["section"] == EVERY else value["section"]
        numbers = self.loaded.numbers(section, value["symbol"].strip())
        if not numbers:
            raise ValueError(f"no relocation here names a symbol with {value['symbol'].strip()!r}")
        number = numbers[min(value["number"], len(numbers) - 1)]
        kind = TYPES.get(value["type"])
        bent = Bent(value["move"] * MIB, value["move_symbol"] * MIB, kind, value["there"])
        self.shown = answer(self.loaded, number, bent, ask=ask, guess=value["guess"])
        there = f"{plural(len(numbers), 'relocation')} of this kind"
        if value["number"] >= len(numbers):
            there = f"Only {there}: this is the last, number {len(numbers) - 1} of them"
        return self._html(there), f"{there}\n\n{self.shown.text}"

    def _html(self, there: str) -> str:
        shown = self.shown
        judged = f'<p role="status"><b>{escape(shown.judged)}</b></p>' if shown.judged else ""
        return (
            f'<p style="margin:.4em 0">{escape(there)}.</p>{judged}'
            f'<p style="font-size:115%;margin:.4em 0"><b>{escape(shown.headline)}</b></p>'
            f"{shown.picture._repr_html_()}"
            f'<pre style="{PROMPT}">{escape(shown.words)}</pre>{shown.table._repr_html_()}'
        )

    def static(self) -> str:
        """With nobody there to guess, the bytes are shown."""
        return self._static_of(told(lambda: self._answer(False))[0])
