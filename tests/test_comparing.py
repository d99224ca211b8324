# SPDX-License-Identifier: GPL-2.0-only
"""Yours beside the kernel's: what was spoiled is named first; the numbers are pyelftools' or recorded."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import sample
from kmodsim.views.comparison import Field, Fixup, Region, comparison, differing
from kmodsim.widgets.comparing import MISTAKES, Compared, Image, compared, image_of
from kmodsim.widgets.guessing import NOT_YET
from tests.test_coming_truth import truth

pytestmark = pytest.mark.core


def recorded(name: str) -> Image:
    """The memory of a module at COMING as the real kernel left it (tests/truth)."""
    steps = truth("chosen")["boots"]["shipped"]
    step = next(step for step in steps if step.get("load") == name and "memory" in step)
    sections = {}
    elf = ELFFile(io.BytesIO(sample(name).read_bytes()))
    for section, address in step["sections"].items():
        found = elf.get_section_by_name(section)
        for kind in ("core", "init"):
            base, size = step[kind]
            if base <= address < base + size and found is not None:
                memory = bytes.fromhex(step["memory"][kind])
                sections[section] = (address, memory[address - base :][: found["sh_size"]])
    return Image({"core size": f"{step['core'][1]:#x}"}, sections)


def spoiled(image: Image, section: str, offset: int) -> Image:
    address, data = image.sections[section]
    changed = bytearray(data)
    changed[offset] ^= 0xFF
    return Image(image.fields, {**image.sections, section: (address, bytes(changed))})


@pytest.mark.parametrize(("section", "offset"), [(".init.text", 5), (".exit.text", 0), ("__param", 9)])
def test_a_byte_spoiled_in_a_recorded_memory_is_named(section: str, offset: int) -> None:
    real = recorded("hello")
    byte = real.sections[section][1][offset]
    both = Compared("hello", spoiled(real, section, offset), real)
    view = both.view()
    assert view.description == (
        f"✗ First difference: {section}+{offset:#x} has {byte ^ 0xFF:02x}, the kernel's has {byte:02x}."
    )
    assert view.text.splitlines()[1] == view.description
    assert "1 run of bytes differ" in view.text


def test_two_recorded_memories_that_are_one() -> None:
    real = recorded("hello")
    assert Compared("hello", real, real).view().description.startswith("✓ No difference")


def test_sections_without_addresses_are_as_recorded() -> None:
    """The recorded module lies elsewhere: an observer was loaded before it."""
    real, mine = recorded("hello"), image_of("hello")
    for section in (".orc_unwind", ".rodata.str1.1", ".note.Linux"):
        assert mine.sections[section][1] == real.sections[section][1]
    assert "address of " in Compared("hello", mine, real).view().text


def test_the_relocation_entry_that_should_have_made_the_bytes() -> None:
    """Left out addends: the first entry is readelf's, its S, A and P are filled in."""
    elf = ELFFile(io.BytesIO(sample("hello").read_bytes()))
    table = elf.get_section_by_name(".rela.exit.text")
    entry = next(e for e in table.iter_relocations() if e["r_offset"] == 3)
    symbol = elf.get_section_by_name(".symtab").get_symbol(entry["r_info_sym"])
    name = symbol.name or elf.get_section(symbol["st_shndx"]).name
    assert (entry["r_info_type"], name, entry["r_addend"]) == (2, ".data", 0x74)
    both = compared("hello", "relocate_one: the addend is left out")
    place, data = both.theirs.sections[".data"][0], both.theirs.sections[".exit.text"][0] + 3
    text = both.view().text
    assert ".exit.text+0x3" in text.splitlines()[1]
    numbers = f"S + A − P with S {place:#x}, A +0x74, P {data:#x}"
    assert f"made by R_X86_64_PC32 for .data: {numbers}" in text
    stored = (place + 0x74 - data).to_bytes(4, "little").hex(" ")
    assert text.splitlines()[4].endswith(f"the least first: {stored}")


@pytest.mark.parametrize(
    ("mistake", "first"),
    [
        ("relocate_one: P is not subtracted", "result is oops"),
        ("find_vmap_area: one page too high", "0xffffffffc0202000, the kernel's is 0xffffffffc0201000"),
        ("patch_return: NOPs behind the return", "has 90 90 90 90, the kernel's has cc cc cc cc"),
        ("sort_orc: the tables stay as they are", ".orc_unwind"),
        ("core_symbols: all symbols stay", "core size is"),
        ("nothing is wrong", "No difference"),
    ],
)
def test_each_mistake_is_named(mistake: str, first: str) -> None:
    """INT3 behind the return: arch/x86/kernel/alternative.c:patch_return. 0xffffffffc0201000: where the first
    module of a boot lies (recorded)."""
    assert first in compared("hello", mistake).view().description


