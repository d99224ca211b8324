# SPDX-License-Identifier: GPL-2.0-only
"""The descriptive view against readelf, modinfo and the distribution's 4,023 modules; how long it takes."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kmodsim import KernelProfile, ModuleFile, sample, samples
from kmodsim.corpus import distribution, index

NAMES = [*sorted(samples()), *distribution()]
# what modinfo adds or merges
MODINFO_OWN = {"filename", "parm", "parmtype", "sig_id", "signer", "sig_key", "sig_hashalgo", "signature"}


def run(*command: str | Path) -> str:
    return subprocess.run(
        command, capture_output=True, check=True, encoding="utf-8", errors="surrogateescape"
    ).stdout


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_header_and_sections_as_readelf_prints_them(name: str, needs: Callable[[str], str]) -> None:
    out, module = run(needs("readelf"), "-hSW", sample(name)), ModuleFile(sample(name))
    printed = dict(re.findall(r"^  ([A-Z][^:\n]+): +(.*)$", out, re.M))
    header = module.header
    assert header is not None
    assert printed["Type"].split()[0] == header.type
    assert printed["Machine"].lower().endswith(header.machine)
    assert printed["Class"] == f"ELF{header.bits}"
    assert bytes.fromhex(printed["Magic"]) == header.e_ident
    assert int(printed["Start of section headers"].split()[0]) == header.e_shoff
    assert int(printed["Section header string table index"]) == header.e_shstrndx
    left = r"^  \[ *(\d+)\] (\S*) +([A-Z_0-9]+) +([0-9a-f]{16}) ([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) +"
    left += r"([A-Za-z]*) +"
    rows = re.findall(left + r"(\d+) +(\d+) +(\d+)$", out, re.M)
    assert len(rows) == header.e_shnum
    for section, row in zip(module.sections, rows, strict=True):
        number, title, kind, *numbers, flags, link, info, align = row
        assert (section.index, section.name, section.type_name) == (int(number), title, kind)
        ours = [section.address, section.offset, section.size, section.entsize]
        assert ours == [int(digits, 16) for digits in numbers]
        assert section.flags_text == flags
        assert (section.link, section.info, section.align) == (int(link), int(info), int(align))


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_symbols_and_relocations_as_readelf_prints_them(name: str, needs: Callable[[str], str]) -> None:
    out, module = run(needs("readelf"), "-srW", sample(name)), ModuleFile(sample(name))
    row = r"^ *(\d+): ([0-9a-f]{16}) +(\w+) (\w+) +(\w+) +(\w+) +(\w+) ?(.*)$"
    rows = re.findall(row, out, re.M)
    assert len(rows) == len(module.symbols)
    for symbol, found in zip(module.symbols, rows, strict=True):
        number, value, size, kind, bind, visibility, section, title = found
        assert (symbol.index, symbol.value, symbol.size) == (int(number), int(value, 16), int(size, 0))
        assert (symbol.type, symbol.bind, symbol.visibility) == (kind, bind, visibility)
        assert section == (str(symbol.section_index) if section.isdigit() else symbol.section)
        assert title == module.symbols.label(symbol.index)
    row = r"^([0-9a-f]{16})  ([0-9a-f]{8})([0-9a-f]{8}) (\w+) +[0-9a-f]{16} (\S*) ([+-]) ([0-9a-f]+)$"
    rows = re.findall(row, out, re.M)
    assert len(rows) == len(module.relocations)
    for ours, (offset, number, kind, kind_name, title, sign, addend) in zip(
        module.relocations, rows, strict=True
    ):
        assert (ours.offset, ours.symbol_index, ours.type) == tuple(
            int(d, 16) for d in (offset, number, kind)
        )
        assert (ours.type_name, ours.symbol, ours.addend) == (kind_name, title, int(sign + addend, 16))


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_information_as_modinfo_prints_it(name: str, needs: Callable[[str], str]) -> None:
    out, module = run(needs("modinfo"), "-0", sample(name)), ModuleFile(sample(name))
    # with -0 only its own lines are "filename:" and "parm:", the others key=value
    fields = [field for field in out.split("\0") if not re.match(r"filename:|parm:|$", field)]
    printed = [field.partition("=")[::2] for field in fields]
    ours = [pair for pair in module.modinfo if pair[0] not in MODINFO_OWN]
    assert [pair for pair in printed if pair[0] not in MODINFO_OWN] == ours
    said = dict(printed)
    if module.signature is None:
        assert "sig_id" not in said
        return
    details = module.signature.details()
    assert details is not None
    assert (said["sig_id"], said["signer"]) == (module.signature.id_name, details.signer)
    assert (said["sig_key"], said["sig_hashalgo"]) == (details.key, details.hash)
    assert bytes.fromhex(re.sub(r"[:\s]", "", said["signature"])) == details.signature


@pytest.mark.tool
@pytest.mark.parametrize("name", NAMES)
def test_parameters_as_modinfo_prints_them(name: str, needs: Callable[[str], str]) -> None:
    """modinfo merges parm and parmtype: "name:description (type)", or "name:type"."""
    printed = re.findall(r"(?:^|\0)parm: +([^\0]+)", run(needs("modinfo"), "-0", sample(name)))
    ours = [
        f"{p.name}:{p.description} ({p.type})"
        if p.description and p.type
        else f"{p.name}:{p.description or p.type}"
        for p in ModuleFile(sample(name)).params
    ]
    assert sorted(ours) == sorted(printed)


@pytest.mark.tree
def test_every_module_of_the_distribution(tree: Path) -> None:
    """Nothing is wrong with any; counts as readelf gave them; and each import's CRC is its exporter's."""
    exported = {name: KernelProfile.load().exports[name].crc for name in KernelProfile.load().exports}
    wanted: list[tuple[str, str, int | None]] = []
    types: Counter[int] = Counter()
    paths = sorted(tree.glob("kernel/**/*.ko"))
    for path in paths:
        module = ModuleFile(path)
        assert module.problems == [], path
        for table in module.relocations.tables:
            values, counts = np.unique(table.records["r_type"], return_counts=True)
            types.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        for export in module.exports:
            assert exported.setdefault(export.name, export.crc or 0) == export.crc, (path, export)
        wanted += [(module.name, entry.name, entry.crc) for entry in module.imports]
        assert len(module.imports) + 1 == len(module.versions), path
        known = index()[module.name]
        assert (len(module.sections), len(module.symbols)) == (known.sections, known.symbols)
        assert (bool(module.init_symbol), bool(module.exit_symbol)) == (known.has_init, known.has_exit)
    assert len(paths) == 4023
    # NONE, 64, PC32, PLT32, 32S, PC64: as `readelf -rW` lists them over the whole package
    assert types == {0: 65, 1: 724_716, 2: 2_882_173, 4: 1_524_734, 11: 499_753, 24: 39_928}
    assert len(wanted) + len(paths) == 188_913
    for importer, name, crc in wanted:
        assert crc == exported[name], f"{importer} wants {name}"


@pytest.mark.tree
@pytest.mark.parametrize("step", range(12))
def test_modules_all_over_the_tree_as_readelf_prints_them(
    step: int, tree: Path, needs: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sorted(tree.glob("kernel/**/*.ko"))[step * 330 + 17]
    for check in (
        test_header_and_sections_as_readelf_prints_them, test_symbols_and_relocations_as_readelf_prints_them,
        test_information_as_modinfo_prints_it, test_parameters_as_modinfo_prints_them,
    ):  # fmt: skip
        monkeypatch.setitem(globals(), "sample", lambda name: path)
        check(path.stem, needs)


@pytest.mark.bench
def test_ext4_opens_within_15_ms() -> None:
    ModuleFile(sample("minimal")).problems  # imports pyelftools
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        module = ModuleFile(sample("ext4"))
        assert module.header
        assert len(module.sections) == 70
        assert len(module.modinfo) > 5
        best = min(best, time.perf_counter() - start)
    assert best < 0.015
