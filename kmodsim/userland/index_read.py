# SPDX-License-Identifier: GPL-2.0-only
"""The ``modules.*.bin`` files that depmod writes and modprobe searches (kmod 30 ``libkmod/libkmod-index.c``).

Each file is a trie over the keys. A key may be a pattern (``pci:v00008086d*``): then it is the text asked for
that has to fit the key. The file is mapped, and a search reads only the nodes on its way.

    magic b007f457, version 2.x, offset of the root: three numbers of 32 bits, most significant byte first
    an offset's upper four bits say what a node has: prefix 8, values 4, children 2
    node: prefix "…\\0"; first, last child's letter, last - first + 1 offsets (0: none);
          number of values, then each a priority and "…\\0"

Broken files: kmod follows the offsets wherever they lead, and ends in a segmentation fault or worse. Here
that is a ``BrokenIndex``. The bound that keeps any search short: in a trie every byte belongs to one node,
so a walk that has read more bytes than the file holds goes in circles.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import EINVAL, KernelError
from .fnmatch import fnmatch

MAGIC = 0xB007F457
VERSION_MAJOR = 2
HEADER = struct.Struct(">3I")
LONG = struct.Struct(">I")
HAS_PREFIX, HAS_VALUES, HAS_CHILDREN, OFFSET = 0x80000000, 0x40000000, 0x20000000, 0x0FFFFFFF
CHILD_MAX = 128  # INDEX_CHILDMAX: how many children libkmod has room for
PAGE = 4096
WILDCARDS = b"*?["
NO_PRUNING = b"[\\"  # from these letters on a pattern is only compared as a whole
LONGEST_KEYS = 16  # the keys' lengths together, at most, in sizes of the file


class BrokenIndex(KernelError):
    """The file's offsets lead nowhere, or in circles; kmod's own tools would be killed by signal 11."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(None, stage="libkmod-index", why=f"{path}: {why}")


class WrongHeader(KernelError):
    """Not such a file; libkmod refuses it with a line of its log (``where``, ``function`` and ``why``)."""

    def __init__(self, why: str = "", line: int = 0) -> None:
        super().__init__(EINVAL, stage="index_mm_open", why=why)
        self.line = line


class Value(NamedTuple):
    """One value: its priority (the smaller one is tried first) and the key under which it was found."""

    text: bytes
    priority: int
    key: bytes


def _mapped(path: str) -> bytes | mmap.mmap:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < HEADER.size:  # an empty file cannot be mapped
            raise WrongHeader()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _Node(NamedTuple):
    prefix: bytes
    first: int
    last: int
    children: int  # where the offsets begin
    values: int  # where the number of values stands; 0: none


