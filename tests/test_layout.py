# SPDX-License-Identifier: GPL-2.0-only
"""Where sections go: by hand, by the layout's properties, and as the real kernel placed them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, corpus, sample, samples
from kmodsim.loader.layout import Placement, align, core_symbols, is_init_section, place_sections
from kmodsim.loader.load import SectionHeader
from kmodsim.loader.pipeline import STAGES

from .heart import at_coming

pytestmark = pytest.mark.core
PAGE, INIT, NOWHERE = 4096, 1 << 63, (1 << 64) - 1
A, W, X, RO_AFTER_INIT = 2, 1, 4, 0x00200000  # elf.h; include/linux/module.h
PROGBITS, NOBITS = 1, 8
# (flags, permissions' group) in the kernel's order: kernel/module/main.c:layout_sections, ``masks``
CODE, RODATA, RO_LATER, DATA = A | X, A, A | W | RO_AFTER_INIT, A | W


def headers(*rows: tuple[str, int, int, int]) -> list[SectionHeader]:
    """(name, flags, size, alignment), numbered from 1 behind the empty section 0."""
    all_rows = [("", 0, 0, 0), *rows]
    return [
        SectionHeader(i, name, PROGBITS if i else 0, flags, 0, 0, size, 0, 0, alignment, 0)
        for i, (name, flags, size, alignment) in enumerate(all_rows)
    ]


def test_groups_in_the_kernels_order_each_on_its_own_page() -> None:
    placed = place_sections(headers(
        (".data", DATA, 0x10, 8), (".rodata", RODATA, 0x20, 8), (".text", CODE, 0x30, 16),
        (".data..ro_after_init", RO_LATER, 8, 8), (".text.unlikely", CODE, 5, 1), (".note", RODATA, 0x24, 4),
        (".bss", DATA, 0x1000, 64),
    ))  # fmt: skip
    assert placed.offsets == [NOWHERE, 0x3000, 0x1000, 0, 0x2000, 0x30, 0x1020, 0x3040]
    core = placed.core
    assert (core.text_size, core.ro_size, core.ro_after_init_size, core.size) == (
        0x1000,
        0x2000,
        0x3000,
        0x5000,
    )
    assert placed.init.size == 0


def test_init_is_chosen_by_the_name_alone_and_exit_stays() -> None:
    placed = place_sections(headers(
        (".init.text", CODE, 7, 16), (".exit.text", CODE, 7, 16), (".init.data", DATA, 9, 8),
        (".initcall", RODATA, 4, 4),
        ("init", DATA, 4, 4), (".text.init", CODE, 4, 4),
    ))  # fmt: skip
    assert placed.offsets == [NOWHERE, INIT | 0, 0, INIT | 0x2000, INIT | 0x1000, 0x1000, 8]
    assert (placed.init.text_size, placed.init.ro_size, placed.init.size) == (0x1000, 0x2000, 0x3000)


def test_is_init_section_is_a_prefix_test() -> None:
    assert [is_init_section(n) for n in (".init", ".init.text", ".initX", "init", ".exit.text", "")] == [
        True, True, True, False, False, False]  # fmt: skip


def test_sections_without_alloc_are_nowhere() -> None:
    placed = place_sections(headers((".comment", 0, 99, 1), (".debug", W | X, 9, 1), (".text", CODE, 1, 1)))
    assert placed.offsets == [NOWHERE, NOWHERE, NOWHERE, 0]


def test_empty_groups_take_no_page_and_empty_sections_no_room() -> None:
    placed = place_sections(headers((".text", CODE, 0, 16), (".data", DATA, 0, 32), (".bss", DATA, 1, 32)))
    assert placed.offsets == [NOWHERE, 0, 0, 0]
    assert (placed.core.text_size, placed.core.size) == (0, 0x1000)


def test_writable_code_goes_with_the_code() -> None:
    """masks[0] does not forbid SHF_WRITE; module_enforce_rwx_sections refuses such files before."""
    assert place_sections(headers((".x", A | W | X, 4, 4), (".text", CODE, 4, 4))).offsets == [NOWHERE, 0, 4]


def test_ro_after_init_needs_its_flag_and_may_be_read_only() -> None:
    """A section without SHF_WRITE is caught by the read-only group first, whatever else is set."""
    placed = place_sections(headers(("one", A | RO_AFTER_INIT, 4, 4), ("two", A | W | RO_AFTER_INIT, 4, 4)))
    assert placed.offsets == [NOWHERE, 0, 0x1000]


def test_init_does_not_round_behind_its_ro_after_init_group() -> None:
    """layout_sections, init part, ``case 2``: only ro_after_init_size is set, to ro_size; no strict_align."""
    placed = place_sections(
        headers((".init.a", RODATA, 4, 4), (".init.b", RO_LATER, 4, 4), (".init.c", DATA, 4, 4))
    )
    assert placed.offsets == [NOWHERE, INIT | 0, INIT | 0x1000, INIT | 0x1004]
    assert (placed.init.ro_size, placed.init.ro_after_init_size, placed.init.size) == (0x1000, 0x1000, 0x2000)


# ALIGN(x, a) = (x + (a - 1)) & ~(a - 1) in unsigned int; alignment 0 counts as 1 (module_get_offset)
@pytest.mark.parametrize(("size", "alignment", "wanted"), [
    (0, 16, 0), (1, 16, 16), (16, 16, 16), (5, 0, 5), (5, 1, 5),
    (1, 3, 1), (2, 3, 4), (4, 3, 4), (5, 3, 5), (7, 6, 8), (0x11, 12, 0x14),  # masks 2, 2, 2, 2, 5, 11
    (0xFFFFFFFF, 16, 0),              # the sum wraps
    (5, 1 << 32, 0), (5, 1 << 63, 0), (0, 1 << 32, 0),  # (unsigned int)(1 << 32) - 1 is all ones
    (5, (1 << 32) + 16, 16),
])  # fmt: skip
def test_align_masks_as_the_kernels_macro(size: int, alignment: int, wanted: int) -> None:
    assert align(size, alignment) == wanted


def test_alignment_three_by_hand() -> None:
    """Mask 2: 5 + 2 = 7, 7 & ~2 = 5."""
    assert place_sections(headers(("a", DATA, 5, 1), ("b", DATA, 4, 3))).offsets == [NOWHERE, 0, 5]


def test_sizes_wrap_at_four_gibibytes() -> None:
    """``unsigned int *size``: a section of 4 GiB and one byte adds a single byte."""
    placed = place_sections(headers((".bss", DATA, (1 << 32) + 1, 1), (".data", DATA, 4, 4)))
    assert placed.offsets == [NOWHERE, 0, 4]
    assert placed.core.size == 0x1000


def test_rounding_up_to_pages_wraps_too() -> None:
    placed = place_sections(headers((".text", CODE, 0xFFFFFFFF, 1), (".data", DATA, 4, 4)))
    assert placed.offsets == [NOWHERE, 0, 0]
    assert (placed.core.text_size, placed.core.size) == (0, 0x1000)


SECTION = st.tuples(
    st.sampled_from([".text", ".data", ".rodata", ".init.text", ".init.data", ".exit.text", "x"]),
    st.sampled_from([0, CODE, RODATA, RO_LATER, DATA, A | W | X, W]),
    st.integers(0, 9000), st.sampled_from([0, 1, 2, 4, 8, 16, 32, 64, 4096]),
)  # fmt: skip


@settings(deadline=None, max_examples=100)
@given(st.lists(SECTION, max_size=24))
def test_any_sections_have_the_layouts_properties(rows: list[tuple[str, int, int, int]]) -> None:
    sections = headers(*rows)
    check_properties(sections, place_sections(sections))


def group(flags: int) -> int:
    return 0 if flags & X else 1 if not flags & W else 2 if flags & RO_AFTER_INIT else 3


def check_properties(sections: list[SectionHeader], placed: Placement) -> None:
    """Aligned, in the order of groups and then of the file, not overlapping, groups on pages of their own."""
    for init in (False, True):
        layout = placed.init if init else placed.core
        mine = [
            (placed.offsets[s.index] & ~INIT, s)
            for s in sections
            if s.flags & A and s.name.startswith(".init") == init
        ]
        assert all(bool(placed.offsets[s.index] & INIT) == init for _, s in mine)
        assert all(offset % (s.addralign or 1) == 0 for offset, s in mine)
        ordered = sorted(mine, key=lambda row: (group(row[1].flags), row[1].index))
        ends = [0, layout.text_size, layout.ro_size, layout.ro_after_init_size, layout.size]
        for number, (offset, s) in enumerate(ordered):
            if number:
                before, earlier = ordered[number - 1]
                assert before + earlier.size <= offset < before + earlier.size + PAGE + (s.addralign or 1)
            if not init:
                assert ends[group(s.flags)] <= offset
                assert offset + s.size <= ends[group(s.flags) + 1]
            assert offset + s.size <= layout.size
        assert all(end % PAGE == 0 for end in ends)
        assert ends[:3] == sorted(ends[:3])
        if not mine:
            assert layout.size == 0
    assert all(placed.offsets[s.index] == NOWHERE for s in sections if not s.flags & A)


def recorded_addresses() -> dict[str, tuple[int, dict[str, int]]]:
    """name -> (base, section -> address) of the samples as the real kernel placed them."""
    truth = json.loads((Path(__file__).parent / "truth" / "samples-6.1.json").read_text())
    found = {}
    for boot in truth["boots"].values():
        for case in boot["cases"]:
            lines = [line for step in case["steps"] for line in step["answer"].get("modules", [])]
            bases = {line.split()[0]: int(line.split()[5], 16) for line in lines}
            for step in case["steps"]:
                name = step["call"].get("module")
                if step["call"]["op"] == "snapshot" and name in bases:
                    prefix = f"/sys/module/{name}/sections/"
                    files = step["answer"].get("files", {}).items()
                    places = {p.removeprefix(prefix): int(a, 16) for p, a in files if p.startswith(prefix)}
                    if places:
                        found[name] = (bases[name], places)
    return found


RECORDED = recorded_addresses()


def read_sections(path: Path) -> list[SectionHeader]:
    """pyelftools' reading of the file, with the flags that layout_and_allocate changes."""
    sections = []
    for i, s in enumerate(ELFFile(io.BytesIO(path.read_bytes())).iter_sections()):
        flags = s["sh_flags"]
        if s.name in (".data..percpu", ".modinfo", "__versions"):
            flags &= ~A
        if s.name in (".data..ro_after_init", "__jump_table"):
            flags |= RO_AFTER_INIT
        kind = {"SHT_NULL": 0, "SHT_NOBITS": NOBITS}.get(s["sh_type"], PROGBITS)
        alignment = s["sh_addralign"]
        sections.append(
            SectionHeader(i, s.name, kind, flags, 0, s["sh_offset"], s["sh_size"], 0, 0, alignment, 0)
        )
    return sections


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_offsets_are_those_of_the_real_kernel(name: str) -> None:
    """/sys/module/NAME/sections of the recorded kernel, less the base; init's base is taken from one of its
    sections."""
    base, addresses = RECORDED[name]
    sections = read_sections(sample(name))
    offsets = place_sections(sections).offsets
    placed = {s.name: offsets[s.index] for s in sections if s.size and offsets[s.index] != NOWHERE}
    init = {n: o & ~INIT for n, o in placed.items() if o & INIT}
    core = {n: o for n, o in placed.items() if not o & INIT}
    assert len(core) >= 3
    assert core == {n: addresses[n] - base for n in core}
    start = {addresses[n] - o for n, o in init.items()}
    assert len(start) <= 1
    copies = {".symtab", ".strtab", ".data..percpu"}  # .symtab and .strtab: layout_symtab; per-CPU: an offset
    assert set(addresses) - copies == set(placed) - copies


