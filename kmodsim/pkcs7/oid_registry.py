# SPDX-License-Identifier: GPL-2.0-only
"""The object identifiers that the kernel has a number for (``include/linux/oid_registry.h``, 6.1).

Its messages about PKCS#7 print that number. An identifier outside the list counts as ``OID__NR``. What other
kernels have instead is said by their rules (``kmodsim.profiles.rules.Oids``).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kmodsim.profiles.rules import Oids

# in the order of enum OID
_REGISTRY = """
    1.2.840.10030.4.3 1.2.840.10040.4.1 1.2.840.10045.2.1 1.2.840.10045.3.1.1 1.2.840.10045.3.1.7
    1.2.840.10045.4.1 1.2.840.10045.4.3.1 1.2.840.10045.4.3.2 1.2.840.10045.4.3.3 1.2.840.10045.4.3.4
    1.2.840.113549.1.1.1 1.2.840.113549.1.1.2 1.2.840.113549.1.1.3 1.2.840.113549.1.1.4
    1.2.840.113549.1.1.5 1.2.840.113549.1.1.11 1.2.840.113549.1.1.12 1.2.840.113549.1.1.13
    1.2.840.113549.1.1.14 1.2.840.113549.1.7.1 1.2.840.113549.1.7.2 1.2.840.113549.1.9.1
    1.2.840.113549.1.9.3 1.2.840.113549.1.9.4 1.2.840.113549.1.9.5 1.2.840.113549.1.9.15
    1.2.840.113549.1.9.16.2.11 1.2.840.113549.2.2 1.2.840.113549.2.4 1.2.840.113549.2.5
    1.2.840.48018.1.2.2 1.2.840.113554.1.2.2 1.2.840.113554.1.2.2.3 1.3.6.1.4.1.311.2.1.4
    1.3.6.1.4.1.311.2.1.11 1.3.6.1.4.1.311.2.1.12 1.3.6.1.4.1.311.2.1.15 1.3.6.1.4.1.311.2.1.21
    1.3.6.1.4.1.311.16.4 1.3.6.1.4.1.311.2.2.10 1.3.6.1.5.5.2 1.3.6.1.5.2.5 1.3.5.1.5.2.7 1.3.6.1.5.5.14
    1.3.6.1.5.5.7.1.1 1.3.14.3.2.26 1.3.132.0.34 2.16.840.1.101.3.4.2.1 2.16.840.1.101.3.4.2.2
    2.16.840.1.101.3.4.2.3 2.16.840.1.101.3.4.2.4 2.5.4.3 2.5.4.4 2.5.4.6 2.5.4.7 2.5.4.8 2.5.4.10
    2.5.4.11 2.5.4.12 2.5.4.13 2.5.4.41 2.5.4.42 2.5.4.43 2.5.4.44 2.5.29.14 2.5.29.15 2.5.29.17 2.5.29.18
    2.5.29.19 2.5.29.31 2.5.29.32 2.5.29.35 2.5.29.37 1.2.752.43.14.2 1.2.752.43.14.3 1.2.643.2.2.35.1
    1.2.643.2.2.35.2 1.2.643.2.2.35.3 1.2.643.7.1.1.1.1 1.2.643.7.1.1.1.2 1.2.643.7.1.1.2.2
    1.2.643.7.1.1.2.3 1.2.643.7.1.1.3.2 1.2.643.7.1.1.3.3 1.2.643.7.1.2.1.1.1 1.2.643.7.1.2.1.1.2
    1.2.643.7.1.2.1.1.3 1.2.643.7.1.2.1.1.4 1.2.643.7.1.2.1.2.1 1.2.643.7.1.2.1.2.2 1.2.643.7.1.2.1.2.3
    1.2.156.10197.1.301 1.2.156.10197.1.401 1.2.156.10197.1.501 1.2.156.10197.1.504 2.23.133.10.1.3
    2.23.133.10.1.4 2.23.133.10.1.5
