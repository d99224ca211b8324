# SPDX-License-Identifier: GPL-2.0-only
"""Named module files: the samples, and what ``editor`` makes of them. ``make(name)`` gives the bytes."""

from __future__ import annotations

import lzma
import re
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import kmodsim
from kmodsim.profile import KernelProfile

from . import signatures
from .current import DEFAULT, Current
from .editor import (
    NAME_IN_STRUCT_MODULE,
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHN_COMMON,
    SHT_NOBITS,
    SHT_PROGBITS,
    SHT_REL,
    SHT_SYMTAB,
    Image,
)

SAMPLES = Path(kmodsim.__file__).parent / "data" / "samples"
THIS_MODULE = ".gnu.linkonce.this_module"
R_X86_64_NONE, R_X86_64_64, R_X86_64_PC32, R_X86_64_32, R_X86_64_32S = 0, 1, 2, 10, 11

Maker = Callable[[], bytes]


def profile() -> KernelProfile:
    return KernelProfile.load(f"debian-{Current.kernel}-amd64")


def printk() -> str:
    """What the kernel calls it."""
    return "_printk" if "_printk" in profile().exports else "printk"


def other_release() -> str:
    """The vermagic of the release before."""
    release, rest = profile().vermagic.split(" ", 1)
    number = re.findall(r"\d+", release)[3 if "-" in release else 2]
    return f"{release.replace(number, str(int(number) - 1), 1)} {rest}"


def msleep_crc() -> int:
    crc = profile().exports["msleep"].crc
    assert crc is not None
    return crc


def sample(name: str) -> bytes:
    folder = SAMPLES / f"debian-{Current.kernel}-amd64"
    packed = folder / f"{name}.ko.xz"
    return lzma.decompress(packed.read_bytes()) if packed.exists() else (folder / f"{name}.ko").read_bytes()


def of(name: str, *changes: Callable[[Image], object]) -> Maker:
    """A maker: the sample ``name`` with these changes."""

    def make() -> bytes:
        image = Image(sample(name))
        for change in changes:
            change(image)
        return bytes(image)

    return make


def hello(*changes: Callable[[Image], object]) -> Maker:
    return of("hello", *changes)


def header(**fields: int) -> Maker:
    return hello(lambda i: i.set_header(**fields))


def section(name: str, **fields: int) -> Maker:
    return hello(lambda i: i.set_section(name, **fields))


def flags(name: str, add: int = 0, drop: int = 0) -> Callable[[Image], object]:
    return lambda i: i.set_section(name, sh_flags=(i.section(name, "sh_flags") | add) & ~drop)