def test_every_mistake_but_none_makes_a_difference() -> None:
    for name in ("hello", "e1000"):
        for mistake in MISTAKES:
            found = compared(name, mistake).view().description
            assert found.startswith("✓") == (mistake == "nothing is wrong"), (name, mistake)


def test_where_a_load_dies_the_memory_after_relocation_is_compared() -> None:
    both = compared("hello", "relocate_one: the most significant byte first")
    assert both.when == "after apply_relocations"
    assert ".exit.text+0x3" in both.view().text.splitlines()[3]


# --- the view -----------------------------------------------------------------------------------------------


def test_runs_of_bytes_are_found_and_missing_ends_too() -> None:
    one = Region(".b", 0x2000, b"abcdef", b"abXXef12")
    two = Region(".a", 0x1000, b"same", b"same")
    assert [(run.place, run.length) for run in differing([one, two])] == [(".b+0x2", 2), (".b+0x6", 2)]
    assert len(differing([Region("x", 0, b"\0" * 10, b"\0\1" * 5)], most=3)) == 3
    assert differing([Region("empty", 0, b"", b"")]) == []


def test_fields_come_first_then_bytes_with_their_relocation() -> None:
    region = Region(".text", 0x1000, b"\xe8\0\0\0\0\xc3", b"\xe8\xfb\x0f\0\0\xc3")
    fixup = Fixup("R_X86_64_PLT32", "S + A - P", "puts", 0x2000, -4, 0x1001, 4)
    view = comparison([Field("size", "7", "7")], [region], [fixup], "Two")
    assert view.text.splitlines()[1:5] == [
        "✗ First difference: .text+0x1 has 00 00, the kernel's has fb 0f.",
        ".text+0x1, 0x1001: found 00 00, expected fb 0f",
        "made by R_X86_64_PLT32 for puts: S + A − P with S 0x2000, A -0x4, P 0x1001",
        "is 0xffb; its low 4 bytes, the least first: fb 0f 00 00",
    ]
    picture = "".join(ElementTree.fromstring(view.svg).itertext())
    assert "✗ 2 of 6 bytes differ" in picture and "yours" in picture
    field = comparison([Field("size", "7", "8")], [region], [], "Two")
    assert field.description == "✗ First difference: size is 7, the kernel's is 8."
    assert "another stage writes them" in field.text


# --- the widget ---------------------------------------------------------------------------------------------


def lab(*arguments: Any, **named: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import CompareLab

    return CompareLab(*arguments, **named)


def test_your_own_function_and_your_own_image() -> None:
    widget = lab("minimal", {"patch_return": lambda place, thunk: b"\xc3\x90\x90\x90\x90"})
    assert "90 90 90 90" in widget.text.splitlines()[0]
    assert "arch/x86/kernel/alternative.c:patch_return" in widget.text
    real = recorded("hello")
    given = lab("hello", mine=spoiled(real, ".init.text", 5), theirs=real)
    assert ".init.text+0x5" in given.text.splitlines()[0]
    assert given.differences == 1


def test_a_guess_is_judged() -> None:
    widget = lab("hello")
    widget.controls["mistake"].value = "patch_return: NOPs behind the return"
    widget.controls["guess"].value = NOT_YET
    assert "First difference" not in widget.text and "Choose above" in widget.text
    widget.controls["guess"].value = "only bytes of code differ"
    assert widget.text.startswith("✓ Right") and "First difference" in widget.text
    widget.controls["which"].value = 2
    assert widget.text.startswith("✓ Right"), "another difference of the same answer"
    widget.controls["mistake"].value = "sort_orc: the tables stay as they are"
    assert "Choose above" in widget.text, "another answer wants another guess"
    widget.controls["guess"].value = "only bytes of code differ"
    assert widget.text.startswith("✗ Not so")


def test_the_slider_shows_one_difference_after_the_other() -> None:
    widget = lab("hello")
    widget.controls["mistake"].value = "relocate_one: the addend is left out"
    first = widget.text
    widget.controls["which"].value = 2
    assert widget.text != first and widget.text.splitlines()[0] == first.splitlines()[0]
