# SPDX-License-Identifier: GPL-2.0-only
"""The index of all modules of the default profile's package, as a mapping from name to a small record.

With it notebooks and planner know every distribution module's dependencies, aliases and symbols on a machine
that has none of them. Made by ``kmodsim.indexbuild``.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

INDEX_FILE = Path(__file__).parent / "data" / "index" / "debian-6.1-amd64.json.xz"


class IndexedExport(NamedTuple):
    """One exported symbol: its licence class and namespace (None: none)."""

    name: str
    gpl: bool
    namespace: str | None


@dataclass(frozen=True, slots=True)
class IndexedModule:
    """What .modinfo, the symbol table and the section headers of one module say.

    ``name`` is the kernel's (underscores), ``path`` is below lib/modules/RELEASE, ``size`` the file's bytes,
    ``depends`` the names that .modinfo lists, in its order and spelling (a hyphen there is an underscore in
    the name); ``parameters`` are "name:type"; ``percpu`` is the size of the per-CPU section in bytes;
    ``relocations`` counts the entries of all .rela sections; ``has_init`` and ``has_exit``: struct module
    points to them.
    """

    name: str
    path: str
    size: int
    license: str
    description: str
    version: str
    depends: tuple[str, ...]
    softdeps: tuple[str, ...]
    aliases: tuple[str, ...]
    firmware: tuple[str, ...]
    import_ns: tuple[str, ...]
    parameters: tuple[str, ...]
    staging: bool
    sections: int
    symbols: int
    relocations: int
    percpu: int
    has_init: bool
    has_exit: bool
    imports: tuple[str, ...]
    exports: tuple[IndexedExport, ...]


class ModuleIndex(Mapping[str, IndexedModule]):
    """Name -> IndexedModule, sorted by name; ``-`` and ``_`` are the same. Records are made when asked."""

    def __init__(self, packed: bytes) -> None:
        document = json.loads(lzma.decompress(packed))
        self.release: str = document["release"]
        self._names: list[str] = document["names"]
        self._columns: dict[str, list[Any]] = document["modules"]
        self._row = {name: i for i, name in enumerate(self._columns["name"])}
        self._made: dict[str, IndexedModule] = {}

    def __len__(self) -> int:
        return len(self._row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __getitem__(self, name: str) -> IndexedModule:
        name = name.replace("-", "_")
        if name not in self._made:
            self._made[name] = self._make(self._row[name])
        return self._made[name]

    def _make(self, row: int) -> IndexedModule:
        values = {key: column[row] for key, column in self._columns.items()}
        gpl, namespaces = values.pop("exports_gpl"), values.pop("exports_namespace")
        names = self._named(values.pop("exports"))
        imports = self._named(values.pop("imports"))
        exports = tuple(
            IndexedExport(name, gpl[i] == "1", namespaces.get(str(i))) for i, name in enumerate(names)
        )
        rest: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return IndexedModule(**rest, imports=imports, exports=exports)

    def _named(self, deltas: list[int]) -> tuple[str, ...]:
        return tuple(self._names[i] for i in accumulate(deltas))

    @cached_property
    def exporters(self) -> dict[str, tuple[str, ...]]:
        """Symbol -> names of the modules that export it (seldom more than one), as in Module.symvers."""
        result: dict[str, tuple[str, ...]] = {}
        for name, deltas in zip(self._row, self._columns["exports"], strict=True):
            for symbol in self._named(deltas):
                result[symbol] = (*result.get(symbol, ()), name)
        return result

    def dependencies(self, name: str) -> tuple[str, ...]:
        """What has to be loaded before ``name``, in an order that works. KeyError for unknown names."""
        order: dict[str, None] = {}
        stack = [(self[name].name, False)]
        while stack:
            current, ready = stack.pop()
            if ready:
                order[current] = None
            elif current not in order:
                stack.append((current, True))
                needs = (self[needed].name for needed in reversed(self[current].depends))
                stack.extend((needed, False) for needed in needs if needed not in order)
        return tuple(order)[:-1]


@cache
def load_index() -> ModuleIndex:
    """The index that comes with the package."""
    return ModuleIndex(INDEX_FILE.read_bytes())
