# SPDX-License-Identifier: GPL-2.0-only
"""Who signed a module, as modinfo shows it (kmod 30 ``libkmod/libkmod-signature.c``).

Nothing is verified here: this is what the file claims. The kernel's own check is another thing.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ..records import SIGNATURE_MARKER

TRAILER = struct.Struct(
    ">5B3xI"
)  # algo, hash, id_type, signer_len, key_id_len, sig_len (include/linux/module_signature.h)
HASHES = ("md4", "md5", "sha1", "rmd160", "sha256", "sha384", "sha512", "sha224", "sm3")
ID_TYPES = ("PGP", "X509", "PKCS#7")
KEY_ALGORITHMS = 2  # DSA and RSA are the ones kmod knows
HASH_OF_OID = {
    "1.2.840.113549.2.4": "md4", "1.2.840.113549.2.5": "md5", "1.3.14.3.2.26": "sha1",
    "1.3.36.3.2.1": "rmd160", "2.16.840.1.101.3.4.2.1": "sha256", "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512", "2.16.840.1.101.3.4.2.4": "sha224", "1.2.156.10197.1.401": "sm3",
}  # fmt: skip
COMMON_NAME = "2.5.4.3"


class Signer(NamedTuple):
    """The five things modinfo prints of a signature; ``key`` is the certificate's serial number."""

    id_type: str
    name: str
    key: bytes
    hash_algorithm: str
    signature: bytes


def signature_of(data: bytes) -> Signer | None:
    """The signature at the end of a module file; None without one that kmod can read."""
    end = len(data) - len(SIGNATURE_MARKER) - TRAILER.size
    if not data.endswith(SIGNATURE_MARKER) or end < 0:
        return None
    algo, hash_, id_type, signer_len, key_len, sig_len = TRAILER.unpack_from(data, end)
    if algo >= KEY_ALGORITHMS or hash_ >= len(HASHES) or id_type >= len(ID_TYPES):
        return None
    if sig_len == 0 or end < signer_len + key_len + sig_len:
        return None
    signature = data[end - sig_len : end]
    if ID_TYPES[id_type] == "PKCS#7":
        return _pkcs7(signature)
    key = data[end - sig_len - key_len : end - sig_len]
    name = data[end - sig_len - key_len - signer_len : end - sig_len - key_len]
    return Signer(ID_TYPES[id_type], _text(name), key, HASHES[hash_], signature)


def _pkcs7(message: bytes) -> Signer | None:
    """The first signer of a PKCS#7 SignedData; None when OpenSSL, and so modinfo, would not parse it."""
    from pyasn1.codec.ber import decoder
    from pyasn1.error import PyAsn1Error
    from pyasn1_modules import rfc2315

    try:
        content, _ = decoder.decode(message, asn1Spec=rfc2315.ContentInfo())
        signed, _ = decoder.decode(content["content"], asn1Spec=rfc2315.SignedData())
        signer = signed["signerInfos"][0]
        issuer = signer["issuerAndSerialNumber"]
        serial = abs(int(issuer["serialNumber"]))
        key = serial.to_bytes((serial.bit_length() + 7) // 8, "big")
        digest = HASH_OF_OID.get(str(signer["digestAlgorithm"]["algorithm"]), "")
        return Signer("PKCS#7", _common_name(issuer["issuer"]), key, digest, bytes(signer["encryptedDigest"]))
    except (PyAsn1Error, LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def _common_name(issuer: Any) -> str:
    """The issuer's common name; kmod takes the last part of the name when there is none."""
    parts = [part for relative in issuer[0] for part in relative]
    chosen = next((part for part in parts if str(part["type"]) == COMMON_NAME), parts[-1] if parts else None)
    if chosen is None:
        return ""
    value = bytes(chosen["value"])  # a DER string: tag, length, text
    skip = 2 if value[1] < 0x80 else 2 + (value[1] & 0x7F)
    return _text(value[skip:])


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "surrogateescape")
