# SPDX-License-Identifier: GPL-2.0-only
"""Random sequences over the samples: each a boot of its own, 40 operations drawn with a seed.

What comes of an operation is not known when it is drawn: most names are of modules that were tried
lately, so that loads and unloads meet each other in every state, but wrong order, unknown names, broken
files, bad flags and users without rights are drawn too. Left out is what only a module's own code
decides (the parameters of param_callback), what kills the caller, and forcing out a device that is open.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.faults.case import (
    O_NONBLOCK,
    O_TRUNC,
    Case,
    Operation,
    init,
    load,
    parameter,
    read,
    unload,
    write,
)
from tests.faults.files import PLAIN
from tests.faults.parameters import LINES

from .samples import NEEDS, snapshot

SEQUENCES = 30
OPERATIONS = 40
DEVICE, SLOTS = "/dev/chardev", 4
SIGN_ONLY = "/sys/module/module/parameters/sig_enforce"
NO_MORE = "/proc/sys/kernel/modules_disabled"

# Files that are refused late, or leave a trace in taints, versions or the list. Those called hello otherwise.
BROKEN = (
    "magic", "truncated", "no_symtab", "write_exec", "layout_crc", "vermagic_release", "vermagic_missing",
    "no_versions", "no_license", "license_proprietary", "in_tree", "staging", "symbol_crc", "gpl_crc",
    "unknown_two", "common", "export_of_kernel", "chain_a_twin", "relocation_unknown", "relocation_target",
    "relocation_32_overflow", "name_slash", "name_built_in", "percpu_full", "section_flags_livepatch",
    "signature_trailing_byte", "signature_edited_body", "signed",
)  # fmt: skip
OTHER_PARAMS: dict[str, tuple[str, ...]] = {
    "fail_init": ("error=0", "error=1", "error=-12", "error=x", "error=0 nobody=1"),
    "percpu": ("counter=3", "counter=", "counter=0x10"),
    "tables": ("loud", "loud=0", "loud=maybe"),
}
LOAD_FLAGS = (0, 1, 2, 3, 1, 2, 4, 8, 0x80000000)
UNLOAD_FLAGS = (0, O_TRUNC, O_TRUNC | O_NONBLOCK, O_TRUNC | O_NONBLOCK, 0x40000000, 1)
WRITES = (
    ("howmany", "0"), ("howmany", "many"), ("a_byte", "256"), ("a_bool", "y"), ("an_invbool", "n\n"),
    ("whom", "me"),
    ("numbers", "3,1"), ("numbers", "1,2,3,4,5"), ("coordinates", "0x10"), ("a_string", "sixteen letters!"),
    ("a_charp", "held by the heap"), ("risky", "1"), ("hidden", "1"), ("port", "1"), ("a_hexint", "0xfeed"),
)  # fmt: skip
ATTRIBUTES = ("refcnt", "initstate", "coresize", "initsize", "taint", "version", "srcversion", "nothing")
TROUPES = (
    ("chain_a", "chain_b", "chain_c", "duplicate_export", "hello"),
    ("diamond_bottom", "diamond_left", "diamond_right", "diamond_top", "minimal"),
    ("gpl_only", "gpl_user", "proprietary", "proprietary_heir", "proprietary_bridge", "proprietary_gpl"),
    ("namespace_provider", "namespace_user", "namespace_thief", "weak_symbol", "no_init", "percpu"),
    ("chardev", "no_exit", "fail_init", "tables", "hello", "param_callback"),
    tuple(sorted(PLAIN)),
)


class Sequence:
    """Draws one sequence; what it remembers is what was tried, not what came of it."""

    def __init__(self, number: int) -> None:
        self.random = Random(f"sequence {number}")
        self.number = number
        troupes = self.random.sample(TROUPES, 2)
        self.names = sorted({name for troupe in troupes for name in troupe})
        self.tried: list[str] = []
        self.held: set[int] = set()
        self.closed = False  # nothing unsigned can be loaded any more

    def case(self) -> Case:
        operations: list[Operation] = []
        while len(operations) < OPERATIONS:
            operations += self._closing(len(operations)) or self._next(OPERATIONS - len(operations))
        name = f"sequence/{self.number:02d}"
        return Case(name, "sequences", tuple(operations), name)

    def _closing(self, done: int) -> list[Operation]:
        """Some sequences end on a kernel that takes no more modules, or signed ones only."""
        if done < OPERATIONS - 6 or self.number % 4 or self.closed:
            return []
        self.closed = True
        return [write(SIGN_ONLY, "1") if self.number % 8 else write(NO_MORE, "1")]

    def _next(self, room: int) -> list[Operation]:
        kinds = (
            (self._load, 36), (self._family, 16), (self._unload, 24), (self._hold, 6), (self._release, 9),
            (self._write, 8), (self._look, 8), (self._meanwhile, 2),
        )  # fmt: skip
        draw = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        found = draw()
        return found if 0 < len(found) <= room else [self._unload_one()]

    # -- loading ---

    def _load(self) -> list[Operation]:
        if self.random.random() < 0.1:
            return [self._broken()]
        return [self._load_one(self.random.choice(self.names))]

    def _load_one(self, name: str) -> Operation:
        self.tried.append(name)
        more: dict[str, int] = {}
        chance = self.random.random()
        if chance < 0.15:
            more["flags"] = self.random.choice(LOAD_FLAGS)
        elif chance < 0.19:
            more["uid"] = 1000
        call: Callable[..., Operation] = init if chance > 0.85 else load
        return call(name, self._params(name), **more)

    def _params(self, name: str) -> str | None:
        if name == "hello" and self.random.random() < 0.7:
            return self.random.choice(LINES)[0]
        if name in OTHER_PARAMS and self.random.random() < 0.6:
            return self.random.choice(OTHER_PARAMS[name])
        return self.random.choice((None, None, None, "", "nobody=1", "-- rest"))

    def _broken(self) -> Operation:
        file = self.random.choice(BROKEN)
        names = {"chain_a_twin": "chain_a", "signed": "crc7", "name_slash": "he/lo"}
        self.tried.append(names.get(file, "hello"))
        flags = self.random.choice((0, 0, 1, 2, 3))
        return load(file, flags=flags) if flags else load(file)

    def _family(self) -> list[Operation]:
        """A module behind all that it needs."""
        name = self.random.choice([name for name in self.names if name in NEEDS] or self.names)
        self.tried += [*NEEDS.get(name, ()), name]
        return [*map(load, NEEDS.get(name, ())), load(name)]

    def _meanwhile(self) -> list[Operation]:
        """A slow module is coming while others go on; what is called hello goes first, so that it can."""
        if self.closed:
            return []
        self.tried.append("hello")
        inner = [self._unload_one("hello")]
        inner += [self._load_one(self.random.choice(("minimal", "no_init", "diamond_bottom")))]
        self.random.shuffle(inner)
        return [
            unload("hello", flags=O_TRUNC | O_NONBLOCK),
            load("slow", background=1, until="hello"),
            *inner,
            {"op": "join", "background": 1},
        ]

    # -- unloading ---

    def _unload(self) -> list[Operation]:
        return [self._unload_one()]

    def _unload_one(self, name: str = "") -> Operation:
        name = name or self._lately()
        more: dict[str, int] = {}
        chance = self.random.random()
        if chance < 0.3:
            more["flags"] = self.random.choice(UNLOAD_FLAGS)
        elif chance < 0.34:
            more["uid"] = 1000
        if name == "chardev" and self.held:
            more["flags"] = more.get("flags", 0) & ~O_TRUNC
        return unload(name, **more)

    def _lately(self) -> str:
        """A name that was tried, mostly; the last ones more often than the first."""
        if not self.tried or self.random.random() < 0.06:
            return self.random.choice((*self.names, "nobody", "chain-a", "hello "))
        return self.tried[-min(int(self.random.expovariate(0.2)) + 1, len(self.tried))]

    # -- holding, writing, looking ---

    def _hold(self) -> list[Operation]:
        free = sorted(set(range(SLOTS)) - self.held)
        if not free or "chardev" not in self.tried:
            return [self._load_one("chardev")]
        slot = self.random.choice(free)
        self.held.add(slot)
        return [{"op": "hold", "path": DEVICE, "slot": slot}]

    def _release(self) -> list[Operation]:
        if not self.held:
            return []
        slot = self.random.choice(sorted(self.held))
        self.held.discard(slot)
        return [{"op": "release", "slot": slot}]

    def _write(self) -> list[Operation]:
        if "hello" not in self.tried:
            return [self._load_one("hello")]
        name, text = self.random.choice(WRITES)
        after = [read(parameter(name))] if self.random.random() < 0.5 else []
        return [write(parameter(name), text), *after]

    def _look(self) -> list[Operation]:
        name = self._lately()
        if self.random.random() < 0.3:
            return [snapshot(name)]
        return [read(f"/sys/module/{name}/{self.random.choice(ATTRIBUTES)}")]


def sequence_cases() -> list[Case]:
    """The same sequences whenever it is called."""
    return [Sequence(number).case() for number in range(SEQUENCES)]
