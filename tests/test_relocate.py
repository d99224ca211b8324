# SPDX-License-Identifier: GPL-2.0-only
"""Relocation: types by hand, one by one equals all at once, faults, every entry of every file here."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, KernelOops, corpus, sample, samples
from kmodsim.errors import ENOEXEC, errno_name
from kmodsim.loader.relocate import Fault, Relocation, apply_relocations, relocate_one

from .conformance.independent import Reading
from .faults.editor import Image
from .heart import ROWS, with_table

pytestmark = pytest.mark.core
MASK = (1 << 64) - 1
NONE, R64, PC32, PLT32, R32, R32S, PC64 = 0, 1, 2, 4, 10, 11, 24
P = 0xFFFFFFFFC0203010  # a place in the module area

# psABI (AMD64 supplement), "Relocation Types": 64, 32, 32S: S + A; PC32, PLT32 (no PLT here), PC64: S + A - P
BY_HAND = [
    (R64, 0xFFFFFFFF81000000, 0x10, P, "10 00 00 81 ff ff ff ff"),
    (R64, 0, -1, P, "ff ff ff ff ff ff ff ff"),
    (R64, MASK, 2, P, "01 00 00 00 00 00 00 00"),
    (PC32, 0xFFFFFFFFC0203000, -4, P, "ec ff ff ff"),           # 0x3000 - 4 - 0x3010 = -20
    (PLT32, 0xFFFFFFFFC0203100, -4, P, "ec 00 00 00"),          # 0x3100 - 4 - 0x3010 = 0xec
    (PC32, 0, 0, 0x1_0000_0010, "f0 ff ff ff"),                 # does not fit; is not checked
    (PLT32, 1 << 40, 5, 1, "04 00 00 00"),
    (PC64, 0xFFFFFFFFC0203000, 0, P, "f0 ff ff ff ff ff ff ff"),
    (PC64, 0x10, 0x20, 0x8, "28 00 00 00 00 00 00 00"),
    (R32, 0x12345000, 0x678, P, "78 56 34 12"),
    (R32S, 0xFFFFFFFF81000000, 0x10, P, "10 00 00 81"),
    (R32S, 0x1000, -0x1001, P, "ff ff ff ff"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "s", "a", "p", "stored"), BY_HAND)
def test_types_by_hand(kind: int, s: int, a: int, p: int, stored: str) -> None:
    size = 8 if kind in (R64, PC64) else 4
    assert relocate_one(Relocation(kind, s, a, p), bytes(size)) == bytes.fromhex(stored)


def test_none_stores_nothing() -> None:
    assert relocate_one(Relocation(NONE, 5, 5, P), b"") == b""


# arch/x86/kernel/module.c: "val != *(u32 *)loc" and "(s64)val != *(s32 *)loc"
@pytest.mark.parametrize(("kind", "value", "fits"), [
    (R32, 0x7FFFFFFF, True), (R32, 0x80000000, True), (R32, 0xFFFFFFFF, True), (R32, 1 << 32, False),
    (R32, -1 & MASK, False), (R32, -0x80000000 & MASK, False), (R32, 0, True),
    (R32S, 0x7FFFFFFF, True), (R32S, 0x80000000, False), (R32S, -0x80000000 & MASK, True),
    (R32S, -0x80000001 & MASK, False), (R32S, 0xFFFFFFFF, False), (R32S, 1 << 32, False),
    (R32S, -1 & MASK, True),
    (PC32, 1 << 32, True), (PLT32, 1 << 63, True),
])  # fmt: skip
def test_overflow_at_the_boundaries(kind: int, value: int, fits: bool) -> None:
    result = relocate_one(Relocation(kind, value, 0, 0), bytes(4))
    assert result == (struct.pack("<Q", value)[:4] if fits else Fault("overflow", value))
    through_the_loader([(0, kind, 0, 0)], [value])


@pytest.mark.parametrize("kind", [3, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 23, 25, 26, 32, 33, 37, 41, 42, 99,
    255, 256,
                                  1 << 31])  # fmt: skip
def test_all_other_types_are_unknown(kind: int) -> None:
    assert relocate_one(Relocation(kind, 0, 0, P), b"") == Fault("unknown", kind)
    through_the_loader([(0, kind, 0, 0)], [0])


def test_a_nonzero_target_tells_s_plus_a_before_p_is_taken_off() -> None:
    """``val -= (u64)loc`` stands behind the check in the kernel."""
    assert relocate_one(Relocation(PC32, 0x100, 5, P), b"\0\0\0\1") == Fault("nonzero", 0x105)


def test_only_the_bytes_that_will_be_stored_must_be_zero() -> None:
    through_the_loader([(0, R32, 0, 0)], [7], bytes(4) + b"\xff" * 12)
    through_the_loader([(0, R64, 0, 0)], [7], bytes(4) + b"\xff" * 12)


def test_reading_the_type_of_a_section_that_is_rel_and_not_rela() -> None:
    """kernel/module/main.c:apply_relocations asks for SHT_REL before SHT_RELA; x86-64 has no
    apply_relocate."""
    kernel = Kernel(cpu=None)
    image = Image(with_table([(0, R64, 0, 0)], [1])).set_section(".rela.test", sh_type=9)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(bytes(image))
    assert caught.value.errno == ENOEXEC
    assert kernel.dmesg[-1] == "<3>module minimal: REL relocation unsupported"


# --- a whole table against a plain reading of __apply_relocate_add --------------------------------


class Outcome(dict[str, Any]):
    """``bytes`` of the target afterwards, ``log`` lines without the hashed pointer, ``error``: "",
    "ENOEXEC", "oops"."""


def expected(rows: list[ROWS], values: list[int], start: int, content: bytes) -> Outcome:
    """arch/x86/kernel/module.c:__apply_relocate_add, entry after entry."""
    memory, log = bytearray(content), []
    sizes = {NONE: 0, R64: 8, PC64: 8, PC32: 4, PLT32: 4, R32: 4, R32S: 4}
    for offset, kind, number, addend in rows:
        value = (values[number] + addend) & MASK
        if kind not in sizes:
            log.append(f"<3>module: minimal: Unknown rela relocation: {kind}")
            return Outcome(bytes=bytes(memory), log=log, error="ENOEXEC")
        size = sizes[kind]
        if any(memory[offset : offset + size]):
            log.append(f"nonzero for type {kind}, val {value:x}")
            return Outcome(bytes=bytes(memory), log=log, error="ENOEXEC")
        if kind in (PC32, PLT32, PC64):
            value = (value - start - offset) & MASK
        memory[offset : offset + size] = struct.pack("<Q", value)[:size]
        signed = value - (1 << 64) if value >> 63 else value
        if (kind == R32 and value >= 1 << 32) or (kind == R32S and not -(1 << 31) <= signed < 1 << 31):
            log.append(f"<3>module: overflow in relocation type {kind} val {value:x}")
            log.append("<3>module: `minimal' likely not compiled with -mcmodel=kernel")
            return Outcome(bytes=bytes(memory), log=log, error="ENOEXEC")
    return Outcome(bytes=bytes(memory), log=log, error="")


def found(rows: list[ROWS], values: list[int], content: bytes | int, slow: bool) -> tuple[Outcome, int]:
    """The same through a load: what apply_relocations left in ``.test``, and where that lies."""
    seen: dict[str, Any] = {}

    def stage(load: Any) -> None:
        target = load.named(".test")
        seen["start"] = target.addr
        before = len(load.kernel.dmesg)
        try:
            apply_relocations(load)
            seen["error"] = ""
        except KernelOops:
            seen["error"] = "oops"
        except KernelError as error:
            seen["error"] = errno_name(error.errno)
        seen["log"] = [strip(line) for line in load.kernel.dmesg[before:]]
        seen["bytes"] = load.kernel.memory.read(target.addr, target.size)
        raise LookupError

    stages: dict[str, Any] = {"apply_relocations": stage}
    if slow:
        stages["relocate_one"] = relocate_one
    with pytest.raises(LookupError):
        Kernel(cpu=None, stages=stages).finit_module(with_table(rows, values, content))
    return Outcome(bytes=seen["bytes"], log=seen["log"], error=seen["error"]), seen["start"]


def strip(line: str) -> str:
    if "existing value is nonzero" not in line:
        return line
    head, _, tail = line.partition(", loc ")
    assert head.startswith(
        "<3>module: x86/modules: Skipping invalid relocation target, existing value is nonzero for "
    )
    return f"nonzero for {head.split(' for ')[1]}, val {tail.split(', val ')[1]}"


def through_the_loader(rows: list[ROWS], values: list[int], content: bytes | int = 64) -> None:
    """Both ways through the loader equal the plain reading: bytes, log and error."""
    for slow in (False, True):
        outcome, start = found(rows, values, content, slow)
        assert outcome == expected(
            rows, values, start, content if isinstance(content, bytes) else bytes(content)
        )


EDGES = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 31) - 1 << 1, -1 & MASK, -0x80000000 & MASK,
         -0x80000001 & MASK, 0xFFFFFFFF81000000, 1 << 63]  # fmt: skip
KINDS = [NONE, R64, R32S, PC32, PLT32, PC64, R32]
TABLES = st.lists(
    st.tuples(st.integers(0, 56), st.sampled_from([*KINDS, *KINDS, 3, 9, 300]), st.integers(0, 2),
              st.one_of(st.integers(-8, 8), st.sampled_from([-1 << 63, (1 << 63) - 1, 1 << 31, -1 << 31]))),
    max_size=9,
)  # fmt: skip
CONTENT = st.one_of(
    st.just(64),
    st.just(bytes(64)),
    st.lists(st.sampled_from([0] * 30 + [1]), min_size=64, max_size=64).map(bytes),
)


@settings(max_examples=50, deadline=None)
@given(TABLES, st.lists(st.sampled_from(EDGES), min_size=3, max_size=3), CONTENT)
@example([(8, R64, 0, 0), (0, R64, 0, 0), (16, PC32, 1, -4)], [1, 2, 3], 64)  # not in order of their places
@example([(0, R64, 0, 0), (4, R32, 0, 0)], [1 << 32, 0, 0], 64)  # overlap: the second finds a 1
@example([(4, R32, 0, 0), (0, R64, 1, 0)], [0, 5, 0], 64)  # overlap, but the first stored 0
@example([(0, R64, 0, 0), (8, R32, 1, 0), (16, R64, 0, 0)], [7, 1 << 32, 0], 64)  # stops in the middle
@example([(56, R64, 0, 0), (60, NONE, 0, 0)], [7, 0, 0], 64)
def test_tables_of_all_kinds(rows: list[ROWS], values: list[int], content: bytes | int) -> None:
    through_the_loader(rows, values, content)


def test_what_was_written_before_a_fault_stays_in_memory() -> None:
    outcome, _ = found([(0, R64, 0, 0), (8, R32S, 1, 0), (16, R64, 0, 0)], [0x1122, 1 << 31], 64, slow=False)
    assert outcome["bytes"][:24] == struct.pack("<QQQ", 0x1122, 0x80000000, 0)
    assert outcome["error"] == "ENOEXEC"


def test_a_place_outside_the_section_but_inside_the_area_is_written() -> None:
    """r_offset is not compared with the section's size."""
    kernel = Kernel(cpu=None)
    module = kernel.finit_module(with_table([(128, R64, 0, 0)], [0x55], bytes(64) + bytes(0)))
    assert kernel.memory.read(module.sections[".test"].address + 128, 8) == struct.pack("<Q", 0x55)


