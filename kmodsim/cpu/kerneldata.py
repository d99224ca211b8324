# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own data as modules see them: read-only data, data and bss at their real addresses.

Everything is zero but what is put there: initial values that the profile knows, and what changes while it
runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from ..memory import PAGE_SIZE, Area
from ..profile import KernelProfile
from .space import AddressSpace, new_area


def kernel_data(profile: KernelProfile) -> Area:
    """From behind the text to the end of the bss, initialized; the host commits what is touched."""
    start = -(-profile.text[1] // PAGE_SIZE) * PAGE_SIZE
    area = new_area(start, (profile.kallsyms.address_of("_end") or start) - start, "kernel")
    for offset, content in _initial(profile, start):
        area.data[offset : offset + len(content)] = np.frombuffer(content, np.uint8)
    return area


@cache
def _initial(profile: KernelProfile, start: int) -> list[tuple[int, bytes]]:
    """(offset, bytes) of the variables that are not zero at boot."""
    places = [(profile.exports[name].address - start, content) for name, content in profile.contents.items()]
    pv_ops = profile.exports.get("pv_ops")
    if pv_ops is not None:
        pointers = b"".join(pointer.to_bytes(8, "little") for pointer in profile.patching.pv_ops)
        places.append((pv_ops.address - start, pointers))
    return places


def store_words(space: AddressSpace, profile: KernelProfile, words: Mapping[str, int]) -> None:
    """Store 64-bit values of exported variables; those that this kernel does not have are skipped."""
    for name, value in words.items():
        export = profile.exports.get(name)
        if export is not None:
            space.store(export.address, value, 8)
