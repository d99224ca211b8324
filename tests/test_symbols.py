# SPDX-License-Identifier: GPL-2.0-only
"""Who may use which symbol: order, licence, CRC, namespace, taint, references; what kallsyms shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from kmodsim import Kernel, KernelError, Module, sample
from kmodsim.errors import EBUSY, EINVAL, ENOENT, ENOEXEC
from kmodsim.loader.load import SectionHeader
from kmodsim.profile import Export
from kmodsim.symbols import Importer, check_version, elf_type, find_symbol, resolve_symbol

from .faults.editor import Image
from .heart import errno_of

pytestmark = pytest.mark.core


class Owner:
    """As much of a module as resolve_symbol looks at."""

    def __init__(self, name: str, taints: str = "") -> None:
        self.name, self.taints = name, taints


def export(name: str, *, crc: int | None = 5, gpl: bool = False, namespace: str | None = None,
    owner: Any = None,
           address: int = 0x1000) -> Export:  # fmt: skip
    return Export(name, address, crc, gpl, namespace, owner)


def importer(**more: Any) -> Importer:
    fields: dict[str, Any] = {"name": "me", "proprietary": False, "using_gplonly_symbols": False,
                              "versions": {"f": 5}, "namespaces": (), "info_name": "info_me"}  # fmt: skip
    return Importer(**(fields | more))


# --- kernel/module/main.c:find_symbol -------------------------------------------------------------


def test_the_kernel_is_asked_before_the_modules() -> None:
    mine, theirs = export("f", address=1), export("f", address=2, owner=Owner("m"))
    assert find_symbol("f", True, {"f": mine}, {"f": theirs}) is mine
    assert find_symbol("f", True, {}, {"f": theirs}) is theirs
    assert find_symbol("g", True, {"f": mine}, {"f": theirs}) is None


def test_gpl_only_symbols_are_skipped_and_not_refused() -> None:
    """find_exported_symbol_in_section: ``!fsa->gplok && syms->license == GPL_ONLY`` goes on with the
    search."""
    secret, plain = export("f", gpl=True), export("f", address=2, owner=Owner("m"))
    assert find_symbol("f", False, {"f": secret}, {}) is None
    assert find_symbol("f", True, {"f": secret}, {}) is secret
    assert find_symbol("f", False, {"f": secret}, {"f": plain}) is plain


# --- kernel/module/version.c:check_version --------------------------------------------------------


def test_versions() -> None:
    assert check_version("f", 5, importer()) == (True, (), False)
    assert check_version("f", 6, importer()) == (
        False,
        ("<4>info_me: disagrees about version of symbol f",),
        False,
    )
    assert check_version("f", 5, importer(versions={})) == (
        False,
        ("<4>info_me: no symbol version for f",),
        False,
    )
    assert check_version("f", None, importer(versions={})) == (True, (), False)  # the exporter has no CRC
    assert check_version("f", 5, importer(versions=None)) == (True, (), True)  # no __versions: forced


# --- kernel/module/main.c:resolve_symbol, in its order --------------------------------------------


def test_a_plain_symbol_resolves() -> None:
    wanted = export("f")
    found = resolve_symbol("f", importer(), {"f": wanted}, {})
    assert (found.export, found.errno, found.log, found.using_gplonly_symbols) == (wanted, 0, (), False)


def test_not_found_is_no_error_yet() -> None:
    """Weak symbols may go without: the errno comes from simplify_symbols."""
    found = resolve_symbol("f", importer(), {}, {})
    assert (found.export, found.errno) == (None, 0)


def test_using_gplonly_symbols_is_set_even_when_the_version_is_wrong() -> None:
    found = resolve_symbol("f", importer(versions={"f": 6}), {"f": export("f", gpl=True)}, {})
    assert (found.export, found.errno, found.using_gplonly_symbols) == (None, EINVAL, True)


def test_using_gplonly_symbols_stays() -> None:
    found = resolve_symbol("f", importer(using_gplonly_symbols=True), {"f": export("f")}, {})
    assert found.using_gplonly_symbols


def test_a_proprietary_provider_taints_who_uses_it() -> None:
    found = resolve_symbol("f", importer(), {}, {"f": export("f", owner=Owner("p", "PO"))})
    assert found.inherit_taint
    assert found.log == ("<4>me: module uses symbols f from proprietary module p, inheriting taint.",)


def test_a_proprietary_user_inherits_nothing() -> None:
    found = resolve_symbol("f", importer(proprietary=True), {}, {"f": export("f", owner=Owner("p", "P"))})
    assert (found.inherit_taint, found.log, found.errno) == (False, (), 0)
    assert found.export is not None


def test_gpl_only_and_proprietary_do_not_mix() -> None:
    mixing = importer(using_gplonly_symbols=True)
    found = resolve_symbol("f", mixing, {}, {"f": export("f", owner=Owner("p", "P"))})
    assert (found.export, found.errno) == (None, 0)
    assert found.log == ("<3>me: module using GPL-only symbols uses symbols f from proprietary module p.",)


def test_the_inherited_taint_comes_before_the_version() -> None:
    found = resolve_symbol("f", importer(versions={"f": 9}), {}, {"f": export("f", owner=Owner("p", "P"))})
    assert (found.errno, found.inherit_taint, len(found.log)) == (EINVAL, True, 2)


def test_the_version_comes_before_the_namespace() -> None:
    found = resolve_symbol("f", importer(versions={"f": 9}), {"f": export("f", namespace="NS")}, {})
    assert found.log == ("<4>info_me: disagrees about version of symbol f",)


@pytest.mark.parametrize(("imported", "errno"), [((), EINVAL), (("OTHER",), EINVAL), (("OTHER", "NS"), 0)])
def test_namespaces(imported: tuple[str, ...], errno: int) -> None:
    found = resolve_symbol("f", importer(namespaces=imported), {"f": export("f", namespace="NS")}, {})
    said = "<3>me: module uses symbol (f) from namespace NS, but does not import it."
    assert (found.errno, found.log) == (errno, (said,) if errno else ())


# --- with real modules ----------------------------------------------------------------------------


@pytest.fixture
def loaded() -> Callable[..., Kernel]:
    def load(*names: str) -> Kernel:
        kernel = Kernel()
        for name in names:
            kernel.finit_module(sample(name))
        return kernel

    return load


def minimal() -> Image:
    return Image(sample("minimal").read_bytes())


def added(kernel: Kernel, call: Callable[[], object]) -> list[str]:
    before = len(kernel.dmesg)
    with pytest.raises(KernelError):
        call()
    return [line for line in kernel.dmesg[before:] if "taint" not in line]


def test_a_reference_is_taken_once_for_each_provider(loaded: Callable[..., Kernel]) -> None:
    """ref_module: already_uses() ends it. chain_a exports two symbols that the user names."""
    kernel = loaded("chain_a")
    crcs = {e.name: e.crc for e in kernel.modules["chain_a"].exports.values()}
    image = minimal()
    assert len(crcs) == 2
    for name, crc in crcs.items():
        image.add_version(name, crc or 0).add_symbol(name)
    kernel.finit_module(bytes(image))
    assert kernel.modules["chain_a"].refcount == 1
    assert kernel.modules["chain_a"].holders == ("minimal",)


def test_users_are_listed_newest_first(loaded: Callable[..., Kernel]) -> None:
    kernel = loaded("diamond_bottom", "diamond_left", "diamond_right", "diamond_top")
    assert kernel.modules["diamond_bottom"].holders == ("diamond_right", "diamond_left")
    assert [m.name for m in kernel.modules["diamond_top"].uses] in (
        ["diamond_left", "diamond_right"], ["diamond_right", "diamond_left"])  # fmt: skip


def test_all_bad_symbols_are_reported_and_the_last_errno_wins() -> None:
    """simplify_symbols overwrites ``ret`` with every failure."""
    kernel, image = Kernel(), minimal()
    image.set_version("_printk", crc=1)
    image.add_symbol("nobody_a")
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(bytes(image))
    assert caught.value.errno == ENOENT
    reported = [line for line in kernel.dmesg if "Unknown symbol" in line]
    assert reported == [
        "<4>minimal: Unknown symbol _printk (err -22)",
        "<4>minimal: Unknown symbol nobody_a (err -2)",
    ]


def test_a_version_error_that_comes_last_wins() -> None:
    kernel, image = Kernel(), minimal()
    image.add_symbol("nobody_a").add_symbol("kfree")  # no CRC listed for kfree
    assert errno_of(kernel.finit_module, bytes(image)) == EINVAL
    assert [line.split("minimal: ")[1] for line in kernel.dmesg if "nobody" in line or "kfree" in line] == [
        "Unknown symbol nobody_a (err -2)", "no symbol version for kfree", "Unknown symbol kfree (err -22)",
    ]  # fmt: skip


@pytest.mark.parametrize(("symbol", "errno"), [
    ({"name": "nobody", "info": 0x20}, None),                        # undefined, weak
    ({"name": "nobody", "info": 0x21}, None),                        # a weak object
    ({"name": "nobody", "info": 0x10}, ENOENT), ({"name": "nobody", "info": 0x00}, ENOENT),
    ({"name": ""}, ENOENT),
    ({"name": "_GLOBAL_OFFSET_TABLE_"}, None), ({"name": "_GLOBAL_OFFSET_TABLE"}, ENOENT),
    ({"name": "__gnu_lto_slim", "shndx": 0xFFF2}, None), ({"name": "__gnu_lt", "shndx": 0xFFF2}, ENOEXEC),
    ({"name": "x", "shndx": 0xFFF1}, None), ({"name": "x", "shndx": 0xFF20}, None),  # ABS, LIVEPATCH
    ({"name": "x", "shndx": 0xFFFF}, ENOEXEC), ({"name": "x", "shndx": 0xFF00}, ENOEXEC),
])  # fmt: skip
def test_special_symbols(symbol: dict[str, Any], errno: int | None) -> None:
    """kernel/module/main.c:simplify_symbols and ignore_undef_symbol."""
    image = bytes(minimal().add_symbol(**symbol))
    if errno is None:
        assert Kernel().finit_module(image).state == "LIVE"
    else:
        assert errno_of(Kernel().finit_module, image) == errno


def test_a_section_index_behind_the_last() -> None:
    image = minimal()
    count = image.header("e_shnum")
    kernel = Kernel()
    assert errno_of(kernel.finit_module, bytes(image.add_symbol("lost", shndx=count))) == ENOEXEC
    assert (
        kernel.dmesg[-1] == f"<3>minimal: Symbol lost has an invalid section index {count} (max {count - 1})"
    )


def test_a_weak_symbol_with_a_wrong_version_is_an_error() -> None:
    """Only "not found" is forgiven: ``!ksym``, not IS_ERR(ksym)."""
    image = minimal().set_version("_printk", crc=1)
    image.set_symbol("_printk", st_info=0x20)
    assert errno_of(Kernel().finit_module, bytes(image)) == EINVAL


def test_symbol_zero_is_not_looked_at() -> None:
    image = minimal().set_symbol(0, st_shndx=0xFFF2, st_name=0)
    assert Kernel().finit_module(bytes(image)).state == "LIVE"


def test_proprietary_then_heir_then_bridge(loaded: Callable[..., Kernel]) -> None:
    kernel = loaded("proprietary", "gpl_only", "proprietary_heir")
    assert kernel.modules["proprietary_heir"].taints.startswith("P")
    said = "uses symbols proprietary_answer from proprietary module proprietary"
    assert f"<4>proprietary_heir: module {said}, inheriting taint." in kernel.dmesg
    lines = added(kernel, lambda: kernel.finit_module(sample("proprietary_bridge")))
    assert len(lines) in (1, 2)
    assert lines[-1].startswith("<4>proprietary_bridge: Unknown symbol ")


def test_a_refused_bridge_holds_no_reference(loaded: Callable[..., Kernel]) -> None:
    kernel = loaded("proprietary", "gpl_only")
    assert errno_of(kernel.finit_module, sample("proprietary_bridge")) == ENOENT
    assert [m.refcount for m in kernel.modules.values()] == [0, 0]
    assert [m.holders for m in kernel.modules.values()] == [(), ()]


# --- providers that are not LIVE ------------------------------------------------------------------


def from_notifier(kernel: Kernel, state: str, call: Callable[[], object]) -> list[object]:
    """What ``call`` gave, made when chain_a is in ``state``: the errno, or what it returned."""
    answers: list[object] = []

    def notifier(now: str, module: Module) -> None:
        if (now, module.name) == (state, "chain_a"):
            try:
                answers.append(call())
            except KernelError as error:
                answers.append(error.errno)

    kernel.register_module_notifier(notifier)
    return answers


def test_a_provider_that_is_coming_is_waited_for_in_vain() -> None:
    kernel = Kernel()
    answers = from_notifier(kernel, "COMING", lambda: kernel.finit_module(sample("chain_b")))
    kernel.finit_module(sample("chain_a"))
    assert answers == [EBUSY]
    at = kernel.dmesg.index("<4>chain_b: gave up waiting for init of module chain_a.")
    assert kernel.dmesg[at + 1] == "<4>chain_b: Unknown symbol chain_a_add (err -16)"
    assert kernel.modules["chain_a"].refcount == 0


def test_a_provider_that_is_going_counts_as_unknown() -> None:
    kernel = Kernel()
    kernel.finit_module(sample("chain_a"))
    answers = from_notifier(kernel, "GOING", lambda: kernel.finit_module(sample("chain_b")))
    kernel.delete_module("chain_a")
    assert answers == [ENOENT]
    assert kernel.dmesg[-1] == "<4>chain_b: Unknown symbol chain_a_add (err -2)"
    assert not kernel.modules


def test_a_provider_in_its_live_notifier_can_be_used_and_then_not_unloaded() -> None:
    kernel = Kernel()
    answers = from_notifier(kernel, "LIVE", lambda: kernel.finit_module(sample("chain_b")).state)
    kernel.finit_module(sample("chain_a"))
    assert answers == ["LIVE"]
    assert kernel.modules["chain_a"].refcount == 1


def test_exports_are_gone_after_the_unload_and_after_a_failed_load(loaded: Callable[..., Kernel]) -> None:
    kernel = loaded("chain_a")
    kernel.delete_module("chain_a")
    assert errno_of(kernel.finit_module, sample("chain_b")) == ENOENT
    refusing = Kernel()
    refusing.register_module_notifier(lambda state, module: EINVAL if state == "COMING" else None)
    assert errno_of(refusing.finit_module, sample("chain_a")) == EINVAL
    assert refusing.exports == {}


def test_a_duplicate_export_names_the_owner(loaded: Callable[..., Kernel]) -> None:
    kernel = loaded("chain_a")
    assert errno_of(kernel.finit_module, sample("duplicate_export")) == ENOEXEC
    assert kernel.dmesg[-1] == "<3>duplicate_export: exports duplicate symbol chain_a_add (owned by chain_a)"
    assert kernel.exports["chain_a_add"].owner is kernel.modules["chain_a"]


def test_extra_symbols_of_the_kernel() -> None:
    kernel = Kernel(symbols={"nobody": 0xFFFFFFFF81234567})
    module = kernel.finit_module(bytes(minimal().add_symbol("nobody")))
    assert module.state == "LIVE"
    assert errno_of(Kernel().finit_module, bytes(minimal().add_symbol("nobody"))) == ENOENT


# --- kallsyms -------------------------------------------------------------------------------------


def section(flags: int, kind: int = 1, name: str = "x") -> SectionHeader:
    return SectionHeader(1, name, kind, flags, 0, 0, 8, 0, 0, 1, 0)


# kernel/module/kallsyms.c:elf_type; flags 1 write, 2 alloc, 4 exec; type 8 is NOBITS
@pytest.mark.parametrize(("bind", "kind", "shndx", "of", "letter"), [
    (2, 1, 1, section(2), "v"), (2, 2, 1, section(6), "w"), (2, 0, 0, section(2), "w"),
    (1, 0, 0, section(2), "U"),
    (1, 0, 0xFFF1, section(2), "a"), (0, 1, 7, section(3), "a"), (1, 0, 0xFF20, section(2), "?"),
    (1, 2, 1, section(6), "t"), (1, 2, 1, section(4), "t"), (1, 1, 1, section(2), "r"),
    (1, 1, 1, section(3), "d"),
    (1, 1, 1, section(3, 8), "b"), (1, 1, 1, section(0, 8), "b"),
    (1, 1, 1, section(0, 1, ".debug_info"), "n"),
    (1, 1, 1, section(0, 1, ".comment"), "?"),
])  # fmt: skip
def test_letters(bind: int, kind: int, shndx: int, of: SectionHeader, letter: str) -> None:
    table = [section(0), of, *[section(3)] * 6]
    assert elf_type(bind, kind, shndx, table, 7) == letter


LINE = re.compile(r"([0-9a-f]{16}) (.) (\S+)\t\[(\w+)\]")


def kallsyms(kernel: Kernel, name: str) -> list[tuple[int, str, str]]:
    lines = [
        LINE.fullmatch(line)
        for line in kernel.read("/proc/kallsyms").splitlines()
        if line.endswith(f"\t[{name}]")
    ]
    return [(int(m[1], 16), m[2], m[3]) for m in lines if m]


def test_a_plain_export_is_shown_with_a_capital_and_a_gpl_one_is_not(loaded: Callable[..., Kernel]) -> None:
    """is_exported() looks into mod->syms alone."""
    shown = {name: letter for _, letter, name in kallsyms(loaded("gpl_only"), "gpl_only")}
    assert shown["gpl_plain_answer"] == "T"
    assert shown["gpl_only_answer"] == "t"


def test_init_symbols_are_listed_only_while_init_runs() -> None:
    kernel, during = Kernel(), []
    kernel.register_module_notifier(lambda *_: during.append({n for _, _, n in kallsyms(kernel, "minimal")}))
    kernel.finit_module(sample("minimal"))
    after = {n for _, _, n in kallsyms(kernel, "minimal")}
    assert {"init_module", "_printk"} <= during[0] == during[1]
    assert "init_module" not in after
    assert "_printk" not in after
    assert "cleanup_module" in after