""".split()  # noqa: SIM905 (a list of 98 literals would fill the page)


def _encode(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    encoded = bytearray([40 * first + second])
    for number in rest:
        groups = [number >> shift & 0x7F for shift in range(0, max(number.bit_length(), 1), 7)]
        encoded += bytes(0x80 | group for group in groups[:0:-1]) + bytes(groups[:1])
    return bytes(encoded)


def sprint_oid(value: bytes) -> str:
    """``lib/oid_registry.c:sprint_oid`` into the 50 bytes that its caller in the PKCS#7 parser has."""
    if not value:
        return "(bad)"
    text, number, pending = f"{value[0] // 40}.{value[0] % 40}", 0, False
    for byte in value[1:]:
        number = (number << 7 | byte & 0x7F) & 0xFFFFFFFFFFFFFFFF
        pending = byte >= 0x80
        if not pending:
            text, number = f"{text}.{number}", 0
        if len(text) > 49:
            return text[:49]
    return (text + "(bad)" if pending else text)[:49]


DATA, SIGNED_DATA, MS_INDIRECT_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2", "1.3.6.1.4.1.311.2.1.4"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"

# crypto/asymmetric_keys/pkcs7_parser.c:pkcs7_sig_note_authenticated_attr
AUTHENTICODE_ONLY: dict[str, str] = {
    "1.2.840.113549.1.9.15": "S/MIME Caps",
    "1.3.6.1.4.1.311.2.1.11": "Authenticode AuthAttrs",
    "1.3.6.1.4.1.311.2.1.12": "Authenticode AuthAttrs",
}
ONCE = {CONTENT_TYPE, MESSAGE_DIGEST, "1.2.840.113549.1.9.5", *AUTHENTICODE_ONLY}

# crypto/asymmetric_keys/pkcs7_parser.c:pkcs7_sig_note_digest_algo
DIGESTS: dict[str, str] = {
    "1.2.840.113549.2.4": "md4",
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "1.2.156.10197.1.401": "sm3",
    "1.2.643.7.1.1.2.2": "streebog256",
    "1.2.643.7.1.1.2.3": "streebog512",
}

# crypto/asymmetric_keys/pkcs7_parser.c:pkcs7_sig_note_pkey_algo
PUBLIC_KEYS: dict[str, str] = {
    "1.2.840.113549.1.1.1": "rsa",
    "1.2.840.10045.4.1": "ecdsa",
    "1.2.840.10045.4.3.1": "ecdsa",
    "1.2.840.10045.4.3.2": "ecdsa",
    "1.2.840.10045.4.3.3": "ecdsa",
    "1.2.840.10045.4.3.4": "ecdsa",
    "1.2.156.10197.1.501": "sm2",
    "1.2.643.7.1.1.1.1": "ecrdsa",
    "1.2.643.7.1.1.1.2": "ecrdsa",
}


class Registry(NamedTuple):
    """One kernel's identifiers: by number in ``enum OID``, by encoded bytes; the algorithms its parser
    knows."""

    number: dict[str, int]
    by_bytes: dict[bytes, str]
    digests: dict[str, str]
    public_keys: dict[str, str]

    def number_of(self, dotted: str) -> int:
        """``OID__NR``, which is how many there are, for one that is not in the list."""
        return self.number.get(dotted, len(self.number))


@cache
def registry(oids: Oids | None = None) -> Registry:
    """6.1's, with the changes that another kernel's rules name."""
    listed = list(_REGISTRY)
    if oids is not None:
        for behind, more in oids.more:
            at = listed.index(behind) + 1
            listed[at:at] = more
        listed = [dotted for dotted in listed if dotted not in oids.gone]
    gone = set(_REGISTRY) - set(listed) | (oids.unused if oids else set())
    digests = {**DIGESTS, **dict(oids.digests if oids else ())}
    public_keys = {**PUBLIC_KEYS, **dict(oids.public_keys if oids else ())}
    return Registry(
        {dotted: number for number, dotted in enumerate(listed)},
        {_encode(dotted): dotted for dotted in listed},
        {dotted: name for dotted, name in digests.items() if dotted not in gone},
        {dotted: name for dotted, name in public_keys.items() if dotted not in gone},
    )
