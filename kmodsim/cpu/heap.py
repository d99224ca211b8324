# SPDX-License-Identifier: GPL-2.0-only
"""The slab heap: every object between red zones, poisoned when it is not in use, remembered by its caller.

The real kernel does this when booted with ``slub_debug=FZPU`` (``mm/slub.c``); here it is always on, so that
a learner's mistake shows itself at once. Addresses are stand-ins in the direct mapping.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass

from ..memory import HEAP_BASE as ARENA
from ..memory import PAGE_SIZE, Area, Heap, page_align
from .space import AddressSpace, new_area

ARENA_SIZE = 64 << 20
# mm/slab_common.c:kmalloc_info
SIZES = (8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192)
KMALLOC_MAX_SIZE = 4 << 20  # include/linux/slab.h, with order 10 pages
ZERO_SIZE_PTR = 16
# include/linux/poison.h, include/linux/slub_def.h
POISON_FREE, POISON_END, RED_ACTIVE, RED_INACTIVE = 0x6B, 0xA5, 0xCC, 0xBB
RED_ZONE = 16


@dataclass(slots=True)
class Block:
    """One object: where, how large it was asked for and is, whose cache, who asked (a return address)."""

    address: int
    size: int
    object_size: int
    cache: str
    caller: int
    when: int
    live: bool = True
    freed_by: int = 0
    guarded: bool = True  # there are red zones around it
    loader: bool = False  # the loader keeps it for a module


class SlabHeap:
    """kmalloc'd memory. ``poison`` False leaves fresh objects zeroed and freed ones as they are."""

    def __init__(self, space: AddressSpace, before: Heap, *, poison: bool = True) -> None:
        """``before``: the loader's strings until now; they stay where they are."""
        self.poison, self._space = poison, space
        self.area: Area = space.add(new_area(ARENA, ARENA_SIZE, "heap"))
        self.all: dict[int, Block] = {}
        self._next = before.next
        self._free: dict[int, deque[int]] = defaultdict(deque)
        self._first_free: dict[str, int] = {}  # cache -> the object freed last, until one is taken
        for address, data in before.blocks.items():
            self.area.data[address - ARENA : address - ARENA + len(data)] = memoryview(data)
            self.all[address] = Block(
                address, len(data), len(data), "kmalloc", 0, 0, guarded=False, loader=True
            )

    def kmalloc(
        self, size: int, *, zero: bool = False, caller: int = 0, when: int = 0, cache: str = ""
    ) -> int:
        """Address of ``size`` bytes; 0 when there is no memory left or the size is absurd; 16 for size 0."""
        if size == 0:
            return ZERO_SIZE_PTR
        if size > KMALLOC_MAX_SIZE:
            return 0
        object_size = self.object_size(size)
        address = self._place(object_size)
        if not address:
            return 0
        cache = cache or f"kmalloc-{_name(object_size)}"
        self.all[address] = Block(address, size, object_size, cache, caller, when)
        self._first_free.pop(cache, None)
        self._fill(address, size, 0 if zero or not self.poison else None)
        return address

    @staticmethod
    def object_size(size: int) -> int:
        """What ``size`` is rounded up to (``kmalloc_size_roundup``)."""
        return next((each for each in SIZES if each >= size), page_align(size)) if size else 0

    def _place(self, object_size: int) -> int:
        """Fresh memory as long as there is some, so that stale pointers stay stale; then the longest
        freed."""
        align = object_size & -object_size if object_size <= PAGE_SIZE else PAGE_SIZE
        start = -(-(self._next + RED_ZONE) // align) * align
        end = start + object_size + RED_ZONE
        if end <= ARENA + ARENA_SIZE:
            self._next = end
            return start
        return self._free[object_size].popleft() if self._free[object_size] else 0

    def _fill(self, address: int, size: int, byte: int | None) -> None:
        """Red zones around an object that is given out, and its bytes: ``byte``, or the poison."""
        data, offset = self.area.data, address - ARENA
        self._note(address - RED_ZONE, self.all[address].object_size + 2 * RED_ZONE)
        if byte is None:
            data[offset : offset + size] = POISON_FREE
            data[offset + size - 1] = POISON_END
        else:
            data[offset : offset + size] = byte
        data[offset - RED_ZONE : offset] = RED_ACTIVE
        data[offset + size : offset + self.all[address].object_size + RED_ZONE] = RED_ACTIVE

    def kfree(self, address: int, *, caller: int = 0) -> str:
        """Give an object back; "" or what is wrong, in SLUB's words. NULL and ZERO_SIZE_PTR are fine."""
        if address <= ZERO_SIZE_PTR:
            return ""
        block = self.all.get(address)
        if block is None:
            return "Invalid object pointer"
        if not block.live:
            return "Object already free"
        wrong = self.check(block)
        block.live, block.freed_by = False, caller
        self._first_free[block.cache] = address
        offset = address - ARENA
        if self.poison:
            self._note(address, block.size)
            self.area.data[offset : offset + block.size] = POISON_FREE
            self.area.data[offset + block.size - 1] = POISON_END
        self._free[block.object_size].append(address)
        return wrong

    def check(self, block: Block) -> str:
        """ "" or which red zone of a live object was written to."""
        if not block.guarded:
            return ""
        data, offset = self.area.data, block.address - ARENA
        if (data[offset - RED_ZONE : offset] != RED_ACTIVE).any():
            return "Left Redzone overwritten"
        if (data[offset + block.size : offset + block.object_size + RED_ZONE] != RED_ACTIVE).any():
            return "Right Redzone overwritten"
        return ""

    def is_first_free(self, address: int) -> bool:
        """Whether this object of its cache was freed last, and none was taken since."""
        block = self.all.get(address)
        return block is not None and not block.live and self._first_free.get(block.cache) == address

    def asked(self, address: int) -> int:
        """Bytes that are the owner's, 0 for what is no live object."""
        block = self.all.get(address)
        return block.size if block is not None and block.live else 0

    def ksize(self, address: int) -> int:
        """Bytes there is room for: who asks may use them all from now on (``mm/slab_common.c:ksize``)."""
        block = self.all.get(address)
        if block is None or not block.live:
            return 0
        block.size = max(block.size, block.object_size)
        return block.size

    def live(self) -> list[Block]:
        """The objects that are in use, oldest first."""
        return [block for block in self.all.values() if block.live]

    # --- what the loader keeps here (memory.Heap's face)

    def kstrdup(self, text: bytes) -> int:
        """The loader's copy of ``text`` and a NUL; 0 when there is no memory."""
        address = self.strdup(text)
        if address:
            self.all[address].loader = True
        return address

    def strdup(self, text: bytes) -> int:
        """A copy of ``text`` and a NUL; 0 when there is no memory."""
        address = self.kmalloc(len(text) + 1, zero=True)
        if address:
            offset = address - ARENA
            self._note(address, len(text))
            self.area.data[offset : offset + len(text)] = memoryview(text)
        return address

    @property
    def used(self) -> int:
        """Bytes from the start of ``area`` behind which no object has ever been."""
        return self._next - ARENA + PAGE_SIZE

    def _note(self, address: int, length: int) -> None:
        """Tell who records that these bytes are about to change."""
        if self._space.noted is not None:
            self._space.noted(address, length)

    @property
    def blocks(self) -> dict[int, bytes]:
        """address -> bytes of every object in use that the loader keeps."""
        return {b.address: self._bytes(b) for b in self.live() if b.loader}

    def string(self, address: int) -> bytes | None:
        """The C string at ``address``; None when no object lies there."""
        block = self.all.get(address)
        return self._bytes(block).split(b"\0", 1)[0] if block is not None and block.live else None

    def _bytes(self, block: Block) -> bytes:
        offset = block.address - ARENA
        return self.area.data[offset : offset + block.size].tobytes()


def _name(object_size: int) -> str:
    return f"{object_size >> 10}k" if object_size >= 1024 else str(object_size)
