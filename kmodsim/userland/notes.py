# SPDX-License-Identifier: GPL-2.0-only
"""What a one-shot command adds for the learner: errno, stage, log and list beside the tool's own line.

insmod says nothing when all went well and one phrase when not, and a kernel of one command is gone with it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from ..errors import KernelError, strerror
from . import ToolResult
from .dmesg import text_of
from .explain import errno_words, modules_line

WIDTH = 110
LABEL = 15
SAYS = "kmodsim: "
VERBATIM = ("dmesg", "/proc/modules")
NOTHING_LIVES = (
    "this was a freshly booted kernel, with no module loaded; kmodsim shell keeps one for several commands"
)


def notes(kernel: Any, argv: Sequence[str], result: ToolResult) -> str:
    """The lines to print after a tool, each beginning with "kmodsim:"; "" when there is nothing to add."""
    if argv[0] == "insmod":
        return _of_insmod(kernel, result)
    if argv[0] == "modprobe":
        return _of_modprobe(kernel, result)
    asked_for_help = not {"-h", "-V", "--help", "--version"}.isdisjoint(argv)
    wrong = result.status != 0 and result.error is None
    return "" if asked_for_help or wrong else _line("", NOTHING_LIVES)


def _of_modprobe(kernel: Any, result: ToolResult) -> str:
    """Each step that was taken and why; nothing for what only looks (-D, -n, -c, -R)."""
    if not result.value or not (kernel.dmesg or kernel.modules):
        return ""
    text = ""
    for step, status in result.value:
        how = "" if status == 0 else f": {strerror(-status)}"
        text += _line(step.action, f"{step.module}, {step.reason}{how}")
    error = result.error
    if error is not None and error.errno is not None and error.stage:
        text += _line("errno", errno_words(error)) + _line("stage", error.stage)
        text += "".join(_line("dmesg", text_of(record)) for record in error.dmesg)
    return text


def _of_insmod(kernel: Any, result: ToolResult) -> str:
    if result.error is None and result.value is None:  # --help, or a wrong option
        return ""
    error = result.error
    if error is not None and not error.stage:
        return _line("errno", errno_words(error)) + _line("stage", "none: insmod could not read the file")
    text = ""
    if error is not None:
        text += _line("errno", errno_words(error)) + _line("stage", error.stage)
        text += _line("why", error.why) if error.why and error.errno is not None else ""
    for record in _log(kernel, error):
        text += _line("dmesg", text_of(record))
    if error is None:
        text += _line("/proc/modules", modules_line(kernel, result.value.name))
    return text


def _log(kernel: Any, error: KernelError | None) -> list[str]:
    """The records of the one call this kernel has seen."""
    return list(error.dmesg if error is not None else kernel.dmesg) or ["<6>(nothing)"]


def _line(label: str, text: str) -> str:
    """One note. What the kernel wrote stays on one line, our own words are wrapped."""
    start = SAYS + (f"{label:<{LABEL}}" if label else "")
    if label in VERBATIM:
        return f"{start}{text}\n"
    rest = SAYS + " " * LABEL if label else SAYS
    return textwrap.fill(text, WIDTH, initial_indent=start, subsequent_indent=rest) + "\n"
