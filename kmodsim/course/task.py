# SPDX-License-Identifier: GPL-2.0-only
"""A graded task as data: the function to write, the place in the kernel, the claims about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

Case = tuple[Any, ...]  # the arguments of one call
Cases = Callable[[Random], Iterable[Case]]
Note = Callable[[Case, Any, Any], str]


class Claim(NamedTuple):
    """One thing that is true of a right function, worth ``points`` as a whole.

    ``kind``: "public" (shown in the notebook), "hidden" (same rule, other inputs) or "variant": the stated
    other rule, which the kernel's own function in kmodsim does not answer. ``title`` names the rule, so
    that a failed claim names the mistake. ``cases`` draws calls from a random source.
    """

    title: str
    points: int
    kind: str
    cases: Cases


@dataclass(frozen=True)
class Task:
    """``truth`` gives the right answer for any case; the test-suite holds it to the loader, and that to the
    record.

    ``models``: kernel function and file. ``stage``: the name under which the function takes its place in
    ``Kernel(stages={…})``, "" when there is none. ``note`` may add words about a wrong answer.
    """

    name: str
    models: str
    truth: Callable[..., Any]
    claims: tuple[Claim, ...]
    hint: str
    stage: str = ""
    note: Note | None = None

    @property
    def points(self) -> int:
        return sum(claim.points for claim in self.claims)

    def claim(self, title: str) -> Claim:
        """The claim of that title; KeyError when there is none."""
        for claim in self.claims:
            if claim.title == title:
                return claim
        raise KeyError(f"{self.name} has no claim {title!r}; there are: {[c.title for c in self.claims]}")


def fixed(*cases: Case) -> Cases:
    """Cases that are the same for everybody."""
    return lambda random: cases


def drawn(count: int, make: Callable[[Random], Case]) -> Cases:
    """``count`` cases, each drawn anew."""
    return lambda random: [make(random) for _ in range(count)]
