# SPDX-License-Identifier: GPL-2.0-only
"""Annotated disassembly: boundaries and relocations as binutils' objdump says, patches as the kernel's
recorded memory has them (the bytes of code are held against the recordings in ``test_coming_truth.py``)."""

from __future__ import annotations

import builtins
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, ModuleFile, cli, corpus, sample
from kmodsim.cpu import disassembly
from kmodsim.cpu.disassembly import decode, disassemble

pytest.importorskip("capstone", reason="needs capstone (the extra exec)")


@cache
def loaded(name: str, cpu_model: str = "qemu64") -> Any:
    load = Kernel(cpu=None, cpu_model=cpu_model).load(sample(name))
    assert load.error is None
    return load


# --- against objdump

HEADING = re.compile(r"Disassembly of section (.+):$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t((?:[0-9a-f]{2} )+)")
RELOCATION = re.compile(r"\t([0-9a-f]+): (R_X86_64_\w+)\t(\S+)")


def objdump(tool: str, path: Path) -> tuple[list[Any], list[Any]]:
    """(section, offset, bytes) of every instruction, (section, place, type, symbol+addend) of every
    relocation in code, as ``objdump -dr`` prints them."""
    done = subprocess.run([tool, "-drzw", str(path)], capture_output=True, text=True, check=True, timeout=120)
    section, rows, relocations = "", [], []
    for line in done.stdout.splitlines():
        if found := HEADING.match(line):
            section = found[1]
        elif found := INSTRUCTION.match(line):
            rows.append((section, int(found[1], 16), found[2].replace(" ", "")))
        relocations += [(section, int(at, 16), kind, what) for at, kind, what in RELOCATION.findall(line)]
    return rows, relocations


def compare_with_objdump(tool: str, path: Path) -> int:
    """How many instructions are the same; an assertion where one is not."""
    listing = disassemble(ModuleFile(path))
    rows, relocations = objdump(tool, path)
    assert [(i.section, i.offset, i.code.hex()) for i in listing] == rows
    mine = [(i.section, r.offset, r.type_name, disassembly.signed_name(r.symbol, r.addend or 0))
            for i in listing for r in i.relocations]  # fmt: skip
    assert mine == relocations
    return len(rows)


def modules_along() -> list[str]:
    return [*corpus.samples(), *corpus.distribution()]


@pytest.mark.tool
def test_boundaries_and_relocations_are_objdumps(needs: Callable[[str], str]) -> None:
    """All modules that come along, samples and the distribution's."""
    tool = needs("objdump")
    assert sum(compare_with_objdump(tool, sample(name)) for name in modules_along()) > 150_000


@pytest.mark.tree
def test_boundaries_are_objdumps_in_the_tree(needs: Callable[[str], str], tree: Path) -> None:
    """Every fortieth module of the distribution."""
    tool = needs("objdump")
    paths = [p for p in sorted(tree.rglob("*.ko"))[::40] if p.stat().st_size < 1 << 20]
    assert sum(compare_with_objdump(tool, path) for path in paths) > 100_000


# --- what is said of it


@pytest.mark.core
def test_a_load_shows_what_became_of_the_file() -> None:
    """hello.c: ftrace's call is a NOP, the jump to the return thunk a return; names of what it uses."""
    rows = disassemble(loaded("hello"), "hello_init")
    first, last = rows[0], rows[-5]
    assert first.address == 0xFFFFFFFFC0206000 and first.label == "hello_init"
    assert (first.code, [p.kind for p in first.patches]) == (bytes.fromhex("0f1f440000"), ["ftrace NOP"])
    assert first.relocations[0].symbol == "__fentry__"
    assert first.patches[0].before[:1] == b"\xe8" and first.patches[0].stage == "ftrace_module_init"
    assert (last.text, [p.kind for p in last.patches]) == ("retq", ["return thunk"])
    assert [r.symbol for r in last.relocations] == ["__x86_return_thunk"]
    targets = [row.target for row in rows if row.target]
    assert {"howmany", "whom", "_printk"} <= set(targets)
    assert any(target.endswith('KERN_INFO "Hello, %s\\n"') for target in targets)
    assert "ftrace NOP, was e8 " in str(rows)


@pytest.mark.core
def test_init_code_is_read_though_its_memory_is_gone() -> None:
    load = loaded("hello")
    assert load.module.init_size == 0
    assert b"".join(row.code for row in disassemble(load, ".init.text"))[:5] == bytes.fromhex("0f1f440000")


@pytest.mark.core
def test_the_bytes_are_those_in_memory() -> None:
    """Of a module that stays: the file and its trace together make what the memory holds."""
    for name in ("e1000", "ext4", "tables", "percpu"):
        load = loaded_with_needs(name)
        code = [s for s in load.module.sections.all if s.flags & 4 and s.kind == "core" and s.size]
        assert code
        listing = disassemble(load)
        for section in code:
            rows = [row for row in listing if row.section == section.name]
            assert b"".join(row.code for row in rows) == section.data
            assert rows[0].address == section.address


def loaded_with_needs(name: str) -> Any:
    kernel = Kernel(cpu=None)
    for needed in {"ext4": ("mbcache", "crc16", "jbd2")}.get(name, ()):
        kernel.finit_module(sample(needed))
    load = kernel.load(sample(name))
    assert load.error is None
    return load


