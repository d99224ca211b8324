# SPDX-License-Identifier: GPL-2.0-only
"""The user-space half: the tools people type, modelled on kmod 30 as Debian 12 ships it.

A tool is a function ``run(kernel, argv, uid) -> ToolResult``: it makes the system calls the real tool
makes, in its order, and its standard output, standard error and exit status are the tool's own. What the
model wants to say beside that never mixes with it (see ``kmodsim.cli``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ..errors import KernelError, KernelOops, NotModelled, WouldWait

# the tools, each a module of this package with a function run()
TOOLS = ("insmod", "rmmod", "lsmod", "modinfo", "dmesg", "modprobe", "depmod")

ABORTED = 128 + 6  # ended by abort()
KILLED = 128 + 9  # the status a shell shows for a command ended by signal 9
WAITS = 128 + 2  # a command that waits for ever ends by the Ctrl-C of whoever waits for it


@dataclass(frozen=True)
class ToolResult:
    """What a tool leaves behind: its two streams, its exit status, and the system call's error if one
    failed."""

    stdout: str = ""
    stderr: str = ""
    status: int = 0
    error: KernelError | None = None
    value: Any = None  # insmod: the Module that was loaded


def run(
    kernel: Any, argv: Sequence[str], uid: int | None = None, flavour: str = "kmod", tell: Any = None
) -> ToolResult:
    """Run one tool with its arguments, ``argv[0]`` being its name; a name not in ``TOOLS`` is a
    ``KeyError``.

    ``flavour``: "kmod", "busybox" or "module-init-tools" (``kmodsim.userland.flavours``); another is a
    ``ValueError``. ``tell`` hears insmod's steps (``kmodsim.userland.story``).
    """
    if argv[0] not in TOOLS:
        raise KeyError(argv[0])
    tool = _tool(argv[0], flavour)
    more = {} if tell is None else {"tell": tell}
    try:
        result: ToolResult = tool(kernel, [_as_bytes_would_be(word) for word in argv], uid, **more)
    except KernelError as error:  # the tool was killed, sleeps, or met the end of the model
        result = ended(argv[0], error)
    if result.error is not None:
        result.error.tool_message = result.stderr.rstrip("\n")  # type: ignore[attr-defined]
    return result


def _as_bytes_would_be(word: str) -> str:
    """An argument is bytes. Half a surrogate pair, which no bytes of a command line decode to, becomes the
    three bytes of its own number, each kept as ``os.fsdecode`` keeps what is no text."""
    try:
        word.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return word.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    return word


def _tool(name: str, flavour: str) -> Any:
    if flavour != "kmod":
        from .flavours import find

        tool = find(name, flavour)
        if tool is not None:
            return tool
    return import_module(f".{name}", __name__).run


def ended(tool: str, error: KernelError) -> ToolResult:
    """What is seen when the tool could not go on itself: words that begin with "kmodsim:" are the model's."""
    if isinstance(error, KernelOops):
        return ToolResult(stderr="Killed\n", status=KILLED, error=error)
    if error.stage == "libkmod":
        return ToolResult(stderr=f"{tool}: {error.why}\nAborted\n", status=ABORTED, error=error)
    if isinstance(error, WouldWait):
        return ToolResult(
            stderr=f"kmodsim: {tool} would wait for ever: {error.why}\n", status=WAITS, error=error
        )
    if isinstance(error, NotModelled):
        return ToolResult(stderr=f"kmodsim: not modelled: {error.why}\n", status=1, error=error)
    return ToolResult(stderr=f"{tool}: ERROR: {error.strerror}\n", status=1, error=error)
