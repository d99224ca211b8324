# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer in a notebook: ``Explorer("hello")``, drawn by JavaScript in the page itself."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import anywidget
import traitlets

from ..kernel import Kernel
from ..views.explorer import explored_load, explorer_document, style, twin, whole_script, words
from ..views.explorer.loading import Source
from ..views.explorer.packing import packed


class Explorer(anywidget.AnyWidget):
    """One module's file, sections, symbols, relocations and memory, lighting each other up.

    ``module``: a file, a sample's name, bytes, a ``ModuleFile`` or a traced ``Load``. Driven from code too:
    ``.stage`` (number of the stage shown), ``.shift`` (bytes the module is moved, as text), ``.chosen``
    ("relocation 3", "symbol 7", "section 5", "file 64", "memory 0"). ``.text`` says what is chosen, ``.twin``
    all of it. KernelError: the file cannot be read.
    """

    _esm = whole_script("widget")
    _css = style()
    _head = traitlets.Unicode().tag(sync=True)
    _block = traitlets.Bytes().tag(sync=True)
    stage = traitlets.Int().tag(sync=True)
    shift = traitlets.Unicode("0").tag(sync=True)
    chosen = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        module: Source = "hello",
        *,
        after: Sequence[Source] | None = None,
        kernel: Kernel | None = None,
        whole: Sequence[str] = (),
    ) -> None:
        self.load = explored_load(module, after, kernel)
        self.document = explorer_document(self.load, whole)
        head, block = packed(self.document)
        last = max(0, len(self.document.stages) - 1)
        super().__init__(_head=head, _block=block, stage=last, chosen=self._first())

    def _first(self) -> str:
        start = self.document.start
        return f"relocation {start}" if start >= 0 else ""

    @traitlets.validate("stage")
    def _stage_there(self, proposal: Any) -> int:
        last = max(0, len(self.document.stages) - 1)
        if not 0 <= proposal["value"] <= last:
            raise traitlets.TraitError(f"{self.document.name} has stages 0 to {last}")
        return int(proposal["value"])

    @traitlets.validate("chosen")
    def _chosen_there(self, proposal: Any) -> str:
        self._words(proposal["value"], 0)
        return str(proposal["value"])

    @traitlets.validate("shift")
    def _shift_is_pages(self, proposal: Any) -> str:
        try:
            shift = int(proposal["value"], 0)
        except ValueError:
            shift = 1
        if shift % 4096:
            raise traitlets.TraitError("shift is a number of bytes, whole pages of 4096")
        return str(shift)

    def _words(self, chosen: str, shift: int) -> str:
        if not chosen:
            return "Nothing is chosen."
        kind, _, number = chosen.partition(" ")
        try:
            return words(self.document, kind, int(number, 0), shift)
        except (KeyError, ValueError, IndexError) as error:
            raise traitlets.TraitError(f"{chosen!r} cannot be chosen: {error}") from None

    def reset(self) -> None:
        """Back to how it came up: the last stage, the base it was loaded at, the relocation chosen then."""
        self.stage, self.shift = max(0, len(self.document.stages) - 1), "0"
        self.chosen = self._first()

    @property
    def text(self) -> str:
        """What is chosen, in words, at the present stage and base."""
        stages = self.document.stages
        if not stages:
            return self._words(self.chosen, int(self.shift))
        now = stages[self.stage]
        stage = f"After stage {self.stage + 1} of {len(stages)}, {now.name} ({now.source}:{now.function}): "
        return stage + self._words(self.chosen, int(self.shift))

    @property
    def twin(self) -> str:
        """Sections, symbols, relocations and stages as text."""
        return twin(self.document)

    def static(self) -> str:
        """HTML for pages without JavaScript or kernel: what is chosen, and the beginning of the twin."""
        text = self.twin
        cut = text[:20_000]
        more = f"\n… {len(text) - len(cut):,} more characters: explorer.twin" if len(cut) < len(text) else ""
        return (
            f"<div><p><b>Linked explorer: {escape(self.document.name)}</b></p><p>{escape(self.text)}</p>"
            f"<details><summary>All of it as text</summary><pre>{escape(cut + more)}</pre></details></div>"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        if isinstance(bundle, tuple):
            data, metadata = bundle
            return {**data, "text/html": self.static(), "text/plain": self.text}, metadata
        return bundle
