# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer's document, words, page and command, against a recorded real kernel and by hand."""

from __future__ import annotations

import base64
import json
import random
import re
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kmodsim import Kernel, KernelError, ModuleFile, sample
from kmodsim.cli import main
from kmodsim.views.explorer import (
    Document,
    explored_load,
    explorer_document,
    explorer_page,
    twin,
    whole_script,
    words,
)
from kmodsim.views.explorer.packing import packed

from .realkernel.replay import recorded
from .test_light_import import loaded_by

pytestmark = pytest.mark.core
PRINTK = 0xFFFFFFFF81A07E3D  # System.map-6.1.0-56-amd64
BASE = 0xFFFFFFFFC0201000  # of the first module of a kernel without KASLR, as recorded


@pytest.fixture(scope="module")
def hello() -> Document:
    return explorer_document(explored_load("hello"))


@pytest.mark.parametrize("name", ["hello", "chardev"])
def test_sections_and_symbols_lie_where_the_real_kernel_put_them(name: str) -> None:
    """/sys/module/*/sections and /proc/kallsyms, recorded beside the real kernel 6.1."""
    snapshot = recorded("samples-6.1.json", f"alone/{name}", f"alone/{name}")["steps"][1]["answer"]
    real = {
        path.rpartition("/")[2]: int(text, 16)
        for path, text in snapshot["files"].items()
        if "/sections/" in path
    }
    document = explorer_document(explored_load(name))
    ours = {s.name: s.address for s in document.sections if s.address and s.size}
    assert real and real.items() <= ours.items()
    symbols = {(s.name, s.address) for s in document.symbols}
    lines = [line.split() for line in snapshot["symbols"]]
    assert len(lines) > 5
    assert {(line[2], int(line[0], 16)) for line in lines} <= symbols


def test_the_relocations_of_exit_text_are_readelfs_and_the_sums_are_right(hello: Document) -> None:
    """Three rows of ``readelf -rW hello.ko``; bytes by the psABI's formulas from recorded addresses."""
    rows = [row for row in hello.relocations if hello.sections[row.section].name == ".exit.text"]
    listed = [(3, 2, 0x74), (0xA, 11, 0xD), (0xF, 4, -4)]
    assert [(row.offset, row.type, row.addend) for row in rows] == listed
    names = [hello.symbols[row.symbol].name for row in rows]
    assert names == [".data", ".rodata.str1.1", "_printk"]
    assert [hello.symbols[row.symbol].address for row in rows] == [BASE + 0x2000, BASE + 0x1060, PRINTK]
    values = (BASE + 0x2000 + 0x74 - (BASE + 3), BASE + 0x1060 + 0xD, PRINTK - 4 - (BASE + 0xF))
    assert [row.before for row in rows] == [bytes(4)] * 3
    assert [row.after for row in rows] == [struct.pack("<I", value & 0xFFFFFFFF) for value in values]


def test_the_line_in_words_has_the_formula_with_its_numbers(hello: Document) -> None:
    assert hello.start == 6  # the first one outside .init.text, which is given back
    assert explorer_document(explored_load(b"")).start == -1
    assert words(hello, "relocation", 6) == (
        "relocation 6, R_X86_64_PC32 at .exit.text+0x3 for .data: S + A - P = 0xffffffffc0203000 + 0x74 - "
        "0xffffffffc0201003 = 0x2071; 00 00 00 00 -> 71 20 00 00; leads to whom"
    )
    said = words(hello, "symbol", 129)
    assert said.startswith(f"symbol 129 _printk: NOTYPE GLOBAL, UND; S = {PRINTK:#x}")
    assert words(hello, "section", 6) == (
        "section 6 .exit.text: 0x13 bytes at offset 0xcf of the file; 0x13 bytes at 0xffffffffc0201000 in "
        "memory; 3 relocations"
    )
    assert words(hello, "file", 0) == "offset 0x0 of the file: (ELF header)+0x0, byte 7f"
    assert words(hello, "memory", 7) == "0xffffffffc0201007 in memory: hello_exit+0x7"
    for kind, number in (("relocation", 10_000), ("file", len(hello.image)), ("memory", hello.size)):
        with pytest.raises(IndexError):
            words(hello, kind, number)


