# SPDX-License-Identifier: GPL-2.0-only
"""How kmod opens a module's file, told call by call (kmod 30 ``libkmod/libkmod-file.c``)."""

from __future__ import annotations

import os
from itertools import repeat

from ..errors import KernelError
from .calls import ADDRESS, FD, Teller, answer, openat, path_argument, quoted, reads, status_of
from .elf import MAGIC_BYTES, ToolFile, host_error, open_module

OPEN_FLAGS = "O_RDONLY|O_CLOEXEC"
XZ_PIECE = 8192  # load_xz reads by as many bytes (BUFSIZ)
ZSTD_MARK = b"\x28"


def stat_file(path: str, say: Teller) -> KernelError | None:
    """``kmod_module_new_from_path`` asks whether the file is there; the error if it is not."""
    cause = None
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        cause = host_error(error)
    call = f"newfstatat(AT_FDCWD, {path_argument(absolute(path))}, {status_of(path)}, 0)"
    say("is there such a file?", call, answer(cause))
    return cause


def open_file(path: str, say: Teller) -> ToolFile:
    """``kmod_file_open``: as ``open_module``, with its story. Raises what that raises."""
    opened = openat(absolute(path), OPEN_FLAGS)
    try:
        file = open_module(path)
    except KernelError as error:
        if os.path.isdir(path):
            say("the file is opened", opened, str(FD))
            opened = f"read({FD}, {ADDRESS}, {MAGIC_BYTES})"
        say("this file cannot be taken", opened, answer(error))
        raise
    raw = file.data if file.direct else _bytes(path)
    mark = f"read({FD}, {quoted(raw[:MAGIC_BYTES])}, {MAGIC_BYTES})"
    say("the file is opened", opened, str(FD))
    say("is it compressed? its first six bytes tell", mark, str(MAGIC_BYTES))
    say("back to its beginning", f"lseek({FD}, 0, SEEK_SET)", "0")
    if file.direct:
        say = say.at("load_reg")
        say("how long is it?", f'newfstatat({FD}, "", {status_of(path)}, AT_EMPTY_PATH)', "0")
        mapping = f"mmap(NULL, {len(raw)}, PROT_READ, MAP_PRIVATE, {FD}, 0)"
        say("its bytes are mapped, in case they are needed", mapping, ADDRESS)
    elif raw.startswith(ZSTD_MARK):
        text = f"{len(raw)} bytes are read and unpacked to {len(file.data)}"
        say.at("load_zstd")(text, f"read({FD}, {ADDRESS}, ...)", "0")
    else:
        for call, got in reads(raw, repeat(XZ_PIECE)):
            say.at("load_xz")("the file is read and unpacked", call, got)
    return file


def absolute(path: str) -> str:
    """``path_make_absolute_cwd``: nothing is tidied up."""
    return path if path.startswith("/") else os.path.join(os.getcwd(), path)


def _bytes(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
