# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's memory as the loader sees it: the module area, per-CPU offsets, small heap strings, user
memory.

Addresses are plain ints. Only memory that the loader owns has bytes; reading anything else is a page fault.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .errors import EFAULT, ENOMEM, KernelError
from .records import Bytes

PAGE_SIZE = 4096
READ, WRITE, EXEC = 1, 2, 4
LAZY_MAX = 32 << 20  # mm/vmalloc.c:lazy_max_pages with one processor
U64 = (1 << 64) - 1


def page_align(size: int) -> int:
    """``size`` rounded up to whole pages (``PAGE_ALIGN``)."""
    return (size + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1)


class Region(NamedTuple):
    """A range of kernel addresses in use: ``kind`` is "core", "init", "percpu", … and ``owner`` the
    module's name."""

    start: int
    size: int
    kind: str
    owner: str


@dataclass(eq=False, slots=True)
class Area:
    """One vmalloc allocation: its bytes and one permission byte (READ|WRITE|EXEC) per page."""

    start: int
    data: Bytes
    kind: str
    owner: str
    pages: bytearray = field(default_factory=bytearray)
    reset_perms: bool = False  # VM_FLUSH_RESET_PERMS: freeing it flushes at once

    @property
    def end(self) -> int:
        return self.start + len(self.data)


class Change(NamedTuple):
    """Bytes that changed: address, what was there before, what is there now."""

    start: int
    before: bytes
    after: bytes


Journal = list[Any]  # of Change, or of objects that iterate as Changes (see loader/relocate.py)


def find_vmap_area(holes: Sequence[tuple[int, int]], size: int) -> int | None:
    """First fit: the lowest address where ``size`` bytes fit into ``holes`` [(start, end)], lowest first;
    else None.

    Models ``mm/vmalloc.c:find_vmap_lowest_match`` for page alignment; ``size`` includes the guard page.
    """
    for start, end in holes:
        if end - start >= size:
            return start
    return None


