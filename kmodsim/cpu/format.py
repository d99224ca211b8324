# SPDX-License-Identifier: GPL-2.0-only
"""vsnprintf, as the kernel does it (``lib/vsprintf.c``): numbers, strings, and the commonest pointers.

What is not done (%pI4, %*ph, %pV, …) raises NotModelled with the conversion's name: never a guess.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import NotModelled, errno_name
from .abi import U64, VarArgs, signed
from .symbolize import lookup, sprint_symbol

if TYPE_CHECKING:
    from .cpu import Cpu

CONVERSION = re.compile(
    rb"%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?(hh|h|ll|l|z|t|j|L)?(p[A-Za-z0-9]*|.)", re.DOTALL
)
BITS = {b"hh": 8, b"h": 16, None: 32, b"l": 64, b"ll": 64, b"z": 64, b"t": 64, b"j": 64, b"L": 64}
SMALLEST_POINTER = 4096  # lib/vsprintf.c:check_pointer_msg: what is below cannot be followed
MAX_ERRNO = 4095
WIDEST = 4096
EXTENSIONS = "xsSBKe"


def vsnprintf(cpu: Cpu, fmt: bytes, args: VarArgs) -> bytes:
    """The text. GuestFault: a %s whose pointer looks good and is not."""
    out, at = bytearray(), 0
    for found in CONVERSION.finditer(fmt):
        out += fmt[at : found.start()]
        at = found.end()
        out += _convert(cpu, found, args)
    return bytes(out + fmt[at:])


def _number(text: bytes | None, args: VarArgs) -> int | None:
    if text is None:
        return None
    return signed(args.next(), 32) if text == b"*" else int(text or 0)


def _convert(cpu: Cpu, found: re.Match[bytes], args: VarArgs) -> bytes:
    flags, kind = found[1].decode(), found[5]
    if kind == b"%":
        return b"%"
    width, precision = _number(found[2], args), _number(found[3], args)
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    precision = None if precision is not None and precision < 0 else precision
    if kind == b"c":
        return _pad(bytes((args.next() & 0xFF,)), flags, width)
    if kind == b"s":
        return _pad(_string(cpu, args.next(), precision), flags, width)
    if kind[:1] == b"p":
        return _pointer(cpu, found, flags, width, args.next())
    if kind not in b"diuxXo":
        raise NotModelled(f"printk's conversion {found[0].decode('latin-1')}", stage="vsnprintf")
    bits = BITS[found[4]]
    raw = args.next() & ((1 << bits) - 1)
    return _integer(signed(raw, bits) if kind in b"di" else raw, kind, flags, width, precision)


def _pad(text: bytes, flags: str, width: int | None) -> bytes:
    width = min(width or 0, WIDEST)
    return text.ljust(width) if "-" in flags else text.rjust(width)


def _integer(value: int, kind: bytes, flags: str, width: int | None, precision: int | None) -> bytes:
    """``number()``: sign, prefix, zeros by precision or by the flag 0, blanks."""
    digits = {b"x": "x", b"X": "X", b"o": "o"}.get(kind, "d")
    body = format(abs(value), digits).rjust(min(precision or 0, WIDEST), "0")
    sign = "-" if value < 0 else "+" if "+" in flags and kind in b"di" else " " if " " in flags else ""
    if "#" in flags and kind in b"xXo":
        sign += {b"x": "0x", b"X": "0X", b"o": "0"}[kind] if kind != b"o" or value else ""
    if "0" in flags and "-" not in flags and precision is None:
        body = body.rjust(min(width or 0, WIDEST) - len(sign), "0")
    return _pad((sign + body).encode(), flags, width)


def _string(cpu: Cpu, address: int, precision: int | None) -> bytes:
    """``string()``: NULL and pointers that cannot be good are words."""
    if address == 0:
        text = b"(null)"
    elif address < SMALLEST_POINTER or address > U64 - MAX_ERRNO:
        text = b"(efault)"
    else:
        return cpu.space.string(address, *([] if precision is None else [precision]))
    return text if precision is None else text[:precision]


def _pointer(cpu: Cpu, found: re.Match[bytes], flags: str, width: int | None, value: int) -> bytes:
    """``pointer()``: %p hashed, %px as it is, %ps %pS %pB by name, %pe an errno's name."""
    extension = found[5][1:2].decode()
    if extension and extension not in EXTENSIONS:
        raise NotModelled(f"printk's conversion {found[0].decode('latin-1')}", stage="vsnprintf")
    rest = found[5][2:]  # letters behind the extension are text
    if extension == "s":
        symbol = lookup(cpu.kernel, value)
        name = (symbol.name + (f" [{symbol.module}]" if symbol.module else "")) if symbol else f"{value:#x}"
        text = name.encode()
    elif extension in ("S", "B") and extension:
        text = sprint_symbol(cpu.kernel, value, backtrace=extension == "B").encode()
    elif extension == "e" and value > U64 - MAX_ERRNO:
        text = f"-{errno_name(-value & U64)}".encode()
    else:
        text = _address(cpu, value, hashed=extension not in ("x",))
    return _pad(text, flags, width) + rest


def _address(cpu: Cpu, value: int, *, hashed: bool) -> bytes:
    """Sixteen digits; NULL and error pointers are not hashed (``ptr_to_id``)."""
    if hashed and value and value <= U64 - MAX_ERRNO:
        return cpu.kernel.hashed_pointer(value).encode()
    return f"{value:016x}".encode()
