# SPDX-License-Identifier: GPL-2.0-only
"""Headers, symbols, modinfo and the way into memory: as readelf and modinfo print them, as recorded."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from kmodsim import Kernel, ModuleFile, sample
from kmodsim.views import (
    elf_header_bytes_of,
    elf_header_of,
    modinfo_of,
    section_header_of,
    section_headers_of,
    symbols_of,
    way_of,
)
from kmodsim.views.symbols import MOST, SymbolLine, modinfo_table, symbol_table
from kmodsim.views.view import View

from .pictures import assert_sound
from .realkernel.replay import recorded, truth


def hello() -> ModuleFile:
    return ModuleFile(sample("hello"))


def cells(view: View, skip: int = 2) -> list[list[str]]:
    return [line.split() for line in view.text.splitlines()[skip:]]


@pytest.mark.core
def test_the_symbols_are_those_of_readelf() -> None:
    """readelf -s -W hello.ko: numbers 117, 123 and 129; nm -u lists 18."""
    rows = {row[0]: row for row in cells(symbols_of(hello()))}
    assert rows["117"] == ["117", "0x150", "8", "OBJECT", "LOCAL", ".rodata", "__param_str_howmany"]
    assert rows["123"] == ["123", "0x0", "19", "FUNC", "GLOBAL", ".exit.text", "cleanup_module"]
    assert rows["129"] == ["129", "0x0", "0", "NOTYPE", "GLOBAL", "UND", "_printk"]
    assert symbols_of(hello()).description == "139 symbols, 18 of them wanted from others."


@pytest.mark.tool
@pytest.mark.parametrize("name", ["hello", "crc16", "vfat"])
def test_every_symbol_as_readelf_prints_it(name: str, needs: Callable[[str], str]) -> None:
    path = sample(name)
    command = [needs("readelf"), "-s", "-W", str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    wanted = [line.split() for line in out.splitlines() if line.lstrip()[:1].isdigit()]
    found = cells(symbols_of(ModuleFile(path)))
    assert len(found) == len(wanted)
    for mine, theirs in zip(found, wanted, strict=True):
        assert (int(mine[1], 16), mine[2], mine[3], mine[4]) == (
            int(theirs[1], 16), theirs[2], theirs[3], theirs[4]
        )  # fmt: skip


@pytest.mark.core
def test_a_loaded_modules_symbols_have_the_addresses_of_the_real_kernel() -> None:
    """/proc/kallsyms of the real kernel with hello as its only module."""
    name = "samples-6.1.json"
    boot = next(b for b, content in truth(name)["boots"].items()
                if any(case["id"] == "alone/hello" for case in content["cases"]))  # fmt: skip
    steps = recorded(name, boot, "alone/hello")["steps"]
    lines = next(step["answer"]["symbols"] for step in steps if step["call"]["op"] == "snapshot")
    wanted = {line.split()[2]: int(line.split()[0], 16) for line in lines}
    load = Kernel(cpu=None).load(sample("hello"))
    rows = cells(symbols_of(hello(), load))
    found = {row[6]: int(row[7], 16) for row in rows if len(row) == 8}
    assert len(wanted) > 50
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.core
def test_one_symbol_is_marked_wherever_it_stands() -> None:
    lines = [SymbolLine(n, n, 0, "FUNC", "LOCAL", ".text", f"f{n}") for n in range(MOST + 100)]
    view = symbol_table(lines, "many", marked=MOST + 50)
    assert view.note == "99 more symbols not shown"
    assert [line.split()[1] for line in view.text.splitlines() if line.startswith("▶")] == [str(MOST + 50)]
    assert "f450" in view.html
    marked = symbols_of(hello(), name="_printk").text
    assert [line.split()[-1] for line in marked.splitlines() if line.startswith("▶")] == ["_printk"]


@pytest.mark.tool
def test_modinfo_has_the_tags_of_modinfo(needs: Callable[[str], str]) -> None:
    out = subprocess.run(
        [needs("modinfo"), "-0", "-F", "license", str(sample("vfat"))],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {row[0]: row[1] for row in cells(modinfo_of(ModuleFile(sample("vfat"))))}
    assert out.stdout.split("\0")[:-1] == [rows["license"]]


@pytest.mark.core
def test_modinfo_says_who_reads_a_tag() -> None:
    """kernel/module/main.c: check_modinfo, verify_namespace_is_imported; the others are for tools."""
    text = modinfo_of(ModuleFile(sample("namespace_user"))).text
    rows = {line.split()[0]: line for line in text.splitlines()[2:]}
    assert "COURSE" in rows["import_ns"] and "verify_namespace_is_imported" in rows["import_ns"]
    assert "check_modinfo" in rows["vermagic"]
    assert rows["depends"].split()[1] == "namespace_provider"
    assert (
        modinfo_table([("mine", "x")], "t").description
        == "1 tag, 0 of them for the kernel, the others for tools."
    )


@pytest.mark.core
def test_headers_are_those_of_readelf() -> None:
    """readelf -h and -S of hello.ko."""
    fields = {row[0]: row[1] for row in cells(elf_header_of(hello()))}
    assert (fields["e_shoff"], fields["e_shnum"], fields["e_shstrndx"]) == ("13504", "36", "35")
    section = {row[0]: row[1] for row in cells(section_header_of(hello(), ".data"))}
    assert (section["sh_offset"], section["sh_size"], section["sh_addralign"]) == ("3648", "132", "16")
    row = next(row for row in cells(section_headers_of(hello())) if row[0] == "[22]")
    assert row[1:] == [".data", "PROGBITS", "0" * 16, "000e40", "000084", "00", "WA", "0", "0", "16"]
    assert "7f 45 4c 46" in elf_header_bytes_of(hello()).text


@pytest.mark.core
def test_the_way_into_memory_is_that_of_the_real_kernel() -> None:
    """File offsets: readelf -S; addresses: /sys/module/hello/sections, as recorded."""
    load = Kernel(cpu=None).load(sample("hello"))
    view = way_of(load, ".data")
    rows = {row[0]: row for row in cells(view, 3)}
    assert rows[".data"][1:6] == ["0xe40", "132", "core", "0x2000", "ffffffffc0203000"]
    assert rows[".init.text"][1:6] == ["0xa0", "47", "init", "0x0", "ffffffffc0206000"]
    assert_sound(view)


@pytest.mark.core
def test_a_broken_file_is_shown_as_far_as_it_goes() -> None:
    for data in (b"", b"\x7fELF", sample("hello").read_bytes()[:70], b"text" * 40):
        file = ModuleFile(data)
        for draw in (elf_header_of, elf_header_bytes_of, section_headers_of, symbols_of, modinfo_of):
            assert draw(file).text
