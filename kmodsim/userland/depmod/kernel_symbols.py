# SPDX-License-Identifier: GPL-2.0-only
"""The symbols of the kernel itself, for -e: from Module.symvers (-E) or System.map (-F) (kmod 30
``tools/depmod.c:depmod_load_symvers``, ``depmod_load_system_map``)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ...errors import ENOENT, KernelError
from ..elf import host_error
from ..modprobe.log import CRIT, ERR, Log, decode, encode
from .dependencies import Symbol, Symbols, plain
from .search import c_lines

LONGEST_LINE = 10239
KSYMTAB = b"__ksymtab_"
# what the loader makes itself; TOC. only where the file has none
FAKED = (b"__this_module", b"_GLOBAL_OFFSET_TABLE_", b"TOC.")
NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(?:0[xX])?([0-9a-fA-F]*)")  # strtoull(3), base 16
LARGEST = (1 << 64) - 1


def from_symvers(path: str, prefix: bytes, log: Log, dirname: bytes) -> Symbols:
    """``0xCRC<tab>name<tab>vmlinux<tab>…``: what vmlinux exports. ``Fatal`` when it cannot be read."""
    # the line on a bad number ends with errno, which libkmod left when it looked for that file
    left_over = "Success" if os.path.exists(dirname + b"/modules.softdep") else KernelError(ENOENT).strerror
    symbols: Symbols = {}
    for number, line in _lines(path, log):
        words = [word for word in re.split(b"[ \t]+", line) if word][:3]
        if len(words) < 3 or words[2] != b"vmlinux":
            continue
        crc = _number(words[0])
        if crc is None:
            text = f"{path}:{number} Invalid symbol version {decode(words[0])}"
            log.tool(ERR, f"{text}: {left_over}")
        else:
            symbols[words[1].removeprefix(prefix)] = Symbol(None, crc)
    return _with_faked(symbols, prefix)


def from_system_map(path: str, prefix: bytes, log: Log) -> Symbols:
    """``address type __ksymtab_name``."""
    symbols: Symbols = {}
    for number, line in _lines(path, log):
        parts = line.split(b" ", 2)
        if len(parts) < 3:
            log.tool(ERR, f"{path}:{number}: invalid line: {decode(line)}")
            continue
        name = parts[2].removeprefix(prefix)
        if name.startswith(KSYMTAB):
            symbols[name[len(KSYMTAB) :].partition(b"\n")[0]] = Symbol(None, 0)
    return _with_faked(symbols, prefix)


def _with_faked(symbols: Symbols, prefix: bytes) -> Symbols:
    for name in FAKED:
        if name != FAKED[2] or plain(name, prefix) not in symbols:
            symbols[name] = Symbol(None, 0)
    return symbols


def _lines(path: str, log: Log) -> Iterator[tuple[int, bytes]]:
    """The lines as fgets(3) gives them to a buffer of 10,240 bytes, each up to its first zero byte."""
    try:
        if os.path.isdir(path):
            return
        if os.path.exists(path) and not os.path.isfile(path):
            return  # a device or a pipe: reading it here could last for ever
        with open(encode(path), "rb") as file:
            text = file.read()
    except (OSError, ValueError) as error:
        log.tool(CRIT, f"could not load {path}: {host_error(error).strerror}")
        return
    yield from enumerate(c_lines(text, LONGEST_LINE), 1)


def _number(text: bytes) -> int | None:
    match = NUMBER.fullmatch(text)
    if match is None or not match[2]:
        return None
    value = min(int(match[2], 16), LARGEST)
    return -value % (LARGEST + 1) if match[1] == b"-" else value
