# SPDX-License-Identifier: GPL-2.0-only
"""One printk record, cut where the kernel cuts it (``kernel/printk/printk.c:vprintk_store``)."""

from __future__ import annotations

KERN_ERR, KERN_WARNING, KERN_NOTICE, KERN_INFO = 3, 4, 5, 6

# CONSOLE_LOG_MAX (1024) - PREFIX_MAX (32 without CONFIG_PRINTK_CALLER): bytes reserved for a record at most
LOG_LINE_MAX = 992
_LEVEL_PREFIX = 2  # KERN_SOH and the digit are formatted into the same buffer and stripped afterwards


def printk_cut(text: bytes) -> bytes:
    """What is stored of the text of one record, given without its level and its final newline.

    The reserved size counts level, text, newline and NUL, is kept in 16 bits, and is at most
    ``LOG_LINE_MAX``; a longer record loses its end, the newline with it.
    """
    whole = _LEVEL_PREFIX + len(text) + 1
    reserved = min((whole + 1) & 0xFFFF, LOG_LINE_MAX)
    stored = min(whole, max(reserved - 1, 0))
    return text[: max(stored - _LEVEL_PREFIX, 0)]


def printk(level: int, text: bytes | str) -> str:
    """A record as the log keeps it, ``"<4>text"``; bytes that are no UTF-8 show as ``\\xNN``."""
    raw = text if isinstance(text, bytes) else encode(text)
    return f"<{level}>" + printk_cut(raw).decode("utf-8", "backslashreplace")


def encode(text: str) -> bytes:
    """Text back to the bytes it was decoded from (lone surrogates stand for bytes that are no UTF-8)."""
    return text.encode("utf-8", "surrogateescape")
