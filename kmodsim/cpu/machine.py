# SPDX-License-Identifier: GPL-2.0-only
"""The processor: Unicorn over the kernel's own memory, by pointer, so that nothing is ever copied.

``run`` goes on from an address until something stops it, and says what. It knows nothing of functions or
tasks.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import unicorn as uc
from unicorn import x86_const as x86

from ..errors import NotModelled
from ..memory import EXEC, PAGE_SIZE, READ, WRITE, Area
from ..profile import KernelProfile
from .kerneltext import HLT, text_segments
from .space import Access, AddressSpace, GuestFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Watcher = Callable[[int, int], None]

GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
NAMES = (*GENERAL, "rip", "eflags", "gs_base", "fs_base")
REGISTER: dict[str, int] = {name: getattr(x86, f"UC_X86_REG_{name.upper()}") for name in NAMES}
AT_A_STOP = [REGISTER[n] for n in ("rip", "rsp", "rdi", "rsi", "rdx", "rcx", "r8", "r9")]
PROTECTION = {READ: uc.UC_PROT_READ, WRITE: uc.UC_PROT_WRITE, EXEC: uc.UC_PROT_EXEC}
ACCESS: dict[int, Access] = {
    uc.UC_MEM_READ_UNMAPPED: "read", uc.UC_MEM_WRITE_UNMAPPED: "write", uc.UC_MEM_FETCH_UNMAPPED: "execute",
    uc.UC_MEM_READ_PROT: "read", uc.UC_MEM_WRITE_PROT: "write", uc.UC_MEM_FETCH_PROT: "execute",
}  # fmt: skip
UNMAPPED = (uc.UC_MEM_READ_UNMAPPED, uc.UC_MEM_WRITE_UNMAPPED, uc.UC_MEM_FETCH_UNMAPPED)
INVALID_OPCODE = 6


class Stop(NamedTuple):
    """Why the machine stopped at ``rip``: "hlt" (``rip`` is the hlt's address), "fault" (a memory access),
    "trap" (an exception, by its vector) or "limit" (as many instructions as allowed)."""

    kind: str
    rip: int
    fault: GuestFault | None = None
    vector: int = 0


class Machine:
    """One processor. Areas of the address space are mapped when code first touches them."""

    def __init__(self, space: AddressSpace, profile: KernelProfile) -> None:
        self.space = space
        machine: Any = uc.Uc(uc.UC_ARCH_X86, uc.UC_MODE_64)  # some of its methods are made at run time
        self._uc = machine
        self._uc.ctl_set_tlb_mode(uc.UC_TLB_VIRTUAL)  # else addresses above 2^52 count as unmapped
        self._mapped: dict[int, tuple[Area, bytes]] = {}
        self._text = list(text_segments(profile))
        for start, code in self._text:
            self._uc.mem_map_ptr(start, len(code), uc.UC_PROT_READ | uc.UC_PROT_EXEC, code.ctypes.data)
        self._fault: GuestFault | None = None
        self._vector: int | None = None
        self._uc.hook_add(uc.UC_HOOK_MEM_UNMAPPED | uc.UC_HOOK_MEM_PROT, self._on_memory)
        self._uc.hook_add(uc.UC_HOOK_INTR, self._on_interrupt)

    # --- registers

    def __getitem__(self, name: str) -> int:
        return int(self._uc.reg_read(REGISTER[name]))

    def __setitem__(self, name: str, value: int) -> None:
        self._uc.reg_write(REGISTER[name], value)

    def read(self, names: Iterable[str]) -> tuple[int, ...]:
        """Several registers at once."""
        return tuple(self._uc.reg_read_batch([REGISTER[name] for name in names]))

    def write(self, values: dict[str, int]) -> None:
        """Several registers at once."""
        self._uc.reg_write_batch([(REGISTER[name], value) for name, value in values.items()])

    def at_a_stop(self) -> tuple[int, ...]:
        """rip, rsp and the six argument registers."""
        return tuple(self._uc.reg_read_batch(AT_A_STOP))

    # --- memory

    def sync(self) -> None:
        """Follow what happened to the address space: forget areas that are gone, protect changed pages
        anew."""
        for start, (area, pages) in list(self._mapped.items()):
            if self.space.area_at(start) is not area or area.pages != pages:
                self._unmap(area, pages)

    def _map(self, area: Area) -> None:
        for first, length, access in _runs(area.pages):
            protection = sum(bit for flag, bit in PROTECTION.items() if access & flag)
            place = area.data.ctypes.data + first
            self._uc.mem_map_ptr(area.start + first, length, protection, place)
        self._mapped[area.start] = (area, bytes(area.pages))

    def _unmap(self, area: Area, pages: bytes) -> None:
        del self._mapped[area.start]
        for first, length, access in _runs(pages):
            self._uc.mem_unmap(area.start + first, length)
            if access & EXEC:
                self._uc.ctl_remove_cache(area.start + first, area.start + first + length)

    def forget(self, address: int, length: int) -> None:
        """The code there has changed: translate it anew."""
        self._uc.ctl_remove_cache(address, address + length)

    # --- watching

    def watch(self, step: Watcher, store: Watcher) -> Callable[[], None]:
        """Call ``step(address, size)`` before each instruction, ``store(address, size)`` before each write,
        until the function that is returned is called. Code translated before has no such calls in it."""
        hooks = [
            self._uc.hook_add(uc.UC_HOOK_CODE, lambda _uc, address, size, _data: step(address, size)),
            self._uc.hook_add(
                uc.UC_HOOK_MEM_WRITE, lambda _uc, _kind, address, size, _value, _data: store(address, size)
            ),
        ]
        self._uc.ctl_flush_tb()

        def stop() -> None:
            for hook in hooks:
                self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()

        return stop

    def kernel_code(self, address: int, size: int) -> bytes:
        """Bytes of the kernel's text as it is here; b"" elsewhere."""
        for start, code in self._text:
            if start <= address < start + len(code):
                return code[address - start : address - start + size].tobytes()
        return b""

    # --- running

    def run(self, rip: int, count: int) -> Stop:
        """Go on at ``rip`` for at most ``count`` instructions."""
        self._fault = self._vector = None
        try:
            self._uc.emu_start(rip, 1, count=count)
        except uc.UcError as error:
            return self._failed(error)
        now = self["rip"]
        if self._vector is not None:
            return Stop("trap", now, vector=self._vector)
        return Stop("hlt", now - 1) if self._is_hlt(now - 1) else Stop("limit", now)

    def _is_hlt(self, address: int) -> bool:
        """Whether it was a hlt that stopped us, not the number of instructions."""
        for start, code in self._text:
            if start <= address < start + len(code):
                return bool(code[address - start] == HLT)
        area = self.space.area_at(address)
        return area is not None and bool(area.data[address - area.start] == HLT)

    def _failed(self, error: Any) -> Stop:
        now = self["rip"]
        if self._fault is not None:
            return Stop("fault", now, self._fault)
        if error.errno == uc.UC_ERR_INSN_INVALID:
            return Stop("trap", now, vector=INVALID_OPCODE)
        raise NotModelled(f"the emulated processor gave up at {now:#x}: {error}") from None

    def _on_memory(self, _uc: Any, access: int, address: int, size: int, _value: int, _data: Any) -> bool:
        address &= (1 << 64) - 1
        if access in UNMAPPED:
            area = self.space.area_at(address)
            if area is not None and area.start not in self._mapped:
                self._map(area)
                return True
        self._fault = GuestFault(address, ACCESS[access], present=access not in UNMAPPED)
        return False

    def _on_interrupt(self, _uc: Any, vector: int, _data: Any) -> None:
        self._vector = vector
        self._uc.emu_stop()


def _runs(pages: bytes | bytearray) -> Iterator[tuple[int, int, int]]:
    """(offset, length in bytes, permissions) of pages alike, one after the other."""
    place = 0
    for access, group in groupby(pages):
        length = PAGE_SIZE * sum(1 for _ in group)
        yield place, length, access
        place += length
