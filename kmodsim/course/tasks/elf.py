# SPDX-License-Identifier: GPL-2.0-only
"""01: the file: a section header, a section by name, .modinfo. Judged by real files, read with ``struct``."""

from __future__ import annotations

import struct
from random import Random

from ...loader.load import find_sec
from ...records import SHF_ALLOC
from ..plain import Record
from ..real import image, modules_at_hand
from ..task import Case, Claim, Task, drawn, fixed

MAIN = "kernel/module/main.c"
# include/uapi/linux/elf.h: the fields of Elf64_Ehdr behind e_ident, and Elf64_Shdr
EHDR, SHDR = "HHIQQQIHHHHHH", "IIQQQQIIQQ"
NAMES = (
    "sh_name",
    "sh_type",
    "sh_flags",
    "sh_addr",
    "sh_offset",
    "sh_size",
    "sh_link",
    "sh_info",
    "sh_addralign",
    "sh_entsize",
)
SIGN = {"little": "<", "big": ">"}


def read_section_header(data: bytes, number: int, order: str = "little") -> dict[str, int]:
    shoff = struct.unpack_from(SIGN[order] + "Q", data, 40)[0]
    size = struct.unpack_from(SIGN[order] + "H", data, 58)[0]
    values = struct.unpack_from(SIGN[order] + SHDR, data, shoff + number * size)
    return dict(zip(NAMES, values, strict=True))


def swapped(data: bytes) -> bytes:
    """The same file for a big-endian machine, as far as its header and section headers go."""
    out = bytearray(data)
    out[5] = 2  # EI_DATA: ELFDATA2MSB
    out[16:64] = struct.pack(">" + EHDR, *struct.unpack_from("<" + EHDR, data, 16))
    shoff, shnum = struct.unpack_from("<Q", data, 40)[0], struct.unpack_from("<H", data, 60)[0]
    for at in range(shoff, shoff + 64 * shnum, 64):
        out[at : at + 64] = struct.pack(">" + SHDR, *struct.unpack_from("<" + SHDR, data, at))
    return bytes(out)


def _some_header(order: str):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        data = image(random.choice(modules_at_hand()[:7]))
        number = random.randrange(1, struct.unpack_from("<H", data, 60)[0])
        return (data, number) if order == "little" else (swapped(data), number, order)

    return make


def sections_of(data: bytes, order: str = "little") -> list[Record]:
    """All section headers with their names, as Records: index, name, type, flags, offset, size."""
    count, names = struct.unpack_from(SIGN[order] + "HH", data, 60)
    headers = [read_section_header(data, i, order) for i in range(count)]
    strings = headers[names]["sh_offset"]
    rows = []
    for i, h in enumerate(headers):
        start = strings + h["sh_name"]
        name = data[start : data.index(b"\0", start)].decode()
        rows.append(
            Record(
                index=i,
                name=name,
                type=h["sh_type"],
                flags=h["sh_flags"],
                offset=h["sh_offset"],
                size=h["sh_size"],
            )
        )
    return rows


def find_section(sections: list[Record], name: str, need_alloc: bool = True) -> int:
    if need_alloc:
        return find_sec(sections, name)  # type: ignore[arg-type]
    return next((s.index for s in sections[1:] if s.name == name), 0)


def _twice(random: Random) -> Case:
    """A name that an unallocated section has first."""
    rows = sections_of(image(random.choice(modules_at_hand()[:7])))
    allocated = [r for r in rows[2:] if r.flags & SHF_ALLOC]
    chosen = random.choice(allocated)
    before = random.randrange(1, chosen.index)
    rows[before] = rows[before]._replace(name=chosen.name, flags=rows[before].flags & ~SHF_ALLOC)
    return rows, chosen.name


def _missing(random: Random) -> Case:
    return sections_of(image(random.choice(modules_at_hand()[:7]))), ".no_such_section"


def _unallocated(random: Random) -> Case:
    rows = sections_of(image(random.choice(modules_at_hand()[:7])))
    return rows, random.choice([r.name for r in rows[1:] if not r.flags & SHF_ALLOC]), False


def parse_modinfo(data: bytes, end: bytes = b"\0") -> list[tuple[str, str]]:
    pieces = (piece.partition(b"=") for piece in data.split(end))
    return [(tag.decode(), value.decode()) for tag, equals, value in pieces if equals]


