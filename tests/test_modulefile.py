# SPDX-License-Identifier: GPL-2.0-only
"""The descriptive view says what is in a module: judged by pyelftools, the C sources, and other modules."""

from __future__ import annotations

import gzip
import html
import lzma
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import ModuleFile, sample, samples
from kmodsim.corpus import distribution, source
from kmodsim.errors import EINVAL, EISDIR, ENOENT, ERRNO, KernelError

# every sample of ours, and real modules with exports, per-CPU data, a large one
OURS = sorted(samples())
SECTION_FIELDS = {
    "flags": "sh_flags", "address": "sh_addr", "offset": "sh_offset", "size": "sh_size", "link": "sh_link",
    "info": "sh_info", "align": "sh_addralign", "entsize": "sh_entsize",
}  # fmt: skip
REAL = ["crc16", "mbcache", "jbd2", "x_tables", "libarc4", "ext4"]


@pytest.mark.core
def test_pyelftools_is_imported_only_when_a_header_is_read() -> None:
    code = "import sys, kmodsim.modulefile; sys.exit('elftools' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.core
@pytest.mark.parametrize("name", OURS + REAL)
def test_sections_as_pyelftools_reads_them(name: str) -> None:
    module = ModuleFile(sample(name))
    with sample(name).open("rb") as file:
        judge = ELFFile(file)
        assert module.header is not None
        assert (module.header.type, module.header.machine) == ("REL", "x86-64")
        assert module.header.e_shoff == judge["e_shoff"]
        assert module.header.e_shstrndx == judge["e_shstrndx"]
        assert len(module.sections) == judge.num_sections()
        for section, other in zip(module.sections, judge.iter_sections(), strict=True):
            assert (section.name, f"SHT_{section.type_name}") == (other.name, other["sh_type"])
            for ours, key in SECTION_FIELDS.items():
                assert getattr(section, ours) == other[key], (section.name, ours)
            assert section.data == (b"" if section.type_name == "NOBITS" else other.data())
    assert module.problems == []


@pytest.mark.core
@pytest.mark.parametrize("name", OURS + REAL[:5])
def test_symbols_and_relocations_as_pyelftools_reads_them(name: str) -> None:
    module = ModuleFile(sample(name))
    with sample(name).open("rb") as file:
        judge = ELFFile(file)
        others = judge.get_section_by_name(".symtab").iter_symbols()
        names = []
        for symbol, other in zip(module.symbols, others, strict=True):
            # pyelftools gives a section symbol its section's name; in the file it has none
            own = "" if other["st_info"]["type"] == "STT_SECTION" else other.name
            assert (symbol.name, symbol.value, symbol.size) == (own, other["st_value"], other["st_size"])
            assert f"STB_{symbol.bind}" == other["st_info"]["bind"]
            assert f"STT_{symbol.type}" == other["st_info"]["type"]
            assert f"STV_{symbol.visibility}" == other["st_other"]["visibility"]
            special = {"SHN_UNDEF": "UND", "SHN_ABS": "ABS", "SHN_COMMON": "COM"}
            index = other["st_shndx"]
            assert symbol.section == (special.get(index) or judge.get_section(index).name)
            names.append(symbol.name)
        total = 0
        for table in module.relocations.tables:
            other_table = judge.get_section(table.section.index)
            for ours, other in zip(table, other_table.iter_relocations(), strict=True):
                assert (ours.offset, ours.type) == (other["r_offset"], other["r_info_type"])
                assert (ours.symbol_index, ours.addend) == (other["r_info_sym"], other["r_addend"])
                assert ours.symbol == names[ours.symbol_index] or ours.symbol in module.sections
                assert table.target is not None
                assert ours.section == judge.get_section(other_table["sh_info"]).name == table.target.name
            total += len(table)
        assert len(module.relocations) == total == sum(1 for _ in module.relocations)


