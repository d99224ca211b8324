# SPDX-License-Identifier: GPL-2.0-only
"""What printk shows of a pointer: the letters behind %p (``lib/vsprintf.c:pointer``), one row a letter.

Documentation/core-api/printk-formats.rst tells what they are for. Letters that need what is not modelled here
(a clock's name, a firmware node's, build ids) raise NotModelled with their name: never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..errors import NAME_OF, NotModelled
from ..profiles.prototypes import flags_text
from .abi import U64, VarArgs, va_list_arguments
from .format import MAX_ERRNO, Spec, bad_pointer, cut, error_string, number, string, vsnprintf
from .pointers_data import DATA
from .symbolize import lookup, sprint_symbol

if TYPE_CHECKING:
    from .cpu import Cpu

Show = Callable[["Cpu", str, Spec, int], bytes]
# include/linux/errno.h: those that never leave the kernel
KERNEL_ERRNOS = {
    512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 515: "ENOIOCTLCMD",
    516: "ERESTART_RESTARTBLOCK", 517: "EPROBE_DEFER", 518: "EOPENSTALE", 519: "ENOPARAM", 521: "EBADHANDLE",
    522: "ENOTSYNC", 523: "EBADCOOKIE", 524: "ENOTSUPP", 525: "ETOOSMALL", 526: "ESERVERFAULT",
    527: "EBADTYPE", 528: "EJUKEBOX", 529: "EIOCBQUEUED", 530: "ERECALLCONFLICT", 531: "ENOGRACE",
}  # fmt: skip
ESCAPES = {  # lib/string_helpers.c
    "space": {b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t", b"\v": b"\\v", b"\f": b"\\f"},
    "special": {b"\\": b"\\\\", b"\a": b"\\a", b"\x1b": b"\\e", b'"': b'\\"'},
    "null": {b"\0": b"\\0"},
}
ESCAPE_LETTERS = {
    "a": {"space", "octal", "special", "null"}, "c": {"special"}, "h": {"hex"}, "n": {"null"},
    "o": {"octal"}, "p": {"np"}, "s": {"space"},
}  # fmt: skip


def pointer(cpu: Cpu, letters: str, spec: Spec, value: int, depth: int = 0) -> bytes:
    """The text for ``%p`` with the letters behind it."""
    kind = letters[:1]
    if kind == "V":
        return _va_format(cpu, spec, value, depth)
    if kind in DATA:
        word = bad_pointer(value)
        return error_string(word, spec) if word else DATA[kind](cpu, letters, spec, value)
    return SHOW.get(kind, _hashed)(cpu, letters, spec, value)


def address(value: int, spec: Spec) -> bytes:
    """``pointer_string``: sixteen digits unless a width is given."""
    if spec.width is None:
        spec = spec._replace(width=16, flags=spec.flags + "0")
    return number(value, "x", spec)


def _plain(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    return address(value, spec)


def _hashed(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """``ptr_to_id``: NULL and error pointers are shown as they are."""
    if value and value <= U64 - MAX_ERRNO:
        value = int(cpu.kernel.hashed_pointer(value), 16)
    return address(value, spec)


def _symbol(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%ps name, %pS name+offset/size, %pB as in a backtrace."""
    if "b" in letters[1:3]:
        raise NotModelled(f"printk's conversion %p{letters}: build ids", stage="symbol_string")
    if letters[0] != "s":
        return cut(sprint_symbol(cpu.kernel, value, backtrace=letters[0] == "B").encode(), spec)
    symbol = lookup(cpu.kernel, value)
    module = f" [{symbol.module}]" if symbol and symbol.module else ""
    return cut((f"{symbol.name}{module}" if symbol else f"{value:#x}").encode(), spec)


def _error(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pe: the name of an error pointer's errno; other pointers as %p."""
    if value <= U64 - MAX_ERRNO:
        return _hashed(cpu, letters, spec, value)
    errno = -value & U64
    name = NAME_OF.get(errno) or KERNEL_ERRNOS.get(errno)
    return cut(f"-{name}".encode(), spec) if name else number(-errno, "d", spec)


def _va_format(cpu: Cpu, spec: Spec, value: int, depth: int) -> bytes:
    """%pV: a format and its arguments inside another one's; the arguments are copied (``va_copy``)."""
    if word := bad_pointer(value):
        return error_string(word, spec)
    fmt, args = (cpu.structs.get(value, f"va_format.{field}") for field in ("fmt", "va"))
    return vsnprintf(
        cpu, cpu.space.string(fmt), VarArgs(va_list_arguments(cpu.space, args, copy=True)), depth + 1
    )


def _other_space(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pks, %pus: text that is checked as %s is."""
    return string(cpu, value, spec) if letters[1:2] == "s" else error_string(b"(einval)", spec)


def _hex(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%*ph: up to 64 bytes, with blanks, colons (C), dashes (D) or nothing (N) between them."""
    if spec.width == 0:
        return b""
    if word := bad_pointer(value):
        return error_string(word, spec)
    data = cpu.space.read(value, min(spec.width or 1, 64))
    separator = {"C": ":", "D": "-", "N": ""}.get(letters[1:2], " ")
    return (data.hex(separator) if separator else data.hex()).encode()


def _escaped(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%*pE: bytes as C writes them in strings; which ones, the letters say."""
    if spec.width == 0:
        return b""
    if word := bad_pointer(value):
        return error_string(word, spec)
    found = re.match("[achnops]*", letters[1:])
    chosen = set[str]().union(*(ESCAPE_LETTERS[letter] for letter in (found[0] if found else "") or "ap"))
    data = cpu.space.read(value, 1 if spec.width is None else spec.width)
    return b"".join(_escape(data[i : i + 1], chosen) for i in range(len(data)))


def _escape(byte: bytes, chosen: set[str]) -> bytes:
    code = byte[0]
    if "np" in chosen and (32 <= code < 127 or code >= 160):  # the kernel's isprint knows Latin-1
        return byte
    for name, table in ESCAPES.items():
        if name in chosen and byte in table:
            return table[byte]
    if "octal" in chosen:
        return f"\\{code:03o}".encode()
    return f"\\x{code:02x}".encode() if "hex" in chosen else byte


def _flags(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pGg: gfp flags by name."""
    if word := bad_pointer(value):
        return error_string(word, spec)
    if letters[1:2] in ("p", "v"):
        raise NotModelled(
            f"printk's conversion %p{letters}: names of page and area flags", stage="flags_string"
        )
    if letters[1:2] != "g":
        return error_string(b"(%pG?)", spec)
    flags = cpu.space.number(value, 4)
    return flags_text(flags, cpu.profile.prototypes.flags["gfp_t"]).encode() if flags else b""


def _device_tree(cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    """%pOF: this kernel has no device tree (CONFIG_OF)."""
    return error_string(b"(%pOF?)" if letters[1:2] == "F" else b"(%pO?)", spec)


def _not_modelled(what: str, cpu: Cpu, letters: str, spec: Spec, value: int) -> bytes:
    raise NotModelled(f"printk's conversion %p{letters}: {what}", stage="vsnprintf")


SHOW: dict[str, Show] = {
    "x": _plain, "": _hashed, "K": _hashed, "S": _symbol, "s": _symbol, "B": _symbol, "e": _error,
    "h": _hex, "E": _escaped, "G": _flags, "O": _device_tree, "u": _other_space, "k": _other_space,
    "C": partial(_not_modelled, "a clock's name"), "f": partial(_not_modelled, "a firmware node's name"),
    "g": partial(_not_modelled, "a block device's name"), "A": partial(_not_modelled, "Rust"),
}  # fmt: skip
