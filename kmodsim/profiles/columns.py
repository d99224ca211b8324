# SPDX-License-Identifier: GPL-2.0-only
"""Columns in one compressed file: a JSON line that lists them, then their bytes, compressed as a whole.

xz makes the smallest files; zlib, for what every model of a kernel needs at once, opens five times as fast.

Kinds of columns: ``text`` (names, one per line), ``letters`` (one ASCII letter per row), ``address`` (64-bit,
stored as differences to the row before, byte plane after byte plane: so it compresses), ``u4``, ``u1``.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = Sequence[str] | Sequence[int] | NDArray[Any]

XZ_MAGIC = b"\xfd7zXZ\0"
# lp=0 pb=0: the bytes have no alignment. The check is CRC32, the only one every liblzma has
FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "lc": 3, "lp": 0, "pb": 0}]


def write_columns(columns: Mapping[str, tuple[str, Column]], quick: bool = False) -> bytes:
    """The file for ``columns``: name -> (kind, values); ``quick``: zlib. Equal input gives equal bytes."""
    parts = {name: _encode(kind, values) for name, (kind, values) in columns.items()}
    head = [[name, kind, len(parts[name])] for name, (kind, _) in columns.items()]
    raw = json.dumps(head).encode() + b"\n" + b"".join(parts.values())
    if quick:
        return zlib.compress(raw, 9)
    return lzma.compress(raw, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=FILTERS)


def read_columns(data: bytes) -> dict[str, Any]:
    """The columns of a file: list[str] for text, str for letters, an array of the kind's dtype otherwise."""
    raw = lzma.decompress(data) if data.startswith(XZ_MAGIC) else zlib.decompress(data)
    start = raw.index(b"\n") + 1
    columns = {}
    for name, kind, length in json.loads(raw[:start]):
        columns[name] = _decode(kind, raw[start : start + length])
        start += length
    return columns


def _encode(kind: str, values: Any) -> bytes:
    if kind == "text":
        return "\n".join(values).encode()
    if kind == "letters":
        return str(values).encode("ascii")
    if kind == "address":
        addresses = np.asarray(values, dtype="<u8")
        steps = np.diff(addresses, prepend=np.uint64(0))  # wraps modulo 2^64, and cumsum wraps back
        return steps.astype("<u8").view("u1").reshape(-1, 8).T.tobytes()
    return np.asarray(values, dtype=f"<{kind}").tobytes()


def _decode(kind: str, data: bytes) -> Any:
    if kind == "text":
        return data.decode().split("\n")
    if kind == "letters":
        return data.decode("ascii")
    if kind == "address":
        planes = np.frombuffer(data, dtype="u1").reshape(8, -1)
        return np.cumsum(np.ascontiguousarray(planes.T).view("<u8").ravel(), dtype="<u8")
    return np.frombuffer(data, dtype=f"<{kind}")
