# SPDX-License-Identifier: GPL-2.0-only
"""A module file as kmod reads it: its own small ELF reader, stricter in some places than the kernel's.

kmod accepts 32-bit and big-endian files, which the kernel would refuse, and refuses unknown EI_CLASS and
EI_DATA, which the kernel does not look at (kmod 30 ``libkmod/libkmod-elf.c``, ``libkmod/libkmod-file.c``).
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any

from ..decompress import compression, decompress
from ..errors import EINVAL, ENOENT, ENOEXEC, ERRNO, KernelError

MAGIC_BYTES = 6  # kmod reads as many bytes as the longest magic (xz) has; a shorter file is EINVAL at once
SHF_ALLOC = 2
# letters of a module's name (include/linux/moduleparam.h: MODULE_NAME_LEN less the final zero)
NAME_LIMIT = 55
BEHIND = "202: elf_get_mem: Assertion `offset < elf->size'"
MODULE_ENDINGS = (".ko", ".ko.xz", ".ko.zst")  # Debian builds kmod without zlib, so .ko.gz is none of them
UNPACKED = ("xz", "zstd")


@dataclass(frozen=True)
class ToolFile:
    """An opened module file: the unpacked bytes, and whether they are those of the file itself
    (``direct``)."""

    data: bytes
    direct: bool


def host_error(error: OSError | ValueError) -> KernelError:
    """The Linux error for what the host said, by name: the host's numbers may be other ones."""
    if isinstance(error, KernelError):
        return error
    import errno as host

    if isinstance(error, ValueError):  # a zero byte in the path, which no C string could hold
        return KernelError(ENOENT)
    name = host.errorcode.get(error.errno or 0, "EIO")
    return KernelError(ERRNO.get(name, ERRNO["EIO"])[0])


def open_module(path: str | os.PathLike[str]) -> ToolFile:
    """Read a module file, unpacked when its first bytes are those of xz or zstd (``kmod_file_open``).

    Raises ``KernelError`` with the errno that insmod and modinfo report: ENOENT, EACCES, EISDIR, and EINVAL
    for a file of fewer than six bytes or broken compressed data. No system call of the model is made.
    """
    try:
        if not os.path.isfile(path) and not os.path.isdir(path) and os.path.exists(path):
            raise KernelError(EINVAL)  # a pipe or device: reading one here could last for ever
        with open(path, "rb") as file:
            data = file.read()
    except PermissionError as error:
        # Windows answers EACCES for a directory
        raise KernelError(ERRNO["EISDIR"][0]) if os.path.isdir(path) else host_error(error) from None
    except (OSError, ValueError) as error:
        raise host_error(error) from None
    if len(data) < MAGIC_BYTES:
        raise KernelError(EINVAL, why="kmod looks at the first six bytes for a compressed file's mark")
    kind = compression(data)
    # libkmod-file.c:load_zstd reads to the end of the file and does not ask whether that was the stream's end
    if kind not in UNPACKED:
        return ToolFile(data, True)
    return ToolFile(decompress(data, partial=kind == "zstd"), False)


class Aborted(KernelError):
    """An assertion of libkmod's failed: the tool dies of signal 6, and what it had in its buffers is lost."""

    def __init__(self, place: str) -> None:
        super().__init__(None, stage="libkmod", why=f"../libkmod/libkmod-elf.c:{place} failed.")


@dataclass(frozen=True)
class _Section:
    header: int  # file offset of its section header
    name: bytes
    offset: int
    size: int


