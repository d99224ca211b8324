# SPDX-License-Identifier: GPL-2.0-only
"""A module's signature is found, taken apart and verified as by Linux 6.1, down to the errno of each flaw."""

from __future__ import annotations

import datetime
import struct
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim.corpus import distribution, sample
from kmodsim.errors import EBADMSG, EINVAL, EKEYREJECTED, ENOKEY, ENOPKG
from kmodsim.loader.signature_check import verify_signature
from kmodsim.pkcs7 import verify_pkcs7
from kmodsim.pkcs7.oid_registry import sprint_oid
from kmodsim.profile import KernelProfile

MARKER = b"~Module signature appended~\n"
TRAILER = 12
ENODATA, EMSGSIZE = 61, 90  # include/uapi/asm-generic/errno*.h
SHA256, RSA = bytes.fromhex("0609608648016503040201"), bytes.fromhex("06092a864886f70d010101")

core = pytest.mark.core


@cache
def ring() -> tuple[bytes, ...]:
    return KernelProfile.load().keyring


@cache
def crc16() -> bytes:
    return sample("crc16").read_bytes()


def parts(image: bytes) -> tuple[bytes, bytes, bytes]:
    """Module, PKCS#7 message and trailer of a signed image."""
    whole = image.removesuffix(MARKER)
    size = struct.unpack(">I", whole[-4:])[0]
    return whole[: -TRAILER - size], whole[-TRAILER - size : -TRAILER], whole[-TRAILER:]


def trailer(size: int, id_type: int = 2, **fields: int) -> bytes:
    row = [fields.get(name, 0) for name in ("algo", "hash")] + [id_type]
    row += [fields.get(name, 0) for name in ("signer_len", "key_id_len", "pad0", "pad1", "pad2")]
    return struct.pack(">8BI", *row, size)


def join(body: bytes, message: bytes, end: bytes | None = None) -> bytes:
    return body + message + (trailer(len(message)) if end is None else end) + MARKER


# --- keys and messages of our own ---

def key(number: int = 0) -> rsa.RSAPrivateKey:
    return _keys(number)


@cache
def _keys(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


@cache
def certificate(
    name: str = "one", number: int = 0, issuer: str = "", issuer_number: int | None = None,
) -> x509.Certificate:
    """A certificate for ``key(number)``, signed by itself or by ``key(issuer_number)``."""
    signer = key(number if issuer_number is None else issuer_number)
    start = datetime.datetime(2026, 1, 1)
    public = key(number).public_key()
    builder = x509.CertificateBuilder().subject_name(common_name(name))
    builder = builder.issuer_name(common_name(issuer or name))
    builder = builder.serial_number(0x81000000 + number).not_valid_before(start).public_key(public)
    builder = builder.not_valid_after(start + datetime.timedelta(days=9))
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return builder.add_extension(authority, False).sign(signer, hashes.SHA256())


def der(found: x509.Certificate) -> bytes:
    return found.public_bytes(serialization.Encoding.DER)


PLAIN = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.NoAttributes, pkcs7.PKCS7Options.NoCerts)


def sign(
    data: bytes, by: x509.Certificate, number: int = 0, options: tuple[pkcs7.PKCS7Options, ...] = PLAIN,
    digest: hashes.HashAlgorithm | None = None,
) -> bytes:
    """A message as scripts/sign-file makes it, through another implementation than the one under test."""
    chosen = digest or hashes.SHA256()
    builder = pkcs7.PKCS7SignatureBuilder().set_data(data).add_signer(by, key(number), chosen)  # type: ignore[arg-type]
    return builder.sign(serialization.Encoding.DER, [*options, pkcs7.PKCS7Options.Binary])


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


# --- the distribution's modules ---

@core
@pytest.mark.parametrize("name", sorted(distribution()))
def test_a_distribution_module_verifies(name: str) -> None:
    image = sample(name).read_bytes()
    assert verify_signature(image, ring()) == (0, len(parts(image)[0]), ())


