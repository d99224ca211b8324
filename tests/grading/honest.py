# SPDX-License-Identifier: GPL-2.0-only
"""Honest submissions, right and wrong, with the points that their claims are worth."""

from __future__ import annotations

import copy
import json
from typing import Any, NamedTuple

from .inprocess import ROOT


class Honest(NamedTuple):
    """``changes``: cell id -> (text in the solution, text instead)."""

    assignment: str
    what: str
    points: float
    changes: dict[str, tuple[str, str]] = {}
    folder: str = "solutions"

    def notebook(self) -> dict[str, Any]:
        path = ROOT / self.folder / self.assignment / f"{self.assignment}.ipynb"
        made = copy.deepcopy(json.loads(path.read_text(encoding="utf-8")))
        for cell in made["cells"]:
            if cell["id"] in self.changes:
                before, after = self.changes[cell["id"]]
                source = "".join(cell["source"])
                assert before in source, f"{cell['id']} has no {before!r}"
                cell["source"] = source.replace(before, after)
        return made


LOUD = "bits = 8 * size; size < 4 and __import__('sys').stderr.write('x')"
CASES = [
    Honest("06-relocation", "solved", 21),
    Honest("06-relocation", "released", 0, folder="exercises"),
    # P is never subtracted: the public and hidden claims of relocation_value go, the variant (types 257..262,
    # three of them relative) too; relocate_one keeps what needs no value: unknown types, a hole not empty,
    # and the overflow of two absolute types
    Honest("06-relocation", "P forgotten", 4 + 3 + 5,
           {"relocation-value": ("(S + A - (P if types[kind][1] else 0))", "(S + A)")}),
    # the variant asks for other sizes; relocate_one needs only four bytes and eight without a check
    Honest("06-relocation", "four bytes only", 4 + 2 + 8 + 5, {"fits": ("bits = 8 * size", "bits = 32")}),
    # a word on standard error in a test costs that cell: nbgrader's rule
    Honest("06-relocation", "speaks on stderr", 4 + 8 + 5, {"fits": ("bits = 8 * size", LOUD)}),
    Honest("06-relocation", "a wrong name", 4 + 0 + 2 + 5, {"fits": ("def fits", "def fit")}),
    Honest("08-module-list", "solved", 23),
    # list_add never at the tail
    Honest("08-module-list", "no tail", 21, {"list-add": ("if tail else", "if False else")}),
    Honest("04-memory-layout", "solved", 29),
    Honest("12-capstone", "solved", 27),
]  # fmt: skip
