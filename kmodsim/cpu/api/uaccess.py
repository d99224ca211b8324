# SPDX-License-Identifier: GPL-2.0-only
"""Copying from and to user space. What is not mapped there is left uncopied: an errno, never an oops.

The process's memory is ``kernel.user_memory()``. Code that follows a user pointer without these functions
faults here, as on a processor with SMAP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import EFAULT, EINVAL, ENOMEM, ERANGE, KernelError
from ...memory import PAGE_SIZE
from ..abi import ptr, s64, signed, u64
from ..space import GuestFault
from ..table import kernel_function
from .slab import allocate

if TYPE_CHECKING:
    from ..cpu import Cpu

LIB, UTIL, LIBFS, MACCESS = "lib/usercopy.c", "mm/util.c", "fs/libfs.c", "mm/maccess.c"
GETUSER, PUTUSER, COPY_USER = (f"arch/x86/lib/{name}.S" for name in ("getuser", "putuser", "copy_user_64"))
TASK_SIZE_MAX = 0x7FFFFFFFF000
MAX_COPY = 1 << 31
KERNEL_HALF = 0x1FFFF  # bits 63 to 47 of a canonical kernel address
CHUNK = 1 << 20


def user_read(cpu: Cpu, address: int, length: int) -> bytes:
    """What can be read of ``length`` bytes at a user address, from the first to the first hole."""
    if address + length > TASK_SIZE_MAX:
        return b""
    return cpu.kernel.user_memory().readable(address, length)


def user_write(cpu: Cpu, address: int, data: bytes) -> int:
    """Store into user memory; how many bytes there was room for before the first hole."""
    room = len(user_read(cpu, address, len(data)))
    if room:
        cpu.kernel.user_memory().map(address, data[:room])
    return room


def _kernel_pages(cpu: Cpu, address: int, length: int) -> Iterator[bytes]:
    """The bytes at a kernel address, a page at a time, up to the first one that cannot be read."""
    end = address + length
    while address < end:
        size = min(PAGE_SIZE - address % PAGE_SIZE, end - address)
        try:
            yield cpu.space.read(address, size)
        except GuestFault:
            return
        address += size


def _raw_from_user(cpu: Cpu, to: int, source: int, length: int) -> int:
    """How many bytes were copied: up to what cannot be read, or written."""
    data = user_read(cpu, source, length)
    try:
        cpu.space.write(to, data)
    except GuestFault as fault:  # each of the copying instructions has an entry in the exception table
        return fault.address - to
    return len(data)


def _raw_to_user(cpu: Cpu, to: int, source: int, length: int) -> int:
    """How many bytes were copied, as above."""
    done = 0
    for page in _kernel_pages(cpu, source, length):
        stored = user_write(cpu, to + done, page)
        done += stored
        if stored < len(page):
            break
    return done


def _from_user(cpu: Cpu, to: int, source: int, length: int) -> int:
    """Copy; the bytes that could not be copied, which are zeroed at the destination, where that may fault."""
    if not access_ok(source, length):
        return length
    done = _raw_from_user(cpu, to, source, length)
    for start in range(done, length, CHUNK):
        cpu.space.write(to + start, bytes(min(CHUNK, length - start)))
    return length - done


def _to_user(cpu: Cpu, to: int, source: int, length: int) -> int:
    """Copy; the bytes that could not be copied, be it that the kernel's own address is the bad one."""
    return length - _raw_to_user(cpu, to, source, length) if access_ok(to, length) else length


def access_ok(address: int, length: int) -> bool:
    """Whether a range can be a process's; lengths that are negative as an int are a mistake besides."""
    return length < MAX_COPY and address + length <= TASK_SIZE_MAX


@kernel_function(LIB)
def _copy_from_user(cpu: Cpu, to: ptr, source: ptr, length: u64) -> u64:
    return _from_user(cpu, to, source, length)


@kernel_function(LIB)
def _copy_to_user(cpu: Cpu, to: ptr, source: ptr, length: u64) -> u64:
    return _to_user(cpu, to, source, length)


@kernel_function(
    COPY_USER, "copy_user_generic_string", "copy_user_enhanced_fast_string", "__copy_user_nocache"
)
def copy_user_generic_unrolled(cpu: Cpu, to: ptr, source: ptr, length: u64) -> u64:
    """One function for both directions, the pointers tell; nothing is zeroed."""
    copy = _raw_from_user if source < TASK_SIZE_MAX else _raw_to_user
    return length - (copy(cpu, to, source, length) if length < MAX_COPY else 0)


@kernel_function(MACCESS)
def copy_from_user_nofault(cpu: Cpu, to: ptr, source: ptr, length: u64) -> s64:
    whole = access_ok(source, length) and _raw_from_user(cpu, to, source, length) == length
    return 0 if whole else -EFAULT


@kernel_function(MACCESS)
def copy_from_kernel_nofault(cpu: Cpu, to: ptr, source: ptr, length: u64) -> s64:
    """What was read before a fault is stored. ERANGE: no kernel address (``arch/x86/mm/maccess.c``)."""
    if source < TASK_SIZE_MAX + PAGE_SIZE or source >> 47 != KERNEL_HALF:
        return -ERANGE
    done = 0
    for page in _kernel_pages(cpu, source, length):
        cpu.space.write(to + done, page)
        done += len(page)
    return 0 if done == length else -EFAULT


