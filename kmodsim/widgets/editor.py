# SPDX-License-Identifier: GPL-2.0-only
"""Changes to a module file that keep the rest of it as it is: fields, contents of sections, modinfo, CRCs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..records import EHDR, MODULE_SIGNATURE, MODVERSION, SHDR, SIGNATURE_MARKER, SYM, c_string, view

ALIGN = 64  # of content that moves to the end of the file


class Editor:
    """The bytes of a 64-bit module file, to be changed; ``bytes(editor)`` is the result.

    A name or number that is not there: KeyError; a value that does not fit its field: ValueError.
    """

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def __bytes__(self) -> bytes:
        return bytes(self.data)

    def put(self, at: int, size: int, value: int) -> Editor:
        """A little-endian number of ``size`` bytes at file offset ``at``; negative ones wrap."""
        if not -(1 << (8 * size - 1)) <= value < 1 << (8 * size):
            raise ValueError(f"{value:#x} does not fit into {size} bytes: at most {(1 << 8 * size) - 1:#x}")
        if at + size > len(self.data):
            raise ValueError(f"the file ends at {len(self.data):#x}, before this field")
        self.data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")
        return self

    def get(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little")

    # --- headers

    def header(self, field: str) -> int:
        return self.get(*_place(EHDR, field))

    def set_header(self, **fields: int) -> Editor:
        for name, value in fields.items():
            self.put(*_place(EHDR, name), value)
        return self

    def section_at(self, section: int | str) -> int:
        """File offset of a section header, by number or name."""
        number = self.index(section) if isinstance(section, str) else section
        return self.header("e_shoff") + SHDR.itemsize * number

    def section(self, section: int | str, field: str) -> int:
        offset, size = _place(SHDR, field)
        return self.get(self.section_at(section) + offset, size)

    def set_section(self, section: int | str, **fields: int) -> Editor:
        base = self.section_at(section)
        for name, value in fields.items():
            offset, size = _place(SHDR, name)
            self.put(base + offset, size, value)
        return self

    def index(self, name: str) -> int:
        """Number of the first section with this name."""
        image = np.frombuffer(bytes(self.data), np.uint8)
        headers = view(image, self.header("e_shoff"), self.header("e_shnum"), SHDR)
        names = int(headers["sh_offset"][self.header("e_shstrndx")])
        for number, offset in enumerate(headers["sh_name"].tolist()):
            if c_string(image, names + offset, 256) == name.encode():
                return number
        raise KeyError(name)

    # --- contents

    def content(self, section: int | str) -> bytes:
        start = self.section(section, "sh_offset")
        return bytes(self.data[start : start + self.section(section, "sh_size")])

    def replace(self, section: int | str, content: bytes) -> Editor:
        """New content at the end of the file; the section's header points there."""
        self.data += bytes(-len(self.data) % ALIGN)
        self.set_section(section, sh_offset=len(self.data), sh_size=len(content))
        self.data += content
        return self

    def rename_section(self, section: str, name: str) -> Editor:
        number, table = self.index(section), self.header("e_shstrndx")
        at = self.section(table, "sh_size")
        self.replace(table, self.content(table) + name.encode() + b"\0")
        return self.set_section(number, sh_name=at)

    def set_modinfo(self, key: str, *values: str) -> Editor:
        """Every ``key=`` goes; one comes at the end for each value."""
        kept = [tag for tag in self.content(".modinfo").split(b"\0") if tag]
        kept = [tag for tag in kept if not tag.startswith(key.encode() + b"=")]
        kept += [f"{key}={value}".encode() for value in values]
        return self.replace(".modinfo", b"".join(tag + b"\0" for tag in kept))

    def version_at(self, symbol: str) -> int:
        """File offset of a symbol's entry in __versions (struct modversion_info)."""
        content, start = self.content("__versions"), self.section("__versions", "sh_offset")
        for at in range(0, len(content), MODVERSION.itemsize):
            if c_string(content, at + 8, 56) == symbol.encode():
                return start + at
        raise KeyError(symbol)

    def set_crc(self, symbol: str, crc: int) -> Editor:
        return self.put(self.version_at(symbol), 8, crc)

    def forget_crc(self, symbol: str) -> Editor:
        """The entry is left out: the table as if the module had been built without it."""
        at = self.version_at(symbol) - self.section("__versions", "sh_offset")
        content = self.content("__versions")
        return self.replace("__versions", content[:at] + content[at + MODVERSION.itemsize :])

    def symbol_at(self, name: str) -> int:
        """File offset of the first symbol with this name."""
        table = self.index(".symtab")
        strings = self.section(self.section(table, "sh_link"), "sh_offset")
        start = self.section(table, "sh_offset")
        for at in range(start, start + self.section(table, "sh_size"), SYM.itemsize):
            offset = strings + self.get(at, 4)
            if self.data[offset : offset + len(name) + 1] == name.encode() + b"\0":
                return at
        raise KeyError(name)

    def set_symbol(self, symbol: str, **fields: int) -> Editor:
        base = self.symbol_at(symbol)
        for name, value in fields.items():
            offset, size = _place(SYM, name)
            self.put(base + offset, size, value)
        return self

    def unsigned(self) -> Editor:
        """Without its appended signature, if it has one (include/linux/module_signature.h)."""
        tail = MODULE_SIGNATURE.itemsize + len(SIGNATURE_MARKER)
        if self.data.endswith(SIGNATURE_MARKER) and len(self.data) >= tail:
            info = np.frombuffer(bytes(self.data[-tail:]), MODULE_SIGNATURE, 1)[0]
            del self.data[max(0, len(self.data) - tail - int(info["sig_len"])) :]
        return self


def _place(record: np.dtype[Any], field: str) -> tuple[int, int]:
    """(offset, size in bytes) of a field of a structure."""
    fields: Any = record.fields
    kind, offset = fields[field][:2]
    return int(offset), kind.itemsize
