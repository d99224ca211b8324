# SPDX-License-Identifier: GPL-2.0-only
"""After relocation: tables sorted, per-CPU data copied, kallsyms made
(``kernel/module/main.c:post_relocation``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import KernelOops
from ..memory import Area
from ..records import (
    EXTABLE,
    ORC_ENTRY,
    SHN_ABS,
    SHT_NOBITS,
    STB_LOCAL,
    STB_WEAK,
    STT_NOTYPE,
    STT_OBJECT,
    SYM,
    Records,
    view,
)
from ..symbols import Kallsyms, ModuleSymbols
from .layout import string_lengths
from .load import SectionHeader
from .patching import last_section

if TYPE_CHECKING:
    from .load import Load

ORC_REAL = 0x40F  # arch/x86/include/asm/orc_types.h:struct orc_entry: bits of sp_reg and end


def sort_exception_table(entries: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Exception table entries (insn, fixup, data) ordered by the instruction they belong to.

    insn and fixup are self-relative: the distance from their own field to the address meant. An entry of
    12 bytes
    that moves must therefore change both. Models ``lib/extable.c:sort_extable``.
    """
    absolute = [(12 * i + insn, 12 * i + 4 + fixup, data) for i, (insn, fixup, data) in enumerate(entries)]
    absolute.sort(key=lambda entry: entry[0])
    return [(insn - 12 * i, fixup - 12 * i - 4, data) for i, (insn, fixup, data) in enumerate(absolute)]


