# SPDX-License-Identifier: GPL-2.0-only
"""What modprobe writes to standard error: its own lines and libkmod's, with their levels (kmod 30
``tools/log.c``, ``libkmod/libkmod.c:log_filep``).

The place in kmod's source is part of a line, as Debian builds it.
"""

from __future__ import annotations

CRIT, ERR, WARNING, NOTICE, INFO = 2, 3, 4, 5, 6
NAMES = {CRIT: "FATAL", ERR: "ERROR", WARNING: "WARNING", NOTICE: "NOTICE", INFO: "INFO"}
EMERG = 0  # the level of -q


class Fatal(Exception):
    """A FATAL line was written: the tool ends at once, with status 1."""


class Log:
    """Collects lines. Before ``set_up`` libkmod writes in its own form, at level ERROR, whatever -q says."""

    def __init__(self, program: str = "modprobe") -> None:
        self.program = program
        self.lines: list[str] = []
        self.level = WARNING
        self.syslog = False  # -s: the lines go to the system's log
        self._set_up = False

    def set_up(self, level: int) -> None:
        self.level = level
        self._set_up = True

    def tool(self, priority: int, text: str) -> None:
        """A line of the tool's own. ``Fatal`` when it was written at that level; -q writes none, and the tool
        goes on."""
        if priority > self.level:
            return
        self._write(f"{self.program}: {NAMES[priority]}: {text}\n")
        if priority <= CRIT:
            raise Fatal

    def library(self, place: str, function: str, text: str, priority: int = ERR) -> None:
        """A line of libkmod's: ``place`` is file and line there."""
        if not self._set_up:
            if priority <= ERR:
                self.lines.append(f"libkmod: ERROR ../libkmod/{place} {function}: {text}\n")
        elif priority <= self.level:
            self._write(f"{self.program}: {NAMES[priority]}: ../libkmod/{place} {function}() {text}\n")

    def _write(self, line: str) -> None:
        if not self.syslog:
            self.lines.append(line)


def encode(text: str) -> bytes:
    """The bytes of a word or a path, which need not be text."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
