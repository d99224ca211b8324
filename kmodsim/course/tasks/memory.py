# SPDX-License-Identifier: GPL-2.0-only
"""04: memory layout: ALIGN, groups, place_sections, the module area, page permissions."""

from __future__ import annotations

from random import Random
from typing import Any

from ...kernel import Kernel
from ...loader import layout
from ...memory import find_vmap_area as first_fit
from ...records import SHF_ALLOC, SHF_EXECINSTR, SHF_RO_AFTER_INIT, SHF_WRITE
from ..plain import Record
from ..real import arriving, image
from ..task import Case, Claim, Task, drawn, fixed

MAIN = "kernel/module/main.c"
INIT, NOWHERE = 1 << 63, (1 << 64) - 1
GROUPS = (
    (SHF_EXECINSTR | SHF_ALLOC, 0),
    (SHF_ALLOC, SHF_WRITE),
    (SHF_RO_AFTER_INIT | SHF_ALLOC, 0),
    (SHF_WRITE | SHF_ALLOC, 0),
)
REAL = ("loop", "fat", "dummy", "vfat", "libarc4")


def align(size: int, alignment: int, bits: int = 32) -> int:
    limit = (1 << bits) - 1
    mask = ((alignment or 1) - 1) & limit
    return ((size + mask) & limit) & ~mask


def group_of(name: str, flags: int, init_prefixes: tuple[str, ...] = (".init",)) -> tuple[str, int] | None:
    for number, (needed, forbidden) in enumerate(GROUPS):
        if flags & needed == needed and not flags & forbidden:
            return ("init" if name.startswith(init_prefixes) else "core"), number
    return None


def _names(*modules: str) -> list[Case]:
    return [(s.name, s.flags) for (sections,) in arriving("place_sections", *modules) for s in sections]


def _exit_goes_too(random: Random) -> list[Case]:
    prefixes = random.choice(((".init", ".exit"), (".init", ".exit", ".ref"), (".exit",)))
    return [(*case, prefixes) for case in _names(*random.sample(REAL, 2), "hello")]


def place_sections(
    sections: list[Any], page: int = 4096, groups: tuple[tuple[int, int], ...] = GROUPS
) -> Any:
    """With Linux's numbers the loader's own function, else the same rule spelled out."""
    if (page, tuple(map(tuple, groups))) == (4096, GROUPS):
        return layout.place_sections(sections)
    offsets, ends = [NOWHERE] * len(sections), []
    for part in (False, True):
        size, limits = 0, []
        for needed, forbidden in groups:
            for s in sections:
                free = offsets[s.index] == NOWHERE and s.name.startswith(".init") == part
                if free and s.flags & needed == needed and not s.flags & forbidden:
                    start = layout.align(size, s.addralign)
                    offsets[s.index], size = start | (INIT if part else 0), start + s.size
            if not (part and needed & SHF_RO_AFTER_INIT):
                size = (size + page - 1) // page * page
            limits.append(size)
        ends.append([size, *limits[: 2 if part else 3]])
    ends[1].append(ends[1][2])
    return offsets, ends[0], ends[1]


def _note_section(case: Case, expected: Any, found: Any) -> str:
    """Which section it is about."""
    if not (isinstance(found, list) and found and isinstance(found[0], list)):
        return ""
    for section, right, wrong in zip(case[0], expected[0], found[0], strict=False):
        if right != wrong:
            return (
                f"That is section {section.index}, {section.name}: size {section.size}, alignment "
                f"{section.addralign}, flags {section.flags:#x}."
            )
    return "The offsets are right; the sizes of the parts or the ends of their groups are not."


def _shifted(random: Random) -> Case:
    """Real sections with other alignments: padding shows."""
    ((sections,),) = arriving("place_sections", random.choice(("loop", "fat", "dummy")))
    return ([s._replace(addralign=random.choice((0, 1, 16, 64, 256))) for s in sections],)


def _late(random: Random) -> Case:
    ((sections,),) = arriving("place_sections", random.choice(("loop", "fat")))
    writable = [s.index for s in sections if s.flags & SHF_WRITE]
    chosen = random.choice(writable)
    if random.random() < 0.5:  # in init, with writable data behind it: there the third group is not rounded
        first, second = random.sample(writable, 2)
        sections = [s._replace(name=".init.data") if s.index in (first, second) else s for s in sections]
        sections[second] = sections[second]._replace(size=40, addralign=8)
        sections[first] = sections[first]._replace(size=24, addralign=8)
        chosen = first
    return ([s._replace(flags=s.flags | SHF_RO_AFTER_INIT) if s.index == chosen else s for s in sections],)


def _other_page(random: Random) -> Case:
    ((sections,),) = arriving("place_sections", random.choice(REAL))
    return sections, random.choice((16384, 65536, 8192))


def _other_order(random: Random) -> Case:
    ((sections,),) = arriving("place_sections", random.choice(REAL))
    order = random.choice(((1, 0, 2, 3), (1, 2, 0, 3), (2, 0, 1, 3)))
    return sections, random.choice((4096, 16384)), tuple(GROUPS[i] for i in order)


def find_vmap_area(holes: list[tuple[int, int]], size: int, fit: str = "first") -> int | None:
    if fit == "first":
        return first_fit(holes, size)
    fitting = [(end - start, start, end) for start, end in holes if end - start >= size]
    if not fitting:
        return None
    return min(fitting)[1] if fit == "best" else max(end for _, _, end in fitting) - size


BASE = 0xFFFFFFFFC0000000