@core
@settings(max_examples=60)
@given(st.data())
def test_one_flipped_bit_of_the_module_is_rejected(data: st.DataObject) -> None:
    body, message, end = parts(crc16())
    place = data.draw(st.integers(0, len(body) * 8 - 1))
    flipped = bytearray(body)
    flipped[place // 8] ^= 1 << place % 8
    assert verify_signature(join(bytes(flipped), message, end), ring()).errno == EKEYREJECTED


@core
def test_one_flipped_bit_of_the_signature_is_rejected() -> None:
    body, message, _ = parts(crc16())
    for place in (1, 100, 512):
        flipped = bytearray(message)
        flipped[-place] ^= 1
        assert verify_signature(join(body, bytes(flipped)), ring()).errno == EKEYREJECTED


@core
def test_an_unknown_key() -> None:
    """No such key is not fatal by itself, but the signature is cut off (mod_verify_sig sets info->len)."""
    body, _, _ = parts(crc16())
    assert verify_signature(crc16(), ()) == (ENOKEY, len(body), ())
    assert verify_signature(crc16(), [der(certificate())]).errno == ENOKEY
    assert verify_signature(crc16(), [b"no certificate", *ring()]).errno == 0
    assert verify_signature(crc16(), (), platform=ring()).errno == 0


# --- marker and trailer: kernel/module/signing.c, kernel/module_signature.c ---

@core
def test_no_marker_at_the_very_end() -> None:
    body, _, _ = parts(crc16())
    for image in (body, crc16() + b"\n", crc16()[:-1], MARKER, b"", MARKER[1:]):
        assert verify_signature(image, ring()) == (ENODATA, len(image), ())


NON_ZERO = "<3>module: PKCS#7 signature info has unexpected non-zero params"


@core
@pytest.mark.parametrize("field", ["algo", "hash", "signer_len", "key_id_len", "pad0", "pad1", "pad2"])
def test_other_fields_of_the_trailer_must_be_zero(field: str) -> None:
    body, message, _ = parts(crc16())
    result = verify_signature(join(body, message, trailer(len(message), **{field: 1})), ring())
    assert (result.errno, result.log) == (EBADMSG, (NON_ZERO,))


@core
@pytest.mark.parametrize("id_type", [0, 1, 3, 255])
def test_another_kind_of_message_counts_as_unsupported(id_type: int) -> None:
    """The type is looked at before the other fields; only the marker has been cut off by then."""
    body, message, _ = parts(crc16())
    image = join(body, message, trailer(len(message), id_type=id_type, hash=4))
    result = verify_signature(image, ring())
    assert result == (
        ENOPKG, len(image) - len(MARKER), ("<3>module: not signed with expected PKCS#7 message",),
    )


@core
def test_lengths() -> None:
    body, message, _ = parts(crc16())
    rest = len(body) + len(message)
    for size in (rest, rest + 1, 1 << 31, (1 << 32) - 1):
        # the size is looked at before the type
        assert verify_signature(join(body, message, trailer(size, id_type=0)), ring())[::2] == (EBADMSG, ())
    for size in (0, 1, len(message) - 1, len(message) + 1, rest - 1):
        assert verify_signature(join(body, message, trailer(size)), ring()).errno == EBADMSG
    assert verify_signature(b"x" * TRAILER + MARKER, ring()).errno == EBADMSG
    assert verify_signature(trailer(0) + MARKER, ring()).errno == EBADMSG


# --- the message: crypto/asymmetric_keys/pkcs7_parser.c, pkcs7_verify.c, pkcs7_trust.c ---

@core
def test_our_own_signature() -> None:
    message = sign(b"module", certificate())
    assert verify_pkcs7(b"module", message, [der(certificate())]) == (0, ())
    assert verify_pkcs7(b"modul3", message, [der(certificate())]) == (EKEYREJECTED, ())
    assert verify_pkcs7(b"module", message, ring()) == (ENOKEY, ())
    # the same name and serial number, another key
    message = sign(b"module", certificate(), 1)
    assert verify_pkcs7(b"module", message, [der(certificate())]).errno == EKEYREJECTED


@core
@pytest.mark.parametrize(
    ("digest", "errno"),
    [(hashes.SHA224(), 0), (hashes.SHA256(), 0), (hashes.SHA384(), 0), (hashes.SHA512(), 0)],
)
def test_digests(digest: hashes.HashAlgorithm, errno: int) -> None:
    message = sign(b"module", certificate(), digest=digest)
    assert verify_pkcs7(b"module", message, [der(certificate())]).errno == errno


def replaced(old: bytes, new: bytes, count: int = -1) -> bytes:
    message = sign(b"module", certificate())
    assert old in message
    return message.replace(old, new, count)


@core
def test_algorithms_the_kernel_lacks() -> None:
    """ENOPKG: from the parser for identifiers it does not know, from the crypto API for hashes not built."""
    trusted = [der(certificate())]
    sha3 = bytes.fromhex("0609608648016503040208")
    assert verify_pkcs7(b"module", replaced(SHA256, sha3), trusted) == (ENOPKG, (
        "<4>PKCS7: Unknown OID: [32] 2.16.840.1.101.3.4.2.8",
        "<4>PKCS7: Unknown OID: [96] 2.16.840.1.101.3.4.2.8",
        "<4>Unsupported digest algo: 98",
    ))
    # known to the registry, but no digest: rsaEncryption is number 10 of enum OID
    unsupported = (ENOPKG, ("<4>Unsupported digest algo: 10",))
    assert verify_pkcs7(b"module", replaced(SHA256, RSA), trusted) == unsupported
    # RSASSA-PSS
    message = replaced(RSA, bytes.fromhex("06092a864886f70d01010a"))
    assert verify_pkcs7(b"module", message, trusted).errno == ENOPKG
    # sm3 is known, and CONFIG_CRYPTO_SM3_GENERIC is not set
    message = shrunk(SHA256, bytes.fromhex("06082a811ccf55018311"))
    assert verify_pkcs7(b"module", message, trusted) == (ENOPKG, ())


def shrunk(old: bytes, new: bytes) -> bytes:
    """A message with an identifier of another length: all lengths around it made anew."""
    body = minimal(certificate())
    return rebuilt([part.replace(old, new) if isinstance(part, bytes) else part for part in body])


def minimal(by: x509.Certificate) -> list[bytes]:
    """Digest algorithm, issuer and serial number, key algorithm, signature: what a message is made of."""
    number = by.serial_number
    serial = tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))
    issuer = tlv(0x30, by.issuer.public_bytes() + serial)
    made = sign(b"module", by)
    return [SHA256, issuer, RSA, made[-256:]]


