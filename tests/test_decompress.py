# SPDX-License-Identifier: GPL-2.0-only
"""Compressed module files: what packers wrote is unpacked; bombs and damage are refused with KernelError."""

from __future__ import annotations

import gzip
import lzma
import random
import shutil
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from kmodsim.decompress import compression, decompress
from kmodsim.errors import EINVAL, EOPNOTSUPP, ERRNO, KernelError

PLAIN = b"\x7fELF" + bytes(range(256)) * 300 + random.Random(1).randbytes(70_000)
MIB = 1 << 20
EFBIG = ERRNO["EFBIG"][0]


def zstd_pack(data: bytes) -> bytes:
    """With the checksum that the zstd tool writes, too."""
    if sys.version_info >= (3, 14):
        from compression import zstd

        return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})
    return bytes(pytest.importorskip("zstandard").ZstdCompressor(write_checksum=True).compress(data))


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "zstd": zstd_pack}


def gzip_bomb(mebibytes: int) -> bytes:
    """One gzip stream of that many MiB of zeros: a flushed MiB stands on byte borders and can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (mebibytes - 1)


def zstd_bomb(mebibytes: int) -> bytes:
    """RFC 8878: a frame header (window 128 KiB, no size), then RLE blocks of 128 KiB in 4 bytes each."""
    block = ((128 << 10) << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    return b"\x28\xb5\x2f\xfd" + b"\0" + b"\x38" + block * (8 * mebibytes)


def xz_bomb(mebibytes: int) -> bytes:
    return lzma.compress(bytes(MIB), preset=0) * mebibytes  # concatenated streams are one file


def refused(data: bytes, limit: int = 16 * MIB) -> KernelError:
    with pytest.raises(KernelError) as caught:
        decompress(data, limit)
    return caught.value


@pytest.mark.core
@pytest.mark.parametrize("kind", PACKERS)
def test_unpacks_by_magic(kind: str) -> None:
    packed = PACKERS[kind](PLAIN)
    assert compression(packed) == kind
    assert decompress(packed) == PLAIN
    assert decompress(packed + packed) == PLAIN + PLAIN, "the tools take concatenated streams for one file"


@pytest.mark.core
def test_plain_data_passes_through() -> None:
    assert decompress(PLAIN) is PLAIN
    assert decompress(b"") == b""


@pytest.mark.core
@pytest.mark.parametrize("kind", PACKERS)
def test_limit_is_exact(kind: str) -> None:
    packed = PACKERS[kind](PLAIN)
    assert decompress(packed, len(PLAIN)) == PLAIN
    assert refused(packed, len(PLAIN) - 1).errno == EFBIG


@pytest.mark.core
@pytest.mark.parametrize("bomb", [gzip_bomb, xz_bomb, zstd_bomb])
def test_bomb_of_a_gibibyte_is_refused_in_small_memory(bomb: Callable[[int], bytes]) -> None:
    if bomb is zstd_bomb:
        zstd_pack(b"")  # skips without a codec
    data = bomb(1024)
    tracemalloc.start()
    try:
        error = refused(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.errno == EFBIG
    assert peak < 40 * MIB, f"{peak:,} bytes were allocated under a limit of 16 MiB"


@pytest.mark.core
@pytest.mark.parametrize("kind", PACKERS)
def test_every_truncation_is_refused(kind: str) -> None:
    packed = PACKERS[kind](PLAIN)
    for end in [*range(6, 40), *range(64, len(packed), 4001), len(packed) - 1]:
        assert refused(packed[:end]).errno == EINVAL, f"cut after {end} bytes"


@pytest.mark.core
@pytest.mark.parametrize("kind", PACKERS)
def test_damage_gives_a_result_or_a_kernel_error(kind: str) -> None:
    packed = PACKERS[kind](PLAIN)
    rng = random.Random(7)
    noticed = 0
    for _ in range(300):
        broken = bytearray(packed)
        broken[rng.randrange(6, len(packed))] ^= 1 << rng.randrange(8)
        try:
            decompress(bytes(broken), 4 * MIB)
        except KernelError as error:
            noticed += error.errno in (EINVAL, EFBIG)
    assert noticed > 290, "all three carry checksums; only a few header bits do not matter"


@pytest.mark.core
def test_without_a_zstd_codec_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.version_info >= (3, 14):
        pytest.skip("zstd is part of this Python")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    error = refused(zstd_bomb(1))
    assert error.errno == EOPNOTSUPP
    assert "kmodsim[zstd]" in error.why


@pytest.mark.tool
@pytest.mark.parametrize(("tool", "kind"), [("gzip", "gzip"), ("xz", "xz"), ("zstd", "zstd")])
def test_files_of_the_real_tools(tool: str, kind: str) -> None:
    if not shutil.which(tool):
        pytest.skip(f"needs {tool}")
    if kind == "zstd":
        zstd_pack(b"")
    packed = subprocess.run([tool, "-9", "-c"], input=PLAIN, capture_output=True, check=True).stdout
    assert compression(packed) == kind
    assert decompress(packed) == PLAIN
