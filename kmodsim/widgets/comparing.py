# SPDX-License-Identifier: GPL-2.0-only
"""A module's memory as two loaders leave it at COMING: the kernel's, and one in which a function is yours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from ..arch.x86_64 import RELOCATION_TYPES
from ..corpus import sample
from ..kernel import Kernel
from ..loader.finalize import sort_extable
from ..loader.load import Load
from ..loader.relocate import Fault, Relocation, relocate_one
from ..memory import find_vmap_area
from ..module import Module
from ..modulefile import ModuleFile
from ..views.comparison import Field, Fixup, Region, Run, comparison, differing
from ..views.of_kernel import outcome
from ..views.view import View
from .attempt import providers
from .guessing import Guesses

Sections = dict[str, tuple[int, bytes]]
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Image:
    """What one loader made of a module: words for fields, and (address, bytes) of each section.

    ``fixups``: the relocation entries that were applied. ``relocated``: the sections as they were right after
    that, for a load that did not come to COMING. Made by ``image_of``, or by hand from a recording.
    """

    fields: dict[str, str]
    sections: Sections
    fixups: tuple[Relocation, ...] = field(default=(), repr=False)
    relocated: Sections = field(default_factory=dict, repr=False)


def image_of(name: str, functions: Functions | None = None) -> Image:
    """Load a sample (or a path) and take its memory when notifiers hear COMING: relocated and patched, before
    parameters and init. ``functions``: as ``Kernel(stages=…)``."""
    file = _file(name)
    sections: Sections = {}
    relocated: Sections = {}
    fields: dict[str, str] = {}

    def coming(state: str, module: Module) -> None:
        if state == "COMING" and module.name == file.name:
            fields.update(_sizes(module))
            sections.update(_sections(module))

    def after_relocation(load: Load) -> None:
        if load.module is not None and load.name == file.name:
            relocated.update(_sections(load.module))
        sort_extable(load)

    applied: list[Relocation] = []
    stages = {"sort_extable": after_relocation, **(functions or {})}
    kernel = Kernel(stages=_with_spy(stages, applied), cpu=None)
    for provider in providers(file):
        kernel.load(sample(provider), trace=False)
    applied.clear()
    kernel.register_module_notifier(coming)
    load = kernel.load(file.data, trace=False)
    return Image({"result": outcome(load.error), **fields}, sections, tuple(applied), relocated)


def _file(name: str) -> ModuleFile:
    return ModuleFile(sample(name) if "/" not in name else name)


def _sections(module: Module) -> Sections:
    return {s.name: (s.address, bytes(s.data)) for s in module.sections.all if s.size}


def _with_spy(functions: Functions, applied: list[Relocation]) -> dict[str, Callable[..., Any]]:
    """``functions``, with the relocation entries noted as they pass."""
    apply = functions.get("relocate_one", relocate_one)

    def relocate(relocation: Relocation, existing: bytes) -> Any:
        applied.append(relocation)
        return apply(relocation, existing)

    return {**functions, "relocate_one": relocate}


def _sizes(module: Module) -> dict[str, str]:
    return {f"{kind} {what}": f"{value:#x}" for kind, (base, size) in module.memories.items()
            for what, value in (("base", base), ("size", size))}  # fmt: skip


@lru_cache(maxsize=8)
def kernels(name: str) -> Image:
    """The kernel's own answer, as kmodsim models it."""
    return image_of(name)


