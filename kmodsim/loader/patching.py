# SPDX-License-Identifier: GPL-2.0-only
"""The stages in which the kernel rewrites the loaded module: what is where comes from the module's own
tables.

Models ``arch/x86/kernel/module.c:module_finalize`` and what ftrace, jump labels and static calls do
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..arch import x86_64_patching as x86
from ..errors import KernelError, KernelOops
from ..memory import Change
from ..records import JUMP_ENTRY, PARAVIRT_SITE, SHF_ALLOC, STATIC_CALL_SITE, Bytes, view
from .load import SectionHeader

if TYPE_CHECKING:
    from ..kernel import Kernel
    from .load import Load

LOCK_PREFIX, DS_PREFIX = 0xF0, 0x3E
STATIC_CALL_TAIL, STATIC_CALL_INIT = 1, 2
JUMP_BRANCH, JUMP_INIT = 1, 2
U64 = (1 << 64) - 1


def last_section(load: Load, name: str) -> SectionHeader | None:
    """module_finalize goes by name alone, and the last section of a name wins; one that is not loaded is
    skipped."""
    found = next((s for s in reversed(load.sections) if s.name == name), None)
    return found if found is not None and found.flags & SHF_ALLOC and found.size else None


class Poked:
    """Many patched places as changes; bytes are made when somebody reads them."""

    def __init__(self, places: NDArray[np.int64], base: int, before: Bytes, after: Bytes) -> None:
        self._places, self._base, self._before, self._after = places, base, before, after
        self.size = int(after.size)

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, i: int) -> Change:
        if i >= len(self._places):
            raise IndexError(i)
        before, after = self._before[i].tobytes(), self._after[i].tobytes()
        return Change(self._base + int(self._places[i]), before, after)


Rewrite = Callable[[Bytes, NDArray[np.bool_]], tuple[NDArray[np.bool_], Bytes]]


def poke(load: Load, places: NDArray[Any], rewrite: Rewrite, *, width: int = 5) -> int:
    """Rewrite ``width`` bytes at many addresses at once; returns how many were.

    ``rewrite`` gets the bytes there, one row a place, and which places these are; it answers which rows
    change and what all become.
    A place outside the module's memory is a page fault.
    """
    module, done = load.module, 0
    assert module is not None
    left = len(places)
    for area in module.areas.values():
        if not left:
            break
        offsets: NDArray[Any] = places - np.uint64(area.start)
        mine = offsets <= np.uint64(len(area.data) - width)  # what is below has wrapped
        offsets = offsets[mine].view(np.int64)
        left -= len(offsets)
        spots = np.ndarray(len(area.data) - width + 1, f"V{width}", area.data, strides=(1,))
        before = spots[offsets].view(np.uint8).reshape(-1, width)
        chosen, after = rewrite(before, mine)
        if not chosen.all():
            offsets, before, after = offsets[chosen], before[chosen], after[chosen]
        spots[offsets] = np.ascontiguousarray(after).view(spots.dtype)[:, 0]
        done += len(offsets)
        if load.kernel.memory.journal is not None and len(offsets):
            load.kernel.memory.journal.append(Poked(offsets, area.start, before, after))
    if left:
        raise KernelOops("page fault: a table names a place outside the module's memory")
    return done


def self_relative(load: Load, section: SectionHeader) -> NDArray[np.uint64]:
    """The addresses a table of self-relative 32-bit offsets names."""
    offsets = load.bytes_of(section)[: section.size // 4 * 4].view("<i4").astype(np.int64)
    return (offsets + 4 * np.arange(len(offsets))).view(np.uint64) + np.uint64(section.addr)


def read(load: Load, address: int, length: int) -> bytes:
    try:
        return load.kernel.memory.read(address & U64, length)
    except KernelError:
        raise KernelOops(f"page fault reading {length} bytes at {address & U64:#018x} for patching") from None


def write(load: Load, address: int, data: bytes) -> None:
    load.kernel.memory.write(address & U64, data)


def apply_paravirt(load: Load) -> None:
    """Calls through pv_ops become direct calls."""
    kernel, patch = load.kernel, load.pure("patch_paravirt")
    nop, bug = kernel.address_of("_paravirt_nop"), kernel.address_of("paravirt_BUG")
    slots = kernel.profile.patching.pv_ops
    for instr, kind, length in paravirt_sites(load):
        write(load, instr, patch(instr, length, slots[kind], nop, bug))


def paravirt_sites(load: Load) -> Iterator[tuple[int, int, int]]:
    """(address, slot of pv_ops, bytes) of the entries of ``.parainstructions``."""
    section, slots = last_section(load, ".parainstructions"), len(load.profile.patching.pv_ops)
    data = load.bytes_of(section) if section else np.zeros(0, np.uint8)
    padded = np.append(data, np.zeros(-len(data) % 16, np.uint8))  # the last entry may end before its padding
    for instr, kind, length, _ in view(padded, 0, len(padded) // 16, PARAVIRT_SITE).tolist():
        if kind >= slots or length < 5:
            raise KernelOops(f"a paravirt site of {length} bytes with type {kind}")
        read(load, instr, length)
        yield instr, kind, length


def apply_retpolines(load: Load) -> None:
    """Calls of the indirect thunks stay with retpolines on; without them they become indirect calls."""
    section = last_section(load, ".retpoline_sites")
    if section is None or (load.kernel.has("X86_FEATURE_RETPOLINE") and not _lfence(load)):
        return
    if load.kernel.has("X86_FEATURE_INDIRECT_THUNK_ITS"):
        load.note = "not modelled: ITS thunks in pages of their own"
        return
    first = load.kernel.address_of("__x86_indirect_thunk_array")
    for place in self_relative(load, section).tolist():
        code = read(load, place, 6)
        length = 6 if code[0] == 0x2E else 5
        opcode = code[length - 5]
        target = place + length + int.from_bytes(code[length - 4 : length], "little", signed=True)
        if opcode not in (x86.CALL, x86.JMP32):
            load.note = "not modelled: a conditional jump to an indirect thunk"
            continue
        new = load.pure("patch_retpoline")(opcode, length, (target - first & U64) // 32 & 15, _lfence(load))
        if new is not None:
            write(load, place, new)


def _lfence(load: Load) -> bool:
    return load.kernel.has("X86_FEATURE_RETPOLINE_LFENCE")


def apply_returns(load: Load) -> None:
    """Jumps to the return thunk become plain returns, or jumps to the thunk that this processor needs."""
    section = last_section(load, ".return_sites")
    if section is None:
        return
    places = self_relative(load, section)
    thunk, home = return_thunk(load.kernel), load.kernel.address_of("__x86_return_thunk")

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        after = np.tile(np.frombuffer(x86.RET5, np.uint8), (len(before), 1))
        return _jumps_to(home, places[which], before), after

    if thunk is None and not load.replaced("patch_return"):
        if poke(load, places, rewrite) < len(places):
            load.kernel.add_taint("W")  # WARN_ONCE "missing return thunk", whose report is not modelled
        return
    for place in places.tolist():
        code = np.frombuffer(read(load, place, 5), np.uint8)[None]
        if not _jumps_to(home, np.array([place], np.uint64), code)[0]:
            load.kernel.add_taint("W")
            continue
        wanted = thunk if thunk != load.kernel.address_of("its_return_thunk") or not place & 0x20 else None
        write(load, place, load.pure("patch_return")(place, wanted))


def _jumps_to(target: int, places: NDArray[np.uint64], code: Bytes) -> NDArray[np.bool_]:
    """Which rows of five bytes are a jump to ``target``, each from its place."""
    distance = np.ascontiguousarray(code[:, 1:5]).view("<i4")[:, 0].astype(np.int64).view(np.uint64)
    reached: NDArray[np.bool_] = places + np.uint64(5) + distance == np.uint64(target)
    return reached & (code[:, 0] == x86.JMP32)


def return_thunk(kernel: Kernel) -> int | None:
    """Address of the return thunk in use, None where returns are plain (no X86_FEATURE_RETHUNK)."""
    if not kernel.has("X86_FEATURE_RETHUNK"):
        return None
    return kernel.address_of(kernel.cpu_facts.return_thunk or "__x86_return_thunk")


def alternatives(load: Load, section: SectionHeader) -> list[x86.AltInstr]:
    """The entries of ``.altinstructions``."""
    layout = load.rules.alt_instr
    table = view(load.bytes_of(section), 0, section.size // layout.itemsize, layout)
    places = range(section.addr, section.addr + len(table) * layout.itemsize, layout.itemsize)
    rows = zip(places, table.tolist(), strict=True)
    return [x86.AltInstr(place + row[0], place + 4 + row[1], *row[2:]) for place, row in rows]


def apply_alternatives(load: Load) -> None:
    """Code for the features of this processor takes the place of the code for all."""
    section = last_section(load, ".altinstructions")
    if section is None:
        return
    patch, features = load.pure("apply_alternative"), load.kernel.features
    for entry in alternatives(load, section):
        code = read(load, entry.instr, max(entry.instrlen, entry.replacementlen))
        new = patch(entry, code, read(load, entry.replacement, entry.replacementlen), features)
        if new != code:
            write(load, entry.instr, new)


def alternatives_smp_module_add(load: Load) -> None:
    """With one processor the lock prefixes in .text are not needed: they become harmless DS prefixes."""
    text = last_section(load, ".text")
    if text is not None:
        unlock(load, text.addr, text.size)


def unlock(load: Load, start: int, size: int) -> None:
    """The lock prefixes of ``.smp_locks`` within this text go, if there is one processor only."""
    locks = last_section(load, ".smp_locks")
    if locks is None or load.kernel.cpus != 1:
        return
    places = self_relative(load, locks)
    inside = (places >= np.uint64(start)) & (places < np.uint64((start + size) & U64))

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        return before[:, 0] == LOCK_PREFIX, np.full_like(before, DS_PREFIX)

    poke(load, places[inside], rewrite, width=1)


def ftrace_module_init(load: Load) -> None:
    """Every call of ``__fentry__`` becomes a NOP until somebody traces the function; the list is sorted."""
    section = load.named("__mcount_loc")
    places = load.bytes_of(section)[: section.size // 8 * 8].view("<u8")
    if not len(places):
        return
    write(load, section.addr, np.sort(places).tobytes())
    found, nop = places[places != 0].copy(), load.pure("ftrace_nop_replace")()

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        after = np.tile(np.frombuffer(nop, np.uint8), (len(before), 1))
        return before[:, 0] == x86.CALL, after

    poke(load, found, rewrite)


def jump_label_add_module(load: Load) -> None:
    """The table of static branches is sorted by key; branches whose key has left its first state are
    rewritten."""
    section = load.named("__jump_table")
    table = view(load.bytes_of(section), 0, section.size // JUMP_ENTRY.itemsize, JUMP_ENTRY)
    module = load.module
    if not len(table) or module is None:
        return
    base = section.addr - (1 << 64)
    own = base + 16 * np.arange(len(table), dtype=np.int64)
    code, target, key = table["code"] + own, table["target"] + own + 4, table["key"] + own + 8
    flags = key & JUMP_BRANCH
    order = np.lexsort((code, key >> 2))
    code, target, key, flags = code[order], target[order], key[order] & ~3, flags[order]
    in_init = _within_init(load, code)
    new = np.empty(len(table), JUMP_ENTRY)
    new["code"], new["target"] = code - own, target - own - 4
    new["key"] = (key - own - 8) | flags | np.where(in_init, JUMP_INIT, 0)
    write(load, section.addr, new.tobytes())
    changed = load.profile.patching.static_keys_changed
    for i in [i for i, at in enumerate(key.view(np.uint64).tolist()) if at in changed]:
        _rewrite_branch(load, int(code[i]) & U64, int(target[i]) & U64, bool(flags[i]))


def _within_init(load: Load, places: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``within_module_init`` for many."""
    found, areas = np.zeros(len(places), bool), load.module.areas if load.module else {}
    for area in (areas[kind.name] for kind in load.memories.kinds if kind.init and kind.name in areas):
        found |= (places >= area.start - (1 << 64)) & (places < area.end - (1 << 64))
    return found