class Memory:
    """The module area of the address space (``MODULES_VADDR`` … ``MODULES_END``) and what lives in it."""

    def __init__(self, low: int, high: int, occupied: Sequence[tuple[int, int, str]] = ()) -> None:
        self.low, self.high = low, high
        self.holes: list[tuple[int, int]] = [(low, high)]
        self.areas: dict[int, Area] = {}
        self._starts: list[int] = []
        self._boot: list[Region] = []
        self.percpu: dict[int, Region] = {}
        self.journal: Journal | None = None
        self.lazy: list[tuple[int, int]] | None = None  # freed but not yet flushed, where a kernel does that
        self.find: Callable[[Sequence[tuple[int, int]], int], int | None] = find_vmap_area
        for start, size, what in occupied:
            self._take(start, size)
            self._boot.append(Region(start, size, what, ""))

    @property
    def regions(self) -> list[Region]:
        """All ranges in use, ordered by address; equal before and after a load that failed."""
        mine = [Region(a.start, len(a.data), a.kind, a.owner) for a in self.areas.values()]
        return sorted([*self._boot, *mine, *self.percpu.values()])

    def _take(self, start: int, size: int) -> None:
        for i, (low, high) in enumerate(self.holes):
            if low <= start and start + size <= high:
                self.holes[i : i + 1] = [h for h in ((low, start), (start + size, high)) if h[0] < h[1]]
                return
        raise KernelError(ENOMEM, why=f"{start:#x} is not free")

    def _give_back(self, start: int, size: int) -> None:
        insort(self.holes, (start, start + size))
        i = self.holes.index((start, start + size))
        for j in (i, i - 1):  # merge with the hole above, then with the one below
            if 0 <= j < len(self.holes) - 1 and self.holes[j][1] == self.holes[j + 1][0]:
                self.holes[j : j + 2] = [(self.holes[j][0], self.holes[j + 1][1])]

    def vmalloc(self, size: int, kind: str, owner: str) -> Area:
        """Zeroed pages in the module area at the lowest address, writable, with one guard page behind them.

        Models ``arch/x86/kernel/module.c:module_alloc``; ENOMEM when there is no room (nothing is printed).
        """
        length = page_align(size)
        start = self.find(list(self.holes), length + PAGE_SIZE) if length else None
        if start is None and self.lazy:
            self._purge()
            start = self.find(list(self.holes), length + PAGE_SIZE)
        if start is None:
            raise KernelError(ENOMEM, why=f"no room for {size} bytes in the module area")
        self._take(int(start), length + PAGE_SIZE)
        area = Area(
            int(start),
            np.zeros(length, np.uint8),
            kind,
            owner,
            bytearray([READ | WRITE]) * (length // PAGE_SIZE),
        )
        self.areas[area.start] = area
        insort(self._starts, area.start)
        return area

    def vfree(self, area: Area | None) -> None:
        """Give an area and its guard page back; None is fine, as with ``vfree(NULL)``."""
        if area is None or self.areas.get(area.start) is not area:
            return
        del self.areas[area.start]
        del self._starts[bisect_left(self._starts, area.start)]
        if self.lazy is None:
            self._give_back(area.start, len(area.data) + PAGE_SIZE)
            return
        self.lazy.append((area.start, len(area.data) + PAGE_SIZE))
        if area.reset_perms or sum(size for _, size in self.lazy) > LAZY_MAX:
            self._purge()

    def _purge(self) -> None:
        """``mm/vmalloc.c:__purge_vmap_area_lazy``."""
        for start, size in self.lazy or ():
            self._give_back(start, size)
        self.lazy = []

    def area_at(self, address: int) -> Area | None:
        """The area that holds ``address``, or None."""
        i = bisect_right(self._starts, address)
        area = self.areas[self._starts[i - 1]] if i else None
        return area if area is not None and address < area.start + len(area.data) else None

    def view(self, address: int, length: int) -> Bytes:
        """The bytes themselves (no copy); KernelError(EFAULT) where they are not all mapped in one area."""
        area = self.area_at(address)
        offset = address - area.start if area is not None else 0
        if area is None or offset + length > len(area.data) or length < 0:
            raise KernelError(EFAULT, why=f"{address & U64:#018x}: no memory of a module is mapped there")
        return area.data[offset : offset + length]

    def read(self, address: int, length: int) -> bytes:
        """A copy of ``length`` bytes at ``address``; KernelError(EFAULT) where nothing is mapped."""
        return self.view(address, length).tobytes()

    def write(self, address: int, data: bytes) -> None:
        """Store bytes as the kernel itself does (page permissions do not stop it); noted when somebody
        records."""
        place = self.view(address, len(data)).data
        if self.journal is not None and place != data:
            self.journal.append(Change(address, place.tobytes(), bytes(data)))
        place[:] = data

    def string(self, address: int, limit: int = 4096) -> bytes:
        """The NUL-terminated string at ``address``; KernelError(EFAULT) where nothing is mapped."""
        area = self.area_at(address)
        if area is None:
            raise KernelError(EFAULT, why=f"{address & U64:#018x}: no memory of a module is mapped there")
        offset = address - area.start
        return area.data[offset : offset + limit].tobytes().split(b"\0", 1)[0]

    def protect(self, start: int, size: int, set_bits: int = 0, clear: int = 0) -> None:
        """Change the permissions of the pages in [start, start + size) (``set_memory_ro`` and its kin)."""
        area = self.area_at(start)
        if area is None:
            return
        first = (start - area.start) // PAGE_SIZE
        for page in range(first, min(first + page_align(size) // PAGE_SIZE, len(area.pages))):
            area.pages[page] = (area.pages[page] | set_bits) & ~clear

    def permissions(self, address: int) -> str:
        """``"rwx"``-like text of the page at ``address``, "---" where nothing is mapped."""
        area = self.area_at(address)
        bits = area.pages[(address - area.start) // PAGE_SIZE] if area else 0
        return "".join(c if bits & b else "-" for c, b in zip("rwx", (READ, WRITE, EXEC), strict=True))


class PerCpu:
    """The reserved part of the first per-CPU chunk, from which modules' ``.data..percpu`` comes.

    Models ``mm/percpu.c:__alloc_reserved_percpu`` as first fit over [low, high): offsets, not addresses;
    each CPU
    finds its copy at its own base plus the offset.
    """

    def __init__(self, low: int, high: int, regions: dict[int, Region]) -> None:
        self.low, self.high, self.regions = low, high, regions
        self.unit = np.zeros(page_align(high), np.uint8)  # the first CPU's copies, at their offsets
        self.data: dict[int, Bytes] = {}

    def alloc(self, size: int, align: int, owner: str) -> int | None:
        """Offset of ``size`` bytes with ``align``; None when the reserved area is full or ``align`` is no
        power of two (below 4 all count as 4)."""
        align = max(align, 4)  # PCPU_MIN_ALLOC_SIZE
        if align & (align - 1):
            return None
        at = self.low
        for start in [*sorted(self.regions), self.high]:
            place = -(-at // align) * align
            if place + size <= start:
                self.regions[place] = Region(place, size, "percpu", owner)
                self.data[place] = self.unit[place : place + size]
                self.data[place][:] = 0
                return place
            if start in self.regions:
                at = start + -(-self.regions[start].size // 4) * 4  # PCPU_MIN_ALLOC_SIZE
        return None

    def free(self, offset: int | None) -> None:
        if offset is not None:
            self.regions.pop(offset, None)
            self.data.pop(offset, None)


HEAP_BASE = 0xFFFF888003000000


class Heap:
    """Strings the loader keeps with kmalloc (arguments, charp values). Addresses are stand-ins: not
    modelled."""

    def __init__(self) -> None:
        self.next = HEAP_BASE
        self.blocks: dict[int, bytes] = {}

    def kstrdup(self, text: bytes) -> int:
        """Keep ``text`` and a NUL; returns its (stand-in) address."""
        address = self.next
        self.next += max(8, -(-(len(text) + 1) // 8) * 8)
        self.blocks[address] = bytes(text) + b"\0"
        return address

    def kfree(self, address: int) -> None:
        self.blocks.pop(address, None)

    def string(self, address: int) -> bytes | None:
        """The string kept at ``address``; None when there is none."""
        block = self.blocks.get(address)
        return None if block is None else block.split(b"\0", 1)[0]


class UserMemory:
    """The caller's address space: what is mapped can be copied, everything else is EFAULT."""

    def __init__(self) -> None:
        self._maps: dict[int, bytes] = {}

    def map(self, address: int, data: bytes) -> int:
        """Put ``data`` at ``address`` (overlaid on what was there); returns ``address``."""
        self.unmap(address, len(data))
        if data:
            self._maps[address] = bytes(data)
        return address

    def unmap(self, address: int, length: int) -> None:
        """Take [address, address + length) away, splitting what crosses its borders."""
        end = address + length
        for start, data in list(self._maps.items()):
            stop = start + len(data)
            if start < end and address < stop:
                del self._maps[start]
                if start < address:
                    self._maps[start] = data[: address - start]
                if stop > end:
                    self._maps[end] = data[end - start :]

    def free_address(self) -> int:
        """A page's address above everything that is mapped."""
        end = max((start + len(data) for start, data in self._maps.items()), default=0)
        return max(0x7F0000000000, page_align(end) + PAGE_SIZE)

    def copy_from_user(self, address: int, length: int) -> bytes:
        """``length`` bytes at ``address``; KernelError(EFAULT) when any of them is not mapped."""
        out = self.readable(address, length)
        if len(out) < length:
            raise KernelError(EFAULT, why=f"user address {address + len(out):#x} is not mapped")
        return out

    def readable(self, address: int, length: int) -> bytes:
        """The bytes from ``address`` to the first hole, at most ``length``."""
        out = bytearray()
        while len(out) < length and (piece := self._piece(address + len(out))):
            out += piece[: length - len(out)]
        return bytes(out)

    def strndup_user(self, address: int, limit: int) -> bytes:
        """The string at ``address`` without its NUL, at most ``limit`` bytes; EFAULT when it runs into a
        hole."""
        out = bytearray()
        while len(out) < limit:
            piece = self._piece(address + len(out))
            if not piece:
                raise KernelError(EFAULT, why=f"user address {address + len(out):#x} is not mapped")
            head, nul, _ = piece.partition(b"\0")
            out += head
            if nul:
                break
        return bytes(out[:limit])

    def _piece(self, address: int) -> bytes:
        for start, data in self._maps.items():
            if start <= address < start + len(data):
                return data[address - start :]
        return b""