def rebuilt(
    body: list[bytes], *, version: bytes = b"\2\1\1", signer_version: bytes = b"\2\1\1", content: bytes = b"",
    kind: str = "06092a864886f70d010701", outer: str = "06092a864886f70d010702", certificates: bytes = b"",
    attributes: bytes = b"", signers: int = 1,
) -> bytes:
    digest, sid, encryption, signature = body
    algorithm = tlv(0x30, digest + b"\5\0")
    signer = signer_version + sid + algorithm + attributes + tlv(0x30, encryption) + tlv(4, signature)
    data = version + tlv(0x31, algorithm) + tlv(0x30, bytes.fromhex(kind) + content)
    data += certificates + tlv(0x31, tlv(0x30, signer) * signers)
    return tlv(0x30, bytes.fromhex(outer) + tlv(0xA0, tlv(0x30, data)))


def flaw(**change: object) -> tuple[int, tuple[str, ...]]:
    return verify_pkcs7(b"module", rebuilt(minimal(certificate()), **change), [der(certificate())])  # type: ignore[arg-type]


@core
def test_structures() -> None:
    """Each refusal where the kernel has it, with its words."""
    assert flaw() == (0, ())
    assert flaw(outer="06092a864886f70d010701") == (EINVAL, ("<4>PKCS7: Only support pkcs7_signedData type",))
    assert flaw(version=b"\2\1\2") == (EINVAL, ("<4>PKCS7: Unsupported SignedData version",))
    assert flaw(signer_version=b"\2\1\2") == (EINVAL, ("<4>PKCS7: Unsupported SignerInfo version",))
    mismatch = (EBADMSG, ("<4>PKCS7: SignedData-SignerInfo version mismatch",))
    assert flaw(signer_version=b"\2\1\3") == mismatch
    assert flaw(version=b"\2\1\3") == mismatch
    assert flaw(kind="06092a864886f70d010702") == (EINVAL, ("<4>PKCS7: Unsupported data type 20",))
    assert flaw(signers=0) == (EBADMSG, ())  # lib/asn1_decoder.c: SET OF wants one element
    assert flaw(signers=2) == (0, ())
    assert flaw(content=tlv(0xA0, tlv(4, b"module"))) == (EBADMSG, (
        "<4>PKCS7: Data already supplied", "<3>PKCS#7 signature with non-detached data",
    ))
    authenticode = "060a2b060104018237020104"
    assert flaw(kind=authenticode) == (EBADMSG, ("<4>PKCS7: Authenticode requires AuthAttrs",))