@kernel_function("arch/x86/lib/usercopy_64.c", "_clear_user")
def clear_user(cpu: Cpu, to: ptr, length: u64) -> u64:
    if not access_ok(to, length):
        return length
    return length - user_write(cpu, to, bytes(len(user_read(cpu, to, length))))


@kernel_function("mm/usercopy.c")
def __check_object_size(cpu: Cpu, object: ptr, length: u64, to_user: bool) -> None:
    """Hardened usercopy: copying over the end of an object kills the caller."""
    block = cpu.heap.all.get(object)
    if block is not None and length > block.size:
        way = ("exposure", "from") if to_user else ("overwrite", "to")
        cpu.panic_bug(
            f"usercopy: Kernel memory {way[0]} attempt detected {way[1]} SLUB object '{block.cache}' "
            f"(offset 0, size {length})!"
        )


# --- get_user and put_user: the address in rax or rcx, the value in rdx or rax, the errno in eax or ecx


def _get_user(size: int) -> None:
    def get_user(cpu: Cpu) -> None:
        data = user_read(cpu, cpu.machine["rax"], size)
        ok = len(data) == size
        cpu.machine["rdx"] = int.from_bytes(data, "little") if ok else 0
        cpu.machine["rax"] = 0 if ok else -EFAULT & (1 << 64) - 1

    kernel_function(GETUSER, f"__get_user_nocheck_{size}", name=f"__get_user_{size}", own_registers=True)(
        get_user
    )


def _put_user(size: int) -> None:
    def put_user(cpu: Cpu) -> None:
        value = cpu.machine["rax"] & ((1 << 8 * size) - 1)
        done = user_write(cpu, cpu.machine["rcx"], value.to_bytes(size, "little"))
        cpu.machine["rcx"] = 0 if done == size else -EFAULT & (1 << 64) - 1

    kernel_function(PUTUSER, f"__put_user_nocheck_{size}", name=f"__put_user_{size}", own_registers=True)(
        put_user
    )


for _size in (1, 2, 4, 8):
    _get_user(_size)
    _put_user(_size)


# --- strings and copies of what a process passes


@kernel_function("lib/strncpy_from_user.c")
def strncpy_from_user(cpu: Cpu, to: ptr, source: ptr, count: s64) -> s64:
    """The length without NUL, ``count`` when there was none, -EFAULT for a hole before it."""
    if count <= 0:
        return 0
    text, nul, _ = user_read(cpu, source, count).partition(b"\0")
    if not nul and len(text) < count:
        return -EFAULT
    cpu.space.write(to, text + nul)
    return len(text)


@kernel_function("lib/strnlen_user.c")
def strnlen_user(cpu: Cpu, source: ptr, count: s64) -> s64:
    """The length with NUL, more than ``count`` without one, 0 for a hole."""
    text, nul, _ = user_read(cpu, source, max(count, 0)).partition(b"\0")
    return len(text) + 1 if nul or len(text) == count else 0


def _memdup(cpu: Cpu, source: int, length: int, nul: bytes = b"") -> int:
    data = user_read(cpu, source, length)
    if len(data) < length:
        return -EFAULT
    new = allocate(cpu, length + len(nul), 0)
    if not new:
        return -ENOMEM
    cpu.space.write(new, data + nul)
    return new


@kernel_function(UTIL, "vmemdup_user")
def memdup_user(cpu: Cpu, source: ptr, length: u64) -> ptr:
    return _memdup(cpu, source, length)


@kernel_function(UTIL)
def memdup_user_nul(cpu: Cpu, source: ptr, length: u64) -> ptr:
    return _memdup(cpu, source, length, b"\0")


@kernel_function(UTIL)
def strndup_user(cpu: Cpu, source: ptr, most: s64) -> ptr:
    """-EINVAL when there is no NUL within ``most`` bytes."""
    try:
        text = cpu.kernel.user_memory().strndup_user(source, max(most, 0))
    except KernelError as error:
        return -(error.errno or EFAULT)
    if len(text) >= most:
        return -EINVAL
    new = allocate(cpu, len(text) + 1, 0)
    cpu.space.write(new, text + b"\0")
    return new


# --- a buffer as a file


@kernel_function(LIBFS)
def simple_read_from_buffer(cpu: Cpu, to: ptr, count: u64, position: ptr, source: ptr, available: u64) -> s64:
    at = cpu.space.number(position, 8, signed=True)
    if at < 0:
        return -EINVAL
    if at >= available or not count:
        return 0
    count = min(count, available - at)
    left = _to_user(cpu, to, source + at, count)
    if left == count:
        return -EFAULT
    cpu.space.store(position, at + count - left, 8)
    return count - left


@kernel_function(LIBFS)
def simple_write_to_buffer(cpu: Cpu, to: ptr, available: u64, position: ptr, source: ptr, count: u64) -> s64:
    at = cpu.space.number(position, 8, signed=True)
    if at < 0:
        return -EINVAL
    if at >= available or not count:
        return 0
    count = min(count, available - at)
    left = _from_user(cpu, to + at, source, count)
    if left == count:
        return -EFAULT
    cpu.space.store(position, at + count - left, 8)
    return count - left


@kernel_function(LIBFS)
def memory_read_from_buffer(cpu: Cpu, to: ptr, count: u64, position: ptr, source: ptr, available: u64) -> s64:
    at = cpu.space.number(position, 8, signed=True)
    if at < 0:
        return -EINVAL
    count = max(0, min(count, available - at))
    cpu.space.write(to, cpu.space.read(source + at, count))
    cpu.space.store(position, at + count, 8)
    return signed(count, 64)