class ToolElf:
    """The sections of ``data`` as libkmod sees them; ``KernelError`` (ENOEXEC, EINVAL) when it refuses the
    file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        if len(data) <= 16 or data[:4] != b"\x7fELF":
            raise KernelError(ENOEXEC)
        wide = data[4] == 2
        if data[4] not in (1, 2) or data[5] not in (1, 2) or len(data) <= (64 if wide else 52):
            raise KernelError(EINVAL)
        self.wide, self.order = wide, "<>"[data[5] - 1]
        table, entry, count, names = self._header()
        self.sections: list[_Section] = []
        if entry != (64 if wide else 40) or table + entry * count > len(data):
            raise KernelError(EINVAL)
        if names == 0:
            raise Aborted("213: elf_get_section_header: Assertion `idx != SHN_UNDEF'")
        if names >= count:
            raise Aborted("214: elf_get_section_header: Assertion `idx < elf->header.section.count'")
        rows = [self._section(table + entry * index) for index in range(count)]
        _, offset, size = rows[names]
        strings = data[offset : offset + size]
        if offset == len(data) and not size:
            raise Aborted(BEHIND)
        if offset + size > len(data) or strings[-1:] != b"\0":
            raise KernelError(EINVAL)
        for index, (name, offset, size) in enumerate(rows[1:], 1):
            if name < len(strings) and offset + size <= len(data):
                text = strings[name : strings.index(b"\0", name)]
                self.sections.append(_Section(table + entry * index, text, offset, size))

    def _header(self) -> tuple[int, int, int, int]:
        (table,) = struct.unpack_from(
            self.order + ("Q" if self.wide else "I"), self.data, 40 if self.wide else 32
        )
        numbers = struct.unpack_from(self.order + "3H", self.data, 58 if self.wide else 46)
        return (table, *numbers)

    def _section(self, at: int) -> tuple[int, int, int]:
        (name,) = struct.unpack_from(self.order + "I", self.data, at)
        offset, size = struct.unpack_from(
            self.order + ("2Q" if self.wide else "2I"), self.data, at + (24 if self.wide else 16)
        )
        return name, offset, size

    def section(self, name: bytes) -> _Section:
        """The first section of that name; ENOENT when there is none."""
        for section in self.sections:
            if section.name == name:
                return section
        raise KernelError(ENOENT)

    def modinfo(self) -> list[bytes]:
        """The strings of ``.modinfo`` in the file's order; runs of zero bytes separate them."""
        section = self.section(b".modinfo")
        if section.offset == len(self.data):
            raise Aborted(BEHIND)
        body = self.data[section.offset : section.offset + section.size]
        return [text for text in body.split(b"\0") if text]

    def without_versions(self) -> bytes:
        """The file with ``__versions`` hidden from the kernel, as ``insmod -f`` does without finit_module."""
        try:
            section = self.section(b"__versions")
        except KernelError:
            return self.data
        at, code = section.header + 8, self.order + ("Q" if self.wide else "I")
        (flags,) = struct.unpack_from(code, self.data, at)
        return _replace(self.data, at, struct.pack(code, flags & ~SHF_ALLOC))

    def without_vermagic(self) -> bytes:
        """The file with the vermagic string overwritten by zero bytes (``kmod_elf_strip_vermagic``)."""
        try:
            section = self.section(b".modinfo")
        except KernelError:
            return self.data
        body = b"\0" + self.data[section.offset : section.offset + section.size]
        start = body.find(b"\0vermagic=")
        if start < 0:
            return self.data
        end = body.find(b"\0", start + 1)
        length = (len(body) if end < 0 else end) - start - 1
        return _replace(self.data, section.offset + start, bytes(length))


def _replace(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def module_name(word: str) -> str:
    """The module's name in a file name or a word: up to the first dot, dashes read as underscores.

    >>> module_name("/lib/modules/snd-hda-intel.ko.xz")
    'snd_hda_intel'
    """
    return os.path.basename(word).partition(".")[0].replace("-", "_")


def sample_path(word: str, kernel: Any = None) -> str | None:
    """The path of the sample module that ``hello``, ``hello.ko`` or ``./hello.ko`` names, if there is one;
    ``kernel``: the one it is to be built for."""
    from .. import corpus

    name = word.removeprefix("./").removesuffix(".ko")
    if not name or len(name) > NAME_LIMIT or not set("/\\.\0").isdisjoint(name):
        return None
    try:
        return str(corpus.sample(name, kernel.profile.name if kernel is not None else corpus.PROFILE))
    except (ValueError, OSError):
        return None


def exists(path: str) -> bool:
    """Whether the host has something of that name (a name that no host could have: no)."""
    try:
        return os.path.exists(path)
    except ValueError:
        return False


def find_file(word: str, kernel: Any = None) -> str:
    """The file a word on the command line means: a file of the host first, then a sample of that name."""
    return word if exists(word) else sample_path(word, kernel) or word
