# SPDX-License-Identifier: GPL-2.0-only
"""Views from plain data: pictures are sound and legible, their text twins say what the data says."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import ModuleFile, sample
from kmodsim.depgraph import DependencyGraph
from kmodsim.views import parameters_of, sections_of
from kmodsim.views.dependencies import FALLBACK, MOST, _run_dot, dependency_graph, dot_source
from kmodsim.views.dependency_tree import neighbourhood, whole_tree
from kmodsim.views.layers import ranks, rows_of
from kmodsim.views.memory_map import area_map, module_map
from kmodsim.views.memory_rows import MOST_ROWS, PAGE, Part, rows, stretches
from kmodsim.views.module_list import Entry, module_list
from kmodsim.views.pipeline import DONE, FAILED, UNREACHED, Step, pipeline
from kmodsim.views.svg import FILLS, INK, PATTERNS, fit, text_width
from kmodsim.views.timeline import Moment, timeline
from kmodsim.views.view import View, columns, size_text

from .pictures import assert_sound

pytestmark = pytest.mark.core

BASE = 0xFFFFFFFFC0201000
DIAMOND = {"top": ("left", "right"), "left": ("bottom",), "right": ("bottom",), "bottom": ()}
SMALL = Part(
    "core", BASE, ("r-x", "r--", "rw-"),
    ((".text", BASE, 100), (".exit.text", BASE + 112, 16), (".rodata", BASE + PAGE, 4096),
     (".data", BASE + 2 * PAGE, 8)),
)  # fmt: skip
STEPS = [Step("signed?", "module_sig_check", DONE), Step("an ELF file?", "elf_validity_check", FAILED),
         Step("where is what?", "setup_load_info", UNREACHED)]  # fmt: skip
MOMENTS = [
    Moment("signed?", "module_sig_check", "kernel/module/signing.c", "", 0, ("sig_ok False",), ()),
    Moment("on the list", "add_unformed_module", "kernel/module/main.c", "UNFORMED", 1234, (),
           ("hello: taints <kernel>",)),
]  # fmt: skip
ENTRIES = [Entry("chain_c", "LIVE", 0, ()), Entry("chain_b", "COMING", 1, ("chain_c",))]

PICTURES: dict[str, Callable[[], View]] = {
    "pipeline": lambda: pipeline(STEPS, "insmod hello.ko", "ENOEXEC"),
    "timeline": lambda: timeline(MOMENTS, "time line"),
    "module map": lambda: module_map("hello", [SMALL], "a note with <brackets> & more"),
    "area map": lambda: area_map(
        stretches([(BASE, 3 * PAGE, "core", "hello")], BASE - PAGE, BASE + 9 * PAGE)
    ),
    "list": lambda: module_list(ENTRIES),
    "empty list": lambda: module_list([]),
    "layers": lambda: dependency_graph(DIAMOND, {"bottom": 2}, dot=False),
    "dot or layers": lambda: dependency_graph(DIAMOND, {"bottom": 2}),
    "neighbourhood": lambda: neighbourhood(DependencyGraph(DIAMOND), "left", dot=False),
    "whole tree": lambda: whole_tree(DependencyGraph(DIAMOND), "left"),
}


def without_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where Graphviz is not installed."""
    monkeypatch.setenv("PATH", "")
    _run_dot.cache_clear()


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# --- every picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_sound_xml_with_name_and_description(name: str) -> None:
    view = PICTURES[name]()
    assert_sound(view)


@pytest.mark.parametrize("name", PICTURES)
def test_in_a_page_the_text_stands_below_the_picture(name: str) -> None:
    view = PICTURES[name]()
    page = view._repr_html_()
    assert view.svg in page
    assert "<details" in page
    assert view._repr_svg_() == view.svg
    assert str(view).startswith(view.title)


def test_different_pictures_in_one_page_share_no_identifiers() -> None:
    ids = [
        re.findall(r'id="([^"]+)"', make().svg) for name, make in PICTURES.items() if name != "dot or layers"
    ]
    flat = [one for group in ids for one in group]
    assert len(flat) == len(set(flat))


@pytest.mark.parametrize("fill", FILLS)
def test_text_on_every_fill_is_legible(fill: str) -> None:
    assert contrast(FILLS[fill], INK) >= 4.5  # WCAG 2.2, 1.4.3


def test_the_contrast_formula_agrees_with_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the well-known near miss