@core
def test_authenticated_attributes_are_not_for_modules() -> None:
    """pkcs7_verify, VERIFYING_MODULE_SIGNATURE; what openssl makes without -noattr."""
    options = (pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.NoCerts)
    message = sign(b"module", certificate(), options=options)
    expected = (EKEYREJECTED, ("<4>PKCS7: S/MIME Caps only allowed with Authenticode",))
    assert verify_pkcs7(b"module", message, [der(certificate())]) == expected
    message = sign(b"module", certificate(), options=(*options, pkcs7.PKCS7Options.NoCapabilities))
    expected = (EKEYREJECTED, ("<4>PKCS7: Invalid module sig (has authattrs)",))
    assert verify_pkcs7(b"module", message, [der(certificate())]) == expected
    assert flaw(attributes=tlv(0xA0, b"")) == (EBADMSG, ())


def attribute(oid: str, *values: bytes) -> bytes:
    return tlv(0x30, bytes.fromhex(oid) + tlv(0x31, b"".join(values)))


@core
def test_authenticated_attributes_that_cannot_be_read() -> None:
    """pkcs7_parser.c:pkcs7_sig_note_authenticated_attr, pkcs7_sig_note_set_of_authattrs"""
    kind = attribute("06092a864886f70d010903", bytes.fromhex("06092a864886f70d010701"))
    other = attribute("06092a864886f70d010903", bytes.fromhex("06092a864886f70d010702"))
    digest = attribute("06092a864886f70d010904", tlv(4, bytes(32)))
    no_string = attribute("06092a864886f70d010904", tlv(2, bytes(32)))
    missing = (EBADMSG, ("<4>PKCS7: Missing required AuthAttr",))
    assert flaw(attributes=tlv(0xA0, kind)) == missing
    assert flaw(attributes=tlv(0xA0, digest)) == missing
    repeated = (EKEYREJECTED, ("<4>PKCS7: Repeated/multivalue AuthAttrs not permitted",))
    assert flaw(attributes=tlv(0xA0, kind + digest + kind)) == repeated
    assert flaw(attributes=tlv(0xA0, other)) == (
        EBADMSG, ("<4>PKCS7: Mismatch between global data type (19) and sinfo 0 (20)",),
    )
    assert flaw(attributes=tlv(0xA0, kind + no_string)) == (EBADMSG, ())
    assert flaw(attributes=tlv(0xA0, kind + digest))[1] == ("<4>PKCS7: Invalid module sig (has authattrs)",)


