# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim why``: the true cause of what the real kernel refused, and "loads" for all that it takes.

Errno and log of a case are those of truth/errno-table-6.1.json. The cause beside each case was written by
hand from that recording: the line the kernel printed, or what was done to the file (tests/faults).
"""

from __future__ import annotations

import json
import lzma
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, sample
from kmodsim.cli import main
from kmodsim.errors import errno_name
from kmodsim.userland.insmod import mod_strerror
from kmodsim.why import CAUSES, SYMBOL_ROWS, why

from .faults.editor import Image
from .faults.files import make
from .realkernel.replay import recorded

DOCS = Path(__file__).resolve().parent.parent / "docs"
TRUTH = "errno-table-6.1.json"

# (boot, case, number of the step that is refused): the causes, in the kernel's order
CASES: dict[tuple[str, str, int], list[str]] = {
    ("plain", "finit-file/empty", 0): ["empty-file"],
    ("plain", "elf-length/one_byte", 0): ["too-short"],
    ("plain", "elf-length/bytes_63", 0): ["too-short"],
    ("plain", "elf-header/bytes_64", 0): ["truncated"],
    ("plain", "elf-header/text_file", 0): ["not-elf"],
    ("plain", "elf-header/magic", 0): ["not-elf"],
    ("plain", "elf-header/type_exec", 0): ["not-relocatable"],
    ("plain", "elf-header/machine_386", 0): ["architecture"],
    ("plain", "elf-header/machine_arm64", 0): ["architecture"],
    ("plain", "elf-header/shentsize", 0): ["broken-elf"],
    ("plain", "elf-table/truncated", 0): ["truncated"],
    ("plain", "elf-table/shoff_outside", 0): ["truncated"],
    ("plain", "elf-shstrndx/shstrndx_zero", 0): ["broken-elf"],
    ("plain", "elf-shstrtab/shstrtab_not_terminated", 0): ["broken-elf"],
    ("plain", "elf-section-0/section0_type", 0): ["broken-elf"],
    ("plain", "elf-symtab-link/symtab_link_zero", 0): ["broken-elf"],
    ("plain", "elf-section-bounds/section_offset", 0): ["truncated"],
    ("plain", "elf-section-name/section_name_outside", 0): ["broken-elf"],
    ("plain", "setup-symtab/no_symtab", 0): ["stripped"],
    ("plain", "setup-this-module/no_this_module", 0): ["no-this-module"],
    ("plain", "layout-version/layout_crc", 0): ["module-layout"],
    ("plain", "layout-version/layout_not_listed", 0): ["module-layout-not-listed"],
    ("plain", "vermagic/vermagic_flags", 0): ["vermagic"],
    ("plain", "vermagic/vermagic_no_space", 0): ["vermagic"],
    ("plain", "vermagic/vermagic_empty", 0): ["vermagic"],
    ("plain", "vermagic/names_differ_vermagic", 0): ["vermagic"],
    ("plain", "vermagic/flag-1", 0): ["vermagic"],
    ("plain", "write-exec/write_exec", 0): ["write-exec"],
    ("plain", "write-exec/write_exec_data", 0): ["write-exec"],
    ("plain", "layout-memory/no_memory_core", 0): ["memory"],
    ("plain", "percpu-memory/percpu_full", 0): ["percpu-memory"],
    ("plain", "signature-bad/signature_garbage", 0): ["broken-signature"],
    ("plain", "signature-bad/signature_truncated", 0): ["broken-signature"],
    ("plain", "signature-fields/signature_algo", 0): ["broken-signature"],
    ("plain", "signature-mismatch/signature_edited_body", 0): ["changed-after-signing"],
    ("plain", "signature-mismatch/signature_twice", 0): ["changed-after-signing"],
    ("plain", "not-checked/names-differ-params", 0): ["parameter"],
    ("plain", "name-live/hello", 1): ["loaded-already"],
    ("nomodule", "permission/nomodule", 0): ["modules-disabled"],
    ("forced", "vermagic/no-versions", 0): ["vermagic"],
    ("enforce", "signature-enforced/hello", 0): ["unsigned-enforced"],
    ("enforce", "signature-enforced/signature_stripped", 0): ["unsigned-enforced"],
    ("enforce", "signature-enforced/signature_id_type_0", 0): ["unsupported-crypto-enforced"],
    ("enforce", "signature-enforced/signature_edited_body", 0): ["changed-after-signing"],
    ("enforce", "signature-enforced/text_file", 0): ["unsigned-enforced", "not-elf"],
    ("enforce", "signature-unknown-key/enforced", 0): ["unknown-key-enforced"],
    ("enforce", "signature-unsupported/enforced", 0): ["unsupported-crypto-enforced"],
    ("lockdown", "signature-lockdown/hello", 0): ["lockdown"],
    ("lockdown", "signature-lockdown/text", 0): ["lockdown", "not-elf"],
    ("lockdown", "signature-lockdown/own-key", 0): ["lockdown"],
    ("lockdown", "signature-lockdown/edited", 0): ["changed-after-signing"],
    ("blacklist", "blacklist/hello", 0): ["blacklisted"],
    ("blacklist", "blacklist/after-validity", 1): ["blacklisted", "vermagic"],
    ("symbols", "symbol-unknown/missing_symbol", 0): ["symbol-missing"],
    ("symbols", "symbol-unknown/chain_b", 0): ["symbol-missing"],
    ("symbols", "symbol-unknown/proprietary_gpl", 0): ["symbol-gpl-only"],
    ("symbols", "symbol-unknown/unknown_empty_name", 0): ["symbol-missing"],
    ("symbols", "symbol-version/symbol_crc", 0): ["symbol-version"],
    ("symbols", "symbol-version/symbol_not_listed", 0): ["symbol-not-listed"],
    ("symbols", "symbol-last-error/symbols_crc_two", 0): ["symbol-version", "symbol-version"],
    ("symbols", "symbol-last-error/unknown_two", 0): ["symbol-missing", "symbol-missing"],
    ("symbols", "symbol-last-error/unknown_then_crc", 0): ["symbol-version", "symbol-missing"],
    ("symbols", "symbol-namespace/thief", 0): ["symbol-missing"],
    ("symbols", "symbol-namespace/thief", 2): ["symbol-namespace"],
    ("symbols", "symbol-common/common", 0): ["symbol-common"],
    ("symbols", "symbol-index/section_index", 0): ["symbol-index"],
    ("symbols", "symbol-unknown/version-of-provider", 1): ["symbol-version"],
    ("symbols", "relocation-type/relocation_unknown", 0): ["old-toolchain"],
    ("symbols", "relocation-target/relocation_target", 0): ["relocated-already"],
    ("symbols", "relocation-overflow/relocation_32_overflow", 0): ["code-model"],
    ("symbols", "relocation-rel/relocation_rel", 0): ["rel-relocations"],
    ("symbols", "export-duplicate/export_of_kernel", 0): ["duplicate-export"],
    ("symbols", "sysfs-name/name_built_in", 0): ["name-taken"],
    ("proprietary", "symbol-proprietary/bridge", 2): ["symbol-proprietary"],
    ("parameters", "parameters/016-an_int=2147483648", 0): ["parameter"],
    ("parameters", "parameters/080-a_string=sixteen-letters.", 0): ["parameter"],
    ("parameters", "parameters/085-numbers=1,2,3,4,5", 0): ["parameter"],
}
BOOT_LINES = ("taints kernel", "tainting kernel", "Disabling lock debugging", "kernel tainted")


def asked(boot: str, case: str, number: int) -> tuple[Any, dict[str, Any]]:
    """The report on one recorded step after the steps before it, and what the real kernel answered."""
    from .realkernel.replay import truth

    kernel = Kernel(cmdline=truth(TRUTH)["boots"][boot]["cmdline"], cpu=None)
    steps = recorded(TRUTH, boot, case)["steps"]
    for step in steps[:number]:
        if step["call"]["op"] == "finit":
            kernel.load(make(step["call"]["file"]), step["call"].get("params") or "", trace=False)
    call = steps[number]["call"]
    report = why(
        make(call["file"]), (call.get("params") or "").encode("latin-1"), kernel=kernel,
        filename=f"{call['file']}.ko", flags=call.get("flags", 0), alone=True,
    )  # fmt: skip
    return report, steps[number]["answer"]


def own_lines(log: Sequence[str]) -> list[str]:
    """Without what a kernel says once a boot, which the recording's boots had said before; hashes as
    recorded."""
    lines = [line for line in log if not any(words in line for words in BOOT_LINES)]
    return [re.sub(r"loc [0-9a-f]+,", "loc (hashed),", line) for line in lines]


@pytest.mark.core
@pytest.mark.parametrize(("boot", "case", "number"), CASES, ids=str)
def test_cause_is_the_recorded_one(boot: str, case: str, number: int) -> None:
    report, answer = asked(boot, case, number)
    assert [cause.key for cause in report.causes] == CASES[boot, case, number]
    assert not report.loads
    assert report.error is not None
    assert errno_name(report.error.errno) == answer["errno"]
    wanted = own_lines(answer.get("log", []))
    assert own_lines(report.error.dmesg) == wanted
    first = own_lines(report.causes[0].dmesg)
    assert set(first) <= set(wanted)
    assert bool(first) == bool(wanted)


@pytest.mark.core
def test_enough_cases_and_nearly_all_causes_are_recorded() -> None:
    """At least 40 cases; the rows that no recording reaches are named here."""
    assert len(CASES) >= 40
    reached = {key for keys in CASES.values() for key in keys}
    rows = {row.key for row in CAUSES} | set(SYMBOL_ROWS)
    assert reached <= rows
    assert rows - reached == {
        "not-root", "flags", "no-file", "compressed", "packed-file", "signature", "going",
        "parameter-refused", "init-failed", "symbol-provider-busy",
    }  # fmt: skip


@pytest.mark.core
@pytest.mark.parametrize(("caller", "key"), [({"uid": 1000}, "not-root"), ({"flags": 8}, "flags")])
def test_callers_that_are_refused(caller: dict[str, int], key: str) -> None:
    """kernel/module/main.c:may_init_module (EPERM) and finit_module (EINVAL), as recorded in permission/uid
    and finit-flags/0x8."""
    report = why(make("hello"), **caller)
    assert [cause.key for cause in report.causes] == [key]
    assert report.causes[0].errno == {"not-root": 1, "flags": 22}[key]


@pytest.mark.core
def test_several_causes_are_all_found_in_the_kernels_order() -> None:
    """Each change is one that the recording has alone: vermagic_flags, symbols_crc_two, a bad parameter; the
    order is that of load_module (kernel/module/main.c)."""
    image = Image(make("symbols_crc_two"))
    image.set_modinfo("vermagic", "6.1.0-56-amd64 SMP mod_unload modversions ")
    image.set_version("module_layout", crc=1)
    kernel = Kernel(cmdline="module.sig_enforce=1 module_blacklist=hello", cpu=None)
    report = why(bytes(image), "howmany=x an_int=2147483648", kernel=kernel, uid=1000)
    assert [cause.key for cause in report.causes] == [
        "not-root", "unsigned-enforced", "blacklisted", "module-layout", "vermagic", "symbol-version",
        "symbol-version", "parameter", "parameter",
    ]  # fmt: skip
    assert report.complete
    assert [cause.facts.get("symbol") for cause in report.causes[5:7]] == ["_printk", "param_ops_int"]
    assert report.error is not None and (report.error.errno, report.error.stage) == (1, "may_init_module")


@pytest.mark.core
def test_words_name_what_differs() -> None:
    """The values are those that tests/faults/files.py put into the files, and Module.symvers's."""
    vermagic = why(make("vermagic_flags")).causes[0]
    assert vermagic.means == "It was built for another kernel: it lacks preempt."
    crc = why(make("symbol_crc")).causes[0]
    assert crc.facts["mine"] == "0x12345678" and "0x12345678" in crc.means
    missing = why(make("chain_b"), alone=True).causes[0]
    assert missing.todo == "Load chain_a first (modprobe does)."
    namespace = asked("symbols", "symbol-namespace/thief", 2)[0].causes[0]
    assert "MODULE_IMPORT_NS(COURSE)" in namespace.todo
    assert mod_strerror(8) in vermagic.insmod


