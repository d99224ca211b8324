# SPDX-License-Identifier: GPL-2.0-only
"""From the caller's memory or file into the temporary copy (``copy_module_from_user``,
``kernel_read_file``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import EFAULT, EFBIG, EINVAL, ENOEXEC, ENOMEM, KernelError
from ..memory import PAGE_SIZE, U64
from ..records import EHDR, Bytes

if TYPE_CHECKING:
    from ..kernel import Kernel

COPY_CHUNK_SIZE = 16 * PAGE_SIZE
TOTAL_RAM = 1 << 30  # of the modelled machine: mm/vmalloc.c refuses more pages than there are
INT_MAX = (1 << 31) - 1


def copy_chunks(length: int) -> list[tuple[int, int]]:
    """(offset, size) of each copy_from_user call: 16 pages at a time, the rest last; one empty chunk for
    length 0.

    Models ``kernel/module/main.c:copy_chunked_from_user``.
    """
    chunks, offset = [], 0
    while True:
        size = min(length - offset, COPY_CHUNK_SIZE)
        chunks.append((offset, size))
        offset += size
        if offset >= length:
            return chunks


def copy_module_from_user(kernel: Kernel, address: int, length: int) -> Bytes:
    """The image at user address ``address``: ENOEXEC when shorter than an ELF header, ENOMEM, EFAULT."""
    length &= U64  # an unsigned long
    if length < EHDR.itemsize:
        raise KernelError(ENOEXEC, why=f"{length} bytes cannot hold an ELF header ({EHDR.itemsize} bytes)")
    if length > TOTAL_RAM:
        raise KernelError(ENOMEM, why=f"{length} bytes are more than the machine has")
    user = kernel.user_memory()
    pieces = []
    for offset, size in kernel.functions_of_stages["copy_chunks"](length):
        pieces.append(user.copy_from_user(address + offset, size))
    data = b"".join(pieces)
    if len(data) != length:
        raise KernelError(EFAULT, why=f"the chunks cover {len(data)} of {length} bytes")
    return np.frombuffer(data, np.uint8)


def check_file_size(size: int) -> None:
    """EINVAL for an empty file (``fs/kernel_read_file.c:kernel_read_file``), EFBIG beyond INT_MAX."""
    if size <= 0:
        raise KernelError(EINVAL, why="the file is empty")
    if size > INT_MAX:
        raise KernelError(EFBIG, why="the file is larger than INT_MAX bytes")
