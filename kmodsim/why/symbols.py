# SPDX-License-Identifier: GPL-2.0-only
"""Which symbol is refused, and why: read from the kernel's lines, explained from what it knows.

``kernel/module/main.c:simplify_symbols`` goes on after a bad symbol, so one load names them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import EBUSY, EINVAL, ENOENT, ENOEXEC
from ..loader.modinfo import GPL_COMPATIBLE
from ..profile import Export
from ..symbols import Resolution, find_symbol

UNKNOWN = re.compile(r"^.*?: Unknown symbol (?P<symbol>.*) \(err -(?P<errno>\d+)\)$", re.DOTALL)
COMMON = re.compile(r"please compile with -fno-common")
INDEX = re.compile(r"Symbol (?P<symbol>.*) has an invalid section index", re.DOTALL)
REBUILD = "Build it against the headers of the kernel that is to load it."


class SymbolTrouble(NamedTuple):
    """One refused symbol: ``key`` of its row, errno, its lines of the log, facts for the words."""

    key: str
    errno: int
    log: tuple[str, ...]
    facts: dict[str, str]


def symbol_troubles(load: Any, records: Sequence[str], exporters: Callable[[str], Sequence[str]]
                    ) -> Iterator[SymbolTrouble]:  # fmt: skip
    """One for each line about a symbol. ``records``: the call's log; ``exporters``: modules by symbol."""
    before: list[str] = []
    for record in records:
        text = record[3:]
        unknown, index = UNKNOWN.match(text), INDEX.search(text)
        if COMMON.search(text):
            yield SymbolTrouble("symbol-common", ENOEXEC, (record,), {})
        elif index:
            yield SymbolTrouble("symbol-index", ENOEXEC, (record,), index.groupdict())
        elif unknown:
            name, errno = unknown["symbol"], int(unknown["errno"])
            own = (line for line in before if name in line or "gave up waiting" in line)
            key, facts = _explain(load, name, errno, exporters)
            yield SymbolTrouble(key, errno, (*own, record), {"symbol": name, **facts})
            before = []
        else:
            before.append(record)


def _explain(load: Any, name: str, errno: int, exporters: Callable[[str], Sequence[str]]
             ) -> tuple[str, dict[str, str]]:  # fmt: skip
    """The row and its facts for a symbol that the kernel answered with ``errno``."""
    kernel, importer = load.kernel, load.kernel.importer(load)
    export = find_symbol(name, True, kernel.vmlinux, kernel.exports)
    if export is None:
        return "symbol-missing", _where(load, name, exporters(name))
    owner = getattr(export.owner, "name", None) or "the kernel"
    if errno == EINVAL:
        return _mismatch(name, export, importer, owner)
    if errno == EBUSY or (errno == ENOENT and getattr(export.owner, "state", "LIVE") != "LIVE"):
        return "symbol-provider-busy", {"owner": owner}
    licence = load.get_modinfo("license") or "unspecified"
    if licence in GPL_COMPATIBLE:  # so it is the company it keeps
        return "symbol-proprietary", {"owner": owner}
    return "symbol-gpl-only", {"licence": licence, "owner": owner}


def _mismatch(name: str, export: Any, importer: Any, owner: str) -> tuple[str, dict[str, str]]:
    versions = importer.versions
    if export.crc is not None and versions is not None and name not in versions:
        return "symbol-not-listed", {"owner": owner}
    if export.crc is not None and versions is not None and versions[name] != export.crc:
        remedy = REBUILD if owner == "the kernel" else f"Build it and {owner} against the same headers."
        crcs = {"mine": f"{versions[name]:#010x}", "kernels": f"{export.crc:#010x}"}
        return "symbol-version", {"owner": owner, "remedy": remedy, **crcs}
    return "symbol-namespace", {"owner": owner, "namespace": export.namespace or ""}


def _where(load: Any, name: str, modules: Sequence[str]) -> dict[str, str]:
    """Who could give a missing symbol, and what to do."""
    if modules:
        which = " or ".join(modules)
        return {"where": f"{which} would, but is not loaded", "modules": " ".join(modules),
                "remedy": f"Load {which} first (modprobe does)."}  # fmt: skip
    if load.profile.kallsyms.address_of(name) is not None:
        return {"where": "the kernel has it, for itself alone", "modules": "",
                "remedy": "Use what the kernel exports; private symbols are closed to modules."}  # fmt: skip
    return {"where": "neither the kernel nor a known module has it", "modules": "",
            "remedy": f"Look for a typing error, or for what replaced {name} in this release."}  # fmt: skip


def passing(refused: set[str], address: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A ``resolve_symbol`` that gives the ``refused`` symbols all the same: the export, or ``address``."""

    def make(real: Callable[..., Any]) -> Callable[..., Any]:
        def resolve(name: str, importer: Any, vmlinux: Any, modules: Any) -> Resolution:
            if name not in refused:
                found: Resolution = real(name, importer, vmlinux, modules)
                return found
            export = find_symbol(name, True, vmlinux, modules)
            return Resolution(export or Export(name, address, None, False, None))

        return resolve

    return make
