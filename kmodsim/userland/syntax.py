# SPDX-License-Identifier: GPL-2.0-only
"""The little of the shell's language that a module session needs: words, quotes, ``;`` ``&&`` ``||`` ``|``
``>``.

Wording of the complaints is that of busybox's sh, the shell of an initramfs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

END_OF_FILE = "unexpected end of file"


class SyntaxProblem(Exception):
    """The line cannot be read; the text is what sh says. ``more``: another line could still complete it."""

    def __init__(self, text: str, more: bool = False) -> None:
        super().__init__(text)
        self.more = more


class Piece(NamedTuple):
    """A part of a word: quoted parts are never patterns, single-quoted ones are not expanded either."""

    text: str
    quoted: bool
    expands: bool


Word = tuple[Piece, ...]


@dataclass
class Command:
    """One command of a pipeline: its words and where its streams go (operator, target)."""

    words: list[Word] = field(default_factory=list)
    redirections: list[tuple[str, Word]] = field(default_factory=list)


class Statement(NamedTuple):
    """A pipeline and what stands before it: ``";"`` always, ``"&&"`` after success, ``"||"`` after
    failure."""

    connector: str
    pipeline: list[Command]


_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r\f\v]|\\\n)+) | (?P<comment>\#[^\n]*)
      | (?P<operator>[12]?>&[12] | [12]?>>? | && | \|\| | ;; | [;\n|&<>()])""",
    re.X,
)
_PIECE = re.compile(
    r"""(?P<single>'[^']*') | (?P<double>"(?:[^"\\]|\\.)*") | (?P<escape>\\.)
      | (?P<plain>[^\s'"\\;|&<>()]+ | [^\S \t\n\r\f\v])""",
    re.X | re.S,
)
_IN_DOUBLE = re.compile(r'\\(["\\$`\n])')


def tokens(text: str) -> Iterator[str | Word]:
    """Operators as strings, words as tuples of pieces, one by one: an early complaint comes before a later
    one."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            word, at = _word(text, at)
            yield word
            continue
        at = match.end()
        if match["operator"]:
            yield match["operator"]
    yield "\n"


def _word(text: str, at: int) -> tuple[Word, int]:
    pieces = []
    while match := _PIECE.match(text, at):
        at = match.end()
        raw = match[0]
        if match["single"]:
            pieces.append(Piece(raw[1:-1], True, False))
        elif match["double"]:
            pieces += _double_quoted(raw[1:-1])
        elif match["escape"]:
            pieces.append(Piece(raw[1:].replace("\n", ""), True, False))
        else:
            pieces.append(Piece(raw, False, True))
    if at < len(text) and text[at] in "'\"":
        raise SyntaxProblem("unterminated quoted string", more=True)
    if (
        at == len(text) - 1 and text[at] == "\\"
    ):  # the last character: it quotes what comes with the next line
        raise SyntaxProblem(END_OF_FILE, more=True)
    return tuple(pieces), at


def _double_quoted(body: str) -> list[Piece]:
    """Between double quotes a backslash quotes only ``" \\ $ ` `` and the line's end; the rest expands."""
    pieces = [Piece("", True, True)]
    for part in _IN_DOUBLE.split(body):
        escaped = len(pieces) % 2 == 0  # split() alternates: text, the escaped character, text, …
        pieces.append(Piece(part.replace("\n", "") if escaped else part, True, not escaped))
    return pieces


def parse(text: str) -> list[Statement]:
    """The statements of some lines. Raises ``SyntaxProblem``, with ``more`` when the text stops too early."""
    statements: list[Statement] = []
    connector, pipeline, redirection = ";", [Command()], ""
    for token in tokens(text):
        command = pipeline[-1]
        if isinstance(token, tuple):
            if redirection:
                command.redirections.append((redirection, token))
            else:
                command.words.append(token)
            redirection = ""
            continue
        started = bool(command.words or command.redirections)
        if redirection:
            raise _unexpected(token)
        if ">&" in token:
            command.redirections.append((token, ()))
        elif ">" in token:
            redirection = token
        elif token == "\n" and not started and (len(pipeline) > 1 or connector != ";"):
            continue  # a line may end after | && ||; the next one goes on
        elif token in (";", "\n", "&&", "||", "|"):
            if not started and token != "\n":
                raise _unexpected(token)
            if token == "|":
                pipeline.append(Command())
                continue
            if started:
                statements.append(Statement(connector, pipeline))
            connector, pipeline = (";" if token == "\n" else token), [Command()]
        else:
            raise _unexpected(token)
    if len(pipeline) > 1 or connector != ";":
        raise SyntaxProblem(END_OF_FILE, more=True)
    return statements


def _unexpected(token: str) -> SyntaxProblem:
    return SyntaxProblem("unexpected newline" if token == "\n" else f'unexpected "{token}"')
