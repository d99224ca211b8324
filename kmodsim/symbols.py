# SPDX-License-Identifier: GPL-2.0-only
"""Symbols: who may use which export, and the kallsyms of modules.

Models ``kernel/module/main.c`` (find_symbol, resolve_symbol) and ``kernel/module/kallsyms.c``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .records import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHN_ABS,
    SHN_LORESERVE,
    SHN_UNDEF,
    SHT_NOBITS,
    STB_WEAK,
    STT_OBJECT,
    Bytes,
    Records,
    text,
)

EINVAL = 22
KSYM_NAME_LEN = 512  # include/linux/kallsyms.h


class Importer(NamedTuple):
    """What the module that asks for a symbol brings along.

    ``versions`` maps symbol name to CRC and is None when there is no ``__versions`` section (a forced load).
    """

    name: str
    proprietary: bool
    using_gplonly_symbols: bool
    versions: Mapping[str, int] | None
    namespaces: Sequence[str]
    info_name: str


class Resolution(NamedTuple):
    """``export`` is None when nothing usable was found; ``errno`` 0 then means "not found", else why it is
    refused."""

    export: Any
    errno: int = 0
    log: tuple[str, ...] = ()
    using_gplonly_symbols: bool = False
    inherit_taint: bool = False
    force: bool = False


def find_symbol(name: str, gplok: bool, vmlinux: Mapping[str, Any], modules: Mapping[str, Any]) -> Any | None:
    """The export called ``name``: the kernel's own first, then modules'; GPL-only ones only when ``gplok``.

    Models ``kernel/module/main.c:find_symbol``.
    """
    for exports in (vmlinux, modules):
        export = exports.get(name)
        if export is not None and (gplok or not export.gpl):
            return export
    return None


def check_version(name: str, crc: int | None, importer: Importer) -> tuple[bool, tuple[str, ...], bool]:
    """(acceptable, log records, forced) for the CRC the importer was built with.

    Models ``kernel/module/version.c:check_version``.
    """
    if crc is None:
        return True, (), False
    if importer.versions is None:
        return True, (), True
    if name not in importer.versions:
        return False, (f"<4>{importer.info_name}: no symbol version for {name}",), False
    if importer.versions[name] != crc:
        return False, (f"<4>{importer.info_name}: disagrees about version of symbol {name}",), False
    return True, (), False


def resolve_symbol(
    name: str, importer: Importer, vmlinux: Mapping[str, Any], modules: Mapping[str, Any],
    uses: str = "uses symbols {name} from proprietary module {owner}",
) -> Resolution:
    """Find ``name`` and judge licence, inherited taint, CRC and namespace, in the kernel's order.

    Models ``kernel/module/main.c:resolve_symbol`` up to taking the reference. ``errno`` is 0 or EINVAL.
    """
    export = find_symbol(name, not importer.proprietary, vmlinux, modules)
    if export is None:
        return Resolution(None)
    gpl = importer.using_gplonly_symbols or export.gpl
    owner = getattr(export, "owner", None)
    inherit = False
    log: tuple[str, ...] = ()
    if owner is not None and "P" in owner.taints:
        uses = uses.format(name=name, owner=owner.name)
        if gpl:
            said = f"<3>{importer.name}: module using GPL-only symbols {uses}."
            return Resolution(None, 0, (said,), gpl)
        if not importer.proprietary:
            inherit, log = True, (f"<4>{importer.name}: module {uses}, inheriting taint.",)
    ok, words, force = check_version(name, export.crc, importer)
    if not ok:
        return Resolution(None, EINVAL, log + words, gpl, inherit)
    if export.namespace and export.namespace not in importer.namespaces:
        where = f"symbol ({name}) from namespace {export.namespace}"
        said = f"<3>{importer.name}: module uses {where}, but does not import it."
        return Resolution(None, EINVAL, (*log, said), gpl, inherit, force)
    return Resolution(export, 0, log, gpl, inherit, force)


def elf_type(bind: int, type_: int, shndx: int, sections: Sequence[Any], percpu: int) -> str:
    """The letter ``nm`` would show, as kallsyms keeps it (``kernel/module/kallsyms.c:elf_type``)."""
    if bind == STB_WEAK:
        return "v" if type_ == STT_OBJECT else "w"
    if shndx == SHN_UNDEF:
        return "U"
    if shndx in (SHN_ABS, percpu):
        return "a"
    if shndx >= SHN_LORESERVE or shndx >= len(sections):
        return "?"
    section = sections[shndx]
    if section.flags & SHF_EXECINSTR:
        return "t"
    if section.flags & SHF_ALLOC and section.type != SHT_NOBITS:
        return "d" if section.flags & SHF_WRITE else "r"
    if section.type == SHT_NOBITS:
        return "b"
    return "n" if section.name.startswith(".debug") else "?"


@dataclass(eq=False)
class Kallsyms:
    """One ``struct mod_kallsyms``: symbol records, their strings and type letters, as they lie in memory."""

    records: Records
    strings: Bytes
    types: Bytes

    def names(self, numbers: Sequence[int] | None = None) -> list[str]:
        """The names of all symbols in table order, or of those with these numbers."""
        strings = self.strings.tobytes()
        offsets = self.records["st_name"] if numbers is None else self.records["st_name"][numbers]
        return [text(_string_at(strings, offset)) for offset in offsets.tolist()]


def _string_at(strings: bytes, offset: int) -> bytes:
    """At most KSYM_NAME_LEN - 1 bytes (``kernel/module/kallsyms.c:module_get_kallsym``)."""
    return strings[offset : offset + KSYM_NAME_LEN - 1].split(b"\0", 1)[0]


@dataclass(eq=False)
class ModuleSymbols:
    """A module's kallsyms: the full table while init runs, the core's afterwards."""

    current: Kallsyms
    core: Kallsyms

    def rows(self, exported: Mapping[str, int]) -> list[tuple[int, str, str]]:
        """(address, letter, name) as /proc/kallsyms lists them: all that have a name; capital when exported.

        Only ``mod->syms`` counts as exported (``is_exported``): a GPL-only export keeps its small letter.

        Models ``kernel/module/kallsyms.c:module_get_kallsym`` and ``kernel/kallsyms.c:s_show``.
        """
        rows = []
        table = self.current
        for record, letter, name in zip(
            table.records.tolist(), table.types.tolist(), table.names(), strict=True
        ):
            if not name:
                continue
            address = int(record[4])
            shown = chr(letter)
            shown = shown.upper() if exported.get(name) == address else shown.lower()
            rows.append((address, shown, name))
        return rows

    def at(self, address: int) -> list[str]:
        """Names of the symbols whose value is exactly ``address``, in table order."""
        table = self.current
        hits = np.flatnonzero(table.records["st_value"] == np.uint64(address))
        return table.names([i for i in hits.tolist() if table.records["st_shndx"][i]])
