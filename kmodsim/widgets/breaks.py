# SPDX-License-Identifier: GPL-2.0-only
"""More things that go wrong than the first widget offers: each a module, a change and a kernel to try it on.

Some of them do no harm. That they don't is what there is to learn from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from ..errors import ENOMEM
from ..modulefile import ModuleFile
from ..records import RELA, SHT_NOBITS, SHT_REL
from .editor import Editor
from .faults import FAULTS, Fault

R_X86_64_32, R_X86_64_32S = 10, 11  # arch/x86/include/asm/elf.h
VERMAGIC = "{} SMP preempt mod_unload modversions "


@dataclass(frozen=True)
class Break(Fault):
    """A Fault of the sample ``module``, given ``params`` and flags, after ``before`` were loaded; ``why``
    is told with the answer."""

    module: str = "hello"
    params: str = ""
    before: tuple[str, ...] = ()
    flags: int = 0
    why: str = ""


def edited(change: Callable[[Editor], Any]) -> Callable[[ModuleFile], bytes]:
    """A change of the file's bytes, written as one of an Editor."""

    def edit(file: ModuleFile) -> bytes:
        editor = Editor(file.data)
        change(editor)
        return bytes(editor)

    return edit


def _header(**values: int) -> Callable[[ModuleFile], bytes]:
    return edited(lambda e: e.set_header(**values))


def _section(name: int | str, **values: int) -> Callable[[ModuleFile], bytes]:
    return edited(lambda e: e.set_section(name, **values))


def _flags(name: str, add: int) -> Callable[[ModuleFile], bytes]:
    return edited(lambda e: e.set_section(name, sh_flags=e.section(name, "sh_flags") | add))


def _relocation(field: str, value: int) -> Callable[[ModuleFile], bytes]:
    """A field of the first R_X86_64_32S entry of .rela.init.text."""
    offset, size = {"r_offset": (0, 8), "r_type": (8, 4)}[field]

    def change(editor: Editor) -> None:
        start = editor.section(".rela.init.text", "sh_offset")
        size_of_all = editor.section(".rela.init.text", "sh_size")
        for at in range(start, start + size_of_all, RELA.itemsize):
            if editor.get(at + 8, 4) == R_X86_64_32S:
                editor.put(at + offset, size, value)
                return

    return edited(change)


def _name(name: str) -> Callable[[ModuleFile], bytes]:
    """Both names: in .modinfo and in struct module, where 56 bytes from 24 on are for it."""

    def change(editor: Editor) -> None:
        editor.set_modinfo("name", name)
        start = editor.section(".gnu.linkonce.this_module", "sh_offset") + 24
        editor.data[start : start + 56] = name.encode().ljust(56, b"\0")

    return edited(change)


def _rename_version(editor: Editor, symbol: str, name: str) -> None:
    at = editor.version_at(symbol) + 8
    editor.data[at : at + 56] = name.encode().ljust(56, b"\0")


def _symbol_of_kernel(editor: Editor) -> None:
    """The exported name becomes one that the kernel itself exports."""
    size = editor.section("__ksymtab_strings", "sh_size")
    editor.replace("__ksymtab_strings", b"_printk\0".ljust(size, b"\0"))


def _returns(value: int) -> Callable[[ModuleFile], dict[str, Any]]:
    return lambda file: {"functions": {file.init_symbol or "init_module": lambda: value}}


TEXT_FILE = b"This is no module, just words in a file, more than sixty-four of them in all.\n"
_ALL_FIELDS = [field.name for field in fields(Fault)]

