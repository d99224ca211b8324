# SPDX-License-Identifier: GPL-2.0-only
"""Compressed module files (``.ko.gz``, ``.ko.xz``, ``.ko.zst``), for the descriptive view and the tools.

Distributions may ship compressed modules; kmod unpacks them before the system call. The modelled kernel sees
raw bytes only: it was built without ``CONFIG_MODULE_DECOMPRESS`` (``kernel/module/decompress.c``).

A few kilobytes may claim to unpack to gigabytes, so everything works piece by piece and stops at a limit.
"""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from collections.abc import Callable, Iterator
from typing import Any

from .errors import EINVAL, EOPNOTSUPP, ERRNO, KernelError

EFBIG = ERRNO["EFBIG"][0]
LIMIT = 512 << 20  # bytes; the largest module of a distribution kernel has about 20 MiB
PIECE = 1 << 18  # bytes unpacked at a time
XZ_MEMORY = 256 << 20  # xz -9 asks for 65 MiB, a hostile header for 4 GiB
ZSTD_WINDOW_LOG = 27  # 128 MiB: what the zstd tool accepts without --long
NO_ZSTD = "reading .zst needs Python 3.14 or the package zstandard: pip install 'kmodsim[zstd]'"


def decompress(data: bytes, limit: int = LIMIT, cut: bool = False) -> bytes:
    """The bytes of a module file, unpacked by magic: gzip, xz, zstd; anything else is returned as it is.

    ``limit`` (bytes) bounds what is unpacked; at most a small part more than it is ever allocated. With
    ``cut`` truncated data gives what it holds.
    Raises ``KernelError``: EFBIG past the limit, EINVAL for damaged or truncated data, EOPNOTSUPP without a
    zstd codec.
    """
    kind = compression(data)
    return _collect(kind, _PIECES[kind](data), limit, cut) if kind else data


def compression(data: bytes) -> str:
    """``"gzip"``, ``"xz"``, ``"zstd"`` by magic, or ``""`` for anything else."""
    return next((kind for magic, kind in MAGICS.items() if data.startswith(magic)), "")


def _collect(kind: str, pieces: Iterator[bytes], limit: int, cut: bool) -> bytes:
    out = io.BytesIO()  # getvalue() hands its buffer over without a copy
    try:
        for piece in pieces:
            if out.tell() + len(piece) > limit:
                raise KernelError(EFBIG, why=f"the {kind} data unpacks to more than {limit:,} bytes")
            out.write(piece)
    except KernelError:
        raise
    except EOFError:
        if cut:
            return out.getvalue()
        why = f"the {kind} data is truncated after {out.tell():,} unpacked bytes"
        raise KernelError(EINVAL, why=why) from None
    except Exception as error:  # each codec has exceptions of its own, and damaged data may bring out any
        raise KernelError(EINVAL, why=f"the {kind} data is damaged: {error}") from error
    return out.getvalue()


def _gunzip(data: bytes) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        yield from iter(lambda: stream.read(PIECE), b"")


def _unxz(data: bytes) -> Iterator[bytes]:
    return _streams(data, lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY), 1 << 16)


def _unzstd(data: bytes) -> Iterator[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd

        options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
        return _streams(data, lambda: zstd.ZstdDecompressor(options=options), 1 << 16)
    try:
        import zstandard
    except ImportError:
        raise KernelError(EOPNOTSUPP, why=NO_ZSTD) from None
    codec = zstandard.ZstdDecompressor(max_window_size=1 << ZSTD_WINDOW_LOG)
    # this codec does not bound its output; a block of 4 bytes gives at most 128 KiB, so 64 bytes give 2 MiB
    return _streams(data, lambda: _Unbounded(codec.decompressobj()), 64)


class _Unbounded:
    """zstandard's stream object with the attributes of the standard library's."""

    needs_input = True

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._inner.decompress(data))

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)


def _streams(data: bytes, start: Callable[[], Any], chunk: int) -> Iterator[bytes]:
    """Unpack the concatenated streams of ``data``, fed by ``chunk`` bytes; EOFError when one is cut."""
    position = 0
    while position < len(data):
        stream = start()
        while not stream.eof:
            feed = data[position : position + chunk] if stream.needs_input else b""
            if stream.needs_input and not feed:
                raise EOFError
            position += len(feed)
            yield stream.decompress(feed, PIECE)
        position -= len(stream.unused_data)
        while data[position : position + 4] == bytes(4):  # xz allows padding in fours
            position += 4


MAGICS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_PIECES: dict[str, Callable[[bytes], Iterator[bytes]]] = {"gzip": _gunzip, "xz": _unxz, "zstd": _unzstd}
