# SPDX-License-Identifier: GPL-2.0-only
"""Strings and memory (``lib/string.c``), numbers in strings (``lib/kstrtox.c``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import E2BIG, EINVAL, ERANGE, KernelError
from ...params.kstrtox import IntType, kstrtobool, kstrtoll, kstrtoull
from ..abi import cstr, ptr, s32, s64, u32, u64
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

STRING, KSTRTOX = "lib/string.c", "lib/kstrtox.c"
CHUNK = 1 << 20  # bytes moved at a time: an absurd length faults before memory is short


def _copy(cpu: Cpu, to: int, source: int, length: int) -> int:
    """memmove in chunks, upwards or downwards as the places need it."""
    starts = range(0, length, CHUNK)
    for start in reversed(starts) if source < to else starts:
        size = min(CHUNK, length - start)
        cpu.space.write(to + start, cpu.space.read(source + start, size))
    return to


@kernel_function("arch/x86/lib/memcpy_64.S", "__memcpy", "memmove", "__memmove")
def memcpy(cpu: Cpu, to: ptr, source: ptr, length: u64) -> ptr:
    return _copy(cpu, to, source, length)


@kernel_function("arch/x86/lib/memset_64.S", "__memset")
def memset(cpu: Cpu, to: ptr, byte: s32, length: u64) -> ptr:
    for start in range(0, length, CHUNK):
        cpu.space.write(to + start, bytes((byte & 0xFF,)) * min(CHUNK, length - start))
    return to


@kernel_function(STRING, "bcmp")
def memcmp(cpu: Cpu, a: ptr, b: ptr, length: u64) -> s32:
    for start in range(0, length, CHUNK):
        size = min(CHUNK, length - start)
        if (left := cpu.space.read(a + start, size)) != (right := cpu.space.read(b + start, size)):
            return next(x - y for x, y in zip(left, right, strict=True) if x != y)
    return 0


@kernel_function(STRING)
def memchr(cpu: Cpu, start: ptr, byte: s32, length: u64) -> ptr:
    for at in range(0, length, CHUNK):
        found = cpu.space.read(start + at, min(CHUNK, length - at)).find(byte & 0xFF)
        if found >= 0:
            return start + at + found
    return 0


@kernel_function(STRING)
def memchr_inv(cpu: Cpu, start: ptr, byte: s32, length: u64) -> ptr:
    """The first byte that is another one; 0: they are all the same."""
    same = bytes((byte & 0xFF,))
    for at in range(0, length, CHUNK):
        piece = cpu.space.read(start + at, min(CHUNK, length - at))
        if rest := piece.lstrip(same):
            return start + at + len(piece) - len(rest)
    return 0


@kernel_function(STRING)
def strlen(cpu: Cpu, text: cstr) -> u64:
    return len(text)


@kernel_function(STRING)
def strnlen(cpu: Cpu, text: ptr, most: u64) -> u64:
    return len(cpu.space.string(text, most))


def _compare(a: bytes, b: bytes) -> int:
    return (a > b) - (a < b)


@kernel_function(STRING)
def strcmp(cpu: Cpu, a: cstr, b: cstr) -> s32:
    return _compare(a, b)


@kernel_function(STRING)
def strncmp(cpu: Cpu, a: ptr, b: ptr, most: u64) -> s32:
    return _compare(cpu.space.string(a, most), cpu.space.string(b, most))


@kernel_function(STRING)
def strcasecmp(cpu: Cpu, a: cstr, b: cstr) -> s32:
    return _compare(a.lower(), b.lower())


@kernel_function(STRING)
def strncasecmp(cpu: Cpu, a: ptr, b: ptr, most: u64) -> s32:
    return _compare(cpu.space.string(a, most).lower(), cpu.space.string(b, most).lower())


@kernel_function(STRING)
def strcpy(cpu: Cpu, to: ptr, text: cstr) -> ptr:
    cpu.space.write(to, text + b"\0")
    return to


@kernel_function(STRING)
def strncpy(cpu: Cpu, to: ptr, source: ptr, most: u64) -> ptr:
    """Zeros up to ``most``; no NUL when the text is as long."""
    cpu.space.write(to, cpu.space.string(source, min(most, CHUNK)).ljust(min(most, CHUNK), b"\0"))
    return to


@kernel_function(STRING, "strscpy_pad")
def strscpy(cpu: Cpu, to: ptr, source: ptr, size: u64) -> s64:
    """The length, or -E2BIG when it did not fit whole."""
    if not size or size >> 31:
        return -E2BIG
    text = cpu.space.string(source, size)
    cpu.space.write(to, text[: size - 1] + b"\0")
    return len(text) if len(text) < size else -E2BIG


@kernel_function(STRING)
def strlcpy(cpu: Cpu, to: ptr, text: cstr, size: u64) -> u64:
    if size:
        cpu.space.write(to, text[: size - 1] + b"\0")
    return len(text)


@kernel_function(STRING)
def strcat(cpu: Cpu, to: ptr, text: cstr) -> ptr:
    cpu.space.write(to + len(cpu.space.string(to)), text + b"\0")
    return to


@kernel_function(STRING)
def strchr(cpu: Cpu, text: ptr, char: s32) -> ptr:
    found = (cpu.space.string(text) + b"\0").find(char & 0xFF)
    return text + found if found >= 0 else 0


@kernel_function(STRING)
def strrchr(cpu: Cpu, text: ptr, char: s32) -> ptr:
    found = (cpu.space.string(text) + b"\0").rfind(char & 0xFF)
    return text + found if found >= 0 else 0


@kernel_function(STRING)
def strstr(cpu: Cpu, text: ptr, part: cstr) -> ptr:
    found = cpu.space.string(text).find(part)
    return text + found if found >= 0 else 0


@kernel_function("lib/string_helpers.c")
def skip_spaces(cpu: Cpu, text: ptr) -> ptr:
    content = cpu.space.string(text)
    return text + len(content) - len(content.lstrip(b" \t\n\v\f\r\xa0"))


@kernel_function("lib/string_helpers.c")
def strim(cpu: Cpu, text: ptr) -> ptr:
    """Blanks at the end are cut off in place; those in front are stepped over."""
    content = cpu.space.string(text)
    if content:
        cpu.space.store(text + len(content.rstrip(b" \t\n\v\f\r\xa0")), 0, 1)
    return int(skip_spaces(cpu, text) or 0)


@kernel_function("lib/string_helpers.c")
def sysfs_streq(cpu: Cpu, a: cstr, b: cstr) -> bool:
    """A newline at either's end does not count."""
    return a.removesuffix(b"\n") == b.removesuffix(b"\n")


