# SPDX-License-Identifier: GPL-2.0-only
"""BreakLab: every break is answered as the real kernel answered the same file, and guesses are scored."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from kmodsim.errors import errno_name
from kmodsim.loader import STAGES
from kmodsim.widgets.breaking import ENDS, ERRNOS, Score, Tried, page_of
from kmodsim.widgets.breaks import BREAKS, BREAKS_BY_LABEL
from kmodsim.widgets.guessing import NOT_YET

from .recorded import answered, is_recorded_file, without_first_words

pytestmark = pytest.mark.core


class Case(NamedTuple):
    """A recorded case; ``exact``: the break's file is the recorded one, byte for byte."""

    case: str
    boot: str = "plain"
    step: int = 0
    exact: bool = True


# What the first widget's changes do to hello differs in bytes from the recorded files, not in what is wrong.
RECORDED: dict[str, Case] = {
    "the caller is not root": Case("permission/uid"),
    "the download stopped half-way": Case("elf-table/truncated", exact=False),
    "one byte was changed on its way": Case("unsigned-taint/second", exact=False),
    "the file was built for an ARM machine": Case("elf-header/machine_arm64"),
    "it was built for a kernel configured otherwise": Case("vermagic/vermagic_flags", exact=False),
    "its idea of struct module is another one": Case("layout-version/layout_crc", exact=False),
    "its idea of _printk is another one": Case("symbol-version/symbol_crc", "symbols", exact=False),
    "this kernel insists on signed modules": Case("signature-enforced/hello", "enforce"),
    "it is on the kernel's blacklist": Case("blacklist/hello", "blacklist"),
    "it is loaded already": Case("name-live/hello", step=1),
    "init says that the hardware is not there": Case("init-negative/19", exact=False),
    "the kernel was booted with nomodule": Case("permission/nomodule", "nomodule"),
    "a flag is given that this kernel does not know": Case("finit-flags/0x8"),
    "the file is empty": Case("finit-file/empty"),
    "the kernel is locked down for integrity": Case("signature-lockdown/hello", "lockdown"),
    "a signed module, one byte changed": Case("signature-mismatch/signature_edited_body", exact=False),
    "of the file only 63 bytes came": Case("elf-length/bytes_63"),
    "it is a text file": Case("elf-header/text_file"),
    "its header says it is an executable": Case("elf-header/type_exec"),
    "EI_CLASS says 32-bit and EI_DATA big-endian": Case("not-checked/ident_32_bit_big_endian", exact=False),
    "the table of section names does not end in NUL": Case("elf-shstrtab/shstrtab_not_terminated"),
    "section 0 has a size": Case("elf-section-0/section0_size"),
    ".text is said to lie behind the end of the file": Case("elf-section-bounds/section_offset"),
    ".bss is said to lie behind the end of the file": Case("elf-section-bounds/nobits_outside"),
    "the symbol table names no string table": Case("elf-symtab-link/symtab_link_zero"),
    "its symbols were stripped": Case("setup-symtab/no_symtab"),
    "it has no struct module": Case("setup-this-module/this_module_not_alloc"),
    "it was built for 6.1.0-55": Case("vermagic/vermagic_release"),
    "vermagic is missing": Case("vermagic-missing/missing", "taints/vermagic"),
    "its licence is Proprietary": Case("modinfo-taints/proprietary", "taints"),
    ".text may be written": Case("write-exec/write_exec"),
    ".bss is as large as 1.5 GiB": Case("layout-memory/no_memory_core"),
    "its per-CPU data is 20,000 bytes": Case("percpu-memory/percpu_full"),
    "it uses a function that nobody has": Case("symbol-unknown/missing_symbol", "symbols"),
    "the module it needs is not there": Case("symbol-unknown/chain_b", "symbols"),
    "a proprietary module uses a GPL-only symbol": Case("symbol-unknown/proprietary_gpl", "symbols"),
    "it uses a namespace that it does not import": Case("symbol-namespace/thief", "symbols", 2),
    "_printk is not in its __versions": Case("symbol-version/symbol_not_listed", "symbols"),
    "a weak symbol is nowhere to be found": Case("symbol-special/weak_symbol", "symbols"),
    "it has a relocation of type 99": Case("relocation-type/relocation_unknown", "symbols"),
    "an address goes into a R_X86_64_32 field": Case("relocation-overflow/relocation_32_overflow", "symbols"),
    "a relocation section has the old type REL": Case("relocation-rel/relocation_rel", "symbols"),
    "a relocation points a terabyte away": Case(
        "oops/relocation_offset_outside", "oops/relocation_offset_outside"
    ),
    "it exports what another module exports": Case("export-duplicate/chain", "symbols", 1),
    "it exports what the kernel exports": Case("export-duplicate/export_of_kernel", "symbols"),
    "it has the name of something built in: printk": Case("sysfs-name/name_built_in", "symbols"),
    "a parameter gets a word for a number": Case("modinfo-taints/before-failure", "taints/failure", 0, False),
    "a parameter is given that it does not have": Case("parameters/105-nobody=1", "parameters"),
    "init finds no memory": Case("init-negative/12", exact=False),
    "init returns 5": Case("init-positive/5", exact=False),
}
TAINTS = re.compile(r"taints? kernel|tainting kernel|kernel taint|kernel tainted|licen[sc]e 'Proprietary'")