class Index:
    """One mapped file, or its bytes (``data``). ``OSError`` when it cannot be opened, ``WrongHeader`` when it
    is no index.

    ``newest_first``: values of one key and one priority come in reverse, as libkmod's second reader has
    them, which it uses when one of the indexes is missing (``index_read``).
    """

    def __init__(self, path: str, newest_first: bool = False, data: bytes | None = None) -> None:
        self.path = path
        self.newest_first = newest_first
        self._data: bytes | mmap.mmap = _mapped(path) if data is None else data
        self._size = size = len(self._data)
        if size < HEADER.size:
            raise WrongHeader()
        self._end = -(-size // PAGE) * PAGE  # the mapping's last page is filled up with zeros
        self._bytes_left = self._keys_left = 0
        magic, version, self._root = HEADER.unpack_from(self._data)
        if magic != MAGIC:
            raise WrongHeader(f"magic check fail: {magic:x} instead of {MAGIC:x}", 790)
        if version >> 16 != VERSION_MAJOR:
            raise WrongHeader(f"major version check fail: {version >> 16} instead of {VERSION_MAJOR}", 797)

    def search(self, key: bytes) -> bytes | None:
        """The first value of exactly this key (``index_mm_search``)."""
        self._start()
        offset, at = self._root, 0
        while (node := self._node(offset)) is not None:
            if not key.startswith(node.prefix, at):
                return None
            at += len(node.prefix)
            if at == len(key):
                found = self._values(node, key)
                return found[0].text if found else None
            offset = self._child(node, key[at])
            at += 1
        return None

    def searchwild(self, key: bytes) -> list[Value]:
        """The values of all keys that ``key`` fits, by priority; among equals the one met last comes first
        (``index_mm_searchwild``)."""
        # a wildcard asked for is followed twice: as what it is, and as a letter
        self._start(1 + sum(key.count(letter) for letter in WILDCARDS))
        found: list[Value] = []
        for values in self._fitting(key):
            for value in values:
                at = 0
                while at < len(found) and found[at].priority < value.priority:
                    at += 1
                found.insert(at, value)
        return found

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All (key, value) in the order of ``modprobe -c``: a key before the longer ones that begin so
        (``index_mm_dump``)."""
        self._start()
        stack = [(self._root, b"")]
        while stack:
            offset, before = stack.pop()
            node = self._node(offset)
            if node is None:
                continue
            key = self._lengthen(before, node.prefix)
            for value in self._values(node, key):
                yield key, value.text
            for letter in range(node.last, node.first - 1, -1):
                child = self._child(node, letter)
                if child & OFFSET:
                    stack.append((child, self._lengthen(key, bytes([letter]))))

    # -- nodes

    def _broken(self, why: str) -> BrokenIndex:
        return BrokenIndex(self.path, why)

    def _start(self, times: int = 1) -> None:
        """A new walk, in which each byte may be read so often."""
        self._bytes_left = times * self._size
        self._keys_left = times * LONGEST_KEYS * self._size

    def _spend(self, count: int) -> None:
        self._bytes_left -= count
        if self._bytes_left < 0:
            raise self._broken("its nodes form a loop")

    def _lengthen(self, key: bytes, more: bytes) -> bytes:
        self._keys_left -= len(key) + len(more)
        if self._keys_left < 0:
            raise self._broken("its keys are longer than any index has them")
        return key + more

    def _long(self, at: int) -> int:
        if at + 4 <= self._size:
            return int(LONG.unpack_from(self._data, at)[0])
        if at + 4 > self._end:
            raise self._broken(f"offset {at} lies behind its end")
        return int(LONG.unpack(self._data[at : self._size].ljust(4, b"\0"))[0])

    def _string(self, at: int) -> bytes:
        end = self._data.find(b"\0", at)
        if end >= 0:
            return bytes(self._data[at:end])
        if at >= self._end or self._size == self._end:
            raise self._broken("a text goes on behind its end")
        return bytes(self._data[at : self._size])

    def _byte(self, at: int) -> int:
        if at < self._size:
            return self._data[at]
        if at >= self._end:
            raise self._broken(f"offset {at} lies behind its end")
        return 0

    def _node(self, offset: int) -> _Node | None:
        at = offset & OFFSET
        if not at:
            return None
        start, prefix = at, b""
        if offset & HAS_PREFIX:
            prefix = self._string(at)
            at += len(prefix) + 1
        first, last, children = CHILD_MAX, 0, 0
        if offset & HAS_CHILDREN:
            first, last, children = self._byte(at), self._byte(at + 1), at + 2
            if not 0 <= last - first < CHILD_MAX or last >= CHILD_MAX:
                raise self._broken(f"a node with children from {first} to {last}")
            at = children + 4 * (last - first + 1)
        self._spend(at - start)
        return _Node(prefix, first, last, children, at if offset & HAS_VALUES else 0)

    def _child(self, node: _Node, letter: int) -> int:
        """The child's offset; 0: none. (In C a letter above 127 is negative and finds nothing.)"""
        if node.first <= letter <= node.last:
            return self._long(node.children + 4 * (letter - node.first))
        return 0

    def _values(self, node: _Node, key: bytes) -> list[Value]:
        if not node.values:
            return []
        at = node.values + 4
        self._spend(4)
        found: list[Value] = []
        for _ in range(self._long(node.values)):
            priority, text = self._long(at), self._string(at + 4)
            at += 5 + len(text)
            self._spend(5 + len(text))
            found.append(Value(text, priority, key))
        if self.newest_first:
            found.reverse()
            found.sort(key=lambda value: value.priority)
        return found

    # -- keys that are patterns

    def _fitting(self, key: bytes) -> Iterator[list[Value]]:
        """Down the letters of ``key``; at every node the branches that go on with a wildcard come first."""
        offset, at, path = self._root, 0, b""
        while (node := self._node(offset)) is not None:
            prefix = node.prefix
            wild = next((i for i, letter in enumerate(prefix) if letter in WILDCARDS), len(prefix))
            if not key.startswith(prefix[:wild], at):
                return
            at += wild
            if wild < len(prefix):
                yield from self._below(node, path + prefix[:wild], prefix[wild:], key, at)
                return
            path += prefix
            for letter in WILDCARDS:
                child = self._node(self._child(node, letter))
                if child is not None:
                    yield from self._below(child, path, bytes([letter]) + child.prefix, key, at)
            if at == len(key):
                yield self._values(node, path)
                return
            offset = self._child(node, key[at])
            path += key[at : at + 1]
            at += 1

    def _below(self, node: _Node, path: bytes, pattern: bytes, key: bytes, at: int) -> Iterator[list[Value]]:
        """All nodes from ``node`` on whose pattern fits the rest of ``key``: children first, then the node.

        libkmod compares each as a whole. That is kept in effect, but a branch is left as soon as no
        continuation of its pattern can fit: ``of:N*T*C…`` has thousands of leaves.
        """
        rest = key[at:]
        fit = _Fit(rest)
        stack: list[tuple[_Node, bytes, int, bool]] = [(node, pattern, fit.step(1, pattern), False)]
        while stack:
            node, pattern, reached, ready = stack.pop()
            if ready:
                if reached >> len(rest) & 1 if reached >= 0 else fnmatch(pattern, rest):
                    yield self._values(node, path + pattern)
                continue
            if node.values:
                stack.append((node, pattern, reached, True))
            for letter in range(node.last, node.first - 1, -1):
                child = self._node(self._child(node, letter))
                if child is None:
                    continue
                more = bytes([letter]) + child.prefix
                state = fit.step(reached, more)
                if state:
                    stack.append((child, self._lengthen(pattern, more), state, False))


class _Fit:
    """How far into a text the beginning of a pattern reaches: bit i is set when it can have eaten i letters.

    -1: not known, because the pattern has letters that mean something only together with later ones.
    """

    def __init__(self, text: bytes) -> None:
        self.full = (1 << len(text) + 1) - 1
        self.at: dict[int, int] = {}
        for position, letter in enumerate(text):
            self.at[letter] = self.at.get(letter, 0) | 1 << position

    def step(self, state: int, pattern: bytes) -> int:
        if state < 0:
            return state
        for letter in pattern:
            if letter in NO_PRUNING:
                return -1
            if letter == 0x2A:  # a star: from the first place on, all
                state = self.full & -(state & -state)
            elif letter == 0x3F:
                state = state << 1 & self.full
            else:
                state = (state & self.at.get(letter, 0)) << 1
            if not state:
                return 0
        return state