@pytest.mark.core
def test_what_it_depends_on_is_loaded_first() -> None:
    """depends= in .modinfo, which modpost writes: chain_c needs chain_b, which needs chain_a."""
    report = why(sample("chain_c"))
    assert report.loads
    assert [needed.name for needed in report.first] == ["chain_a", "chain_b"]
    refused = why(sample("chain_c"), kernel=Kernel(cmdline="module_blacklist=chain_a", cpu=None))
    assert not refused.loads and not refused.causes
    assert "chain_a (refused itself: EPERM" in refused.text()


@pytest.mark.core
def test_packed_files(tmp_path: Path) -> None:
    """insmod unpacks; the kernel given the packed bytes sees no ELF magic (elf-header/magic); a packed file
    that ends too early never reaches it (docs/commands.md: insmod says EINVAL)."""
    packed = lzma.compress(make("hello"))
    whole, cut = tmp_path / "hello.ko.xz", tmp_path / "cut.ko.xz"
    whole.write_bytes(packed)
    cut.write_bytes(packed[:-40])
    assert why(whole).loads
    raw = why(packed)
    assert [cause.key for cause in raw.causes] == ["packed-file"] and "unxz" in raw.causes[0].todo
    assert [cause.key for cause in why(cut).causes] == ["broken-compression"]
    with pytest.raises(KernelError):
        why(tmp_path / "nobody.ko")


