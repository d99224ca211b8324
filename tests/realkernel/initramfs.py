# SPDX-License-Identifier: GPL-2.0-only
"""Writes the archive that the kernel unpacks as its first root: cpio, format "newc".

Source of the format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping

S_IFREG, S_IFDIR, S_IFCHR = 0o100000, 0o040000, 0o020000


def entry(number: int, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One cpio entry: 13 fields of eight hex digits, the name, the data, each padded to four bytes."""
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(files: Mapping[str, bytes], executable: frozenset[str] = frozenset()) -> bytes:
    """An archive with these files (paths without a leading slash), their folders and /dev/console."""
    folders = sorted({"/".join(path.split("/")[:i]) for path in files for i in range(1, path.count("/") + 1)})
    parts = [entry(1, "dev", S_IFDIR | 0o755), entry(2, "dev/console", S_IFCHR | 0o600, device=(5, 1))]
    parts += [entry(10 + i, folder, S_IFDIR | 0o755) for i, folder in enumerate(folders)]
    for i, (path, data) in enumerate(sorted(files.items())):
        mode = S_IFREG | (0o755 if path in executable else 0o644)
        parts.append(entry(10000 + i, path, mode, data))
    return b"".join(parts) + entry(0, "TRAILER!!!", 0)
