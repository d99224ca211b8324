# SPDX-License-Identifier: GPL-2.0-only
"""Which module needs which, of a whole tree, as data to be asked.

    graph = from_index()                  the distribution's 4,023 modules, from the index that comes along
    graph = from_folder("…/lib/modules/6.1.0-56-amd64")    any tree, as depmod reads it
    graph.pulls_in("btrfs")               all that has to be loaded before it, in an order that works
    graph.used_by("crc16")                who needs it directly; everywhere=True: at any distance
    graph.chain("snd_hda_intel", "soundcore")   the shortest way from one to the other
    graph.symbols("btrfs", "raid6_pq")    the symbols that one takes from the other

A module needs another when it takes a symbol from it (kmod 30 ``tools/depmod.c``); ``depends=`` in .modinfo
says the same (``scripts/mod/modpost.c``). Drawings are in ``kmodsim.views.dependency_tree``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .moduleindex import ModuleIndex
    from .userland.depmod import Tree


@dataclass(frozen=True)
class DependencyGraph:
    """Names are the kernel's, with underscores; a name asked for may have dashes. ``KeyError`` for others.

    ``direct``: module -> those it takes symbols from. ``imports``: module -> symbols that it takes.
    ``exporters``: symbol -> the modules that export it. ``folders``: module -> where its file lies, such as
    ``kernel/fs/btrfs``.
    """

    direct: Mapping[str, tuple[str, ...]]
    imports: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    exporters: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    folders: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.direct)

    def __contains__(self, name: str) -> bool:
        return name.replace("-", "_") in self.direct

    def name(self, word: str) -> str:
        """The name as it is here; ``KeyError`` when there is no such module."""
        name = word.replace("-", "_")
        if name not in self.direct:
            raise KeyError(f"no module {word!r} in this graph of {len(self):,}")
        return name

    @property
    def edges(self) -> int:
        return sum(map(len, self.direct.values()))

    # -- questions

    def pulls_in(self, name: str) -> tuple[str, ...]:
        """All that ``name`` needs at any distance: what is needed stands before who needs it, in the order in
        which modprobe loads them when the graph is depmod's (``from_folder``)."""
        name = self.name(name)
        found = _reached([name], self.direct) - {name}
        return tuple(sorted(found, key=lambda other: (-self._places[other], other)))

    def used_by(self, name: str, everywhere: bool = False) -> tuple[str, ...]:
        """Who needs ``name``, sorted by name: directly, or at any distance."""
        name = self.name(name)
        found = _reached([name], self.users) - {name} if everywhere else self.users[name]
        return tuple(sorted(found))

    def chain(self, start: str, end: str) -> tuple[str, ...]:
        """The shortest way from a module to one that it needs, both ends included; empty when there is none.
        Of ways of one length the first by what ``direct`` lists first."""
        start, end = self.name(start), self.name(end)
        came_from: dict[str, str] = {start: ""}
        edge = [start]
        while edge and end not in came_from:
            fresh = [(other, name) for name in edge for other in self.direct[name] if other not in came_from]
            for other, name in fresh:
                came_from.setdefault(other, name)
            edge = list(dict.fromkeys(other for other, _ in fresh))
        if end not in came_from:
            return ()
        way = [end]
        while came_from[way[-1]]:
            way.append(came_from[way[-1]])
        return tuple(reversed(way))

    def symbols(self, user: str, owner: str) -> tuple[str, ...]:
        """The symbols that ``user`` takes from ``owner``, sorted; empty when it takes none."""
        user, owner = self.name(user), self.name(owner)
        if owner not in self.direct[user]:
            return ()
        return tuple(sorted(s for s in self.imports.get(user, ()) if owner in self.exporters.get(s, ())))

    @cached_property
    def users(self) -> Mapping[str, tuple[str, ...]]:
        """module -> those that need it directly."""
        found: dict[str, list[str]] = {name: [] for name in self.direct}
        for name, others in self.direct.items():
            for other in others:
                found[other].append(name)
        return {name: tuple(others) for name, others in found.items()}

    @cached_property
    def depths(self) -> Mapping[str, int]:
        """module -> how many loads have to come one after the other before its own: 0 for one that needs
        nothing. In a circle, which no kernel's build leaves, -1."""
        depths: dict[str, int] = dict.fromkeys(self.direct, -1)
        missing = {name: len(others) for name, others in self.direct.items()}
        ready = [name for name, count in missing.items() if not count]
        depth = 0
        while ready:
            depths.update(dict.fromkeys(ready, depth))
            following = []
            for name in ready:
                for user in self.users[name]:
                    missing[user] -= 1
                    if not missing[user]:
                        following.append(user)
            ready, depth = following, depth + 1
        return depths

    @cached_property
    def _places(self) -> Mapping[str, int]:
        """A place in depmod's order for each: who needs something comes before it."""
        from .userland.depmod.dependencies import positions

        numbers = {name: number for number, name in enumerate(self.direct)}
        places, _ = positions([[numbers[other] for other in others] for others in self.direct.values()])
        return {
            name: len(numbers) if place is None else place
            for name, place in zip(self.direct, places, strict=True)
        }

    def around(self, name: str, above: int = 1, below: int = 1) -> DependencyGraph:
        """The part of the graph near one module: its users up to ``above`` steps away, what it needs up to
        ``below`` steps."""
        name = self.name(name)
        near = _reached([name], self.users, above) | _reached([name], self.direct, below)
        direct = {
            other: tuple(n for n in needs if n in near)
            for other, needs in self.direct.items()
            if other in near
        }
        return DependencyGraph(direct, self.imports, self.exporters, self.folders)


def _reached(start: Iterable[str], ways: Mapping[str, Sequence[str]], steps: int = -1) -> set[str]:
    """Everything on the ways from ``start``, which is among it; at most so many steps away (-1: all)."""
    found = set(start)
    edge = set(found)
    while edge and steps:
        edge = {other for name in edge for other in ways[name]} - found
        found |= edge
        steps -= 1
    return found


def from_index(index: ModuleIndex | None = None) -> DependencyGraph:
    """The graph of the index that comes with the package (or of another one): no tree is needed."""
    if index is None:
        from . import corpus

        index = corpus.index()
    modules = [index[name] for name in index]
    return DependencyGraph(
        {module.name: tuple(index[other].name for other in module.depends) for module in modules},
        {module.name: module.imports for module in modules},
        index.exporters,
        {module.name: module.path.rpartition("/")[0] for module in modules},
    )


def from_tree(tree: Tree) -> DependencyGraph:
    """The graph of what depmod has found out (``kmodsim.userland.depmod.read_tree``)."""
    from .userland.depmod.dependencies import direct
    from .userland.modprobe.log import decode

    names = [decode(module.name) for module in tree.modules]
    needs = direct(tree.facts, tree.symbols, b"")
    return DependencyGraph(
        {name: tuple(names[owner] for owner in owners) for name, owners in zip(names, needs, strict=True)},
        {name: tuple(map(decode, facts.needs)) for name, facts in zip(names, tree.facts, strict=True)},
        {
            decode(symbol): (names[found.owner],)
            for symbol, found in tree.symbols.items()
            if found.owner is not None
        },
        {
            name: decode(module.shown).rpartition("/")[0]
            for name, module in zip(names, tree.modules, strict=True)
        },
    )


def from_folder(folder: str | os.PathLike[str]) -> DependencyGraph:
    """The graph of a folder of modules, read as depmod reads it. ``KernelError`` as ``read_tree``."""
    from .userland.depmod import read_tree

    return from_tree(read_tree(folder))
