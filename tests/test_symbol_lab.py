# SPDX-License-Identifier: GPL-2.0-only
"""SymbolLab: errnos and log lines as recorded from the real kernel, steps in the order of find_symbol."""

from __future__ import annotations

import pytest

from kmodsim import ModuleFile, sample
from kmodsim.views.lookup import Question, lookup
from kmodsim.widgets.guessing import SHOW
from kmodsim.widgets.looking_up import LookUp, providers

from .pictures import assert_sound
from .realkernel.replay import recorded, truth
from .recorded import answered

pytestmark = pytest.mark.core

ANOTHER, UNLISTED, NONE_AT_ALL = "another one", "not in __versions", "no __versions at all"
# (module, symbol, what is changed) -> outcome, and the recorded step that said so
CASES = [
    ("hello", "_printk", {"crc": ANOTHER}, "EINVAL", ("symbol-version/symbol_crc", "symbols", 0)),
    ("hello", "_printk", {"crc": UNLISTED}, "EINVAL", ("symbol-version/symbol_not_listed", "symbols", 0)),
    ("hello", "_printk", {"crc": NONE_AT_ALL}, "an address",
     ("versions-missing/no_versions", "forced", 0)),
    ("missing_symbol", "nobody_exports_this", {}, "ENOENT",
     ("symbol-unknown/missing_symbol", "symbols", 0)),
    ("chain_b", "chain_a_add", {"provided": False}, "ENOENT", ("symbol-unknown/chain_b", "symbols", 0)),
    ("proprietary_gpl", "ktime_get", {}, "ENOENT", ("symbol-unknown/proprietary_gpl", "symbols", 0)),
    ("gpl_user", "gpl_only_answer", {"crc": ANOTHER}, "EINVAL",
     ("symbol-unknown/version-of-provider", "symbols", 1)),
    ("gpl_user", "gpl_only_answer", {}, "an address", ("symbol-unknown/version-of-provider", "symbols", 2)),
    ("namespace_thief", "namespace_number", {"provided": False}, "ENOENT",
     ("symbol-namespace/thief", "symbols", 0)),
    ("namespace_thief", "namespace_number", {}, "EINVAL", ("symbol-namespace/thief", "symbols", 2)),
    ("namespace_user", "namespace_number", {}, "an address", ("symbol-namespace/thief", "symbols", 3)),
    ("proprietary_bridge", "gpl_only_answer", {}, "ENOENT", ("symbol-proprietary/bridge", "proprietary", 2)),
    ("proprietary_heir", "proprietary_answer", {}, "an address",
     ("symbol-proprietary/bridge", "proprietary", 4)),
    ("weak_symbol", "perhaps_somebody_has_this", {"provided": False}, "stays 0",
     ("symbol-special/weak_symbol", "symbols", 0)),
]  # fmt: skip


def look_up(module: str, symbol: str, **changes: object) -> LookUp:
    return LookUp(ModuleFile(sample(module)), symbol, **changes)


def states(look: LookUp) -> list[str]:
    return [f"{one.function}: {one.state}" for one in look.questions]


@pytest.mark.parametrize(("module", "symbol", "changes", "outcome", "case"), CASES)
def test_the_outcome_is_that_of_the_real_kernel(
    module: str, symbol: str, changes: dict[str, object], outcome: str, case: tuple[str, str, int]
) -> None:
    look, wanted = look_up(module, symbol, **changes), answered(*case)
    assert look.outcome == outcome
    assert look.said == [record for record in wanted.log if symbol in record]
    if wanted.errno is not None and outcome.isupper():
        assert f"err -{ {'ENOENT': 2, 'EINVAL': 22}[outcome] })" in look.said[-1]
    text = look.page().answer()[1]
    assert text.startswith(f"{symbol}: {outcome}")
    assert all(record[3:] in text for record in look.said)


def test_the_address_is_the_one_the_real_kernel_gave() -> None:
    """gpl_only was recorded alone, at the same base as here."""
    name = "samples-6.1.json"
    boot = next(b for b, content in truth(name)["boots"].items()
                if any(case["id"] == "alone/gpl_only" for case in content["cases"]))  # fmt: skip
    steps = recorded(name, boot, "alone/gpl_only")["steps"]
    symbols = next(s["answer"]["symbols"] for s in steps if s["call"]["op"] == "snapshot")
    address = next(int(line.split()[0], 16) for line in symbols if line.split()[2] == "gpl_only_answer")
    look = look_up("gpl_user", "gpl_only_answer")
    assert look.picture.text.splitlines()[-1] == f"→ gpl_only_answer = {address:#x}"