@pytest.mark.parametrize("slow", [False, True])
def test_a_place_where_nothing_is_mapped_is_an_oops(slow: bool) -> None:
    outcome, _ = found([(0, R64, 0, 0), (1 << 40, R64, 0, 0)], [9], 64, slow)
    assert (outcome["error"], outcome["bytes"][:8]) == ("oops", struct.pack("<Q", 9))


@pytest.mark.parametrize("kind", [R64, NONE])
def test_a_symbol_far_behind_the_table_is_an_oops(kind: int) -> None:
    """``sym->st_value`` is read before the type is looked at."""
    image = Image(with_table([(0, kind, 0, 0)], [9])).set_relocation(".rela.test", 0, r_sym=0x7FFFFFFF)
    with pytest.raises(KernelOops):
        Kernel(cpu=None).finit_module(bytes(image))


@pytest.mark.parametrize("more", [{"sh_flags": 2}, {"sh_entsize": 7}, {"sh_addralign": 3}])
def test_header_fields_that_are_not_looked_at(more: dict[str, int]) -> None:
    kernel = Kernel(cpu=None)
    image = Image(with_table([(0, R64, 0, 1)], [9])).set_section(".rela.test", **more)
    module = kernel.finit_module(bytes(image))
    assert module.sections[".test"].data[:8] == struct.pack("<Q", 10)


