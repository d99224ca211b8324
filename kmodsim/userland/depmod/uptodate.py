# SPDX-License-Identifier: GPL-2.0-only
"""-A: whether modules.dep is younger than every module (kmod 30 ``tools/depmod.c:depfile_up_to_date``)."""

from __future__ import annotations

import os
import stat

from ..elf import host_error
from ..modprobe.log import ERR, Log, decode
from .config import ALWAYS_LEFT_OUT
from .search import ENDINGS, FIRST_FD

LONGEST_PATH = 4096  # PATH_MAX
LONGEST_NAME = 255  # NAME_MAX


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
    return _folder(dirname, dirname + b"/", written, FIRST_FD, log)


def _folder(real: bytes, shown: bytes, written: int, fd: int, log: Log) -> bool:
    """Whether nothing in it is younger: the answer of the last entry that has one, up to the first no."""
    good = True
    with os.scandir(real) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        if name in ALWAYS_LEFT_OUT:
            continue
        if len(shown) + len(name) + 2 >= LONGEST_PATH:
            log.tool(ERR, f"path is too long {decode(shown + name)}")
            continue
        try:
            status = os.stat(real + b"/" + name)
        except OSError as error:
            log.tool(ERR, f"fstatat({fd}, {decode(name)}): {host_error(error).strerror}")
            continue
        if stat.S_ISDIR(status.st_mode):
            inner = _inner(real + b"/" + name, shown + name, written, fd, log)
            good = good if inner is None else inner
        elif not stat.S_ISREG(status.st_mode):
            # the path is that of the file looked at before
            log.tool(ERR, f"unsupported file type {decode(shown)}: {stat.S_IFMT(status.st_mode):o}")
            continue
        elif name.endswith(ENDINGS) and name not in ENDINGS:
            good = int(status.st_mtime) <= written
        if not good:
            return False
    return good


def _inner(real: bytes, shown: bytes, written: int, fd: int, log: Log) -> bool | None:
    if len(shown) + 2 + LONGEST_NAME >= LONGEST_PATH:
        log.tool(ERR, f"directory path is too long {decode(shown)}")
        return None
    try:
        return _folder(os.path.realpath(real), shown + b"/", written, fd + 1, log)
    except OSError as error:
        name = shown[shown.rfind(b"/") + 1 :]
        log.tool(ERR, f"openat({fd}, {decode(name)}, O_RDONLY): {host_error(error).strerror}")
        return None
