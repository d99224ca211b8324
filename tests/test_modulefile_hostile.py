# SPDX-License-Identifier: GPL-2.0-only
"""The descriptive view opens whatever there is: truncated, flipped, made-up files give what can be read."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc

import pytest

from kmodsim import ModuleFile, sample
from kmodsim.errors import KernelError

HEADER_BYTES = 64
FOREIGN_32 = (b"\1\1", b"\1\2")


def look_at_everything(data: bytes) -> ModuleFile:
    """Touch every part and every object: nothing but KernelError may come out, and no numpy number."""
    module = ModuleFile(data)
    assert (module.header is None) == (len(data) < (52 if data[4:6] in FOREIGN_32 else 64))
    for part in ("symbols", "relocations", "modinfo", "params", "exports", "imports"):
        table = getattr(module, part)
        assert len(table) == sum(1 for _ in table)
    assert all(len(section.data) == section.length for section in module.sections)
    assert [type(value) for value in module.versions.values()] == [int] * len(module.versions)
    assert module._repr_html_()
    assert str(module).startswith(module.name)
    _ = module.signature and module.signature.details()
    _ = module.init_symbol, module.exit_symbol, module.signature, "init_module" in module.symbols
    assert len(module.problems) <= 101
    return module


@pytest.mark.core
def test_every_truncation_opens() -> None:
    data = sample("minimal").read_bytes()
    for end in range(0, len(data), 64):
        module = look_at_everything(data[:end])
        assert module.problems, f"cut after {end} bytes, and nothing is said to be wrong"
        assert (module.header is None) == (end < HEADER_BYTES)


@pytest.mark.core
@pytest.mark.parametrize(("name", "cases"), [("minimal", 1200), ("hello", 300), ("crc16", 500)])
def test_flipped_bytes_open(name: str, cases: int) -> None:
    """Half of the flips hit the header and the section headers, where each byte steers something."""
    data, rng = sample(name).read_bytes(), random.Random(name)
    shoff, shnum = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    steering = [*range(HEADER_BYTES), *range(shoff, shoff + 64 * shnum)]
    sound = ModuleFile(data)
    same = 0
    for _ in range(cases):
        broken = bytearray(data)
        for _ in range(rng.choice((1, 1, 4))):
            place = rng.choice(steering) if rng.random() < 0.5 else rng.randrange(len(data))
            broken[place] = rng.randrange(256)
        try:
            same += list(look_at_everything(bytes(broken)).sections) == list(sound.sections)
        except KernelError:
            pass
    assert 0 < same < cases, "some flips change the section table and some do not"


@pytest.mark.core
def test_noise_opens() -> None:
    rng = random.Random(3)
    for length in (0, 1, 3, 16, 51, 52, 63, 64, 65, 1000, 20_000):
        noise = rng.randbytes(length)
        look_at_everything(noise)
        look_at_everything(b"\x7fELF" + noise)
        look_at_everything(b"\x7fELF\2\1\1" + noise)


@pytest.mark.core
@pytest.mark.parametrize(("elf_class", "elf_data"), [(1, 1), (2, 2), (1, 2), (0, 0), (77, 99)])
def test_ident_bytes_that_the_kernel_ignores(elf_class: int, elf_data: int) -> None:
    """elf_validity_check (kernel/module/main.c) looks at neither EI_CLASS nor EI_DATA: such a file loads."""
    data = bytearray(sample("hello").read_bytes())
    data[4:6] = elf_class, elf_data
    module, sound = look_at_everything(bytes(data)), ModuleFile(sample("hello"))
    assert [section.name for section in module.sections] == [section.name for section in sound.sections]
    assert module.params == sound.params
    assert [f"EI_CLASS {elf_class}, EI_DATA {elf_data}" in problem for problem in module.problems] == [True]


@pytest.mark.core
def test_a_foreign_file_shows_its_header_and_sections() -> None:
    """A 32-bit big-endian file, written by the ELF specification."""
    names, info = b"\0.modinfo\0.shstrtab\0", b"license=GPL\0"
    fields = struct.pack(">HHIIIIIHHHHHH", 1, 20, 1, 0, 0, 52, 0, 52, 0, 0, 40, 3, 2)
    header = b"\x7fELF\1\2\1" + bytes(9) + fields
    at = 52 + 3 * 40
    sections = bytes(40) + struct.pack(">10I", 1, 1, 2, 0, at, len(info), 0, 0, 1, 0)
    sections += struct.pack(">10I", 10, 3, 0, 0, at + len(info), len(names), 0, 0, 1, 0)
    module = look_at_everything(header + sections + info + names)
    assert module.header is not None
    assert (module.header.bits, module.header.byte_order, module.header.machine) == (32, "big", "PowerPC")
    assert [section.name for section in module.sections] == ["", ".modinfo", ".shstrtab"]
    assert list(module.modinfo) == [("license", "GPL")]
    assert len(module.symbols) == 0
    assert any("32-bit big-endian" in problem for problem in module.problems)


def with_field(data: bytes, offset: int, layout: str, value: int) -> bytes:
    broken = bytearray(data)
    struct.pack_into(layout, broken, offset, value)
    return bytes(broken)


@pytest.mark.core
def test_problems_say_what_and_where() -> None:
    data = sample("hello").read_bytes()
    sound = ModuleFile(data)
    shoff = struct.unpack_from("<Q", data, 40)[0]
    symtab, text = sound.sections[".symtab"], sound.sections[".init.text"]
    rela = sound.sections[".rela.init.text"]
    broken = {
        "e_shstrndx is 9999": with_field(data, 62, "<H", 9999),
        "e_shentsize is 63": with_field(data, 58, "<H", 63),
        "do not fit into the file": with_field(data, 60, "<H", 65535),
        "b'\\x7fELg'": with_field(data, 3, "<B", ord("g")),
        "no SHT_SYMTAB": with_field(data, shoff + 64 * symtab.index + 4, "<I", 1),
        "2 SHT_SYMTAB sections": with_field(data, shoff + 64 * text.index + 4, "<I", 2),
        "sh_link 999 names no string table": with_field(data, shoff + 64 * symtab.index + 40, "<I", 999),
        "1 of 139 names lie beyond": with_field(data, symtab.offset + 24 * 100, "<I", 1 << 30),
        "reach beyond the file's end": with_field(data, shoff + 64 * text.index + 32, "<Q", 1 << 40),
        f"section {text.index}: name at 0xffff": with_field(data, shoff + 64 * text.index, "<I", 0xFFFF),
        "1 relocations name a symbol beyond the 139": with_field(data, rela.offset + 12, "<I", 139),
        "relocations beyond the": with_field(data, rela.offset, "<Q", text.size),
        "sh_info 999 names no section": with_field(data, shoff + 64 * rela.index + 44, "<I", 999),
        "no .modinfo": data.replace(b"\0.modinfo\0", b"\0.modinfx\0"),
        "not of the form key=value": data.replace(b"\0license=GPL\0", b"\0license:GPL\0"),
    }
    for words, image in broken.items():
        assert image != data
        found = look_at_everything(image).problems
        assert any(words in problem for problem in found), f"{words!r} is not among {found}"


@pytest.mark.core
def test_a_made_up_file_costs_little() -> None:
    """8,000 section headers that all claim the whole file: as relocations, as symbols, as names."""
    count, size = 8000, 8000 * 64 + 64
    header = bytearray(sample("minimal").read_bytes()[:64])
    struct.pack_into("<QIHHHHHH", header, 40, 64, 0, 64, 0, 0, 64, count, 1)
    for type_ in (4, 9, 2, 3):
        one = struct.pack("<IIQQQQIIQQ", 1, type_, 2, 0, 0, size, 1, 1, 8, 24)
        image = bytes(header[:64]) + one * count
        start = time.perf_counter()
        tracemalloc.start()
        try:
            module = ModuleFile(image)
            assert len(module.problems) > 0
            assert str(module)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert len(module.sections) == count
        assert peak < 60 * size, f"type {type_}: {peak:,} bytes"
        assert time.perf_counter() - start < 20
