# SPDX-License-Identifier: GPL-2.0-only
"""Extended regular expressions as regcomp(3) reads them, as far as a depmod.d line has any: ``6\\.1\\..*``.

Not Python's: an operator without anything before it makes the pattern invalid, classes such as
``[[:digit:]]`` count, and no pattern takes exponential time, for all places in the text are followed at once.
Left out are back references and glibc's own letters but ``\\w \\W \\s \\S`` (glibc ``posix/regcomp.c``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ...errors import NotModelled
from ..fnmatch import CLASSES

Places = frozenset[int]
Match = Callable[[str, Places], Places]  # where a piece may end that begins at one of these places
DEEPEST = 100  # brackets in brackets
MOST = 0x7FFF  # RE_DUP_MAX
CHARACTERS = {name.decode(): frozenset(map(chr, members)) for name, members in CLASSES.items()}
WORD = CHARACTERS["alnum"] | {"_"}
GNU = {"w": (WORD, False), "W": (WORD, True), "s": (CHARACTERS["space"], False),
       "S": (CHARACTERS["space"], True)}  # fmt: skip
NOT_DONE = "bB<>`'123456789"


class Invalid(Exception):
    """regcomp(3) would refuse the pattern."""


class Expression(NamedTuple):
    match: Match

    def search(self, text: str) -> bool | None:
        """True when the pattern fits anywhere in ``text``; None when not."""
        return bool(self.match(text, frozenset(range(len(text) + 1)))) or None


def compile_extended(pattern: str) -> Expression | None:
    """The pattern, or None for one that regcomp(3) refuses."""
    try:
        return Expression(_Parser(pattern).all())
    except Invalid:
        return None


def _one(characters: frozenset[str], other: bool = False) -> Match:
    def match(text: str, places: Places) -> Places:
        return frozenset(at + 1 for at in places if at < len(text) and (text[at] in characters) is not other)

    return match


def _chain(pieces: list[Match]) -> Match:
    def match(text: str, places: Places) -> Places:
        for piece in pieces:
            places = piece(text, places)
        return places

    return match


def _either(branches: list[Match]) -> Match:
    return lambda text, places: frozenset().union(*(branch(text, places) for branch in branches))


def _repeat(piece: Match, least: int, most: int | None) -> Match:
    def match(text: str, places: Places) -> Places:
        for _ in range(least):
            before, places = places, piece(text, places)
            if places == before:
                break
        found, rounds = places, 0
        while places and (most is None or rounds < most - least):
            places = piece(text, places) - found
            found |= places
            rounds += 1
        return found

    return match


def _at(end: bool) -> Match:
    return lambda text, places: places & {len(text) if end else 0}


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern, self.at, self.depth = pattern, 0, 0

    def all(self) -> Match:
        branches = [self._branch()]
        while self._take("|"):
            branches.append(self._branch())
        return branches[0] if len(branches) == 1 else _either(branches)

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _take(self, letter: str) -> bool:
        found = self._next() == letter
        self.at += found
        return found

    def _branch(self) -> Match:
        pieces: list[Match] = []
        while self._next() and self._next() != "|" and not (self._next() == ")" and self.depth):
            anchor = self._next() in "^$"
            piece = self._atom()
            if anchor and self._next() and self._next() in "*+?{":
                raise Invalid
            for least, most in self._counts():
                piece = _repeat(piece, least, most)
            pieces.append(piece)
        return _chain(pieces)

    def _counts(self) -> Iterator[tuple[int, int | None]]:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        while (letter := self._next()) and letter in "*+?{":
            self.at += 1
            yield simple[letter] if letter in simple else self._interval()

    def _interval(self) -> tuple[int, int | None]:
        text, closed, _ = self.pattern[self.at :].partition("}")
        low, comma, high = text.partition(",")
        if not closed or not (low or (comma and high)) or not (low + high).isascii():
            raise Invalid
        if (low and not low.isdigit()) or (high and not high.isdigit()) or len(low + high) > 12:
            raise Invalid
        self.at += len(text) + 1
        least = int(low or 0)
        most = (int(high) if high else None) if comma else least
        if least > MOST or (most is not None and not least <= most <= MOST):
            raise Invalid
        return least, most

    def _atom(self) -> Match:
        letter = self._next()
        self.at += 1
        if letter in "*+?{":
            raise Invalid
        if letter == "(":
            return self._group()
        if letter == "[":
            return self._bracket()
        if letter in "^$":
            return _at(letter == "$")
        if letter == ".":
            return _one(frozenset("\0"), True)
        if letter != "\\":
            return _one(frozenset(letter))
        letter = self._next()
        self.at += 1
        if not letter:
            raise Invalid
        if letter in NOT_DONE:
            raise NotModelled(f"\\{letter} in an extended regular expression", stage="regcomp")
        return _one(*GNU.get(letter, (frozenset(letter), False)))

    def _group(self) -> Match:
        self.depth += 1
        if self.depth > DEEPEST:
            raise NotModelled(f"more than {DEEPEST} brackets in each other", stage="regcomp")
        inside = self.all()
        if not self._take(")"):
            raise Invalid
        self.depth -= 1
        return inside

    def _bracket(self) -> Match:
        other = self._take("^")
        members: set[str] = set()
        first = True
        while first or self._next() != "]":
            first = False
            start = self._member(members)
            if start is None or self.pattern[self.at : self.at + 1] != "-":
                continue
            if self.pattern[self.at + 1 : self.at + 2] in ("]", ""):
                continue
            self.at += 1
            end = self._member(set())
            if end is None or ord(end) < ord(start):
                raise Invalid
            if ord(end) - ord(start) > MOST:
                raise NotModelled("a range of that many letters", stage="regcomp")
            members.update(map(chr, range(ord(start), ord(end) + 1)))
        self.at += 1
        return _one(frozenset(members), other)

    def _member(self, members: set[str]) -> str | None:
        """One letter, which is returned for it may begin a range, or a class."""
        letter = self._next()
        if not letter:
            raise Invalid
        kind = self.pattern[self.at + 1 : self.at + 2]
        if letter == "[" and kind and kind in ":.=":
            name, closed, _ = self.pattern[self.at + 2 :].partition(kind + "]")
            if not closed:
                raise Invalid
            self.at += len(name) + 4
            if kind == ":":
                if name not in CHARACTERS:
                    raise Invalid
                members |= CHARACTERS[name]
                return None
            if len(name) != 1:
                raise Invalid
            letter = name
        else:
            self.at += 1
        members.add(letter)
        return letter
