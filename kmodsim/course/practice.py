# SPDX-License-Identifier: GPL-2.0-only
"""Endless practice: one question at a time, drawn from a seed, the answer shown after an attempt."""

from __future__ import annotations

from typing import Any

from .judge import find_task
from .plain import plain
from .seeds import random_for, student
from .words import difference, show


class Practice:
    """One question about a task's function: ``.arguments``, ``.answer(value)``, then ``.reveal()``."""

    def __init__(self, name: str, seed: object) -> None:
        self._task = find_task(name)
        self.seed, self._attempts = seed, 0
        claims = [claim for claim in self._task.claims if claim.kind != "public"]
        random = random_for("practice", seed, name)
        self.claim = random.choice(claims).title
        self.arguments = random.choice(list(self._task.claim(self.claim).cases(random)))

    def answer(self, value: Any) -> bool:
        """Whether ``value`` is what the function returns; says where it is not."""
        self._attempts += 1
        words = difference(plain(self._task.truth(*self.arguments)), plain(value))
        print(f"✗ {words}" if words else "✓ right")
        return not words

    def reveal(self) -> Any:
        """The right answer, after at least one attempt; ValueError before."""
        if not self._attempts:
            raise ValueError("try first: .answer(…), then .reveal()")
        return self._task.truth(*self.arguments)

    def __repr__(self) -> str:
        lines = [f"{self._task.name}, seed {self.seed}: {self.claim}"]
        lines += [f"  argument {i}: {show(value)}" for i, value in enumerate(self.arguments)]
        return "\n".join([*lines, "What does it return? .answer(…); after an attempt .reveal()"])


def practice(name: str, seed: object = None) -> Practice:
    """A question about the task ``name``, another one for every seed (default: one for each user).

    ValueError for an unknown name.
    """
    return Practice(name, student() if seed is None else seed)
