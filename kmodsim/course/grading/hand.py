# SPDX-License-Identifier: GPL-2.0-only
"""A judge in a process of its own, and a few of them side by side: tasks in, results out, all plain data.

A hand that dies, or does not answer in time, costs the submission it had another try, and is replaced.
"""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ..plain import NotPlainError
from .confined import wire
from .confinement import Limits, Zygote

TRIES = 2


class Hand:
    """One judging process with its confinement; started when first needed."""

    def __init__(self, mode: str, limits: Limits) -> None:
        self._mode, self._limits = mode, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def judge(self, task: dict[str, Any]) -> dict[str, Any]:
        """The result of judging.judge, or {"student", "assignment", "failed": why} when there is none."""
        why = ""
        for _ in range(TRIES):
            try:
                answer: dict[str, Any] = self._ask(task)
                return answer
            except (wire.BrokenError, NotPlainError, TimeoutError, OSError) as error:
                why = f"{type(error).__name__}: {error}"
                self.close()
        return {"student": task["student"], "assignment": task["assignment"], "failed": why}

    def _ask(self, task: dict[str, Any]) -> Any:
        if self._connection is None:
            self._connection, inside = socket.socketpair()
            words = [self._mode, *map(str, self._limits)]
            code = "from kmodsim.course.grading.hand import main; main()"
            self._process = subprocess.Popen(
                [sys.executable, "-c", code, *words], stdin=inside.fileno(), stdout=subprocess.DEVNULL
            )
            inside.close()
        self._connection.settimeout(self._limits.submission + 5 * self._limits.cell + 60)
        wire.send(self._connection, task)
        return wire.receive(self._connection)

    def close(self) -> None:
        """End the process and all it started."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def main() -> None:
    """What a hand's process does: judge until nobody asks any more."""
    from .judging import judge

    mode, *amounts = sys.argv[1:]
    limits = Limits(*map(int, amounts[:3]), *map(float, amounts[3:]))
    connection = socket.socket(fileno=os.dup(0))
    zygote = Zygote(mode, limits)
    while True:
        try:
            task = wire.receive(connection)
        except wire.BrokenError:
            break
        wire.send(connection, judge(task, zygote, limits))
    zygote.close()


def judge_all(
    tasks: Iterable[dict[str, Any]], hands: int, mode: str, limits: Limits
) -> Iterator[dict[str, Any]]:
    """Results as they come, from so many hands side by side."""
    todo: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[dict[str, Any] | BaseException] = queue.SimpleQueue()
    count = 0
    for task in tasks:
        todo.put(task)
        count += 1
    hands = max(1, min(hands, count))

    def work() -> None:
        hand = Hand(mode, limits)
        try:
            while (task := todo.get()) is not None:
                done.put(hand.judge(task))
        except BaseException as error:
            done.put(error)
        finally:
            hand.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(hands)]
    for thread in threads:
        todo.put(None)
        thread.start()
    for _ in range(count):
        result = done.get()
        if isinstance(result, BaseException):
            raise result
        yield result
    for thread in threads:
        thread.join()
