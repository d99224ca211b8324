# SPDX-License-Identifier: GPL-2.0-only
"""A PKCS#7 message taken apart (``crypto/asymmetric_keys/pkcs7_parser.c``, grammar ``pkcs7.asn1``).

The library is pyasn1: its BER rules are the kernel's (asn1crypto's last release is of March 2022,
cryptography reads DER only), and it is looked after: 0.6.5 of October 2026 follows three releases of that
year which bounded the time that hostile input can cost.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyasn1.codec.ber import decoder
from pyasn1.type import namedtype, tag, univ

from kmodsim.errors import EBADMSG, EINVAL, EKEYREJECTED, ENOPKG, KernelError
from kmodsim.params.printk import KERN_WARNING, printk
from kmodsim.pkcs7.certificate import Certificate, content_of, parse_certificate
from kmodsim.pkcs7.oid_registry import (
    AUTHENTICODE_ONLY,
    CONTENT_TYPE,
    DATA,
    MESSAGE_DIGEST,
    MS_INDIRECT_DATA,
    ONCE,
    SIGNED_DATA,
    Registry,
    registry,
    sprint_oid,
)

if TYPE_CHECKING:
    from kmodsim.profiles.rules import Oids

EMSGSIZE = 90
INTEGER, OCTET_STRING, OBJECT_IDENTIFIER = 2, 4, 6  # universal tags
LENGTH_MAX = 65535  # lib/asn1_decoder.c:asn1_ber_decoder


@dataclass(frozen=True)
class SignerInfo:
    """``struct pkcs7_signed_info``: ``key_id`` is serial number + issuer, or the subject key identifier."""

    key_id: bytes
    digest: str
    public_key: str
    signature: bytes
    has_authattrs: bool


@dataclass
class Message:
    """``struct pkcs7_message``; ``log`` has the records that parsing it printed."""

    version: int = 0
    data_type: str = ""
    detached: bool = True
    certificates: list[Certificate] = field(default_factory=list)
    signers: list[SignerInfo] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


def _part(name: str, kind: Any) -> namedtype.NamedType:
    return namedtype.NamedType(name, kind)


def _maybe(name: str, kind: Any, number: int | None = None, explicit: bool = False) -> namedtype.NamedType:
    """An optional part, under the context-specific tag ``[number]`` if one is given."""
    if number is not None:
        label = tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, number)
        kind = kind.subtype(explicitTag=label) if explicit else kind.subtype(implicitTag=label)
    return namedtype.OptionalNamedType(name, kind)


def _sequence(*parts: namedtype.NamedType) -> univ.Sequence:
    return univ.Sequence(componentType=namedtype.NamedTypes(*parts))


def _one_of(*parts: namedtype.NamedType) -> univ.Choice:
    return univ.Choice(componentType=namedtype.NamedTypes(*parts))


# What the kernel does not look into stays Any, so that broken insides are noticed only where it notices them.
_ANY = univ.Any()
_MANY = _one_of(
    _part("set", univ.SetOf(componentType=_ANY)),
    _part("sequence", univ.SequenceOf(componentType=_ANY)),
)
_ALGORITHM = _sequence(_part("algorithm", _ANY), _maybe("parameters", _ANY))
_CONTENT_INFO = _sequence(_part("type", _ANY), _maybe("content", _ANY, 0, explicit=True))
_SIGNED_DATA = _sequence(
    _part("version", univ.Integer()),
    _part("digests", _MANY),
    _part("content", _CONTENT_INFO),
    _maybe("certificates", univ.SetOf(componentType=_ANY), 0),
    _maybe("crls", univ.SetOf(componentType=_ANY), 1),
    _part("signers", _MANY),
)
_ATTRIBUTE = _sequence(_part("type", _ANY), _part("value", _ANY))
_VALUES = _sequence(_part("type", _ANY), _part("values", univ.SetOf(componentType=_ANY)))
_NAME = univ.SequenceOf(componentType=univ.SetOf(componentType=_ATTRIBUTE))
_KEY_ID = univ.OctetString().subtype(implicitTag=tag.Tag(tag.tagClassContext, tag.tagFormatSimple, 0))
_SIGNER_INFO = _sequence(
    _part("version", univ.Integer()),
    _part(
        "sid",
        _one_of(
            _part("issuer", _sequence(_part("name", _ANY), _part("serial", _ANY))),
            _part("key", _KEY_ID),
        ),
    ),
    _part("digest", _ALGORITHM),
    _maybe("authenticated", univ.SetOf(componentType=_VALUES), 0),
    _part("encryption", _ALGORITHM),
    _part("signature", univ.OctetString()),
    _maybe("unauthenticated", univ.SetOf(componentType=_ANY), 1),
)


def parse_message(raw: bytes, oids: Oids | None = None) -> Message:
    """``pkcs7_parse_message``. Raises ``KernelError``, with what was logged so far. ``oids``: if not 6.1's.

    EMSGSIZE above 65,535 bytes; EBADMSG for anything that does not follow the grammar; EINVAL for another
    content type, another version or no signer; ENOPKG for a digest or key algorithm the kernel does not know.

    The kernel reads byte by byte and stops at the first thing wrong; here one level of the structure is read
    at a time. So for a message with two flaws, one in its structure, the errno can be that of the other one.
    """
    message = Message()
    try:
        _Parser(raw, message, registry(oids)).parse()
    except KernelError as error:
        raise KernelError(error.errno, dmesg=[*message.log, *error.dmesg]) from None
    return message


def _decode(raw: Any, grammar: Any) -> Any:
    """The value at the start of ``raw``; like the kernel's decoder it does not look at what follows."""
    try:
        return decoder.decode(bytes(raw), asn1Spec=grammar)[0]
    except Exception:  # whatever the library trips over is a message the kernel cannot read
        raise KernelError(EBADMSG) from None


