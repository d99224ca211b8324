# SPDX-License-Identifier: GPL-2.0-only
"""The indexes of what is built into the kernel, from modules.builtin and modules.builtin.modinfo (kmod 30
``tools/depmod.c:output_builtin_bin``, ``output_builtin_alias_bin``)."""

from __future__ import annotations

from collections.abc import Iterator

from ..index_write import Item, index_bytes
from ..modprobe.log import ERR, WARNING, Log, decode
from .search import c_lines, module_name, read_beside

ROOM = 4096  # PATH_MAX: a key or value of the file has to fit


def names_index(dirname: bytes, log: Log) -> bytes:
    """The names in modules.builtin, each with an empty value; without the file an empty index file."""
    text = read_beside(dirname, "modules.builtin", log)
    if text is None:
        return b""
    items: list[Item] = []
    name = b""
    for line in c_lines(text):
        if not line[:1].isalpha():
            log.tool(ERR, f"Invalid modules.builtin line: {decode(line)}")
            continue
        if not line.endswith(b"/"):  # else the name of the line before stays
            name = module_name(line)
        items.append((name, b"", 0))
    return index_bytes(items)


def alias_index(dirname: bytes, log: Log) -> bytes:
    """The aliases in modules.builtin.modinfo: ``name.alias=value`` and a zero byte, one after the other."""
    text = read_beside(dirname, "modules.builtin.modinfo", log)
    return b"" if text is None else index_bytes(_aliases(text, log))


def _aliases(text: bytes, log: Log) -> Iterator[Item]:
    from .output import normalized

    stream = _Stream(text, log)
    while not stream.at_end:
        name = stream.until(b".")
        if not name:
            continue
        if stream.until(b"=") != b"alias":
            stream.skip()
            continue
        value = stream.until(b"\0")
        if not value:
            continue
        alias = normalized(value)
        if alias is None:
            log.tool(WARNING, f"Unmatched bracket in {decode(value)}")
        else:
            yield alias, name, 0


class _Stream:
    """The file as ``flush_stream_to`` reads it, a zero byte ends every part."""

    def __init__(self, text: bytes, log: Log) -> None:
        self.text, self.log, self.at, self.at_end = text, log, 0, False

    def until(self, end: bytes) -> bytes:
        """What stands before ``end``; nothing when a zero byte or the file's end comes first, or when it is
        longer than kmod has room for."""
        found, stop = self._part(end, ROOM)
        if len(found) == ROOM:
            self.log.tool(WARNING, f"Could not flush stream: 28. Partial content: {decode(found)}")
            found = found[:-1]
        return found if stop == end else b""

    def skip(self) -> None:
        self._part(b"\0", len(self.text) + 1)

    def _part(self, end: bytes, room: int) -> tuple[bytes, bytes]:
        """(the bytes, the byte after them that ended it), which is read too; at the file's end there is
        none."""
        stops = [at for at in (self.text.find(end, self.at), self.text.find(b"\0", self.at)) if at >= 0]
        stop = min([*stops, len(self.text), self.at + room])
        found, byte = self.text[self.at : stop], self.text[stop : stop + 1]
        self.at = stop + 1
        self.at_end = self.at_end or not byte
        return found, byte
