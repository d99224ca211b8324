# SPDX-License-Identifier: GPL-2.0-only
"""Is the module signed, by a key this kernel trusts? (``kernel/module/signing.c:module_sig_check``)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import (
    EKEYREJECTED,
    ENOKEY,
    ENOPKG,
    EPERM,
    MODULE_INIT_IGNORE_MODVERSIONS,
    MODULE_INIT_IGNORE_VERMAGIC,
    KernelError,
)
from .signature_check import ENODATA, verify_signature

if TYPE_CHECKING:
    from .load import Load

MANGLED = MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC
# Errors that are not fatal by themselves, and what a kernel that enforces signatures calls such a module
REASONS = {
    ENODATA: "unsigned module",
    ENOPKG: "module with unsupported crypto",
    ENOKEY: "module with unavailable key",
}


def judge_signature(errno: int, sig_enforce: bool, locked_down: bool) -> tuple[int, str]:
    """(errno, record): what follows from the result of the verification; (0, "") lets the load go on.

    ``errno``: 0 verified, 61 (ENODATA) no signature, else what the verification said.
    """
    if not errno:
        return 0, ""
    if errno not in REASONS:
        return errno, ""
    if sig_enforce:
        return EKEYREJECTED, f"<5>Loading of {REASONS[errno]} is rejected"
    if locked_down:
        return EPERM, "<5>Lockdown: {comm}: unsigned module loading is restricted; see man kernel_lockdown.7"
    return 0, ""


def module_sig_check(load: Load) -> None:
    """Verify and cut off the signature; ``load.sig_ok`` tells. Flags 1 and 2 mean a mangled, so unsigned,
    module."""
    kernel = load.kernel
    errno = ENODATA
    if not load.flags & MANGLED:
        errno = _verify(load)
    errno, record = load.pure("judge_signature")(errno, kernel.sig_enforce, kernel.lockdown != "none")
    if record:
        kernel.print_records((record.format(comm=kernel.comm),))
    if errno:
        raise KernelError(errno)


def _verify(load: Load) -> int:
    profile, ecdsa = load.profile, "CONFIG_CRYPTO_ECDSA" in load.profile.config
    result = verify_signature(load.image.data[: load.length], profile.keyring, (), ecdsa, profile.rules.oids)
    load.kernel.print_records(result.log)
    load.length = result.length
    load.sig_ok = result.errno == 0
    return result.errno
