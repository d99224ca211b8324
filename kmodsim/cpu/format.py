# SPDX-License-Identifier: GPL-2.0-only
"""vsnprintf, as the kernel does it (``lib/vsprintf.c``): flags, widths, numbers, characters, strings.

What stands behind %p is in ``pointers.py``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from ..errors import NotModelled
from .abi import U64, VarArgs, signed
from .traps import warn

if TYPE_CHECKING:
    from .cpu import Cpu

# format_decode: flags, width, precision, qualifier, conversion; all letters and digits behind %p belong to it
CONVERSION = re.compile(
    rb"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?(hh|h|ll|lL|Ll|LL|l|L|z|t)?(p[A-Za-z0-9]*|.|$)", re.DOTALL
)
BITS = {b"hh": 8, b"h": 16, None: 32, b"l": 64, b"ll": 64, b"L": 64, b"LL": 64, b"z": 64, b"t": 64}
SMALLEST_POINTER = 4096  # check_pointer_msg: what is below cannot be followed
MAX_ERRNO = 4095
FIELD_WIDTH_MAX, PRECISION_MAX = (1 << 23) - 1, (1 << 15) - 1
ERROR_LENGTH = 16  # error_string: as long as a pointer's digits
MOST_TEXT = 1 << 20  # bytes that one call makes here; nobody's buffer is larger
NESTED = 20  # of %pV in %pV


class Spec(NamedTuple):
    """``struct printf_spec``: flags, width and precision; None where nothing was said."""

    flags: str = ""
    width: int | None = None
    precision: int | None = None


def vsnprintf(cpu: Cpu, fmt: bytes, args: VarArgs, depth: int = 0) -> bytes:
    """The text. GuestFault: a %s whose pointer looks good and is not."""
    if depth > NESTED:
        raise NotModelled(f"%pV inside %pV, {NESTED} deep", stage="vsnprintf")
    out, at = bytearray(), 0
    for found in CONVERSION.finditer(fmt):
        out += fmt[at : found.start()]
        at = found.end()
        text = _convert(cpu, found, args, depth)
        if text is None:
            return bytes(out)
        out += text
        if len(out) > MOST_TEXT:
            break
    return bytes(out + fmt[at:])[:MOST_TEXT]


def _convert(cpu: Cpu, found: re.Match[bytes], args: VarArgs, depth: int) -> bytes | None:
    """The text of one conversion; None: it is none, and the rest of the format is given up."""
    kind, spec = found[5], _spec(found, args)
    if kind == b"%":
        return b"%"
    if kind == b"c":
        return padded(bytes((args.next() & 0xFF,)), spec)
    if kind == b"s":
        return string(cpu, args.next(), spec)
    if kind[:1] == b"p":
        from .pointers import pointer

        return pointer(cpu, kind[1:].decode(), spec, args.next(), depth)
    if kind not in b"diuxXo" or not kind:
        _unsupported(cpu, kind)
        return None
    bits = BITS.get(found[4], 64)
    raw = args.next() & ((1 << bits) - 1)
    return number(signed(raw, bits) if kind in b"di" else raw, kind.decode(), spec)


def _unsupported(cpu: Cpu, kind: bytes) -> None:
    if cpu.kernel.first_time("lib/vsprintf.c:format_decode"):
        said = f"<4>Please remove unsupported %{kind.decode('latin-1') or chr(0)} in format string"
        warn(cpu, "format_decode", *WARNING_PLACE, said)


WARNING_PLACE = (0x441, "lib/vsprintf.c", 2661)  # of format_decode's WARN_ONCE


def _spec(found: re.Match[bytes], args: VarArgs) -> Spec:
    """A negative width means to the left; a negative precision is 0, a lone point says nothing."""
    flags = found[1].decode()
    width = None if found[2] is None else signed(args.next(), 32) if found[2] == b"*" else int(found[2])
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    said = found[3]
    precision = None if not said else signed(args.next(), 32) if said == b"*" else int(said)
    return Spec(
        flags,
        width if width is None else min(width, FIELD_WIDTH_MAX),
        precision if precision is None else min(max(precision, 0), PRECISION_MAX),
    )


def padded(text: bytes, spec: Spec) -> bytes:
    """``widen_string``: blanks on the left, or on the right."""
    width = min(spec.width or 0, MOST_TEXT)
    return text.ljust(width) if "-" in spec.flags else text.rjust(width)


def cut(text: bytes, spec: Spec) -> bytes:
    """``string_nocheck``: at most ``precision`` bytes, widened."""
    return padded(text if spec.precision is None else text[: spec.precision], spec)


def error_string(text: bytes, spec: Spec) -> bytes:
    """A word in place of a value."""
    return cut(text, spec if spec.precision is not None else spec._replace(precision=ERROR_LENGTH))


def bad_pointer(address: int) -> bytes:
    """``check_pointer_msg``: a word for what cannot be followed, b"" for what may."""
    if address == 0:
        return b"(null)"
    return b"(efault)" if address < SMALLEST_POINTER or address > U64 - MAX_ERRNO else b""


def string(cpu: Cpu, address: int, spec: Spec) -> bytes:
    """``string()``: NULL and pointers that cannot be good are words."""
    if word := bad_pointer(address):
        return error_string(word, spec)
    return padded(cpu.space.string(address, *([] if spec.precision is None else [spec.precision])), spec)


def number(value: int, kind: str, spec: Spec) -> bytes:
    """``number()``: sign, prefix, blanks or zeros up to the width, zeros up to the precision.

    ``kind``: a letter of "diuxXo". Unlike in C, the flag 0 counts beside a precision, too.
    """
    flags, width = spec.flags, min(spec.width or 0, MOST_TEXT)
    body = format(abs(value), {"x": "x", "X": "X", "o": "o"}.get(kind, "d")).rjust(spec.precision or 0, "0")
    sign = ""
    if kind in "di":
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
    if "#" in flags:
        sign += {"x": "0x", "X": "0X", "o": "0" if value else ""}.get(kind, "")
    if "0" in flags and "-" not in flags:
        body = body.rjust(width - len(sign), "0")
    return padded((sign + body).encode(), spec)
