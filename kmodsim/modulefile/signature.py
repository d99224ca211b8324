# SPDX-License-Identifier: GPL-2.0-only
"""The signature behind a module: PKCS#7 message, trailer, marker (``include/linux/module_signature.h``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..records import MODULE_SIGNATURE, SIGNATURE_MARKER, Bytes, view
from .elf import Problems

ID_TYPES = {0: "PGP", 1: "X509", 2: "PKCS#7"}
COMMON_NAME = "2.5.4.3"
MESSAGE_MAX = 65535  # bytes the kernel decodes (lib/asn1_decoder.c:asn1_ber_decoder)


@dataclass(frozen=True)
class SignatureDetails:
    """What modinfo prints of a signature: signer (the issuer's common name), key, hash, the signature proper.

    ``key`` is the certificate's serial number, or its subject key identifier, as "66:F5:…".
    """

    signer: str
    key: str
    hash: str
    signature: bytes = field(repr=False)


@dataclass(frozen=True)
class Signature:
    """``struct module_signature`` and what lies before it; lengths in bytes.

    ``signed_length``: the signature covers that many bytes from the file's start. ``problems`` says what
    ``kernel/module_signature.c:mod_check_sig`` would refuse.
    """

    algo: int
    hash: int
    id_type: int
    signer_len: int
    key_id_len: int
    sig_len: int
    signed_length: int
    pkcs7: bytes = field(repr=False)
    problems: tuple[str, ...] = ()

    @property
    def id_name(self) -> str:
        """``"PKCS#7"``, as modinfo's sig_id line."""
        return ID_TYPES.get(self.id_type, f"unknown type {self.id_type}")

    def details(self) -> SignatureDetails | None:
        """What the PKCS#7 message says of itself; None when it cannot be read. Nothing is verified here."""
        if len(self.pkcs7) > MESSAGE_MAX:
            return None
        try:
            return _details(self.pkcs7)
        except Exception:  # the ASN.1 library has many ways to dislike damaged bytes
            return None


def _details(message: bytes) -> SignatureDetails:
    """The first signer of a CMS message (RFC 5652); the libraries take 0.1 s to import, so only on demand."""
    from pyasn1.codec.ber import decoder
    from pyasn1_modules import rfc5652

    from ..pkcs7.oid_registry import DIGESTS

    content = decoder.decode(message, asn1Spec=rfc5652.ContentInfo())[0]["content"]
    signer = decoder.decode(content, asn1Spec=rfc5652.SignedData())[0]["signerInfos"][0]
    dotted = str(signer["digestAlgorithm"]["algorithm"])
    if signer["sid"].getName() == "issuerAndSerialNumber":
        who = signer["sid"]["issuerAndSerialNumber"]
        serial = int(who["serialNumber"])
        name, key = (
            _common_name(who["issuer"]["rdnSequence"]),
            serial.to_bytes((serial.bit_length() + 7) // 8),
        )
    else:
        name, key = "", bytes(signer["sid"]["subjectKeyIdentifier"])
    return SignatureDetails(
        name, key.hex(":").upper(), DIGESTS.get(dotted, dotted), bytes(signer["signature"])
    )


def _common_name(relatives: Any) -> str:
    from pyasn1.codec.ber import decoder

    pairs = [(str(pair["type"]), bytes(pair["value"])) for relative in relatives for pair in relative]
    return next((str(decoder.decode(raw)[0]) for dotted, raw in pairs if dotted == COMMON_NAME), "")


def read_signature(image: Bytes, problems: Problems) -> Signature | None:
    """The trailer at the file's end; None without the marker at the very end, as the kernel takes it."""
    size = len(image) - len(SIGNATURE_MARKER)
    if size < 0 or image[size:].tobytes() != SIGNATURE_MARKER:
        place = image[-(1 << 16) :].tobytes().rfind(SIGNATURE_MARKER)
        if place >= 0:
            after = min(len(image), 1 << 16) - place - len(SIGNATURE_MARKER)
            problems.note(f"signature: {after} bytes follow the marker: the kernel takes it as unsigned")
        return None
    trailer = view(image, size - MODULE_SIGNATURE.itemsize, 1, MODULE_SIGNATURE)
    if not len(trailer):
        problems.note("signature: the marker is there, but no trailer before it")
        return None
    algo, hash_, id_type, signer_len, key_id_len, pad, sig_len = trailer[0].item()
    rest = size - MODULE_SIGNATURE.itemsize
    found = tuple(_complaints((algo, hash_, signer_len, key_id_len, *pad), id_type, sig_len, rest))
    for complaint in found:
        problems.note(f"signature: {complaint}")
    start = rest - sig_len if sig_len < rest else rest
    return Signature(
        algo, hash_, id_type, signer_len, key_id_len, sig_len, start, image[start:rest].tobytes(), found
    )


def _complaints(zeros: tuple[int, ...], id_type: int, sig_len: int, rest: int) -> list[str]:
    """What mod_check_sig looks at, in its order."""
    complaints = []
    if sig_len >= rest:
        complaints.append(f"sig_len is {sig_len}, but only {rest} bytes lie before the trailer")
    if id_type != 2:
        complaints.append(f"id_type is {id_type}, not 2 (PKCS#7)")
    if any(zeros):
        complaints.append("algo, hash, signer_len, key_id_len and padding must be 0 with PKCS#7")
    return complaints
