# SPDX-License-Identifier: GPL-2.0-only
"""vmalloc, whole pages, per-CPU data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...memory import PAGE_SIZE
from ..abi import ptr, s32, u32, u64
from ..pages import address_of_page, page_of
from ..table import kernel_function
from .slab import allocate, free

if TYPE_CHECKING:
    from ..cpu import Cpu

VMALLOC, PAGE_ALLOC, PERCPU, UTIL = "mm/vmalloc.c", "mm/page_alloc.c", "mm/percpu.c", "mm/util.c"
NR_MEMCG_LIMIT = 2 << 20  # bytes: kvmalloc tries kmalloc for less


@kernel_function(VMALLOC, "vzalloc", "vmalloc_user", "vmalloc_32", "vmalloc_32_user", "vmalloc_huge")
def vmalloc(cpu: Cpu, size: u64) -> ptr:
    return cpu.pages.vmalloc(size)


@kernel_function(VMALLOC, "vzalloc_node")
def vmalloc_node(cpu: Cpu, size: u64, node: s32) -> ptr:
    return cpu.pages.vmalloc(size)


@kernel_function(VMALLOC)
def __vmalloc(cpu: Cpu, size: u64, flags: u32) -> ptr:
    return cpu.pages.vmalloc(size)


@kernel_function(VMALLOC)
def vfree(cpu: Cpu, address: ptr) -> None:
    """vfree of what is no such area is a WARN and changes nothing."""
    if address and not cpu.pages.vfree(address):
        cpu.kernel.printk(3, f"Trying to vfree() nonexistent vm area ({cpu.kernel.hashed_pointer(address)})")


@kernel_function(UTIL)
def kvmalloc_node(cpu: Cpu, size: u64, flags: u32, node: s32) -> ptr:
    """Small ones by kmalloc, the rest by vmalloc."""
    return allocate(cpu, size, flags) if size <= PAGE_SIZE else cpu.pages.vmalloc(size)


@kernel_function(UTIL)
def kvfree(cpu: Cpu, address: ptr) -> None:
    free(cpu, address)


@kernel_function(VMALLOC)
def is_vmalloc_addr(cpu: Cpu, address: ptr) -> bool:
    return 0xFFFFC90000000000 <= address < 0xFFFFE90000000000


# --- pages


@kernel_function(PAGE_ALLOC)
def __get_free_pages(cpu: Cpu, flags: u32, order: u32) -> u64:
    return cpu.pages.alloc_pages(order)


@kernel_function(PAGE_ALLOC)
def get_zeroed_page(cpu: Cpu, flags: u32) -> u64:
    return cpu.pages.alloc_pages(0)


@kernel_function(PAGE_ALLOC)
def __alloc_pages(cpu: Cpu, flags: u32, order: u32, node: s32, mask: ptr) -> ptr:
    address = cpu.pages.alloc_pages(order)
    return page_of(address) if address else 0


@kernel_function("mm/mempolicy.c")
def alloc_pages(cpu: Cpu, flags: u32, order: u32) -> ptr:
    address = cpu.pages.alloc_pages(order)
    return page_of(address) if address else 0


@kernel_function(PAGE_ALLOC)
def free_pages(cpu: Cpu, address: u64, order: u32) -> None:
    cpu.pages.vfree(address)


@kernel_function(PAGE_ALLOC)
def __free_pages(cpu: Cpu, page: ptr, order: u32) -> None:
    cpu.pages.vfree(address_of_page(page))


@kernel_function("mm/swap.c", "__folio_put")
def __put_page(cpu: Cpu, page: ptr) -> None:
    cpu.pages.vfree(address_of_page(page))


@kernel_function(PAGE_ALLOC)
def alloc_pages_exact(cpu: Cpu, size: u64, flags: u32) -> ptr:
    return cpu.pages.alloc_pages(max(0, (-(-size // PAGE_SIZE) - 1).bit_length()))


@kernel_function(PAGE_ALLOC)
def free_pages_exact(cpu: Cpu, address: ptr, size: u64) -> None:
    cpu.pages.vfree(address)


# --- per-CPU data: offsets, which are addresses relative to each processor's base


@kernel_function(PERCPU)
def __alloc_percpu(cpu: Cpu, size: u64, align: u64) -> ptr:
    return cpu.alloc_percpu(size, align)


@kernel_function(PERCPU)
def __alloc_percpu_gfp(cpu: Cpu, size: u64, align: u64, flags: u32) -> ptr:
    return cpu.alloc_percpu(size, align)


@kernel_function(PERCPU)
def free_percpu(cpu: Cpu, offset: ptr) -> None:
    """The room is not used again."""


@kernel_function(PERCPU)
def per_cpu_ptr_to_phys(cpu: Cpu, address: ptr) -> u64:
    return address - 0xFFFF888000000000