@pytest.mark.core
def test_symbols_are_found_by_name_and_index() -> None:
    module = ModuleFile(sample("jbd2"))
    everything = list(module.symbols)
    for name in ("init_module", "jbd2_journal_start", "_printk"):
        first = next(symbol for symbol in everything if symbol.name == name)
        assert module.symbols[name] == first
        assert module.symbols.all(name) == [symbol for symbol in everything if symbol.name == name]
    assert module.symbols[-1] == everything[-1]
    assert module.symbols[3:6] == everything[3:6]
    assert "bd2_journal_start" not in module.symbols, "the tail of a string is not yet a name"
    with pytest.raises(KeyError):
        module.symbols["no_such_symbol"]
    with pytest.raises(IndexError):
        module.symbols[len(everything)]


@pytest.mark.core
def test_relocations_by_index_and_section() -> None:
    module = ModuleFile(sample("mbcache"))
    everything = list(module.relocations)
    assert [module.relocations[index] for index in range(len(everything))] == everything
    assert module.relocations[-1] == everything[-1]
    text = module.relocations[".text"]
    assert list(text) == [relocation for relocation in everything if relocation.section == ".text"]
    assert text is module.relocations[".rela.text"]
    assert text.at(text[5].offset) == text[5]
    assert text.at(text[5].offset + 1) is None


@pytest.mark.core
def test_large_tables_are_views_of_the_file() -> None:
    module = ModuleFile(sample("ext4"))
    image = np.frombuffer(module.data, np.uint8)
    for records in (module.symbols.records, module.versions.records, module.relocations[".text"].records):
        assert len(records)
        assert np.shares_memory(records, image)


@pytest.mark.core
def test_parameters_as_the_source_declares_them() -> None:
    code = source("hello").read_text()
    params = {param.name: param for param in ModuleFile(sample("hello")).params}
    plain = re.findall(r"^module_param\((\w+), (\w+), (\d+)\);", code, re.M)
    assert len(plain) > 10
    for name, type_, perm in plain:
        found = params[name]
        assert (found.type, found.kind, found.perm) == (type_, f"param_ops_{type_}", int(perm, 8))
        assert found.max is None
    for name, text in re.findall(r'^MODULE_PARM_DESC\((\w+), "(.*)"\);', code, re.M):
        assert params[name].description == text
    for name, size in re.findall(r"^static char (\w+)\[(\d+)\]", code, re.M):
        assert (params[name].kind, params[name].max) == ("param_ops_string", int(size))
    for name, count in re.findall(r"^static int (\w+)\[(\d+)\]", code, re.M):
        given = re.search(rf"module_param_array\({name}, int, (.*), \d+\)", code)
        assert given is not None
        array = params[name]
        assert (array.kind, array.element) == ("param_array_ops", "param_ops_int")
        assert (array.max, array.elemsize) == (int(count), 4)
        assert array.counted is (given[1] != "NULL")
    # include/linux/moduleparam.h: KERNEL_PARAM_FL_UNSAFE 1, KERNEL_PARAM_FL_HWPARAM 2, level -1 for modules
    assert (params["risky"].flags, params["port"].flags, params["howmany"].flags) == (1, 2, 0)
    assert {param.level for param in params.values()} == {-1}
    assert len(params) == len(re.findall(r"^module_param\w*\(", code, re.M))


@pytest.mark.core
def test_a_parameter_with_operations_of_its_own() -> None:
    declared = re.findall(r"module_param_cb\((\w+), &(\w+),", source("param_callback").read_text())
    found = {(param.name, param.kind) for param in ModuleFile(sample("param_callback")).params}
    assert declared
    assert set(declared) <= found


@pytest.mark.core
def test_exports_as_the_sources_declare_them() -> None:
    declared = 0
    for name in OURS:
        code = re.sub(r"/\*.*?\*/", "", source(name).read_text(), flags=re.S)
        found = re.findall(r"^EXPORT_SYMBOL(\w*)\((\w+)(?:, \"?(\w+)\"?)?\);", code, re.M)
        wanted = {(symbol, "GPL" in kind, namespace or None) for kind, symbol, namespace in found}
        module = ModuleFile(sample(name))
        assert {(e.name, e.gpl, e.namespace) for e in module.exports} == wanted
        for export in module.exports:
            symbol = module.symbols[export.name]
            assert (export.section, export.value) == (symbol.section, symbol.value)
        declared += len(wanted)
    assert declared >= 10


