# SPDX-License-Identifier: GPL-2.0-only
"""Modules that the kernel itself decompresses: ``kernel/module/decompress.c`` with CONFIG_MODULE_COMPRESS_XZ.

The kernel's decoder (``lib/xz``) knows no check but CRC32, or none at all, and stops behind the first stream.
"""

from __future__ import annotations

import lzma

import numpy as np

from ...errors import EINVAL, ENOMEM, KernelError
from ...loader.load import Load

# Where a machine of 1 GiB runs out of pages is not modelled; no module comes near this
LIMIT = 1 << 28
SIGNATURE = b"\xfd7zXZ\0"
CHECK_NONE, CHECK_CRC32 = 0, 1  # the low four bits of the stream flags' second byte
# include/linux/xz.h:enum xz_ret
XZ_OK, XZ_STREAM_END, XZ_UNSUPPORTED_CHECK, XZ_MEM_ERROR, XZ_MEMLIMIT_ERROR, XZ_FORMAT_ERROR = range(6)
XZ_OPTIONS_ERROR, XZ_DATA_ERROR, XZ_BUF_ERROR = range(6, 9)


def xz_decompress(data: bytes, limit: int = LIMIT) -> tuple[int, bytes]:
    """(enum xz_ret, what came out): XZ_STREAM_END for a whole stream, XZ_OK for one that is cut off."""
    if len(data) > 7 and data[7] & 15 not in (CHECK_NONE, CHECK_CRC32):
        return XZ_OPTIONS_ERROR, b""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ)
    try:
        out = decoder.decompress(data, limit + 1)
    except lzma.LZMAError:
        return XZ_DATA_ERROR, b""
    if len(out) > limit:
        return XZ_MEM_ERROR, b""
    return XZ_STREAM_END if decoder.eof else XZ_OK, out


def module_decompress(load: Load) -> None:
    """EINVAL for what is no xz stream, or none that the kernel's decoder can read to its end."""
    data = load.image[: load.length].tobytes()
    if not data.startswith(SIGNATURE):
        load.kernel.printk(3, "not an xz compressed module")
        raise KernelError(EINVAL)
    status, out = xz_decompress(data)
    if status == XZ_MEM_ERROR:
        raise KernelError(ENOMEM, why="more pages than the machine has")
    if status != XZ_STREAM_END:
        load.kernel.printk(3, f"decompression failed with status {status}")
        raise KernelError(EINVAL)
    load.image, load.length = np.frombuffer(out, np.uint8), len(out)