def test_an_incomplete_last_entry_is_ignored() -> None:
    """``sh_size / sizeof(*rel)``."""
    image = Image(with_table([(0, R64, 0, 1), (8, 99, 0, 0)], [9])).set_section(".rela.test", sh_size=24 + 23)
    kernel = Kernel(cpu=None)
    assert kernel.finit_module(bytes(image)).sections[".test"].data[:16] == struct.pack("<QQ", 10, 0)


# --- every relocation of every file here ----------------------------------------------------------


class Comparison:
    """A kernel whose relocation stage is compared with pyelftools' reading, for all files in order of
    dependencies."""

    def __init__(self, slow: bool) -> None:
        stages: dict[str, Any] = {"apply_relocations": self.stage}
        if slow:
            stages["relocate_one"] = relocate_one
        self.kernel = Kernel(cpu=None, stages=stages)
        self.provided = {name: export.address for name, export in self.kernel.profile.exports.items()}
        self.images: dict[str, list[bytes]] = {}
        self.compared = 0

    def stage(self, load: Any) -> None:
        apply_relocations(load)
        addresses = {s.index: s.addr for s in load.sections if s.alloc}
        if load.index.pcpu:
            addresses[load.index.pcpu] = load.module.percpu
        reading = Reading(load.image[: load.length].tobytes())
        read = self.kernel.memory.read
        data = {
            i: read(a, reading.elf.get_section(i)["sh_size"])
            for i, a in addresses.items()
            if i != load.index.pcpu and reading.elf.get_section(i)["sh_size"]
        }
        for section, offset, stored in reading.expected(addresses, self.provided):
            assert data[section][offset : offset + len(stored)] == stored, (load.name, section, offset)
            self.compared += 1
        self.images[load.module.name] = list(data.values())
        self.provided.update(reading.exports(addresses))


