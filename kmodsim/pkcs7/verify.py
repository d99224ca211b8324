# SPDX-License-Identifier: GPL-2.0-only
"""Does a PKCS#7 message sign these bytes, with a key that is trusted?

Models ``certs/system_keyring.c:verify_pkcs7_signature`` for modules: the message is parsed, checked in itself
(``crypto/asymmetric_keys/pkcs7_verify.c``), then against the key ring (``pkcs7_trust.c``). Black- and
revocation lists are not modelled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from kmodsim.errors import EBADMSG, EINVAL, EKEYREJECTED, ENOKEY, ENOPKG, KernelError
from kmodsim.params.printk import KERN_ERR, KERN_WARNING, printk
from kmodsim.pkcs7.certificate import (
    HASHES,
    Certificate,
    find_key,
    key_ring,
    verify_certificate,
    verify_digest,
)
from kmodsim.pkcs7.message import Message, SignerInfo, parse_message
from kmodsim.pkcs7.oid_registry import DATA

if TYPE_CHECKING:
    from kmodsim.profiles.rules import Oids


class Verdict(NamedTuple):
    """``errno`` is 0 for a good signature, else a positive Linux errno; ``log`` has the records printed."""

    errno: int
    log: tuple[str, ...] = ()


def verify_pkcs7(
    data: bytes | memoryview, pkcs7: bytes, keyring: Sequence[bytes], ecdsa: bool = False,
    oids: Oids | None = None,
) -> Verdict:  # fmt: skip
    """Verify the detached signature ``pkcs7`` of ``data`` against trusted certificates (DER). ``ecdsa``: the
    kernel has CONFIG_CRYPTO_ECDSA. ``oids``: the object identifiers it knows, if not those of 6.1.

    Errnos beside those of ``parse_message``: EKEYREJECTED for a signature of other bytes, or for one that a
    module must not have (other content type, authenticated attributes); EBADMSG if data is inside; ENOPKG for
    a hash the kernel lacks; ENOKEY if the key is not in the ring. Never raises, whatever the bytes.
    """
    try:
        message = parse_message(bytes(pkcs7), oids)
    except KernelError as error:
        return Verdict(error.errno or EBADMSG, tuple(error.dmesg))
    try:
        _check_kind(message)
        hashed = cache(lambda name: _digest(name, data))  # a message may name thousands of signers
        chains = [_Chain(signer, message, hashed, ecdsa) for signer in message.signers]
        _verify(chains)
        errno = _trust(chains, key_ring(tuple(keyring)))
    except KernelError as error:
        return Verdict(error.errno or EINVAL, (*message.log, *error.dmesg))
    return Verdict(errno, tuple(message.log))


def _check_kind(message: Message) -> None:
    """``pkcs7_supply_detached_data``, and the restrictions of VERIFYING_MODULE_SIGNATURE."""
    if not message.detached:
        raise KernelError(EBADMSG, dmesg=[
            printk(KERN_WARNING, "PKCS7: Data already supplied"),
            printk(KERN_ERR, "PKCS#7 signature with non-detached data"),
        ])  # fmt: skip
    if message.data_type != DATA:
        raise _rejected("not pkcs7-data")
    if message.signers[0].has_authattrs:
        raise _rejected("has authattrs")


def _rejected(why: str) -> KernelError:
    return KernelError(EKEYREJECTED, dmesg=[printk(KERN_WARNING, f"PKCS7: Invalid module sig ({why})")])


class _Chain:
    """One signer with the certificates of the message that lead from its key upwards (usually none)."""

    def __init__(
        self, signer: SignerInfo, message: Message, hashed: Callable[[str], bytes], ecdsa: bool
    ) -> None:
        self.ecdsa = ecdsa
        self.signer, self.message, self.hashed = signer, message, hashed
        self.supported = signer.digest in HASHES
        self.digest = b""
        self.certificates: list[Certificate] = []

    def verify(self) -> None:
        """``pkcs7_verify_one``: hash the data; a certificate inside the message must fit the signature."""
        if not self.supported:
            raise KernelError(ENOPKG)
        self.digest = self.hashed(self.signer.digest)
        inside = self.message.certificates
        signer = next((one for one in inside if one.key_id == self.signer.key_id), None)
        if signer is None:
            return
        _raise(self.check(signer))
        self.certificates.append(signer)
        while (issuer := _issuer(self.certificates[-1], inside)) and issuer not in self.certificates:
            _raise(verify_certificate(self.certificates[-1], issuer.key, self.ecdsa))
            self.certificates.append(issuer)

    def check(self, key: Certificate) -> int:
        """Whether the signer's signature was made with this key."""
        curve = self.ecdsa and isinstance(key.key, EllipticCurvePublicKey)
        if self.signer.public_key != ("ecdsa" if curve else "rsa"):
            return EKEYREJECTED
        return verify_digest(key.key, self.signer.digest, self.digest, self.signer.signature, self.ecdsa)

    def trust(self, ring: Sequence[Certificate]) -> int:
        """``pkcs7_validate_trust_one``: 0 if a trusted key vouches for this chain, else the errno."""
        if not self.supported:
            return ENOPKG
        below: Certificate | None = None
        for certificate in self.certificates:
            key = find_key(ring, certificate.key_id, certificate.skid)
            if isinstance(key, Certificate):
                return self.matched(key, below)
            if certificate.self_signed:
                return ENOKEY
            below = certificate
        if below and any(below.authority):
            key = find_key(ring, *below.authority)
            if isinstance(key, Certificate):
                return self.matched(key, below)
            if key != ENOKEY:
                return key
        key = find_key(ring, self.signer.key_id, None)
        return self.matched(key, None) if isinstance(key, Certificate) else key

    def matched(self, key: Certificate, below: Certificate | None) -> int:
        """The trusted key must have made the signature below it; whatever goes wrong is EKEYREJECTED."""
        errno = verify_certificate(below, key.key, self.ecdsa) if below else self.check(key)
        return EKEYREJECTED if errno else 0


def _verify(chains: Sequence[_Chain]) -> None:
    """``pkcs7_verify``: one signer with supported crypto is enough, but none may be wrong."""
    for chain in chains:
        try:
            chain.verify()
        except KernelError as error:
            if error.errno != ENOPKG:
                raise
            chain.supported = False
    if not any(chain.supported for chain in chains):
        raise KernelError(ENOPKG)


def _trust(chains: Sequence[_Chain], ring: Sequence[Certificate]) -> int:
    """``pkcs7_validate_trust``: a trusted signer outweighs unknown ones, a wrong one outweighs all."""
    result = ENOKEY
    for chain in chains:
        errno = chain.trust(ring)
        if errno not in (0, ENOKEY, ENOPKG):
            return errno
        if errno == 0 or (errno == ENOPKG and result == ENOKEY):
            result = errno
    return result


def _issuer(certificate: Certificate, inside: Sequence[Certificate]) -> Certificate | None:
    """``pkcs7_verify_sig_chain``: the next certificate upwards, by either of the two identifiers."""
    by_id, by_skid = certificate.authority
    if certificate.self_signed or (by_id is None and by_skid is None):
        return None
    if by_id is None:
        return next((one for one in inside if one.skid == by_skid), None)
    found = next((one for one in inside if one.key_id == by_id), None)
    if found and by_skid is not None and found.skid != by_skid:
        raise KernelError(EKEYREJECTED)
    return found


def _digest(name: str, data: bytes | memoryview) -> bytes:
    return hashlib.new(name, data, usedforsecurity=False).digest()


def _raise(errno: int) -> None:
    if errno:
        raise KernelError(errno)
