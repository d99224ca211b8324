# SPDX-License-Identifier: GPL-2.0-only
"""02: from insmod to the kernel: permission, copying in chunks, the signature's trailer and what follows
from it.
"""

from __future__ import annotations

import struct
from random import Random

from ...errors import EBADMSG, EKEYREJECTED, ENOKEY, ENOPKG, EPERM
from ...loader import copying, permission, signature
from ...loader.signature_check import ENODATA, MARKER, PKEY_ID_PKCS7
from ..real import image
from ..task import Case, Claim, Task, drawn, fixed

TRAILER = 12  # include/linux/module_signature.h:struct module_signature
SIGNED = ("crc16", "libarc4", "libcrc32c", "dummy", "nls_cp437")
CAPABILITIES = ("CAP_SYS_MODULE", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_BOOT", "CAP_MAC_ADMIN")


def may_init_module(capabilities: list[str], modules_disabled: bool, needs: tuple[str, ...] = ()) -> bool:
    if not needs:
        return permission.may_init_module(capabilities, modules_disabled)
    return set(needs) <= set(capabilities) and not modules_disabled


def _caller(random: Random) -> Case:
    return random.sample(CAPABILITIES, random.randrange(5)), random.random() < 0.3


def _needs(random: Random) -> Case:
    needs = tuple(random.sample(CAPABILITIES, 2))
    has = random.choice((list(needs), list(needs[:1]), list(needs[1:]), list(CAPABILITIES)))
    return has, random.random() < 0.2, needs


def copy_chunks(length: int, chunk: int = 65536) -> list[tuple[int, int]]:
    if chunk == copying.COPY_CHUNK_SIZE:
        return copying.copy_chunks(length)
    return [(at, min(chunk, length - at)) for at in range(0, length, chunk)] or [(0, 0)]


def signature_of(data: bytes, marker: bytes = MARKER, order: str = "big") -> tuple[int, int, int]:
    if len(data) <= len(marker) or not data.endswith(marker):
        return ENODATA, len(data), 0
    whole = len(data) - len(marker)
    if whole <= TRAILER:
        return EBADMSG, whole, 0
    *fields, size = struct.unpack(">8BI" if order == "big" else "<8BI", data[whole - TRAILER : whole])
    if size >= whole - TRAILER:
        return EBADMSG, whole, 0
    if fields[2] != PKEY_ID_PKCS7:
        return ENOPKG, whole, 0
    if any(fields[:2] + fields[3:]):
        return EBADMSG, whole, 0
    return 0, whole - TRAILER - size, size


def _broken(random: Random) -> Case:
    data = bytearray(image(random.choice(SIGNED)))
    trailer = len(data) - len(MARKER) - TRAILER
    what = random.randrange(3)
    if what == 0:
        data[trailer + random.choice((0, 1, 3, 4, 5, 6, 7))] = 1
    elif what == 1:
        data[trailer + 2] = random.choice((0, 1, 3))
    else:
        data[trailer + 8 : trailer + 12] = struct.pack(
            ">I", len(data) - len(MARKER) - TRAILER + random.randrange(3)
        )
    return (bytes(data),)


def _other_trailer(random: Random) -> Case:
    data = image(random.choice(SIGNED))
    whole = len(data) - len(MARKER)
    size = struct.unpack(">I", data[whole - 4 : whole])[0]
    marker = b"~%s signed~\n" % random.choice((b"Firmware", b"Course", b"Bundle"))
    return data[: whole - 4] + struct.pack("<I", size) + marker, marker, "little"


NOT_FATAL = (ENODATA, ENOPKG, ENOKEY)


def judge_signature(
    errno: int, sig_enforce: bool, locked_down: bool, not_fatal: tuple[int, ...] = NOT_FATAL
) -> int:
    if set(not_fatal) == set(NOT_FATAL):
        return signature.judge_signature(errno, sig_enforce, locked_down)[0]
    if not errno or errno not in not_fatal:
        return errno
    return EKEYREJECTED if sig_enforce else EPERM if locked_down else 0


RESULTS = (0, ENODATA, ENOPKG, ENOKEY, EBADMSG, EKEYREJECTED)


def _verified(random: Random) -> Case:
    return random.choice(RESULTS), random.random() < 0.5, random.random() < 0.5


def _fewer(random: Random) -> Case:
    return *_verified(random), tuple(random.sample(NOT_FATAL, random.randrange(1, 3)))


TASKS = (
    Task(
        "may_init_module",
        "kernel/module/main.c:may_init_module",
        may_init_module,
        (
            Claim("root, and an ordinary user", 1, "public", fixed((["CAP_SYS_MODULE"], False), ([], False))),
            Claim(
                "modules_disabled stops even root",
                1,
                "hidden",
                fixed((["CAP_SYS_MODULE"], True), (list(CAPABILITIES), True), (["CAP_SYS_ADMIN"], False)),
            ),
            Claim("variant: several capabilities are needed, all of them", 2, "variant", drawn(80, _needs)),
        ),
        "set(needs) <= set(capabilities) is true when nothing needed is missing.",
        "may_init_module",
    ),
    Task(
        "copy_chunks",
        "kernel/module/main.c:copy_chunked_from_user",
        copy_chunks,
        (
            Claim("100,000 bytes", 1, "public", fixed((100_000,))),
            Claim(
                "a length that is a multiple of the chunk has no empty last chunk",
                1,
                "hidden",
                fixed((65536,), (131072,), (5 * 65536,), (65535,), (65537,)),
            ),
            Claim("length 0 is one empty chunk", 1, "hidden", fixed((0,))),
            Claim(
                "variant: chunks of another size",
                2,
                "variant",
                drawn(10, lambda random: (random.randrange(1, 1 << 20), 4096 * random.randrange(1, 15))),
            ),
        ),
        "min(chunk, length - offset) is a chunk's size. The kernel's loop is do … while: it runs "
        "once at least.",
        "copy_chunks",
    ),
    Task(
        "signature_of",
        "kernel/module/signing.c:mod_verify_sig, kernel/module_signature.c:mod_check_sig",
        signature_of,
        (
            Claim(
                "an unsigned and a signed module", 1, "public", fixed((image("hello"),), (image("crc16"),))
            ),
            Claim(
                "the distribution's signed modules", 1, "hidden", fixed(*((image(name),) for name in SIGNED))
            ),
            Claim(
                "a broken trailer: length first, then id_type, then the zeros",
                2,
                "hidden",
                drawn(24, _broken),
            ),
            Claim("too short for a trailer", 1, "hidden", fixed((MARKER,), (b"123456" + MARKER,))),
            Claim(
                "variant: another marker, the length little-endian", 3, "variant", drawn(4, _other_trailer)
            ),
        ),
        "The trailer is the 12 bytes before the marker: struct.unpack('>8BI', …); id_type is byte 2, "
        "sig_len the last "
        "four bytes.",
    ),
    Task(
        "judge_signature",
        "kernel/module/signing.c:module_sig_check",
        judge_signature,
        (
            Claim(
                "verified; unsigned and nobody insists",
                1,
                "public",
                fixed((0, True, True), (ENODATA, False, False)),
            ),
            Claim("enforced: EKEYREJECTED", 1, "hidden", fixed(*((e, True, False) for e in NOT_FATAL))),
            Claim(
                "locked down: EPERM, but enforcement comes first",
                1,
                "hidden",
                fixed(*((e, enforce, True) for e in NOT_FATAL for enforce in (False, True))),
            ),
            Claim("other errors are fatal as they are", 1, "hidden", drawn(40, _verified)),
            Claim("variant: another list of errors that are not fatal", 2, "variant", drawn(60, _fewer)),
        ),
        "Three questions in order: verified? an error that is always fatal? who insists?",
    ),
)
