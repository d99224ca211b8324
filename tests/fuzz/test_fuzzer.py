# SPDX-License-Identifier: GPL-2.0-only
"""What was found once stays found; the fuzzer finds what is planted, and makes the same cases everywhere."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from kmodsim import Kernel, sample
from kmodsim.files import module_kallsyms
from kmodsim.loader import finalize, layout, relocate
from kmodsim.memory import Heap, Memory
from tests.faults.editor import Image

from . import check, run
from .case import Case, apply_edits, bases, dumps, edits, loads, make_case, sound
from .layout import RECORDS, tables

pytestmark = pytest.mark.core

FINDS = sorted((Path(__file__).parent / "finds").glob("*.json"))
FEW = 250


@pytest.mark.parametrize("path", FINDS, ids=[path.stem for path in FINDS])
def test_found_once(path: Path) -> None:
    """Ends as the kernel's source says (``source``), and all that check.py asks for holds."""
    case, words = loads(path.read_text())
    assert check.run(case) == words["ends"], f"{words['what']} {words['source']}"


def test_a_few_cases_hold_and_go_many_ways() -> None:
    ends = Counter(check.run(make_case(7, number)) for number in range(FEW))
    stages = {end.removeprefix("audited, ").split(":")[0] for end in ends}
    assert {"loaded", "elf_validity_check", "simplify_symbols", "apply_relocations"} <= stages
    assert len(stages) >= 10, f"too many of the cases end alike: {ends}"
    assert ends["loaded"] < FEW / 2, "too few of the cases are broken"


def names_inside_names(count: int, length: int) -> bytes:
    """One string of ``length`` bytes, and ``count`` symbols whose names begin everywhere in it."""
    image = Image(sound("minimal"))
    table = image.section(".symtab", "sh_link")
    at = image.section(table, "sh_size")
    image.replace(table, image.content(table) + b"A" * length + b"\0")
    more = (struct.pack("<IBBHQQ", at + i % length, 0, 0, 1, 0, 0) for i in range(count))
    return bytes(image.replace(".symtab", image.content(".symtab") + b"".join(more)))


def test_names_inside_names_cost_no_more_than_the_kernel_gives_them() -> None:
    """kernel/module/kallsyms.c:layout_symtab makes room for every name in full: 54 KB ask for 23 MB, which
    once took 420 MB. Names are shown up to KSYM_NAME_LEN - 1 = 511 bytes (module_get_kallsym)."""
    data, kernel = names_inside_names(1000, 24_000), Kernel(cpu=None)
    tracemalloc.start()
    try:
        module = check.timed(lambda: kernel.finit_module(data), "the load")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert module.size > 1000 * 23_000
    assert peak < 8 * module.size
    names = [line.split()[2] for line in module_kallsyms(kernel, module)]
    assert max(map(len, names)) == 511


def test_names_are_packed_as_one_after_the_other_would_be() -> None:
    """Names that follow each other travel together; those that run on or start behind the end do not."""
    rng = Random(1)
    for _ in range(300):
        strings = np.frombuffer(bytes(rng.choices(b"\0ab", k=rng.randrange(1, 30))), np.uint8)
        offsets = np.array([rng.randrange(40) for _ in range(rng.randrange(12))], np.uint32)
        names = [strings.tobytes()[at:].split(b"\0")[0] + b"\0" for at in offsets.tolist()]
        text, places = finalize.pack_strings(
            strings.tobytes(), offsets, layout.string_lengths(strings, offsets)
        )
        assert text == b"".join(names), (strings.tobytes(), offsets.tolist())
        assert places.tolist() == [sum(map(len, names[:i])) for i in range(len(names))]


# --- it does find ---------------------------------------------------------------------------------


HELLO = Case("hello", sound("hello"), params=b"whom=you howmany=2")


def test_a_sound_module_is_no_find() -> None:
    assert check.run(HELLO) == "loaded"
    assert run.signature(HELLO) == ""


@pytest.mark.parametrize("error", [ValueError, IndexError, OverflowError, MemoryError])
def test_a_foreign_exception_is_found(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise error("planted")

    monkeypatch.setattr(Kernel, "set_refcount", broken)
    assert run.signature(HELLO).startswith(f"{error.__name__} test_fuzzer.py:broken")


@pytest.mark.parametrize(
    ("owner", "name", "said"),
    [(Memory, "vfree", "regions"), (Heap, "kfree", "heap"), (Kernel, "withdraw_exports", "exports")],
)
def test_what_is_left_behind_is_found(
    owner: Any, name: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, lambda *_: None)
    case = Case("chain_a", sound("chain_a"), refuse=19, way="init")
    with pytest.raises(check.Find, match=f"^{said} differs after"):
        check.run(case)


def test_a_slow_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "LIMIT", 0.0)
    with pytest.raises(check.Find, match="took"):
        check.run(HELLO)


