# SPDX-License-Identifier: GPL-2.0-only
"""What patching a module's code depends on in the running kernel: paravirt functions, static calls and keys.

All read from the booted kernel's data; the tables that say where to look are in the image.
"""

from __future__ import annotations

import struct
from typing import Any

from kmodsim.profilebuild.btf import Btf
from kmodsim.profilebuild.guest import Symbols
from kmodsim.profilebuild.vmlinux import Vmlinux

JUMP_ENTRY = struct.Struct("<iiq")  # include/linux/jump_label.h: code, target, key, each relative to itself
TRAMP_KEY = struct.Struct("<ii")  # include/linux/static_call_types.h:struct static_call_tramp_key
BRANCH, INIT = 1, 2  # bits of a jump entry's key
STATIC_KEY_TRUE = 1  # bit of static_key.type: its initial state


class LiveData:
    """The kernel's .data and .bss as they were in the booted kernel: start -> bytes."""

    def __init__(self, pieces: dict[int, bytes]) -> None:
        self.pieces = pieces

    def word(self, address: int, size: int = 8) -> int | None:
        """A little-endian number at ``address``; None where nothing was read."""
        for start, data in self.pieces.items():
            offset = address - start
            if 0 <= offset <= len(data) - size:
                return int.from_bytes(data[offset : offset + size], "little")
        return None


def patch_facts(
    image: Vmlinux, live: LiveData, table: Symbols, btf: Btf, exported: dict[str, int]
) -> dict[str, Any]:
    """Addresses as hexadecimal texts; ``exported``: name -> address.

    ``pv_ops``: the functions by slot; ``static_calls``: key -> function for the keys a module can name;
    ``static_call_tramps``: trampoline -> key; ``static_keys_changed``: keys no longer in their initial state.
    """
    slots = btf.layout("paravirt_patch_template", depth=1)[0] // 8
    pv_ops = table.address("pv_ops")
    tramps = _tramps(image, table)
    keys = {address for name, address in exported.items() if name.startswith("__SCK__")}
    called = {key: live.word(key) for key in sorted(keys | set(tramps.values()))}
    return {
        "pv_ops": [hex(live.word(pv_ops + 8 * slot) or 0) for slot in range(slots)],
        "static_calls": {hex(key): hex(function) for key, function in called.items() if function},
        "static_call_tramps": {hex(tramp): hex(key) for tramp, key in tramps.items()},
        **_pv_slots(btf),
        "static_keys_changed": [hex(key) for key in _changed_keys(image, live, table)],
    }


def _pv_slots(btf: Btf) -> dict[str, dict[str, int]]:
    """Names of the slots of pv_ops, where the kernel has native code for some (``native_patch``, before
    5.13)."""
    _, fields = btf.layout("paravirt_patch_template", depth=2)
    if "init.patch" not in fields:
        return {}
    return {"pv_slots": {name: offset // 8 for name, (offset, _) in fields.items() if "." in name}}


def _tramps(image: Vmlinux, table: Symbols) -> dict[int, int]:
    """EXPORT_STATIC_CALL_TRAMP: modules name only the trampoline, the kernel finds the key."""
    start, stop = (table.address(f"__{end}_static_call_tramp_key") for end in ("start", "stop"))
    rows = TRAMP_KEY.iter_unpack(image.read(start, stop - start))
    return {
        start + 8 * i + tramp: start + 8 * i + 4 + (key & ~3) for i, (tramp, key) in enumerate(rows)
    }


def _changed_keys(image: Vmlinux, live: LiveData, table: Symbols) -> list[int]:
    """Keys of the kernel's own jump table whose ``enabled`` is not what they started with."""
    start, stop = (table.address(f"__{end}___jump_table") for end in ("start", "stop"))
    places = (
        start + 16 * i + 8 + (key & ~(BRANCH | INIT))
        for i, (_, _, key) in enumerate(JUMP_ENTRY.iter_unpack(image.read(start, stop - start)))
    )
    changed = []
    for key in sorted(set(places)):
        enabled, kind = live.word(key, 4), live.word(key + 8)
        if enabled is not None and kind is not None and (enabled > 0) != bool(kind & STATIC_KEY_TRUE):
            changed.append(key)
    return changed