def tried(label: str) -> Tried:
    return Tried(BREAKS_BY_LABEL[label])


def test_there_are_enough_and_each_was_recorded() -> None:
    assert len(BREAKS) >= 25
    assert [item.label for item in BREAKS] == list(RECORDED)


@pytest.mark.parametrize("label", RECORDED)
def test_a_break_ends_as_on_the_real_kernel(label: str) -> None:
    """Errno and log as recorded; what only taints is left out, for it is said once in a kernel's life."""
    wanted, found = RECORDED[label], tried(label)
    answer = answered(wanted.case, wanted.boot, wanted.step)
    if wanted.exact:
        assert is_recorded_file(answer.call["file"], found.what.edit(found.file))
    if answer.call.get("timeout"):  # the caller of the real kernel died
        assert found.errno == "oops"
    else:
        assert found.errno == (answer.errno or "loaded")
    said = [record for record in without_first_words(found.log, found.load.name) if not TAINTS.search(record)]
    recorded = [record for record in answer.log if not TAINTS.search(record)]
    if label == "a parameter gets a word for a number":  # it was recorded with another word
        recorded = [record.replace("`x'", "`three'") for record in recorded]
    assert said == recorded


# errno -> what insmod prints: kmod 30 tools/insmod.c:mod_strerror, and the C library's strerror
INSMOD = {
    "EPERM": "Operation not permitted", "ENOENT": "Unknown symbol in module", "EINVAL": "Invalid parameters",
    "ENOEXEC": "Invalid module format", "ENOMEM": "Cannot allocate memory", "EEXIST": "File exists",
    "ENODEV": "No such device", "EKEYREJECTED": "Key was rejected by service",
}  # fmt: skip


@pytest.mark.parametrize("label", RECORDED)
def test_the_answer_has_stage_errno_insmods_words_and_the_log(label: str) -> None:
    found = tried(label)
    text = page_of(found, NOT_YET, NOT_YET, look=True, score=Score({})).answer()[1]
    if found.errno == "loaded":
        assert f"✓ {found.what.module} is loaded" in text
        assert "insmod: ERROR" not in text
    elif found.errno == "oops":
        assert "\nKilled\n" in text
    elif found.what.flags:  # no tool can do that: the call itself is shown
        assert 'finit_module(3, "", 0x8) = -1 EINVAL (Invalid argument)\n' in text
    else:
        assert f"refused: {found.errno} in {found.stage}" in text
        assert f"could not insert module {found.what.module}.ko: {INSMOD[found.errno]}\n" in text
    assert all(record[3:] in text for record in found.log)
    assert found.stage in ENDS and found.errno in ERRNOS


@pytest.mark.parametrize("label", RECORDED)
def test_the_question_gives_nothing_away(label: str) -> None:
    found = tried(label)
    text = page_of(found, NOT_YET, NOT_YET, look=False, score=Score({})).answer()[1]
    assert label in text and "insmod: ERROR" not in text and "✓" not in text and "✗" not in text
    assert not any(record[3:] in text for record in found.log if len(record) > 3)


def test_the_ends_are_the_kernels_stages_in_its_order() -> None:
    names = [stage.name for stage in STAGES]
    assert list(ENDS[-len(names) :]) == names
    assert {errno for errno in ERRNOS if errno.isupper()} <= {errno_name(number) for number in range(1, 134)}


# --- the widget ---------------------------------------------------------------------------------------------


def lab() -> object:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import BreakLab

    return BreakLab()


def test_a_guess_is_scored_once() -> None:
    breaker = lab()
    assert "No guess yet; 50 things to break." in breaker.text
    breaker.controls["stage"].value = "elf_validity_check"
    breaker.controls["errno"].value = "EINVAL"
    assert "insmod: ERROR" not in breaker.text, "both guesses made, not yet looked"
    breaker.controls["look"].value = True
    assert "✓ the stage: elf_validity_check" in breaker.text
    assert "✗ the errno: you said EINVAL, it is ENOEXEC" in breaker.text
    assert "Score: 1 of 2 points; guessed 1 of 50 breaks." in breaker.text
    breaker.controls["errno"].value = "ENOEXEC"
    assert "Score: 1 of 2 points" in breaker.text, "after looking a guess is none"
    breaker.controls["what"].value = "it is loaded already"
    assert [breaker.controls[name].value for name in ("stage", "errno", "look")] == [NOT_YET, NOT_YET, False]
    breaker.controls["stage"].value = "add_unformed_module"
    breaker.controls["errno"].value = "EEXIST"
    breaker.controls["look"].value = True
    assert "Score: 3 of 4 points; guessed 2 of 50 breaks." in breaker.text
    assert list(breaker.kernel.modules) == ["hello"]
    breaker.reset()
    assert "No guess yet" in breaker.text


def test_who_only_looks_gets_no_points() -> None:
    breaker = lab()
    breaker.controls["look"].value = True
    assert "No guess yet" in breaker.text and "✗ hello is refused" in breaker.text
    breaker.controls["look"].value = False
    breaker.controls["stage"].value, breaker.controls["errno"].value = "elf_validity_check", "ENOEXEC"
    breaker.controls["look"].value = True
    assert "No guess yet" in breaker.text
    assert "<svg" in breaker.static()