@core
def test_messages_are_parsed_once_more_for_the_platform_key_ring() -> None:
    """kernel/module/signing.c:mod_verify_sig; so what the parser prints comes twice."""
    odd = bytes.fromhex("0603550405")  # serialNumber, which the registry does not have
    body = minimal(certificate())
    body[1] = body[1].replace(bytes.fromhex("0603550403"), odd)
    message = rebuilt(body)
    line = f"<4>PKCS7: Unknown OID: [{message.find(odd) + 2}] 2.5.4.5"
    assert verify_signature(join(b"module", message), ring()) == (ENOKEY, len(b"module"), (line, line))


@core
def test_signer_named_by_key_identifier() -> None:
    """Version 3: the subject key identifier of a key in the ring; the other kind of name means nothing."""
    skid = certificate().extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    three = {"version": b"\2\1\3", "signer_version": b"\2\1\3"}
    body = minimal(certificate())
    by_skid = [body[0], tlv(0x80, skid), *body[2:]]
    trusted = [der(certificate())]
    assert verify_pkcs7(b"module", rebuilt(by_skid, **three), trusted).errno == 0  # type: ignore[arg-type]
    assert verify_pkcs7(b"module", rebuilt(by_skid, **three), ring()).errno == ENOKEY  # type: ignore[arg-type]
    assert verify_pkcs7(b"module", rebuilt(by_skid), trusted).errno == EINVAL
    assert verify_pkcs7(b"module", rebuilt(body, **three), trusted).errno == EINVAL  # type: ignore[arg-type]


@core
def test_certificates_inside_the_message() -> None:
    """pkcs7_trust.c: the signer's certificate counts when its issuer is trusted, or it is trusted itself."""
    leaf = certificate("leaf", 1, "one", 0)
    options = PLAIN[:2]  # with the certificate
    message = sign(b"module", leaf, 1, options)
    assert der(leaf) in message
    assert verify_pkcs7(b"module", message, [der(certificate())]).errno == 0
    assert verify_pkcs7(b"module", message, [der(leaf)]).errno == 0
    assert verify_pkcs7(b"module", message, [der(certificate("else", 2))]).errno == ENOKEY
    assert verify_pkcs7(b"modul3", message, [der(certificate())]).errno == EKEYREJECTED
    # Signed with a key that is not the certificate's: noticed whether anybody trusts it or not, and the errno
    # is that of what comes out of RSA (crypto/rsa-pkcs1pad.c: mostly no leading zero byte).
    assert verify_pkcs7(b"module", sign(b"module", leaf, 2, options), ()).errno in (EINVAL, EBADMSG)
    own = sign(b"module", certificate(), 0, options)
    assert verify_pkcs7(b"module", own, [der(certificate())]).errno == 0
    assert verify_pkcs7(b"module", own, ring()).errno == ENOKEY
    assert flaw(certificates=tlv(0xA0, tlv(0x30, b"no certificate"))) == (EBADMSG, ())


