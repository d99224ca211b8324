# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code as modules meet it: one ``hlt`` a byte, at the real addresses.

A call of any kernel function stops the machine at its first byte; its address tells which function is
wanted, and Python does the work. A few functions that follow no calling convention have real code.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from ..memory import PAGE_SIZE
from ..profile import KernelProfile
from ..records import Bytes

HLT = 0xF4
RET = b"\xc3"
REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))
# arch/x86/lib/retpoline.S, arch/x86/kernel/ftrace_64.S, arch/x86/entry/thunk_64.S (those keep every register)
REAL_CODE: dict[str, bytes] = {
    "__fentry__": RET,
    "__x86_return_thunk": RET,
    "its_return_thunk": RET,
    "srso_untrain_ret": RET,
    "srso_alias_untrain_ret": RET,
    "preempt_schedule_thunk": RET,
    "preempt_schedule_notrace_thunk": RET,
} | {
    f"__x86_indirect_thunk_{name}": (b"\x41" if n > 7 else b"") + bytes((0xFF, 0xE0 | n & 7))
    for n, name in enumerate(REGISTERS)
}
FILLER_SIZE = 2 << 20


@cache
def _filler() -> Bytes:
    """Code that stops at once; every stretch of kernel text between the special pages shares it."""
    return np.full(FILLER_SIZE, HLT, np.uint8)


@cache
def special_pages(profile: KernelProfile) -> dict[int, Bytes]:
    """page address -> its bytes, for the pages that hold real code."""
    pages: dict[int, Bytes] = {}
    for name, code in REAL_CODE.items():
        export = profile.exports.get(name)
        if export is None:
            continue
        for i, byte in enumerate(code):
            page, offset = divmod(export.address + i, PAGE_SIZE)
            if page * PAGE_SIZE not in pages:
                pages[page * PAGE_SIZE] = np.full(PAGE_SIZE, HLT, np.uint8)
            pages[page * PAGE_SIZE][offset] = byte
    return pages


def text_segments(profile: KernelProfile) -> Iterator[tuple[int, Bytes]]:
    """(address, bytes) of all of the kernel's text, ascending, in whole pages."""
    start, end = profile.text[0] & -PAGE_SIZE, -(-profile.text[1] // PAGE_SIZE) * PAGE_SIZE
    for page in [*sorted(special_pages(profile)), end]:
        while start < page:
            length = min(page - start, FILLER_SIZE)
            yield start, _filler()[:length]
            start += length
        if page < end:
            yield page, special_pages(profile)[page]
            start = page + PAGE_SIZE


@cache
def names_by_address(profile: KernelProfile) -> dict[int, list[str]]:
    """The exported names of each address."""
    names: dict[int, list[str]] = {}
    for name in profile.exports:
        names.setdefault(profile.exports[name].address, []).append(name)
    return names