@pytest.mark.parametrize("value", [np.int64(3), [np.uint8(1)], {"a": (1, np.bool_(True))}, np.zeros(1)])
def test_numbers_of_numpy_are_found_in_pure_functions(value: Any) -> None:
    with pytest.raises(check.Find, match="not plain"):
        check._guarded("copy_chunks")(value)
    assert check._guarded("copy_chunks")(3) == [(0, 3)]


def test_two_ways_to_relocate_that_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = relocate._apply_at_once

    def crooked(load: Any, batch: Any) -> bool:
        done = at_once(load, batch)
        for piece in batch:
            load.kernel.memory.write(piece.target.addr + int(piece.table["r_offset"][0]), b"\x11")
        return done

    monkeypatch.setattr(relocate, "_apply_at_once", crooked)
    with pytest.raises(check.Find, match=r"other bytes in memory|another end"):
        check.run(Case("hello", sound("hello"), way="audited"))


# --- cases ----------------------------------------------------------------------------------------


def digest(numbers: range) -> str:
    return hashlib.sha256("".join(dumps(make_case(3, n)) for n in numbers).encode()).hexdigest()


def test_a_case_is_the_same_in_another_process() -> None:
    """Neither the order of sets nor anything that ran before may count."""
    code = "from tests.fuzz.test_fuzzer import digest; print(digest(range(40, 80)))"
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "77"}, text=True, check=True,
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert told.stdout.strip() == digest(range(40, 80))


def test_other_numbers_and_seeds_give_other_cases() -> None:
    made = [make_case(seed, number).data for seed in (1, 2) for number in range(40)]
    assert len(set(made)) > 75
    assert sum(data in map(sound, bases()) for data in made) < 8, "most are changed"


@pytest.mark.parametrize("number", range(60))
def test_a_case_survives_its_text(number: int) -> None:
    case = make_case(5, number)
    assert loads(dumps(case)) == (case, {})


def test_edits() -> None:
    assert edits(b"abcdef", b"aXcdef") == [(1, "58")]
    assert edits(b"abc", b"abc\0\0Z") == [(5, "5a")], "behind the end there are zeros"
    assert apply_edits(b"abcdef", 8, [(1, "58"), (7, "5a")]) == b"aXcdef\0Z"
    assert apply_edits(b"abcdef", 2, []) == b"ab"


def test_a_find_gets_smaller() -> None:
    """Of a hundred changed bytes the one that matters is left, and none of the circumstances."""
    data = bytearray(sound("minimal"))
    data[0] = 0  # EI_MAG0
    data[200:300] = bytes(100)
    case = Case("minimal", bytes(data), params=b"x=1", flags=3, cmdline="lockdown=none", cpus=2)

    def signature(tried: Case) -> str:
        return "planted" if tried.data[:1] == b"\0" else ""

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "signature", signature)
        small = run.smaller(case, "planted")
    assert (small.params, small.flags, small.cmdline, small.cpus) == (b"", 0, "", 1)
    assert edits(sound("minimal"), small.data) == [(0, "00")]


@pytest.mark.parametrize("name", ["tables", "hello", "chain_a", "crc16"])
def test_tables_lie_in_the_file(name: str) -> None:
    found = tables(sound(name))
    kinds = {table.kind for table in found}
    assert {"header", "section", "symbol"} <= kinds
    assert all(table.offset + table.size * table.count <= len(sound(name)) for table in found)
    assert name != "tables" or kinds.issuperset({".altinstructions", "__jump_table", ".static_call_sites"})
    assert ("signature" in kinds) == (name == "crc16"), "only Debian's are signed"


def test_every_kind_of_record_is_in_some_module() -> None:
    """A name in RECORDS that no module has would never be broken."""
    seen = {table.kind for name in bases() for table in tables(sound(name))}
    assert set(RECORDS) - seen <= {".retpoline_sites", "__kcrctab_gpl", "__ksymtab_gpl"}


def test_unsigned_is_the_file_without_its_signature() -> None:
    """objcopy knows nothing of the signature: the ELF file ends with its section header table."""
    data = sound("crc16-unsigned")
    assert sample("crc16").read_bytes().startswith(data)
    shoff = int.from_bytes(data[40:48], "little")
    count = int.from_bytes(data[60:62], "little")
    assert shoff + 64 * count == len(data)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_reports_and_says_so_in_its_status(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run.main(["--runs", "5", "--seed", "9"]) == 0
    assert "seed 9: 5 runs" in capsys.readouterr().out

    def broken(*_: object) -> None:
        raise ValueError("planted")

    monkeypatch.setattr("kmodsim.syscalls.Call.take", broken)
    assert run.main(["--runs", "5", "--seed", "9"]) == 1
    out = capsys.readouterr().out
    assert "FIND seed 9 case" in out
    assert "ValueError" in out


def test_the_command_keeps_to_its_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--runs", "1000000", "--seconds", "0"]) == 0
    assert "seed 1: 0 runs" in capsys.readouterr().out
