# SPDX-License-Identifier: GPL-2.0-only
"""``modules.builtin.modinfo``: what the code that is built into the kernel says of itself (kmod 30
``libkmod/libkmod-builtin.c``).

One string after the other, each ended by a zero byte: ``unix.license=GPL``. The kernel's build writes the
strings of one module together; libkmod relies on it and stops at the first block of a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ..errors import EINVAL, ERRNO, KernelError
from .elf import host_error
from .index_read import BrokenIndex
from .modprobe.log import Log, encode

NAME = "modules.builtin.modinfo"
PATH_MAX = 4096
ENOSYS, ENAMETOOLONG = ERRNO["ENOSYS"][0], ERRNO["ENAMETOOLONG"][0]
LOST = "unexpected string without modname prefix"


def builtin_modinfo(dirname: str, module: str, log: Log) -> list[bytes]:
    """The strings of a built-in module without their prefix (``kmod_builtin_get_modinfo``).

    ``KernelError``: ENOENT and the like when the file cannot be read, ENOSYS when it has no such module,
    EINVAL when its last string, which has no end, follows the module's.
    """
    try:
        with open(f"{dirname}/{NAME}", "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        raise host_error(error) from None
    wanted = encode(module)
    for name, strings in _blocks(data, log):
        if len(name) >= PATH_MAX:
            raise KernelError(ENAMETOOLONG)
        if name == wanted:
            if strings[-1] is None:
                raise KernelError(EINVAL)
            return [text[len(name) + 1 :] for text in strings if text is not None]
    raise KernelError(ENOSYS)


def _blocks(data: bytes, log: Log) -> Iterator[tuple[bytes, list[bytes | None]]]:
    """(module, its strings); a None at the end of the last block stands for a string without an end."""
    *whole, rest = data.split(b"\0")
    strings: list[bytes] = []
    for text in whole:
        if b"." not in text:
            break
        strings.append(text)
    if whole and not strings:
        log.library("libkmod-builtin.c:193", "kmod_builtin_iter_next", f"kmod_builtin_iter_next: {LOST}")
        where = "kmod_builtin_iter_get_modname"
        log.library("libkmod-builtin.c:243", where, f"{where}: {LOST}")
        raise BrokenIndex(NAME, "the first string has no module's name, and modinfo dies of signal 11")
    blocks: list[tuple[bytes, list[bytes | None]]] = [
        (name, list(block)) for name, block in groupby(strings, lambda text: text.partition(b".")[0])
    ]
    if blocks and rest and len(strings) == len(whole):
        blocks[-1][1].append(None)
    yield from blocks[:-1] if len(strings) < len(whole) else blocks
    if len(strings) < len(whole):  # said when the block before it is taken, or when it is the first string
        log.library("libkmod-builtin.c:193", "kmod_builtin_iter_next", f"kmod_builtin_iter_next: {LOST}")
        yield from blocks[-1:]
