# SPDX-License-Identifier: GPL-2.0-only
"""vsnprintf, as the kernel does it (``lib/vsprintf.c``): text between conversions, %d and its kin, %c, %s.

What comes behind %p is in ``pointers.py``, a table by letter.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import NotModelled
from .abi import VarArgs, signed, va_list_arguments
from .pointers import EXTENSIONS, default_pointer, faulted, warn_once
from .printf_spec import Spec, checked, number, string, widen
from .space import GuestFault

if TYPE_CHECKING:
    from .cpu import Cpu

# All letters and digits behind %p are taken, whether they mean something or not. A single % at the end of
# the format is a conversion without a letter.
CONVERSION = re.compile(
    rb"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?(hh|h|ll|[lL]|z|t)?(p[A-Za-z0-9]*|.|\Z)", re.DOTALL
)
BITS = {b"hh": 8, b"h": 16, None: 32, b"l": 64, b"ll": 64, b"z": 64, b"t": 64, b"L": 64}
INTEGERS = {
    b"d": Spec(signed=True), b"i": Spec(signed=True), b"u": Spec(), b"o": Spec(base=8), b"x": Spec(base=16),
    b"X": Spec(base=16, upper=True),
}  # fmt: skip
# of the fields in struct printf_spec; so only 32 decimal digits matter (10 ** 32 is a multiple of 2 ** 32)
WIDTH_BITS, PRECISION_BITS = 24, 16
FIELD_WIDTH_MAX, PRECISION_MAX = (1 << 23) - 1, (1 << 15) - 1
LONGEST = 16 << 20  # bytes of text; a record of the log has 1,024
DEEPEST = 16  # %pV in %pV in …: the real stack holds some more


def vsnprintf(cpu: Cpu, fmt: bytes, args: VarArgs, depth: int = 0) -> bytes:
    """The whole text, however long. KernelOops: a pointer that looks good and is not."""
    out, at = bytearray(), 0
    for found in CONVERSION.finditer(fmt):
        out += fmt[at : found.start()]
        at = found.end()
        text = _convert(cpu, found, args, depth)
        if text is None:
            return bytes(out)
        out += text
        if len(out) > LONGEST:
            raise NotModelled(f"a text of more than {LONGEST >> 20} MiB", stage="vsnprintf")
    return bytes(out + fmt[at:])


def _convert(cpu: Cpu, found: re.Match[bytes], args: VarArgs, depth: int) -> bytes | None:
    """The text of one conversion; None: nobody knows it, and what follows cannot be printed either."""
    kind = found[5]
    flags, width = _width(cpu, found[1].decode(), found[2], args)
    spec = Spec(flags, width, _precision(cpu, found[3], args))
    if kind in INTEGERS:
        return _integer(args.next(), BITS[found[4]], kind, spec)
    if kind == b"c":
        return widen(bytes((args.next() & 0xFF,)), spec)
    if kind == b"%":
        return b"%"
    if kind[:1] in (b"s", b"p"):
        return _follow(cpu, kind.decode(), args.next(), spec, depth)
    warn_once(cpu, "Please remove unsupported %{} in format string", kind.decode("latin-1") or chr(0))
    return None


def _follow(cpu: Cpu, kind: str, address: int, spec: Spec, depth: int) -> bytes:
    """%s and %p: what is found at ``address``, or KernelOops."""
    letters = kind[1:]
    try:
        if kind == "s":
            return string(cpu, address, spec)
        if letters[:1] == "V":
            return _va_format(cpu, address, spec, depth)
        return EXTENSIONS.get(letters[:1], default_pointer)(cpu, address, letters, spec)
    except GuestFault as fault:
        faulted(cpu, letters[:1], fault)


def _integer(raw: int, bits: int, kind: bytes, spec: Spec) -> bytes:
    how = INTEGERS[kind]
    value = signed(raw, bits) if how.signed else raw & ((1 << bits) - 1)
    return number(value, replace(how, flags=spec.flags, width=spec.width, precision=spec.precision))


def _width(cpu: Cpu, flags: str, text: bytes | None, args: VarArgs) -> tuple[str, int]:
    """(flags, width): a negative one that comes as an argument means the flag "-"."""
    if text is None:
        return flags, -1
    if text != b"*":
        return flags, signed(int(text[-32:]), WIDTH_BITS)
    width = signed(args.next(), 32)
    if width != signed(width, WIDTH_BITS):
        warn_once(cpu, "field width {} too large", width)
        width = max(-FIELD_WIDTH_MAX, min(width, FIELD_WIDTH_MAX))
    return (flags + "-", -width) if width < 0 else (flags, width)


def _precision(cpu: Cpu, text: bytes | None, args: VarArgs) -> int:
    """A dot alone is as good as none; a negative precision is 0 (C's printf: as good as none)."""
    if not text:
        return -1
    if text != b"*":
        return max(signed(int(text[-32:]), PRECISION_BITS), 0)
    precision = signed(args.next(), 32)
    if precision != signed(precision, PRECISION_BITS):
        warn_once(cpu, "precision {} too large", precision)
    return max(0, min(precision, PRECISION_MAX))


def _va_format(cpu: Cpu, address: int, spec: Spec, depth: int) -> bytes:
    """``va_format()``: %pV, a format and its arguments in a structure; they stay as they are (va_copy)."""

    def text(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
        if depth >= DEEPEST:
            raise NotModelled("%pV in %pV in %pV …: the real kernel's stack ends", stage="va_format")
        fmt, va = cpu.structs.get(address, "va_format.fmt"), cpu.structs.get(address, "va_format.va")
        inner = VarArgs(va_list_arguments(cpu.space, va, keep=True))
        return vsnprintf(cpu, cpu.space.string(fmt), inner, depth + 1)

    return checked(text)(cpu, address, "V", spec)
