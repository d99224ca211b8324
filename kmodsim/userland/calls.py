# SPDX-License-Identifier: GPL-2.0-only
"""System calls as strace writes them, for the story of a tool's run (``kmodsim.userland.story``).

A tool tells each step as it takes it: what it does, the function of its own source that does it, and the
system call with its answer. What has no fixed value (where memory lies) is written ``ADDRESS``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..errors import KernelError, KernelOops, errno_name, strerror

ADDRESS = "ADDRESS"
SHOWN = 32  # bytes of a string that strace shows
FD = 3  # the first descriptor a fresh process gets
KINDS = {stat.S_IFREG: "S_IFREG", stat.S_IFDIR: "S_IFDIR", stat.S_IFIFO: "S_IFIFO", stat.S_IFCHR: "S_IFCHR"}
LETTERS = {9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 34: r"\"", 92: r"\\"}


class Step(NamedTuple):
    """One step: plain words, the function and the file of the tool's source, the system call ("" if it makes
    none) and what came of it."""

    text: str
    function: str
    source: str
    call: str = ""
    result: str = ""


Tell = Callable[[Step], None]


def silent(step: Step) -> None:
    """Nobody listens."""


class Teller:
    """Tells the steps of one function after the other."""

    def __init__(self, tell: Tell, function: str, source: str) -> None:
        self.tell, self.function, self.source = tell, function, source

    def at(self, function: str, source: str = "") -> Teller:
        """The same listener, another function."""
        return Teller(self.tell, function, source or self.source)

    def __call__(self, text: str, call: str = "", result: str = "") -> None:
        self.tell(Step(text, self.function, self.source, call, result))


    @contextmanager
    def called(self, text: str, call: str) -> Iterator[None]:
        """Tells a system call when it has returned, with its answer."""
        failed: KernelError | None = None
        try:
            yield
        except KernelError as error:
            failed = error
            raise
        finally:
            why = f"; it refuses in {failed.stage}" if failed is not None and failed.stage else ""
            self(text + why, call, answer(failed))


NOBODY = Teller(silent, "", "")


def quoted(data: bytes | str, shown: int = SHOWN) -> str:
    """A string argument: at most ``shown`` bytes, what is no text in octal, as short as it can be read."""
    raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
    cut = raw[:shown]
    text = ""
    for at, byte in enumerate(cut):
        following = cut[at + 1 : at + 2]
        if byte in LETTERS:
            text += LETTERS[byte]
        elif 32 <= byte < 127:
            text += chr(byte)
        else:
            text += f"\\{byte:03o}" if following.isdigit() else f"\\{byte:o}"
    return f'"{text}"' + ("..." if len(raw) > shown else "")


def path_argument(path: str) -> str:
    """A path is never cut short."""
    return quoted(path, len(path) * 4)


def status_of(path: str) -> str:
    """What stat(2) fills in, as strace shortens it."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ADDRESS
    kind = KINDS.get(stat.S_IFMT(found.st_mode), "S_IFBLK")
    return f"{{st_mode={kind}|0{found.st_mode & 0o7777:o}, st_size={found.st_size}, ...}}"


def answer(error: KernelError | None, good: str = "0") -> str:
    """``0``, or ``-1 EINVAL (Invalid argument)``."""
    if error is None:
        return good
    if error.errno is None:
        return "? (the kernel oopsed)" if isinstance(error, KernelOops) else "? (does not return)"
    return f"-1 {errno_name(error.errno)} ({strerror(error.errno)})"


def openat(path: str, flags: str) -> str:
    return f"openat(AT_FDCWD, {path_argument(path)}, {flags})"


def reads(data: bytes, sizes: Iterator[int]) -> Iterator[tuple[str, str]]:
    """(call, answer) of reading ``data`` to its end, by pieces of ``sizes``."""
    at = 0
    for size in sizes:
        piece = data[at : at + size]
        yield f"read({FD}, {quoted(piece)}, {size})", str(len(piece))
        at += len(piece)
        if not piece:
            return