@kernel_function("lib/string_helpers.c")
def match_string(cpu: Cpu, array: ptr, count: u64, text: cstr) -> s32:
    """The number of the entry that is equal; -EINVAL. ``count`` -1: the array ends with NULL."""
    for i in range(min(count, 10_000)):
        entry = cpu.space.number(array + 8 * i, 8)
        if not entry:
            break
        if cpu.space.string(entry) == text:
            return i
    return -EINVAL


# --- numbers


def _kstrto(name: str, size: int, signed_: bool) -> None:
    kind = IntType(name, size, signed_)

    def convert(cpu: Cpu, text: cstr, base: u32, result: ptr) -> s32:
        try:
            number = _parse(text, base, kind)
        except KernelError as error:
            return -(error.errno or EINVAL)
        cpu.space.store(result, number, size)
        return 0

    kernel_function(KSTRTOX, name=f"kstrto{name}")(convert)


def _parse(text: bytes, base: int, kind: IntType) -> int:
    """Bases other than 0 are told by a prefix, which is what kstrtoull understands."""
    sign = text[:1] if text[:1] in (b"-", b"+") else b""
    body = text[len(sign) :]
    prefix = {16: b"0x", 8: b"0"}.get(base, b"")
    if base == 10 and body[:1] == b"0":
        body = body.lstrip(b"0") if body.strip(b"0\n") else b"0"
    if prefix and not body.lower().startswith(prefix):
        body = prefix + body
    number = kstrtoll(sign + body) if kind.signed else kstrtoull(sign + body)
    low, high = kind.limits
    if not low <= number <= high:
        raise KernelError(ERANGE)
    return number


for _name, _size, _signed in (
    ("u8", 1, False), ("s8", 1, True), ("u16", 2, False), ("s16", 2, True), ("uint", 4, False),
    ("int", 4, True), ("ull", 8, False), ("ll", 8, True),
):  # fmt: skip
    _kstrto(_name, _size, _signed)


@kernel_function(KSTRTOX, name="kstrtobool")
def kstrtobool_(cpu: Cpu, text: ptr, result: ptr) -> s32:
    try:
        value = kstrtobool(cpu.space.string(text) if text else None)
    except KernelError as error:
        return -(error.errno or EINVAL)
    cpu.space.store(result, int(value), 1)
    return 0
