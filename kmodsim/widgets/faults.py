# SPDX-License-Identifier: GPL-2.0-only
"""Things that go wrong when a module is loaded: small changes to the file, the kernel or the caller."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..errors import ENODEV
from ..modulefile import ModuleFile

EM_AARCH64 = 183  # include/uapi/linux/elf-em.h
E_MACHINE = 18  # offset of e_machine in Elf64_Ehdr


@dataclass(frozen=True)
class Fault:
    """``edit`` gives the file's bytes, ``kernel`` arguments for Kernel; ``twice``: it is loaded already."""

    label: str
    edit: Callable[[ModuleFile], bytes] = lambda file: file.data
    kernel: Callable[[ModuleFile], dict[str, Any]] = field(default=lambda file: {})
    twice: bool = False


def _cut(file: ModuleFile) -> bytes:
    return file.data[: len(file.data) // 2]


def _machine(file: ModuleFile) -> bytes:
    return file.data[:E_MACHINE] + EM_AARCH64.to_bytes(2, "little") + file.data[E_MACHINE + 2 :]


def _one_byte(file: ModuleFile) -> bytes:
    """A byte that nobody reads, in a section that is not loaded; only a signature can tell."""
    section = file.sections.get(".comment")
    at = section.offset if section else len(file.data) - 1
    return file.data[:at] + bytes([file.data[at] ^ 1]) + file.data[at + 1 :]


def _vermagic(file: ModuleFile) -> bytes:
    """As built for a kernel configured without preemption; NULs fill the rest, .modinfo may hold them."""
    old = b" SMP preempt mod_unload modversions \0"
    new = b" SMP mod_unload modversions \0"
    return file.data.replace(old, new.ljust(len(old), b"\0"), 1)


def _crc(symbol: str) -> Callable[[ModuleFile], bytes]:
    def edit(file: ModuleFile) -> bytes:
        """One bit of the symbol's CRC in __versions turned over (struct modversion_info: crc, name)."""
        section = file.sections.get("__versions")
        place = section.data.find(symbol.encode() + b"\0") if section else -1
        if section is None or place < 8:
            return file.data
        at = section.offset + place - 8
        return file.data[:at] + bytes([file.data[at] ^ 1]) + file.data[at + 1 :]

    return edit


def _init_fails(file: ModuleFile) -> dict[str, Any]:
    return {"functions": {file.init_symbol: lambda: -ENODEV}} if file.init_symbol else {}


FAULTS: tuple[Fault, ...] = (
    Fault("nothing"),
    Fault("the caller is not root", kernel=lambda file: {"uid": 1000}),
    Fault("the download stopped half-way", edit=_cut),
    Fault("one byte was changed on its way", edit=_one_byte),
    Fault("the file was built for an ARM machine", edit=_machine),
    Fault("it was built for a kernel configured otherwise", edit=_vermagic),
    Fault("its idea of struct module is another one", edit=_crc("module_layout")),
    Fault("its idea of _printk is another one", edit=_crc("_printk")),
    Fault("this kernel insists on signed modules", kernel=lambda file: {"cmdline": "module.sig_enforce=1"}),
    Fault(
        "it is on the kernel's blacklist", kernel=lambda file: {"cmdline": f"module_blacklist={file.name}"}
    ),
    Fault("it is loaded already", twice=True),
    Fault("init says that the hardware is not there", kernel=_init_fails),
)
BY_LABEL: dict[str, Fault] = {fault.label: fault for fault in FAULTS}
