# SPDX-License-Identifier: GPL-2.0-only
"""Addresses of networks, UUIDs and escaped strings as printk writes them: bytes in, text out.

``lib/vsprintf.c``: mac_address_string, ip4_string, ip6_string, ip6_compressed_string, uuid_string;
``lib/string_helpers.c``: string_escape_mem.
"""

from __future__ import annotations

import re

GUID_ORDER = (3, 2, 1, 0, 5, 4, 7, 6, *range(8, 16))  # three little-endian numbers come first
SPACES = dict(zip(b"\n\r\t\v\f", "nrtvf", strict=True))
SPECIALS = dict(zip(b'\\\a\x1b"', '\\ae"', strict=True))
ZEROS = re.compile(r"(?<![0-9a-f])0(?::0)+(?![0-9a-f])")


def mac(data: bytes, letters: str) -> bytes:
    """%pM %pMF %pMR; %pm %pmR without what stands between."""
    if letters[1:2] == "R":
        data = data[::-1]
    between = "" if letters[0] == "m" else "-" if letters[1:2] == "F" else ":"
    return between.join(f"{byte:02x}" for byte in data).encode()


def uuid(data: bytes, letter: str) -> bytes:
    """%pUb %pUB %pUl %pUL: big letters in capitals, l and L for the order of a GUID."""
    if letter in ("l", "L"):
        data = bytes(data[i] for i in GUID_ORDER)
    digits = data.hex()
    text = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
    return (text.upper() if letter in ("L", "B") else text).encode()


def ip4(data: bytes, kind: str, order: str = "") -> bytes:
    """%pI4: dots; %pi4: three digits each. ``order`` h or l: the last byte first, on this processor."""
    if order in ("h", "l"):
        data = data[::-1]
    return ".".join(f"{byte:03d}" if kind == "i" else str(byte) for byte in data).encode()


def ip6(data: bytes, kind: str) -> bytes:
    """%pI6: eight groups of four digits; %pi6: without the colons."""
    return (data.hex() if kind == "i" else data.hex(":", 2)).encode()


def ip6_compressed(data: bytes) -> bytes:
    """%pI6c: the longest run of zeros, the first of equal ones, is ``::``; some addresses end as IPv4."""
    groups = [int.from_bytes(data[i : i + 2], "big") for i in range(0, 16, 2)]
    mapped = not any(data[:10]) and data[10:12] == b"\xff\xff"
    isatap = data[8] | 2 == 2 and data[9:12] == b"\0\x5e\xfe"
    tail = ip4(data[12:], "I").decode() if mapped or isatap else None
    text = ":".join(f"{group:x}" for group in (groups if tail is None else groups[:6]))
    longest = max(ZEROS.finditer(text), key=lambda run: len(run[0]), default=None)
    if longest is not None:
        text = f"{text[: longest.start()].removesuffix(':')}::{text[longest.end() :].removeprefix(':')}"
    return (text if tail is None else f"{text}:{tail}").encode()


def escape(data: bytes, letters: str) -> bytes:
    """%*pE: which characters are escaped, and how. a: all of s, c, n and o; no letter: the same, but not what
    can be printed (p)."""
    flags = set()
    for letter in letters:
        if letter not in "achnops":
            break
        flags |= set("scno") if letter == "a" else {letter}
    flags = flags or set("scnop")
    return "".join(_escape_one(byte, flags) for byte in data).encode("latin-1")


def _escape_one(byte: int, flags: set[str]) -> str:
    if "p" in flags and is_print(byte):
        return chr(byte)
    if "s" in flags and byte in SPACES:
        return f"\\{SPACES[byte]}"
    if "c" in flags and byte in SPECIALS:
        return f"\\{SPECIALS[byte]}"
    if "n" in flags and byte == 0:
        return "\\0"
    if "o" in flags:
        return f"\\{byte:03o}"
    return f"\\x{byte:02x}" if "h" in flags else chr(byte)


def is_print(byte: int) -> bool:
    """``isprint()`` of the kernel's own table (``lib/ctype.c``): Latin-1, so é counts."""
    return 0x20 <= byte < 0x7F or byte >= 0xA0
