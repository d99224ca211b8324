# SPDX-License-Identifier: GPL-2.0-only
"""rmmod of busybox (``modutils/rmmod.c``): it asks the kernel at once, and ends at the first refusal."""

from __future__ import annotations

from typing import Any

from ...errors import O_EXCL, O_NONBLOCK, O_TRUNC, KernelError
from .. import ToolResult
from . import busybox

EFAULT = 14


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The applet. O_EXCL always, O_NONBLOCK without -w, O_TRUNC with -f; -a hands over a null pointer, which
    kernels since 2.6 answer with EFAULT, and that counts as success."""
    words: list[str] = []
    found = busybox.options(argv, "wfas", words)
    if isinstance(found, ToolResult):
        return found
    letters = {letter for letter, _ in found}
    flags = O_EXCL | (0 if "w" in letters else O_NONBLOCK) | (O_TRUNC if "f" in letters else 0)
    if "a" in letters:
        error = _delete(kernel, 0, flags, uid)
        wrong = error is not None and error.errno != EFAULT
        return _ended("rmmod", error) if wrong and error is not None else ToolResult()
    if not words:
        return busybox.usage("rmmod")
    for word in words:
        name = busybox.modname(word.rpartition("/")[2])
        error = _delete(kernel, name, flags, uid)
        if error is not None:
            return _ended(f"can't unload module '{name}'", error)
    return ToolResult()


def _delete(kernel: Any, name: str | int, flags: int, uid: int | None) -> KernelError | None:
    try:
        kernel.delete_module(name, flags=flags, uid=uid)
    except KernelError as error:
        if error.errno is None:
            raise
        return error
    return None


def _ended(text: str, error: KernelError) -> ToolResult:
    return ToolResult(stderr=f"rmmod: {text}: {error.strerror}\n", status=1, error=error)
