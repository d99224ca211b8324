# SPDX-License-Identifier: GPL-2.0-only
"""What a line of the table is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

ALL = "beside the real kernel, all together"
TOOLS = "beside pyelftools, every module of the distribution"


class Row(NamedTuple):
    """One line: how many cases, how many of them are as they should be, how many not, how many lie beyond the
    model. Rows of one ``group`` stand together. ``complaints`` say what differs, ``reasons`` {case: why
    it is not modelled}."""

    group: str
    title: str
    cases: int
    equal: int
    different: int
    not_modelled: int = 0
    complaints: tuple[str, ...] = ()
    reasons: Mapping[str, str] = {}

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """The columns."""
        return self.cases, self.equal, self.different, self.not_modelled


def total(rows: Sequence[Row]) -> Row:
    """The sum of those of ``rows`` that are about the real kernel; complaints and reasons of all."""
    complaints = tuple(line for row in rows for line in row.complaints)
    reasons = {case: reason for row in rows for case, reason in row.reasons.items()}
    columns = zip((0, 0, 0, 0), *(row.numbers for row in rows if row.group != TOOLS), strict=True)
    cases, equal, different, not_modelled = map(sum, columns)
    return Row(ALL, ALL, cases, equal, different, not_modelled, complaints, reasons)
