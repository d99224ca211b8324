# SPDX-License-Identifier: GPL-2.0-only
"""Views of real loads: text twins against the file as pyelftools reads it and the kernel's own files."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from kmodsim import Kernel, KernelError, ModuleFile, sample
from kmodsim.views import (
    list_of_modules,
    load_pipeline,
    memory_map,
    memory_map_figure,
    parameters_of,
    sections_of,
    trace_timeline,
    unload_pipeline,
    who_uses_whom,
)
from kmodsim.views.of_kernel import steps_of
from kmodsim.views.pipeline import DONE, FAILED, UNREACHED

pytestmark = pytest.mark.core

# taken out of or never put into core: load_info.c's rewrite_section_headers, the init part
NOT_CORE = re.compile(r"\.init|\.modinfo$|__versions$")


def core_sections(name: str) -> dict[str, tuple[int, str]]:
    """name -> (size, permission its flags ask for) of a module's allocated, non-empty core sections."""
    out = {}
    with sample(name).open("rb") as file:
        for section in ELFFile(file).iter_sections():
            flags = section["sh_flags"]
            if flags & SH_FLAGS.SHF_ALLOC and section["sh_size"] and not NOT_CORE.match(section.name):
                execute, write = flags & SH_FLAGS.SHF_EXECINSTR, flags & SH_FLAGS.SHF_WRITE
                out[section.name] = (section["sh_size"], "r-x" if execute else "rw-" if write else "r--")
    return out


def rows_of(text: str) -> list[tuple[str, str, int]]:
    """(permission of the page, section, bytes) from the text twin of a memory map."""
    permission, out = "", []
    for line in text.splitlines()[2:]:
        page = re.match(r"[0-9a-f]{16}  \w+ .* (r-x|r--|rw-|---)$", line)
        piece = re.match(r"[0-9a-f]{16} +0x[0-9a-f]+ +([\d,]+)  (.+)$", line)
        if page:
            permission = page.group(1)
        elif piece:
            out.append((permission, piece.group(2), int(piece.group(1).replace(",", ""))))
    return out


@pytest.fixture
def loaded(kernel: Any) -> Any:
    """(kernel, Load) of hello with one parameter, traced."""
    return kernel, kernel.load(sample("hello"), "howmany=3", trace=True)


def test_each_section_lies_in_pages_with_the_rights_its_flags_ask_for(loaded: Any) -> None:
    _, load = loaded
    found: dict[str, tuple[int, str]] = {}
    for permission, name, size in rows_of(memory_map(load.module).text):
        found[name] = (found.get(name, (0, ""))[0] + size, permission)
    kept = found.pop("(symbols kept for kallsyms)")
    assert found == core_sections("hello")
    layout = load.symtab_layout  # kernel/module/kallsyms.c:layout_symtab: symbols, strings, one letter each
    assert kept == (layout.core_typeoffs + layout.num_core_symbols - layout.symoffs, "rw-")


def test_the_addresses_in_the_map_are_those_in_sysfs(loaded: Any) -> None:
    kernel, load = loaded
    text = memory_map(load.module).text
    for name in core_sections("hello"):
        address = int(kernel.read(f"/sys/module/hello/sections/{name}"), 16)
        assert re.search(rf"^{address:016x} .* {re.escape(name)}$", text, re.M), name


def test_the_init_part_is_there_at_coming_and_freed_afterwards(kernel: Any) -> None:
    seen = {}

    def photograph(state: str, module: Any) -> None:
        seen[state] = memory_map(module).text

    kernel.register_module_notifier(photograph)
    module = kernel.load(sample("hello")).module
    assert ".init.text" in seen["COMING"]
    assert ".symtab" in seen["COMING"]
    now = memory_map(module)
    assert ".init.text" not in now.text
    assert now.text.endswith("The init part has been freed.")


def test_the_module_area_shows_every_region_of_the_kernel(loaded: Any) -> None:
    kernel, load = loaded
    text = memory_map(kernel).text
    shown = re.findall(r"^([0-9a-f]{16}) ", text, re.M)
    assert {f"{region.start:016x}" for region in kernel.memory.regions} <= set(shown)
    guard = load.module.base + load.module.core_size
    assert re.search(rf"^{guard:016x} +4 KiB  guard page of +hello$", text, re.M)


def test_the_pipeline_names_the_stages_that_the_trace_records(loaded: Any) -> None:
    _, load = loaded
    assert [step.name for step in steps_of(load)] == [record.stage for record in load.trace]
    assert {step.state for step in steps_of(load)} == {DONE}


