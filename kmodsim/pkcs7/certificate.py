# SPDX-License-Identifier: GPL-2.0-only
"""X.509 certificates as the kernel's key rings hold them (``crypto/asymmetric_keys/x509_cert_parser.c``)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from kmodsim.errors import EBADMSG, EINVAL, EKEYREJECTED, ENOENT, ENOKEY, ENOPKG, KernelError

# The hashes of a kernel configured like Debian's: md5, sha1, sha224, sha256 are built in, sha384 and sha512
# are a module that is loaded on demand. Others come back as ENOPKG.
HASHES: dict[str, Any] = {
    "md5": hashes.MD5, "sha1": hashes.SHA1, "sha224": hashes.SHA224,
    "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512,
    "sha3_256": hashes.SHA3_256, "sha3_384": hashes.SHA3_384, "sha3_512": hashes.SHA3_512,
}  # fmt: skip


@dataclass(frozen=True)
class Certificate:
    """``struct x509_certificate``: ``key_id`` is the serial number's and the issuer's bytes.

    ``skid`` is the subject key identifier, ``authority`` what the certificate says of its signer's two
    identifiers; both None where absent.
    """

    key_id: bytes
    skid: bytes | None
    authority: tuple[bytes | None, bytes | None]
    key: Any = field(compare=False)
    digest: str
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    self_signed: bool


def content_of(encoded: bytes) -> bytes:
    """The value of one BER element without its header (definite length)."""
    size = encoded[1] if len(encoded) > 1 else 0
    return encoded[2 + (size & 0x7F if size & 0x80 else 0) :]


def parse_certificate(raw: bytes) -> Certificate:
    """``x509_cert_parse``: EBADMSG for what is no certificate, ENOPKG for algorithms the kernel lacks."""
    try:
        return _parse(x509.load_der_x509_certificate(raw))
    except UnsupportedAlgorithm:
        raise KernelError(ENOPKG) from None
    except KernelError:
        raise
    except Exception:  # the parser's own errors: ValueError, and what its lazy parts raise
        raise KernelError(EBADMSG) from None


@lru_cache(maxsize=16)
def key_ring(certificates: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    """The keys of a ring, parsed once; what does not parse is left out, as the kernel does at boot."""
    ring = []
    for raw in certificates:
        try:
            ring.append(parse_certificate(raw))
        except KernelError:
            continue
    return tuple(ring)


def find_key(ring: Sequence[Certificate], first: bytes | None, second: bytes | None) -> Certificate | int:
    """``asymmetric_type.c:find_asymmetric_key``: a key, or the errno why there is none.

    ``first`` (or ``second`` alone) may be either of a key's two identifiers; given both, the second must be
    the key's second (EKEYREJECTED).
    """
    wanted = second if first is None else first
    if not wanted:
        return EINVAL
    for key in ring:
        if wanted in (key.key_id, key.skid):
            both = first is not None and second is not None
            return EKEYREJECTED if both and key.skid != second else key
    return ENOKEY


def verify_digest(key: Any, hash_name: str, digest: bytes, signature: bytes, ecdsa: bool = False) -> int:
    """``public_key.c:public_key_verify_signature`` for RSA with PKCS#1 v1.5: 0 or an errno.

    EINVAL for a signature of another length than the key, EBADMSG for one that does not decrypt to anything
    sane, EKEYREJECTED for one of other data, ENOENT for other kinds of keys. ``ecdsa``: the kernel has
    CONFIG_CRYPTO_ECDSA.
    """
    if ecdsa and isinstance(key, ec.EllipticCurvePublicKey):
        return _verify_ecdsa(key, hash_name, digest, signature)
    if not isinstance(key, rsa.RSAPublicKey):
        return ENOENT
    if len(signature) != (key.key_size + 7) // 8:
        return EINVAL
    algorithm = HASHES[hash_name]()
    try:
        key.verify(signature, digest, padding.PKCS1v15(), utils.Prehashed(algorithm))
        return 0
    except InvalidSignature:
        pass
    return _flaw(key.public_numbers(), signature)


def _verify_ecdsa(key: ec.EllipticCurvePublicKey, hash_name: str, digest: bytes, signature: bytes) -> int:
    """``crypto/ecdsa.c:ecdsa_verify``: EBADMSG for what is no pair of numbers, EKEYREJECTED for a wrong
    one."""
    try:
        utils.decode_dss_signature(signature)
    except ValueError:
        return EBADMSG
    try:
        key.verify(signature, digest, ec.ECDSA(utils.Prehashed(HASHES[hash_name]())))
    except InvalidSignature:
        return EKEYREJECTED
    return 0


def _flaw(numbers: rsa.RSAPublicNumbers, signature: bytes) -> int:
    """``crypto/rsa-pkcs1pad.c:pkcs1pad_verify_complete``: the errno of what a bad one decrypts to."""
    value = int.from_bytes(signature, "big")
    if value >= numbers.n:
        return EINVAL
    block = pow(value, numbers.e, numbers.n).to_bytes(len(signature), "big")
    if block[0]:
        return EINVAL
    return EKEYREJECTED if re.match(rb"\x01\xff{8,}\x00", block[1:]) else EBADMSG


def verify_certificate(certificate: Certificate, key: Any, ecdsa: bool = False) -> int:
    """Whether ``key`` signed the certificate: 0 or an errno."""
    if certificate.digest not in HASHES:
        return ENOPKG
    digest = hashlib.new(certificate.digest, certificate.signed).digest()
    return verify_digest(key, certificate.digest, digest, certificate.signature, ecdsa)


def _parse(found: x509.Certificate) -> Certificate:
    issuer = found.issuer.public_bytes()
    algorithm = found.signature_hash_algorithm
    skid, authority = _identifiers(found)
    plain = Certificate(
        _serial(found.serial_number) + content_of(issuer), skid, authority, found.public_key(),
        algorithm.name if algorithm else "", found.tbs_certificate_bytes, found.signature, False,
    )  # fmt: skip
    if issuer != found.subject.public_bytes() or not _own_authority(plain):
        return plain
    errno = verify_certificate(plain, plain.key)
    if errno and errno not in (ENOPKG, ENOENT):
        raise KernelError(errno)
    return Certificate(**{**plain.__dict__, "self_signed": not errno})


def _own_authority(certificate: Certificate) -> bool:
    """``x509_public_key.c:x509_check_for_self_signed``: the authority, where named, must be itself."""
    by_id, by_skid = certificate.authority
    if by_id is None and by_skid is None:
        return True
    same_skid = by_skid is not None and by_skid == certificate.skid
    same_id = by_id is not None and by_id == certificate.key_id
    if same_skid != same_id and by_id is not None and by_skid is not None:
        raise KernelError(EKEYREJECTED)
    return same_skid or same_id


def _serial(number: int) -> bytes:
    """The content bytes of a DER INTEGER."""
    return number.to_bytes((number if number >= 0 else ~number).bit_length() // 8 + 1, "big", signed=True)


def _identifiers(found: x509.Certificate) -> tuple[bytes | None, tuple[bytes | None, bytes | None]]:
    skid, by_id, by_skid = None, None, None
    for extension in found.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            skid = value.digest
        elif isinstance(value, x509.AuthorityKeyIdentifier):
            by_skid = value.key_identifier
            serial = value.authority_cert_serial_number
            for name in value.authority_cert_issuer or ():
                if isinstance(name, x509.DirectoryName) and serial is not None:
                    by_id = _serial(serial) + content_of(name.value.public_bytes())
    return skid, (by_id, by_skid)