ELF: dict[str, Maker] = {
    "empty": lambda: b"",
    "one_byte": lambda: b"\x7f",
    "bytes_63": lambda: sample("hello")[:63],
    "bytes_64": lambda: sample("hello")[:64],
    "truncated": lambda: sample("hello")[:-1000],
    "text_file": lambda: b"This is no module, just words in a file, more than sixty-four of them in all.\n",
    "magic": header(magic=0x464C4580),
    "type_exec": header(e_type=2),
    "type_none": header(e_type=0),
    "machine_386": header(e_machine=3),
    "machine_arm64": header(e_machine=183),
    "shentsize": header(e_shentsize=63),
    "shentsize_zero": header(e_shentsize=0),
    "shoff_outside": header(e_shoff=1 << 40),
    "shoff_end": hello(lambda i: i.set_header(e_shoff=len(i.data))),
    "shoff_huge": header(e_shoff=(1 << 64) - 64),
    "shoff_zero": header(e_shoff=0),
    "shnum_too_many": header(e_shnum=0xFFFF),
    "shnum_zero": header(e_shnum=0),
    "shnum_one": header(e_shnum=1),
    "shstrndx_zero": header(e_shstrndx=0),
    "shstrndx_end": hello(lambda i: i.set_header(e_shstrndx=i.header("e_shnum"))),
    "shstrndx_xindex": header(e_shstrndx=0xFFFF),
    "shstrtab_outside": section(".shstrtab", sh_offset=1 << 32),
    "shstrtab_overflow": section(".shstrtab", sh_offset=(1 << 64) - 8),
    "shstrtab_empty": section(".shstrtab", sh_size=0),
    "shstrtab_not_terminated": hello(
        lambda i: i.set_section(".shstrtab", sh_size=i.section(".shstrtab", "sh_size") - 1)
    ),
    "section0_type": hello(lambda i: i.set_section(0, sh_type=1)),
    "section0_size": hello(lambda i: i.set_section(0, sh_size=1)),
    "section0_addr": hello(lambda i: i.set_section(0, sh_addr=4096)),
    "symtab_link_zero": section(".symtab", sh_link=0),
    "symtab_link_outside": hello(lambda i: i.set_section(".symtab", sh_link=i.header("e_shnum"))),
    "section_offset": section(".text", sh_offset=1 << 32),
    "section_size": section(".init.text", sh_size=1 << 32),
    "section_wraps": section(".modinfo", sh_size=(1 << 64) - 16),
    "section_not_alloc_outside": section(".comment", sh_offset=1 << 20),
    "section_name_outside": section(".modinfo", sh_name=1 << 16),
    "section_name_outside_not_alloc": hello(
        lambda i: i.set_section(".comment", sh_name=i.section(".shstrtab", "sh_size") + 1)
    ),
    "nobits_outside": section(".bss", sh_offset=1 << 40),
}

SETUP: dict[str, Maker] = {
    "no_symtab": section(".symtab", sh_type=SHT_PROGBITS),
    "no_this_module": hello(lambda i: i.rename_section(THIS_MODULE, ".not.this.module")),
    "this_module_not_alloc": hello(flags(THIS_MODULE, drop=SHF_ALLOC)),
    "no_this_module_and_no_modinfo": hello(
        lambda i: i.rename_section(THIS_MODULE, ".x"), lambda i: i.rename_section(".modinfo", ".y")
    ),
    "write_exec": hello(flags(".text", SHF_WRITE)),
    "write_exec_data": hello(flags(".data", SHF_EXECINSTR)),
    "write_exec_not_alloc": hello(flags(".comment", SHF_WRITE | SHF_EXECINSTR)),
    "no_memory_core": section(".bss", sh_size=0x60000000),
    "no_memory_init": section(".init.data", sh_type=SHT_NOBITS, sh_size=0x60000000),
    "percpu_full": of("percpu", lambda i: i.set_section(".data..percpu", sh_type=SHT_NOBITS, sh_size=20000)),
    # more than a whole unit: the allocator warns before it refuses
    "percpu_beyond_unit": of(
        "percpu", lambda i: i.set_section(".data..percpu", sh_type=SHT_NOBITS, sh_size=1 << 20)
    ),
    "percpu_alignment": of("percpu", lambda i: i.set_section(".data..percpu", sh_addralign=8192)),
}

VERSIONS: dict[str, Maker] = {
    "layout_crc": hello(lambda i: i.set_version("module_layout", crc=1)),
    "layout_not_listed": hello(lambda i: i.set_version("module_layout", name="module_lay0ut")),
    "no_versions": hello(lambda i: i.rename_section("__versions", "__versionz")),
    "versions_not_alloc": hello(flags("__versions", drop=SHF_ALLOC)),
    "versions_empty": section("__versions", sh_size=0),
    "symbol_crc": hello(lambda i: i.set_version(printk(), crc=0x12345678)),
    "symbol_not_listed": hello(lambda i: i.set_version(printk(), name=printk()[:-1] + "f")),
    "symbols_crc_two": hello(
        lambda i: i.set_version(printk(), crc=1), lambda i: i.set_version("param_ops_int", crc=2)
    ),
    "gpl_crc": of("gpl_user", lambda i: i.set_version("gpl_only_answer", crc=3)),
    "bridge_gpl_crc": of("proprietary_bridge", lambda i: i.set_version("gpl_only_answer", crc=3)),
    "no_kcrctab": of("chain_a", lambda i: i.rename_section("__kcrctab", "__kcrctaz")),
}