@pytest.mark.core
def test_importers_and_exporters_agree_on_crcs() -> None:
    modules = [ModuleFile(sample(name)) for name in [*distribution(), "chain_a", "chain_b", "chain_c"]]
    exported = {export.name: export.crc for module in modules for export in module.exports}
    shared = 0
    for module in modules:
        # a module_layout entry has no symbol: the kernel compares it with its own
        assert {entry.name for entry in module.imports} == set(module.versions) - {"module_layout"}
        for entry in module.imports:
            assert entry.crc == module.versions[entry.name]
            if entry.name in exported:
                assert entry.crc == exported[entry.name], entry.name
                shared += 1
    assert shared > 50


@pytest.mark.core
def test_a_weak_import_is_marked() -> None:
    code = source("weak_symbol").read_text()
    weak = {entry.name for entry in ModuleFile(sample("weak_symbol")).imports if entry.weak}
    declared = set(re.findall(r"(\w+)(?:\(void\))? __attribute__\(\(weak\)\)", code))
    assert weak == declared != set()


@pytest.mark.core
def test_relocated_crcs_of_older_kernels() -> None:
    """Those put R_X86_64_32 against absolute __crc_ symbols into __kcrctab (5.10: scripts/genksyms)."""
    data = bytearray(sample("jbd2").read_bytes())
    module = ModuleFile(data)
    shoff = struct.unpack_from("<Q", data, 40)[0]
    rela, crcs = module.sections[".rela.exit.text"], module.sections["__kcrctab"]
    last = len(module.symbols) - 1
    # one relocation of .exit.text becomes one of the second CRC, against a symbol made absolute
    struct.pack_into("<I", data, shoff + 64 * rela.index + 44, crcs.index)
    struct.pack_into("<QII", data, rela.offset, 4, 10, last)
    struct.pack_into("<HQ", data, module.sections[".symtab"].offset + 24 * last + 6, 0xFFF1, 0x89ABCDEF)
    struct.pack_into("<q", data, rela.offset + 16, 0)
    plain, changed = module.exports, ModuleFile(data).exports
    assert [export.crc for export in plain[:3]] == list(struct.unpack("<3I", crcs.data[:12]))
    assert [export.crc for export in changed[:3]] == [plain[0].crc, 0x89ABCDEF, plain[2].crc]


@pytest.mark.core
def test_modinfo_keeps_order_and_repeats() -> None:
    module = ModuleFile(sample("ext4"))
    assert b"".join(f"{key}={value}\0".encode() for key, value in module.modinfo) in (
        re.sub(rb"\0+", b"\0", module.sections[".modinfo"].data)
    )
    assert module.modinfo.all("alias") == ["fs-ext4", "ext3", "fs-ext3", "ext2", "fs-ext2"]
    assert module.modinfo.get("name") == module.name == "ext4"
    assert module.modinfo.get("nothing") is None
    assert module.modinfo.get("nothing", "x") == "x"


@pytest.mark.core
def test_the_functions_of_the_module() -> None:
    """By module_init() and module_exit() in the sources, and in fs/ext4/super.c."""
    for name in OURS:
        module, code = ModuleFile(sample(name)), source(name).read_text()
        for found, macro in ((module.init_symbol, "module_init"), (module.exit_symbol, "module_exit")):
            declared = re.search(rf"^{macro}\((\w+)\);", code, re.M)
            assert found == (declared[1] if declared else None), f"{name}: {macro}"
    ext4 = ModuleFile(sample("ext4"))
    assert (ext4.init_symbol, ext4.exit_symbol) == ("ext4_init_fs", "ext4_exit_fs")


