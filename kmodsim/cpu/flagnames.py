# SPDX-License-Identifier: GPL-2.0-only
"""The names of flags that %pG prints: of gfp_t, of a page, of a mapping (``include/trace/events/mmflags.h``).

Matching goes down a table, so masks of many bits stand first. Values are 6.1's for x86-64.
"""

from __future__ import annotations

from collections.abc import Sequence

from .printf_spec import DECIMAL, HEX_FLAGS, Spec, number

Names = Sequence[tuple[int, str]]

GFP: Names = (
    (0x1C24CA, "GFP_TRANSHUGE"), (0x1C20CA, "GFP_TRANSHUGE_LIGHT"), (0x100CCA, "GFP_HIGHUSER_MOVABLE"),
    (0x100CC2, "GFP_HIGHUSER"), (0x100CC0, "GFP_USER"), (0x400CC0, "GFP_KERNEL_ACCOUNT"),
    (0xCC0, "GFP_KERNEL"), (0xC40, "GFP_NOFS"), (0xA20, "GFP_ATOMIC"), (0xC00, "GFP_NOIO"),
    (0x800, "GFP_NOWAIT"), (0x1, "GFP_DMA"), (0x2, "__GFP_HIGHMEM"), (0x4, "GFP_DMA32"), (0x20, "__GFP_HIGH"),
    (0x200, "__GFP_ATOMIC"), (0x40, "__GFP_IO"), (0x80, "__GFP_FS"), (0x2000, "__GFP_NOWARN"),
    (0x4000, "__GFP_RETRY_MAYFAIL"), (0x8000, "__GFP_NOFAIL"), (0x10000, "__GFP_NORETRY"),
    (0x40000, "__GFP_COMP"), (0x100, "__GFP_ZERO"), (0x80000, "__GFP_NOMEMALLOC"),
    (0x20000, "__GFP_MEMALLOC"), (0x100000, "__GFP_HARDWALL"), (0x200000, "__GFP_THISNODE"),
    (0x10, "__GFP_RECLAIMABLE"), (0x8, "__GFP_MOVABLE"), (0x400000, "__GFP_ACCOUNT"),
    (0x1000, "__GFP_WRITE"), (0xC00, "__GFP_RECLAIM"), (0x400, "__GFP_DIRECT_RECLAIM"),
    (0x800, "__GFP_KSWAPD_RECLAIM"), (0x800000, "__GFP_ZEROTAGS"),
)  # fmt: skip


def _bits(*runs: tuple[int, str]) -> Names:
    """(first bit, names of it and the following ones) as rows."""
    return [(1 << bit, name) for first, names in runs for bit, name in enumerate(names.split(), first)]


# uffd_minor is bit 37, and stands where mmflags.h has it
VMA: Names = _bits(
    (0, "read write exec shared mayread maywrite mayexec mayshare growsdown uffd_missing"),
    (37, "uffd_minor"), (10, "pfnmap"),
    (12, "uffd_wp locked io seqread randread dontcopy dontexpand lockonfault account noreserve hugetlb sync "
         "pat wipeonfork dontdump softdirty mixedmap hugepage nohugepage mergeable"),
)  # fmt: skip
PAGE: Names = _bits(
    (0, "locked"), (7, "waiters error"), (1, "referenced uptodate dirty lru active workingset"),
    (9, "slab owner_priv_1 arch_1 reserved private private_2 writeback head mappedtodisk reclaim swapbacked "
        "unevictable mlocked uncached hwpoison arch_2"),
)  # fmt: skip
PAGE_FLAGS_MASK = (1 << 25) - 1  # NR_PAGEFLAGS of Debian's configuration
# (name, shift, width, how the number is printed): include/linux/page-flags-layout.h, from the top of the word
PAGE_FIELDS: Sequence[tuple[str, int, int, Spec]] = (
    ("node", 54, 10, DECIMAL), ("zone", 51, 3, DECIMAL), ("lastcpupid", 30, 21, HEX_FLAGS),
)  # fmt: skip


def flag_names(flags: int, names: Names) -> bytes:
    """``format_flags()``: the names joined by ``|``, the bits nobody knows as a number, nothing for 0."""
    parts = []
    for mask, name in names:
        if flags & mask == mask:
            parts.append(name.encode())
            flags &= ~mask
    return b"|".join([*parts, *([number(flags, HEX_FLAGS)] if flags else [])])
