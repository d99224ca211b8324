# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's ELF image inside a bzImage, and reading it by virtual address.

The boot protocol header (Documentation/x86/boot.rst: offsets 0x1f1 setup_sects, 0x248 payload_offset, 0x24c
payload_length) says where the compressed payload lies; its last four bytes are the uncompressed size.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
from collections.abc import Callable
from functools import cached_property
from typing import Any

from kmodsim.profilebuild.boot import BuildError


def _xz(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)


def _gzip(data: bytes) -> bytes:
    return gzip.GzipFile(fileobj=io.BytesIO(data)).read()


def _zstd(data: bytes) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise BuildError("this kernel is zstd-compressed: install the Python package zstandard") from None
    decompressed: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return decompressed


# magic bytes of the payload -> decompressor (scripts/Makefile.lib); None: no decompressor here
PAYLOADS: dict[bytes, tuple[str, Callable[[bytes], bytes] | None]] = {
    b"\xfd7zXZ\0": ("xz", _xz),
    b"\x1f\x8b": ("gzip", _gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", _zstd),
    b"\x02\x21\x4c\x18": ("lz4", None),
    b"BZh": ("bzip2", None),
    b"\x89LZO": ("lzo", None),
    b"\x5d\0\0": ("lzma", None),
    b"\x7fELF": ("nothing", bytes),
}


def extract_vmlinux(bzimage: bytes) -> bytes:
    """The ELF image in ``bzimage``. BuildError: no bzImage, or a compression unknown here."""
    if bzimage[0x202:0x206] != b"HdrS" or len(bzimage) < 0x250:
        raise BuildError("not a bzImage: no boot protocol header")
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (bzimage[0x1F1] + 1) * 512 + offset
    payload = bzimage[start : start + length]
    for magic, (name, decompress) in PAYLOADS.items():
        if payload.startswith(magic):
            if decompress is None:
                raise BuildError(f"the kernel image is compressed with {name}, which is not supported")
            return decompress(payload)
    raise BuildError(f"unknown compression of the kernel image, magic {payload[:4].hex()}")


class Vmlinux:
    """The decompressed image: sections by name, bytes by virtual address, as linked (so with nokaslr)."""

    def __init__(self, image: bytes) -> None:
        self.image = image

    @cached_property
    def sections(self) -> dict[str, tuple[int, int, int, bool]]:
        """name -> (address, offset in the file, size, has bytes)."""
        from elftools.elf.elffile import ELFFile

        rows: dict[str, tuple[int, int, int, bool]] = {}
        for section in ELFFile(io.BytesIO(self.image)).iter_sections():
            header: Any = section.header
            has_bytes = header.sh_type not in ("SHT_NOBITS", "SHT_NULL")
            rows[section.name] = (header.sh_addr, header.sh_offset, header.sh_size, has_bytes)
        return rows

    def section(self, name: str) -> tuple[int, bytes]:
        """(address, bytes) of a section. BuildError: there is none."""
        if name not in self.sections:
            raise BuildError(f"the kernel image has no section {name}")
        address, offset, size, _ = self.sections[name]
        return address, self.image[offset : offset + size]

    def read(self, address: int, length: int) -> bytes:
        """``length`` bytes at virtual ``address``. BuildError: not inside one section's bytes."""
        for start, offset, size, has_bytes in self.sections.values():
            if has_bytes and start and start <= address and address + length <= start + size:
                return self.image[offset + address - start : offset + address - start + length]
        raise BuildError(f"the kernel image has no {length} bytes at {address:#x}")
