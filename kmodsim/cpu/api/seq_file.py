# SPDX-License-Identifier: GPL-2.0-only
"""seq_file: files whose text is shown piece by piece, and how a process reads it in portions.

Models ``fs/seq_file.c``. The buffer is the kernel's own, in its memory: modules look into ``struct
seq_file``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EFAULT, EINVAL, ENOMEM
from ...memory import PAGE_SIZE
from ..abi import U64, VarArgs, cstr, ptr, s32, s64, signed, u32, u64, va_list_arguments
from ..table import kernel_function
from .slab import allocate, free
from .uaccess import user_write

if TYPE_CHECKING:
    from ..cpu import Cpu

SOURCE = "fs/seq_file.c"
LARGEST = 1 << 24  # a show function that never has room enough is in an endless loop
MAX_ERRNO = 4095
SEQ_SKIP = 1


class Seq:
    """A ``struct seq_file`` by its address."""

    def __init__(self, cpu: Cpu, address: int) -> None:
        self._cpu, self.address = cpu, address

    def get(self, field: str) -> int:
        return self._cpu.structs.get(self.address, f"seq_file.{field}")

    def set(self, field: str, value: int) -> None:
        self._cpu.structs.set(self.address, f"seq_file.{field}", value)

    @property
    def overflowed(self) -> bool:
        """seq_has_overflowed: a buffer that is exactly full counts."""
        return self.get("count") == self.get("size")

    def put(self, data: bytes) -> bool:
        """Append; False, and the buffer counts as full, when there is no room."""
        count, size = self.get("count"), self.get("size")
        if count + len(data) > size:
            self.set("count", size)
            return False
        self._cpu.space.write(self.get("buf") + count, data)
        self.set("count", count + len(data))
        return True

    def operation(self, name: str, *args: int) -> int:
        """start, next, stop or show."""
        cpu = self._cpu
        return cpu.call_any(cpu.structs.get(self.get("op"), f"seq_operations.{name}"), *args)

    def new_buffer(self, size: int) -> bool:
        old = self.get("buf")
        if old:
            free(self._cpu, old)
        buffer = self._cpu.pages.vmalloc(size) if size > PAGE_SIZE else allocate(self._cpu, size, 0)
        self.set("buf", buffer)
        self.set("size", size)
        self.set("count", 0)
        return bool(buffer)


def of_file(cpu: Cpu, file: int) -> Seq:
    return Seq(cpu, cpu.structs.get(file, "file.private_data"))


# --- opening


def seq_new(cpu: Cpu, file: int, operations: int) -> int:
    address = allocate(cpu, cpu.structs.size("seq_file"), 0x100)
    if not address:
        return -ENOMEM
    seq = Seq(cpu, address)
    seq.set("op", operations)
    seq.set("file", file)
    cpu.structs.set(file, "file.private_data", address)
    return 0


@kernel_function(SOURCE)
def seq_open(cpu: Cpu, file: ptr, operations: ptr) -> s32:
    return seq_new(cpu, file, operations)


@kernel_function(SOURCE)
def __seq_open_private(cpu: Cpu, file: ptr, operations: ptr, size: s32) -> ptr:
    """The private memory, 0 without any."""
    private = allocate(cpu, max(size, 0), 0x100)
    if not private or seq_new(cpu, file, operations):
        return 0
    of_file(cpu, file).set("private", private)
    return private


@kernel_function(SOURCE)
def seq_open_private(cpu: Cpu, file: ptr, operations: ptr, size: s32) -> s32:
    return 0 if __seq_open_private(cpu, file, operations, size) else -ENOMEM


@kernel_function(SOURCE)
def single_open(cpu: Cpu, file: ptr, show: ptr, data: ptr) -> s32:
    """One show function, called once: its own seq_operations are made and freed with the file."""
    operations = allocate(cpu, cpu.structs.size("seq_operations"), 0x100)
    if not operations:
        return -ENOMEM
    own = {"start": "single_start", "next": "single_next", "stop": "single_stop"}
    for field, name in own.items():
        cpu.structs.set(operations, f"seq_operations.{field}", cpu.local_symbol(name))
    cpu.structs.set(operations, "seq_operations.show", show)
    error = seq_new(cpu, file, operations)
    if not error:
        of_file(cpu, file).set("private", data)
    return error


@kernel_function(SOURCE)
def single_open_size(cpu: Cpu, file: ptr, show: ptr, data: ptr, size: u64) -> s32:
    error = single_open(cpu, file, show, data)
    if not error:
        of_file(cpu, file).new_buffer(min(size, LARGEST))
    return int(error or 0)


@kernel_function(SOURCE)
def single_start(cpu: Cpu, seq: ptr, position: ptr) -> ptr:
    return 0 if cpu.space.number(position, 8) else 1  # SEQ_START_TOKEN


@kernel_function(SOURCE)
def single_next(cpu: Cpu, seq: ptr, element: ptr, position: ptr) -> ptr:
    cpu.space.store(position, cpu.space.number(position, 8) + 1, 8)
    return 0


@kernel_function(SOURCE)
def single_stop(cpu: Cpu, seq: ptr, element: ptr) -> None:
    """Nothing to give back."""


@kernel_function(SOURCE)
def seq_release(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    seq = of_file(cpu, file)
    free(cpu, seq.get("buf"))
    free(cpu, seq.address)
    return 0


@kernel_function(SOURCE)
def seq_release_private(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    seq = of_file(cpu, file)
    free(cpu, seq.get("private"))
    seq.set("private", 0)
    seq_release(cpu, inode, file)
    return 0


@kernel_function(SOURCE)
def single_release(cpu: Cpu, inode: ptr, file: ptr) -> s32:
    operations = of_file(cpu, file).get("op")
    seq_release(cpu, inode, file)
    free(cpu, operations)
    return 0


# --- reading


def _is_end(element: int) -> bool:
    """NULL ends the sequence, an error pointer too."""
    return element == 0 or element >= -MAX_ERRNO & U64


def fill(cpu: Cpu, seq: Seq, wanted: int) -> int:
    """Call start, show, next, …, stop until something, and as much as fits of ``wanted``, is there: 0 or
    -E."""
    while True:
        index = cpu.structs.at(seq.address, "seq_file.index")
        element = seq.operation("start", seq.address, index)
        error = 0
        while not _is_end(element):
            error = signed(seq.operation("show", seq.address, element), 32)
            if error < 0:
                break
            if error > 0:
                seq.set("count", 0)  # SEQ_SKIP
            if seq.get("count"):
                break
            element = seq.operation("next", seq.address, element, index)
        if _is_end(element) or error < 0:
            seq.operation("stop", seq.address, element)
            seq.set("count", 0)
            return error if error < 0 else signed(element, 64) if element else 0
        if not seq.overflowed:
            return _more(cpu, seq, element, index, wanted)
        seq.operation("stop", seq.address, element)
        if seq.get("size") >= LARGEST or not seq.new_buffer(seq.get("size") * 2):
            return -ENOMEM


def _more(cpu: Cpu, seq: Seq, element: int, index: int, wanted: int) -> int:
    """Further elements as long as they fit and somebody wants them."""
    while True:
        offset = seq.get("count")
        element = seq.operation("next", seq.address, element, index)
        if _is_end(element) or offset >= wanted:
            break
        error = signed(seq.operation("show", seq.address, element), 32)
        if error > 0:
            seq.set("count", offset)
        elif error < 0 or seq.overflowed:
            seq.set("count", offset)
            break
    seq.operation("stop", seq.address, element)
    return 0


@kernel_function(SOURCE)
def seq_read(cpu: Cpu, file: ptr, buffer: ptr, length: u64, position: ptr) -> s64:
    """What is left from the last time first; then fresh elements."""
    seq = of_file(cpu, file)
    if not cpu.space.number(position, 8):
        seq.set("index", 0)
        seq.set("count", 0)
    if not seq.get("buf") and not seq.new_buffer(PAGE_SIZE):
        return -ENOMEM
    copied = 0
    if seq.get("count"):
        copied = _hand_out(cpu, seq, buffer, length)
        if copied < 0:
            return copied
    if not seq.get("count") and copied < length:
        seq.set("from", 0)
        error = fill(cpu, seq, length - copied)
        if error and not copied:
            return error
        more = _hand_out(cpu, seq, buffer + copied, length - copied) if seq.get("count") else 0
        copied = copied + more if more >= 0 else copied or more
    cpu.space.store(position, cpu.space.number(position, 8) + copied, 8)
    return copied


def _hand_out(cpu: Cpu, seq: Seq, buffer: int, length: int) -> int:
    """Copy to the process what fits: how much, or -EFAULT."""
    start, count = seq.get("from"), min(seq.get("count"), length)
    data = cpu.space.read(seq.get("buf") + start, count)
    if user_write(cpu, buffer, data) < count:
        return -EFAULT
    seq.set("count", seq.get("count") - count)
    seq.set("from", start + count)
    return count


@kernel_function(SOURCE)
def seq_lseek(cpu: Cpu, file: ptr, offset: s64, whence: s32) -> s64:
    """To the beginning, or where it is already; further on by showing what lies between is not modelled."""
    target = offset + (cpu.structs.get(file, "file.f_pos") if whence == 1 else 0)
    if whence not in (0, 1) or target < 0:
        return -EINVAL
    if target != cpu.structs.get(file, "file.f_pos"):
        seq = of_file(cpu, file)
        for field in ("index", "count", "from", "read_pos"):
            seq.set(field, 0)
        cpu.structs.set(file, "file.f_pos", target)
    return target


# --- writing the text


@kernel_function(SOURCE)
def seq_printf(cpu: Cpu, seq: ptr, fmt: cstr, args: VarArgs) -> None:
    Seq(cpu, seq).put(cpu.format(fmt, args))


@kernel_function(SOURCE)
def seq_vprintf(cpu: Cpu, seq: ptr, fmt: cstr, args: ptr) -> None:
    Seq(cpu, seq).put(cpu.format(fmt, VarArgs(va_list_arguments(cpu.space, args))))


@kernel_function(SOURCE)
def seq_puts(cpu: Cpu, seq: ptr, text: cstr) -> None:
    Seq(cpu, seq).put(text)


@kernel_function(SOURCE)
def seq_putc(cpu: Cpu, seq: ptr, char: u32) -> None:
    Seq(cpu, seq).put(bytes((char & 0xFF,)))


@kernel_function(SOURCE)
def seq_write(cpu: Cpu, seq: ptr, data: ptr, length: u64) -> s32:
    """0, or -1 without room."""
    return 0 if Seq(cpu, seq).put(cpu.space.read(data, min(length, LARGEST))) else -1


def _put_number(cpu: Cpu, seq: int, delimiter: int, text: bytes) -> None:
    Seq(cpu, seq).put((cpu.space.string(delimiter) if delimiter else b"") + text)


@kernel_function(SOURCE)
def seq_put_decimal_ull(cpu: Cpu, seq: ptr, delimiter: ptr, number: u64) -> None:
    _put_number(cpu, seq, delimiter, b"%d" % number)


@kernel_function(SOURCE)
def seq_put_decimal_ull_width(cpu: Cpu, seq: ptr, delimiter: ptr, number: u64, width: u32) -> None:
    _put_number(cpu, seq, delimiter, (b"%d" % number).rjust(min(width, 100)))


@kernel_function(SOURCE)
def seq_put_decimal_ll(cpu: Cpu, seq: ptr, delimiter: ptr, number: s64) -> None:
    _put_number(cpu, seq, delimiter, b"%d" % number)


@kernel_function(SOURCE)
def seq_put_hex_ll(cpu: Cpu, seq: ptr, delimiter: ptr, number: u64, width: u32) -> None:
    _put_number(cpu, seq, delimiter, (b"%x" % number).rjust(min(width, 100), b"0"))


@kernel_function(SOURCE)
def seq_pad(cpu: Cpu, seq: ptr, char: u32) -> None:
    """Blanks up to ``pad_until``, then the character."""
    text = Seq(cpu, seq)
    blanks = text.get("pad_until") - text.get("count")
    text.put(b" " * min(max(blanks, 0), PAGE_SIZE) + (bytes((char & 0xFF,)) if char & 0xFF else b""))


# --- lists as sequences


def _list_at(cpu: Cpu, head: int, position: int) -> int:
    entries = cpu.structs.list_entries(head)
    return entries[position] if 0 <= position < len(entries) else 0


@kernel_function(SOURCE, "seq_list_start_rcu")
def seq_list_start(cpu: Cpu, head: ptr, position: s64) -> ptr:
    return _list_at(cpu, head, position)


@kernel_function(SOURCE, "seq_list_start_head_rcu")
def seq_list_start_head(cpu: Cpu, head: ptr, position: s64) -> ptr:
    return head if not position else _list_at(cpu, head, position - 1)


@kernel_function(SOURCE, "seq_list_next_rcu")
def seq_list_next(cpu: Cpu, element: ptr, head: ptr, position: ptr) -> ptr:
    cpu.space.store(position, cpu.space.number(position, 8) + 1, 8)
    following = cpu.space.number(element, 8)
    return 0 if following == head else following
