# SPDX-License-Identifier: GPL-2.0-only
"""Unpacks a Debian package in pure Python: an ``ar`` archive that holds a tar archive (deb(5)).

Only plain files below a few wanted directories are written, and a package that tries to leave the target is
refused as a whole.
"""

from __future__ import annotations

import io
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60  # name 16, time 12, owner 6, group 6, mode 8, size 10, end mark 2
MEMBERS = 100_000
TOTAL = 4 << 30  # bytes unpacked; the kernel's package has 0.4 GiB
WANTED = ("boot", "lib/modules", "usr/lib/modules", "usr/share/doc")
COMPRESSION = {".xz": "r|xz", ".gz": "r|gz", "": "r|"}


class PackageError(ValueError):
    """The file is no Debian package that can be unpacked; the message says why, in one line."""


class _Member(io.RawIOBase):
    """``size`` bytes of ``file`` from its present position, as a file of their own."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        wanted = self._left if size is None or size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        if len(data) < wanted:
            raise PackageError("the package is cut off")
        return data


def unpack(package: Path, target: Path) -> list[str]:
    """Writes the package's wanted files below ``target``, an empty directory. PackageError.

    Returns the names that were left out, because the file system does not tell upper from lower case
    (xt_tcpmss.ko and xt_TCPMSS.ko). Links are not written: the kernel's package has only two, to the headers.
    """
    seen: set[PurePosixPath] = set()
    left_out = []
    try:
        with package.open("rb") as file:
            data, mode = _data_member(file)
            with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
                for member, path in _wanted(archive):
                    if path in seen:
                        raise PackageError(f"the package has {member.name!r} twice")
                    seen.add(path)
                    if not _write(archive, member, target.joinpath(*path.parts)):
                        left_out.append(str(path))
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, UnicodeError) as error:
        raise PackageError(f"the package's data cannot be read: {error}") from error
    if not seen:
        raise PackageError("the package holds no modules")
    return left_out


def _data_member(file: BinaryIO) -> tuple[_Member, str]:
    """Finds ``data.tar.*``; leaves the file there."""
    if file.read(len(AR_MAGIC)) != AR_MAGIC:
        raise PackageError("this is no Debian package")
    while header := file.read(AR_HEADER):
        if len(header) < AR_HEADER or header[58:] != b"`\n" or not header[48:58].strip().isdigit():
            raise PackageError("the package's archive is damaged")
        name, size = header[:16].decode("ascii", "replace").rstrip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            suffix = name.removeprefix("data.tar")
            if suffix not in COMPRESSION:
                raise PackageError(f"the package's data are compressed in a way not known here: {name}")
            return _Member(file, size), COMPRESSION[suffix]
        file.seek(size + size % 2, io.SEEK_CUR)
    raise PackageError("the package holds no data")


def _wanted(archive: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, PurePosixPath]]:
    total = 0
    for count, member in enumerate(archive):
        total += member.size
        if count >= MEMBERS or total > TOTAL:
            raise PackageError("the package is larger than any kernel")
        path = PurePosixPath(member.name)
        # a backslash or a colon would be a directory or a drive on Windows
        if path.is_absolute() or ".." in path.parts or "\\" in member.name or "\0" in member.name:
            raise PackageError(f"the package wants to write outside of its directory: {member.name!r}")
        if member.isreg() and any(path.is_relative_to(directory) for directory in WANTED):
            if ":" in member.name:
                raise PackageError(f"the package wants to write outside of its directory: {member.name!r}")
            yield member, path


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, destination: Path) -> bool:
    """False when there is such a file already."""
    source = archive.extractfile(member)
    assert source is not None  # it is a plain file
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with destination.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    except FileExistsError:
        return False
    return True
