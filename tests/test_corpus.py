# SPDX-License-Identifier: GPL-2.0-only
"""The modules that come along, and the index, are what C sources, pyelftools, kmod and the package say."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from kmodsim import corpus, indexbuild, samplebuild
from kmodsim.moduleindex import INDEX_FILE

NAMES = sorted(path.stem for path in corpus.SOURCES.glob("*.c"))
MARKER = b"~Module signature appended~\n"
REAL = sorted(corpus.DISTRIBUTION.glob("*.ko"))


def modinfo(path: Path, key: str) -> list[str]:
    """The values of a key in .modinfo, read by pyelftools."""
    with path.open("rb") as file:
        section = ELFFile(file).get_section_by_name(".modinfo")
        entries = section.data().split(b"\0")
    return [entry.decode().partition("=")[2] for entry in entries if entry.startswith(f"{key}=".encode())]


def symbols(path: Path) -> dict[str, tuple[str, str]]:
    """Name -> (binding, section name or SHN_…), read by pyelftools."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            index = symbol["st_shndx"]
            section = elf.get_section(index).name if isinstance(index, int) else index
            found[symbol.name] = (symbol["st_info"]["bind"], section)
        return found


def sections(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        return {section.name: section["sh_size"] for section in ELFFile(file).iter_sections()}


def source(name: str) -> str:
    return corpus.source(name).read_text(encoding="utf-8")


# The samples against their sources


@pytest.mark.core
def test_every_sample_has_its_source_and_every_source_its_sample() -> None:
    assert list(corpus.samples()) == NAMES
    listed = re.findall(r"^obj-m \+= (\w+)\.o$", (corpus.SOURCES / "Kbuild").read_text(), re.MULTILINE)
    assert sorted(listed) == NAMES
    table = (corpus.SOURCES.parent / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[`(\w+)`\]\(src/\1\.c\)", table, re.MULTILINE)) == NAMES


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_sources_begin_with_licence_and_explanation(name: str) -> None:
    lines = source(name).splitlines()
    assert lines[0] == "// SPDX-License-Identifier: GPL-2.0-only"
    assert lines[1] == "/*"
    comment = lines[2 : lines.index(" */")]
    assert len(" ".join(comment)) > 40
    assert all(len(line.expandtabs(8)) <= 120 for line in lines)


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_samples_say_what_their_source_says(name: str) -> None:
    text, path = source(name), corpus.sample(name)
    assert modinfo(path, "name") == [name]
    assert modinfo(path, "description") == re.findall(r'^MODULE_DESCRIPTION\("(.*)"\)', text, re.MULTILINE)
    assert corpus.samples()[name] == modinfo(path, "description")[0]
    licence = re.findall(r'^MODULE_LICENSE\("(.*)"\)', text, re.MULTILINE)
    # built with the licence that modpost accepts, and changed afterwards: see samplebuild.PATCHES
    assert modinfo(path, "license") == (["Proprietary"] if name == "proprietary_gpl" else licence)
    assert modinfo(path, "import_ns") == re.findall(r"^MODULE_IMPORT_NS\((\w+)\)", text, re.MULTILINE)
    # module_param_cb, with operations of one's own, notes no type
    assert len(modinfo(path, "parmtype")) == len(re.findall(r"^module_param(?!_cb)\w*\(", text, re.MULTILINE))


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_samples_export_what_their_source_exports(name: str) -> None:
    declared = re.findall(r"^EXPORT_SYMBOL(?:_NS)?(_GPL)?\((\w+)", source(name), re.MULTILINE)
    found = symbols(corpus.sample(name))
    for gpl, symbol in declared:
        assert found[f"__ksymtab_{symbol}"][1] == ("__ksymtab_gpl" if gpl else "__ksymtab")
    assert sum(symbol.startswith("__ksymtab_") for symbol in found) == len(declared)


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_struct_module_points_to_init_and_exit_where_the_source_has_them(name: str) -> None:
    found = symbols(corpus.sample(name))
    assert ("init_module" in found) == ("module_init(" in source(name))
    assert ("cleanup_module" in found) == ("module_exit(" in source(name))


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_for_the_kernel_of_the_package(name: str) -> None:
    assert modinfo(corpus.sample(name), "vermagic") == modinfo(corpus.sample("crc16"), "vermagic")


# Many faults, many formats: a function or a string for each
LARGE = {"buggy": 32, "formats": 40, "sync": 20}


@pytest.mark.core
@pytest.mark.parametrize("name", NAMES)
def test_samples_are_small_stripped_and_tell_nothing_of_the_building_machine(name: str) -> None:
    image = corpus.sample(name).read_bytes()
    assert len(image) < LARGE.get(name, 16) * 1024
    assert not any(section.startswith(".debug") for section in sections(corpus.sample(name)))
    paths = {match.decode() for match in re.findall(rb"(?<![\w./])/[\w.-]+/[\w./-]*", image)}
    assert {path for path in paths if path not in source(name)} == set()


# kernel/params.c defines these; the last one by module_param_array
STANDARD_TYPES = {
    "byte", "short", "ushort", "int", "uint", "long", "ulong", "ullong", "hexint", "charp", "bool", "invbool",
    "bint", "string", "array of int",
}  # fmt: skip


@pytest.mark.core
def test_hello_has_a_parameter_of_every_standard_type() -> None:
    types = {line.partition(":")[2] for line in modinfo(corpus.sample("hello"), "parmtype")}
    assert types == STANDARD_TYPES
    assert {"howmany:int", "whom:charp"} <= set(modinfo(corpus.sample("hello"), "parmtype"))


@pytest.mark.core
@pytest.mark.parametrize(
    ("name", "depends"),
    [
        ("chain_a", set()), ("chain_b", {"chain_a"}), ("chain_c", {"chain_b"}),
        ("diamond_left", {"diamond_bottom"}), ("diamond_right", {"diamond_bottom"}),
        ("diamond_top", {"diamond_left", "diamond_right"}), ("gpl_user", {"gpl_only"}),
        ("namespace_user", {"namespace_provider"}), ("namespace_thief", {"namespace_provider"}),
        ("proprietary", set()), ("proprietary_heir", {"proprietary"}), ("proprietary_gpl", set()),
        ("proprietary_bridge", {"proprietary", "gpl_only"}), ("missing_symbol", set()),
    ],
)  # fmt: skip
def test_samples_depend_on_each_other_as_drawn(name: str, depends: set[str]) -> None:
    (line,) = modinfo(corpus.sample(name), "depends")
    assert set(filter(None, line.split(","))) == depends


UNDEFINED = "SHN_UNDEF"


@pytest.mark.core
@pytest.mark.parametrize(
    ("name", "symbol", "binding", "section"),
    [
        ("fail_init", "fail_init", "STB_LOCAL", ".init.text"),
        ("missing_symbol", "nobody_exports_this", "STB_GLOBAL", UNDEFINED),
        ("weak_symbol", "perhaps_somebody_has_this", "STB_WEAK", UNDEFINED),
        ("proprietary_gpl", "ktime_get", "STB_GLOBAL", UNDEFINED),
        ("percpu", "visits", "STB_LOCAL", ".data..percpu"),
        ("percpu", "limit", "STB_LOCAL", ".data..ro_after_init"),
        ("chardev", "misc_register", "STB_GLOBAL", UNDEFINED),
    ],
)  # fmt: skip
def test_samples_have_the_symbol_they_are_about(name: str, symbol: str, binding: str, section: str) -> None:
    assert symbols(corpus.sample(name))[symbol] == (binding, section)


@pytest.mark.core
def test_tables_has_every_table_that_makes_code_change() -> None:
    wanted = (
        "__ex_table", "__jump_table", ".static_call_sites", ".static_call.text", "__bug_table",
        ".altinstructions", ".altinstr_replacement", ".smp_locks", ".parainstructions", ".retpoline_sites",
        ".return_sites", "__mcount_loc", ".orc_unwind", ".orc_unwind_ip",
    )  # fmt: skip
    sizes = sections(corpus.sample("tables"))
    assert [name for name in wanted if not sizes.get(name)] == []


@pytest.mark.core
def test_overwriting_keeps_the_length_and_refuses_what_is_not_clear() -> None:
    assert (
        samplebuild.overwrite(b"a\0license=Dual\0b", b"license=Dual\0", b"license=P\0")
        == b"a\0license=P\0\0\0\0b"
    )
    for image, old, new in ((b"xx", b"x", b"y"), (b"y", b"x", b"y"), (b"x", b"x", b"yy")):
        with pytest.raises(ValueError, match="has to be there once"):
            samplebuild.overwrite(image, old, new)


# Looking things up


@pytest.mark.core
def test_unknown_samples_are_refused_with_what_is_near() -> None:
    for wrong, hint in (("helo", "hello"), ("chain_d", "chain_a"), ("qqqqqq", "kmodsim.samples()")):
        with pytest.raises(ValueError, match=re.escape(hint)):
            corpus.sample(wrong)
    for wrong in ("", ".", "../hello", "hello.ko", "/", "a\0b"):
        with pytest.raises(ValueError, match="no sample"):
            corpus.sample(wrong)
    with pytest.raises(ValueError, match="no sample"):
        corpus.source("crc16")


@pytest.mark.core
def test_hyphen_and_underscore_are_the_same() -> None:
    assert corpus.sample("chain-a") == corpus.sample("chain_a")
    assert corpus.sample("snd_intel_sdw_acpi").name == "snd-intel-sdw-acpi.ko"


@pytest.mark.core
def test_a_module_that_does_not_come_along_is_taken_from_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "lib" / "modules" / corpus.RELEASE
    entry = corpus.index()["pcspkr"]
    (modules / entry.path).parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    for place in (tmp_path, modules):
        monkeypatch.setenv("KMODSIM_TREE", str(place))
        assert corpus.tree() == modules
    with pytest.raises(ValueError, match="kmodsim fetch"):
        corpus.sample("pcspkr")
    (modules / entry.path).write_bytes(bytes(entry.size - 1))  # another file of the same name
    with pytest.raises(ValueError, match="kmodsim fetch"):
        corpus.sample("pcspkr")
    (modules / entry.path).write_bytes(bytes(entry.size))
    assert corpus.sample("pcspkr") == modules / entry.path


@pytest.mark.core
@pytest.mark.parametrize(
    ("platform", "environment", "ends"),
    [
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/kmodsim"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/.cache/kmodsim"),
        ("linux", {}, "/.cache/kmodsim"),
        ("darwin", {}, "/Library/Caches/kmodsim"),
        ("win32", {"LOCALAPPDATA": "/Users/me/Local"}, "/Users/me/Local/kmodsim/Cache"),
        ("win32", {}, "/AppData/Local/kmodsim/Cache"),
    ],
)
def test_the_cache_is_where_the_system_wants_it(
    platform: str, environment: dict[str, str], ends: str
) -> None:
    assert corpus.cache_directory(environment, platform).as_posix().endswith(ends)


# The distribution's modules


@pytest.mark.core
def test_real_modules_are_signed_documented_and_not_too_many() -> None:
    assert sum(path.stat().st_size for path in REAL) < 4_000_000
    readme = (corpus.DISTRIBUTION / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in REAL if f"`{path.stem}`" not in readme] == []
    assert [path.name for path in REAL if not path.read_bytes().endswith(MARKER)] == []
    assert list(corpus.distribution()) == sorted(path.stem.replace("-", "_") for path in REAL)
    assert (corpus.DISTRIBUTION / "copyright").is_file()


@pytest.mark.core
def test_real_modules_come_with_all_they_need() -> None:
    index = corpus.index()
    for name in corpus.distribution():
        assert set(index.dependencies(name)) <= set(corpus.distribution())


@pytest.mark.core
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_the_index_says_of_real_modules_what_pyelftools_reads(path: Path) -> None:
    entry = corpus.index()[path.stem]
    assert entry.size == path.stat().st_size
    for field, key in (
        ("aliases", "alias"), ("softdeps", "softdep"), ("parameters", "parmtype"), ("import_ns", "import_ns"),
    ):  # fmt: skip
        assert list(getattr(entry, field)) == modinfo(path, key)
    assert [entry.license] == modinfo(path, "license")
    assert ",".join(entry.depends) == modinfo(path, "depends")[0]
    found = symbols(path)
    assert set(entry.imports) == {name for name, (_, where) in found.items() if where == UNDEFINED} - {""}
    exported = {name: where for name, (_, where) in found.items() if name.startswith("__ksymtab_")}
    gpl = {
        f"__ksymtab_{export.name}": "__ksymtab_gpl" if export.gpl else "__ksymtab" for export in entry.exports
    }
    assert gpl == exported
    assert entry.has_init == ("init_module" in found)
    assert entry.has_exit == ("cleanup_module" in found)
    sizes = sections(path)
    with path.open("rb") as file:
        assert entry.sections == ELFFile(file).num_sections()
    assert entry.relocations == sum(size for name, size in sizes.items() if name.startswith(".rela")) // 24
    assert entry.percpu == sizes.get(".data..percpu", 0)


# The index: the numbers are those of the package, counted by readelf and Debian's Module.symvers


@pytest.mark.core
def test_the_index_counts_what_the_package_holds() -> None:
    modules = list(corpus.index().values())
    assert len(modules) == 4023
    assert len({name for module in modules for name in module.imports}) == 18_111
    assert sum(len(module.exports) for module in modules) == 24_683 - 10_503
    assert sum(module.relocations for module in modules) == 5_671_369
    assert sum(module.has_init for module in modules) == 3_556
    assert INDEX_FILE.stat().st_size < 700_000


@pytest.mark.core
def test_every_symbol_that_a_module_exports_is_reached_by_depends() -> None:
    """modpost writes depends= from the undefined symbols: both must name the same modules."""
    index = corpus.index()
    needed = 0
    for name, module in index.items():
        depends = {index[other].name for other in module.depends}
        exporters = {
            owner for symbol in module.imports for owner in index.exporters.get(symbol, ()) if owner != name
        }
        assert depends == exporters, name
        needed += bool(depends)
    assert needed > 2000


@pytest.mark.core
def test_dependencies_come_before_those_who_need_them() -> None:
    index = corpus.index()
    assert set(index.dependencies("ext4")) == {"jbd2", "mbcache", "crc16"}
    for name in index:
        done: set[str] = set()
        for each in (*index.dependencies(name), name):
            assert {other.replace("-", "_") for other in index[each].depends} <= done
            assert each not in done
            done.add(each)
    with pytest.raises(KeyError):
        index.dependencies("no_such_module")


# Against real tools and the whole tree


@pytest.mark.tool
@pytest.mark.parametrize("name", [*NAMES, "ext4", "e1000", "snd_intel_dspcfg"])
def test_modinfo_reads_the_same(name: str, needs: Callable[[str], str]) -> None:
    tool, path = needs("modinfo"), str(corpus.sample(name))
    for field in ("description", "license", "name", "vermagic", "depends", "alias"):
        read = subprocess.run([tool, "-F", field, path], capture_output=True, text=True, check=True).stdout
        assert sorted(read.split("\n")[:-1]) == sorted(modinfo(Path(path), field))


@pytest.mark.tool
def test_samples_built_again_are_the_same_bytes(tmp_path: Path, needs: Callable[[str], str]) -> None:
    headers = Path(f"/usr/src/linux-headers-{samplebuild.RELEASE}")
    if lacking := samplebuild.missing(headers):
        pytest.skip(f"needs {' '.join(lacking)}")
    version = subprocess.run(["gcc-12", "--version"], capture_output=True, text=True, check=True).stdout
    comment = corpus.sample("hello").read_bytes()
    if version.split("gcc-12 ")[1].split("\n")[0].encode() not in comment:
        pytest.skip("needs the gcc-12 of Debian 12")
    built = samplebuild.build(tmp_path / "somewhere" / "else", headers)
    assert [path.stem for path in built] == NAMES
    assert [path.stem for path in built if path.read_bytes() != corpus.sample(path.stem).read_bytes()] == []


@pytest.mark.tree
def test_the_index_made_again_is_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    assert indexbuild.main([str(tree.parents[2]), "--to", str(tmp_path / "index.json.xz")]) == 0
    assert (tmp_path / "index.json.xz").read_bytes() == INDEX_FILE.read_bytes()


@pytest.mark.tree
def test_real_modules_are_the_packages_byte_for_byte(tree: Path) -> None:
    index = corpus.index()
    for path in REAL:
        assert path.read_bytes() == (tree / index[path.stem].path).read_bytes()
