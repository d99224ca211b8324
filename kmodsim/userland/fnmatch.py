# SPDX-License-Identifier: GPL-2.0-only
"""fnmatch(3) as the GNU C library does it for modprobe: no flags, the C locale, bytes.

Not Python's: a backslash quotes, ``[^…]`` negates as ``[!…]`` does, classes such as ``[[:digit:]]`` count,
and a bracket that never closes stands for itself (glibc ``posix/fnmatch_loop.c``).
"""

from __future__ import annotations

from typing import NamedTuple

SPECIAL = b"*?[\\"
CLASSES: dict[bytes, bytes] = {
    b"digit": b"0123456789",
    b"upper": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"lower": b"abcdefghijklmnopqrstuvwxyz",
    b"xdigit": b"0123456789ABCDEFabcdef",
    b"space": b"\t\n\v\f\r ",
    b"blank": b"\t ",
    b"cntrl": bytes([*range(32), 127]),
    b"print": bytes(range(32, 127)),
    b"graph": bytes(range(33, 127)),
    b"punct": bytes(c for c in range(33, 127) if not chr(c).isalnum()),
}
CLASSES[b"alpha"] = CLASSES[b"upper"] + CLASSES[b"lower"]
CLASSES[b"alnum"] = CLASSES[b"alpha"] + CLASSES[b"digit"]

Token = frozenset[int] | None  # the bytes that fit; None: a star
ANY = frozenset(range(1, 256))


class _Never(Exception):
    """A pattern that fits nothing: it ends in a backslash, or names a class that there is not."""


class Pattern(NamedTuple):
    """One pattern, read once. ``tokens`` None: it fits nothing."""

    literal: bytes | None  # a pattern without special letters: the only text that fits
    tokens: tuple[Token, ...] | None

    def fits(self, text: bytes) -> bool:
        if self.literal is not None:
            return text == self.literal
        return self.tokens is not None and _fits(self.tokens, text)


def compile_pattern(pattern: bytes) -> Pattern:
    if not any(c in pattern for c in SPECIAL):
        return Pattern(pattern, None)
    try:
        return Pattern(None, tuple(_tokens(pattern)))
    except _Never:
        return Pattern(None, None)


def fnmatch(pattern: bytes, text: bytes) -> bool:
    """Whether ``text`` fits ``pattern``, as ``fnmatch(pattern, text, 0) == 0`` in C."""
    return compile_pattern(pattern).fits(text)


def _fits(tokens: tuple[Token, ...], text: bytes) -> bool:
    """Two fingers; only the last star is ever taken back, so the time is at most length times length."""
    t = p = 0
    star, resume = -1, 0
    while t < len(text):
        token = tokens[p] if p < len(tokens) else frozenset()
        if token is None:
            star, resume, p = p, t, p + 1
        elif text[t] in token:
            t, p = t + 1, p + 1
        elif star >= 0:
            resume += 1
            t, p = resume, star + 1
        else:
            return False
    return all(token is None for token in tokens[p:])


def _tokens(pattern: bytes) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(pattern):
        letter = pattern[at : at + 1]
        at += 1
        if letter == b"*":
            found.append(None)
        elif letter == b"?":
            found.append(ANY)
        elif letter == b"\\":
            found.append(frozenset(_letter(pattern, at)))
            at += 1
        elif letter == b"[" and (bracket := _bracket(pattern, at)) is not None:
            members, at = bracket
            found.append(members)
        else:
            found.append(frozenset(letter))
    return found


def _letter(pattern: bytes, at: int) -> bytes:
    if at >= len(pattern):
        raise _Never
    return pattern[at : at + 1]


def _bracket(pattern: bytes, at: int) -> tuple[frozenset[int], int] | None:
    """The bytes between ``[`` and ``]``, and where the pattern goes on; None: it never closes."""
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    first = True
    while True:
        letter = pattern[at : at + 1]
        if not letter:
            return None
        if letter == b"]" and not first:
            break
        first = False
        if pattern[at : at + 2] == b"[:" and (end := pattern.find(b":]", at + 2)) >= 0:
            name = pattern[at + 2 : end]
            if name not in CLASSES:
                raise _Never
            members |= set(CLASSES[name])
            at = end + 2
            continue
        low, at = _member(pattern, at)
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in (b"]", b""):
            high, at = _member(pattern, at + 1)
            members |= set(range(low, high + 1))
        else:
            members.add(low)
    return (ANY - members if negated else frozenset(members)), at + 1


def _member(pattern: bytes, at: int) -> tuple[int, int]:
    """One byte inside brackets: itself, behind a backslash, or as ``[.x.]`` or ``[=x=]``."""
    if pattern[at : at + 2] in (b"[.", b"[=") and pattern[at + 3 : at + 5] == pattern[at + 1 : at + 2] + b"]":
        return pattern[at + 2], at + 5
    if pattern[at : at + 1] == b"\\":
        return _letter(pattern, at + 1)[0], at + 2
    return pattern[at], at + 1
