# SPDX-License-Identifier: GPL-2.0-only
"""The address space as running code sees it: the module area and beside it stacks, heap, kernel data.

The module area is ``kernel.memory``; everything else is added here as an ``Area``. Python's kernel functions
read and write through this class, so that a bad pointer given to them faults as it does in the real kernel.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import Literal

import numpy as np

from ..memory import EXEC, PAGE_SIZE, READ, WRITE, Area, Memory, page_align
from ..records import Bytes

Access = Literal["read", "write", "execute"]
NEEDED: dict[Access, int] = {"read": READ, "write": WRITE, "execute": EXEC}
STRING_LIMIT = 1 << 20
HUGE_PAGE = 2 << 20


class GuestFault(Exception):
    """Code, or a kernel function on its behalf, touched memory that it may not touch.

    ``present``: something is mapped there, but not for this ``access``. It never leaves ``kmodsim.cpu``: the
    caller turns it into the kernel's report and a ``KernelOops``.
    """

    def __init__(self, address: int, access: Access, *, present: bool = False) -> None:
        super().__init__(f"{access} at {address:#018x}")
        self.address, self.access, self.present = address, access, present

    @property
    def canonical(self) -> bool:
        """Bits 63 … 47 are equal; other addresses raise a general protection fault, not a page fault."""
        return self.address >> 47 in (0, 0x1FFFF)


def _zeros(length: int) -> Bytes:
    """Zeroed bytes, committed by the host in small pages where it lets us say so: little of them is
    touched."""
    if length < HUGE_PAGE:
        return np.zeros(length, np.uint8)
    memory = mmap.mmap(-1, length)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def new_area(start: int, size: int, kind: str, *, access: int = READ | WRITE, owner: str = "") -> Area:
    """Zeroed whole pages at ``start``; the host commits them when they are touched."""
    length = page_align(size)
    pages = bytearray([access]) * (length // PAGE_SIZE)
    return Area(start, _zeros(length), kind, owner, pages)


class AddressSpace:
    """What is mapped where. Page permissions hold for the kernel's own functions as well (CR0.WP is set)."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._areas: dict[int, Area] = {}
        self._starts: list[int] = []
        self.noted: Callable[[int, int], None] | None = None  # hears of (address, length) before it changes

    def add(self, area: Area) -> Area:
        """Map an area beside the module area."""
        self._areas[area.start] = area
        insort(self._starts, area.start)
        return area

    def remove(self, area: Area) -> None:
        """Unmap it again."""
        if self._areas.pop(area.start, None) is not None:
            del self._starts[bisect_left(self._starts, area.start)]

    def area_at(self, address: int) -> Area | None:
        """The area that holds ``address``, None where nothing is mapped."""
        if self.memory.low <= address < self.memory.high:
            return self.memory.area_at(address)
        i = bisect_right(self._starts, address)
        area = self._areas[self._starts[i - 1]] if i else None
        return area if area is not None and address < area.end else None

    def _place(self, address: int, access: Access) -> tuple[Area, int]:
        """(area, offset) of an address that may be accessed so; GuestFault otherwise."""
        area = self.area_at(address)
        if area is None:
            raise GuestFault(address, access)
        offset = address - area.start
        if not area.pages[offset // PAGE_SIZE] & NEEDED[access]:
            raise GuestFault(address, access, present=True)
        return area, offset

    def read(self, address: int, length: int) -> bytes:
        """``length`` bytes; GuestFault at the first one that cannot be read, and then nothing was copied."""
        pieces: list[Bytes] = []
        done = 0
        while done < length:
            area, offset = self._place(address + done, "read")
            pieces.append(area.data[offset : offset + length - done])
            done += len(pieces[-1])
        return b"".join(pieces)  # type: ignore[arg-type]  # arrays are buffers

    def write(self, address: int, data: bytes) -> None:
        """Store ``data`` page by page; what lies before a page that refuses is written."""
        done = 0
        while done < len(data):
            area, offset = self._place(address + done, "write")
            room = PAGE_SIZE - offset % PAGE_SIZE
            piece = data[done : done + room]
            if self.noted is not None:
                self.noted(address + done, len(piece))
            area.data[offset : offset + len(piece)] = np.frombuffer(piece, np.uint8)
            done += len(piece)

    def poke(self, address: int, data: bytes) -> None:
        """Store ``data`` within one area, whatever its pages allow: as text_poke does, by its own mapping."""
        area = self.area_at(address)
        if area is None or address + len(data) > area.end:
            raise GuestFault(address, "write")
        if self.noted is not None:
            self.noted(address, len(data))
        offset = address - area.start
        area.data[offset : offset + len(data)] = np.frombuffer(data, np.uint8)

    def number(self, address: int, size: int, *, signed: bool = False) -> int:
        """The little-endian number of ``size`` bytes at ``address``."""
        return int.from_bytes(self.read(address, size), "little", signed=signed)

    def store(self, address: int, value: int, size: int) -> None:
        """Store the low ``size`` bytes of ``value``."""
        self.write(address, (value & ((1 << 8 * size) - 1)).to_bytes(size, "little"))

    def string(self, address: int, limit: int = STRING_LIMIT) -> bytes:
        """The bytes before the first NUL, at most ``limit``; GuestFault when they run into a hole."""
        out = bytearray()
        while len(out) < limit:
            area, offset = self._place(address + len(out), "read")
            end = min(offset - offset % PAGE_SIZE + PAGE_SIZE, offset + limit - len(out))
            head, nul, _ = area.data[offset:end].tobytes().partition(b"\0")
            out += head
            if nul:
                break
        return bytes(out)