def test_recorded_are_many() -> None:
    assert len(RECORDED) >= 20


FILES = [sample(name) for name in [*samples(), *corpus.distribution()]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_module_file_here_is_laid_out_with_these_properties(path: Path) -> None:
    sections = read_sections(path)
    check_properties(sections, place_sections(sections))
    check_loaded(path, sections)


def check_loaded(path: Path, sections: list[SectionHeader]) -> None:
    """What is in memory after move_module: the file's bytes at the sections' places, .bss zero, per-CPU
    outside."""
    data, seen = path.read_bytes(), {}

    def look(load: Any) -> None:
        seen["module"], seen["addr"] = load.module, {s.index: s.addr for s in load.sections}
        seen["read"] = {
            s.index: load.kernel.memory.read(s.addr, s.size) for s in load.sections if s.alloc and s.size
        }
        raise LookupError

    kernel = Kernel(stages={"add_unformed_module": look})
    with pytest.raises(LookupError):
        kernel.finit_module(data)
    module = seen["module"]
    for s in sections:
        if not s.flags & A or not s.size or s.name == ".gnu.linkonce.this_module":
            continue
        area = module.init_area if s.name.startswith(".init") else module.core
        assert area.start <= seen["addr"][s.index] <= area.end - s.size
        wanted = bytes(s.size) if s.type == NOBITS else data[s.offset : s.offset + s.size]
        assert seen["read"][s.index] == wanted
    assert kernel.memory.regions == Kernel().memory.regions


def test_percpu_data_lies_in_no_area_of_the_module() -> None:
    seen = at_coming(Kernel(), sample("percpu"))
    assert ".data..percpu" not in seen["sections"]
    assert seen["load"].module.percpu == 0x35000


# --- the symbol tables' copies: kernel/module/kallsyms.c:layout_symtab, is_core_symbol ------------


def test_core_keeps_named_symbols_of_sections_that_stay() -> None:
    sections = [(0, NOWHERE), (CODE, 0), (CODE, INIT | 0), (0, NOWHERE), (W, NOWHERE), (A, 0)]
    symbols = [
        (0, 0), (1, 1), (0, 1),  # the null symbol always; a name counts
        (5, 2), (5, 3), (5, 0),  # init, not allocated, undefined
        # 4 is the per-CPU section; ABS and beyond are not kept
        (5, 4), (5, 5), (5, 0xFFF1), (5, 6), (5, 0xFFF2),
    ]  # fmt: skip
    assert core_symbols(symbols, sections, 4) == [0, 1, 6, 7]
    assert core_symbols(symbols, sections, 0) == [0, 1, 7]


@pytest.mark.parametrize("name", ["minimal", "hello", "percpu", "chain_a", "x_tables"])
def test_sizes_of_the_symbol_copies_worked_out_from_the_file(name: str) -> None:
    """Core: symbols (24), strings, one letter each; init: .symtab, .strtab, struct mod_kallsyms (32),
    letters."""
    elf = ELFFile(io.BytesIO(sample(name).read_bytes()))
    symtab, strtab = elf.get_section_by_name(".symtab"), elf.get_section_by_name(".strtab")
    stays = {
        i for i, s in enumerate(elf.iter_sections())
        if s["sh_flags"] & A and not s.name.startswith(".init") and s.name not in (".modinfo", "__versions")
    }  # fmt: skip
    names = [
        s.name if s["st_name"] else ""
        for s in symtab.iter_symbols()
        if s["st_shndx"] in stays and s["st_name"]
    ]
    kept = len(names) + 1
    strings = sum(len(n.encode()) + 1 for n in names) + 1
    seen: dict[str, Any] = {}

    def look(load: Any) -> None:
        seen["before"] = (load.core_layout.size, load.init_layout.size)
        original(load)
        seen["after"] = (load.core_layout.size, load.init_layout.size)

    original = next(stage.run for stage in STAGES if stage.name == "layout_symtab")
    Kernel(stages={"layout_symtab": look}).finit_module(sample(name))
    core, init = seen["before"]
    assert seen["after"][0] == up(up(core, 8) + 24 * kept + strings + kept, PAGE)
    init = up(up(init, 8) + symtab["sh_size"], 1) + strtab["sh_size"]
    assert seen["after"][1] == up(up(init, 8) + 32 + symtab.num_symbols(), PAGE)


def up(value: int, step: int) -> int:
    return -(-value // step) * step
