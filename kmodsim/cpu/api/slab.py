# SPDX-License-Identifier: GPL-2.0-only
"""kmalloc and its family, caches of objects of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import NotModelled
from ..abi import U64, cstr, ptr, s32, u32, u64
from ..heap import ZERO_SIZE_PTR
from ..pages import page_of
from ..space import GuestFault
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

SLUB, COMMON, UTIL = "mm/slub.c", "mm/slab_common.c", "mm/util.c"
MOST_AT_ONCE = 1 << 16  # objects in one call; the kernel's own users take some dozens
COMPOUND_HEAD = 8  # in struct page
GFP_ZERO = 0x100  # include/linux/gfp_types.h:___GFP_ZERO


@dataclass(eq=False)
class Cache:
    """One kmem_cache: objects of ``size`` bytes, and the function that prepares each new one."""

    name: str
    size: int
    constructor: int = 0


def allocate(cpu: Cpu, size: int, flags: int, cache: str = "") -> int:
    """A new object, noted with the caller of the kernel function that asks for it."""
    zero = bool(flags & GFP_ZERO)
    return cpu.heap.kmalloc(size, zero=zero, caller=cpu.caller(), when=cpu.tasks.now, cache=cache)


@kernel_function(COMMON, "kmalloc_large")
def __kmalloc(cpu: Cpu, size: u64, flags: u32) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON)
def __kmalloc_node(cpu: Cpu, size: u64, flags: u32, node: s32) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON, "kmalloc_large_node")
def __kmalloc_node_track_caller(cpu: Cpu, size: u64, flags: u32, node: s32, caller: u64) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON)
def __kmalloc_track_caller(cpu: Cpu, size: u64, flags: u32, caller: u64) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON)
def kmalloc_trace(cpu: Cpu, cache: ptr, flags: u32, size: u64) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON)
def kmalloc_node_trace(cpu: Cpu, cache: ptr, flags: u32, node: s32, size: u64) -> ptr:
    return allocate(cpu, size, flags)


@kernel_function(COMMON)
def kfree(cpu: Cpu, object: ptr) -> None:
    free(cpu, object)


def free(cpu: Cpu, address: int) -> None:
    """kfree, kvfree and vfree find out themselves what they are given."""
    if not cpu.pages.vfree(address):
        cpu.kfree(address, caller=cpu.caller())


@kernel_function(COMMON, "kvfree_sensitive")
def kfree_sensitive(cpu: Cpu, object: ptr) -> None:
    if size := cpu.heap.ksize(object):
        cpu.space.write(object, bytes(size))
    free(cpu, object)


@kernel_function(COMMON)
def ksize(cpu: Cpu, object: ptr) -> u64:
    return 0 if object <= ZERO_SIZE_PTR else cpu.heap.ksize(object)


@kernel_function(COMMON)
def kmalloc_size_roundup(cpu: Cpu, size: u64) -> u64:
    return cpu.heap.object_size(size)


@kernel_function(COMMON)
def krealloc(cpu: Cpu, object: ptr, size: u64, flags: u32) -> ptr:
    """Always a new place, so that who keeps the old pointer finds out."""
    if size == 0:
        free(cpu, object)
        return ZERO_SIZE_PTR
    new = allocate(cpu, size, flags)
    if new and object > ZERO_SIZE_PTR:
        cpu.space.write(new, cpu.space.read(object, min(size, cpu.heap.asked(object))))
        free(cpu, object)
    return new


# --- copies


def _duplicate(cpu: Cpu, data: bytes, flags: int) -> int:
    new = allocate(cpu, len(data), flags)
    if new:
        cpu.space.write(new, data)
    return new


@kernel_function(UTIL, "kstrdup_const")
def kstrdup(cpu: Cpu, string: ptr, flags: u32) -> ptr:
    return _duplicate(cpu, cpu.space.string(string) + b"\0", flags) if string else 0


@kernel_function(UTIL)
def kstrndup(cpu: Cpu, string: ptr, most: u64, flags: u32) -> ptr:
    return _duplicate(cpu, cpu.space.string(string, most) + b"\0", flags) if string else 0


@kernel_function(UTIL)
def kmemdup(cpu: Cpu, source: ptr, length: u64, flags: u32) -> ptr:
    return _duplicate(cpu, cpu.space.read(source, length), flags)


@kernel_function(UTIL)
def kmemdup_nul(cpu: Cpu, source: ptr, length: u64, flags: u32) -> ptr:
    return _duplicate(cpu, cpu.space.read(source, length) + b"\0", flags) if source else 0


@kernel_function(UTIL)
def kfree_const(cpu: Cpu, object: ptr) -> None:
    """Strings in the kernel's or a module's own memory stay."""
    if object in cpu.heap.all:
        free(cpu, object)


# --- caches


@kernel_function(COMMON)
def kmem_cache_create(cpu: Cpu, name: cstr, size: u32, align: u32, flags: u32, constructor: ptr) -> ptr:
    return _create(cpu, name, size, constructor)


@kernel_function(COMMON)
def kmem_cache_create_usercopy(
    cpu: Cpu, name: cstr, size: u32, align: u32, flags: u32, offset: u32, usersize: u32, constructor: ptr
) -> ptr:
    return _create(cpu, name, size, constructor)


def _create(cpu: Cpu, name: bytes, size: int, constructor: int) -> int:
    """A struct kmem_cache, of which only name and size can be read; 0 for a size that cannot be."""
    address = cpu.heap.kmalloc(cpu.structs.size("kmem_cache"), zero=True, cache="kmem_cache")
    if not address or not size:
        return 0
    cpu.structs.set(address, "kmem_cache.object_size", size)
    cpu.structs.set(address, "kmem_cache.size", -(-size // 8) * 8)
    cpu.caches[address] = Cache(name.decode("utf-8", "replace"), size, constructor)
    return address


@kernel_function(COMMON)
def kmem_cache_destroy(cpu: Cpu, cache: ptr) -> None:
    """Objects still in use are a bug, which the kernel reports and lives with."""
    known = cpu.caches.pop(cache, None)
    if known is None:
        return
    left = [block for block in cpu.heap.live() if block.cache == known.name]
    if left:
        caller = cpu.symbolize(cpu.caller())
        cpu.kernel.printk(
            3, f"BUG {known.name} (): Objects remaining in {known.name} on __kmem_cache_shutdown()"
        )
        cpu.kernel.printk(
            3, f"kmem_cache_destroy {known.name}: Slab cache still has objects when called from {caller}"
        )
    cpu.heap.kfree(cache)


@kernel_function(COMMON)
def kmem_cache_size(cpu: Cpu, cache: ptr) -> u32:
    return cpu.structs.get(cache, "kmem_cache.object_size")


@kernel_function(COMMON)
def kmem_cache_shrink(cpu: Cpu, cache: ptr) -> s32:
    return 0


def _from_cache(cpu: Cpu, cache: int, flags: int) -> int:
    size = cpu.structs.get(cache, "kmem_cache.object_size")
    known = cpu.caches.get(cache)
    new = allocate(cpu, size, flags, known.name if known else "")
    if new and known and known.constructor:
        cpu.call_any(known.constructor, new)
    return new


@kernel_function(SLUB)
def kmem_cache_alloc(cpu: Cpu, cache: ptr, flags: u32) -> ptr:
    return _from_cache(cpu, cache, flags)


@kernel_function(SLUB)
def kmem_cache_alloc_lru(cpu: Cpu, cache: ptr, lru: ptr, flags: u32) -> ptr:
    return _from_cache(cpu, cache, flags)


@kernel_function(SLUB)
def kmem_cache_alloc_node(cpu: Cpu, cache: ptr, flags: u32, node: s32) -> ptr:
    return _from_cache(cpu, cache, flags)


@kernel_function(SLUB)
def kmem_cache_alloc_bulk(cpu: Cpu, cache: ptr, flags: u32, count: u64, objects: ptr) -> s32:
    """``count``, or 0 and none at all."""
    if count > MOST_AT_ONCE:
        raise NotModelled(f"kmem_cache_alloc_bulk of {count:,} objects")
    for i in range(count):
        new = _from_cache(cpu, cache, flags)
        cpu.space.store(objects + 8 * i, new, 8)
        if not new:
            kmem_cache_free_bulk(cpu, cache, i, objects)
            return 0
    return count


@kernel_function(SLUB)
def kmem_cache_free(cpu: Cpu, cache: ptr, object: ptr) -> None:
    free(cpu, object)


@kernel_function(SLUB)
def kmem_cache_free_bulk(cpu: Cpu, cache: ptr, count: u64, objects: ptr) -> None:
    """From the last one on; what is no object has a struct page that is not there (``virt_to_folio``)."""
    while count:
        count -= 1
        object = cpu.space.number(objects + 8 * count & U64, 8)
        if object not in cpu.heap.all:
            raise GuestFault(page_of(object) + COMPOUND_HEAD, "read")
        free(cpu, object)


# --- memory that a device owns: freed when the driver lets it go


@kernel_function("drivers/base/devres.c")
def devm_kmalloc(cpu: Cpu, device: ptr, size: u64, flags: u32) -> ptr:
    new = allocate(cpu, size, flags)
    if new:
        cpu.managed.setdefault(device, []).append(new)
    return new


@kernel_function("drivers/base/devres.c")
def devm_kfree(cpu: Cpu, device: ptr, object: ptr) -> None:
    owned = cpu.managed.get(device, [])
    if object in owned:
        owned.remove(object)
        free(cpu, object)


@kernel_function("mm/mempool.c")
def mempool_kmalloc(cpu: Cpu, flags: u32, data: ptr) -> ptr:
    return allocate(cpu, data, flags)


@kernel_function("mm/mempool.c")
def mempool_kfree(cpu: Cpu, object: ptr, data: ptr) -> None:
    free(cpu, object)