@pytest.mark.core
def test_every_kind_of_patch_stands_where_the_modules_own_table_names_it() -> None:
    """.return_sites, __mcount_loc, .smp_locks, .static_call_sites: the file's relocated tables."""
    load = loaded_with_needs("ext4")
    rows = disassemble(load)
    file = ModuleFile(sample("ext4"))
    found: dict[str, set[tuple[str, int]]] = {}
    for row in rows:
        for patch in row.patches:
            if patch.offset >= row.offset:
                found.setdefault(patch.kind, set()).add((row.section, patch.offset))
    for kind, table, step in (
        ("return thunk", ".return_sites", 4), ("ftrace NOP", "__mcount_loc", 8),
        ("SMP lock", ".smp_locks", 4), ("static call", ".static_call_sites", 8),
    ):  # fmt: skip
        wanted = set()
        for relocation in file.relocations[table]:
            if relocation.offset % step == 0:
                symbol = file.symbols[relocation.symbol_index]
                wanted.add((symbol.section, symbol.value + (relocation.addend or 0)))
        if kind == "SMP lock":
            wanted = {place for place in wanted if place[0] == ".text"}  # alternatives_smp_module_add
        assert found[kind] == wanted, kind


@pytest.mark.core
def test_a_file_alone_shows_its_bytes_and_relocations() -> None:
    rows = disassemble(ModuleFile(sample("hello")), "hello_exit")
    assert rows[0].address == rows[0].offset == 0 and not any(row.patches for row in rows)
    assert [row.target for row in rows][-1] == "_printk"
    assert rows[-1].code == bytes.fromhex("e900000000")


@pytest.mark.core
def test_a_module_in_memory_has_its_names() -> None:
    module = Kernel(cpu=None).finit_module(sample("timer"))
    rows = disassemble(module, "tick")
    assert rows[0].label == "tick" and rows[0].address == module.sections[rows[0].section].address
    assert {"ticks", "period"} <= {row.target for row in rows}  # timer.c: tick() reads both parameters


@pytest.mark.core
def test_what_is_not_there_is_said() -> None:
    with pytest.raises(KernelError) as refused:
        disassemble(loaded("hello"), "nobody")
    assert refused.value.strerror == "No such file or directory" and "'nobody'" in refused.value.why


@pytest.mark.core
def test_without_capstone_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **named: Any) -> Any:
        if name == "capstone":
            raise ImportError(name)
        return real(name, *args, **named)

    disassembly.decoder.cache_clear()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(KernelError) as refused:
        disassemble(ModuleFile(sample("hello")))
    assert refused.value.strerror == "capstone is not installed (pip install 'kmodsim[exec]')"
    assert disassembly.instruction_text(b"\xc3", 0) == "c3"
    monkeypatch.undo()
    disassembly.decoder.cache_clear()


# --- whatever the bytes are


@pytest.mark.core
@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, (1 << 64) - 1))
def test_any_bytes_are_shown_each_once(code: bytes, address: int) -> None:
    rows = list(decode(code, address & ((1 << 64) - 4096)))
    assert b"".join(row.code for row in rows) == code
    assert all(row.text for row in rows)


@pytest.mark.core
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_file_is_beyond_disassembling(data: st.DataObject) -> None:
    """hello.ko with bytes changed anywhere, and cut: a listing, or a KernelError."""
    image = bytearray(sample("hello").read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        where = data.draw(st.integers(0, len(image) - 1) | st.integers(len(image) - 64 * 40, len(image) - 1))
        image[where] = data.draw(st.integers(0, 255))
    del image[data.draw(st.integers(0, len(image)) | st.just(len(image))) :]
    for what in (ModuleFile(bytes(image)), Kernel(cpu=None).load(bytes(image))):
        try:
            str(disassemble(what))
            str(disassemble(what, "hello_init"))
        except KernelError:
            pass


# --- the command


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(["disassemble", *words])
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.mark.core
def test_the_command_prints_the_listing(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = command(capsys, "hello", "hello_exit")
    assert (status, err) == (0, "")
    assert out == str(disassemble(loaded("hello"), "hello_exit")).lstrip("\n") + "\n"
    status, out, err = command(capsys, "--file", "hello", "hello_exit", "hello_init")
    assert out.count("R_X86_64_PLT32 _printk-0x4") == 2 and "ffffffffc" not in out


@pytest.mark.core
def test_the_command_says_what_does_not_load(capsys: pytest.CaptureFixture[str]) -> None:
    """ext4 alone lacks jbd2's symbols (ENOENT); behind its friends it is patched."""
    _, out, _ = command(capsys, "ext4", "init_module")
    assert out.startswith("kmodsim: it does not load: ENOENT in simplify_symbols")
    after = [word for name in ("mbcache", "crc16", "jbd2") for word in ("--after", name)]
    status, out, err = command(capsys, *after, "ext4", "init_module")
    assert (status, err) == (0, "") and "ftrace NOP" in out and "does not load" not in out


@pytest.mark.core
def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "text.ko").write_text("no module at all")
    for words, why in (
        (("hello", "nobody"), "no code called 'nobody' in hello"),
        ((str(tmp_path / "text.ko"),), "no code in it"),
        ((str(tmp_path / "none.ko"),), "No such file or directory"),
    ):
        status, out, err = command(capsys, *words)
        assert (status, out, err) == (1, "", f"kmodsim: disassemble: {words[0]}: {why}\n")