@pytest.mark.parametrize(
    ("make", "stage"),
    [
        (lambda: Kernel(uid=1000).load(sample("hello")), "may_init_module"),
        (lambda: Kernel().load(sample("hello"), flags=8), "finit_module"),
        (lambda: Kernel().load(b""), "kernel_read_file_from_fd"),
        (lambda: Kernel().load(b"\0" * 100), "elf_validity_check"),
        (lambda: Kernel().load(sample("chain_c")), "simplify_symbols"),
        (lambda: Kernel().load(sample("chain_c"), trace=False), "simplify_symbols"),
    ],
)
def test_the_pipeline_stops_at_the_stage_that_refused(make: Callable[[], Any], stage: str) -> None:
    steps = steps_of(make())
    states = [step.state for step in steps]
    at = states.index(FAILED)
    assert steps[at].name == stage
    assert set(states[:at]) <= {DONE}
    assert set(states[at + 1 :]) <= {UNREACHED}
    for short in (False, True):
        view = load_pipeline(make(), short=short)
        assert f"failed in {stage}" in view.description
        ElementTree.fromstring(view.svg)


def test_the_way_out_is_drawn_up_to_the_step_that_refused(kernel: Any) -> None:
    for name in ("diamond_bottom", "diamond_left"):
        kernel.finit_module(sample(name))
    with pytest.raises(KernelError):
        kernel.delete_module("diamond_bottom")
    refused = unload_pipeline(kernel.unloading)
    assert "EAGAIN" in refused.text.splitlines()[0]
    assert [line.split()[1] for line in refused.text.splitlines()[1:]] == ["✗"] + ["·"] * 11
    kernel.delete_module("diamond_left")
    done = unload_pipeline(kernel.unloading).text.splitlines()[1:]
    assert [line.split()[1] for line in done] == ["✓"] * 12
    assert all(record.stage in line for record, line in zip(kernel.unloading.trace, done, strict=True))


def test_the_time_line_follows_the_states_and_the_log(loaded: Any) -> None:
    """The order of states as kernel/module/main.c sets them; the log's words as dmesg has them."""
    kernel, load = loaded
    text = trace_timeline(load.trace, "insmod").text
    states = [state for state in ("UNFORMED", "COMING", "LIVE") if state in text]
    assert states == ["UNFORMED", "COMING", "LIVE"]
    assert text.index("UNFORMED") < text.index("COMING") < text.index("LIVE")
    assert all(f"log: {record[3:]}" in text for record in kernel.dmesg)
    kernel.delete_module("hello")
    text = trace_timeline(kernel.unloading.trace, "rmmod").text
    assert text.index("LIVE") < text.index("GOING") < text.index(" UNFORMED")


def test_list_and_graph_agree_with_proc_modules(kernel: Any) -> None:
    for name in ("diamond_bottom", "diamond_left", "diamond_right", "diamond_top"):
        kernel.finit_module(sample(name))
    expected = [line.split() for line in kernel.read("/proc/modules").splitlines()]
    rows = [line.split() for line in list_of_modules(kernel).text.splitlines()[3:]]
    assert [(row[0], row[4], row[5]) for row in rows] == [(m[0], m[2], m[3].rstrip(",")) for m in expected]
    graph = [line.split() for line in who_uses_whom(kernel, dot=False).text.splitlines()[2:]]
    used_by = {row[0]: set(row[2].split(",")) for row in graph}
    assert used_by == {m[0]: set(m[3].rstrip(",").split(",")) for m in expected}


def test_the_section_table_has_the_addresses_of_the_loaded_module(loaded: Any) -> None:
    kernel, load = loaded
    text = sections_of(ModuleFile(sample("hello")), load.module).text
    for name in core_sections("hello"):
        address = int(kernel.read(f"/sys/module/hello/sections/{name}"), 16)
        assert re.search(rf" {re.escape(name)} .* core +{address:#x}$", text, re.M), name
    assert re.search(r" \.init\.text .* init +given back$", text, re.M)
    assert re.search(r" \.modinfo .* not loaded$", text, re.M)


def test_the_parameter_table_has_the_values_that_sysfs_has(loaded: Any) -> None:
    kernel, _ = loaded
    text = parameters_of(ModuleFile(sample("hello")), kernel).text
    assert re.search(r"^howmany +int +how many times to greet +3$", text, re.M)
    assert re.search(r"^a_hexint +hexint +0x00beef$", text, re.M)
    assert re.search(r"^hidden +int +no file$", text, re.M)
    with pytest.raises(KernelError):
        kernel.read("/sys/module/hello/parameters/hidden")


def test_figures_show_the_same_pages_and_carry_the_text(loaded: Any) -> None:
    kernel, load = loaded
    figure = memory_map_figure(load.module)
    labels = [label.get_text().split()[0] for label in figure.axes[0].get_yticklabels()]
    pages = load.module.core_size // 4096
    assert labels == [f"{load.module.base + n * 4096:#x}" for n in range(pages + 1)]  # and the guard page
    page = figure._repr_html_()
    assert 'alt="Memory of hello.' in page
    assert "kept for kallsyms" in page
    assert memory_map_figure(kernel).axes[0].get_yticklabels()[0].get_text().startswith("hello ")
