# SPDX-License-Identifier: GPL-2.0-only
"""The order of kmod's hash table, in which depmod writes ``modules.symbols`` and goes through modules that
``modules.order`` does not name (kmod 30 ``shared/hash.c:hash_superfast``, Paul Hsieh's function)."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MASK = 0xFFFFFFFF
MODULE_BUCKETS, SYMBOL_BUCKETS = 512, 2048  # depmod_init


def in_hash_order(keys: Iterable[bytes], buckets: int) -> list[bytes]:
    """The keys by bucket, and by letter within one; ``buckets`` is a power of two."""
    return sorted(keys, key=lambda key: (superfast(key) & buckets - 1, key))


def superfast(key: bytes) -> int:
    """The hash of a key, 32 bits; a byte above 127 is a negative ``char``, as on x86."""
    length = len(key)
    value, rest = length, length & 3
    halves = struct.unpack_from(f"<{length // 4 * 2}H", key)
    for low, high in zip(halves[::2], halves[1::2], strict=True):
        value = value + low & MASK
        value = (value << 16 & MASK) ^ (high << 11) ^ value
        value = value + (value >> 11) & MASK
    if rest:
        value = _tail(value, key[length - rest :])
    value ^= value << 3 & MASK
    value = value + (value >> 5) & MASK
    value ^= value << 4 & MASK
    value = value + (value >> 17) & MASK
    value ^= value << 25 & MASK
    return value + (value >> 6) & MASK


def _tail(value: int, tail: bytes) -> int:
    """The one to three bytes that are left."""
    last = tail[-1] - 256 if tail[-1] > 127 else tail[-1]
    if len(tail) == 1:
        value = value + last & MASK
        value ^= value << 10 & MASK
        return value + (value >> 1) & MASK
    value = value + int.from_bytes(tail[:2], "little") & MASK
    if len(tail) == 2:
        value ^= value << 11 & MASK
        return value + (value >> 17) & MASK
    value ^= value << 16 & MASK
    value ^= last << 18 & MASK
    return value + (value >> 11) & MASK
