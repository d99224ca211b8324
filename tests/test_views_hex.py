# SPDX-License-Identifier: GPL-2.0-only
"""Hex dumps and differences of images: the bytes as od(1) prints them, the marks where they belong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest

from kmodsim import sample
from kmodsim.views.hexdump import differences, hex_difference, hex_dump
from kmodsim.views.view import View

from .pictures import assert_sound

# od -A x -t x1z -N 64 hello.ko
OD = """\
000000 7f 45 4c 46 02 01 01 00 00 00 00 00 00 00 00 00  >.ELF............<
000010 01 00 3e 00 01 00 00 00 00 00 00 00 00 00 00 00  >..>.............<
000020 00 00 00 00 00 00 00 00 c0 34 00 00 00 00 00 00  >.........4......<
000030 00 00 00 00 40 00 00 00 00 00 40 00 24 00 23 00  >....@.....@.$.#.<
"""
MACHINE = (18, 2, "e_machine", "data")
ROW = re.compile(r"^(?:(before|after)? +)?([0-9a-f]{4,16})  ((?:[ \[\]][0-9a-f]{2})+)\]?(?:  +(.*))?$")


def header() -> bytes:
    return sample("hello").read_bytes()[:64]


def rows(text: str) -> list[tuple[int, str, str]]:
    """(address, hex digits, characters) of the dump's rows."""
    found = (ROW.match(line) for line in text.splitlines())
    return [(int(m[2], 16), re.sub(r"[^0-9a-f]", "", m[3]), (m[4] or "").strip()) for m in found if m]


def od_rows(text: str) -> list[tuple[int, str, str]]:
    lines = (line for line in text.splitlines() if ">" in line)
    return [
        (int(line[:6], 16), line[7:54].replace(" ", ""), line.split(">", 1)[1][:-1].strip()) for line in lines
    ]


@pytest.mark.core
def test_the_rows_are_those_of_od() -> None:
    view = hex_dump(header(), regions=[(0, 4, "magic", "code"), MACHINE], marks=[(18, 2)])
    assert rows(view.text) == od_rows(OD)


@pytest.mark.core
def test_marked_bytes_stand_in_brackets_and_are_named_by_their_region() -> None:
    view = hex_dump(header(), regions=[MACHINE], marks=[(18, 2), (40, 8), (19, 1)], title="ELF header")
    assert "01 00[3e[00]01 00" in view.text
    assert " 00[c0 34 00 00 00 00 00 00]" in view.text
    assert view.description == (
        "64 bytes from 0x0 to 0x40. "
        "Marked: 0x12 (e_machine), 2 bytes; 0x28, 8 bytes; 0x13 (e_machine+0x1), 1 byte."
    )
    assert view.text.splitlines()[-1].split() == ["0x12", "2", "e_machine"]


@pytest.mark.core
def test_equal_rows_are_left_out_unless_something_begins_there() -> None:
    zeros = bytes(16 * 10)
    assert [at for at, *_ in rows(hex_dump(zeros).text)] == [0, 0x90]
    assert "8 rows like the one above" in hex_dump(zeros).text
    marked = hex_dump(zeros, marks=[(0x50, 1)])
    assert [at for at, *_ in rows(marked.text)] == [0, 0x50, 0x90]
    assert "4 rows like the one above" in marked.text
    assert "3 rows like the one above" in marked.text


@pytest.mark.core
def test_a_long_dump_is_cut_and_says_so() -> None:
    data = bytes(range(256)) * 16
    view = hex_dump(data, most=10)
    assert [at for at, *_ in rows(view.text)] == list(range(0, 160, 16))
    assert view.note == "246 more rows not shown"
    assert hex_dump(b"").description == "0 bytes from 0x0 to 0x0."


@pytest.mark.core
def test_the_first_differing_byte_is_named_with_its_field() -> None:
    before = header()
    after = before[:18] + (183).to_bytes(2, "little") + before[20:]  # EM_AARCH64 for EM_X86_64
    view = hex_difference(before, after, 0xFFFFFFFFC0201000, [(0xFFFFFFFFC0201012, 2, "e_machine", "data")])
    assert view.description == "1 byte differs, the first at 0xffffffffc0201012 (e_machine): 3e → b7."
    assert "01 00[3e]00" in view.text
    assert "01 00[b7]00" in view.text
    assert [at for at, *_ in rows(view.text)] == [0xFFFFFFFFC0201010] * 2
    assert hex_difference(before, before).description == "No byte differs in 64 bytes."


@pytest.mark.core
def test_what_only_one_image_has_differs() -> None:
    view = hex_difference(b"abcdef", b"abc", names=("mine", "theirs"))
    assert view.description == "3 bytes differ, the first at 0x3: 64 → nothing. Lengths: mine 6, theirs 3."
    assert differences(b"", b"x") == [(0, 1)]
    assert differences(b"a1b23", b"a0b99") == [(1, 1), (3, 2)]


@pytest.mark.core
def test_a_large_image_with_few_changes_is_quick_to_compare() -> None:
    before = bytes(8 << 20)
    after = before[:5_000_000] + b"\x01" + before[5_000_001:]
    view = hex_difference(before, after)
    assert [at for at, *_ in rows(view.text)] == [5_000_000 // 16 * 16] * 2
    assert "312,500 rows without a difference" in view.text


PICTURES: dict[str, Callable[[], View]] = {
    "plain": lambda: hex_dump(header()),
    "regions": lambda: hex_dump(
        header(), regions=[MACHINE, (40, 8, "e_shoff <&>", "rodata")], marks=[(18, 2)]
    ),
    "eight columns": lambda: hex_dump(
        header(), columns=8, regions=[(0, 20, "one", ""), (4, 2, "two", "odd")]
    ),
    "difference": lambda: hex_difference(header(), header()[::-1], 0xFFFFFFFFC0201000),
    "no bytes": lambda: hex_dump(b""),
}


@pytest.mark.core
@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_sound(name: str) -> None:
    assert_sound(PICTURES[name]())


@pytest.mark.tool
def test_a_whole_module_reads_as_od_prints_it(needs: Callable[[str], str]) -> None:
    path = sample("hello")
    out = subprocess.run(
        [needs("od"), "-v", "-A", "x", "-t", "x1z", str(path)], capture_output=True, text=True, check=True
    )
    data = path.read_bytes()
    marks = [(at, 1) for at in range(0, len(data), 16)]  # so that no row is left out
    view = hex_dump(data, marks=marks, most=len(data))
    assert rows(view.text) == od_rows(out.stdout)
