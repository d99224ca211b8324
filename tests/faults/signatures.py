# SPDX-License-Identifier: GPL-2.0-only
"""Module files with odd signatures, made from a real signed module of Debian's package (crc7.ko).

Behind the module: PKCS#7 signature, struct module_signature (include/linux/module_signature.h), marker.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from .current import DEFAULT, Current

INPUTS = Path(__file__).parent.parent / "truth" / "inputs"
MARKER = b"~Module signature appended~\n"
PKEY_ID_PKCS7 = 2
# field of struct module_signature: its offset
FIELDS = {"algo": 0, "hash": 1, "id_type": 2, "signer_len": 3, "key_id_len": 4, "pad": 5}
TRAILER_BYTES = 12


def signed() -> bytes:
    """The module as Debian ships it."""
    name = "crc7.ko" if Current.kernel == DEFAULT else f"crc7-{Current.kernel}.ko"
    return (INPUTS / name).read_bytes()


def _split() -> tuple[bytes, bytes]:
    data = signed()[: -len(MARKER)]
    (length,) = struct.unpack(">I", data[-4:])
    end = len(data) - TRAILER_BYTES
    return data[: end - length], data[end - length : end]


def body() -> bytes:
    """The module without its signature."""
    return _split()[0]


def with_signature(data: bytes, pkcs7: bytes, length: int | None = None, **fields: int) -> bytes:
    """``data`` with a signature behind it; ``length`` and ``fields`` override what the trailer says."""
    trailer = bytearray(8)
    trailer[FIELDS["id_type"]] = PKEY_ID_PKCS7
    for field, value in fields.items():
        trailer[FIELDS[field]] = value
    return (
        data + pkcs7 + bytes(trailer) + struct.pack(">I", len(pkcs7) if length is None else length) + MARKER
    )


def _edited(at: int) -> bytes:
    data = bytearray(signed())
    data[at] ^= 1
    return bytes(data)


def _with(length: int | None = None, **fields: int) -> bytes:
    return with_signature(*_split(), length=length, **fields)


def _rewritten(change: Callable[[bytearray], object]) -> bytes:
    pkcs7 = bytearray(_split()[1])
    change(pkcs7)
    return with_signature(body(), bytes(pkcs7))


def _other(name: str) -> bytes:
    return with_signature(body(), (INPUTS / name).read_bytes())


FILES: dict[str, Callable[[], bytes]] = {
    "signed": signed,
    "signature_stripped": body,
    "signature_edited_body": lambda: _edited(0x60),
    "signature_edited_header": lambda: _edited(18),
    "signature_edited_signature": lambda: _rewritten(lambda p: p.__setitem__(-5, p[-5] ^ 1)),
    "signature_garbage": lambda: with_signature(body(), bytes(range(200))),
    "signature_truncated": lambda: with_signature(body(), _split()[1][:100]),
    "signature_empty": lambda: with_signature(body(), b""),
    "signature_trailing_byte": lambda: with_signature(body(), _split()[1] + b"\0"),
    "signature_length_long": lambda: _with(length=1 << 30),
    "signature_length_all": lambda: _with(length=len(signed()) - len(MARKER) - TRAILER_BYTES),
    "signature_length_short": lambda: _with(length=100),
    "signature_algo": lambda: _with(algo=1),
    "signature_hash": lambda: _with(hash=4),
    "signature_signer_len": lambda: _with(signer_len=1),
    "signature_key_id_len": lambda: _with(key_id_len=1),
    "signature_pad": lambda: _with(pad=1),
    "signature_id_type_0": lambda: _with(id_type=0),
    "signature_id_type_1": lambda: _with(id_type=1),
    "signature_marker_only": lambda: MARKER,
    "signature_marker_after_short": lambda: bytes(11) + MARKER,
    "signature_marker_moved": lambda: signed() + b"\0",
    "signature_unsigned_with_marker": lambda: body() + MARKER,
    "signature_own_key": lambda: _other("own_key.p7s"),
    "signature_own_key_edited": lambda: with_signature(
        body()[:0x60] + b"\xff" + body()[0x61:], (INPUTS / "own_key.p7s").read_bytes()
    ),
    "signature_unsupported": lambda: _other("unsupported_digest.p7s"),
    "signature_twice": lambda: with_signature(signed(), _split()[1]),
}
