# SPDX-License-Identifier: GPL-2.0-only
"""From symbols to an order in which modules can be loaded (kmod 30 ``tools/depmod.c:depmod_load``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...errors import KernelError, WouldWait
from ..modprobe.log import ERR, WARNING, Log, decode
from .objectfile import Facts
from .search import Module

OVERFULL = "../tools/depmod.c:1851: depmod_report_cycles_from_root: Assertion `is < stack_size' failed."
MOST_STEPS = 200_000  # of the search for cycles, which follows every path


class Symbol(NamedTuple):
    """Who exports it: a module's index, or None for the kernel itself; and its CRC."""

    owner: int | None
    crc: int


Symbols = dict[bytes, Symbol]


class Cyclic(Exception):
    """Modules need each other in a circle: nothing is written."""


def plain(name: bytes, prefix: bytes) -> bytes:
    """The name under which a needed symbol is looked up: without PowerPC's dot, then without the letter of -P
    (``depmod_symbol_find``)."""
    return name.removeprefix(b".").removeprefix(prefix)


def exported(facts: Sequence[Facts], kernel: Symbols, prefix: bytes) -> Symbols:
    """All symbols; of several modules that export one the last counts, and any counts more than the
    kernel."""
    symbols = dict(kernel)
    for owner, module in enumerate(facts):
        crcs = module.export_crcs or [0] * len(module.exports)
        for name, crc in zip(module.exports, crcs, strict=True):
            if name:
                symbols[name.removeprefix(prefix)] = Symbol(owner, crc)
    return symbols


def direct(
    facts: Sequence[Facts], symbols: Symbols, prefix: bytes,
    use: Callable[[int, bytes, int], object] | None = None,
) -> list[list[int]]:  # fmt: skip
    """For each module the owners of what it needs, in the order in which they are met. ``use`` is told the
    first symbol for which one is needed: (module, name, owner)."""
    owners = {name: symbol.owner for name, symbol in symbols.items() if symbol.owner is not None}
    needs = []
    for number, module in enumerate(facts):
        names = module.needs
        if prefix or b"\0." in b"\0" + b"\0".join(names):
            names = [plain(name, prefix) for name in names]
        met = dict.fromkeys(map(owners.get, names))
        met.pop(None, None)
        needs.append([owner for owner in met if owner is not None])
        if use is not None:
            for owner in needs[-1]:
                name = next(name for name in names if owners.get(name) == owner)
                use(number, name, owner)
    return needs


def complain(
    modules: Sequence[Module], facts: Sequence[Facts], symbols: Symbols, prefix: bytes, versions: bool,
    log: Log,
) -> None:  # fmt: skip
    """-e: name what nobody exports, and with -E whose CRC is another one. Weak symbols may be missing."""
    for module, found in zip(modules, facts, strict=True):
        for number, name in enumerate(found.needs):
            if number in found.weak:
                continue
            symbol = symbols.get(plain(name, prefix))
            if symbol is None:
                log.tool(WARNING, f"{decode(module.path)} needs unknown symbol {decode(name)}")
            elif versions and symbol.crc != found.need_crcs[number]:
                log.tool(WARNING, f"{decode(module.path)} disagrees about version of symbol {decode(name)}")


# -- the order


def positions(needs: Sequence[Sequence[int]]) -> tuple[list[int | None], list[int]]:
    """(place of each module when those without users come first, users left of each). A module in a circle,
    and what it needs, gets no place (``depmod_calculate_dependencies``)."""
    users = [0] * len(needs)
    for owners in needs:
        for owner in owners:
            users[owner] += 1
    free = [number for number, count in enumerate(users) if not count]
    places: list[int | None] = [None] * len(needs)
    count = 0
    while free:
        number = free.pop()
        places[number] = count
        count += 1
        for owner in needs[number]:
            users[owner] -= 1
            if not users[owner]:
                free.append(owner)
    return places, users


def all_needs(modules: Sequence[Module], needs: Sequence[Sequence[int]], log: Log) -> list[list[int]]:
    """For each module all that it pulls in: users before what they use. ``Cyclic`` after saying so."""
    places, users = positions(needs)
    if None in places:
        report_cycles([decode(module.name) for module in modules], needs, users, log)
        raise Cyclic
    ranks: dict[int, int] = {number: place for number, place in enumerate(places) if place is not None}
    closure: list[frozenset[int]] = [frozenset()] * len(needs)
    for number in sorted(ranks, key=ranks.__getitem__, reverse=True):
        if needs[number]:
            closure[number] = frozenset(needs[number]).union(*(closure[owner] for owner in needs[number]))
    return [sorted(found, key=ranks.__getitem__) for found in closure]


# -- circles


class _Vertex(NamedTuple):
    module: int
    parent: _Vertex | None
    depth: int  # of the stack when it was pushed


def report_cycles(
    names: Sequence[str], needs: Sequence[Sequence[int]], users: Sequence[int], log: Log
) -> None:
    """Name circles as kmod does: from every module that is left it follows each path until it is back
    (``depmod_report_cycles``)."""
    roots = [number for number, count in enumerate(users) if count]
    room = len(roots)  # of kmod's stack
    visited: set[int] = set()
    in_circles: set[str] = set()
    while roots:
        _from_root(roots.pop(0), roots, room, names, needs, visited, in_circles, log)
    log.tool(ERR, f"Found {len(in_circles)} modules in dependency cycles!")


def _from_root(
    root: int, roots: list[int], room: int, names: Sequence[str], needs: Sequence[Sequence[int]],
    visited: set[int], in_circles: set[str], log: Log,
) -> None:  # fmt: skip
    stack = [_Vertex(root, None, 0)]
    for _ in range(MOST_STEPS):
        if not stack:
            return
        vertex = stack.pop()
        if vertex.module in visited and vertex.module == root:
            _one_circle(vertex, roots, names, in_circles, log)
            continue
        visited.add(vertex.module)
        if not needs[vertex.module]:
            _remove(roots, vertex.module)
            continue
        if _goes_round(vertex):
            break
        for owner in needs[vertex.module]:
            if len(stack) >= room:
                raise KernelError(None, stage="libkmod", why=OVERFULL)
            stack.append(_Vertex(owner, vertex, len(stack)))
    raise WouldWait("circles of modules touch: kmod 30 goes round in one", stage="depmod_report_cycles")


def _goes_round(vertex: _Vertex) -> bool:
    """The same module was met on the way here, with as much on the stack: all will come again."""
    above = vertex.parent
    while above is not None:
        if above.module == vertex.module:
            return above.depth == vertex.depth
        above = above.parent
    return False


def _one_circle(vertex: _Vertex, roots: list[int], names: Sequence[str], found: set[str], log: Log) -> None:
    way = [vertex.module]
    above = vertex.parent
    while above is not None:
        way.append(above.module)
        found.add(names[above.module])
        _remove(roots, above.module)
        above = above.parent
    # a root that an earlier walk came through is named alone, though it is in no circle
    log.tool(ERR, f"Cycle detected: {' -> '.join(names[number] for number in reversed(way))}")


def _remove(roots: list[int], number: int) -> None:
    """Take one out of kmod's ring; what followed it is the first now (``kmod_list_remove_data``)."""
    if number in roots:
        at = roots.index(number)
        roots[:] = roots[at + 1 :] + roots[:at]
