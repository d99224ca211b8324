# SPDX-License-Identifier: GPL-2.0-only
"""The module files of the sessions: the samples as they are, and some that were damaged on purpose."""

from __future__ import annotations

import gzip
import lzma

from kmodsim.corpus import SAMPLES, sample


def files() -> dict[str, bytes]:
    """File name -> bytes; both the recorder and the tests put them into the current folder."""
    found = {path.name: path.read_bytes() for path in sorted(SAMPLES.glob("*.ko"))}
    hello = found["hello.ko"]
    crc16 = sample("crc16").read_bytes()
    found |= {
        "empty.ko": b"",
        "five.ko": b"12345",
        "text.ko": b"this is not a module\n",
        "truncated.ko": hello[: len(hello) // 2],
        "vermagic.ko": hello.replace(b"vermagic=6.1.0-56-amd64 SMP", b"vermagic=6.1.0-56-amd64 XMP"),
        "hello.ko.xz": lzma.compress(hello, check=lzma.CHECK_CRC32),
        "hello.ko.gz": gzip.compress(hello, mtime=0),
        "damaged.ko.xz": lzma.compress(hello, check=lzma.CHECK_CRC32)[:2000],
        "vermagic.ko.xz": lzma.compress(hello.replace(b"amd64 SMP", b"amd64 XMP"), check=lzma.CHECK_CRC32),
        "elf32.ko": hello[:4] + b"\1" + hello[5:],
        "elf32.ko.xz": lzma.compress(hello[:4] + b"\1" + hello[5:], check=lzma.CHECK_CRC32),
        "class9.ko": hello[:4] + b"\x09" + hello[5:],
        "shstrndx.ko": hello[:62] + b"\0\0" + hello[64:],
        "shstrndx999.ko": hello[:62] + b"\xe7\x03" + hello[64:],
        "crc16.ko": crc16,
        "edited.ko": crc16.replace(b"description=CRC16", b"description=CRC61"),
    }
    return found
