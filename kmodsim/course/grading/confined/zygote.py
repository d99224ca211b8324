# SPDX-License-Identifier: GPL-2.0-only
"""The fork server inside the confinement: it has Python and numpy loaded and makes one life per learner.

A life is asked for by a message with a socket in it. Each has processes, files and shared memory of its own
and ends, with all it started, when the judge closes that socket. So no start-up is paid twice, and nothing
of one learner reaches the next.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import traceback

from . import lockdown, standins
from .desk import Desk

MODES = ("namespaces", "container", "nothing")  # how a life is locked in, strictest first


def main(argv: list[str]) -> int:
    """``zygote MODE MEMORY SECONDS FILES``, the judge's socket as standard input. MiB and seconds."""
    mode, memory, seconds, files = argv[0], *map(int, argv[1:4])
    preload()
    judge = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    count = 0
    while True:
        word, handed, _, _ = socket.recv_fds(judge, 16, 1)
        if not word:
            return 0
        count += 1
        if os.fork() == 0:
            judge.close()
            _keep(socket.socket(fileno=handed[0]), mode, (memory, seconds, files), count)
        os.close(handed[0])


def preload() -> None:
    """What learners' functions are likely to import."""
    import bisect  # noqa: F401
    import collections  # noqa: F401
    import dataclasses  # noqa: F401
    import functools  # noqa: F401
    import heapq  # noqa: F401
    import itertools  # noqa: F401
    import math  # noqa: F401
    import random  # noqa: F401
    import re  # noqa: F401
    import struct  # noqa: F401

    import numpy  # noqa: F401

    standins.install()


def _keep(connection: socket.socket, mode: str, amounts: tuple[int, int, int], number: int) -> None:
    """Start a life in namespaces of its own; end it when the judge hangs up. Never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        if mode != "nothing":
            lockdown.stranger(number)
        if mode == "namespaces":
            lockdown.own_namespaces()
        child = os.fork()
        if child == 0:
            _live(connection, mode, *amounts)
        watched = select.poll()
        watched.register(connection, 0)  # only its end
        watched.register(os.pidfd_open(child), select.POLLIN)
        watched.poll()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except BaseException:
        _complain(connection)
    os._exit(0)


def _live(connection: socket.socket, mode: str, memory: int, seconds: int, files: int) -> None:
    """Lock the door, then serve. Never returns."""
    try:
        if mode == "namespaces":
            lockdown.own_files(files)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        lockdown.limits(memory, seconds, files)
        if mode != "nothing":
            lockdown.no_privileges()
            lockdown.fewer_calls()
        desk = Desk(connection)
    except BaseException:
        _complain(connection)
        os._exit(1)
    try:
        desk.serve()
    except BaseException:
        pass  # the judge sees that nobody answers
    finally:
        os._exit(0)


def _complain(connection: socket.socket) -> None:
    """Say why there is no life: before any of the learner's code has run."""
    from . import wire

    words = "".join(traceback.format_exception_only(*sys.exc_info()[:2])).strip()
    try:
        wire.send(connection, [["no life", words], "", None])
    except Exception:
        pass


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
