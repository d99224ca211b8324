# SPDX-License-Identifier: GPL-2.0-only
"""Numbers and truth values from text, as ``lib/kstrtox.c`` reads them.

Every function takes the C string as bytes (without its NUL) and returns the value or raises ``KernelError``:
``EINVAL`` when the text is malformed, ``ERANGE`` when the number does not fit. The base is always 0, which is
what parameters use: ``0x10`` is 16, ``010`` is 8, anything else decimal.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kmodsim.errors import EINVAL, ERANGE, KernelError

ULLONG_MAX = (1 << 64) - 1
_HEX, _OCTAL, _DECIMAL = re.compile(rb"[0-9a-fA-F]*"), re.compile(rb"[0-7]*"), re.compile(rb"[0-9]*")


class IntType(NamedTuple):
    """A C integer type: its name, its size in bytes, and whether it has a sign."""

    name: str
    size: int
    signed: bool

    @property
    def limits(self) -> tuple[int, int]:
        """The smallest and the largest value."""
        bits = 8 * self.size
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if self.signed else (0, (1 << bits) - 1)


def kstrtoull(text: bytes) -> int:
    """``lib/kstrtox.c:kstrtoull``: one leading ``+`` and one trailing newline are fine, a minus is not."""
    return _digits(text[1:] if text[:1] == b"+" else text)


def kstrtoll(text: bytes) -> int:
    """``lib/kstrtox.c:kstrtoll``: as ``kstrtoull``, and one leading minus is fine."""
    value = -_digits(text[1:]) if text[:1] == b"-" else kstrtoull(text)
    if not -(1 << 63) <= value < 1 << 63:
        raise KernelError(ERANGE)
    return value


def kstrto(kind: IntType, text: bytes) -> int:
    """The ``kstrtou8`` … ``kstrtoull`` family: read as the widest type, then look whether it fits."""
    value = kstrtoll(text) if kind.signed else kstrtoull(text)
    low, high = kind.limits
    if not low <= value <= high:
        raise KernelError(ERANGE)
    return value


def kstrtobool(text: bytes | None) -> bool:
    """``lib/kstrtox.c:kstrtobool``: looks at the first character alone, at two after an ``o``."""
    first = (text or b"")[:1].lower()
    if first == b"o":
        first = (text or b"")[:2].lower()
    if first in (b"y", b"t", b"1", b"on"):
        return True
    if first in (b"n", b"f", b"0", b"of"):
        return False
    raise KernelError(EINVAL)


def _digits(text: bytes) -> int:
    """``_kstrtoull``. An overflow is noticed before trailing garbage is, so it wins."""
    start, base, pattern = _radix(text)
    match = pattern.match(text, start)
    digits = match.group() if match else b""
    if not digits:
        raise KernelError(EINVAL)
    significant = digits.lstrip(b"0")
    # 22 octal digits hold 2^64 - 1, and Python refuses to convert thousands of decimal ones.
    value = int(significant or b"0", base) if len(significant) <= 22 else ULLONG_MAX + 1
    if value > ULLONG_MAX:
        raise KernelError(ERANGE)
    if text[start + len(digits):] not in (b"", b"\n"):
        raise KernelError(EINVAL)
    return value


def _radix(text: bytes) -> tuple[int, int, re.Pattern[bytes]]:
    """``_parse_integer_fixup_radix``: ``0x`` counts only with a hexadecimal digit behind it."""
    if text[:1] != b"0":
        return 0, 10, _DECIMAL
    if text[1:2] in (b"x", b"X") and _HEX.fullmatch(text[2:3]) and text[2:3]:
        return 2, 16, _HEX
    return 0, 8, _OCTAL