MODINFO: dict[str, Maker] = {
    "vermagic_flags": hello(
        lambda i: i.set_modinfo("vermagic", "6.1.0-56-amd64 SMP mod_unload modversions ")
    ),
    "vermagic_release": hello(lambda i: i.set_modinfo("vermagic", other_release())),
    "vermagic_release_no_versions": hello(
        lambda i: i.set_modinfo("vermagic", other_release()),
        lambda i: i.rename_section("__versions", "__versionz"),
    ),
    "vermagic_no_space": hello(lambda i: i.set_modinfo("vermagic", "6.1.0-56-amd64")),
    "vermagic_empty": hello(lambda i: i.set_modinfo("vermagic", "")),
    "vermagic_missing": hello(lambda i: i.set_modinfo("vermagic", None)),
    "no_modinfo": hello(lambda i: i.rename_section(".modinfo", ".modinfp")),
    "no_license": hello(lambda i: i.set_modinfo("license", None)),
    "license_proprietary": hello(lambda i: i.set_modinfo("license", "Proprietary")),
    "license_gpl_lower_case": hello(lambda i: i.set_modinfo("license", "gpl")),
    "license_dual_mpl": hello(lambda i: i.set_modinfo("license", "Dual MPL/GPL")),
    "in_tree": hello(lambda i: i.set_modinfo("intree", "Y")),
    "no_retpoline": hello(lambda i: i.set_modinfo("retpoline", None)),
    "staging": hello(lambda i: i.set_modinfo("staging", "Y")),
    "names_differ": hello(
        lambda i: i.set_modinfo("name", "modinfo_name"), lambda i: i.set_struct_name(b"struct_name")
    ),
    "names_differ_vermagic": hello(
        lambda i: i.set_modinfo("name", "modinfo_name"), lambda i: i.set_modinfo("vermagic", "x y")
    ),
    "name_missing_in_modinfo": hello(lambda i: i.set_modinfo("name", None)),
    "name_slash": hello(lambda i: i.set_name("a/b")),
    "name_built_in": hello(lambda i: i.set_name("printk")),
    "name_last_fits": hello(lambda i: i.set_name("n" * 55)),
}


def _undefined_as(**fields: int) -> Maker:
    return hello(lambda i: i.set_symbol(printk(), **fields))


SYMBOLS: dict[str, Maker] = {
    "unknown_two": hello(
        lambda i: i.rename_symbol(printk(), "no_such_function"),
        lambda i: i.rename_symbol("param_ops_int", "no_such_data"),
    ),
    "unknown_then_crc": hello(
        lambda i: i.rename_symbol("param_ops_bool", "no_such_data"), lambda i: i.set_version(printk(), crc=1)
    ),
    "unknown_empty_name": hello(lambda i: i.add_symbol("")),
    "unknown_local": hello(lambda i: i.add_symbol("nobody_has_this", info=0x00)),
    "weak_undefined": hello(lambda i: i.add_symbol("nobody_has_this", info=0x20)),
    "got": hello(lambda i: i.add_symbol("_GLOBAL_OFFSET_TABLE_")),
    "common": hello(lambda i: i.add_symbol("shared_number", shndx=SHN_COMMON, value=4, size=4)),
    "common_lto": hello(lambda i: i.add_symbol("__gnu_lto_slim", shndx=SHN_COMMON, value=1, size=1)),
    "section_index": hello(lambda i: i.add_symbol("lost", shndx=0x1234)),
    "section_index_end": hello(lambda i: i.add_symbol("lost", shndx=i.header("e_shnum"))),
    "absolute": hello(lambda i: i.add_symbol("the_answer", shndx=0xFFF1, value=42)),
    "section_index_xindex": hello(lambda i: i.add_symbol("lost", shndx=0xFFFF)),
    "export_of_kernel": of(
        "duplicate_export",
        lambda i: i.replace(
            "__ksymtab_strings",
            (printk().encode() + b"\0").ljust(i.section("__ksymtab_strings", "sh_size"), b"\0"),
        ),
    ),
    "chain_a_twin": of("chain_a", lambda i: i.set_name("twin")),
    "section_flags_livepatch": hello(lambda i: i.add_symbol("lost", shndx=0xFF20)),
}


