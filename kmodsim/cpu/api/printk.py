# SPDX-License-Identifier: GPL-2.0-only
"""printk and its kin: levels, continued lines (``kernel/printk/printk.c``), text into buffers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import VarArgs, cstr, ptr, s32, u64, va_list_arguments
from ..pointers import warn_once
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

PRINTK, VSPRINTF = "kernel/printk/printk.c", "lib/vsprintf.c"
SOH = b"\x01"  # include/linux/kern_levels.h
DEFAULT_LEVEL = 4  # CONFIG_MESSAGE_LOGLEVEL_DEFAULT
INT_MAX = 0x7FFFFFFF


def log(cpu: Cpu, raw: bytes) -> int:
    """vprintk_store: the level in front, a record that ends with its newline; "c" goes on with the line
    before."""
    level, text = DEFAULT_LEVEL, raw
    continued = False
    while text[:1] == SOH and len(text) > 1:
        if text[1:2].isdigit():
            level = int(text[1:2])
        continued = continued or text[1:2] == b"c"
        text = text[2:]
    ended = text.endswith(b"\n")
    line = (
        text[:-1].decode("utf-8", "backslashreplace") if ended else text.decode("utf-8", "backslashreplace")
    )
    records = cpu.kernel.dmesg
    if continued and cpu.open_line and records:
        records[-1] += line
    else:
        records.append(f"<{level}>{line}")
    cpu.open_line = not ended
    return len(text)


@kernel_function(PRINTK, "_printk_deferred", "printk")
def _printk(cpu: Cpu, fmt: cstr, args: VarArgs) -> s32:
    return log(cpu, cpu.format(fmt, args))


@kernel_function(PRINTK)
def vprintk(cpu: Cpu, fmt: cstr, args: ptr) -> s32:
    return log(cpu, cpu.format(fmt, _list(cpu, args)))


@kernel_function(PRINTK)
def __printk_ratelimit(cpu: Cpu, name: ptr) -> s32:
    return 1


@kernel_function("lib/dynamic_debug.c")
def __dynamic_pr_debug(cpu: Cpu, descriptor: ptr, fmt: cstr, args: VarArgs) -> None:
    """Only where dynamic debug has switched the place on, which nothing here does."""


def _put(cpu: Cpu, buffer: int, size: int, fmt: bytes, args: VarArgs) -> int:
    """vsnprintf: at most ``size`` bytes with the NUL; the length that the whole text has."""
    if size > INT_MAX:
        warn_once(cpu, "")
        return 0
    text = cpu.format(fmt, args)
    if size:
        cpu.space.write(buffer, text[: size - 1] + b"\0")
    return len(text)


def _put_stored(cpu: Cpu, buffer: int, size: int, fmt: bytes, args: VarArgs) -> int:
    """vscnprintf: the length of what was stored."""
    return min(_put(cpu, buffer, size, fmt, args), size - 1) if size else 0


def _list(cpu: Cpu, args: int) -> VarArgs:
    return VarArgs(va_list_arguments(cpu.space, args))


@kernel_function(VSPRINTF)
def sprintf(cpu: Cpu, buffer: ptr, fmt: cstr, args: VarArgs) -> s32:
    return _put(cpu, buffer, INT_MAX, fmt, args)


@kernel_function(VSPRINTF)
def vsprintf(cpu: Cpu, buffer: ptr, fmt: cstr, args: ptr) -> s32:
    return _put(cpu, buffer, INT_MAX, fmt, _list(cpu, args))


@kernel_function(VSPRINTF)
def snprintf(cpu: Cpu, buffer: ptr, size: u64, fmt: cstr, args: VarArgs) -> s32:
    return _put(cpu, buffer, size, fmt, args)


@kernel_function(VSPRINTF)
def scnprintf(cpu: Cpu, buffer: ptr, size: u64, fmt: cstr, args: VarArgs) -> s32:
    return _put_stored(cpu, buffer, size, fmt, args)


@kernel_function(VSPRINTF)
def vsnprintf(cpu: Cpu, buffer: ptr, size: u64, fmt: cstr, args: ptr) -> s32:
    return _put(cpu, buffer, size, fmt, _list(cpu, args))


@kernel_function(VSPRINTF)
def vscnprintf(cpu: Cpu, buffer: ptr, size: u64, fmt: cstr, args: ptr) -> s32:
    return _put_stored(cpu, buffer, size, fmt, _list(cpu, args))


@kernel_function("lib/kasprintf.c")
def kasprintf(cpu: Cpu, flags: u64, fmt: cstr, args: VarArgs) -> ptr:
    return cpu.heap.strdup(cpu.format(fmt, args))


@kernel_function("lib/kasprintf.c")
def kvasprintf(cpu: Cpu, flags: u64, fmt: cstr, args: ptr) -> ptr:
    return cpu.heap.strdup(cpu.format(fmt, _list(cpu, args)))
