# SPDX-License-Identifier: GPL-2.0-only
"""Writes the ``modules.*.bin`` files that ``index_read`` describes, byte for byte as depmod does (kmod 30
``tools/depmod.c:index_insert`` and ``index_write``).

kmod puts one key after the other into a trie and then writes it, children before their parent. Which trie
comes out depends on the keys alone, so here they are sorted first: then each node is complete when a key
comes that does not go through it, and is written at once. No trie is kept in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ..errors import NotModelled
from .index_read import HAS_CHILDREN, HAS_PREFIX, HAS_VALUES, HEADER, LONG, MAGIC, VERSION_MAJOR

VERSION_MINOR = 1
COUNT_AND_PRIORITY = struct.Struct(">2I")
Item = tuple[bytes, bytes, int]  # key, value, priority


def index_bytes(items: Iterable[Item]) -> bytes:
    """The file that holds ``items``, put in in this order: of two values of one key and one priority the
    later one stands first.

    A letter above 127 is taken as it is, but ``NotModelled`` where keys part at one: kmod's ``char`` is
    negative there, and it writes in front of the table of children, into other memory of its own.
    """
    values: dict[bytes, bytes | list[tuple[int, bytes]]] = {}
    for key, value, priority in items:
        found = values.get(key)
        if found is None:
            values[key] = COUNT_AND_PRIORITY.pack(1, priority) + value + b"\0"
        else:
            values[key] = _insert(found, priority, value)
    writer = _Writer()
    for key in sorted(values):
        found = values[key]
        writer.add(key, found if isinstance(found, bytes) else _values(found))
    return writer.finish()


def _insert(found: bytes | list[tuple[int, bytes]], priority: int, value: bytes) -> list[tuple[int, bytes]]:
    if isinstance(found, bytes):
        found = [(COUNT_AND_PRIORITY.unpack_from(found)[1], found[8:-1])]
    at = 0
    while at < len(found) and found[at][0] < priority:
        at += 1
    found.insert(at, (priority, value))
    return found


def _values(found: list[tuple[int, bytes]]) -> bytes:
    return LONG.pack(len(found)) + b"".join(LONG.pack(prio) + text + b"\0" for prio, text in found)


class _Node:
    """A node that may still get children: ``depth`` letters lead to its end."""

    __slots__ = ("children", "depth", "values")

    def __init__(self, depth: int, values: bytes) -> None:
        self.depth, self.values = depth, values
        self.children: list[tuple[int, int]] = []  # letter, offset with flags


class _Writer:
    """Takes sorted keys; the nodes on the way to the last one are open."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.at = HEADER.size
        self.open = [_Node(0, b"")]  # the root has no prefix
        self.last = b""

    def add(self, key: bytes, values: bytes) -> None:
        if not key:
            self.open[0].values = values
            return
        self._close(_common(self.last, key))
        self.open.append(_Node(len(key), values))
        self.last = key

    def finish(self) -> bytes:
        self._close(0)
        root = self._write(self.open[0], b"")
        return HEADER.pack(MAGIC, VERSION_MAJOR << 16 | VERSION_MINOR, root) + b"".join(self.parts)

    def _close(self, depth: int) -> None:
        """Write all open nodes that lie deeper; where the last of them hung, a branch begins."""
        nodes, key = self.open, self.last
        while nodes[-1].depth > depth:
            node = nodes.pop()
            if nodes[-1].depth < depth:
                nodes.append(_Node(depth, b""))
            above = nodes[-1]
            if key[above.depth] > 127:
                raise NotModelled(
                    f"an index whose keys part at a byte above 127: {key!r}", stage="index_insert"
                )
            above.children.append((key[above.depth], self._write(node, key[above.depth + 1 : node.depth])))

    def _write(self, node: _Node, prefix: bytes) -> int:
        offset, part = self.at, b""
        if prefix:
            offset |= HAS_PREFIX
            part = prefix + b"\0"
        if node.children:
            offset |= HAS_CHILDREN
            part += _table(node.children)
        if node.values:
            offset |= HAS_VALUES
            part += node.values
        self.parts.append(part)
        self.at += len(part)
        return offset


def _table(children: list[tuple[int, int]]) -> bytes:
    """First and last letter, and an offset for every letter from one to the other; 0: no child."""
    first, last = children[0][0], children[-1][0]
    offsets = [0] * (last - first + 1)
    for letter, offset in children:
        offsets[letter - first] = offset
    return struct.pack(f">2B{len(offsets)}I", first, last, *offsets)


def _common(one: bytes, other: bytes) -> int:
    """How many letters at their beginning are the same."""
    length = min(len(one), len(other))
    differ = int.from_bytes(one[:length], "big") ^ int.from_bytes(other[:length], "big")
    return length - (differ.bit_length() + 7) // 8
