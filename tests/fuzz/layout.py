# SPDX-License-Identifier: GPL-2.0-only
"""Where a module file keeps which record: tables of fields for a mutator that knows what it breaks."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.faults.editor import HEADER, RELOCATION, SECTION, SYMBOL

Fields = tuple[tuple[int, str], ...]  # (offset in the record, struct format)

WORDS = {size: ((0, code),) for size, code in ((1, "<B"), (2, "<H"), (4, "<I"), (8, "<Q"))}
# Sections whose content is an array of records: name -> (bytes a record, its fields). Formats as in
# kmodsim/records.py, written down once more so that a wrong offset there does not hide here.
RECORDS: dict[str, tuple[int, Fields]] = {
    "__versions": (64, ((0, "<Q"), (8, "<Q"), (16, "<Q"))),
    "__param": (40, ((0, "<Q"), (8, "<Q"), (16, "<Q"), (24, "<H"), (26, "<B"), (27, "<B"), (32, "<Q"))),
    "__ksymtab": (12, ((0, "<I"), (4, "<I"), (8, "<I"))),
    "__ksymtab_gpl": (12, ((0, "<I"), (4, "<I"), (8, "<I"))),
    "__kcrctab": (4, WORDS[4]),
    "__kcrctab_gpl": (4, WORDS[4]),
    "__ex_table": (12, ((0, "<I"), (4, "<I"), (8, "<I"))),
    "__bug_table": (12, ((0, "<I"), (4, "<I"), (8, "<H"), (10, "<H"))),
    "__jump_table": (16, ((0, "<I"), (4, "<I"), (8, "<Q"))),
    "__mcount_loc": (8, WORDS[8]),
    ".static_call_sites": (8, ((0, "<I"), (4, "<I"))),
    ".altinstructions": (12, ((0, "<I"), (4, "<I"), (8, "<H"), (10, "<B"), (11, "<B"))),
    ".parainstructions": (16, ((0, "<Q"), (8, "<B"), (9, "<B"))),
    ".return_sites": (4, WORDS[4]),
    ".retpoline_sites": (4, WORDS[4]),
    ".smp_locks": (4, WORDS[4]),
    ".orc_unwind": (6, ((0, "<H"), (2, "<H"), (4, "<H"))),
    ".orc_unwind_ip": (4, WORDS[4]),
    ".gnu.linkonce.this_module": (8, WORDS[8]),
    ".rodata": (8, ((0, "<Q"), (0, "<I"), (4, "<I"))),  # struct kparam_array and kparam_string live here
    ".data": (8, WORDS[8]),
    ".text": (1, WORDS[1]),
    ".altinstr_replacement": (1, WORDS[1]),
}
# Names that mean something to the loader, for sections that are made up or renamed
NAMES = (
    *RECORDS,
    ".modinfo",
    ".data..percpu",
    ".data..ro_after_init",
    ".init.text",
    ".init.data",
    ".exit.text",
    ".bss",
    ".symtab",
    ".strtab",
    "__obsparm",
    "__ksymtab_strings",
    ".note.x",
    ".static_call.text",
    "",
    "\x7f{name}",
    "x" * 300,
)
SIGNATURE_TRAILER: Fields = ((0, "<B"), (1, "<B"), (2, "<B"), (3, "<B"), (4, "<B"), (5, "<B"), (8, ">I"))


class Table(NamedTuple):
    """``count`` records of ``size`` bytes from ``offset`` on."""

    kind: str
    offset: int
    size: int
    count: int
    fields: Fields


def _fields(places: dict[str, tuple[int, str]]) -> Fields:
    return tuple(places.values())


def tables(data: bytes | bytearray) -> list[Table]:
    """Every table of a file that is sound so far: headers, symbols, relocations, strings, and RECORDS."""
    shoff, (count, names) = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<HH", data, 60)
    found = [
        Table("header", 0, 64, 1, _fields(HEADER)),
        Table("section", shoff, 64, count, _fields(SECTION)),
        Table("section 0", shoff, 64, 1, _fields(SECTION)),
    ]
    rows = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i) for i in range(count)]
    for name_at, kind, _flags, _addr, offset, size, *_ in rows:
        start = rows[names][4] + name_at
        name = bytes(data[start : data.find(b"\0", start)]).decode("latin-1")
        if kind == 2:
            found.append(Table("symbol", offset, 24, size // 24, _fields(SYMBOL)))
        elif kind == 4:
            found.append(Table(f"rela {name}", offset, 24, size // 24, _fields(RELOCATION)))
        elif name in RECORDS:
            width, fields = RECORDS[name]
            found.append(Table(name, offset, width, size // width, fields))
        elif kind == 3 or name in (".modinfo", "__ksymtab_strings", ".rodata.str1.1"):
            found.append(Table(f"strings {name}", offset, 1, size, WORDS[1]))
    if data.endswith(b"~Module signature appended~\n"):
        found.append(Table("signature", len(data) - 40, 12, 1, SIGNATURE_TRAILER))
        found.append(Table("message", len(data) - 540, 1, 500, WORDS[1]))
    return [table for table in found if table.count and table.offset >= 0]