def relocation(section_name: str, kind: int, **fields: int) -> Callable[[Image], object]:
    """Change the first relocation of this kind in a section."""

    def change(image: Image) -> object:
        number = image.find_relocation(section_name, lambda r: r["r_type"] == kind)
        return image.set_relocation(section_name, number, **fields)

    return change


def _target_not_zero(section_name: str, kind: int, data: bytes) -> Callable[[Image], object]:
    def change(image: Image) -> object:
        number = image.find_relocation(section_name, lambda r: r["r_type"] == kind)
        return image.write(
            image.section(section_name, "sh_info"), image.relocation(section_name, number, "r_offset"), data
        )

    return change


INIT = ".rela.init.text"
RELOCATIONS: dict[str, Maker] = {
    "relocation_unknown": hello(relocation(INIT, R_X86_64_32S, r_type=99)),
    "relocation_gotpcrel": hello(relocation(INIT, R_X86_64_PC32, r_type=9)),
    "relocation_16": hello(relocation(INIT, R_X86_64_32S, r_type=12)),
    "relocation_none": hello(relocation(".rela.exit.data", R_X86_64_64, r_type=R_X86_64_NONE)),
    "relocation_target": hello(_target_not_zero(INIT, R_X86_64_32S, b"\x01")),
    "relocation_target_64": hello(_target_not_zero(".rela__param", R_X86_64_64, b"\x78\x56\x34\x12")),
    "relocation_32_overflow": hello(relocation(INIT, R_X86_64_32S, r_type=R_X86_64_32)),
    "relocation_32s_overflow": hello(relocation(INIT, R_X86_64_32S, r_addend=1 << 32)),
    "relocation_pc32_overflow": hello(
        relocation(INIT, R_X86_64_PC32, r_addend=1 << 40), lambda i: i.write(".init.text", 5, b"\x31\xc0\xc3")
    ),
    "relocation_rel": hello(lambda i: i.set_section(".rela.init.text", sh_type=SHT_REL)),
    "relocation_rel_of_comment": hello(
        lambda i: i.add_section(
            ".rel.comment",
            bytes(16),
            sh_type=SHT_REL,
            sh_info=i.index(".comment"),
            sh_link=i.index(".symtab"),
        )
    ),
    "relocation_info_outside": section(".rela.exit.data", sh_info=999),
    "relocation_info_zero": section(".rela.exit.data", sh_info=0),
    "relocation_of_comment": hello(
        lambda i: i.add_section(
            ".rela.comment", struct.pack("<QIIq", 0, 99, 0, 0), sh_type=4, sh_info=i.index(".comment")
        )
    ),
    "relocation_link_ignored": section(".rela.exit.data", sh_link=0),
}

SURPRISES: dict[str, Maker] = {
    "ident_32_bit_big_endian": hello(lambda i: i.set_header(**{"class": 1, "data": 2, "ident_version": 9})),
    "header_fields_ignored": header(
        e_version=7, e_ehsize=1, e_phnum=99, e_phoff=1 << 50, e_entry=1, e_flags=0xFFFFFFFF, e_phentsize=3
    ),
    "bytes_behind": hello(lambda i: i.data.extend(b"more" * 100)),
    "second_symtab": hello(lambda i: i.add_section(".symtab2", bytes(48), sh_type=SHT_SYMTAB, sh_link=1)),
    "bss_4_gib": section(".bss", sh_size=(1 << 32) + 14),  # sizes are unsigned int: it wraps
    "symtab_entsize": section(".symtab", sh_entsize=7),
    "alignment_three": section(".data", sh_addralign=3),
    "sh_addr_ignored": section(".data", sh_addr=0x1000),
    "type_unknown": section(".comment", sh_type=0x12345),
}