def test_a_moved_module_moves_its_fields_and_overflows_below_two_gigabytes(hello: Document) -> None:
    """32S holds the upper 2 GiB and no more; a PC32 field inside the module does not notice."""
    shift = 0xFFFFFFFF7FFFF000 - BASE
    assert "= 0x2071; 00 00 00 00 -> 71 20 00 00" in words(hello, "relocation", 6, shift)
    value = BASE + 0x106D + shift
    assert value < 0xFFFFFFFF80000000 + 0x2000
    low = words(hello, "relocation", 7, shift - 0x2000)
    assert low.endswith(
        f"overflow in relocation type 11 val {value - 0x2000:x}; "
        "`hello' likely not compiled with -mcmodel=kernel"
    )
    call = words(hello, "relocation", 8, 4096)
    assert (PRINTK - 4 - (BASE + 4096 + 0xF) & 0xFFFFFFFF).to_bytes(4, "little").hex(" ") in call


def test_memory_after_the_last_stage_is_the_kernels_memory() -> None:
    load = explored_load("hello")
    document = explorer_document(load)
    core = document.parts[0]
    assert load.module is not None
    live = load.kernel.memory.read(core.base, core.size)
    assert document.memory(len(document.stages) - 1)[: core.size] == bytes(live)
    assert document.memory(document.moved - 1) == bytes(document.size)
    text = next(s for s in document.sections if s.name == ".exit.text")
    copied = document.memory(document.moved)[text.place : text.place + text.size]
    assert copied == document.image[text.offset : text.offset + text.size]


@pytest.mark.parametrize("name", ["hello", "e1000", "crc16"])
def test_every_byte_of_file_and_memory_is_told_once(name: str) -> None:
    document = explorer_document(explored_load(name))
    at = 0
    for segment in document.segments:
        assert segment.offset == at
        assert segment.size > 0
        at += segment.size
    assert at == len(document.image)
    at = 0
    for span in document.spans:
        assert span.place == at
        at += span.size
    assert at == document.size > 0


def test_instructions_read_as_their_stage_left_them(hello: Document) -> None:
    """The call of __fentry__ that ftrace makes a nop (kernel/trace/ftrace.c:ftrace_process_locs)."""
    pytest.importorskip("capstone", reason="needs capstone")
    document = explorer_document(explored_load("e1000"))
    text = next(s for s in document.sections if s.name == ".text")
    entry = [row for row in document.code if row.place == text.place]
    assert [row.text.split()[0] for row in entry] == ["callq", "callq", "nopl"]
    assert [document.stages[row.since].name for row in entry][:2] == ["move_module", "apply_relocations"]
    assert all(a.until == b.since for a, b in pairwise(entry))


def test_a_module_that_is_refused_is_shown_as_far_as_it_came() -> None:
    load = explored_load("chain_c", after=[])
    document = explorer_document(load)
    assert "ENOENT" in document.outcome and "simplify_symbols" in document.outcome
    assert document.stages[-1].error
    assert document.relocated == len(document.stages)
    assert all(row.after is None for row in document.relocations)
    assert "not applied" in words(document, "relocation", 0)


def test_no_memory_no_symbols_only_a_file() -> None:
    document = explorer_document(explored_load(b"#!/bin/sh\n"))
    assert document.parts == () and document.sections == () and document.relocations == ()
    assert [s.size for s in document.segments] == [10]
    assert document.start == -1 and "ENOEXEC" in document.outcome
    assert explorer_page(document).startswith("<!doctype html>")


def test_broken_files_end_in_a_document_or_a_kernel_error() -> None:
    data, rng = sample("hello").read_bytes(), random.Random("explorer")
    headers = struct.unpack_from("<Q", data, 40)[0]
    steering = [*range(64), *range(headers, len(data))]
    shown = 0
    for _ in range(150):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 2, 5))):
            place = rng.choice(steering) if rng.random() < 0.7 else rng.randrange(len(data))
            broken[place] = rng.randrange(256)
        try:
            document = explorer_document(explored_load(bytes(broken), after=[]))
        except KernelError:
            continue
        shown += 1
        packed(document)
        for number in range(0, len(document.relocations), 7):
            assert words(document, "relocation", number, 4096)
    assert shown > 100


def test_a_reduced_document_says_what_it_lacks() -> None:
    document = explorer_document(explored_load("e1000"), whole=[".text"], kept=4096)
    text = next(s for s in document.sections if s.name == ".text")
    assert text.kept == text.size > 4096
    rodata = next(s for s in document.sections if s.name == ".rodata")
    assert rodata.kept == 4096 < rodata.size
    lost = sum(s.size - s.kept for s in document.sections)
    assert f"{lost:,} bytes" in document.left_out[0]
    everything = len(ModuleFile(sample("e1000")).relocations)
    assert f"{everything - len(document.relocations):,} of {everything:,} relocations" in document.left_out[1]
    assert len(packed(document)[1]) < len(packed(explorer_document(explored_load("e1000")))[1])