def modinfo_bytes(name: str) -> bytes:
    data = image(name)
    section = next(s for s in sections_of(data) if s.name == ".modinfo")
    return data[section.offset : section.offset + section.size]


def _padded(random: Random) -> Case:
    pairs = modinfo_bytes(random.choice(modules_at_hand()[:7])).split(b"\0")
    return (b"".join(pair + b"\0" * random.randrange(1, 5) for pair in pairs if pair),)


def _value_with_equals(random: Random) -> Case:
    return (b"license=GPL\0parm=mode:a=%d or b=2\0empty=\0note\0" % random.randrange(9),)


def _other_end(random: Random) -> Case:
    end = random.choice((b"\n", b"\1", b"\x1e", b"\xff"))
    return modinfo_bytes(random.choice(modules_at_hand()[:7])).replace(b"\0", end), end


def modinfo_values(data: bytes, tag: str, order: str = "little") -> list[str]:
    section = next((s for s in sections_of(data, order) if s.name == ".modinfo"), None)
    if section is None:
        return []
    pairs = parse_modinfo(data[section.offset : section.offset + section.size])
    return [value for key, value in pairs if key == tag]


def _tag(order: str):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        data = image(random.choice(modules_at_hand()))
        tag = random.choice(("license", "depends", "vermagic", "retpoline", "intree", "no_such_tag", "name"))
        return (data, tag) if order == "little" else (swapped(data), tag, order)

    return make


def _without_modinfo(random: Random) -> Case:
    data = image("minimal")
    return data.replace(b".modinfo\0", b".modinfX\0"), "license"


TASKS = (
    Task(
        "read_section_header",
        f"include/uapi/linux/elf.h:Elf64_Shdr, {MAIN}:load_module (info->sechdrs)",
        read_section_header,
        (
            Claim("the first section header of hello", 1, "public", fixed((image("hello"), 1))),
            Claim(
                "any section header of the distribution's modules",
                1,
                "hidden",
                drawn(16, _some_header("little")),
            ),
            Claim(
                "variant: the file is for a big-endian machine", 2, "variant", drawn(16, _some_header("big"))
            ),
        ),
        "e_shoff stands at offset 40 (8 bytes), e_shentsize at 58 (2 bytes). "
        'struct.unpack_from("<IIQQQQIIQQ", …) reads a header; the sign "<" or ">" is the byte order.',
    ),
    Task(
        "find_section",
        f"{MAIN}:find_sec",
        find_section,
        (
            Claim(
                "sections of hello",
                1,
                "public",
                fixed((sections_of(image("hello")), ".modinfo"), (sections_of(image("hello")), ".symtab")),
            ),
            Claim("a section without SHF_ALLOC is passed over", 1, "hidden", drawn(5, _twice)),
            Claim("no such section: 0", 1, "hidden", drawn(2, _missing)),
            Claim("variant: find_any_sec, need_alloc=False", 2, "variant", drawn(4, _unallocated)),
        ),
        "Section 0 is never an answer: start at 1. SHF_ALLOC is the bit 0x2 of flags.",
        "find_sec",
    ),
    Task(
        "parse_modinfo",
        f"{MAIN}:get_next_modinfo",
        parse_modinfo,
        (
            Claim(".modinfo of hello", 1, "public", fixed((modinfo_bytes("hello"),))),
            Claim("padding between strings is skipped", 1, "hidden", drawn(3, _padded)),
            Claim(
                "only the first = divides; a string without = is no pair",
                1,
                "hidden",
                drawn(3, _value_with_equals),
            ),
            Claim("variant: strings end with another byte", 2, "variant", drawn(5, _other_end)),
        ),
        "data.split(end), then piece.partition(b'='). The partition's middle is empty where there is no =.",
        "parse_modinfo",
    ),
    Task(
        "modinfo_values",
        f"{MAIN}:setup_load_info, get_modinfo",
        modinfo_values,
        (
            Claim(
                "licence and aliases",
                1,
                "public",
                fixed((image("hello"), "license"), (image("loop"), "alias")),
            ),
            Claim("other modules, other tags", 1, "hidden", drawn(6, _tag("little"))),
            Claim("no .modinfo: an empty list", 1, "hidden", drawn(1, _without_modinfo)),
            Claim("variant: the file is for a big-endian machine", 2, "variant", drawn(5, _tag("big"))),
        ),
        "e_shstrndx (offset 62, 2 bytes) is the number of the section with the names; sh_name is an "
        "offset in there.",
    ),
)
