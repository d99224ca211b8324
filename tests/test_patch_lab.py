# SPDX-License-Identifier: GPL-2.0-only
"""The self-patching view: the bytes before are the file's (pyelftools), those after the real kernel's.

Memory of real modules at COMING was recorded; what the widget shows as rewritten has to lie there.
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import sample
from kmodsim.widgets import patch_sites
from kmodsim.widgets.guessing import NOT_YET, SHOW
from kmodsim.widgets.patch_sites import CALL, JUMP, KINDS, NOP, OTHER, Situation, kinds_table, rewritten
from tests.test_comparing import recorded

pytestmark = pytest.mark.core
LOCK, NEWER = b"\xf0", "debian-6.12-amd64"


def lab(module: str = "tables", **more: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import PatchLab

    return PatchLab(module, **more)


def sizes(module: str) -> dict[str, int]:
    elf = ELFFile(io.BytesIO(sample(module).read_bytes()))
    return {section.name: section["sh_size"] for section in elf.iter_sections()}


def test_tables_have_as_many_entries_as_readelf_counts() -> None:
    size = sizes("tables")
    shown = rewritten(Situation("tables"))
    for kind, row in KINDS.items():
        entry = row.entry or 12  # struct alt_instr of 6.1: s32 s32 u16 u8 u8, packed
        assert shown.entries(kind) == size.get(row.table, 0) // entry, kind


def test_what_stood_there_is_what_the_file_and_its_relocations_say() -> None:
    """ftrace: each place calls __fentry__; a return site jumps to the thunk; a lock is the prefix F0."""
    shown = rewritten(Situation("tables"))
    kernel = shown.kernel
    aims = {
        "ftrace NOP": kernel.address_of("__fentry__"),
        "return thunk": kernel.address_of("__x86_return_thunk"),
    }
    checked = 0
    for site in shown.sites:
        if site.kind in aims:
            distance = int.from_bytes(site.before[1:5], "little", signed=True)
            assert site.before[0] in (0xE8, 0xE9)
            assert (site.address + 5 + distance) % (1 << 64) == aims[site.kind]
            checked += 1
        if site.kind == "SMP lock":
            assert site.before == LOCK
    assert checked == shown.counts["ftrace NOP"] + shown.counts["return thunk"] == 10


def test_what_stands_there_is_in_the_real_kernels_memory() -> None:
    """The recorded memory has, at each place, what was written there last; calls of a fixed address only
    where the module lay at the same one."""
    real = recorded("tables").sections
    shown = rewritten(Situation("tables"))
    last = {(site.section, site.offset): site for site in shown.sites}
    checked = set()
    for (number, offset), site in last.items():
        section = shown.code.sections[number]
        address, data = real[section.name]
        if site.kind in ("static call", "paravirt") and address != section.address:
            continue
        assert data[offset : offset + len(site.after)] == site.after, site
        checked.add(site.kind)
    assert checked >= {"return thunk", "alternative", "ftrace NOP"}


def test_bytes_around_a_place_differ_only_in_it() -> None:
    shown = rewritten(Situation("tables"))
    site = next(site for site in shown.sites if site.kind == "paravirt")
    text = shown.around(site).text
    assert f"[{site.before.hex(' ')}]" in text and f"[{site.after.hex(' ')}]" in text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("0f1f440000", NOP), ("6690", NOP), ("c3cccccccc", patch_sites.RETURN), ("e800000000", CALL),
        ("e900000000", JUMP), ("eb05", JUMP), ("ff14250000000090", patch_sites.INDIRECT),
        ("ff1500000000", patch_sites.INDIRECT), ("3e", patch_sites.PREFIX), ("9c580f1f4000", OTHER),
        ("fb0f1f440000", OTHER),
    ],
)  # fmt: skip
def test_bytes_are_named_as_the_processors_manual_does(code: str, words: str) -> None:
    assert patch_sites.becomes(bytes.fromhex(code)) == words


def test_two_processors_keep_the_lock() -> None:
    """arch/x86/kernel/alternative.c:alternatives_smp_module_add: num_possible_cpus() != 1 leaves it."""
    assert rewritten(Situation("tables", cpus=1)).counts["SMP lock"] == 1
    assert rewritten(Situation("tables", cpus=2)).counts["SMP lock"] == 0


def test_two_kernels_differ_where_the_source_says() -> None:
    """6.12 has no .parainstructions: paravirt calls are alternatives (arch/x86/include/asm/paravirt.h)."""
    one, other = rewritten(Situation("tables")), rewritten(Situation("tables", NEWER))
    assert one.entries("paravirt") == 3 and other.entries("paravirt") == 0
    assert other.entries("alternative") == one.entries("alternative") + 3
    marked = [line for line in kinds_table(one, other, ("6.1", "6.12")).text.splitlines() if "▶" in line]
    assert [line.split()[1] for line in marked] == ["paravirt", "alternative"]


def test_it_asks_before_it_shows() -> None:
    widget = lab()
    assert "What will the kernel make of it?" in widget.text and "after" not in widget.text
    site = widget.shown.sites[0]
    assert site.after.hex(" ") not in widget.text and "nop" not in widget.text
    widget.controls["guess"].value = CALL
    assert "✓ Right, as you expected: a direct call" in widget.text and site.after.hex(" ") in widget.text
    widget.controls["site"].value = 4
    assert widget.controls["guess"].value == NOT_YET
    widget.controls["guess"].value = JUMP
    assert "✗ You expected a jump; it is a return" in widget.text


def test_buttons_stop_at_the_ends() -> None:
    widget = lab("hello", ask=False)
    assert len(widget.shown.sites) == 2
    for _ in range(4):
        widget._move(1)
    assert widget.number == 1
    for _ in range(4):
        widget._move(-1)
    assert widget.number == 0


def test_a_second_kernel_keeps_the_guess() -> None:
    widget = lab()
    widget.controls["guess"].value = CALL
    widget.controls["beside"].value = widget.controls["beside"].options[-1]
    assert widget.controls["guess"].value == CALL and "▶" in widget.text


def test_a_module_that_is_refused_is_told() -> None:
    widget = lab("e1000")
    widget.controls["guess"].value = SHOW
    widget.controls["kernel"].value = NEWER
    assert widget.text.startswith(f"✗ e1000 under {NEWER}: ")