def _holes(fit: str):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        at, holes = BASE, []
        for _ in range(random.randrange(2, 9)):
            at += 4096 * random.randrange(1, 6)
            end = at + 4096 * random.randrange(1, 9)
            holes.append((at, end))
            at = end
        size = 4096 * random.randrange(1, 9)
        return (holes, size) if fit == "first" else (holes, size, fit)

    return make


def page_permissions(part: Any, page: int = 4096) -> list[str]:
    size, text, ro, after = part
    ends = ((text, "r-x"), (ro, "r--"), (after, "r--"), (size, "rw-"))
    return [next(word for end, word in ends if at < end) for at in range(0, size, page)]


def layouts(*modules: str) -> list[Record]:
    """Core layouts of real modules once their init has run."""
    kernel = Kernel(cpu=None)
    found = []
    for name in modules:
        core = kernel.finit_module(image(name)).core_layout
        found.append(
            Record(
                size=core.size,
                text_size=core.text_size,
                ro_size=core.ro_size,
                ro_after_init_size=core.ro_after_init_size,
            )
        )
    return found


def _layout(page: int):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        pages = [random.randrange(0, 4) for _ in range(8)]
        text, ro, after, size = (page * sum(pages[: i + 1]) for i in range(4))
        part = Record(size=size, text_size=text, ro_size=ro, ro_after_init_size=after)
        return (part,) if page == 4096 else (part, page)

    return make


TASKS = (
    Task(
        "align",
        "include/linux/align.h:ALIGN",
        align,
        (
            Claim("multiples of 8", 1, "public", fixed((5, 8), (8, 8), (9, 8))),
            Claim("an alignment of 0 counts as 1", 1, "hidden", fixed((7, 0), (0, 0), (7, 1))),
            Claim(
                "an unsigned int wraps at 4 GiB",
                1,
                "hidden",
                fixed(((1 << 32) - 1, 16), ((1 << 32) - 4096, 8192)),
            ),
            Claim(
                "no power of two: the mask is used all the same",
                1,
                "hidden",
                fixed((10, 12), (100, 24), (33, 3)),
            ),
            Claim(
                "variant: numbers of another width",
                2,
                "variant",
                drawn(
                    8,
                    lambda random: (
                        random.choice(((1 << 16) - 3, (1 << 32) - 1, (1 << 33) + 5)) & 0xFFFF_FFFF_FFFF,
                        64,
                        random.choice((16, 40, 64)),
                    ),
                ),
            ),
        ),
        "mask = alignment - 1; (size + mask) & ~mask; and cut both to bits.",
    ),
    Task(
        "group_of",
        f"{MAIN}:layout_sections (masks)",
        group_of,
        (
            Claim("sections of hello", 1, "public", lambda random: _names("hello")),
            Claim(
                "sections of the distribution's modules",
                1,
                "hidden",
                lambda random: _names("loop", "fat", "tables"),
            ),
            Claim(
                "writable and read-only after init: the third group comes first",
                1,
                "hidden",
                fixed(
                    (".data..ro_after_init", 0x200003), (".x", 0x200002), (".init.x", 0x200003), (".y", 0x7)
                ),
            ),
            Claim("variant: other names go to init", 2, "variant", _exit_goes_too),
        ),
        "Four questions in the order of the table; the first group whose flags are all there and "
        "none forbidden.",
    ),
    Task(
        "place_sections",
        f"{MAIN}:layout_sections",
        place_sections,
        (
            Claim("hello", 1, "public", lambda random: arriving("place_sections", "hello")),
            Claim(
                "modules of the distribution", 2, "hidden", lambda random: arriving("place_sections", *REAL)
            ),
            Claim("every section is aligned to its addralign", 1, "hidden", drawn(4, _shifted)),
            Claim("read-only after init has a group of its own", 1, "hidden", drawn(12, _late)),
            Claim("variant: pages of another size", 2, "variant", drawn(5, _other_page)),
            Claim("variant: the groups in another order", 2, "variant", drawn(5, _other_order)),
        ),
        "For core, then init: for each group, for each section not yet placed. After a group round "
        "size up to a page.",
        "place_sections",
        _note_section,
    ),
    Task(
        "find_vmap_area",
        "mm/vmalloc.c:find_vmap_lowest_match",
        find_vmap_area,
        (
            Claim(
                "the lowest hole that is large enough",
                1,
                "public",
                fixed(([(0x1000, 0x2000), (0x5000, 0x9000)], 0x2000), ([(0x1000, 0x2000)], 0x2000)),
            ),
            Claim("many holes; a hole of exactly the size fits", 1, "hidden", drawn(40, _holes("first"))),
            Claim(
                "variant: best fit, the smallest hole that is large enough",
                1,
                "variant",
                drawn(40, _holes("best")),
            ),
            Claim(
                "variant: the top of the highest hole that is large enough",
                1,
                "variant",
                drawn(40, _holes("top")),
            ),
        ),
        "For best fit: min() over (size of the hole, start).",
        "find_vmap_area",
    ),
    Task(
        "page_permissions",
        "kernel/module/strict_rwx.c:module_enable_ro, module_enable_nx",
        page_permissions,
        (
            Claim("hello", 1, "public", lambda random: [(part,) for part in layouts("hello")]),
            Claim(
                "modules of the distribution",
                1,
                "hidden",
                lambda random: [(p,) for p in layouts("loop", "fat", "tables")],
            ),
            Claim("groups that are empty", 1, "hidden", drawn(24, _layout(4096))),
            Claim("variant: pages of another size", 2, "variant", drawn(16, _layout(16384))),
        ),
        "One word for each page: which of the ends text_size, ro_size, ro_after_init_size, size is "
        "the first above it?",
    ),
)