@pytest.mark.core
def test_signature_is_the_der_message_before_the_trailer() -> None:
    module = ModuleFile(sample("ext4"))
    signature = module.signature
    assert signature is not None
    assert (signature.id_name, signature.algo, signature.hash) == ("PKCS#7", 0, 0)
    # DER: SEQUENCE with a two-byte length, which spans exactly the message
    tag, form, length = struct.unpack(">BBH", signature.pkcs7[:4])
    assert (tag, form, length + 4) == (0x30, 0x82, signature.sig_len)
    assert signature.signed_length + signature.sig_len + 12 + 28 == len(module.data)
    assert signature.problems == ()
    details = signature.details()
    assert details is not None
    # the key that signed Debian's 6.1.0-56-amd64, as modinfo shows it for every module
    assert details.signer == "Build time autogenerated kernel key"
    assert details.key == "66:F5:4E:15:66:A0:43:CC:30:30:42:0E:18:1C:F8:50:FB:9F:42:AC"
    assert (details.hash, len(details.signature)) == ("sha256", 512)


@pytest.mark.core
def test_a_damaged_message_has_no_details() -> None:
    data = bytearray(sample("crc16").read_bytes())
    start = ModuleFile(data).signature.signed_length  # type: ignore[union-attr]
    data[start] = 0x31
    signature = ModuleFile(data).signature
    assert signature is not None
    assert signature.details() is None
    assert str(signature.id_name) in str(ModuleFile(data))


@pytest.mark.core
def test_an_unsigned_module_and_a_moved_marker() -> None:
    assert ModuleFile(sample("hello")).signature is None
    moved = ModuleFile(sample("crc16").read_bytes() + b"\n")
    assert moved.signature is None
    assert any("1 bytes follow the marker" in problem for problem in moved.problems)


@pytest.mark.core
def test_what_mod_check_sig_refuses_is_a_problem() -> None:
    """kernel/module_signature.c:mod_check_sig: sig_len, id_type, then fields that must be 0."""
    data = bytearray(sample("crc16").read_bytes())
    trailer = len(data) - 28 - 12
    cases = ((2, 1, "id_type is 1"), (0, 1, "must be 0"), (5, 9, "must be 0"), (8, 255, "sig_len"))
    for offset, value, words in cases:
        broken = data.copy()
        broken[trailer + offset] = value
        signature = ModuleFile(broken).signature
        assert signature is not None
        assert [words in problem for problem in signature.problems] == [True], words


@pytest.mark.core
@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("xz", lzma.compress)])
def test_packed_files_are_the_same_module(kind: str, pack: object, tmp_path: Path) -> None:
    plain = sample("hello").read_bytes()
    path = tmp_path / f"hello.ko.{kind}"
    path.write_bytes(pack(plain))  # type: ignore[operator]
    module = ModuleFile(path)
    assert (module.data, module.compression, module.name, module.path) == (plain, kind, "hello", path)


@pytest.mark.core
def test_what_cannot_be_opened(tmp_path: Path) -> None:
    def refused(source: object, limit: int = 1 << 20) -> tuple[int | None, bool]:
        with pytest.raises(KernelError) as caught:
            ModuleFile(source, limit)  # type: ignore[arg-type]
        return caught.value.errno, bool(caught.value.why)

    assert refused(tmp_path / "none.ko") == (ENOENT, True)
    assert refused("\0") == (ENOENT, True)
    assert refused(tmp_path) == (EISDIR, True)
    assert refused(sample("hello"), 1000) == (ERRNO["EFBIG"][0], True)
    assert refused(b"\x1f\x8b damaged") == (EINVAL, True)


@pytest.mark.core
def test_summary_is_readable_and_escaped() -> None:
    module = ModuleFile(sample("ext4"))
    text = str(module)
    # what wc -c, readelf and modinfo say of this file
    for expected in ("2,064,785 bytes", "70 sections", "36,800 relocations", "jbd2,mbcache,crc16", "PKCS#7"):
        assert expected in text
    assert repr(module) == "<ModuleFile ext4: 2,064,785 bytes>"
    page = ModuleFile(sample("hello").read_bytes().replace(b"Hello world", b"<b>&\xff world"))._repr_html_()
    assert html.escape("<b>&") in page
    assert "<b>" not in page
