# SPDX-License-Identifier: GPL-2.0-only
"""03: sanity checks: the ELF header, ranges that wrap, vermagic, taints."""

from __future__ import annotations

from random import Random

from ...loader import modinfo, validity
from ..real import arriving, image, modules_at_hand
from ..task import Case, Claim, Task, drawn, fixed

MAIN = "kernel/module/main.c"
WORDS = {
    "Invalid ELF header magic": "magic",
    "Invalid ELF header type": "type",
    "Invalid architecture": "machine",
    "Invalid ELF section header size": "shentsize",
    "Invalid ELF section header overflow": "shoff",
    "Invalid ELF section name index": "shstrndx",
}


def check_elf_header(header: dict[str, int], length: int, machine: int = 62, shentsize: int = 64) -> str:
    """For another machine or header size: the loader's own check of a header in which those are x86-64's."""
    seen = dict(header)
    seen["e_machine"] = 62 if header["e_machine"] == machine else -1
    seen["e_shentsize"] = 64 if header["e_shentsize"] == shentsize else -1
    said = validity.check_elf_header(seen, length)
    word = next((word for start, word in WORDS.items() if said.startswith(start)), "")
    if word in ("", "shoff", "shstrndx"):  # the size of the table depends on the size of a header
        if header["e_shoff"] >= length or header["e_shnum"] * shentsize > length - header["e_shoff"]:
            return "shoff"
        return "shstrndx" if not 0 < header["e_shstrndx"] < header["e_shnum"] else ""
    return word


def _header(name: str) -> dict[str, int]:
    return validity.read_elf_header(image(name)[:64])


BREAKS = (
    lambda h, n: h.update(e_ident=0x464C457E),
    lambda h, n: h.update(e_type=2),
    lambda h, n: h.update(e_machine=183),
    lambda h, n: h.update(e_shentsize=40),
    lambda h, n: h.update(e_shoff=n),
    lambda h, n: h.update(e_shoff=n - 64),
    lambda h, n: h.update(e_shstrndx=0),
    lambda h, n: h.update(e_shstrndx=h["e_shnum"]),
)


def _broken(count: int):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        name = random.choice(modules_at_hand()[:7])
        header, length = _header(name), len(image(name))
        for change in random.sample(BREAKS, count):
            change(header, length)
        return header, length

    return make


def _other_machine(random: Random) -> Case:
    header, length = _broken(random.randrange(2))(random)
    machine, size = random.choice(((183, 64), (40, 40), (243, 64), (3, 40)))
    if random.random() < 0.7:
        header.update(e_machine=machine, e_shentsize=size)
    if random.random() < 0.3:  # fits with 40 bytes a header, but not with 64
        header["e_shnum"] = (length - min(header["e_shoff"], length)) // size
    return header, length, machine, size


def validate_section_offset(offset: int, size: int, length: int, bits: int = 64) -> bool:
    end = offset + size
    return end < 1 << bits and end <= length


def _wrapping(bits: int):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        offset = (1 << bits) - random.randrange(1, 5000)
        case = (offset, random.randrange(1, 9000), random.randrange(5000, 90000))
        return case if bits == 64 else (*case, bits)

    return make


def _near(random: Random) -> Case:
    length = random.randrange(100, 100_000)
    offset = random.randrange(length)
    return offset, length - offset + random.randrange(-1, 2), length


def same_magic(mine: str, kernels: str, has_crcs: bool, skip: int = 1) -> bool:
    if skip == 1 or not has_crcs:
        return modinfo.same_magic(mine, kernels, has_crcs)
    return _behind(mine, skip) == _behind(kernels, skip)


def _behind(text: str, words: int) -> str:
    for _ in range(words):
        text = text[text.find(" ", 1) :] if " " in text[1:] else ""
    return text


MAGIC = "6.1.0-56-amd64 SMP preempt mod_unload modversions "


def _magic(random: Random) -> Case:
    words = MAGIC.split(" ")
    words[random.randrange(5)] = random.choice(
        ("6.1.0-57-amd64", "SMP", "aarch64", "preempt_rt", "6.1.0-56-amd64")
    )
    return " ".join(words), MAGIC, random.random() < 0.5


def _magic_skip(random: Random) -> Case:
    mine, kernels, _ = _magic(random)
    return mine, kernels, random.random() < 0.8, random.randrange(2, 4)


