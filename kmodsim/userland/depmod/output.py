# SPDX-License-Identifier: GPL-2.0-only
"""The files that depmod writes, as bytes (kmod 30 ``tools/depmod.c:depmod_output``).

``FILES`` has them in their order. Those of the kernel's built-in modules are made of two files that the
kernel's build leaves in the folder of modules. ``modules.weakdep`` came with kmod 33: this one has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ..index_write import Item, index_bytes
from ..modprobe.log import ERR, WARNING, Log, decode
from . import builtin
from .dependencies import Symbols
from .hashing import SYMBOL_BUCKETS, in_hash_order
from .objectfile import Facts
from .search import Module

LONGEST_ALIAS = 4095  # PATH_MAX less the final zero
# sscanf(3): a number may have blanks and a sign before it
NODE = re.compile(rb"(char|block)-major-[ \t\n\v\f\r]*([+-]?[0-9]+)-[ \t\n\v\f\r]*([+-]?[0-9]+)")
DEVNAME = b"devname:"


@dataclass
class Tree:
    """All that is known when the files are written; ``needs`` are complete and in their order."""

    dirname: bytes
    modules: list[Module]
    facts: list[Facts]
    symbols: Symbols
    needs: list[list[int]]
    log: Log
    warn_duplicates: bool = False

    @cached_property
    def dep_lines(self) -> list[bytes]:
        """``path: path of what has to be loaded before …``, one a module."""
        shown = [module.shown for module in self.modules]
        return [
            b" ".join([path + b":", *(shown[owner] for owner in needs)])
            for path, needs in zip(shown, self.needs, strict=True)
        ]

    @cached_property
    def symbol_lines(self) -> list[tuple[bytes, int]]:
        """(symbol, its owner), in the order of kmod's hash table."""
        owners = {name: symbol.owner for name, symbol in self.symbols.items() if symbol.owner is not None}
        return [(name, owners[name]) for name in in_hash_order(owners, SYMBOL_BUCKETS)]

    def info(self, key: bytes) -> Iterator[tuple[Module, bytes]]:
        for module, facts in zip(self.modules, self.facts, strict=True):
            for found, value in facts.info:
                if found == key:
                    yield module, value


def normalized(alias: bytes) -> bytes | None:
    """Dashes as underscores but not inside ``[…]``, at most 4,095 bytes; None for brackets that do not fit
    (``alias_normalize``)."""
    if b"[" not in alias and b"]" not in alias:
        return alias[:LONGEST_ALIAS].replace(b"-", b"_")
    parts, at = [], 0
    while at < min(len(alias), LONGEST_ALIAS):
        opening = alias.find(b"[", at)
        end = min(len(alias) if opening < 0 else opening, LONGEST_ALIAS)
        if b"]" in alias[at:end]:
            return None
        parts.append(alias[at:end].replace(b"-", b"_"))
        if opening < 0 or opening >= LONGEST_ALIAS:
            break
        closing = alias.find(b"]", opening)
        if closing < 0:
            return None
        parts.append(alias[opening : closing + 1])
        at = closing + 1
    return b"".join(parts)


# -- texts


def _dep(tree: Tree) -> bytes:
    return b"".join(line + b"\n" for line in tree.dep_lines)


def _alias(tree: Tree) -> bytes:
    lines = [b"# Aliases extracted from modules themselves.\n"]
    lines += [b"alias %b %b\n" % (value, module.name) for module, value in tree.info(b"alias")]
    return b"".join(lines)


def _softdep(tree: Tree) -> bytes:
    lines = [b"# Soft dependencies extracted from modules themselves.\n"]
    lines += [b"softdep %b %b\n" % (module.name, value) for module, value in tree.info(b"softdep")]
    return b"".join(lines)


def _symbols(tree: Tree) -> bytes:
    names = [module.name for module in tree.modules]
    lines = [b"# Aliases for symbols, used by symbol_request().\n"]
    lines += [b"alias symbol:%b %b\n" % (name, names[owner]) for name, owner in tree.symbol_lines]
    return b"".join(lines)


def _devname(tree: Tree) -> bytes:
    lines = []
    for module, facts in zip(tree.modules, tree.facts, strict=True):
        name, node = _device(facts)
        if name is not None and node is not None:
            lines.append(b"%b %b %b\n" % (module.name, name, node))
        elif name is not None:
            text = f"Module '{decode(module.name)}' has devname ({decode(name)}) but lacks major and minor"
            tree.log.tool(ERR, f"{text} information. Ignoring.")
    first = [b"# Device nodes to trigger on-demand module loading.\n"] if lines else []
    return b"".join(first + lines)


def _device(facts: Facts) -> tuple[bytes | None, bytes | None]:
    """(path below /dev, ``c10:200``) of a module's aliases; the search ends when both are found."""
    name = node = None
    for key, value in facts.info:
        if key != b"alias":
            continue
        match = NODE.match(value)
        if value.startswith(DEVNAME):
            name = value[len(DEVNAME) :]
        elif match is not None:
            major, minor = (_unsigned(number) for number in match.groups()[1:])
            node = b"%b%d:%d" % (match[1][:1], major, minor)
        if name is not None and node is not None:
            break
    return name, node


def _unsigned(text: bytes) -> int:
    """A number as ``%u`` of sscanf(3) stores it: strtoul's, cut to 32 bits."""
    digits = text.lstrip(b"+-").lstrip(b"0")[:21] or b"0"
    value = min(int(digits), (1 << 64) - 1)
    return (-value if text[:1] == b"-" else value) & 0xFFFFFFFF


# -- indexes


def _dep_bin(tree: Tree) -> bytes:
    return index_bytes(
        (module.name, line, module.index) for module, line in zip(tree.modules, tree.dep_lines, strict=True)
    )


def _alias_bin(tree: Tree) -> bytes:
    return index_bytes(_alias_items(tree))


def _alias_items(tree: Tree) -> Iterator[Item]:
    met: set[tuple[bytes, bytes]] = set()
    for module, value in tree.info(b"alias"):
        key = normalized(value)
        if key is None:
            tree.log.tool(WARNING, f"Unmatched bracket in {decode(value)}")
            continue
        if tree.warn_duplicates:
            if (key, module.name) in met:
                text = f"{decode(key)} {decode(module.name)}"
                tree.log.tool(WARNING, f"duplicate module alias:\n{text}")
            met.add((key, module.name))
        yield key, module.name, module.index


def _symbols_bin(tree: Tree) -> bytes:
    names = [module.name for module in tree.modules]
    return index_bytes((b"symbol:" + name, names[owner], owner) for name, owner in tree.symbol_lines)


def _builtin_bin(tree: Tree) -> bytes:
    return builtin.names_index(tree.dirname, tree.log)


def _builtin_alias_bin(tree: Tree) -> bytes:
    return builtin.alias_index(tree.dirname, tree.log)


FILES: dict[str, Callable[[Tree], bytes]] = {
    "modules.dep": _dep,
    "modules.dep.bin": _dep_bin,
    "modules.alias": _alias,
    "modules.alias.bin": _alias_bin,
    "modules.softdep": _softdep,
    "modules.symbols": _symbols,
    "modules.symbols.bin": _symbols_bin,
    "modules.builtin.bin": _builtin_bin,
    "modules.builtin.alias.bin": _builtin_alias_bin,
    "modules.devname": _devname,
}
TEXTS = tuple(name for name in FILES if not name.endswith(".bin"))

__all__ = ["FILES", "TEXTS", "Tree", "normalized"]
