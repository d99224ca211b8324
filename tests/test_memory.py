# SPDX-License-Identifier: GPL-2.0-only
"""Module addresses: first fit, guard pages, merged holes; page permissions; per-CPU offsets; user memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kmodsim import Kernel, KernelError, KernelOops, sample
from kmodsim.errors import EFAULT, ENOMEM
from kmodsim.loader import Load
from kmodsim.loader.relocate import apply_relocations
from kmodsim.memory import Area, Heap, Memory, PerCpu, UserMemory, find_vmap_area, page_align

from .faults.editor import Image
from .heart import errno_of

pytestmark = pytest.mark.core
PAGE = 4096
LOW = 0xFFFFFFFFC0000000


@pytest.mark.parametrize(("size", "rounded"), [(0, 0), (1, 4096), (4096, 4096), (4097, 8192)])
def test_page_align(size: int, rounded: int) -> None:
    assert page_align(size) == rounded


def test_find_vmap_area_takes_the_lowest_hole_not_the_best() -> None:
    holes = [(0x1000, 0x2000), (0x4000, 0x9000), (0xA000, 0xC000)]
    assert find_vmap_area(holes, 0x2000) == 0x4000
    assert find_vmap_area(holes, 0x1000) == 0x1000
    assert find_vmap_area(holes, 0x5000) == 0x4000
    assert find_vmap_area(holes, 0x5001) is None
    assert find_vmap_area([], 1) is None


def test_the_first_module_lies_where_the_facts_say() -> None:
    """Lowest hole at or above 0xffffffffc0201000: a bpf_prog_pack of 2 MiB and its guard page lie below."""
    kernel = Kernel()
    assert kernel.finit_module(sample("minimal")).base == 0xFFFFFFFFC0201000


def test_core_then_init_each_with_a_guard_page() -> None:
    kernel, seen = Kernel(), []
    kernel.register_module_notifier(lambda state, m: seen.append((m.base, len(m.core.data), m.init_base)))
    kernel.finit_module(sample("hello"))
    base, length, init = seen[0]
    assert init == base + length + PAGE


def test_a_freed_module_leaves_a_hole_that_the_next_takes() -> None:
    kernel = Kernel()
    first = kernel.finit_module(sample("minimal")).base
    second = kernel.finit_module(sample("chain_a")).base
    kernel.delete_module("minimal")
    assert kernel.finit_module(sample("no_exit")).base == first < second


class Against(RuleBasedStateMachine):
    """Memory against a plain array of pages: allocated pages, guard pages, free pages."""

    PAGES = 40

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(LOW, LOW + self.PAGES * PAGE, [(LOW + 3 * PAGE, 2 * PAGE, "boot")])
        self.pages = ["free"] * self.PAGES
        self.pages[3:5] = ["boot", "boot"]
        self.areas: list[Area] = []

    @rule(size=st.integers(1, 12 * PAGE))
    def allocate(self, size: int) -> None:
        count = -(-size // PAGE)
        run = ["free"] * (count + 1)
        fits = [i for i in range(self.PAGES - count) if self.pages[i : i + count + 1] == run]
        if not fits:
            assert errno_of(self.memory.vmalloc, size, "core", "m") == ENOMEM
            return
        area = self.memory.vmalloc(size, "core", "m")
        assert (area.start, len(area.data)) == (LOW + fits[0] * PAGE, count * PAGE)
        assert not area.data.any()
        self.pages[fits[0] : fits[0] + count + 1] = ["used"] * count + ["guard"]
        self.areas.append(area)

    @precondition(lambda self: self.areas)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        area = self.areas.pop(data.draw(st.integers(0, len(self.areas) - 1)))
        self.memory.vfree(area)
        self.memory.vfree(area)  # a second time is nothing
        start, count = (area.start - LOW) // PAGE, len(area.data) // PAGE
        self.pages[start : start + count + 1] = ["free"] * (count + 1)

    @invariant()
    def the_holes_are_the_free_pages_merged(self) -> None:
        free = {LOW + i * PAGE for i, what in enumerate(self.pages) if what == "free"}
        assert {a for low, high in self.memory.holes for a in range(low, high, PAGE)} == free
        assert all(low < high for low, high in self.memory.holes)
        assert all(one[1] < other[0] for one, other in pairwise(self.memory.holes))

    @invariant()
    def a_page_is_readable_when_it_is_used(self) -> None:
        for i, what in enumerate(self.pages):
            if what == "used":
                assert self.memory.read(LOW + i * PAGE, PAGE) == bytes(PAGE)
            else:
                assert errno_of(self.memory.read, LOW + i * PAGE, 1) == EFAULT


TestAgainstAPageBitmap = Against.TestCase
TestAgainstAPageBitmap.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_vfree_of_nothing_is_fine() -> None:
    Memory(LOW, LOW + 16 * PAGE).vfree(None)


@pytest.fixture
def area() -> tuple[Memory, Area]:
    memory = Memory(LOW, LOW + 16 * PAGE)
    return memory, memory.vmalloc(3 * PAGE, "core", "m")


def test_a_read_over_the_end_is_a_fault_and_not_short(area: tuple[Memory, Area]) -> None:
    memory, place = area
    assert memory.read(place.end - 4, 4) == bytes(4)
    assert errno_of(memory.read, place.end - 4, 5) == EFAULT
    assert errno_of(memory.read, place.start - 1, 1) == EFAULT
    assert errno_of(memory.read, place.start, -1) == EFAULT


def test_a_write_over_the_end_writes_nothing(area: tuple[Memory, Area]) -> None:
    memory, place = area
    assert errno_of(memory.write, place.end - 2, b"abc") == EFAULT
    assert not place.data.any()


def test_a_string_ends_at_nul_or_with_the_area(area: tuple[Memory, Area]) -> None:
    memory, place = area
    memory.write(place.start, b"abc\0def")
    memory.write(place.end - 3, b"xyz")
    assert memory.string(place.start) == b"abc"
    assert memory.string(place.end - 3) == b"xyz"
    assert errno_of(memory.string, place.end) == EFAULT


def test_permissions_go_by_page(area: tuple[Memory, Area]) -> None:
    memory, place = area
    assert memory.permissions(place.start) == "rw-"  # PAGE_KERNEL: writable, not executable
    memory.protect(place.start + PAGE, PAGE, set_bits=4, clear=2)
    assert [memory.permissions(place.start + i * PAGE) for i in range(4)] == ["rw-", "r-x", "rw-", "---"]


# kernel/module/strict_rwx.c: module_enable_ro, module_enable_nx, module_enable_x
@pytest.mark.parametrize(("name", "section", "permissions"), [
    ("chain_a", ".text", "r-x"), ("percpu", ".rodata", "r--"), ("percpu", ".data..ro_after_init", "r--"),
    ("percpu", ".data", "rw-"), ("percpu", ".bss", "rw-"),
])  # fmt: skip
def test_live_sections_are_protected(name: str, section: str, permissions: str) -> None:
    kernel = Kernel()
    module = kernel.finit_module(sample(name))
    assert kernel.memory.permissions(module.sections[section].address) == permissions


def test_ro_after_init_is_writable_until_init_has_run() -> None:
    kernel, seen = Kernel(), []
    kernel.register_module_notifier(
        lambda state, m: seen.append(
            (state, kernel.memory.permissions(m.sections[".data..ro_after_init"].address))
        )
    )
    module = kernel.finit_module(sample("percpu"))
    assert seen == [("COMING", "rw-"), ("LIVE", "rw-")]
    assert kernel.memory.permissions(module.sections[".data..ro_after_init"].address) == "r--"


# --- per-CPU offsets ------------------------------------------------------------------------------


def percpu(high: int = 0x37000) -> PerCpu:
    return PerCpu(0x35000, high, {})


def test_percpu_offsets_as_recorded_on_the_real_kernel() -> None:
    """cpufreq_userspace, zsmalloc, libnvdimm, speakup loaded in this order: the hole before zsmalloc's is
    filled."""
    area = percpu()
    sizes = [(4, 4), (0x18, 16), (4, 4), (4, 4)]
    assert [area.alloc(size, align, "m") for size, align in sizes] == [0x35000, 0x35010, 0x35004, 0x35008]


def test_percpu_allocations_are_multiples_of_four_bytes() -> None:
    """mm/percpu.c:pcpu_alloc: PCPU_MIN_ALLOC_SIZE is 4, for sizes and alignments alike."""
    area = percpu()
    assert [area.alloc(1, 1, "m") for _ in range(3)] == [0x35000, 0x35004, 0x35008]
    assert area.alloc(6, 0, "m") == 0x3500C
    assert area.alloc(4, 3, "m") == 0x35014


def test_percpu_refuses_alignments_that_are_no_power_of_two() -> None:
    """mm/percpu.c:pcpu_alloc: ``!is_power_of_2(align)`` is illegal; below 4 they count as 4."""
    assert percpu().alloc(8, 6, "m") is None
    assert percpu().alloc(8, 24, "m") is None


def test_percpu_area_full_to_the_last_byte_and_one_more() -> None:
    area = percpu()
    assert area.alloc(0x2000, 4, "m") == 0x35000
    assert area.alloc(1, 1, "m") is None
    area.free(0x35000)
    assert area.alloc(0x2001, 4, "m") is None


def test_percpu_free_of_none_is_nothing() -> None:
    area = percpu()
    area.free(None)
    assert area.regions == {}


def test_a_live_modules_percpu_data_lies_in_the_reserved_area() -> None:
    kernel = Kernel()
    module = kernel.finit_module(sample("percpu"))
    assert module.percpu == 0x35000
    assert (module.percpu, module.percpu_size, "percpu", "percpu") in kernel.memory.regions
    kernel.delete_module("percpu")
    assert not kernel.percpu.regions


def test_percpu_bytes_that_lie_outside_the_file_are_an_oops() -> None:
    """percpu_modcopy copies sh_size bytes at sh_offset; for SHT_NOBITS nobody compared them with the file."""
    image = Image(sample("percpu").read_bytes()).set_section(".data..percpu", sh_type=8, sh_offset=1 << 40)
    load = Kernel().load(bytes(image))
    assert isinstance(load.error, KernelOops)
    assert load.error.stage == "percpu_modcopy"


def test_symbols_of_an_empty_percpu_section_count_from_zero() -> None:
    """percpu_modalloc leaves mod->percpu NULL when there is nothing to allocate."""
    image = Image(sample("percpu").read_bytes()).set_section(".data..percpu", sh_size=0)
    number, seen = image.symbol_index("visits"), []

    def look(load: Load) -> None:
        assert load.symtab is not None
        seen.append(int(load.symtab["st_value"][number]))
        apply_relocations(load)

    Kernel(stages={"apply_relocations": look}).finit_module(bytes(image))
    assert seen == [image.symbol("visits", "st_value")] == [0x20]


# --- heap and user memory -------------------------------------------------------------------------


def test_heap_blocks_do_not_overlap() -> None:
    heap = Heap()
    places = [heap.kstrdup(b"x" * n) for n in (0, 7, 8, 100)]
    ends = [place + len(heap.blocks[place]) for place in places]
    assert all(end <= place for end, place in zip(ends, places[1:], strict=False))
    heap.kfree(places[0])
    assert places[0] not in heap.blocks


def test_user_memory_crosses_mappings_that_touch() -> None:
    user = UserMemory()
    user.map(0x1000, b"abc")
    user.map(0x1003, b"def")
    assert user.copy_from_user(0x1001, 4) == b"bcde"
    assert errno_of(user.copy_from_user, 0x1001, 6) == EFAULT


def test_unmap_splits_what_crosses_its_borders() -> None:
    user = UserMemory()
    user.map(0x1000, b"0123456789")
    user.unmap(0x1003, 4)
    assert user.copy_from_user(0x1000, 3) == b"012"
    assert user.copy_from_user(0x1007, 3) == b"789"
    assert errno_of(user.copy_from_user, 0x1002, 2) == EFAULT


def test_map_overlays_what_was_there() -> None:
    user = UserMemory()
    user.map(0x1000, b"0123456789")
    user.map(0x1004, b"xy")
    assert user.copy_from_user(0x1000, 10) == b"0123xy6789"


def test_strndup_user_stops_at_nul_limit_or_hole() -> None:
    user = UserMemory()
    user.map(0x1000, b"name\0more")
    assert user.strndup_user(0x1000, 100) == b"name"
    assert user.strndup_user(0x1005, 3) == b"mor"
    assert errno_of(user.strndup_user, 0x1005, 5) == EFAULT
    assert errno_of(user.strndup_user, 0, 5) == EFAULT


@pytest.mark.parametrize("length", [0, 1])
def test_nothing_is_copied_from_nowhere(length: int) -> None:
    user = UserMemory()
    if length:
        assert errno_of(user.copy_from_user, 0x5000, length) == EFAULT
    else:
        assert user.copy_from_user(0x5000, 0) == b""


def test_no_room_for_the_module_is_enomem_and_says_nothing() -> None:
    kernel = Kernel(stages={"find_vmap_area": lambda holes, size: None})
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("minimal"))
    assert (caught.value.errno, caught.value.stage) == (ENOMEM, "move_module")
    assert not any("minimal" in line and "taint" not in line for line in kernel.dmesg)