def _slow(name: str, milliseconds: int, **others: int) -> Maker:
    """A sample whose printk calls became msleep(milliseconds): its init (and exit) take time.

    ``mov $format, %rdi`` loses its relocation and gets the number; the symbol and its version change names.
    ``others``: milliseconds on other kernels, called v6_12.
    """

    def change(image: Image) -> None:
        sleep = others.get("v" + Current.kernel.replace(".", "_"), milliseconds)
        image.rename_symbol(printk(), "msleep").set_version(printk(), crc=msleep_crc(), name="msleep")
        for text in (".rela.init.text", ".rela.exit.text"):
            number = image.find_relocation(text, lambda r: r["r_type"] == R_X86_64_32S)
            at = image.relocation(text, number, "r_offset")
            image.set_relocation(text, number, r_type=R_X86_64_NONE)
            image.write(text.removeprefix(".rela"), at, struct.pack("<i", sleep))

    return of(name, change)


BEHAVIOUR: dict[str, Maker] = {
    # on 6.12 each load or unload waits more than 3 s in this machine, nearly all of it idle
    "slow": _slow("hello", 2000, v6_12=20000),
    "slow_fail_init": _slow("fail_init", 2000),
    "slow_chain_b": _slow("chain_b", 1500),
    "slow_chain_a": _slow("chain_a", 2000),
    "very_slow_chain_a": _slow("chain_a", 33000),
    "init_prints_null": hello(relocation(INIT, R_X86_64_32S, r_type=R_X86_64_NONE)),
    # init is ud2 (an invalid opcode that no table knows): the caller dies in it
    "init_oops": hello(lambda i: i.write(".init.text", 5, b"\x0f\x0b")),
}

# The real kernel dies on these (the caller, at least).
OOPS: dict[str, Maker] = {
    "this_module_size_0": section(THIS_MODULE, sh_size=0),
    "this_module_size_64": section(THIS_MODULE, sh_size=64),
    "name_not_terminated": hello(lambda i: i.write(THIS_MODULE, NAME_IN_STRUCT_MODULE, b"x" * 56)),
    "name_empty": hello(lambda i: i.set_struct_name(b"")),
    "relocation_offset_outside": hello(relocation(INIT, R_X86_64_32S, r_offset=1 << 40)),
    "relocation_symbol_outside": hello(relocation(INIT, R_X86_64_32S, r_sym=0x7FFFFFFF)),
    "symbol_name_outside": hello(lambda i: i.set_symbol(printk(), st_name=0x7FFFFFFF)),
}

# samples that go on working while they are loaded: not part of what is recorded about loading and unloading
RUNNING = frozenset((
    "buggy", "cdev", "debugfs", "formats", "hrtimer", "list", "memory", "misc", "notifier", "proc", "sync",
    "sysfs", "thread", "timer", "work",
))  # fmt: skip
PLAIN: dict[str, Maker] = {
    path.stem: of(path.stem)
    for path in sorted((SAMPLES / "debian-6.1-amd64").glob("*.ko"))
    if path.stem not in RUNNING
}

FILES: dict[str, Maker] = {
    **PLAIN,
    **ELF,
    **SETUP,
    **VERSIONS,
    **MODINFO,
    **SYMBOLS,
    **RELOCATIONS,
    **SURPRISES,
    **BEHAVIOUR,
    **OOPS,
    **signatures.FILES,
}


@cache
def make(name: str, kernel: str = DEFAULT) -> bytes:
    """The bytes of the file called ``name`` for a kernel; KeyError when there is none."""
    Current.kernel = kernel
    try:
        return FILES[name]()
    finally:
        Current.kernel = DEFAULT