GPL = tuple(sorted(modinfo.GPL_COMPATIBLE))


def taint_letters(pairs: list[tuple[str, str]], free: tuple[str, ...] = GPL) -> str:
    first: dict[str, str] = {}
    for tag, value in pairs:
        first.setdefault(tag, value)
    first["license"] = "GPL" if first.get("license", "unspecified") in free else "other"
    return "".join(row.letter for row, _ in modinfo.taints_of(list(first.items())))


def _tags(random: Random) -> Case:
    pairs = [
        (tag, "Y") for tag in ("intree", "retpoline", "staging", "livepatch", "test") if random.random() < 0.5
    ]
    licence = random.choice((*GPL, "GPL v3", "Proprietary", "MIT", "gpl"))
    pairs += [("license", licence)] if random.random() < 0.8 else []
    random.shuffle(pairs)
    return (pairs,)


def _twice(random: Random) -> Case:
    licences = random.sample(("GPL", "Proprietary"), 2)
    return ([("license", licence) for licence in licences] + [("intree", "Y")],)


def _other_list(random: Random) -> Case:
    return *_tags(random), tuple(random.sample((*GPL, "GPL v3", "MIT"), 3))


TASKS = (
    Task(
        "check_elf_header",
        f"{MAIN}:elf_validity_check",
        check_elf_header,
        (
            Claim(
                "a good header, and one for another machine",
                1,
                "public",
                fixed(
                    (_header("hello"), len(image("hello"))),
                    ({**_header("hello"), "e_machine": 183}, len(image("hello"))),
                ),
            ),
            Claim("one fault at a time", 1, "hidden", drawn(96, _broken(1))),
            Claim(
                "of several faults the kernel names the first in its order",
                1,
                "hidden",
                drawn(48, _broken(2)),
            ),
            Claim(
                "variant: another machine, 40-byte section headers", 2, "variant", drawn(96, _other_machine)
            ),
        ),
        "Six questions in the order of the table. e_shnum * shentsize must not exceed length - e_shoff.",
        "check_elf_header",
    ),
    Task(
        "validate_section_offset",
        f"{MAIN}:validate_section_offset",
        validate_section_offset,
        (
            Claim("inside, and one byte too long", 1, "public", fixed((64, 100, 164), (64, 101, 164))),
            Claim("exactly at the end", 1, "hidden", drawn(48, _near)),
            Claim("a sum that wraps at 64 bits is refused", 1, "hidden", drawn(20, _wrapping(64))),
            Claim("variant: a kernel with 32-bit offsets", 2, "variant", drawn(32, _wrapping(32))),
        ),
        "Python's numbers do not wrap, the kernel's do: offset + size must stay below 1 << bits.",
    ),
    Task(
        "same_magic",
        "kernel/module/version.c:same_magic",
        same_magic,
        (
            Claim(
                "the same text; another release",
                1,
                "public",
                fixed((MAGIC, MAGIC, False), ("6.1.0-57-amd64 SMP ", MAGIC, False)),
            ),
            Claim("with CRCs the release does not count, all the rest does", 1, "hidden", drawn(48, _magic)),
            Claim(
                "a text of one word", 1, "hidden", fixed(("6.1.0-56-amd64", MAGIC, True), ("", MAGIC, True))
            ),
            Claim("variant: the first two or three words do not count", 2, "variant", drawn(48, _magic_skip)),
        ),
        "Compare what begins at the first blank, the blank included; text.find(' ').",
        "same_magic",
    ),
    Task(
        "taint_letters",
        f"{MAIN}:check_modinfo",
        taint_letters,
        (
            Claim(
                "hello, and a module of the distribution",
                1,
                "public",
                lambda random: [*arriving("taints_of", "hello"), *arriving("taints_of", "crc16")],
            ),
            Claim("any tags; letters in the kernel's order", 1, "hidden", drawn(64, _tags)),
            Claim(
                "of two licences the first counts; none means unspecified",
                1,
                "hidden",
                lambda random: [*(_twice(random) for _ in range(4)), ([("intree", "Y")],)],
            ),
            Claim("variant: another list of free licences", 2, "variant", drawn(64, _other_list)),
        ),
        "O without intree, C with staging, K with livepatch, P for the licence, N with test: in this order.",
    ),
)
