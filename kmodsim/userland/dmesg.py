# SPDX-License-Identifier: GPL-2.0-only
"""dmesg: the kernel's log, one record a line (util-linux 2.38 ``sys-utils/dmesg.c``).

The model keeps no clock, so records have no time stamp: what is printed is what ``dmesg -t`` prints.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from ..errors import EPERM, KernelError
from . import ToolResult
from .options import UsageError, getopt

LEVELS = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
LONG = {
    "raw": "r", "level": "l", "decode": "x", "notime": "t", "ctime": "T", "human": "H", "clear": "C",
    "read-clear": "c", "kernel": "k", "color": "L", "nopager": "P", "help": "h", "version": "V",
}  # fmt: skip
HELP = """
Usage:
 dmesg [options]

Display or control the kernel ring buffer.

Options:
 -C, --clear                 clear the kernel ring buffer
 -c, --read-clear            read and clear all messages
 -k, --kernel                display kernel messages
 -l, --level <list>          restrict output to defined levels
 -r, --raw                   print the raw message buffer
 -t, --notime                don't show any timestamp with messages
 -x, --decode                decode facility and level to readable string

 -h, --help                  display this help
 -V, --version               display version

Supported log levels (priorities):
""" + "".join(f" {level:>7}\n" for level in LEVELS)

# SYSLOG_ACTION_CLEAR moves a mark, it deletes nothing (kernel/printk/printk.c:do_syslog)
_cleared: WeakKeyDictionary[Any, int] = WeakKeyDictionary()


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. Debian sets kernel.dmesg_restrict, so only root may read the log
    (``check_syslog_permissions``)."""
    words: list[str] = []
    levels, letters = set(range(8)), ""
    try:
        for letter, value in getopt(argv, "rl:xtTHCckL:PhV", LONG, words):
            letters += letter
            if letter in "hV":
                return ToolResult(HELP if letter == "h" else "dmesg from util-linux 2.38.1\n")
            if letter == "l":
                levels = _levels(value)
    except UsageError as error:
        hint = "" if "unknown level" in str(error) else "Try 'dmesg --help' for more information.\n"
        return ToolResult(stderr=f"{error}\n{hint}", status=1)
    if words:
        return ToolResult(stderr="dmesg: bad usage\nTry 'dmesg --help' for more information.\n", status=1)
    if "CAP_SYSLOG" not in kernel.caller(uid):
        what = "clear kernel buffer failed" if "C" in letters else "read kernel buffer failed"
        error_ = KernelError(EPERM, stage="check_syslog_permissions")
        return ToolResult(stderr=f"dmesg: {what}: {error_.strerror}\n", status=1, error=error_)
    return _print(kernel, levels, letters)


def _print(kernel: Any, levels: set[int], letters: str) -> ToolResult:
    records = kernel.dmesg[_cleared.get(kernel, 0) :]
    if "c" in letters.lower():
        _cleared[kernel] = len(kernel.dmesg)
    if "C" in letters:
        return ToolResult()
    show = _raw if "r" in letters else _decoded if "x" in letters else _text
    chosen = [record for record in records if level_of(record) in levels]
    return ToolResult("".join(show(record) for record in chosen))


def _levels(text: str) -> set[int]:
    names = text.split(",")
    for name in names:
        if name not in LEVELS:
            raise UsageError(f"dmesg: unknown level '{name}'")
    return {LEVELS.index(name) for name in names}


def level_of(record: str) -> int:
    """The level of a record ``"<4>text"``; 4 where it names none (the kernel's default)."""
    return int(record[1]) if record[:1] == "<" and record[2:3] == ">" and record[1].isdigit() else 4


def text_of(record: str) -> str:
    """The text of a record without its level."""
    return record[3:] if record[:1] == "<" and record[2:3] == ">" else record


def _text(record: str) -> str:
    return text_of(record) + "\n"


def _raw(record: str) -> str:
    return record + "\n"


def _decoded(record: str) -> str:
    return f"kern  :{LEVELS[level_of(record) & 7]:<6}: {text_of(record)}\n"
