# SPDX-License-Identifier: GPL-2.0-only
"""Memory by pages: the vmalloc area, pages of the direct mapping, dynamic per-CPU data."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..memory import PAGE_SIZE, U64, Area, page_align
from .heap import ARENA, ARENA_SIZE
from .space import AddressSpace, new_area

if TYPE_CHECKING:
    from ..profile import KernelProfile

VMALLOC = 0xFFFFC90002000000  # behind the stacks: stand-ins
VMALLOC_LIMIT = 256 << 20  # bytes in all
VMEMMAP = 0xFFFFEA0000000000  # struct page of physical page 0 (nokaslr)
PAGE_OFFSET = 0xFFFF888000000000
STRUCT_PAGE = 64
PAGES = 0xFFFF888010000000  # what alloc_pages gives: above the heap
PAGES_LIMIT = 64 << 20


class Pages:
    """What is allocated by pages, by its address."""

    def __init__(self, space: AddressSpace, profile: KernelProfile, caller: Callable[[], int]) -> None:
        """``caller``: the return address of the kernel function that is being done."""
        self._space, self._caller = space, caller
        self._areas: dict[int, tuple[Area, int]] = {}
        self._vmalloc_next, self._pages_next, self._taken = VMALLOC, PAGES, 0
        first = VMEMMAP + (ARENA - PAGE_OFFSET) // PAGE_SIZE * STRUCT_PAGE
        last = VMEMMAP + (PAGES + PAGES_LIMIT - PAGE_OFFSET) // PAGE_SIZE * STRUCT_PAGE
        self._map = space.add(new_area(first & -PAGE_SIZE, last - (first & -PAGE_SIZE), "struct pages"))
        assert ARENA + ARENA_SIZE <= PAGES

    def vmalloc(self, size: int) -> int:
        """Zeroed pages with a guard page behind them; 0 when it is too much."""
        if not size or self._taken + size > VMALLOC_LIMIT:
            return 0
        area = self._space.add(new_area(self._vmalloc_next, size, "vmalloc"))
        self._vmalloc_next = area.end + PAGE_SIZE
        return self._keep(area)

    def alloc_pages(self, order: int) -> int:
        """2^order pages of the direct mapping, aligned to their size; 0 when it is too much."""
        size = PAGE_SIZE << min(order, 30)
        start = -(-self._pages_next // size) * size
        if order > 10 or start + size > PAGES + PAGES_LIMIT:
            return 0
        self._pages_next = start + size
        return self._keep(self._space.add(new_area(start, size, "pages")))

    def _keep(self, area: Area) -> int:
        self._areas[area.start] = area, self._caller()
        self._taken += len(area.data)
        return area.start

    def vfree(self, address: int) -> bool:
        """Give an allocation back; whether it was one."""
        area, _ = self._areas.pop(address & U64, (None, 0))
        if area is None:
            return False
        self._space.remove(area)
        self._taken -= len(area.data)
        return True

    def size(self, address: int) -> int:
        """Bytes of the allocation at ``address``, 0 for none."""
        area, _ = self._areas.get(address, (None, 0))
        return len(area.data) if area is not None else 0

    def live(self) -> list[tuple[Area, int]]:
        """What is allocated now, and the return address of the call that asked for it."""
        return list(self._areas.values())


def page_of(address: int) -> int:
    """virt_to_page: the address of the struct page of a direct-mapping address; for others nonsense."""
    return VMEMMAP + (address - PAGE_OFFSET & U64) // PAGE_SIZE * STRUCT_PAGE & U64


def address_of_page(page: int) -> int:
    """page_address: the other way."""
    return PAGE_OFFSET + (page - VMEMMAP) // STRUCT_PAGE * PAGE_SIZE


__all__ = ["Pages", "address_of_page", "page_align", "page_of"]