ORDER = ["chain_a", "chain_b", "gpl_only", "proprietary", "namespace_provider", "diamond_bottom",
    "diamond_left",
         "crc16", "libcrc32c", "mbcache", "jbd2", "fat", "lib80211", "x_tables",
         "snd_intel_sdw_acpi"]  # fmt: skip
REFUSED = {"missing_symbol", "duplicate_export", "namespace_thief", "proprietary_gpl", "proprietary_bridge"}


def files(large: bool = True) -> list[Path]:
    names = [
        *ORDER,
        *(n for n in [*samples(), *corpus.distribution()] if n not in ORDER and n not in REFUSED),
    ]
    return [sample(n) for n in names if large or n not in ("ext4", "e1000")]


@pytest.fixture(scope="module")
def fast() -> Comparison:
    comparison = Comparison(slow=False)
    for path in files():
        comparison.kernel.finit_module(path)
    return comparison


def test_every_relocation_equals_pyelftools_reading(fast: Comparison) -> None:
    assert set(fast.images) == {path.stem.replace("-", "_") for path in files()}
    assert fast.compared > 40_000


def test_one_by_one_gives_the_same_memory(fast: Comparison) -> None:
    slow = Comparison(slow=True)
    for path in files():
        slow.kernel.finit_module(path)
    assert slow.images == fast.images
    assert slow.compared == fast.compared


@pytest.mark.parametrize("slow", [False, True])
def test_a_table_that_changes_the_symbols_it_uses(slow: bool) -> None:
    """Entry after entry: the second adds to what the first has just stored in the symbol table's copy."""
    image = Image(with_table([], [0, 0x1000, 0]))
    first, table = image.symbol_index("s0"), image.index(".symtab")
    rows = [(24 * first + 8, R64, first + 1, 4), (24 * (first + 2) + 8, R64, first, 8)]
    entries = b"".join(struct.pack("<QIIq", *row) for row in rows)
    image.replace(".rela.test", entries).set_section(".rela.test", sh_info=table)
    seen: list[int] = []

    def stage(load: Any) -> None:
        apply_relocations(load)
        start = load.sections[table].addr
        seen.extend(int.from_bytes(load.kernel.memory.read(start + row[0], 8), "little") for row in rows)

    stages: dict[str, Any] = {"apply_relocations": stage} | ({"relocate_one": relocate_one} if slow else {})
    Kernel(cpu=None, stages=stages).finit_module(bytes(image))
    assert seen == [0x1004, 0x100C]
