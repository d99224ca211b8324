# SPDX-License-Identifier: GPL-2.0-only
"""The steps of a symbol's look-up as plain data: which tables are searched, what is asked about the find.

Models ``kernel/module/main.c``: find_symbol, resolve_symbol, inherit_taint, verify_namespace_is_imported,
ref_module, and ``kernel/module/version.c:check_version``, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ..symbols import Importer
from ..views.lookup import Question

Exports = Mapping[str, Any]
SEARCH = "find_exported_symbol_in_section"


class Table(NamedTuple):
    """A table of exports: whose it is, whether it is the GPL-only one, what it holds."""

    owner: str
    gpl: bool
    exports: Exports

    @property
    def words(self) -> str:
        return f"{self.owner}{'__ksymtab_gpl' if self.gpl else '__ksymtab'}"


def search_of(
    symbol: str, importer: Importer, vmlinux: Exports, modules: Sequence[tuple[str, str, Exports]]
) -> Iterator[tuple[Question, Any]]:
    """Every table in the order of find_symbol, with the export where it is the one that is taken.

    ``modules``: (name, state, exports) in the order of the kernel's list.
    """
    taken = False
    for name, state, exports in [("", "", vmlinux), *modules]:
        if state == "UNFORMED":
            yield Question("find_symbol", f"{name} itself", state, _asked(taken, "passed over")), None
            continue
        owner = f"{name}: " if name else "the kernel's "
        for table in (Table(owner, False, exports), Table(owner, True, exports)):
            found = None if taken else _found(symbol, importer, table)
            taken = taken or found is not None
            yield _searched(table, importer, found, taken), found


def _found(symbol: str, importer: Importer, table: Table) -> Any:
    export = table.exports.get(symbol)
    hidden = table.gpl and importer.proprietary
    return None if export is None or hidden or export.gpl != table.gpl else export


def _searched(table: Table, importer: Importer, found: Any, taken: bool) -> Question:
    """What the search of one table gave."""
    if found is not None:
        return Question(SEARCH, table.words, f"{found.address:#x}", "yes")
    if table.gpl and importer.proprietary:
        return Question(SEARCH, table.words, "GPL-only tables are not for it", _asked(taken, "passed over"))
    return Question(SEARCH, table.words, "", _asked(taken, "no"))


def _asked(taken: bool, state: str) -> str:
    return "not asked" if taken else state


def checks_of(symbol: str, importer: Importer, export: Any) -> Iterator[Question]:
    """What resolve_symbol asks about the export that was found."""
    refused = export is None
    for function, question, judge in _JUDGES:
        if refused:
            yield Question(function, question, "", "not asked")
            continue
        good, words = judge(symbol, importer, export)
        refused = not good
        yield Question(function, question, words, "yes" if good else "refused")


def _licence(symbol: str, importer: Importer, export: Any) -> tuple[bool, str]:
    return True, "GPL-only: remembered" if export.gpl else "for everybody"


def _taint(symbol: str, importer: Importer, export: Any) -> tuple[bool, str]:
    owner = getattr(export, "owner", None)
    if owner is None or "P" not in owner.taints:
        return True, f"{owner.name} is clean" if owner is not None else "the kernel is clean"
    if importer.using_gplonly_symbols or export.gpl:
        return False, f"{owner.name} is proprietary, GPL-only used"
    return True, f"taint P inherited from {owner.name}"


def _version(symbol: str, importer: Importer, export: Any) -> tuple[bool, str]:
    if export.crc is None:
        return True, "exported without a CRC"
    if importer.versions is None:
        return True, "no __versions: forced, taint F"
    mine = importer.versions.get(symbol)
    if mine is None:
        return False, f"not listed, exported {export.crc:#010x}"
    words = f"{mine:#010x} {'=' if mine == export.crc else '≠'} {export.crc:#010x}"
    return mine == export.crc, words


def _namespace(symbol: str, importer: Importer, export: Any) -> tuple[bool, str]:
    if not export.namespace:
        return True, "in no namespace"
    imported = export.namespace in importer.namespaces
    return imported, f"{export.namespace}: {'imported' if imported else 'not imported'}"


def _reference(symbol: str, importer: Importer, export: Any) -> tuple[bool, str]:
    owner = getattr(export, "owner", None)
    return True, "the kernel stays" if owner is None else f"{owner.name} is used by it now"


_JUDGES = (
    ("resolve_symbol", "is it for GPL modules only?", _licence),
    ("inherit_taint", "does a proprietary module export it?", _taint),
    ("check_version", "the same CRC?", _version),
    ("verify_namespace_is_imported", "is its namespace imported?", _namespace),
    ("ref_module", "a reference to the exporter", _reference),
)
