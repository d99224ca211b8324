# SPDX-License-Identifier: GPL-2.0-only
"""The explorer's document against readelf, nm and objdump on a sample and a real driver; amdgpu reduced."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from kmodsim import sample
from kmodsim.views.explorer import Document, explored_load, explorer_document, explorer_page

NAMES = ("hello", "e1000")


@cache
def document(name: str) -> Document:
    return explorer_document(explored_load(name))


def run(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_sections_are_readelfs(name: str, needs: Callable[[str], str]) -> None:
    printed = run(needs("readelf"), "-SW", sample(name))
    row = r"^  \[ *(\d+)\] (\S*) +([A-Z_0-9]+) +0{16} ([0-9a-f]+) ([0-9a-f]+) [0-9a-f]+ +([A-Za-z]*) "
    rows = [
        (int(number), title, kind, int(offset, 16), int(size, 16), flags)
        for number, title, kind, offset, size, flags in re.findall(row, printed, re.M)
    ]
    assert len(rows) > 30
    assert rows == [(s.number, s.name, s.type, s.offset, s.size, s.flags) for s in document(name).sections]


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_relocations_are_readelfs_in_its_order(name: str, needs: Callable[[str], str]) -> None:
    printed = run(needs("readelf"), "-rW", sample(name))
    row = r"([0-9a-f]{16})  ([0-9a-f]{8})([0-9a-f]{8}) (\S+) .* ([+-]) ([0-9a-f]+)$"
    table, rows = "", []
    for line in printed.splitlines():
        if found := re.match(r"Relocation section '(\S+)'", line):
            table = found[1].removeprefix(".rela")
        elif found := re.match(row, line):
            addend = int(found[6], 16) * (1 if found[5] == "+" else -1)
            rows.append((table, int(found[1], 16), found[4], int(found[2], 16), addend))
    shown = document(name)
    assert len(rows) > 100
    assert rows == [
        (shown.sections[r.section].name, r.offset, shown.type(r.type).name, r.symbol, r.addend)
        for r in shown.relocations
    ]


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_s_is_where_nm_puts_the_symbol_in_its_section(name: str, needs: Callable[[str], str]) -> None:
    """nm counts from the section's beginning; S is that plus where the section was loaded."""
    printed = run(needs("nm"), sample(name))
    rows = {(line[19:], int(line[:16], 16)) for line in printed.splitlines() if line[17] in "tTdDbBrR"}
    shown = document(name)
    loaded = [s for s in shown.symbols if 0 < s.section < len(shown.sections) and s.type != "SECTION"]
    placed = {
        (s.name, (s.address or 0) - shown.sections[s.section].address)
        for s in loaded
        if shown.sections[s.section].address
    }
    dropped = {  # in sections that are not loaded: .modinfo, __versions, exit of a built-in
        (s.name, s.value) for s in loaded if not shown.sections[s.section].address
    }
    assert len(rows) > 20
    assert rows <= placed | dropped
    assert len(rows & placed) > 0.6 * len(rows)


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_instructions_begin_and_end_where_objdumps_do(name: str, needs: Callable[[str], str]) -> None:
    """Before relocation memory has the file's bytes: the same code, cut into the same instructions."""
    pytest.importorskip("capstone", reason="needs capstone")
    shown, same = document(name), 0
    memory = shown.memory(shown.moved)
    for span in (span for span in shown.spans if span.code):
        printed = run(needs("objdump"), "-d", "-w", "-z", "-j", span.name, sample(name))
        rows = re.findall(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+) *\t?(\S*)", printed, re.M)
        theirs = {int(at, 16): bytes.fromhex(data) for at, data, _ in rows}
        ours = {
            row.place - span.place: memory[row.place : row.place + row.length]
            for row in shown.code
            if row.since <= shown.moved < row.until and span.place <= row.place < span.place + span.size
        }
        assert ours == theirs
        same += len(ours)
    assert same >= 16  # hello: 13 of .init.text, 3 of .exit.text


@pytest.mark.tool
def test_targets_are_the_ones_objdump_names(needs: Callable[[str], str]) -> None:
    """objdump prints a call's symbol - 4; seen from the end of the instruction that is the symbol itself."""
    from kmodsim.views.explorer.words import target_name

    printed = run(needs("objdump"), "-dr", "-w", "-j", ".text", sample("e1000"))
    calls = re.findall(r"\b(?:call|jmp) .*?\t([0-9a-f]+): R_X86_64_PLT32\t(\S+)-0x4$", printed, re.M)
    shown = document("e1000")
    text = next(s.number for s in shown.sections if s.name == ".text")
    by_offset = {row.offset: row for row in shown.relocations if row.section == text}
    assert len(calls) > 500
    for offset, name in calls:
        row = by_offset[int(offset, 16)]
        assert target_name(shown, row, shown.symbols[row.symbol], 0) == name


@pytest.mark.tree
def test_amdgpu_is_shown_reduced(tree: Path) -> None:
    """19 MB, 320,569 relocation entries: a page of less than 8 MB in less than half a minute."""
    start = time.monotonic()
    shown = explorer_document(explored_load(tree / "kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko"))
    page = explorer_page(shown)
    assert time.monotonic() - start < 30
    assert shown.outcome == "success"
    assert len(page) < 8_000_000
    assert len(shown.left_out) == 2 and "of 320,569 relocations" in shown.left_out[1]


@pytest.mark.tree
def test_e1000e_is_shown_whole(tree: Path) -> None:
    shown = explorer_document(explored_load("e1000e"))
    assert shown.left_out == ()
    assert len(shown.relocations) == 12_254  # readelf -r
    assert all(row.after is not None for row in shown.relocations if row.place >= 0)