def _rewrite_branch(load: Load, place: int, target: int, branch: bool) -> None:
    code = read(load, place, 5)
    length = 2 if code[0] == x86.JMP8 or code[:2] == x86.NOPS[2] else 5
    was_jump = code[0] in (x86.JMP8, x86.JMP32)
    write(load, place, load.pure("patch_jump_label")(place, target, length, not was_jump))


def static_call_add_module(load: Load) -> None:
    """Calls through a trampoline become direct calls of what the key points to now; the table is sorted by
    key."""
    section = load.named(".static_call_sites")
    table = view(load.bytes_of(section), 0, section.size // STATIC_CALL_SITE.itemsize, STATIC_CALL_SITE)
    if not len(table) or load.module is None:
        return
    own = section.addr - (1 << 64) + 8 * np.arange(len(table), dtype=np.int64)
    place, named = table["addr"] + own, table["key"] + own + 4
    keys, rank = _keys(load, named & ~3)
    flags = named & 3 | np.where(_within_init(load, place), STATIC_CALL_INIT, 0)
    order = load.rules.sort_order(rank.tolist())
    new = np.empty(len(table), STATIC_CALL_SITE)
    new["addr"], new["key"] = place[order] - own, (keys[rank].view(np.int64) | flags)[order] - own - 4
    write(load, section.addr, new.tobytes())
    _transform(load, place.view(np.uint64), named & STATIC_CALL_TAIL != 0, _called(load, keys)[rank])


def _keys(load: Load, named: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(all keys in the order of their addresses, which of them each site has); a trampoline names its key."""
    known = load.profile.patching.static_call_tramps
    names, name_of = np.unique(named.view(np.uint64), return_inverse=True)
    keys, key_of = np.unique(
        np.array([known.get(name, name) for name in names.tolist()], np.uint64), return_inverse=True
    )
    return keys, key_of[name_of]


def _transform(
    load: Load, places: NDArray[np.uint64], tail: NDArray[np.bool_], function: NDArray[np.uint64]
) -> None:
    """Every site becomes what its key asks for now (``__static_call_transform``)."""
    return0 = load.kernel.address_of("__static_call_return0")
    wanted = np.empty((len(places), 5), np.uint8)
    wanted[:, 0] = np.where(tail, x86.JMP32, x86.CALL)
    wanted[:, 1:] = (function - places - np.uint64(5)).astype("<u4").view(np.uint8).reshape(-1, 4)
    special = (function == 0) | ((function == np.uint64(return0)) & ~tail)
    if load.replaced("patch_static_call"):
        special[:] = True
    patch, thunk = load.pure("patch_static_call"), return_thunk(load.kernel)
    for i in np.flatnonzero(special).tolist():
        code = patch(int(places[i]), bool(tail[i]), int(function[i]), return0, thunk)
        wanted[i] = np.frombuffer(code, np.uint8)

    def rewrite(before: Bytes, which: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Bytes]:
        conditional = (before[:, 0] == 0x0F) & (before[:, 1] & 0xF0 == 0x80)
        if conditional.any():
            load.note = "not modelled: a conditional jump as static call"
        return ~conditional, wanted[which]

    poke(load, places, rewrite)


def _called(load: Load, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """``key->func``: in a module's memory as it is, in the kernel as it was when the profile was made."""
    booted, memory = load.profile.patching.static_calls, load.kernel.memory
    found = [
        int.from_bytes(read(load, key, 8), "little") if memory.area_at(key) else booted.get(key, 0)
        for key in keys.tolist()
    ]
    return np.array(found, np.uint64)
