# SPDX-License-Identifier: GPL-2.0-only
"""insmod of module-init-tools (``insmod.c``): the file is read into memory; init_module is all it knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import KernelError
from .. import ToolResult
from ..calls import ADDRESS, FD, Tell, Teller, answer, openat, quoted, reads, silent
from ..elf import find_file, host_error
from ..insmod import mod_strerror  # the same four errnos, the same words
from . import mit

SOURCE = "insmod.c"
FIRST_BUFFER = 16384  # bytes; doubled when full


def run(kernel: Any, argv: list[str], uid: int | None = None, tell: Tell = silent) -> ToolResult:
    """The tool. -p, -s and -f before the file's name are passed over; -V counts only as the first word; "-"
    is standard input, of which the model has nothing."""
    words = argv[1:]
    if words[:1] in (["-V"], ["--version"]):
        return ToolResult(mit.VERSION)
    while words and words[0] in ("-p", "-s", "-f"):
        del words[0]
    if not words:
        return mit.usage("Usage: insmod filename [args]\n")
    filename, params = words[0], "".join(f"{word} " for word in words[1:])
    say = Teller(tell, "main", SOURCE)
    say("the first word is the file; the others, a blank behind each, go to the kernel", result=f'"{params}"')
    try:
        image = _grab(filename, say.at("grab_file"))
    except KernelError as error:
        line = f"insmod: can't read '{filename}': {error.strerror}\n"
        return ToolResult(stderr=line, status=1, error=error)
    result = _insert(kernel, filename, image, params, uid, say)
    say("the end", result=f"exit status {result.status}")
    return result


def _insert(
    kernel: Any, filename: str, image: bytes, params: str, uid: int | None, say: Teller
) -> ToolResult:  # fmt: skip
    call = f"init_module({ADDRESS}, {len(image)}, {quoted(params)})"
    try:
        with say.called("the kernel gets the bytes: finit_module came two years later", call):
            return ToolResult(value=kernel.init_module(image, params, uid=uid))
    except KernelError as error:
        if error.errno is None:
            raise
        line = f"insmod: error inserting '{filename}': -1 {mod_strerror(error.errno)}\n"
        say.at("moderror")("the errno becomes a line", result=line.rstrip("\n"))
        return ToolResult(stderr=line, status=1, error=error)


def _grab(filename: str, say: Teller) -> bytes:
    """``grab_file``: read to the end, into a buffer that doubles."""
    if filename == "-":
        return b""
    path = find_file(filename)
    opened = openat(filename, "O_RDONLY")
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        cause = host_error(error)
        say("the file is opened", opened, answer(cause))
        raise cause from None
    say("the file is opened", opened, str(FD))
    for call, got in reads(data, _room(len(data))):
        say("it is read to its end, whatever it is", call, got)
    say("", f"close({FD})", "0")
    return data


def _room(length: int) -> Iterator[int]:
    """How much is asked for each time."""
    buffer, at = FIRST_BUFFER, 0
    while True:
        yield buffer - at
        at = min(length, buffer)
        if at == buffer:
            buffer *= 2
