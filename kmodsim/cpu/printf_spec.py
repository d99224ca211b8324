# SPDX-License-Identifier: GPL-2.0-only
"""A conversion's flags, width and precision, and what all are made of: numbers, strings, blanks.

``lib/vsprintf.c``: struct printf_spec, number, widen_string, string_nocheck, check_pointer, error_string.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from .abi import U64, signed

if TYPE_CHECKING:
    from .cpu import Cpu

SMALLEST_POINTER = 4096  # PAGE_SIZE: what is below cannot be followed
MAX_ERRNO = 4095
ERROR_LENGTH = 16  # of a word like (efault), where no precision is given: 2 * sizeof(void *)
DIGITS = {8: "o", 10: "d", 16: "x"}


@dataclass(frozen=True, slots=True)
class Spec:
    """``struct printf_spec``. width, precision: -1 when not given; ``signed``, ``upper``: flags as well."""

    flags: str = ""  # of "-+ #0"
    width: int = -1
    precision: int = -1
    base: int = 10
    signed: bool = False
    upper: bool = False

    @property
    def left(self) -> bool:
        return "-" in self.flags


# a row of the tables by letter: it gets the address, the letters behind %p (its own first), and the spec
Extension: TypeAlias = Callable[["Cpu", int, str, Spec], bytes]
HEX_FLAGS = Spec("#", base=16)
DECIMAL = Spec()
DECIMAL_2 = Spec("0", 2)
DECIMAL_4 = Spec("0", 4)


def number(value: int, spec: Spec) -> bytes:
    """``number()``: zeros by precision or by the flag 0, even both, which C's printf would not do."""
    value = signed(value, 64) if spec.signed else value & U64
    sign = "-" if value < 0 else next((flag for flag in "+ " if flag in spec.flags and spec.signed), "")
    if "#" in spec.flags and spec.base == 16:
        sign += "0X" if spec.upper else "0x"
    elif "#" in spec.flags and spec.base == 8 and value:
        sign += "0"
    digits = format(abs(value), DIGITS[spec.base]).rjust(spec.precision, "0")
    if "0" in spec.flags and not spec.left:
        digits = digits.rjust(spec.width - len(sign), "0")
    return widen((sign + (digits.upper() if spec.upper else digits)).encode(), spec)


def special_hex_number(value: int, size: int) -> bytes:
    """``size`` bytes as 0x and all their digits."""
    return number(value, Spec("#0", 2 + 2 * size, base=16))


def widen(text: bytes, spec: Spec) -> bytes:
    """Blanks up to the width."""
    return text.ljust(max(spec.width, 0)) if spec.left else text.rjust(max(spec.width, 0))


def string_nocheck(text: bytes, spec: Spec) -> bytes:
    """As much of a string as the precision allows, widened."""
    return widen(text if spec.precision == -1 else text[: spec.precision], spec)


def error_string(text: str, spec: Spec) -> bytes:
    """A word in the place of what cannot be printed."""
    limit = spec.precision if spec.precision != -1 else ERROR_LENGTH
    return string_nocheck(text.encode(), replace(spec, precision=limit))


def check_pointer(address: int, spec: Spec) -> bytes | None:
    """The word for a pointer that cannot be good; None: follow it, and fault if it is bad all the same."""
    if address == 0:
        return error_string("(null)", spec)
    if address < SMALLEST_POINTER or is_error(address):
        return error_string("(efault)", spec)
    return None


def is_error(address: int) -> bool:
    """IS_ERR_VALUE."""
    return address > U64 - MAX_ERRNO


def string(cpu: Cpu, address: int, spec: Spec) -> bytes:
    """The NUL-terminated string at ``address``. GuestFault: the pointer looks good and is not."""
    word = check_pointer(address, spec)
    if word is not None:
        return word
    limit = () if spec.precision == -1 else (spec.precision,)
    return widen(cpu.space.string(address, *limit), spec)


def checked(function: Extension) -> Extension:
    """NULL and what cannot be a pointer are words, before anything else is looked at."""

    def check(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
        word = check_pointer(address, spec)
        return function(cpu, address, letters, spec) if word is None else word

    return check