@pytest.mark.core
@pytest.mark.parametrize("name", ["hello", "crc16", "signature_own_key"])
def test_signature_says_what_strict_kernels_would_do(name: str) -> None:
    """As recorded: signature-enforced/hello, signature-unknown-key/enforced and signature-lockdown."""
    data = make(name) if name != "crc16" else sample(name).read_bytes()
    signature = why(data).signature
    answers = {"hello": ("EKEYREJECTED", "EPERM"), "signature_own_key": ("EKEYREJECTED", "EPERM"),
               "crc16": ("loads", "loads")}[name]  # fmt: skip
    assert (signature["sig_enforce"].split()[0], signature["lockdown"].split()[0]) == answers
    assert signature["verified"] == (name == "crc16")


# --- the command --------------------------------------------------------------------------------------------

FIELDS = {"file", "kernel", "release", "loads", "verdict", "answer", "causes", "complete", "first", "dmesg",
          "signature", "unchecked"}  # fmt: skip
CAUSE_FIELDS = {"cause", "stage", "errno", "errno_name", "insmod", "dmesg", "means", "do", "facts"}


@pytest.mark.core
@pytest.mark.parametrize(
    ("argv", "status"),
    [(["hello"], 0), (["hello", "howmany=x"], 1), (["chain_b", "--alone"], 1), (["no-such-file.ko"], 2),
     (["--running", "--kernel", "x", "hello"], 2), ([], 2)],
)  # fmt: skip
def test_exit_status(argv: list[str], status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", *argv]) == status
    capsys.readouterr()


@pytest.mark.core
def test_json_has_the_documented_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "hello", "howmany=x", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found) == FIELDS
    assert [set(cause) for cause in found["causes"]] == [CAUSE_FIELDS]
    assert (found["answer"]["stage"], found["answer"]["errno_name"]) == ("parse_args", "EINVAL")
    page = (DOCS / "why.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in FIELDS | CAUSE_FIELDS)


def worked_examples() -> list[tuple[str, str]]:
    """(command, output) of each ``$ kmodsim why …`` in docs/why.md."""
    blocks = re.findall(r"^```\n\$ (kmodsim why .*?)\n(.*?)^```$", (DOCS / "why.md").read_text(), re.M | re.S)
    return [(command, output) for command, output in blocks]


@pytest.mark.core
def test_examples_in_the_docs_are_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    examples = worked_examples()
    assert len(examples) >= 2
    for command, output in examples:
        main(shlex.split(command)[1:])
        assert capsys.readouterr().out == output


# --- any bytes ----------------------------------------------------------------------------------------------


CHANGED = st.tuples(
    st.sampled_from(["hello", "chain_b", "crc16"]), st.integers(0, 15000), st.binary(min_size=1, max_size=64)
)


@pytest.mark.core
@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | CHANGED, st.binary(max_size=30))
def test_any_bytes_get_a_verdict(what: Any, params: bytes) -> None:
    if isinstance(what, tuple):
        name, at, new = what
        data = bytearray(sample(name).read_bytes())
        at %= len(data)
        data[at : at + len(new)] = new
        what = bytes(data)
    report = why(what, params)
    assert report.loads == (not report.causes)
    assert report.filename in report.text()
    json.dumps(report.to_dict())


# --- all that the distribution ships -----------------------------------------------------------------------


@pytest.mark.tree
def test_all_of_the_distributions_modules_load(tree: Path) -> None:
    """The real kernel takes them: coming-all-6.1.json.xz was recorded from loading each of them."""
    files = sorted(tree.rglob("*.ko"))
    assert len(files) == 4023
    refused = {}
    for path in files:
        report = why(path)
        if not report.loads:
            refused[path.name] = [cause.key for cause in report.causes]
    assert refused == {}
