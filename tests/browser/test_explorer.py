# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer as a page from disk and in JupyterLab: links, keys, numbers, silence on the network."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kmodsim import sample
from kmodsim.views.explorer import Document, explored_load, explorer_document, explorer_page, twin, words

from .explorer_page import Opened, lit, said

pytestmark = pytest.mark.browser
@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    return {name: explorer_document(explored_load(name)) for name in ("hello", "e1000")}


@pytest.fixture(scope="module")
def folder(documents: dict[str, Document], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """hello.html and e1000.html."""
    home = tmp_path_factory.mktemp("pages")
    for name, document in documents.items():
        (home / f"{name}.html").write_text(explorer_page(document), encoding="utf-8")
    return home


@pytest.fixture(scope="module")
def hello(browser: Any, folder: Path) -> Iterator[Opened]:
    opened = Opened(browser, folder / "hello.html")
    yield opened
    opened.page.close()


@pytest.fixture(scope="module")
def e1000(browser: Any, folder: Path) -> Iterator[Opened]:
    opened = Opened(browser, folder / "e1000.html")
    yield opened
    opened.page.close()


@pytest.fixture(autouse=True)
def begun_anew(request: pytest.FixtureRequest) -> None:
    for name in ("hello", "e1000"):
        if name in request.fixturenames:
            page = request.getfixturevalue(name).page
            page.locator(".kx-search input").fill("")
            page.locator(".kx-reset").click()


def formula(page: Any) -> dict[str, str]:
    rows = page.locator(".kx-formula tr").all()
    return {row.locator("th").text_content(): row.locator("td").first.text_content() for row in rows}


def test_from_disk_nothing_is_asked_for_and_nothing_complains(browser: Any, folder: Path) -> None:
    opened = Opened(browser, folder / "hello.html")
    opened.page.keyboard.press("Tab")
    opened.page.locator(".kx-edge").click()
    opened.page.locator(".kx-twin summary").click()
    assert opened.asked == [(folder / "hello.html").as_uri()]
    assert opened.said == []
    opened.page.close()


def test_a_relocation_has_objdumps_numbers(hello: Opened, needs: Callable[[str], str]) -> None:
    """``objdump -dr`` names .exit.text+0xa; S, A, P and the bytes are the sum by hand."""
    command = [needs("objdump"), "-dr", "-j", ".exit.text", str(sample("hello"))]
    listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert re.search(r"\ba: R_X86_64_32S\t\.rodata\.str1\.1\+0xd", listed)
    page = hello.page
    page.locator(".kx-relocations .kx-row", has_text=".exit.text+0xa").click()
    assert formula(page) == {
        "S": "0xffffffffc0202060", "A": "0xd", "P": "0xffffffffc020100a", "S + A": "0xffffffffc020206d",
        "before → after": "00 00 00 00 → 6d 20 20 c0",
    }  # fmt: skip
    assert lit(page, "sections").startswith("6 .exit.text 0xcf 0x13 0xffffffffc0201000")
    assert lit(page, "symbols").startswith("3 .rodata.str1.1")
    assert lit(page, "file") == "00 00 00 00"
    assert lit(page, "memory") == "6d 20 20 c0"


def test_hovering_lights_all_panes_and_goes_out_again(hello: Opened) -> None:
    page = hello.page
    call = page.locator(".kx-memory .kx-row", has_text="_printk")
    call.locator(".kx-bytes").hover(position={"x": 30, "y": 8})
    assert lit(page, "relocations", "kx-hot").startswith("8 .exit.text+0xf PLT32 _printk")
    assert lit(page, "sections", "kx-hot").startswith("6 .exit.text")
    assert len(lit(page, "file", "kx-hot")) == len(lit(page, "memory", "kx-hot")) == 2
    page.mouse.move(2, 2)
    assert lit(page, "relocations", "kx-hot") == ""


def test_the_words_are_pythons(hello: Opened, e1000: Opened, documents: dict[str, Document]) -> None:
    """words.js and words.py say the same of everything, at the loaded base and at another."""
    for opened, name, step in ((hello, "hello", 1), (e1000, "e1000", 37)):
        document = documents[name]
        counts = {
            "section": len(document.sections), "symbol": len(document.symbols),
            "relocation": len(document.relocations), "file": len(document.image), "memory": document.size,
        }  # fmt: skip
        for shift in (0, -0x40202000):
            opened.page.evaluate(f"document.querySelector('.kx').explorer.link.setShift({shift}n)")
            for kind, count in counts.items():
                numbers = list(range(0, count, step * (101 if kind in ("file", "memory") else 1)))
                theirs = opened.page.evaluate(
                    "([kind, all]) => all.map(i => document.querySelector('.kx').explorer.words(kind, i))",
                    [kind, numbers],
                )
                ours = [words(document, kind, number, shift) for number in numbers]
                assert theirs == ours, (name, kind, shift)


def test_memory_of_every_stage_is_pythons(e1000: Opened, documents: dict[str, Document]) -> None:
    """Forward and back through all stages: a checksum of the page's memory and of the document's."""
    document = documents["e1000"]
    order = [*range(len(document.stages)), *reversed(range(len(document.stages)))]
    sums = e1000.page.evaluate(
        """order => order.map(stage => {
            const {link, memory} = document.querySelector('.kx').explorer;
            link.setStage(stage);
            let sum = 0;
            for (const byte of memory.bytes) sum = (sum * 31 + byte) % 1000003;
            return sum;
        })""",
        order,
    )
    known = []
    for stage in range(len(document.stages)):
        total = 0
        for byte in document.memory(stage):
            total = (total * 31 + byte) % 1000003
        known.append(total)
    assert sums == [known[stage] for stage in order]
    assert len(set(known)) > 5


def test_the_base_slider_recomputes_and_overflows_in_the_kernels_words(hello: Opened) -> None:
    page = hello.page
    page.locator(".kx-relocations .kx-row", has_text=".exit.text+0xf").click()
    assert formula(page)["P"] == "0xffffffffc020100f"
    page.locator(".kx-base input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    value = 0xFFFFFFFF81A07E3D - 4 - 0xFFFFFFFFC020200F & 0xFFFFFFFF
    assert formula(page)["P"] == "0xffffffffc020200f"
    assert lit(page, "memory") == value.to_bytes(4, "little").hex(" ")
    page.locator(".kx-edge").click()  # .rodata.str1.1, one page higher, is at 0xffffffff80000060 and fits
    assert "all 2 checked 32-bit fields fit" in page.locator(".kx-base output").text_content()
    page.locator(".kx-hex").fill("0xffffffff7fff0000")
    page.keyboard.press("Enter")
    told = page.locator(".kx-base output").text_content()
    assert "module: overflow in relocation type 11 val ffffffff7fff1060" in told
    assert "module: `hello' likely not compiled with -mcmodel=kernel" in told
    page.locator(".kx-hex").fill("nonsense")
    page.keyboard.press("Enter")
    assert "A base is a hex number" in page.locator(".kx-base output").text_content()


def test_stages_step_back_and_next_change(hello: Opened) -> None:
    page, stage = hello.page, hello.page.locator(".kx-stage b")
    line = page.locator(".kx-line")
    line.focus()
    page.keyboard.press("Home")
    assert stage.text_content().startswith("1 of ")
    assert "no memory yet" in page.locator(".kx-memory").text_content()
    page.locator(".kx-next").click()
    assert stage.text_content().endswith("move_module")
    while not stage.text_content().endswith("apply_relocations"):
        page.locator(".kx-step").click()
    page.locator(".kx-back").click()
    page.locator(".kx-relocations .kx-row", has_text=".exit.text+0xa").click()
    assert "will be filled in by apply_relocations" in page.locator(".kx-formula").text_content()
    assert lit(page, "memory") == "00 00 00 00"
    page.locator(".kx-step").click()
    assert lit(page, "memory") == "6d 20 20 c0"
    assert page.locator(".kx-memory i.kx-new").count() == 3  # of .exit.text


def test_what_the_kernel_wrote_over_is_not_said_to_lead_on(e1000: Opened) -> None:
    """ftrace puts a nop where the call of __fentry__ was (kernel/trace/ftrace.c:ftrace_process_locs)."""
    page = e1000.page
    assert lit(page, "relocations").startswith("7 .text+0x112")  # the first that stays
    page.locator(".kx-relocations .kx-grid").focus()
    page.keyboard.press("Home")
    assert lit(page, "memory") == "1f 44 00 00"
    call = page.locator(".kx-memory .kx-row.kx-has .kx-text")
    assert call.text_content().split() == ["nopl", "(%rax,", "%rax)"]
    assert "written over it since" in page.locator(".kx-formula").text_content()
    page.locator(".kx-line [title*=apply_relocations]").click()
    assert call.text_content().endswith("→ __fentry__")
    assert "filled in" in page.locator(".kx-formula").text_content()


def test_by_keyboard_alone(hello: Opened) -> None:
    """Tab through the search, time line, base and five grids; find, follow, go back."""
    page = hello.page
    page.locator(".kx-search input").focus()
    page.keyboard.type("hello_exit")
    page.keyboard.press("Enter")
    assert ": FUNC LOCAL, 0x13 bytes at .exit.text+0x0" in said(page)
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate("""() => {
            const here = document.activeElement, title = here.closest('.kx-pane')?.querySelector('h3');
            return `${here.getAttribute('role')} ${title?.firstChild.textContent.trim() ?? here.className}`;
        }""")
        if stop.startswith("grid"):
            stops.append(stop)
        if stop == "grid Memory":
            break
    names = ("Sections", "Symbols", "Relocation entries", "The file", "Memory")
    assert stops == [f"grid {name}" for name in names]
    page.keyboard.press("ArrowDown")
    assert said(page).startswith("0xffffffffc0201007 in memory: hello_exit+0x7; 48 c7 c7 6d 20 20 c0: movq")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert lit(page, "relocations").startswith("7 .exit.text+0xa 32S")
    page.keyboard.press("Enter")
    assert said(page).startswith("0xffffffffc020206d in memory: .rodata.str1.1+0xd")
    page.keyboard.press("Backspace")
    assert said(page).startswith("0xffffffffc020100a in memory")
    active = page.evaluate("document.activeElement.getAttribute('aria-activedescendant')")
    assert page.locator(f"#{active}").get_attribute("role") == "row"


def test_search_finds_addresses_too(hello: Opened) -> None:
    page = hello.page
    page.locator(".kx-search input").fill("ffffffffc020100e")
    page.keyboard.press("Enter")
    assert said(page).startswith("0xffffffffc020100e in memory: hello_exit+0xe; e9 2a 6e 80 c1: jmp")
    page.locator(".kx-search input").fill("no such name")
    assert page.locator(".kx-search li").count() == 0


def test_only_the_rows_in_sight_are_in_the_page(e1000: Opened) -> None:
    """5,500 relocations, 40,000 rows of bytes; some hundred elements."""
    page = e1000.page
    page.locator(".kx-relocations .kx-grid").focus()
    page.keyboard.press("End")
    assert page.locator(".kx-relocations .kx-row.kx-sel").count() == 1
    assert page.locator(".kx-row").count() < 200
    rows = page.locator(".kx-relocations .kx-grid").get_attribute("aria-rowcount")
    assert int(rows) == page.evaluate("document.querySelector('.kx').explorer.doc.relocationCount") + 1


def test_the_twin_is_in_the_page(hello: Opened, documents: dict[str, Document]) -> None:
    page = hello.page
    page.locator(".kx-twin summary").click()
    page.locator(".kx-twin pre", has_text="Stages").wait_for()
    assert page.locator(".kx-twin pre").text_content() == twin(documents["hello"])
    page.locator(".kx-twin summary").click()