def _warning(text: str) -> str:
    return printk(KERN_WARNING, f"PKCS7: {text}")


def _refused(text: str) -> KernelError:
    return KernelError(EKEYREJECTED, dmesg=[_warning(text)])


def _content(encoded: Any, expected: int) -> bytes:
    """The value of an element that must have this tag."""
    raw = bytes(encoded)
    if raw[:1] != bytes([expected]):
        raise KernelError(EBADMSG)
    return content_of(raw)


def _each(many: Any) -> list[Any]:
    """The elements of a SET OF or SEQUENCE OF; the kernel's decoder wants at least one."""
    elements = list(many.getComponent() if isinstance(many, univ.Choice) else many)
    if not elements:
        raise KernelError(EBADMSG)
    return elements


class _Parser:
    """Goes through a message in the order of its bytes, because the first thing wrong gives the errno."""

    def __init__(self, raw: bytes, message: Message, oids: Registry) -> None:
        self.raw, self.message, self.oids = raw, message, oids
        self.position = 0

    def parse(self) -> None:
        if len(self.raw) > LENGTH_MAX:
            raise KernelError(EMSGSIZE)
        outer = _decode(self.raw, _CONTENT_INFO)
        if self.note_oid(outer["type"]) != SIGNED_DATA:
            raise KernelError(EINVAL, dmesg=[_warning("Only support pkcs7_signedData type")])
        if outer["content"].hasValue():
            self.signed_data(_decode(outer["content"], _SIGNED_DATA))
        # pkcs7_check_authattrs: one signer at least, and all of them alike
        if len({signer.has_authattrs for signer in self.message.signers}) != 1:
            raise KernelError(EINVAL, dmesg=[_warning("Inconsistently supplied authAttrs")])

    def signed_data(self, data: Any) -> None:
        message = self.message
        message.version = int(data["version"])
        if message.version not in (1, 3):
            raise KernelError(EINVAL, dmesg=[_warning("Unsupported SignedData version")])
        for algorithm in _each(data["digests"]):
            self.note_oid(_decode(algorithm, _ALGORITHM)["algorithm"])
        printed = len(message.log)
        message.data_type = self.note_oid(data["content"]["type"])
        message.log += message.log[printed:]  # the grammar notes this one in two places
        message.detached = not data["content"]["content"].hasValue()
        if message.data_type not in (DATA, MS_INDIRECT_DATA):
            number = self.oids.number_of(message.data_type)
            raise KernelError(EINVAL, dmesg=[_warning(f"Unsupported data type {number}")])
        if data["certificates"].hasValue():
            message.certificates = [parse_certificate(bytes(raw)) for raw in _each(data["certificates"])]
        for signer in _each(data["signers"]):
            message.signers.append(self.signer_info(_decode(signer, _SIGNER_INFO)))

    def signer_info(self, info: Any) -> SignerInfo:
        version = int(info["version"])
        if version not in (1, 3):
            raise KernelError(EINVAL, dmesg=[_warning("Unsupported SignerInfo version")])
        if (version == 1) != (self.message.version == 1):
            raise KernelError(EBADMSG, dmesg=[_warning("SignedData-SignerInfo version mismatch")])
        key_id = self.key_id(info["sid"], by_issuer=version == 1)
        digest = self.algorithm(info["digest"], self.oids.digests, "digest")
        attributes = info["authenticated"].hasValue()
        if attributes:
            self.authenticated(info["authenticated"])
        public_key = self.algorithm(info["encryption"], self.oids.public_keys, "pkey")
        if self.message.data_type == MS_INDIRECT_DATA and not attributes:
            raise KernelError(EBADMSG, dmesg=[_warning("Authenticode requires AuthAttrs")])
        return SignerInfo(key_id, digest, public_key, bytes(info["signature"]), attributes)

    def key_id(self, sid: Any, by_issuer: bool) -> bytes:
        """The version alone decides which of the two kinds is used; if the other one is given, nothing is."""
        if sid.getName() == "key":
            return b"" if by_issuer else bytes(sid["key"])
        issuer = sid["issuer"]
        for relative in _each(_decode(issuer["name"], _NAME)):
            for attribute in _each(relative):
                self.note_oid(attribute["type"])
        serial = _content(issuer["serial"], INTEGER)
        return serial + content_of(bytes(issuer["name"])) if by_issuer else b""

    def authenticated(self, attributes: Any) -> None:
        """``pkcs7_sig_note_authenticated_attr``. A module's signature must not have any, which is said later.

        The signing time is not looked at.
        """
        seen: set[str] = set()
        for attribute in _each(attributes):
            kind = self.note_oid(attribute["type"])
            for value in _each(attribute["values"]):
                if kind in seen & ONCE:
                    raise _refused("Repeated/multivalue AuthAttrs not permitted")
                seen.add(kind)
                self.attribute(kind, bytes(value))
        if not {CONTENT_TYPE, MESSAGE_DIGEST} <= seen:
            raise KernelError(EBADMSG, dmesg=[_warning("Missing required AuthAttr")])

    def attribute(self, kind: str, value: bytes) -> None:
        data_type = self.message.data_type
        inside = self.oids.by_bytes.get(content_of(value), "")
        if kind == CONTENT_TYPE and inside != data_type:
            numbers = [self.oids.number_of(one) for one in (data_type, inside)]
            line = f"Mismatch between global data type ({numbers[0]}) and sinfo 0 ({numbers[1]})"
            raise KernelError(EBADMSG, dmesg=[_warning(line)])
        if kind == MESSAGE_DIGEST and value[0] != OCTET_STRING:
            raise KernelError(EBADMSG)
        if kind in AUTHENTICODE_ONLY and data_type != MS_INDIRECT_DATA:
            raise _refused(f"{AUTHENTICODE_ONLY[kind]} only allowed with Authenticode")

    def algorithm(self, algorithm: Any, known: dict[str, str], what: str) -> str:
        dotted = self.note_oid(algorithm["algorithm"])
        if dotted not in known:
            line = f"Unsupported {what} algo: {self.oids.number_of(dotted)}"
            raise KernelError(ENOPKG, dmesg=[printk(KERN_WARNING, line)])
        return known[dotted]

    def note_oid(self, oid: Any) -> str:
        """``pkcs7_note_OID``: an identifier outside the registry is printed with its place in the message."""
        value, encoded = _content(oid, OBJECT_IDENTIFIER), bytes(oid)
        if value in self.oids.by_bytes:
            return self.oids.by_bytes[value]
        self.position = max(self.raw.find(encoded, self.position), 0) + len(encoded)
        self.message.log.append(_warning(f"Unknown OID: [{self.position - len(value)}] {sprint_oid(value)}"))
        return ""
