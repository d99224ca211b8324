# SPDX-License-Identifier: GPL-2.0-only
"""rmmod of module-init-tools (``rmmod.c``): it looks into /proc/modules, and could still wait."""

from __future__ import annotations

from typing import Any

from ...errors import EBUSY, ENOENT, O_EXCL, O_NONBLOCK, O_TRUNC, KernelError
from .. import ToolResult
from ..options import UsageError, getopt
from . import mit

LONG = {"all": "a", "force": "f", "help": "h", "syslog": "s", "verbose": "v", "version": "V", "wait": "w"}
USAGE = """Usage: rmmod [-fhswvV] modulename ...
 -f (or --force) forces a module unload, and may crash your
    machine.  This requires the Forced Module Removal option
    when the kernel was compiled.
 -h (or --help) prints this help text
 -s (or --syslog) says use syslog, not stderr
 -v (or --verbose) enables more messages
 -V (or --version) prints the version code
 -w (or --wait) begins a module removal even if it is used
    and will stop new users from accessing the module (so it
    should eventually fall to zero).
"""


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool: every name in turn. O_EXCL always, no O_NONBLOCK with -w, O_TRUNC with -f; -a is taken and
    does nothing."""
    words: list[str] = []
    letters = ""
    try:
        for letter, _ in getopt(argv, "afh?swvV", LONG, words):
            if letter == "V":
                return ToolResult(mit.VERSION)
            if letter in "h?":
                return mit.usage(USAGE)
            letters += letter
    except UsageError as error:
        return mit.usage(USAGE, f"{error}\n")
    if not words:
        return mit.usage(USAGE, "no module names given\n")
    flags = O_EXCL | (0 if "w" in letters else O_NONBLOCK) | (O_TRUNC if "f" in letters else 0)
    results = [_remove(kernel, mit.modname(word), flags, uid) for word in words]
    told = "".join(result.stdout for result in results) if "v" in letters else ""
    said = "" if "s" in letters else "".join(result.stderr for result in results)
    errors = [result.error for result in results if result.error is not None]
    return ToolResult(told, said, 1 if errors else 0, errors[-1] if errors else None)


def _remove(kernel: Any, name: str, flags: int, uid: int | None) -> ToolResult:
    """``rmmod``: the look into /proc/modules only where the call would neither wait nor force."""
    if flags & O_NONBLOCK and not flags & O_TRUNC:
        refused = check_usage(kernel, name)
        if refused is not None:
            return refused
    wait, force = "no" if flags & O_NONBLOCK else "yes", " force" if flags & O_TRUNC else ""
    told = f"rmmod {name}, wait={wait}{force}\n"
    try:
        kernel.delete_module(name, flags=flags, uid=uid)
    except KernelError as error:
        if error.errno is None:
            raise
        return ToolResult(told, f"ERROR: Removing '{name}': {error.strerror}\n", 1, error)
    return ToolResult(told)


def check_usage(kernel: Any, name: str) -> ToolResult | None:
    """What /proc/modules says against it; None: nothing, or there is no such file."""
    try:
        lines = kernel.read("/proc/modules").splitlines()
    except KernelError as error:
        text = f"can't open /proc/modules: {error.strerror}"
        return None if error.errno == ENOENT else _refused(text, EBUSY)
    for line in lines:
        found, _, count, users, *_ = line.split(" ")
        if found != name:
            continue
        if count == "0":
            return None
        by = "" if users == "-" else f" by {users.rstrip(',')}"
        return _refused(f"Module {name} is in use{by}", EBUSY)
    return _refused(f"Module {name} does not exist in /proc/modules", ENOENT)


def _refused(text: str, errno: int) -> ToolResult:
    return ToolResult("", f"ERROR: {text}\n", 1, KernelError(errno, stage="rmmod", why=text))
