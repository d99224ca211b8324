# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own data as modules see them: read-only data, data and bss at their real addresses.

Everything is zero but what is put there: initial values that the profile knows, and what changes while it
runs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..memory import PAGE_SIZE, Area
from ..profile import KernelProfile
from .space import AddressSpace, new_area

END = 0xFFFFFFFF84430000


def kernel_data(profile: KernelProfile) -> Area:
    """From behind the text to the end of the bss; the host commits what is touched."""
    start = -(-profile.text[1] // PAGE_SIZE) * PAGE_SIZE
    return new_area(start, END - start, "kernel")


def store_words(space: AddressSpace, profile: KernelProfile, words: Mapping[str, int]) -> None:
    """Store 64-bit values of exported variables; those that this kernel does not have are skipped."""
    for name, value in words.items():
        export = profile.exports.get(name)
        if export is not None:
            space.store(export.address, value, 8)
