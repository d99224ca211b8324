# SPDX-License-Identifier: GPL-2.0-only
"""08: the list of modules: link, unlink, walk, find, and find what is hidden. Judged by memory of loaded
modules.
"""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Any

from ...kernel import Kernel
from ...linkedlist import LIST_POISON1, LIST_POISON2
from ..plain import Record
from ..real import image
from ..task import Case, Claim, Task, drawn, fixed

LIST = "include/linux/list.h"
Links = dict[int, tuple[int, int]]
CHAIN = ("chain_a", "chain_b", "chain_c", "crc16", "minimal", "libarc4", "no_exit")


@cache
def real_links(count: int = len(CHAIN)) -> tuple[int, tuple[tuple[int, int, int], ...]]:
    """(address of the head, rows of address, next, prev) as they stand in the memory of loaded modules."""
    kernel = Kernel(cpu=None)
    for name in CHAIN[:count]:
        kernel.finit_module(image(name))
    offset = kernel.profile.struct_module.fields["list.next"][0]
    rows, places = [], [m.address + offset for m in kernel.module_list]
    for place in places:
        words = [int.from_bytes(kernel.memory.read(place + at, 8), "little") for at in (0, 8)]
        rows.append((place, words[0], words[1]))
    head = rows[0][2] if rows else kernel.address_of("modules")
    first, last = (places[0], places[-1]) if places else (head, head)
    return head, ((head, first, last), *rows)


def links(count: int = len(CHAIN)) -> tuple[int, Links]:
    head, rows = real_links(count)
    return head, {address: (after, before) for address, after, before in rows}


def ring(addresses: list[int]) -> Links:
    """A list through these addresses; the first is the head."""
    n = len(addresses)
    return {a: (addresses[(i + 1) % n], addresses[i - 1]) for i, a in enumerate(addresses)}


def walk(table: Links, head: int, way: int = 0) -> list[int]:
    """Addresses from the head on; the list has to be whole."""
    found, at = [], table[head][way]
    while at != head:
        found.append(at)
        at = table[at][way]
    return found


def list_add(table: Links, new: int, head: int, tail: bool = False) -> Links:
    order = walk(table, head)
    return ring([head, *order, new] if tail else [head, new, *order])


def list_del(table: Links, entry: int, how: str = "rcu") -> Links:
    before = table[entry]
    order = [entry, *walk(table, entry)][1:]
    left = {"rcu": (before[0], LIST_POISON2), "plain": (LIST_POISON1, LIST_POISON2), "init": (entry, entry)}[
        how
    ]
    return {**ring(order), entry: left}


def list_entries(table: Links, head: int, backwards: bool = False) -> tuple[list[int], bool]:
    """Entries in order, and whether the walk came back to the head without a loop or a way out."""
    found: list[int] = []
    at = table[head][int(backwards)]
    while at != head:
        if at in found or at not in table:
            return found, False
        found.append(at)
        at = table[at][int(backwards)]
    return found, True


def _drawn_ring(random: Random) -> tuple[Links, list[int]]:
    addresses = random.sample(range(0xFFFFFFFFC0000008, 0xFFFFFFFFC0100000, 64), random.randrange(2, 8))
    return ring(addresses), addresses


def _add(random: Random) -> Case:
    table, addresses = _drawn_ring(random)
    return table, 0xFFFFFFFFC0200008, addresses[0]


def _remove(random: Random) -> Case:
    table, addresses = _drawn_ring(random)
    return table, random.choice(addresses[1:])


def _broken(random: Random) -> Case:
    """A list that does not come back: a loop behind the head, or a link to nowhere."""
    table, addresses = _drawn_ring(random)
    chosen = random.choice(addresses)
    wrong = random.choice((*addresses[1:], LIST_POISON1, 0))
    table[chosen] = (wrong, table[chosen][1])
    return table, addresses[0]


def _backwards(random: Random) -> Case:
    table, addresses = _drawn_ring(random)
    if random.random() < 0.5:
        chosen = random.choice(addresses)
        table[chosen] = (table[chosen][0], random.choice((*addresses[1:], LIST_POISON2)))
    return table, addresses[0], True


def find_module(rows: list[Any], name: str, even_unformed: bool = False, dashes: bool = False) -> int:
    def same(text: str) -> str:
        return text.replace("-", "_") if dashes else text

    for number, row in enumerate(rows):
        if (even_unformed or row.state != "UNFORMED") and same(row.name) == same(name):
            return number
    return -1


STATES = ("LIVE", "LIVE", "COMING", "GOING", "UNFORMED")


def _modules(random: Random) -> tuple[list[Record], str]:
    names = ["snd_pcm", "snd", "snd-pcm", "nf_nat", "nf-nat", "hello", "hell"]
    rows = [Record(name=n, state=random.choice(STATES)) for n in random.sample(names, 5)]
    return rows, random.choice([*names, "hello_"])


def _find(random: Random) -> Case:
    return _modules(random)


