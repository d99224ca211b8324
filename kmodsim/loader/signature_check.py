# SPDX-License-Identifier: GPL-2.0-only
"""The signature behind a module: marker, trailer, message (``kernel/module/signing.c:mod_verify_sig``)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from kmodsim.errors import EBADMSG, ENOKEY, ENOPKG, KernelError
from kmodsim.params.printk import KERN_ERR, printk

if TYPE_CHECKING:
    from ..profiles.rules import Oids

MARKER = b"~Module signature appended~\n"
ENODATA = 61  # what an unsigned module counts as, until its reason for being refused is looked up
PKEY_ID_PKCS7 = 2
_TRAILER = struct.Struct(">5B3sI")  # include/linux/module_signature.h:struct module_signature


class Trailer(NamedTuple):
    """``struct module_signature``: everything but ``id_type`` (2) and ``sig_len`` (bytes) must be 0."""

    algo: int
    hash: int
    id_type: int
    signer_len: int
    key_id_len: int
    pad: bytes
    sig_len: int


class Checked(NamedTuple):
    """What the check of an image came to.

    ``errno``: 0 verified, ENODATA (61) no marker, else why not; ``length``: how many bytes of the image are
    left as the module; ``log``: the records printed.
    """

    errno: int
    length: int
    log: tuple[str, ...] = ()


def verify_signature(
    image: bytes | memoryview,
    keyring: Sequence[bytes],
    platform: Sequence[bytes] = (),
    ecdsa: bool = False,
    oids: Oids | None = None,
) -> Checked:
    """``mod_verify_sig`` behind the search for the marker: cut the signature off and verify it.

    ``keyring`` and ``platform`` hold DER certificates; the platform ring is asked when the first does not
    have the key (CONFIG_INTEGRITY_PLATFORM_KEYRING), and the message is then parsed, and its records printed,
    twice. The image is not copied. What an errno means for the load is not decided here.
    """
    view = memoryview(image)
    if len(view) <= len(MARKER) or view[-len(MARKER) :] != MARKER:
        return Checked(ENODATA, len(view))
    whole = len(view) - len(MARKER)
    try:
        trailer = read_trailer(view[:whole])
        check_trailer(trailer, whole)
    except KernelError as error:
        return Checked(error.errno or EBADMSG, whole, tuple(error.dmesg))
    from kmodsim.pkcs7 import verify_pkcs7  # the libraries behind it take longer to import than all the rest

    length = whole - _TRAILER.size - trailer.sig_len
    data, message = view[:length], bytes(view[length : length + trailer.sig_len])
    errno, log = verify_pkcs7(data, message, keyring, ecdsa, oids)
    if errno == ENOKEY:
        errno, more = verify_pkcs7(data, message, platform, ecdsa, oids)
        log += more
    return Checked(errno, length, log)


def read_trailer(view: memoryview) -> Trailer:
    """The trailer at the end of the bytes before the marker; EBADMSG when there is no room for one."""
    if len(view) <= _TRAILER.size:
        raise KernelError(EBADMSG)
    return Trailer(*_TRAILER.unpack(view[-_TRAILER.size :]))


def check_trailer(trailer: Trailer, length: int) -> None:
    """``kernel/module_signature.c:mod_check_sig``; ``length`` counts the image up to the marker.

    EBADMSG for a wrong size or for fields that are not 0, ENOPKG (so: as unsigned) for another kind of
    message.
    """
    if trailer.sig_len >= length - _TRAILER.size:
        raise KernelError(EBADMSG)
    if trailer.id_type != PKEY_ID_PKCS7:
        line = "module: not signed with expected PKCS#7 message"
        raise KernelError(ENOPKG, dmesg=[printk(KERN_ERR, line)])
    if any((trailer.algo, trailer.hash, trailer.signer_len, trailer.key_id_len, *trailer.pad)):
        line = "module: PKCS#7 signature info has unexpected non-zero params"
        raise KernelError(EBADMSG, dmesg=[printk(KERN_ERR, line)])
