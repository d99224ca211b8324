# SPDX-License-Identifier: GPL-2.0-only
"""The pipeline widget: each stage alone, its bytes where pyelftools says that the file has them."""

from __future__ import annotations

import io
from typing import Any
from xml.etree import ElementTree

import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import sample
from kmodsim.loader import STAGES
from kmodsim.views.stage import Change, changes_table, time_bar, values_table
from kmodsim.views.timeline import Moment
from kmodsim.widgets.guessing import NOT_YET
from kmodsim.widgets.pipeline_run import photographed

pytestmark = pytest.mark.core

BEFORE = 4  # steps of finit_module before load_module


def relocated_places(name: str) -> dict[str, bytes]:
    """``section+offset`` of each relocation entry of a loaded section, read by pyelftools."""
    elf = ELFFile(io.BytesIO(sample(name).read_bytes()))
    found = {}
    for section in elf.iter_sections():
        if section["sh_type"] == "SHT_RELA":
            target = elf.get_section(section["sh_info"])
            if target["sh_flags"] & 2:  # SHF_ALLOC
                for entry in section.iter_relocations():
                    found[f"{target.name}+{entry['r_offset']:#x}"] = target.data()
    return found


def index_of(run: Any, stage: str) -> int:
    return [record.stage for record in run.trace].index(stage)


@pytest.mark.parametrize("name", ["hello", "crc16", "e1000"])
def test_what_apply_relocations_wrote_is_where_the_file_has_entries(name: str) -> None:
    run = photographed(name)
    stage = index_of(run, "apply_relocations")
    places = relocated_places(name)
    mine = [run.place(change.start, stage) for change in run.trace[stage].changes]
    assert mine and set(mine) <= set(places)
    table = next(view for view in run.views(stage) if view.title == "Bytes that apply_relocations wrote")
    assert [row.split()[0] for row in table.text.splitlines()[2:]] == mine[:10]


def test_the_bytes_that_move_module_wrote_are_the_files() -> None:
    """kernel/module/main.c:move_module copies what is SHF_ALLOC and not SHT_NOBITS; .modinfo lost its flag in
    rewrite_section_headers."""
    run = photographed("hello")
    stage = index_of(run, "move_module")
    elf = ELFFile(io.BytesIO(sample("hello").read_bytes()))
    copied = {run.place(c.start, stage): c.after for c in run.trace[stage].changes}
    assert copied[".init.text+0x0"] == elf.get_section_by_name(".init.text").data()
    assert copied[".exit.text+0x0"] == elf.get_section_by_name(".exit.text").data()
    assert ".modinfo+0x0" not in copied and elf.get_section_by_name(".modinfo")["sh_flags"] & 2


def test_memory_comes_with_move_module_and_the_init_part_goes_at_the_end() -> None:
    run = photographed("hello")
    names = [record.stage for record in run.trace]
    assert names[BEFORE:] == [stage.name for stage in STAGES]
    photos = dict(zip(names, run.trace.parts, strict=True))
    kinds = {stage: tuple(part.kind for part in parts) for stage, parts in photos.items()}
    assert kinds["layout_symtab"] == ()
    assert kinds["move_module"] == kinds["do_init_module"] == ("core", "init")
    assert kinds["do_free_init"] == ("core",)
    writable = {stage: photos[stage][0].pages[0] for stage in ("move_module", "parse_args")}
    assert writable == {"move_module": "rw-", "parse_args": "r-x"}, "complete_formation protects the pages"


def test_a_load_that_fails_ends_where_it_fails() -> None:
    run = photographed("missing_symbol")
    assert run.trace[-1].stage == "simplify_symbols" and run.trace[-1].error == "-ENOENT"
    last = len(run.trace) - 1
    assert "✗ -ENOENT" in run.headline(last)
    assert "Unknown symbol" in run.log(last)
    assert run.trace.parts[last], "the memory as the failing stage left it"
    assert not run.kernel.modules


def test_from_change_to_change() -> None:
    run = photographed("hello")
    stops, at = [], -1
    while (found := run.next_change(at)) != at:
        stops.append(run.trace[found].stage)
        at = found
    assert stops[:2] == ["move_module", "add_unformed_module"]
    assert run.next_change(at) == at
    assert run.next_change(index_of(run, "apply_relocations"), -1) == index_of(run, "simplify_symbols")


def test_the_time_line_marks_one_stage() -> None:
    moments = [Moment("first", "one", "a.c", "", 0, (), ()),
               Moment("second", "two", "a.c", "COMING", 9, (), ("hi",))]  # fmt: skip
    view = time_bar(moments, 1, "Two stages")
    assert [line.split() for line in view.text.splitlines()[2:]] == [
        ["1", "one", "-", "0", "-"], ["→", "2", "two", "COMING", "9", "1"],
    ]  # fmt: skip
    assert "Stage 2 of 2 is marked: two, which wrote 9 bytes." in view.description
    assert "2 two: second" in "".join(ElementTree.fromstring(view.svg).itertext())
    assert time_bar([], 0, "None").description == "No stage was recorded."


def test_changes_and_values_are_tables() -> None:
    view = changes_table([Change(".text+0x1", 0xFF01, b"\0\0", b"\x90\x0f")], 3, 12, "Bytes")
    assert view.text.splitlines()[2].split() == [".text+0x1", "0xff01", "2", "00", "00", "90", "0f"]
    assert view.note == "2 more are not listed."
    rows = values_table([("flags", "0")], [("length", "7")], "In and out").text.splitlines()
    assert [row.split() for row in rows[2:]] == [["in", "flags", "0"], ["out", "length", "7"]]


# --- the widget ---------------------------------------------------------------------------------------------


def lab(*arguments: str) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import PipelineLab

    return PipelineLab(*arguments)


def test_step_back_and_jump_move_the_slider() -> None:
    widget = lab("hello", "", "move_module")
    at = widget.controls["stage"].value
    widget.go(1)
    assert widget.controls["stage"].value == at + 1 and "add_unformed_module" in widget.text.splitlines()[0]
    widget.jump(-1)
    assert widget.controls["stage"].value == at
    widget.go(-1000)
    assert widget.controls["stage"].value == 1
    widget.jump(-1)
    assert widget.controls["stage"].value == 1


def test_behind_the_end_of_a_load_its_last_stage_is_shown() -> None:
    widget = lab("hello")
    assert widget.controls["stage"].max == len(widget.run.trace) == BEFORE + len(STAGES)
    widget.controls["module"].value = "missing_symbol"
    assert len(widget.run.trace) < widget.controls["stage"].value
    assert "(the load ends here) ✗ -ENOENT simplify_symbols" in widget.text.splitlines()[0]
    widget.go(-1)
    assert widget.controls["stage"].value == len(widget.run.trace) - 1


def test_a_guess_comes_before_the_bytes() -> None:
    widget = lab("hello", "", "move_module")
    widget.controls["guess"].value = NOT_YET
    assert ".init.text" not in widget.text
    widget.controls["guess"].value = "this stage writes no byte of memory"
    assert widget.text.startswith("✗ Not so, you expected: this stage writes no byte")
    assert ".init.text" in widget.text