def sort_extable(load: Load) -> None:
    """Sort ``__ex_table`` in place."""
    section = load.named("__ex_table")
    data = load.bytes_of(section)
    table = view(data, 0, section.size // EXTABLE.itemsize, EXTABLE)
    if not len(table) or load.module is None:
        return
    ordered = load.pure("sort_exception_table")([tuple(row) for row in table.tolist()])
    new = np.array([tuple(_signed32(v) for v in row) for row in ordered], EXTABLE)
    load.kernel.memory.write(section.addr, new.tobytes())
    load.module.extable = [(int(a), int(b), int(c)) for a, b, c in ordered]


def _signed32(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def percpu_modcopy(load: Load) -> None:
    """Every CPU's copy of ``.data..percpu`` gets the relocated initial values."""
    module = load.module
    if module is None or module.percpu is None:
        return
    section = load.sections[load.index.pcpu]
    source = load.file_bytes(section.offset, section.size)
    if len(source) < section.size:  # possible for SHT_NOBITS: the kernel copies whatever the type says
        raise KernelOops(f"page fault copying {section.name}: its bytes lie outside the temporary copy")
    load.kernel.percpu.data[module.percpu][:] = source


def add_kallsyms(load: Load) -> None:
    """Type letters for every symbol, and the copies that stay in core after init memory is gone."""
    module, table, spots = load.module, load.symtab, load.symtab_layout
    assert module is not None and table is not None
    core_area, init_area = (module.areas[name] for name in load.memories.kallsyms)
    this_module = load.sections[load.index.mod]
    if this_module.size < load.profile.struct_module.size or this_module.type == SHT_NOBITS:
        # move_module wrote the bases into the temporary copy, and the copying stopped short of them
        raise KernelOops("page fault: init_layout.base of a struct module that was not copied whole")
    strings = load.bytes_of(load.sections[load.index.str])
    letters = _letters(load, table)
    _put(load, init_area.start + spots.init_typeoffs, letters.tobytes())
    keep = load.core_symbols
    records = table.view(f"V{SYM.itemsize}")[keep].view(SYM)
    names, lengths = load.core_names
    if strings.tobytes() != load.strings or not np.array_equal(names, records["st_name"]):  # relocated!
        lengths = string_lengths(strings, records["st_name"])
    packed, records["st_name"] = pack_strings(strings.tobytes(), records["st_name"], lengths)
    core = core_area.start
    _put(load, core + spots.symoffs, records.tobytes())
    _put(load, core + spots.stroffs, packed)
    _put(load, core + spots.core_typeoffs, letters[keep].tobytes())
    _note_kallsyms(load, len(records))
    start = init_area.start
    symoff, stroff = (load.sections[i].addr - start for i in (load.index.sym, load.index.str))
    module.symbols = ModuleSymbols(
        _kallsyms_at(init_area, (symoff, stroff, spots.init_typeoffs), len(table), len(strings)),
        _kallsyms_at(
            core_area, (spots.symoffs, spots.stroffs, spots.core_typeoffs), len(records), len(packed)
        ),
    )


def _kallsyms_at(area: Area, offsets: tuple[int, int, int], count: int, strings: int) -> Kallsyms:
    """``count`` symbols and ``strings`` bytes of names where they lie in ``area``: views, no copies."""
    symtab, strtab, typetab = offsets
    return Kallsyms(
        view(area.data, symtab, count, SYM),
        area.data[strtab : strtab + strings],
        area.data[typetab : typetab + count],
    )


def _put(load: Load, address: int, data: bytes) -> None:
    if data:
        load.kernel.memory.write(address, data)


def _letters(load: Load, table: Records) -> NDArray[np.uint8]:
    """elf_type for all symbols: weak ones by their type, all others by their section alone."""
    pure, sections, percpu = load.pure("elf_type"), load.sections, load.index.pcpu
    of_section = np.full(1 << 16, ord("?"), np.uint8)
    for shndx in (*range(len(sections)), SHN_ABS):
        of_section[shndx] = ord(pure(STB_LOCAL, STT_NOTYPE, shndx, sections, percpu))
    letters = of_section[table["st_shndx"]]
    weak = table["st_info"] >> 4 == STB_WEAK
    if weak.any():
        objects = table["st_info"][weak] & 15 == STT_OBJECT
        shown = [ord(pure(STB_WEAK, kind, 1, sections, percpu)) for kind in (STT_NOTYPE, STT_OBJECT)]
        letters[weak] = np.where(objects, shown[1], shown[0])
    return letters


def pack_strings(
    raw: bytes, offsets: NDArray[Any], lengths: NDArray[np.int64]
) -> tuple[bytes, NDArray[np.int64]]:
    """The strings at ``offsets`` one after the other, each with its NUL, and where each one starts now."""
    places, starts = np.cumsum(lengths) - lengths, offsets.astype(np.int64)
    ends = starts + lengths
    if not len(ends) or int(ends.max()) > len(raw):  # a name that runs on or starts behind the end
        spans = zip(starts.tolist(), lengths.tolist(), strict=True)
        return b"".join([raw[at : at + length - 1] + b"\0" for at, length in spans]), places
    last = np.append(np.flatnonzero(starts[1:] != ends[:-1]), len(ends) - 1)
    first = np.append(0, last[:-1] + 1)  # and last: of each run of names that stays together
    runs = zip(starts[first].tolist(), ends[last].tolist(), strict=True)
    return b"".join([raw[start:end] for start, end in runs]), places


def _note_kallsyms(load: Load, kept: int) -> None:
    module, spots, set_field = load.module, load.symtab_layout, load.kernel.set_field
    assert module is not None
    base, init = (module.areas[name].start for name in load.memories.kallsyms)
    place = init + spots.mod_kallsyms_init_off
    symsec, strsec = load.sections[load.index.sym], load.sections[load.index.str]
    words = (symsec.addr, symsec.size // SYM.itemsize, strsec.addr, init + spots.init_typeoffs)
    _put(load, place, b"".join(w.to_bytes(8, "little") for w in words))
    set_field(module, "kallsyms", place)
    for name, value in (
        ("symtab", base + spots.symoffs), ("num_symtab", kept), ("strtab", base + spots.stroffs),
        ("typetab", base + spots.core_typeoffs),
    ):  # fmt: skip
        set_field(module, f"core_kallsyms.{name}", value)


def sort_orc(
    ips: Sequence[int], entries: Sequence[bytes], real: int = ORC_REAL
) -> tuple[list[int], list[bytes]]:
    """The unwinder's two tables ordered by code address; terminators (no stack register) first among equals.

    ``ips`` are self-relative 32-bit distances, ``entries`` the 6-byte records beside them; those that are no
    terminators have a bit of ``real`` set in their last two bytes.
    Models ``arch/x86/kernel/unwind_orc.c:unwind_module_init``.
    """
    rows = [
        (4 * i + ip, bool(int.from_bytes(entry[4:6], "little") & real), entry)
        for i, (ip, entry) in enumerate(zip(ips, entries, strict=True))
    ]
    rows.sort(key=lambda row: row[:2])
    return [ip - 4 * i for i, (ip, _, _) in enumerate(rows)], [entry for _, _, entry in rows]


def unwind_module_init(load: Load) -> None:
    """The unwinder's tables are put in order."""
    orc, orc_ip = last_section(load, ".orc_unwind"), last_section(load, ".orc_unwind_ip")
    if orc is not None and orc_ip is not None and load.module is not None:
        fields = {"orc_unwind_ip": orc_ip.addr, "orc_unwind": orc.addr, "num_orcs": orc_ip.size // 4}
        for name, value in fields.items():
            load.kernel.set_field(load.module, f"arch.{name}", value)
        _sort_orc_sections(load, orc_ip, orc)


def _sort_orc_sections(load: Load, orc_ip: SectionHeader, orc: SectionHeader) -> None:
    """sort_orc over whole columns; most tables are in order already and stay as they are."""
    ips = load.bytes_of(orc_ip)[: orc_ip.size // 4 * 4].view("<i4")
    rows = view(load.bytes_of(orc), 0, orc.size // ORC_ENTRY.itemsize, ORC_ENTRY)
    count = min(len(ips), len(rows))
    if not orc_ip.alloc or not orc.alloc or not count:
        return
    if load.replaced("sort_orc"):
        raw = [rows[i].tobytes() for i in range(count)]
        new_ips, new_rows = load.pure("sort_orc")(ips[:count].tolist(), raw)
        after_ip = np.array(new_ips, "<i4").tobytes()
        after = b"".join(new_rows)
    else:
        if (ips[1:count] > ips[: count - 1] - 4).all():
            return
        step = 4 * np.arange(count, dtype=np.int64)
        code = ips[:count] + step
        real = (rows["bits"][:count] & load.rules.orc_real) != 0
        order = np.argsort(2 * code + real, kind="stable")
        after_ip = (code[order] - step).astype("<i4").tobytes()
        after = rows[:count].view("V6")[order].tobytes()
    load.kernel.memory.write(orc_ip.addr, after_ip)
    load.kernel.memory.write(orc.addr, after)