def test_colour_is_never_the_only_sign() -> None:
    in_one_map = ("code", "rodata", "roafter", "data", "guard", "bad")
    patterns = [PATTERNS.get(name, "") for name in in_one_map]
    assert len(set(patterns)) == len(patterns)
    states = [line.split()[1] for line in str(pipeline(STEPS, "x")).splitlines()[1:]]
    assert len(set(states)) == 3


def test_text_is_cut_to_the_room_there_is() -> None:
    assert fit("short", 500) == "short"
    cut = fit("check_module_license_and_versions", 100, "m")
    assert cut.endswith("…")
    assert text_width(cut, "m") <= 100


# --- what the text twins say --------------------------------------------------------------------------------


def test_the_pipeline_says_where_it_stopped() -> None:
    lines = str(pipeline(STEPS, "insmod", "ENOEXEC", first=0)).splitlines()
    assert lines[0] == "insmod: ENOEXEC"
    assert [line.split()[:2] for line in lines[1:]] == [["0", "✓"], ["1", "✗"], ["2", "·"]]
    assert "elf_validity_check" in lines[2]
    assert "failed" in lines[2]
    assert "not reached" in lines[3]
    assert "failed in elf_validity_check, 1 not reached" in pipeline(STEPS, "insmod").description


def test_the_time_line_says_state_bytes_and_log() -> None:
    text = str(timeline(MOMENTS, "time line"))
    assert "UNFORMED" in text
    assert "1,234" in text
    assert "log: hello: taints <kernel>" in text
    assert "hello: taints &lt;kernel&gt;" in timeline(MOMENTS, "time line").svg


def test_following_next_goes_round_the_list_and_prev_goes_back() -> None:
    entries = [Entry(f"m{i}", "LIVE", 0, ()) for i in range(7)]
    table = [line.split() for line in str(module_list(entries)).splitlines()[2:]]
    prev = {row[0]: row[1] for row in table}
    follow = {row[0]: row[2] for row in table}
    seen, at = [], follow["modules"]
    while at != "modules":
        seen.append(at)
        at = follow[at]
    assert seen == [entry.name for entry in entries]
    assert all(prev[follow[name]] == name for name in follow)


def test_the_area_has_neither_gap_nor_overlap() -> None:
    low, high = 0xFFFFFFFFC0000000, 0xFFFFFFFFFF000000
    regions = [
        (low, 0x201000, "bpf_prog_pack", ""),
        (BASE, 2 * PAGE, "core", "a"),
        (BASE + 5 * PAGE, PAGE, "init", "b"),
    ]
    spans = stretches(regions, low, high)
    assert sum(span.size for span in spans) == high - low
    assert all(one.start + one.size == other.start for one, other in pairwise(spans))
    guards = [span.start for span in spans if span.kind == "guard"]
    assert guards == [BASE + 2 * PAGE, BASE + 6 * PAGE]


def test_every_byte_of_a_page_is_a_section_or_padding() -> None:
    for row in rows(SMALL):
        assert sum(piece.end - piece.start for piece in row.pieces) + row.free == row.pages * PAGE
    text = str(module_map("hello", [SMALL]))
    sections = dict(re.findall(r"([\d,]+)  (\.\S+)", text))
    assert sections == {"100": ".text", "16": ".exit.text", "4,096": ".rodata", "8": ".data"}
    padding = [int(size.replace(",", "")) for size in re.findall(r"([\d,]+)  \(padding\)", text)]
    assert padding == [4096 - 116, 4096 - 8]


def test_a_module_as_large_as_amdgpu_is_folded() -> None:
    """19.5 MB in thousands of pages: a screenful of rows, still every byte accounted for."""
    sections = tuple((f".text.{i}", BASE + i * 5000, 4900) for i in range(3000))
    part = Part("core", BASE, ("r-x",) * 3000 + ("r--",) * 900 + ("rw-",) * 100, sections)
    found = rows(part)
    assert len(found) <= MOST_ROWS
    assert sum(row.span for row in found) == 4000 * PAGE
    assert [row.permission for row in found] == ["r-x", "r--", "rw-"]
    assert [row.pages for row in found] == [3000, 900, 100]


def test_pages_filled_by_one_section_are_one_row() -> None:
    part = Part("core", BASE, ("r-x",) * 100, ((".text", BASE, 100 * PAGE - 1),))
    assert [(row.pages, row.free) for row in rows(part)] == [(99, 0), (1, 1)]


@pytest.mark.parametrize(("size", "words"), [(1, "1 byte"), (1023, "1,023 bytes"), (4096, "4 KiB"),
                                            (2 << 20, "2 MiB"),
                                            (1536, "1.5 KiB")])  # fmt: skip
