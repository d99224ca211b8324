# SPDX-License-Identifier: GPL-2.0-only
"""BreakLab: something goes wrong; say where and with what before you look."""

from __future__ import annotations

from typing import Any

import ipywidgets

from ..kernel import Kernel
from ..loader.load import Load
from .breaking import ERRNOS, Score, Tried, page_of, stage_options
from .breaks import BREAKS, BREAKS_BY_LABEL
from .guessing import NOT_YET
from .lab import Lab, wide


class BreakLab(Lab):
    """``BreakLab()``; ``.tried`` is what is shown, with ``.kernel`` and ``.load``, ``.score`` the points."""

    tried: Tried

    def __init__(self) -> None:
        choose, yes = ipywidgets.Dropdown, ipywidgets.Checkbox
        labels = [item.label for item in BREAKS]
        stages = [(NOT_YET, NOT_YET), *stage_options()]
        controls: dict[str, Any] = {
            "what": wide(choose(options=labels, value="the file was built for an ARM machine",
                                description="What goes wrong")),
            "stage": wide(choose(options=stages, value=NOT_YET, description="Where does it stop?")),
            "errno": wide(choose(options=[NOT_YET, *ERRNOS], value=NOT_YET, description="With what?")),
            "look": wide(yes(value=False, description="Show what happens")),
        }  # fmt: skip
        self._first: dict[str, tuple[bool, bool]] = {}
        self._seen: set[str] = set()
        super().__init__("Break it.", controls, "Predict where the kernel stops, then look.")

    @property
    def kernel(self) -> Kernel:
        return self.load.kernel

    @property
    def load(self) -> Load:
        return self.tried.load

    @property
    def score(self) -> Score:
        return Score(dict(self._first))

    def reset(self) -> None:
        """Controls and score back to the beginning."""
        self._first.clear()
        self._seen.clear()
        super().reset()

    def _changed(self, change: Any) -> None:
        if not self._quiet and change["owner"] is self.controls["what"]:
            self._ask_anew()
        super()._changed(change)

    def _ask_anew(self) -> None:
        """Another break: the guesses of the last one are put away."""
        self._quiet = True
        try:
            for name in ("stage", "errno", "look"):
                self.controls[name].value = self._start[name]
        finally:
            self._quiet = False

    def answer(self) -> tuple[str, str]:
        what, stage, errno, look = (self.controls[name].value for name in ("what", "stage", "errno", "look"))
        self.tried = Tried(BREAKS_BY_LABEL[what])
        if look and what not in self._seen:
            self._seen.add(what)
            if NOT_YET not in (stage, errno):
                self._first[what] = (stage == self.tried.stage, errno == self.tried.errno)
        return page_of(self.tried, stage, errno, look=look, score=self.score).answer()
