# SPDX-License-Identifier: GPL-2.0-only
"""Where every section will live: core and init, grouped by page protection, and the move there.

Models ``kernel/module/main.c:layout_sections``, ``move_module`` and
``kernel/module/kallsyms.c:layout_symtab``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import KernelError, KernelOops
from ..memory import U64, Area, Change, page_align
from ..module import Layout, MemoryKind, MemoryKinds, Module, Section
from ..records import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_RO_AFTER_INIT,
    SHF_WRITE,
    SHN_UNDEF,
    SHT_NOBITS,
    SYM,
    Bytes,
    c_string,
    text,
    view,
)
from .load import INIT_OFFSET_MASK, SectionHeader, SymtabLayout, all_inside

if TYPE_CHECKING:
    from .load import Load

U32 = 0xFFFFFFFF
NOWHERE = (1 << 64) - 1
SIZEOF_MOD_KALLSYMS = (
    32  # include/linux/module.h:struct mod_kallsyms: two pointers around an int, one pointer more
)
# Flags a section must have, and must not have, to belong to a group; the groups follow each other in memory.
# x86 has no small data (ARCH_SHF_SMALL is 0), so the kernel's fifth group is always empty here.
GROUPS = (
    (SHF_EXECINSTR | SHF_ALLOC, 0),
    (SHF_ALLOC, SHF_WRITE),
    (SHF_RO_AFTER_INIT | SHF_ALLOC, 0),
    (SHF_WRITE | SHF_ALLOC, 0),
)
RO_AFTER_INIT_SECTIONS = (".data..ro_after_init", "__jump_table")


class Placement(NamedTuple):
    """``offsets[i]``: byte offset of section i in its part, bit 63 set for init, 2**64 - 1 when it is not
    loaded."""

    offsets: list[int]
    core: Layout
    init: Layout


# Until 6.3 (include/linux/module.h:struct module_layout): all that stays, and all that goes after init
CORE_AND_INIT = MemoryKinds(
    (MemoryKind("core", False, (0, 1, 2, 3), "core_layout"),
     MemoryKind("init", True, (0, 1, 2, 3), "init_layout")), 63, ("core", "init"),
)  # fmt: skip


def is_init_section(name: str) -> bool:
    """Only the name decides: ``.init*`` is freed after init; ``.exit*`` stays in core where unloading is
    built in."""
    return name.startswith(".init")


def place_sections(sections: Sequence[SectionHeader]) -> Placement:
    """Offsets of all allocated sections in core and init, and the two layouts.

    Four passes over each part (code, read-only, read-only after init, writable); every group starts on a
    page of its
    own, so that page permissions can differ. Sizes are ``unsigned int`` and wrap at 4 GiB, as in the kernel.
    """
    offsets, (core, init) = place_in(CORE_AND_INIT, sections)
    return Placement(offsets, core, replace(init, ro_after_init_size=init.ro_size))


def place_in(memories: MemoryKinds, sections: Sequence[SectionHeader]) -> tuple[list[int], list[Layout]]:
    """The offsets, each with the number of its kind above, and the layout of every kind."""
    offsets = [NOWHERE] * len(sections)
    belongs = [(is_init_section(s.name), _group_of(s.flags), s) for s in sections]
    layouts = []
    for number, kind in enumerate(memories.kinds):
        size, ends = 0, []
        for group, (needed, _) in enumerate(GROUPS):
            for s in (s for init, of, s in belongs if init == kind.init and group == of in kind.groups):
                start = align(size, s.addralign)
                offsets[s.index] = start | number << memories.shift
                size = (start + s.size) & U32
            # Groups in one memory start on pages of their own; in init, read-only after init means nothing
            if len(kind.groups) == len(GROUPS) and not (kind.init and needed & SHF_RO_AFTER_INIT):
                size = page_align(size) & U32
            ends.append(size)
        layouts.append(Layout(size, *ends[:3]))
    return offsets, layouts


def _group_of(flags: int) -> int:
    """The first group whose flags a section has; −1: it is not loaded."""
    return next((g for g, (has, hasnt) in enumerate(GROUPS) if flags & has == has and not flags & hasnt), -1)


def align(size: int, alignment: int) -> int:
    """The kernel's ALIGN macro on an ``unsigned int``, which rounds by masking: an alignment that is no
    power of two, or does not fit into 32 bits, gives what it gives."""
    mask = ((alignment or 1) - 1) & U32
    return ((size + mask) & U32) & ~mask


def mark_special_sections(load: Load) -> None:
    """Per-CPU data is allocated elsewhere; two sections become read-only after init
    (``layout_and_allocate``)."""
    load.sections[load.index.pcpu].flags &= ~SHF_ALLOC
    for name in RO_AFTER_INIT_SECTIONS:
        number = load.find_sec(name)
        if number:
            load.sections[number].flags |= SHF_RO_AFTER_INIT


def layout_sections(load: Load) -> None:
    """Put the offsets into ``sh_entsize``, as the kernel does, and keep the two layouts."""
    mark_special_sections(load)
    offsets, *layouts = load.pure("place_sections")(load.sections)
    for section, offset in zip(load.sections, offsets, strict=True):
        section.entsize = offset
    load.layouts = {kind.name: layout for kind, layout in zip(load.memories.kinds, layouts, strict=True)}


def core_symbols(
    symbols: Sequence[tuple[int, int]], sections: Sequence[tuple[int, int]], percpu: int,
    init: int = INIT_OFFSET_MASK,
) -> list[int]:
    """Numbers of the symbols that stay after init: 0, and those with a name in a section that stays.

    ``symbols``: (st_name, st_shndx); ``sections``: (flags, offset with a bit for init: bit 63). With
    CONFIG_KALLSYMS_ALL data and per-CPU symbols count too (``kernel/module/kallsyms.c:is_core_symbol``).
    """
    stays = [flags & SHF_ALLOC and not offset & init for flags, offset in sections]
    if percpu:
        stays[percpu] = True
    return [
        i
        for i, (name, shndx) in enumerate(symbols)
        if i == 0 or (shndx != SHN_UNDEF and shndx < len(stays) and name and stays[shndx])
    ]


def _core_symbols(load: Load) -> NDArray[np.int64]:
    """core_symbols over the symbol table, whole columns at a time unless somebody put a function in its
    place."""
    section = load.sections[load.index.sym]
    table = view(load.image, section.offset, section.size // SYM.itemsize, SYM)
    if load.get_modinfo("livepatch") is not None:  # is_livepatch_module: it keeps all
        return np.arange(len(table))
    if load.replaced("core_symbols"):
        rows = [(s.flags, s.entsize) for s in load.sections]
        pairs = list(zip(table["st_name"].tolist(), table["st_shndx"].tolist(), strict=True))
        return np.array(load.pure("core_symbols")(pairs, rows, load.index.pcpu), np.int64)
    stays = np.zeros(1 << 16, bool)
    for s in load.sections:
        stays[s.index] = s.alloc and not load.memories.of(s.entsize).init
    stays[SHN_UNDEF] = False
    if load.index.pcpu:
        stays[load.index.pcpu] = True
    keep = stays[table["st_shndx"]] & (table["st_name"] != 0)
    keep[:1] = True
    return np.flatnonzero(keep)


def string_lengths(strings: Bytes, offsets: NDArray[Any]) -> NDArray[np.int64]:
    """Length with its NUL of each string that starts at an offset of ``strings``; beyond the end counts as
    empty."""
    nul = np.append(np.flatnonzero(strings == 0), len(strings))
    whole = np.zeros(len(strings) + 1, np.int32)  # of the strings as they follow each other, by their start
    whole[0], whole[nul[:-1] + 1] = nul[0] + 1, np.diff(nul)
    starts = np.minimum(offsets.astype(np.int64), len(strings))
    lengths = whole[starts].astype(np.int64)
    inside = np.flatnonzero(lengths == 0)  # a name that is another's end
    lengths[inside] = nul[np.searchsorted(nul, starts[inside])] - starts[inside] + 1
    return lengths


def _name_lengths(load: Load, offsets: NDArray[Any]) -> NDArray[np.int64]:
    """Lengths of these symbols' names; with all of the file behind the string table only when a name runs on
    or starts behind its end."""
    if not all_inside(load.strings, [int(offsets.max(initial=0))]):
        return string_lengths(load.image[load.sections[load.index.str].offset :], offsets)
    lengths = string_lengths(np.frombuffer(load.strings, np.uint8), offsets)
    load.core_names = (offsets, lengths)
    return lengths


def layout_symtab(load: Load) -> None:
    """Append .symtab and .strtab to init, and the cut-down copies that stay to the end of core (of data)."""
    symsect, strsect = load.sections[load.index.sym], load.sections[load.index.str]
    keeps, goes = load.memories.kallsyms
    mark = [kind.name for kind in load.memories.kinds].index(goes) << load.memories.shift
    core, init = load.layouts[keeps], load.layouts[goes]
    nsrc = symsect.size // SYM.itemsize
    symsect.flags |= SHF_ALLOC
    symoff = align(init.size, symsect.addralign)
    symsect.entsize = symoff | mark
    init_size = (symoff + symsect.size) & U32

    load.core_symbols = keep = _core_symbols(load)
    table = view(load.image, symsect.offset, nsrc, SYM)
    names = table["st_name"][keep]
    strtab_size = int(_name_lengths(load, names).sum())
    symoffs = align(core.size, symsect.addralign)
    stroffs = (symoffs + len(keep) * SYM.itemsize) & U32
    typeoffs = (stroffs + strtab_size) & U32
    load.layouts[keeps] = replace(core, size=page_align((typeoffs + len(keep)) & U32) & U32)

    strsect.flags |= SHF_ALLOC
    stroff = align(init_size, strsect.addralign)
    strsect.entsize = stroff | mark
    kallsyms_off = align((stroff + strsect.size) & U32, 8)
    init_typeoffs = (kallsyms_off + SIZEOF_MOD_KALLSYMS) & U32
    load.layouts[goes] = replace(init, size=page_align((init_typeoffs + nsrc) & U32) & U32)
    load.symtab_layout = SymtabLayout(symoffs, stroffs, typeoffs, kallsyms_off, init_typeoffs, len(keep))


def move_module(load: Load) -> None:
    """Allocate the kernel's kinds of memory in their order, as far as there is something for them, and copy
    every allocated section; from here on ``load.module`` exists."""
    areas = {}
    for kind in load.memories.kinds:
        layout = load.layouts[kind.name]
        load.layouts[kind.name] = layout = replace(layout, size=page_align(layout.size))
        if layout.size or kind.name == "core":
            areas[kind.name] = _allocate(load, layout.size, kind.name)
    for section in load.sections:
        if section.alloc:
            _move_section(load, section, areas.get(load.memories.of(section.entsize).name))
    load.module = _new_module(load, areas)


def _allocate(load: Load, size: int, kind: str) -> Area:
    memory = load.kernel.memory
    try:
        area = memory.vmalloc(size, kind, load.name)
    except KernelError:
        load.kernel.print_records(load.rules.no_memory)
        raise
    load.undo.callback(memory.vfree, area)
    return area


def _move_section(load: Load, section: SectionHeader, area: Area | None) -> None:
    offset = load.memories.offset(section.entsize)
    if area is None and not section.size:  # an empty memory is not allocated: base is NULL
        section.addr = offset
        return
    if area is None or (section.type != SHT_NOBITS and offset + section.size > len(area.data)):
        raise KernelOops(f"section {section.name} is copied outside its allocation: sizes wrapped at 4 GiB")
    if section.type != SHT_NOBITS and section.size:
        source = load.file_bytes(section.offset, section.size)
        if len(source) < section.size:  # SHT_NULL: elf_validity_check did not look at it
            raise KernelOops(f"page fault copying {section.name}: its bytes lie outside the temporary copy")
        area.data[offset : offset + section.size] = source
        if load.kernel.memory.journal is not None:
            load.kernel.memory.journal.append(Moved(area.start + offset, area, offset, section.size))
    section.addr = (area.start + offset) & U64  # 2 GiB without bytes reach beyond the end of memory


class Moved:
    """A section that was copied into zeroed memory: a Change whose bytes are those of the file."""

    def __init__(self, start: int, area: Area, offset: int, size: int) -> None:
        self.start, self.size = start, size
        self._after = area.data[offset : offset + size].tobytes()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Change:
        if index:
            raise IndexError(index)
        return Change(self.start, bytes(self.size), self._after)


def _new_module(load: Load, areas: dict[str, Area]) -> Module:
    section = load.sections[load.index.mod]
    fields = load.profile.struct_module.fields
    area = load.kernel.memory.area_at(section.addr)
    if area is None or section.addr + load.profile.struct_module.size > area.end:
        raise KernelOops("struct module does not fit into the memory behind its section")
    offset, size = fields["name"]
    name = c_string(area.data[section.addr - area.start + offset :], 0)
    if len(name) >= size and load.rules.fortified_name:
        raise KernelOops("strlen: the name in struct module has no NUL (fortify_panic, a BUG)")
    return Module(
        name=text(name), memory=load.kernel.memory, kinds=load.memories.kinds, areas=areas,
        layouts=dict(load.layouts), address=section.addr, taint_mask=load.taint_mask,
        init_field=section.addr + fields["init"][0], exit_field=section.addr + fields["exit"][0],
        all_sections=[
            Section(s.name, s.addr, s.size, s.flags, load.memories.of(s.entsize).name, load.kernel.memory)
            for s in load.sections if s.alloc and s.entsize != NOWHERE
        ],
    )  # fmt: skip