def test_sizes_in_words(size: int, words: str) -> None:
    assert size_text(size) == words


def test_columns_line_up() -> None:
    assert columns([("a", "1"), ("bcd", "22")], right=(1,)) == "a     1\nbcd  22"


# --- the graph ----------------------------------------------------------------------------------------------


def test_without_dot_it_still_draws_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    without_dot(monkeypatch)
    view = dependency_graph(DIAMOND, {"bottom": 2})
    names = "".join(ElementTree.fromstring(view.svg).itertext())
    assert all(name in names for name in DIAMOND)
    assert view.note == FALLBACK
    assert str(view).endswith(FALLBACK)
    assert view.text == dependency_graph(DIAMOND, {"bottom": 2}, dot=False).text


def test_the_fallback_puts_users_above_what_they_use() -> None:
    assert ranks(DIAMOND) == {"top": 0, "left": 1, "right": 1, "bottom": 2}
    assert [sorted(row) for row in rows_of(DIAMOND)] == [["top"], ["left", "right"], ["bottom"]]


def test_the_fallback_ends_on_a_cycle() -> None:
    assert set(ranks({"a": ("b",), "b": ("a",), "c": ("c",)})) == {"a", "b", "c"}
    ElementTree.fromstring(dependency_graph({"a": ("b",), "b": ("a",)}, dot=False).svg)


def test_a_large_graph_keeps_the_neighbours_of_the_focus() -> None:
    many = {f"m{i}": ("hub",) for i in range(300)}
    view = dependency_graph(many, focus="m7", dot=False)
    assert f"{301 - MOST} more modules not drawn" in view.note
    names = "".join(ElementTree.fromstring(view.svg).itertext())
    assert "hub" in names
    assert "m7" in names
    assert view.text.count("\n") == 302, "the text twin leaves nothing out"


def test_names_are_quoted_for_dot() -> None:
    assert '"a\\"b" -> "c";' in dot_source({'a"b': ("c",), "c": ()})


# --- real files ---------------------------------------------------------------------------------------------


def test_the_section_table_is_the_files_own() -> None:
    """Every row against pyelftools."""
    with sample("hello").open("rb") as file:
        expected = [
            (str(number), section.name or "", section["sh_type"].removeprefix("SHT_"),
             f"{section['sh_offset']:#x}", f"{section['sh_size']:,}")
            for number, section in enumerate(ELFFile(file).iter_sections())
        ]  # fmt: skip
    view = sections_of(ModuleFile(sample("hello")))
    root = ElementTree.fromstring(view.html)
    cells = [[cell.text or "" for cell in row] for row in root.iter("tr")][1:]
    assert [(c[0], c[1], c[2], c[4], c[5]) for c in cells] == expected
    assert root.find(".//caption") is not None
    assert all(head.get("scope") == "col" for head in root.iter("th"))


def test_the_parameter_table_is_what_the_source_says() -> None:
    """kmodsim/data/samples/src/hello.c: howmany and whom with their descriptions, an array, a string."""
    text = str(parameters_of(ModuleFile(sample("hello"))))
    assert re.search(r"^howmany +int +how many times to greet$", text, re.M)
    assert re.search(r"^whom +charp +whom to greet$", text, re.M)
    assert re.search(r"^numbers +array of int$", text, re.M)


# --- figures, imports ---------------------------------------------------------------------------------------


def test_figures_are_drawn_without_warnings() -> None:
    from kmodsim.views.memory_figure import area_figure, module_figure

    spans = stretches([(BASE, 3 * PAGE, "core", "hello")], BASE - PAGE, BASE + 9 * PAGE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (module_figure("hello", [SMALL]), area_figure(spans), area_figure([])):
            target = io.BytesIO()
            figure.savefig(target, format="png")
            assert target.getvalue().startswith(b"\x89PNG")
    labels = [label.get_text() for label in module_figure("hello", [SMALL]).axes[0].get_yticklabels()]
    assert labels[0].split() == [f"{BASE:#x}", "core", "r-x"]
    assert labels[-1].split() == [f"{BASE + 3 * PAGE:#x}", "guard", "page"]


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.strip()


def test_views_import_nothing_heavy() -> None:
    heavy = "matplotlib", "ipywidgets", "IPython", "graphviz"
    assert run_python(f"import sys, kmodsim.views; print([m for m in {heavy} if m in sys.modules])") == "[]"


def test_a_figure_leaves_pyplot_alone() -> None:
    code = (
        "import sys; from kmodsim.views.memory_figure import area_figure; area_figure([]);"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    assert run_python(code) == "True False"
