# SPDX-License-Identifier: GPL-2.0-only
"""ElfLab: each broken field is the file the real kernel was given, and is answered as it answered."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kmodsim import ModuleFile, sample
from kmodsim.views.elf_fields import HEADER, NOBODY, SECTION
from kmodsim.views.elf_header import field_table, section_headers
from kmodsim.widgets.elf_change import ELF_HEADER, ElfChange, fields_of, parse_value

from .faults.files import make
from .pictures import assert_sound
from .recorded import answered, is_recorded_file, without_first_words

# (section or ELF_HEADER, field, value) -> the recorded case, which is named after its file
CASES: dict[tuple[int, str, str], str] = {
    (ELF_HEADER, "EI_MAG", "0x464c4580"): "elf-header/magic",
    (ELF_HEADER, "e_type", "2"): "elf-header/type_exec",
    (ELF_HEADER, "e_type", "0"): "elf-header/type_none",
    (ELF_HEADER, "e_machine", "3"): "elf-header/machine_386",
    (ELF_HEADER, "e_machine", "0xb7"): "elf-header/machine_arm64",
    (ELF_HEADER, "e_shentsize", "63"): "elf-header/shentsize",
    (ELF_HEADER, "e_shentsize", "0"): "elf-header/shentsize_zero",
    (ELF_HEADER, "e_shoff", "0x10000000000"): "elf-table/shoff_outside",
    (ELF_HEADER, "e_shoff", "-64"): "elf-table/shoff_huge",
    (ELF_HEADER, "e_shoff", "0"): "elf-table/shoff_zero",
    (ELF_HEADER, "e_shnum", "0xffff"): "elf-table/shnum_too_many",
    (ELF_HEADER, "e_shnum", "0"): "elf-shstrndx/shnum_zero",
    (ELF_HEADER, "e_shnum", "1"): "elf-shstrndx/shnum_one",
    (ELF_HEADER, "e_shstrndx", "0"): "elf-shstrndx/shstrndx_zero",
    (ELF_HEADER, "e_shstrndx", "36"): "elf-shstrndx/shstrndx_end",
    (ELF_HEADER, "e_shstrndx", "0xffff"): "elf-shstrndx/shstrndx_xindex",
    (35, "sh_offset", "0x100000000"): "elf-shstrtab/shstrtab_outside",
    (35, "sh_offset", "-8"): "elf-shstrtab/shstrtab_overflow",
    (35, "sh_size", "0"): "elf-shstrtab/shstrtab_empty",
    (0, "sh_type", "1"): "elf-section-0/section0_type",
    (0, "sh_size", "1"): "elf-section-0/section0_size",
    (0, "sh_addr", "4096"): "elf-section-0/section0_addr",
    (33, "sh_link", "0"): "elf-symtab-link/symtab_link_zero",
    (33, "sh_link", "36"): "elf-symtab-link/symtab_link_outside",
    (3, "sh_offset", "0x100000000"): "elf-section-bounds/section_offset",
    (4, "sh_size", "0x100000000"): "elf-section-bounds/section_size",
    (11, "sh_size", "-16"): "elf-section-bounds/section_wraps",
    (31, "sh_offset", "0x100000"): "elf-section-bounds/section_not_alloc_outside",
    (30, "sh_offset", "0x10000000000"): "elf-section-bounds/nobits_outside",
    (11, "sh_name", "0x10000"): "elf-section-name/section_name_outside",
    (33, "sh_type", "1"): "setup-symtab/no_symtab",
    (28, "sh_flags", "1"): "setup-this-module/this_module_not_alloc",
    (3, "sh_flags", "7"): "write-exec/write_exec",
    (22, "sh_flags", "7"): "write-exec/write_exec_data",
}
NOT_LOOKED_AT = [field.name for field in HEADER if field.reader == NOBODY]


def change(part: int, name: str, value: str, module: str = "hello") -> ElfChange:
    field = next(field for field in fields_of(part) if field.name == name)
    return ElfChange(ModuleFile(sample(module)), part, field, parse_value(value))


@pytest.mark.core
@pytest.mark.parametrize("key", CASES, ids=lambda key: f"{key[0]}-{key[1]}-{key[2]}")
def test_a_broken_field_is_answered_as_by_the_real_kernel(key: tuple[int, str, str]) -> None:
    tried, case = change(*key), CASES[key]
    assert is_recorded_file(case.partition("/")[2], tried.data)
    wanted = answered(case)
    if wanted.errno is None:
        assert tried.error is None
        return
    assert without_first_words(tried.kernel.dmesg, "hello") == wanted.log
    assert not tried.kernel.modules
    words = tried.page().answer()[1]
    assert words.startswith(f"✗ hello is refused: {wanted.errno} in ")
    assert "insmod: ERROR: could not insert module hello.ko: Invalid module format" in words
    assert all(record[3:] in words for record in wanted.log)


@pytest.mark.core
@pytest.mark.parametrize("name", NOT_LOOKED_AT)
@pytest.mark.parametrize("value", ["0", "-1"])
def test_fields_that_nobody_looks_at_may_say_anything(name: str, value: str) -> None:
    """As recorded: hello with other class and byte order, and with all other unread fields changed, loads."""
    assert answered("not-checked/ident_32_bit_big_endian").errno is None
    assert answered("not-checked/header_fields_ignored").errno is None
    assert change(ELF_HEADER, name, value).error is None


@pytest.mark.core
def test_the_recorded_files_change_only_fields_said_to_be_unread() -> None:
    """What the real kernel loaded differs from hello only where the table says "nobody"."""
    original = make("hello")
    for file in ("ident_32_bit_big_endian", "header_fields_ignored"):
        data = make(file)
        changed = {
            field.name
            for field in HEADER
            if data[field.offset : field.offset + field.size]
            != original[field.offset : field.offset + field.size]
        }
        assert changed and changed <= set(NOT_LOOKED_AT), file


@pytest.mark.core
def test_the_tables_of_fields_cover_their_structures() -> None:
    """include/uapi/linux/elf.h: both structures are 64 bytes without holes."""
    for table in (HEADER, SECTION):
        assert [field.offset for field in table[1:]] == [f.offset + f.size for f in table[:-1]]
        assert table[-1].offset + table[-1].size == 64


@pytest.mark.core
def test_a_guess_comes_before_the_answer() -> None:
    broken = change(ELF_HEADER, "e_machine", "183")
    hidden = broken.page("(choose first)", guessed=False).answer()[1]
    assert "Invalid architecture" not in hidden and "ENOEXEC" not in hidden
    assert "e_machine" in hidden and "b7 00" in hidden
    assert "Right, as you expected: ENOEXEC." in broken.page("ENOEXEC").answer()[1]
    assert "You expected loaded; it is ENOEXEC." in broken.page("loaded").answer()[1]


@pytest.mark.core
@pytest.mark.parametrize(
    ("text", "words"),
    [("abc", "is no number"), ("0x", "is no number"), ("65536", "does not fit into 2 bytes")],
)
def test_what_is_no_value_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        change(ELF_HEADER, "e_machine", text).data


# readelf -h hello.ko (binutils 2.40)
READELF = {
    "e_type": "REL (Relocatable file)", "e_machine": "Advanced Micro Devices X86-64", "e_shoff": "13504",
    "e_ehsize": "64", "e_shentsize": "64", "e_shnum": "36", "e_shstrndx": "35", "EI_CLASS": "ELF64",
    "EI_DATA": "2's complement, little endian", "EI_OSABI": "UNIX - System V",
}  # fmt: skip


@pytest.mark.core
def test_the_field_table_says_what_readelf_says() -> None:
    view = field_table(HEADER, sample("hello").read_bytes()[:64], "ELF header", chosen="e_machine")
    rows = {line.split()[0]: line for line in view.text.replace("▶", " ").splitlines()[2:]}
    for field, words in READELF.items():
        assert f"  {words}  " in rows[field], field
    assert [line for line in view.text.splitlines() if line.startswith("▶")] == [
        "▶  e_machine      62          Advanced Micro Devices X86-64  elf_validity_check    0x12  3e 00"
    ]


@pytest.mark.core
def test_the_pictures_are_sound() -> None:
    dump, table, sections = change(22, "sh_addralign", "3").views
    assert_sound(dump)
    assert "3  (was 16)" in table.text
    flags = next(line for line in table.text.splitlines() if "sh_flags" in line)
    assert flags.split()[1:3] == ["3", "WA"]  # readelf -S: .data is WA
    assert "<table" in table.html and "<table" in sections.html
    assert [line.split()[1:4] for line in sections.text.splitlines() if line.startswith("▶")] == [
        ["[22]", ".data", "PROGBITS"]
    ]


@pytest.mark.tool
def test_the_section_list_is_readelfs(needs: Callable[[str], str], tmp_path: Path) -> None:
    """Every column of every section of a real module as readelf -S -W prints it."""
    path = sample("vfat")
    out = subprocess.run(
        [needs("readelf"), "-S", "-W", str(path)], capture_output=True, text=True, check=True
    )
    wanted = [line.split() for line in out.stdout.splitlines() if line.lstrip().startswith("[")]
    view = change(ELF_HEADER, "e_machine", "", "vfat").views[2]
    assert [line.split() for line in view.text.splitlines()[1:]] == wanted
    assert section_headers([], "none").text.splitlines()[0] == "none"


# --- the widget ---------------------------------------------------------------------------------------------


def lab(module: object = "hello") -> object:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import ElfLab

    return ElfLab(module)


@pytest.mark.core
def test_it_is_driven_from_code() -> None:
    elf = lab()
    assert "✓ hello is loaded" in elf.text
    elf.controls["value"].value = "183"
    assert "Choose what you expect" in elf.text
    elf.controls["guess"].value = "ENOEXEC"
    assert elf.text.startswith("✗ hello is refused: ENOEXEC in elf_validity_check")
    assert elf.kernel.dmesg == answered("elf-header/machine_arm64").log
    elf.controls["value"].value = "62"
    assert elf.controls["guess"].value == "(choose first)", "a guess is for one change"
    elf.reset()
    assert elf.controls["value"].value == "" and "✓ hello is loaded" in elf.text


@pytest.mark.core
def test_the_fields_are_those_of_the_header_chosen() -> None:
    elf = lab()
    elf.controls["part"].value = 22
    assert elf.controls["field"].options == tuple(field.name for field in SECTION)
    elf.controls["field"].value = "sh_flags"
    elf.controls["value"].value = "7"
    elf.controls["guess"].value = "no guess, show me"
    assert answered("write-exec/write_exec_data").log[0][3:] in elf.text
    elf.controls["part"].value = ELF_HEADER
    assert elf.controls["field"].value == "e_machine"


@pytest.mark.core
def test_a_signed_module_keeps_its_signature_only_when_asked() -> None:
    """kernel/module/signing.c comes before any look at the header."""
    elf = lab("crc16")
    elf.controls["guess"].value = "no guess, show me"
    elf.controls["value"].value = "183"
    assert "Invalid architecture in ELF header: 183" in elf.text
    elf.controls["signed"].value = True
    assert "EKEYREJECTED in module_sig_check" in elf.text
    assert "signed" not in lab("hello").controls


@pytest.mark.core
@pytest.mark.parametrize(
    "text", ["", "abc", "0x", "9" * 40, "\0", "\udce4", "-1", "1e3", " 183 ", "x" * 5000]
)
def test_no_value_makes_it_raise(text: str) -> None:
    elf = lab()
    elf.controls["value"].value = text
    assert elf.text and "Traceback" not in elf.text
    assert "<svg" in elf.static() or "This cannot be tried" in elf.static()


@pytest.mark.core
@pytest.mark.parametrize("length", [0, 4, 63, 64, 8000])
def test_a_file_that_ends_too_early_is_told(length: int) -> None:
    elf = lab(sample("hello").read_bytes()[:length])
    words = f"Invalid ELF header len {length}" if length < 64 else "Invalid ELF section header overflow"
    assert words in elf.text if length else "the file is empty" in elf.text  # fs/kernel_read_file.c: EINVAL
    elf.controls["value"].value = "1"
    assert ("the file ends at" in elf.text) == (length < 20)
