# SPDX-License-Identifier: GPL-2.0-only
"""An initramfs as the kernel unpacks it: a newc cpio archive, written without root and without cpio.

Format: Documentation/driver-api/early-userspace/buffer-format.rst in the kernel; init/initramfs.c reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

S_IFCHR, S_IFDIR, S_IFREG = 0o020000, 0o040000, 0o100000
CONSOLE = (5, 1)  # the kernel opens /dev/console for init's standard files before devtmpfs is mounted


def pack(files: Mapping[str, bytes]) -> bytes:
    """A newc archive of ``files`` (path without leading slash: contents), their folders and /dev/console.

    All files are executable; times are zero, so equal input gives equal bytes.
    """
    out = bytearray()
    entries = [*_folders(files), ("dev/console", S_IFCHR | 0o600, b"", CONSOLE)]
    entries += [(path, S_IFREG | 0o755, data, (0, 0)) for path, data in sorted(files.items())]
    for number, (path, mode, data, device) in enumerate(entries, start=1):
        out += _entry(number, path, mode, data, device)
    out += _entry(0, "TRAILER!!!", 0, b"", (0, 0))
    return bytes(out)


def _folders(files: Mapping[str, bytes]) -> Iterator[tuple[str, int, bytes, tuple[int, int]]]:
    names = {"dev"}
    for path in files:
        names.update(str(parent) for parent in PurePosixPath(path).parents if str(parent) != ".")
    for name in sorted(names):
        yield name, S_IFDIR | 0o755, b"", (0, 0)


def _entry(number: int, path: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
    name = path.encode() + b"\0"
    links = 2 if mode & S_IFDIR == S_IFDIR else 1
    fields = (number, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    return _padded(header) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
