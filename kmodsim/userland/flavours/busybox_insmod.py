# SPDX-License-Identifier: GPL-2.0-only
"""insmod of busybox (``modutils/insmod.c``): no options at all, and the errno is the exit status."""

from __future__ import annotations

from typing import Any

from .. import ToolResult
from ..calls import Tell, Teller, silent
from ..elf import find_file
from . import busybox


def run(kernel: Any, argv: list[str], uid: int | None = None, tell: Tell = silent) -> ToolResult:
    """The applet; its first word is the file, ``-f`` and ``-h`` too. Status: the errno, or 256 less the errno
    that reading the file gave."""
    if argv[1:] == ["--help"]:
        return busybox.usage("insmod", 0)
    if len(argv) < 2:
        return busybox.usage("insmod")
    say = Teller(tell, "insmod_main", "modutils/insmod.c")
    filename, params = argv[1], busybox.arguments(argv[2:])
    say("the first word is the file; the others, a blank behind each, go to the kernel", result=f'"{params}"')
    complaints: list[str] = []
    try:
        code, error, module = busybox.init_module(
            kernel, find_file(filename), params, "insmod", complaints, uid, say, filename
        )
    except busybox.Died as death:
        return ToolResult(stderr=f"{''.join(complaints)}insmod: {death}\n", status=1, error=death.error)
    line = f"insmod: can't insert '{filename}': {busybox.moderror(code)}\n" if code else ""
    if code:
        say.at("moderror", busybox.SOURCE)("the errno becomes a line", result=line.rstrip("\n"))
    say("the end: the errno is the exit status", result=f"exit status {code & 0xFF}")
    return ToolResult(stderr="".join(complaints) + line, status=code & 0xFF, error=error, value=module)