def test_the_kernel_comes_first_then_modules_newest_first() -> None:
    """kernel/module/main.c:find_symbol; the module itself is on the list already, UNFORMED."""
    look = look_up("chain_c", "chain_b_add")
    assert providers(look.file) == ["chain_a", "chain_b"]
    questions = [one.question for one in look.questions]
    assert questions[:5] == ["the kernel's __ksymtab", "the kernel's __ksymtab_gpl", "chain_c itself",
                             "chain_b: __ksymtab", "chain_b: __ksymtab_gpl"]  # fmt: skip
    found = next(n for n, one in enumerate(look.questions) if one.state == "yes")
    assert questions[found].startswith("chain_b: ")
    assert all(one.state == "not asked" for one in look.questions if one.question.startswith("chain_a:"))


def test_after_a_refusal_nobody_asks_on() -> None:
    """kernel/module/main.c:resolve_symbol: inherit_taint, check_version, verify_namespace, ref_module."""
    assert states(look_up("hello", "_printk", crc=ANOTHER))[-5:] == [
        "resolve_symbol: yes", "inherit_taint: yes", "check_version: refused",
        "verify_namespace_is_imported: not asked", "ref_module: not asked",
    ]  # fmt: skip
    assert states(look_up("namespace_thief", "namespace_number"))[-2:] == [
        "verify_namespace_is_imported: refused", "ref_module: not asked"
    ]  # fmt: skip
    assert (
        states(look_up("weak_symbol", "perhaps_somebody_has_this", provided=False))[-1]
        == "simplify_symbols: yes"
    )
    assert states(look_up("missing_symbol", "nobody_exports_this"))[-1] == "simplify_symbols: refused"


def test_gpl_only_tables_are_passed_over_for_a_proprietary_module() -> None:
    look = look_up("gpl_user", "gpl_only_answer", licence="Proprietary")
    assert look.outcome == "ENOENT"
    passed = [one.question for one in look.questions if one.state == "passed over"]
    assert passed == ["the kernel's __ksymtab_gpl", "gpl_user itself", "gpl_only: __ksymtab_gpl"]
    assert look.said == ["<4>gpl_user: Unknown symbol gpl_only_answer (err -2)"]


def test_a_namespace_can_be_imported_and_forgotten() -> None:
    assert look_up("namespace_thief", "namespace_number", namespace="imports the symbol's").outcome == (
        "an address"
    )
    assert look_up("namespace_user", "namespace_number", namespace="imports none").outcome == "EINVAL"
    assert look_up("hello", "_printk", namespace="imports the symbol's").outcome == "an address"


def test_a_proprietary_provider_taints_who_uses_it() -> None:
    look = look_up("proprietary_heir", "proprietary_answer")
    taint = next(one for one in look.questions if one.function == "inherit_taint")
    assert taint.answer == "taint P inherited from proprietary"
    assert "P" in look.kernel.modules["proprietary_heir"].taints


@pytest.mark.parametrize("module", ["hello", "ext4", "vfat", "e1000"])
def test_a_module_that_the_real_kernel_took_gets_all_it_wants(module: str) -> None:
    """Debian's modules and hello were loaded by the real kernel (truth/coming-all, truth/samples)."""
    file = ModuleFile(sample(module))
    for imported in list(file.imports)[:25]:
        look = LookUp(file, imported.name)
        assert look.outcome == "an address", imported.name
        assert [one.state for one in look.questions[-5:]] == ["yes"] * 5


def test_the_picture_is_sound() -> None:
    assert_sound(look_up("namespace_thief", "namespace_number").picture)
    questions = [Question("f", "a <question> & more " * 9, "an answer " * 9, state)
             for state in ("yes", "no", "passed over", "refused", "not asked")]  # fmt: skip
    assert_sound(lookup(questions, "everything", "nothing"))
    assert_sound(lookup([], "nothing", "not asked"))


def test_it_is_driven_from_code() -> None:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import SymbolLab

    lab = SymbolLab()
    assert lab.controls["symbol"].value == "gpl_only_answer", "begins with one that a module exports"
    assert "Choose what you expect" in lab.text and "0xffffffffc0" not in lab.text
    lab.controls["guess"].value = "an address"
    assert "Right, as you expected: an address." in lab.text
    assert list(lab.kernel.modules) == ["gpl_user", "gpl_only"]
    lab.controls["licence"].value = "Proprietary"
    assert "Choose what you expect" in lab.text
    lab.controls["guess"].value = SHOW
    assert lab.text.startswith("gpl_only_answer: ENOENT")
    lab.controls["provided"].value = False
    assert "gpl_only" not in lab.kernel.modules
    assert "<svg" in lab.static()
    assert "wants no symbol" in SymbolLab(b"no module at all").text


def test_a_file_without_modinfo_is_told() -> None:
    from kmodsim.widgets.editor import Editor

    data = bytes(Editor(sample("gpl_user").read_bytes()).rename_section(".modinfo", ".modinfp"))
    look = LookUp(ModuleFile(data), "gpl_only_answer", licence="GPL")
    with pytest.raises(ValueError, match=r"this file has no \.modinfo"):
        look.page()
