# SPDX-License-Identifier: GPL-2.0-only
"""Paths as the shell's user types them, to files of the modelled kernel; nothing here reaches the host."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase
from typing import Any

from ..errors import ENOENT, ENOTDIR, KernelError

PATTERN = re.compile(r"[*?[]")


def resolve(path: str) -> str:
    """The path without ``//``, ``.`` and ``..``; only /proc and /sys are there, so others are ENOENT."""
    if not path.startswith("/"):
        raise KernelError(ENOENT, stage="openat", why=f"{path!r} is not below /proc or /sys")
    return "/" + posixpath.normpath(path).lstrip("/")


def read(kernel: Any, path: str) -> str:
    """The text of a file, as ``kernel.read``."""
    return str(kernel.read(resolve(path)))


def write(kernel: Any, path: str, text: str) -> None:
    """Write to a file, as ``kernel.write``: one write(2) with all of the text, as echo makes it."""
    kernel.write(resolve(path), text)


def names(kernel: Any, path: str) -> list[str]:
    """The sorted names in a folder, as ``kernel.listdir``."""
    return sorted(str(name) for name in kernel.listdir(resolve(path)))


def exists(kernel: Any, path: str) -> bool:
    """Whether there is such a folder or file, one that may not be read too."""
    for look in (kernel.listdir, kernel.read):
        try:
            look(resolve(path))
        except KernelError as error:
            if error.errno in (ENOENT, ENOTDIR):
                continue
        return True
    return False


def glob(kernel: Any, pattern: str) -> list[str]:
    """The paths that fit an absolute pattern, sorted; ``*`` does not fit names that begin with a dot."""
    found = [""]
    for part in pattern.split("/")[1:]:
        found = [f"{path}/{name}" for path in found for name in _fitting(kernel, path, part)]
    return sorted(path for path in found if exists(kernel, path))


def _fitting(kernel: Any, path: str, part: str) -> list[str]:
    if not PATTERN.search(part):
        return [part]
    try:
        inside = names(kernel, path or "/")
    except KernelError:
        return []
    return [name for name in inside if fnmatchcase(name, part) and (part[0] == "." or name[0] != ".")]