BREAKS: tuple[Break, ...] = (
    *(Break(**{name: getattr(fault, name) for name in _ALL_FIELDS}) for fault in FAULTS[1:]),
    # before load_module
    Break("the kernel was booted with nomodule", kernel=lambda _: {"cmdline": "nomodule"}),
    Break("a flag is given that this kernel does not know", flags=8),
    Break("the file is empty", edit=lambda _: b""),
    Break("the kernel is locked down for integrity", kernel=lambda _: {"cmdline": "lockdown=integrity"}),
    Break("a signed module, one byte changed", module="crc16", edit=FAULTS[3].edit,
          why="A bad signature is worse than none: the kernel takes unsigned modules, but no forged ones."),
    # the ELF file
    Break("of the file only 63 bytes came", edit=lambda file: file.data[:63]),
    Break("it is a text file", edit=lambda _: TEXT_FILE),
    Break("its header says it is an executable", edit=_header(e_type=2)),
    Break("EI_CLASS says 32-bit and EI_DATA big-endian", edit=edited(lambda e: e.put(4, 1, 1).put(5, 1, 2)),
          why="The loader does not look at these two bytes. readelf does, and shows nonsense."),
    Break("the table of section names does not end in NUL",
          edit=edited(lambda e: e.set_section(".shstrtab", sh_size=e.section(".shstrtab", "sh_size") - 1))),
    Break("section 0 has a size", edit=_section(0, sh_size=1)),
    Break(".text is said to lie behind the end of the file", edit=_section(".text", sh_offset=1 << 32)),
    Break(".bss is said to lie behind the end of the file", edit=_section(".bss", sh_offset=1 << 40),
          why="NOBITS: there are no bytes to be read, so nobody minds where they are not."),
    Break("the symbol table names no string table", edit=_section(".symtab", sh_link=0)),
    # what is in it
    Break("its symbols were stripped", edit=_section(".symtab", sh_type=1),
          why="Without symbols it cannot be linked: strip --strip-debug is as far as one may go."),
    Break("it has no struct module",
          edit=_section(".gnu.linkonce.this_module", sh_flags=1),
          why="A section without SHF_ALLOC does not count: find_sec looks among those that are loaded."),
    Break("it was built for 6.1.0-55",
          edit=edited(lambda e: e.set_modinfo("vermagic", VERMAGIC.format("6.1.0-55-amd64"))),
          why="With CRCs in __versions, vermagic is compared from its first blank on: same_magic."),
    Break("vermagic is missing", edit=edited(lambda e: e.set_modinfo("vermagic")),
          why="That counts as a forced load: taint F, and nobody will look at a bug report of that machine."),
    Break("its licence is Proprietary", edit=edited(lambda e: e.set_modinfo("license", "Proprietary")),
          why="It taints (P), and GPL-only symbols are not for it. hello uses none."),
    # layout
    Break(".text may be written", edit=_flags(".text", 1)),
    Break(".bss is as large as 1.5 GiB", edit=_section(".bss", sh_size=0x60000000)),
    Break("its per-CPU data is 20,000 bytes", module="percpu",
          edit=_section(".data..percpu", sh_type=SHT_NOBITS, sh_size=20000),
          why="All modules share 8 KiB a CPU: PERCPU_MODULE_RESERVE."),
    # symbols
    Break("it uses a function that nobody has", module="missing_symbol"),
    Break("the module it needs is not there", module="chain_b",
          why="insmod does not look for it; modprobe does."),
    Break("a proprietary module uses a GPL-only symbol", module="proprietary_gpl",
          why="For it the GPL-only tables are not even searched: the symbol is unknown, not forbidden."),
    Break("it uses a namespace that it does not import", module="namespace_thief",
          before=("namespace_provider",)),
    Break("_printk is not in its __versions",
          edit=edited(lambda e: _rename_version(e, "_printk", "_printf"))),
    Break("a weak symbol is nowhere to be found", module="weak_symbol",
          why="A weak symbol may stay 0, and the module's code has to ask."),
    # relocations
    Break("it has a relocation of type 99", edit=_relocation("r_type", 99)),
    Break("an address goes into a R_X86_64_32 field", edit=_relocation("r_type", R_X86_64_32),
          why="The field is extended with zeros, and module addresses begin with ones."),
    Break("a relocation section has the old type REL", edit=_section(".rela.init.text", sh_type=SHT_REL)),
    Break("a relocation points a terabyte away", edit=_relocation("r_offset", 1 << 40),
          why="r_offset is not checked: the kernel writes where it says, and oopses."),
    # exports, sysfs, parameters, init
    Break("it exports what another module exports", module="duplicate_export", before=("chain_a",)),
    Break("it exports what the kernel exports", module="duplicate_export", edit=edited(_symbol_of_kernel)),
    Break("it has the name of something built in: printk", edit=_name("printk")),
    Break("a parameter gets a word for a number", params="howmany=three"),
    Break("a parameter is given that it does not have", params="nobody=1",
          why="Told in the log, and ignored: since 3.11 a module with fewer parameters still loads."),
    Break("init finds no memory", module="fail_init", kernel=_returns(-ENOMEM)),
    Break("init returns 5", module="fail_init", kernel=_returns(5),
          why="Only negative numbers are errors."),
)  # fmt: skip
BREAKS_BY_LABEL: dict[str, Break] = {item.label: item for item in BREAKS}
