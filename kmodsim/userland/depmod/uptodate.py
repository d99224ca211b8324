# SPDX-License-Identifier: GPL-2.0-only
"""-A: whether modules.dep is younger than every module (kmod 30 ``tools/depmod.c:depfile_up_to_date``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from ..elf import host_error
from ..modprobe.log import ERR, Log, decode
from .config import ALWAYS_LEFT_OUT
from .search import ENDINGS, FIRST_FD

LONGEST_PATH = 4096  # PATH_MAX
LONGEST_NAME = 255  # NAME_MAX
_Level = tuple[
    bytes, bytes, Iterator[bytes]
]  # a folder's real path, its path in messages, what is left in it


def up_to_date(dirname: bytes, log: Log) -> bool:
    """False also when that cannot be said. Times count in whole seconds; links are followed."""
    shown = decode(dirname)
    try:
        os.scandir(dirname).close()
    except (OSError, ValueError) as error:
        log.tool(ERR, f"could not open directory {shown}: {host_error(error).strerror}")
        return False
    try:
        written = int(os.stat(dirname + b"/modules.dep").st_mtime)
    except OSError as error:
        log.tool(ERR, f"could not fstatat({shown}, modules.dep): {host_error(error).strerror}")
        return False
    return not _Walk(written, log).finds_younger(dirname)


class _Walk:
    """Through all folders until a module is younger. Messages show ``buffer``: the path of the last folder or
    module, whichever entry they speak of."""

    def __init__(self, written: int, log: Log) -> None:
        self.written, self.log = written, log
        self.buffer = b""

    def finds_younger(self, dirname: bytes) -> bool:
        self.buffer = dirname + b"/"
        stack = [(dirname, self.buffer, _names(dirname))]
        while stack:
            real, shown, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                continue
            kind, younger = self._look(real, shown, name, FIRST_FD + len(stack) - 1)
            if younger:
                return True
            if kind == stat.S_IFDIR:
                inner = self._enter(real + b"/" + name, shown, name, FIRST_FD + len(stack) - 1)
                if inner is not None:
                    stack.append(inner)
        return False

    def _look(self, real: bytes, shown: bytes, name: bytes, fd: int) -> tuple[int, bool]:
        """(what kind of file it is, whether it is a module that is younger)."""
        if name in ALWAYS_LEFT_OUT:
            return 0, False
        if len(shown) + len(name) + 2 >= LONGEST_PATH:
            self.buffer = shown
            self.log.tool(ERR, f"path is too long {decode(shown + name)}")
            return 0, False
        try:
            status = os.stat(real + b"/" + name)
        except OSError as error:
            self.log.tool(ERR, f"fstatat({fd}, {decode(name)}): {host_error(error).strerror}")
            return 0, False
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG and name.endswith(ENDINGS) and name not in ENDINGS:
            self.buffer = shown + name
            return kind, int(status.st_mtime) > self.written
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            self.log.tool(ERR, f"unsupported file type {decode(self.buffer)}: {kind:o}")
        return kind, False

    def _enter(self, real: bytes, shown: bytes, name: bytes, fd: int) -> _Level | None:
        self.buffer = shown + name
        if len(self.buffer) + 2 + LONGEST_NAME >= LONGEST_PATH:
            self.log.tool(ERR, f"directory path is too long {decode(self.buffer)}")
            return None
        try:
            real = os.path.realpath(real)
            names = _names(real)
        except OSError as error:
            self.log.tool(ERR, f"openat({fd}, {decode(name)}, O_RDONLY): {host_error(error).strerror}")
            return None
        self.buffer += b"/"
        return real, self.buffer, names


def _names(folder: bytes) -> Iterator[bytes]:
    with os.scandir(folder) as entries:
        return iter([entry.name for entry in entries])
