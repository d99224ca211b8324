# SPDX-License-Identifier: GPL-2.0-only
"""The convenience variables: where the sections are that the loader needs (``setup_load_info`` and
neighbours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import ENOEXEC, EPERM, MODULE_INIT_IGNORE_MODVERSIONS, KernelError, KernelOops
from ..memory import U64, page_align
from ..records import MODVERSION, SHF_ALLOC, SHT_SYMTAB, c_string, text, view
from .load import TEMPORARY_COPY, SectionHeader

if TYPE_CHECKING:
    from .load import Load

MISSING = "(missing .modinfo section or name field)"


def parse_modinfo(data: bytes) -> list[tuple[str, str]]:
    """(tag, value) pairs of a .modinfo section: NUL-separated ``tag=value`` strings, padding skipped.

    Models ``kernel/module/main.c:get_next_modinfo`` read from front to back; a last string without its NUL
    ends
    with the section.
    """
    pieces = [piece.partition("=") for piece in text(data).split("\0")]
    return [(tag, value) for tag, equals, value in pieces if equals]


def find_symtab(sections: Sequence[SectionHeader]) -> int:
    """Index of the first section of type SHT_SYMTAB, 0 when there is none; later ones are ignored."""
    return next((s.index for s in sections[1:] if s.type == SHT_SYMTAB), 0)


def is_blacklisted(name: str, module_blacklist: str) -> bool:
    """Whether the boot parameter ``module_blacklist=a,b,c`` names this module, to the letter."""
    return name in module_blacklist.split(",") if module_blacklist else False


def setup_load_info(load: Load) -> None:
    """Fill ``load.index``, ``load.modinfo`` and ``load.name``; ENOEXEC without symbols or this_module."""
    index, kernel = load.index, load.kernel
    index.info = load.find_sec(".modinfo")
    if index.info:
        load.modinfo = read_modinfo(load)
    name = load.get_modinfo("name")
    index.sym = load.pure("find_symtab")(load.sections)
    if not index.sym:
        kernel.printk(4, f"{name or MISSING}: module has no symbols (stripped?)")
        raise KernelError(ENOEXEC)
    index.str = load.sections[index.sym].link
    index.mod = load.find_sec(".gnu.linkonce.this_module")
    if not index.mod:
        kernel.printk(4, f"{name or MISSING}: No module found in object")
        raise KernelError(ENOEXEC)
    load.name = name if name is not None else early_name(load)
    index.vers = 0 if load.flags & MODULE_INIT_IGNORE_MODVERSIONS else load.find_sec("__versions")
    index.pcpu = load.find_sec(".data..percpu")


def early_name(load: Load) -> str:
    """``info->mod->name``: the name in struct module, read from the temporary copy."""
    section = load.sections[load.index.mod]
    offset, size = load.profile.struct_module.fields["name"]
    start = section.offset + offset
    if start >= page_align(len(load.image)):
        raise KernelOops("struct module lies outside the file")
    return text(c_string(load.image[: start + size], start))


def read_modinfo(load: Load) -> list[tuple[str, str]]:
    """The pairs of .modinfo; the kernel reads at sh_offset whatever the section's type says."""
    section = load.sections[load.index.info]
    pairs: list[tuple[str, str]] = load.pure("parse_modinfo")(
        load.file_bytes(section.offset, section.size).tobytes()
    )
    return pairs


def check_blacklist(load: Load) -> None:
    """EPERM for a module named by ``module_blacklist=`` (``kernel/module/main.c:blacklisted``)."""
    if load.pure("is_blacklisted")(load.name, load.kernel.cmdline.get("module_blacklist", "")):
        load.kernel.printk(3, f"Module {load.name} is blacklisted")
        raise KernelError(EPERM)


def rewrite_section_headers(load: Load) -> None:
    """Point every sh_addr into the temporary copy; .modinfo and __versions lose SHF_ALLOC: read, not kept."""
    for section in load.sections[1:]:
        section.addr = (TEMPORARY_COPY + section.offset) & U64
    for number in (load.index.vers, load.index.info):
        load.sections[number].flags &= ~SHF_ALLOC


def read_versions(load: Load) -> dict[str, int] | None:
    """symbol name -> CRC of the ``__versions`` section; None when there is none (or it is ignored)."""
    if not load.index.vers:
        return None
    section = load.sections[load.index.vers]
    raw = load.file_bytes(section.offset, section.size)
    rows = view(raw, 0, section.size // MODVERSION.itemsize, MODVERSION)[::-1]
    names = rows["name"].tolist()
    words = text(b"\0".join(names)).split("\0")
    if len(words) != len(names):  # there is something behind a name's NUL
        words = [text(name.split(b"\0", 1)[0]) for name in names]
    return dict(zip(words, rows["crc"].tolist(), strict=True))  # of two entries for a name the first counts


def check_modstruct_version(load: Load) -> None:
    """The CRC of ``module_layout`` must be the kernel's; without ``__versions`` the load is forced (taint
    F)."""
    layout = load.profile.exports["module_layout"]
    ok, log, forced = load.pure("check_version")("module_layout", layout.crc, load.kernel.importer(load))
    load.kernel.print_records(log)
    if forced:
        load.kernel.try_to_force_load(load, "module_layout")
    if not ok:
        raise KernelError(ENOEXEC)
