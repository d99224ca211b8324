# SPDX-License-Identifier: GPL-2.0-only
"""A learner's notebook at work inside the confinement, seen by the judge: cells are run, functions called.

What ends a life (an endless loop, a dead process) is told once; the next question starts another life, in
which the cells that had come to an end run again.
"""

from __future__ import annotations

import builtins
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..plain import NotPlainError, as_record
from .confined import wire
from .confinement import ConfinementError, Limits, Zygote

LIVES = 25  # of one submission


class EndedError(BaseException):
    """The cell is over: its code does not answer any more. No ``except Exception`` of a test holds it."""


class Said(NamedTuple):
    """What running a cell gave: output, error output, and name and words of an exception."""

    out: str
    err: str | None
    error: tuple[str, str] | None


class Learner:
    """One submission's process. Close it at the end."""

    def __init__(self, zygote: Zygote, limits: Limits) -> None:
        self._zygote, self._limits = zygote, limits
        self._connection: socket.socket | None = None
        self._ran: list[str] = []
        self._lives = 0
        self.end = time.monotonic() + limits.submission
        self.cell_end = 0.0
        self.noise: list[str] = []

    def begin_cell(self) -> None:
        """From now on the time of one cell runs."""
        self.cell_end = min(self.end, time.monotonic() + self._limits.cell)
        self.noise = []

    def run(self, source: str) -> Said:
        """Run a cell of the learner's. EndedError when it does not come back."""
        answer, out, err = self._ask(["run", source])
        self._ran.append(source)  # also when it raised: what stands before that counts
        if answer[0] == "raised":
            return Said(out, err, (str(answer[1]), str(answer[2])))
        return Said(out, err, None)

    def call(self, name: str, arguments: tuple[Any, ...], more: dict[str, Any]) -> Any:
        """The function's result as plain data; its exceptions, by name, as exceptions of ours."""
        named = {key: as_record(value) for key, value in more.items()}
        answer, _, err = self._ask(["call", name, [as_record(one) for one in arguments], named])
        if err is not None:
            self.noise.append(err)
        if answer[0] == "value":
            return answer[1]
        if answer[0] == "not plain":
            raise NotPlainError(str(answer[1]))
        raise _exception(str(answer[1]))(str(answer[2]))

    def look(self, name: str) -> Any:
        """A function to call, or the data; KeyError when the learner has no such name."""
        answer = self._ask(["look", name])[0]
        if answer[0] == "function":
            return lambda *arguments, **more: self.call(name, arguments, more)
        if answer[0] == "data":
            return answer[1]
        raise KeyError(name)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, question: list[Any]) -> tuple[list[Any], str, str | None]:
        if self._connection is None:
            self._begin()
        try:
            return self._exchange(question)
        except TimeoutError:
            self.close()
            raise EndedError("it took too long (an endless loop?) and was ended") from None
        except wire.BrokenError:
            self.close()
            raise EndedError("its process ended (exit, or more memory or time than allowed)") from None

    def _begin(self) -> None:
        if self._lives >= LIVES or time.monotonic() > self.end:
            raise EndedError("the submission has used up its time")
        self._lives += 1
        self._connection = self._zygote.life()
        for source in self._ran:
            try:
                self._exchange(["run", source])
            except (TimeoutError, wire.BrokenError):
                self.close()
                raise EndedError("its process ended while earlier cells ran again") from None

    def _exchange(self, question: list[Any]) -> tuple[list[Any], str, str | None]:
        """One question and its answer. An answer of another form counts as a dead process."""
        assert self._connection is not None
        left = self.cell_end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        wire.send(self._connection, question)
        answer = _form(_received(self._connection))
        if answer[0][0] == "no life":
            raise ConfinementError(str(answer[0][1]))
        return answer


def _received(connection: socket.socket) -> Any:
    try:
        return wire.receive(connection)
    except (NotPlainError, RecursionError, MemoryError, AttributeError, OverflowError):
        raise wire.BrokenError("an answer that is none") from None


def _form(message: Any) -> tuple[list[Any], str, str | None]:
    """[[word, …], output, error output or None], whoever wrote it."""
    sizes = {"value": 2, "raised": 3, "not plain": 2, "function": 1, "data": 2, "nothing": 1, "no life": 2}
    match message:
        case [[str(word), *rest], str(out), (None | str()) as err] if sizes.get(word) == 1 + len(rest):
            return [word, *rest], out[:50_000], err if err is None else err[:5_000]
    raise wire.BrokenError("an answer that is none")


def _exception(name: str) -> Callable[[str], Exception]:
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, UnicodeError):
        return kind
    if not name.isidentifier():
        name = "Exception"
    made: type[Exception] = type(name, (Exception,), {})
    return made