def unpacked(document: Document) -> tuple[dict[str, Any], dict[str, Any]]:
    """As the page reads it."""
    text, block = packed(document)
    head, data = json.loads(text), zlib.decompress(block)
    columns: dict[str, Any] = {}
    for name, (kind, start, length) in head["columns"].items():
        part = data[start : start + length]
        if kind == "json":
            columns[name] = json.loads(part)
        else:
            columns[name] = part.decode() if kind == "text" else np.frombuffer(part, f"<{kind}")
    return head, columns


def test_what_is_packed_is_what_the_document_has(hello: Document) -> None:
    head, columns = unpacked(hello)
    assert bytes(columns["file"]) == hello.image
    assert columns["names"] == [s.name for s in hello.symbols]
    assert columns["relocation_addend"].tolist() == [row.addend for row in hello.relocations]
    assert [int(row[1], 16) for row in head["parts"]] == [part.base for part in hello.parts]
    assert columns["twin"] == twin(hello)
    memory, at = bytearray(hello.size), 0
    for place, length, source in zip(
        *(columns[f"write_{name}"].tolist() for name in ("place", "length", "source")), strict=True
    ):
        if source >= 0:
            memory[place : place + length] = hello.image[source : source + length]
        else:
            memory[place : place + length] = bytes(columns["write_data"][at : at + length])
            at += length
    assert bytes(memory) == hello.memory(len(hello.stages) - 1)


def test_the_page_asks_for_nothing_and_names_do_not_become_markup() -> None:
    data = sample("hello").read_bytes().replace(b"coordinates\0", b"</script><b\0")
    page = explorer_page(explorer_document(explored_load(data)))
    assert "default-src 'none'" in page
    assert not re.search(r"\b(src|href)=|https?:|@import|url\(|\bfetch\(|XMLHttpRequest|WebSocket", page)
    assert page.count("</script>") == 3
    block = re.search(r'id="kx-block">([^<]+)<', page)
    assert block and zlib.decompress(base64.b64decode(block[1]))


def test_the_files_of_javascript_are_one_program() -> None:
    script = whole_script("widget")
    assert not re.search(r"^import ", script, re.M)
    names = re.findall(r"^(?:async )?(?:const|let|function|class) (\w+)", script, re.M)
    assert len(names) == len(set(names)) > 50


def test_the_twin_has_known_rows(hello: Document) -> None:
    text = twin(hello)
    assert re.search(r"^ +6 +\.exit\.text\+0x3 +R_X86_64_PC32 +\.data +0xffffffffc0203000 +0x74 ", text, re.M)
    assert re.search(r"^ *4 +\.init\.text +PROGBITS +0xa0 +0x2f +AX +0xffffffffc0206000", text, re.M)
    assert "kernel/module/main.c:apply_relocations" in text


def test_the_command_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "page.html"
    assert main(["explore", "hello", "-o", str(target)]) == 0
    assert "hello: success" in capsys.readouterr().out
    assert target.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["explore", "hello", "-o", str(tmp_path / "no" / "page.html")]) == 1
    assert "No such file or directory" in capsys.readouterr().err
    assert main(["explore", str(tmp_path / "none.ko")]) == 1
    assert capsys.readouterr().err.endswith("none.ko: No such file or directory\n")


def test_the_command_loads_first_what_the_module_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["explore", "chain_c"]) == 0
    assert (tmp_path / "chain_c.html").is_file()
    assert main(["explore", "chain_c", "--after", "hello", "-o", "alone.html"]) == 0
    assert "ENOENT" in capsys.readouterr().out


def test_a_load_without_a_trace_is_told() -> None:
    kernel = Kernel(cpu=None)
    load = kernel.load(sample("hello"), trace=False)
    with pytest.raises(KernelError, match="trace=True"):
        explored_load(load)
    with pytest.raises(KernelError, match="has no file"):
        explored_load(7)  # type: ignore[arg-type]


def test_neither_the_package_nor_its_views_load_the_explorer() -> None:
    assert "anywidget" not in loaded_by("import kmodsim.widgets, kmodsim.views")
    code = "import kmodsim.views, sys; assert 'kmodsim.views.explorer' not in sys.modules"
    assert "kmodsim" in loaded_by(code)
