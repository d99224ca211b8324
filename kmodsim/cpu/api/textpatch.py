# SPDX-License-Identifier: GPL-2.0-only
"""Code that is changed while it runs: static branches turned, static calls given another function.

Only modules' code is patched, for the kernel's own is not here. Of the misuse that the kernel warns of (a key
enabled twice by static_key_slow_inc and then disabled) only the outcome is modelled, not the warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ...arch import x86_64_patching as x86
from ...loader.patching import return_thunk
from ...records import JUMP_ENTRY, STATIC_CALL_SITE
from ..abi import ptr, s32
from ..symbolize import in_module_text
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

JUMP_LABEL, STATIC_CALL = "kernel/jump_label.c", "kernel/static_call_inline.c"
BRANCH, INIT = 1, 2  # bits of jump_entry.key: the compiled branch jumps when the key is on; code of init
TAIL = 1  # bit of static_call_site.key
U64 = (1 << 64) - 1


def _rows(cpu: Cpu, section: str, record: Any) -> Iterator[tuple[int, tuple[int, ...], bool]]:
    """(address, fields, whether its module is COMING) of each row of every module's section of this name."""
    stays = {kind.name for kind in cpu.kernel.profile.rules.memories.kinds if not kind.init}
    for mod in cpu.kernel.known_modules:
        for table in [s for s in mod.all_sections if s.name == section and s.kind in stays]:
            size = table.size // record.itemsize * record.itemsize
            rows = np.frombuffer(cpu.space.read(table.address, size), record).tolist()
            for number, fields in enumerate(rows):
                yield table.address + number * record.itemsize, fields, mod.state == "COMING"


def _may_patch(cpu: Cpu, place: int, init: bool, coming: bool) -> bool:
    """jump_label_can_update: nothing of an init part that may be gone, nothing that is no code."""
    return (coming or not init) and in_module_text(cpu.kernel, place)


def _text_poke(cpu: Cpu, place: int, code: bytes) -> None:
    """``arch/x86/kernel/alternative.c:text_poke_bp``: other processors have to be thought of there."""
    cpu.space.poke(place, code)
    cpu.machine.forget(place, len(code))


# --- jump labels


def _enabled(cpu: Cpu, key: int) -> int:
    return cpu.space.number(key, 4, signed=True)


def _set_enabled(cpu: Cpu, key: int, value: int) -> None:
    """``atomic_set(&key->enabled)``; when it leaves or reaches 0 the branches follow (jump_label_update)."""
    turned = bool(_enabled(cpu, key)) != bool(value)
    cpu.space.store(key, value, 4)
    for address, (code, target, named), coming in _rows(cpu, "__jump_table", JUMP_ENTRY) if turned else ():
        place = address + code & U64
        ours = address + 8 + (named & ~3) & U64 == key
        if ours and _may_patch(cpu, place, bool(named & INIT), coming):
            _turn(cpu, place, address + 4 + target & U64, bool(value) != bool(named & BRANCH))


def _turn(cpu: Cpu, place: int, target: int, jump: bool) -> None:
    """arch_jump_label_transform: the branch is as long as the instruction that is there."""
    code = cpu.space.read(place, 2)
    length = 2 if code[0] == x86.JMP8 or code == x86.NOPS[2] else 5
    _text_poke(cpu, place, x86.patch_jump_label(place, target, length, jump))


@kernel_function(JUMP_LABEL)
def static_key_count(cpu: Cpu, key: ptr) -> s32:
    count = _enabled(cpu, key)
    return count if count >= 0 else 1


@kernel_function(JUMP_LABEL, "static_key_enable_cpuslocked")
def static_key_enable(cpu: Cpu, key: ptr) -> None:
    if _enabled(cpu, key) == 0:
        _set_enabled(cpu, key, 1)


@kernel_function(JUMP_LABEL, "static_key_disable_cpuslocked")
def static_key_disable(cpu: Cpu, key: ptr) -> None:
    if _enabled(cpu, key) == 1:
        _set_enabled(cpu, key, 0)


@kernel_function(JUMP_LABEL)
def static_key_fast_inc_not_disabled(cpu: Cpu, key: ptr) -> bool:
    """One more user of a key that is on; false when it is off, or has as many users as can be counted."""
    count = _enabled(cpu, key)
    if count <= 0 or count == (1 << 31) - 1:
        return False
    cpu.space.store(key, count + 1, 4)
    return True


@kernel_function(JUMP_LABEL)
def static_key_slow_inc(cpu: Cpu, key: ptr) -> bool:
    if static_key_fast_inc_not_disabled(cpu, key):
        return True
    if _enabled(cpu, key) != 0:
        return False
    _set_enabled(cpu, key, 1)
    return True


@kernel_function(JUMP_LABEL)
def static_key_slow_dec(cpu: Cpu, key: ptr) -> None:
    count = _enabled(cpu, key)
    if count > 0:
        _set_enabled(cpu, key, count - 1)


# --- static calls


@kernel_function(STATIC_CALL)
def __static_call_update(cpu: Cpu, key: ptr, tramp: ptr, func: ptr) -> None:
    """The key, its trampoline and every site follow; with no function they become returns and NOPs."""
    if cpu.space.number(key, 8) == func:
        return
    cpu.space.store(key, func, 8)
    if tramp:
        _transform(cpu, tramp, True, func)
    for address, (site, named), coming in _rows(cpu, ".static_call_sites", STATIC_CALL_SITE):
        place = address + site & U64
        if address + 4 + (named & ~3) & U64 == key and _may_patch(cpu, place, bool(named & INIT), coming):
            _transform(cpu, place, bool(named & TAIL), func)


def _transform(cpu: Cpu, place: int, tail: bool, func: int) -> None:
    """``arch/x86/kernel/static_call.c:__static_call_transform``."""
    return0 = cpu.kernel.address_of("__static_call_return0")
    _text_poke(cpu, place, x86.patch_static_call(place, tail, func, return0, return_thunk(cpu.kernel)))
