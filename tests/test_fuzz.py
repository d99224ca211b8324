# SPDX-License-Identifier: GPL-2.0-only
"""Whatever the bytes: nothing but KernelError comes out, and a refused file leaves the kernel as it was."""

from __future__ import annotations

import random
import struct
import time
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, KernelOops, sample

from .faults.editor import HEADER, RELOCATION, SECTION, SYMBOL, Image
from .heart import snapshot

pytestmark = pytest.mark.core
SECONDS = 2.0
# small, and with everything in them: parameters, per-CPU data, exports, tables for patching
FILES = [
    sample(name).read_bytes() for name in ("hello", "percpu", "chain_a", "tables", "minimal", "gpl_only")
]
NUMBERS = [0, 1, 2, 3, 7, 8, 63, 64, 255, 4095, 4096, 0xFF00, 0xFFF1, 0xFFF2, 0xFFFF, 0x7FFFFFFF, 0x80000000,
           0xFFFFFFFF, 1 << 32, 1 << 40, 1 << 62, 1 << 63, (1 << 64) - 1, (1 << 64) - 4096]  # fmt: skip


def number(rng: random.Random, code: str) -> int:
    """A number that is likely to hurt, cut to the field's width."""
    value = rng.choice(NUMBERS) if rng.random() < 0.7 else rng.getrandbits(64)
    value = (value + rng.choice((0, 0, 1, -1))) % (1 << 8 * struct.calcsize(code))
    return value - (1 << 64) if code == "<q" and value >> 63 else value


def header_field(image: Image, rng: random.Random) -> None:
    field = rng.choice([name for name in HEADER if name.startswith("e_")])
    image.set_header(**{field: number(rng, HEADER[field][1])})


def section_field(image: Image, rng: random.Random) -> None:
    field = rng.choice(list(SECTION))
    image.set_section(rng.randrange(image.header("e_shnum")), **{field: number(rng, SECTION[field][1])})


def symbol_field(image: Image, rng: random.Random) -> None:
    field = rng.choice(list(SYMBOL))
    count = image.section(".symtab", "sh_size") // 24
    image.set_symbol(rng.randrange(count), **{field: number(rng, SYMBOL[field][1])})


def relocation_field(image: Image, rng: random.Random) -> None:
    tables = [i for i in range(image.header("e_shnum")) if image.section(i, "sh_type") == 4]
    table, field = rng.choice(tables), rng.choice(list(RELOCATION))
    base = image.section(table, "sh_offset") + 24 * rng.randrange(image.section(table, "sh_size") // 24)
    struct.pack_into(
        RELOCATION[field][1], image.data, base + RELOCATION[field][0], number(rng, RELOCATION[field][1])
    )


def bytes_anywhere(image: Image, rng: random.Random) -> None:
    for _ in range(rng.randrange(1, 9)):
        image.data[rng.randrange(len(image.data))] = rng.randrange(256)


def section_bytes(image: Image, rng: random.Random) -> None:
    """Bytes inside a section that the loader reads as records."""
    index = rng.randrange(1, image.header("e_shnum"))
    start, size = image.section(index, "sh_offset"), image.section(index, "sh_size")
    if image.section(index, "sh_type") != 8 and size:
        place = start + rng.randrange(size)
        data = rng.randbytes(rng.choice((1, 2, 4, 8)))
        image.data[place : place + len(data)] = data


def cut(image: Image, rng: random.Random) -> None:
    del image.data[rng.randrange(len(image.data)) :]


MUTATIONS: tuple[Callable[[Image, random.Random], None], ...] = (
    header_field, section_field, section_field, section_field, symbol_field, relocation_field, bytes_anywhere,
    section_bytes, section_bytes, cut,
)  # fmt: skip


def mutated(seed: int) -> bytes:
    """The same seed gives the same file, everywhere."""
    rng = random.Random(seed)
    image = Image(rng.choice(FILES))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        try:
            rng.choice(MUTATIONS)(image, rng)
        except (LookupError, ValueError, ArithmeticError, struct.error):
            break  # an earlier change took away what this one wanted to change
    return bytes(image)


def attempt(image: bytes, *, trace: bool) -> str:
    """Load and unload; how it ended. A file that is refused must leave nothing behind; an oops may."""
    kernel = Kernel(cpu=None)
    before = snapshot(kernel)
    load = kernel.load(image, trace=trace)
    if load.error is None:
        name = load.module.name
        assert load.module.state == "LIVE"
        kernel.read("/proc/modules")
        kernel.delete_module(name.encode("utf-8", "surrogateescape") or b"\0", flags=0o1000)
    elif isinstance(load.error, KernelOops):
        return "oops"
    assert snapshot(kernel) == before
    return "loaded" if load.error is None else str(load.error.errno)


def test_mutated_modules() -> None:
    """Seeded, bounded by time: seed N is the same file on every machine, a slower one just tries fewer."""
    ends: Counter[str] = Counter()
    stop, seed = time.monotonic() + SECONDS, 0
    while time.monotonic() < stop or seed < 100:
        image = mutated(seed)
        try:
            ends[attempt(image, trace=seed % 4 == 0)] += 1
        except KernelError:
            raise
        except Exception as problem:
            pytest.fail(f"seed {seed}: {problem!r}")
        seed += 1
    assert {"loaded", "8", "oops"} <= set(ends), ends  # the mutations reach all kinds of ends


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    attempt(data, trace=False)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 70))
def test_any_bytes_behind_a_real_header(data: bytes, at: int) -> None:
    image = bytearray(FILES[4])
    image[at : at + len(data)] = data
    attempt(bytes(image), trace=False)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_any_arguments(text: str) -> None:
    kernel = Kernel(cpu=None)
    before = snapshot(kernel)
    load = kernel.load(FILES[0], text.encode("utf-8", "surrogatepass"))
    if load.error is None:
        kernel.delete_module("hello")
    assert snapshot(kernel) == before


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_any_path(path: str, text: str) -> None:
    kernel = Kernel(cpu=None)
    for call in (lambda: kernel.read(path), lambda: kernel.listdir(path), lambda: kernel.write(path, text),
                 lambda: kernel.read(f"/sys/module/{path}"), lambda: kernel.delete_module(path)):  # fmt: skip
        try:
            call()
        except KernelError:
            pass