@core
def test_keys_of_another_kind() -> None:
    """CONFIG_CRYPTO_ECDSA is not set: an EC key can be in the ring, and verifies nothing."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = common_name("curve")
    start = datetime.datetime(2026, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(datetime.datetime(2026, 2, 1))
    curve = builder.sign(private, hashes.SHA256())
    made = pkcs7.PKCS7SignatureBuilder().set_data(b"module").add_signer(curve, private, hashes.SHA256())
    message = made.sign(serialization.Encoding.DER, [*PLAIN, pkcs7.PKCS7Options.Binary])
    assert verify_pkcs7(b"module", message, [der(curve)]).errno == EKEYREJECTED
    assert verify_pkcs7(b"module", message, ring()).errno == ENOKEY


@core
def test_sprint_oid() -> None:
    """lib/oid_registry.c:sprint_oid, into 50 bytes"""
    assert sprint_oid(bytes.fromhex("2a864886f70d010702")) == "1.2.840.113549.1.7.2"
    assert sprint_oid(b"") == "(bad)"
    assert sprint_oid(b"\x2a\x86") == "1.2(bad)"
    assert sprint_oid(b"\x2a" + b"\1" * 99) == ("1.2" + ".1" * 99)[:49]


# --- garbage ---

GARBAGE = {
    "nothing": b"",
    "one byte": b"0",
    "text": b"this is no PKCS#7 message at all",
    "zeros": bytes(1000),
    "a length without an end": b"\x30\x84\xff\xff\xff\xff" * 50,
    "nested": b"\x30\x80" * 30000,
    "nested, long": b"\x30\x82\xff\xf0" * 15000,
    "empty sets": b"\x31\0" * 30000,
    "half a message": sign(b"", certificate())[:200],
}


@core
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(name: str) -> None:
    assert verify_pkcs7(b"module", GARBAGE[name], ring()) == (EBADMSG, ())


@core
def test_too_long_a_message() -> None:
    """lib/asn1_decoder.c:asn1_ber_decoder takes 65,535 bytes"""
    assert verify_pkcs7(b"", bytes(65536), ring()).errno == EMSGSIZE
    assert verify_pkcs7(b"", bytes(65535), ring()).errno == EBADMSG


POSSIBLE = {0, EBADMSG, EINVAL, ENOPKG, ENOKEY, EKEYREJECTED}


@core
@settings(max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 175), st.integers(0, 255)), min_size=1, max_size=4))
def test_edited_messages_never_raise(edits: list[tuple[int, int]]) -> None:
    body, message, _ = parts(crc16())
    edited = bytearray(message)
    for place, value in edits:
        edited[place] = value
    result = verify_pkcs7(body, bytes(edited), ring())
    assert result.errno in POSSIBLE
    assert all(line[:3] in ("<3>", "<4>") for line in result.log)


@core
@given(st.binary(max_size=300))
def test_any_bytes_never_raise(raw: bytes) -> None:
    assert verify_pkcs7(b"module", raw, ring()).errno in POSSIBLE
    assert verify_signature(raw + MARKER, ring()).errno in POSSIBLE | {ENODATA}


@core
def test_thousands_of_signers_take_bounded_time() -> None:
    """The largest message the decoder takes, over 20 MB of data, which are hashed once."""
    body = minimal(certificate())
    body[3] = b""
    message = rebuilt(body, signers=800)
    start = time.perf_counter()
    assert verify_pkcs7(bytes(20 << 20), message, ring()).errno == ENOKEY
    assert time.perf_counter() - start < 20


# --- another judge ---

@pytest.mark.tool
def test_openssl_agrees(tmp_path: Path, needs: Callable[[str], str]) -> None:
    """What `openssl cms` signs verifies here, and what it refuses is refused here."""
    openssl = needs("openssl")
    private = key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
    )
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "cert").write_bytes(certificate().public_bytes(serialization.Encoding.PEM))
    (tmp_path / "data").write_bytes(parts(crc16())[0])
    common = ["-signer", "cert", "-inkey", "key", "-in", "data", "-binary", "-outform", "DER"]
    trusted = [der(certificate())]
    for extra, errno in ((["-noattr", "-nocerts"], 0), (["-noattr"], 0), (["-nocerts"], EKEYREJECTED),
                         (["-noattr", "-nocerts", "-keyid"], 0),
                         (["-noattr", "-nocerts", "-nodetach"], EBADMSG),
                         (["-noattr", "-nocerts", "-keyopt", "rsa_padding_mode:pss"], ENOPKG)):
        command = [openssl, "cms", "-sign", *common, "-out", "message", *extra]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        message = (tmp_path / "message").read_bytes()
        assert verify_pkcs7(parts(crc16())[0], message, trusted).errno == errno, extra


@pytest.mark.tree
def test_every_module_of_the_distribution_verifies(tree: Path) -> None:
    seen = 0
    for path in sorted(tree.glob("kernel/**/*.ko")):
        assert verify_signature(path.read_bytes(), ring()).errno == 0, path
        seen += 1
    assert seen == 4023