def _find_any(random: Random) -> Case:
    return *_modules(random), random.random() < 0.5, True


def hidden_areas(areas: list[tuple[int, int]], listed: list[tuple[int, int]], guard: int = 0) -> list[int]:
    """Starts of areas (start, size) that no listed module (base, size) accounts for, lowest first."""
    known = {(base, size + guard) for base, size in listed}
    return sorted(start for start, size in areas if (start, size) not in known)


def _rootkit(guard: int):  # type: ignore[no-untyped-def]
    """The areas of real modules, some of which were taken off the list."""

    def make(random: Random) -> Case:
        kernel = Kernel(cpu=None)
        for name in random.sample(CHAIN[3:], 3):
            kernel.finit_module(image(name))
        rows = [(m.base, m.core_size) for m in kernel.module_list]
        areas = [(base, size + guard) for base, size in rows]
        random.shuffle(areas)
        listed = random.sample(rows, random.randrange(1, len(rows) + 1))
        if random.random() < 0.6:  # one that lies about its size
            listed[0] = (listed[0][0], listed[0][1] + 4096)
        return (areas, listed) if not guard else (areas, listed, guard)

    return make


def _real_add() -> Case:
    head, before = links(4)
    new = next(a for a in links(5)[1] if a not in before)
    return before, new, head


TASKS = (
    Task(
        "list_add",
        f"{LIST}:list_add, include/linux/rculist.h:list_add_rcu",
        list_add,
        (
            Claim(
                "into an empty list, and in front of one",
                1,
                "public",
                fixed(({0x1000: (0x1000, 0x1000)}, 0x2000, 0x1000), (ring([0x1000, 0x2000]), 0x3000, 0x1000)),
            ),
            Claim(
                "the fifth of the course's modules, as it stands in memory",
                1,
                "hidden",
                lambda random: [_real_add()],
            ),
            Claim("lists of any length: four links change", 1, "hidden", drawn(32, _add)),
            Claim(
                "variant: list_add_tail",
                2,
                "variant",
                lambda random: [(*_add(random), True) for _ in range(32)],
            ),
        ),
        "Four words: new.next, new.prev, and one in each neighbour. The neighbours of list_add are "
        "head and head.next.",
    ),
    Task(
        "list_del",
        "include/linux/rculist.h:list_del_rcu",
        list_del,
        (
            Claim(
                "the only one, and one of two",
                1,
                "public",
                fixed((ring([0x1000, 0x2000]), 0x2000), (ring([0x1000, 0x2000, 0x3000]), 0x2000)),
            ),
            Claim(
                "the removed entry keeps next for readers; prev is LIST_POISON2",
                1,
                "hidden",
                drawn(32, _remove),
            ),
            Claim(
                "out of the list of real modules",
                1,
                "hidden",
                lambda random: [(links()[1], address) for address in list(links()[1])[1:4]],
            ),
            Claim(
                "variant: list_del poisons both, list_del_init points to itself",
                2,
                "variant",
                lambda random: [(*_remove(random), how) for how in ("plain", "init") * 4],
            ),
        ),
        "The neighbours join; then the removed entry's own two words.",
    ),
    Task(
        "list_entries",
        "include/linux/rculist.h:list_for_each_entry_rcu",
        list_entries,
        (
            Claim("the list of real modules", 1, "public", lambda random: [(links()[1], links()[0])]),
            Claim("an empty list", 1, "hidden", fixed(({0x1000: (0x1000, 0x1000)}, 0x1000))),
            Claim("a list that loops or leads nowhere must not hang you", 1, "hidden", drawn(80, _broken)),
            Claim("variant: backwards, along prev", 2, "variant", drawn(64, _backwards)),
        ),
        "Stop with False when you meet an entry again, or an address that is not in the table.",
    ),
    Task(
        "find_module",
        "kernel/module/main.c:find_module_all",
        find_module,
        (
            Claim(
                "a module, and none",
                1,
                "public",
                fixed(
                    ([Record(name="hello", state="LIVE")], "hello"),
                    ([Record(name="hello", state="LIVE")], "hell"),
                ),
            ),
            Claim("UNFORMED modules are passed over", 1, "hidden", drawn(96, _find)),
            Claim("variant: even_unformed, and - and _ are the same", 2, "variant", drawn(96, _find_any)),
        ),
        "The number of the first row that fits, or -1.",
    ),
    Task(
        "hidden_areas",
        "mm/vmalloc.c:s_show, kernel/module/procfs.c:m_show",
        hidden_areas,
        (
            Claim(
                "one area that nobody lists",
                1,
                "public",
                fixed(([(0x1000, 0x4000), (0x9000, 0x2000)], [(0x1000, 0x4000)])),
            ),
            Claim("areas of real modules", 1, "hidden", drawn(10, _rootkit(0))),
            Claim(
                "variant: areas are one guard page larger than modules",
                2,
                "variant",
                drawn(10, _rootkit(4096)),
            ),
        ),
        "Compare start and size: a module that lies about its size accounts for nothing.",
    ),
)
