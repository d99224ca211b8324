# SPDX-License-Identifier: GPL-2.0-only
"""Tables of running code have a row for everything, and say what the objects they were made of say."""

from __future__ import annotations

import inspect
import re
from functools import cache
from html import unescape
from typing import Any

import pytest

from kmodsim import Kernel, ModuleFile, sample
from kmodsim.views import calls_of, code_of, source_of, steps_of_run

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytest.importorskip("capstone", reason="needs capstone (the extra exec)")
pytestmark = pytest.mark.core


@cache
def lived() -> tuple[Any, Any]:
    kernel = Kernel(cpu="strict")
    with kernel.cpu.recording() as run:
        kernel.finit_module(sample("list"))
        kernel.delete_module("list")
    return kernel, run


def cells(html: str) -> list[str]:
    return [unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html)]


def test_calls_have_a_row_each() -> None:
    kernel, _ = lived()
    view = calls_of(kernel.calls)
    assert f"{len(kernel.calls)} calls" in view.description and len(cells(view.html)) == 5 * len(kernel.calls)
    for call in kernel.calls:
        assert call.call_text in view.text and call.call_text in cells(view.html)
    chosen = calls_of(kernel.calls.select("kmalloc*"), "Memory")
    assert chosen.text.count("kmalloc_trace(") == 3 and chosen.text.startswith("Memory\n")


def test_stand_ins_are_counted() -> None:
    from kmodsim.cpu.calls import KernelCall

    made_up = KernelCall("pci_get_device", (0,) * 6, 0, "insmod", 0, 1, 0, stubbed=True, returned=True)
    view = calls_of([made_up])
    assert view.description == "1 call, 1 of them answered by a stand-in" and "[stand-in]" in view.text


def test_steps_have_a_row_each_with_what_they_changed() -> None:
    _, run = lived()
    view = steps_of_run(run)
    assert len(view.text.splitlines()) == len(run) + 2 and not view.note
    for step in run:
        assert step.text in cells(view.html)
    store = next(step for step in run if step.text.startswith("movq   %rax, 8(%rbx)"))
    change = store.changes[0]
    assert f"[{change.start:#x}]={int.from_bytes(change.after, 'little'):#x}" in view.text
    assert len(steps_of_run(run, 10, 20).text.splitlines()) == 12


def test_a_cut_run_says_so() -> None:
    kernel = Kernel(cpu="strict")
    with kernel.cpu.recording(limit=5) as run:
        kernel.finit_module(sample("list"))
    assert "limit was reached" in str(steps_of_run(run))


def test_code_has_a_row_for_each_instruction() -> None:
    load = Kernel(cpu=None).load(sample("hello"))
    view = code_of(load, "hello_init")
    assert view.title == "Code of hello_init" and "ftrace NOP" in view.text
    assert "<td" in view.html and "hello_init" in cells(view.html)[0]
    assert code_of(ModuleFile(sample("hello"))).text.count("R_X86_64_PLT32 _printk-0x4") == 2


# --- kmodsim's own code


def test_the_code_shown_is_the_code_that_runs() -> None:
    from kmodsim.loader.layout import place_sections

    view = source_of("place_sections")
    assert view.text.endswith(inspect.getsource(place_sections).rstrip())
    assert view.description.endswith("models kernel/module/main.c:layout_sections")
    assert source_of("simplify_symbols").description.endswith("kernel/module/main.c:simplify_symbols")
    assert "place_sections" in re.sub("<[^>]+>", "", view.html)


def test_an_unknown_stage_is_told() -> None:
    with pytest.raises(ValueError, match="no stage and no pure function"):
        source_of("load_everything")