@dataclass(frozen=True)
class Compared:
    """Two images of one module."""

    name: str
    mine: Image
    theirs: Image

    @property
    def when(self) -> str:
        """At which moment they are compared: where yours did not come to COMING, right after relocation."""
        return "at COMING" if self.mine.sections else "after apply_relocations"

    @cached_property
    def sections(self) -> tuple[Sections, Sections]:
        """Yours and the kernel's."""
        if self.mine.sections:
            return self.mine.sections, self.theirs.sections
        return self.mine.relocated, self.theirs.relocated

    @cached_property
    def fields(self) -> list[Field]:
        """The result, sizes, addresses of sections; those that only a finished load has only for such."""
        known, wanted = dict(self.mine.fields), dict(self.theirs.fields)
        if not self.mine.sections:
            known, wanted = ({"result": fields.get("result", "")} for fields in (known, wanted))
        for fields, sections in zip((known, wanted), self.sections, strict=True):
            fields.update({f"address of {name}": f"{address:#x}" for name, (address, _) in sections.items()})
        names = dict.fromkeys([*wanted, *known])
        return [Field(name, known.get(name, "nothing"), wanted.get(name, "nothing")) for name in names]

    @cached_property
    def runs(self) -> list[Run]:
        """The bytes that differ, up to 1,000 runs."""
        return differing(self.regions)

    @property
    def different(self) -> bool:
        return bool(self.runs) or any(field.mine != field.theirs for field in self.fields)

    @property
    def only_code(self) -> bool:
        return bool(self.runs) and all(".text" in run.region.name for run in self.runs)

    @cached_property
    def regions(self) -> list[Region]:
        """The sections that both have; the address of one that is missing is a field."""
        mine, theirs = self.sections
        return [Region(name, address, mine[name][1], data)
                for name, (address, data) in theirs.items() if name in mine]  # fmt: skip

    def view(self, chosen: int = 0) -> View:
        """The first difference in words, all of them marked, number ``chosen`` shown large."""
        title = f"{self.name}: yours and the kernel's, {self.when}"
        return comparison(self.fields, self.regions, self._fixups, title, chosen)

    @cached_property
    def _fixups(self) -> list[Fixup]:
        labels = self._labels()
        rows = ((entry, RELOCATION_TYPES[entry.type]) for entry in self.theirs.fixups)
        return [
            Fixup(row.name, row.formula, labels.get(entry.P, "?"), entry.S, entry.A, entry.P, row.size or 0)
            for entry, row in rows
        ]

    def _labels(self) -> dict[int, str]:
        """Address of a place -> the symbol that the file's entry names."""
        try:
            file = _file(self.name)
        except ValueError:
            return {}
        places = {name: address for name, (address, _) in self.sections[1].items()}
        return {places[r.section] + r.offset: r.symbol for r in file.relocations if r.section in places}


# --- mistakes that people make ------------------------------------------------------------------------------


def _without_p(relocation: Relocation, existing: bytes) -> bytes | Fault:
    return relocate_one(relocation._replace(P=0), existing)


def _without_addend(relocation: Relocation, existing: bytes) -> bytes | Fault:
    return relocate_one(relocation._replace(A=0), existing)


def _most_significant_first(relocation: Relocation, existing: bytes) -> bytes | Fault:
    stored = relocate_one(relocation, existing)
    return stored if isinstance(stored, Fault) else stored[::-1]


def _a_page_higher(holes: Any, size: int) -> int | None:
    found = find_vmap_area(holes, size)
    return found if found is None else found + 4096


GUESSES: Guesses = {
    "nothing differs": lambda compared: not compared.different,
    "the load does not come to its end": lambda compared: not compared.mine.sections,
    "a size or an address differs": lambda compared: any(f.mine != f.theirs for f in compared.fields[1:]),
    "only bytes of code differ": lambda compared: compared.only_code,
    "bytes of tables or data differ": lambda compared: not compared.only_code and bool(compared.runs),
}
MISTAKES: dict[str, dict[str, Callable[..., Any]]] = {
    "relocate_one: P is not subtracted": {"relocate_one": _without_p},
    "relocate_one: the addend is left out": {"relocate_one": _without_addend},
    "relocate_one: the most significant byte first": {"relocate_one": _most_significant_first},
    "find_vmap_area: one page too high": {"find_vmap_area": _a_page_higher},
    "patch_return: NOPs behind the return": {"patch_return": lambda place, thunk: b"\xc3\x90\x90\x90\x90"},
    "sort_orc: the tables stay as they are": {"sort_orc": lambda ips, rows: (list(ips), list(rows))},
    "core_symbols: all symbols stay": {"core_symbols": lambda symbols, *_: list(range(len(symbols)))},
    "nothing is wrong": {},
}


def compared(name: str, mistake: str = next(iter(MISTAKES))) -> Compared:
    """A module loaded with one mistake of ``MISTAKES``, beside the kernel's."""
    return Compared(name, image_of(name, MISTAKES[mistake]), kernels(name))
