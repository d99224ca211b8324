# SPDX-License-Identifier: GPL-2.0-only
"""One input of the fuzzer: a file's bytes, how it is loaded, into which kernel. Made from (seed, number)."""

from __future__ import annotations

import gzip
import json
import lzma
from dataclasses import asdict, dataclass
from functools import cache
from random import Random
from typing import Any

from kmodsim import Kernel, ModuleFile, corpus, sample, samples

from .layout import Table, tables
from .mutate import IN_PLACE, mutate

SMALL = 40_000  # bytes; larger modules of the distribution only cost time
MARKER = b"~Module signature appended~\n"
GOOD = (
    "",
    "",
    "howmany=3",
    "whom=world",
    "a_bool",
    "a_bool=n a_byte=300",
    "numbers=1,2,3,4,5,6,7,8,9",
    "level=0x10",
    'shout=1 word="a b c"',
    "dyndbg=+p",
    "-- x",
    "x.y=1",
    "err=-5",
)
STRICT = ("lockdown=integrity", "module.sig_enforce=1", "nomodule", "module_blacklist=hello,minimal")
WAYS = ("finit", "finit", "finit", "finit", "init", "user", "traced", "traced", "audited", "audited", "tools")
FORMATS = {
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "xz": lambda data: lzma.compress(data, preset=0),
}


@dataclass
class Case:
    """``data`` as it comes from mutating ``base``; the rest are the circumstances."""

    base: str
    data: bytes
    params: bytes = b""
    flags: int = 0
    way: str = "finit"
    before: tuple[str, ...] = ()  # modules that are loaded already
    cmdline: str = ""
    cpus: int = 1
    uid: int | None = None
    returned: int | None = None  # what init answers; None: there is nothing that runs code
    refuse: int = 0  # a notifier's errno at COMING
    delete_flags: int = 0o4000
    packed: str = ""

    def kernel(self, stages: dict[str, Any] | None = None) -> Kernel:
        """A freshly booted kernel with the modules loaded that are to be there before."""
        kernel = Kernel(cpu=None, cmdline="", cpus=self.cpus, stages=stages)
        for name in self.before:
            kernel.finit_module(sound(name))
        if self.cmdline:  # what was loaded before was loaded before it was forbidden
            strict = Kernel(cpu=None, cmdline=self.cmdline)
            for attribute in ("cmdline", "lockdown", "sig_enforce", "modules_disabled"):
                setattr(kernel, attribute, getattr(strict, attribute))
        if self.returned is not None:
            kernel.cpu = Answer(self.returned)
        if self.refuse:
            kernel.register_module_notifier(lambda state, mod: self.refuse if state == "COMING" else 0)
        return kernel


class Answer:
    """A processor that runs nothing: every function returns the same number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def run(self, module: Any, address: int, *args: int) -> int:
        return self.value

    def set_parameter(self, module: Any, param: int, ops: int, value: bytes | None) -> int:
        return 0

    def get_parameter(self, module: Any, param: int, ops: int) -> bytes:
        return b""


@cache
def bases() -> tuple[str, ...]:
    """All samples, and the distribution's small modules."""
    real = (name for name in corpus.distribution() if sample(name).stat().st_size < SMALL)
    return (*samples(), *real)


@cache
def sound(name: str) -> bytes:
    """A module's file. A name with "-unsigned" is that of a distribution's module without its signature."""
    data = sample(name.removesuffix("-unsigned")).read_bytes()
    if name.endswith("-unsigned") and data.endswith(MARKER):
        length = int.from_bytes(data[-32:-28], "big")
        return data[: -40 - length]
    return data


@cache
def known_tables(name: str) -> list[Table]:
    return tables(sound(name))


@cache
def providers(name: str) -> tuple[str, ...]:
    """What has to be loaded before, in order, as far as it comes along."""
    found: list[str] = []
    for tag, value in ModuleFile(sound(name)).modinfo:
        if tag == "depends":
            for other in filter(None, value.split(",")):
                found += [*providers(other), other]
    return tuple(dict.fromkeys(found))


