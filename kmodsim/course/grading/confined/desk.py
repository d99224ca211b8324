# SPDX-License-Identifier: GPL-2.0-only
"""Runs a learner's cells, then calls the learner's functions with data, as the judge asks over a socket.

Nothing that is said from here is believed for more than what it is: a value that was returned.
"""

from __future__ import annotations

import io
import re
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ...plain import NotPlainError, plain
from . import wire

PRINTED = 20_000  # characters of a cell's output that are kept
MAGIC = re.compile(r"^([ \t]*)(?:[%!?].*|[A-Za-z_.]+\?{1,2}[ \t]*)$", re.MULTILINE)
CALL = re.compile(r"^\s*%%")


class Paper(io.TextIOBase):
    """An output of which only the beginning is kept."""

    def __init__(self) -> None:
        self.kept, self.room, self.used = [""], PRINTED, False

    def write(self, text: str) -> int:
        self.used = True
        if self.room > 0:
            self.kept.append(str(text)[: self.room])
            self.room -= len(text)
        return len(text)

    def writable(self) -> bool:
        return True

    def take(self) -> str:
        text = "".join(self.kept) + ("" if self.room >= 0 else "\n… cut")
        self.__init__()  # type: ignore[misc]
        return text


class Desk:
    """One learner's names, and what is asked about them."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.space: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
        self.out, self.err = Paper(), Paper()

    def serve(self) -> None:
        """Answer until the judge hangs up."""
        asked: dict[str, Callable[..., list[Any]]] = {"run": self.run, "call": self.call, "look": self.look}
        while True:
            word, *rest = wire.receive(self.connection)
            sys.stdout, sys.stderr = self.out, self.err
            try:
                answer = asked[word](*rest)
            except NotPlainError as error:
                answer = ["not plain", str(error)[:300]]
            except BaseException as error:
                answer = ["raised", *_described(error)]
            self._answer(answer)

    def _answer(self, answer: list[Any]) -> None:
        noise = self.err.used
        said, wrong = self.out.take(), self.err.take()
        try:
            wire.send(self.connection, [answer, said, wrong if noise else None])
        except NotPlainError as error:
            wire.send(self.connection, [["not plain", str(error)[:300]], "", None])
        except wire.BrokenError:
            if "long" not in str(sys.exc_info()[1]):
                raise
            wire.send(self.connection, [["not plain", "it is larger than the grading takes"], "", None])

    def run(self, source: str) -> list[Any]:
        """Run a cell. IPython's own lines (%, !, ?) are left out."""
        if CALL.match(source):
            return ["value", None]
        code = compile(MAGIC.sub(r"\1pass", source), "<cell>", "exec")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(code, self.space)
        return ["value", None]

    def call(self, name: str, arguments: list[Any], more: dict[str, Any]) -> list[Any]:
        """The result of a function of the learner's, as plain data."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ["value", plain(self.space[name](*arguments, **more))]

    def look(self, name: str) -> list[Any]:
        """What a name stands for: "function", "data" with the data, or "nothing"."""
        if name not in self.space:
            return ["nothing"]
        value = self.space[name]
        return ["function"] if callable(value) else ["data", plain(value)]


def _described(error: BaseException) -> list[str]:
    """Name and words of an exception; its own methods are the learner's and may raise again."""
    try:
        return [str(type(error).__name__)[:80], str(error)[:300]]
    except BaseException:
        return ["Exception", "(its message cannot be shown)"]