def make_case(seed: int, number: int) -> Case:
    """The case ``number`` of a seed: the same whenever and wherever it is made."""
    rng = Random(f"{seed}:{number}")
    base = rng.choice(bases())
    if sound(base).endswith(MARKER) and rng.random() < 0.8:
        base += "-unsigned"
    data = mutate(rng, sound(base), known_tables(base))
    before = set(providers(base)) if rng.random() < 0.8 else set()
    if rng.random() < 0.1:
        before.add(rng.choice(("hello", "no_exit", "chain_a", "proprietary", "percpu", "loop", base)))
    ordered = [name for other in sorted(before) for name in (*providers(other), other)]
    case = Case(
        base,
        data,
        _params(rng),
        rng.choice((1, 2, 3, 3, 4, 8, -1)) if rng.random() < 0.15 else 0,
        rng.choice(WAYS),
        tuple(name for name in dict.fromkeys(ordered) if _loads(name)),
        rng.choice(STRICT) if rng.random() < 0.05 else "",
        rng.choice((1, 1, 2)),
        rng.choice((0, 1000)) if rng.random() < 0.03 else None,
        rng.choice((None, 0, 0, -12, -5000, 5, 1 << 40)) if rng.random() < 0.3 else None,
        19 if rng.random() < 0.06 else 0,
        rng.choice((0o4000, 0, 0o1000, 0o5000, 0xFFFFFFFF)),
    )
    if rng.random() < 0.03:
        case.packed = rng.choice(("gzip", "xz"))
        case.data = _packed(rng, case.packed, data)
    return case


@cache
def _loads(name: str) -> bool:
    kernel = Kernel(cpu=None)
    try:
        for other in (*providers(name), name):
            kernel.finit_module(sound(other))
    except OSError:
        return False
    return True


def _params(rng: Random) -> bytes:
    words = rng.choices(GOOD, k=rng.choice((0, 1, 1, 3)))
    raw = bytearray(" ".join(words).encode())
    if rng.random() < 0.3:
        for _ in range(rng.choice((1, 4))):
            at = rng.randrange(len(raw) + 1)
            raw[at:at] = rng.choice(
                (b"\xff", b'"', b"=", b",", b"\\", b"\t", b"9" * 30, b"x" * 1100, b"\0", b"-", b"+")
            )
    return bytes(raw)


def _packed(rng: Random, kind: str, data: bytes) -> bytes:
    """Compressed, and then broken in half of the cases."""
    raw = bytearray(FORMATS[kind](data))
    if rng.random() < 0.5:
        place = [Table("all", 0, 1, len(raw), ((0, "<B"),))]
        for function, _ in IN_PLACE[1:3]:
            function(rng, raw, place)
    return bytes(raw)


# --- a case as a small text file ------------------------------------------------------------------


def edits(base: bytes, data: bytes) -> list[tuple[int, str]]:
    """(offset, new bytes as hex) of the runs that differ from the sound file, which goes on with zeros
    behind its end. Runs 4 bytes apart are one, up to 64 bytes."""
    was = base.ljust(len(data), b"\0")
    places = [i for i in range(len(data)) if was[i] != data[i]]
    runs: list[list[int]] = []
    for place in places:
        if runs and place - runs[-1][1] < 4 and place - runs[-1][0] < 64:
            runs[-1][1] = place + 1
        else:
            runs.append([place, place + 1])
    return [(start, data[start:end].hex()) for start, end in runs]


def apply_edits(base: bytes, length: int, changes: list[tuple[int, str]]) -> bytes:
    data = bytearray(base[:length].ljust(length, b"\0"))
    for offset, new in changes:
        data[offset : offset + len(new) // 2] = bytes.fromhex(new)
    return bytes(data[:length])


def dumps(case: Case, **words: str) -> str:
    """Text: ``words`` about it, the circumstances, what differs from the sound module."""
    plain = words | {k: v for k, v in asdict(case).items() if k != "data"}
    plain |= {"params": case.params.decode("latin-1"), "before": list(case.before), "length": len(case.data)}
    base = b"" if case.packed else sound(case.base)
    lines = ",\n  ".join(json.dumps(edit) for edit in edits(base, case.data))
    head = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in plain.items())
    return f'{{{head},\n "edits": [\n  {lines}\n]}}\n'


def loads(text: str) -> tuple[Case, dict[str, Any]]:
    """(case, what else stands in the file)."""
    raw = json.loads(text)
    base = b"" if raw["packed"] else sound(raw["base"])
    raw["data"] = apply_edits(base, raw.pop("length"), [(o, h) for o, h in raw.pop("edits")])
    raw |= {"params": raw["params"].encode("latin-1"), "before": tuple(raw["before"])}
    names = Case.__dataclass_fields__
    return Case(**{k: v for k, v in raw.items() if k in names}), {
        k: v for k, v in raw.items() if k not in names
    }
