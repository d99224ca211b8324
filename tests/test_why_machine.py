# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim why --running``: the machine's files as a kernel, and what it says about those it cannot read.

The roots are folders made here, in the form that proc(5), sysfs and Kbuild's Module.symvers have.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kmodsim import KernelProfile, sample
from kmodsim.cli import main
from kmodsim.why import why
from kmodsim.why.machine import Machine, MachineProfile

from .faults.files import make, msleep_crc

RELEASE = "6.1.0-56-amd64"
HEADERS = Path("/usr/src") / f"linux-headers-{RELEASE}" / "Module.symvers"


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def symvers() -> str:
    """vmlinux's lines as the headers have them, from the profile (test_profile.py holds it against them)."""
    rows = KernelProfile.load().exports.values()
    lines = (f"{e.crc or 0:#010x}\t{e.name}\tvmlinux\tEXPORT_SYMBOL{'_GPL' * e.gpl}\t{e.namespace or ''}\n"
             for e in rows)  # fmt: skip
    return "".join(lines) + "0x5c9ee0d5\tcrc16\tlib/crc16\tEXPORT_SYMBOL\t\n"


def machine(root: Path, **more: str) -> Path:
    """A machine as root sees it, with three of the distribution's modules installed."""
    write(root, {
        "proc/sys/kernel/osrelease": f"{RELEASE}\n", "proc/sys/kernel/modules_disabled": "0\n",
        "proc/cmdline": "root=/dev/vda1 ro\n", "proc/modules": "mbcache 16384 1 ext4, Live 0x0\n",
        "proc/kallsyms": "ffffffff81000000 T _stext\n", "proc/version": "Linux version of somebody\n",
        f"boot/config-{RELEASE}": "CONFIG_MODVERSIONS=y\n# CONFIG_MODULE_SIG_FORCE is not set\n",
        "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
        "sys/module/printk/x": "", f"usr/src/linux-headers-{RELEASE}/Module.symvers": symvers(),
    })  # fmt: skip
    for name in ("mbcache", "jbd2", "crc16"):
        place = root / f"lib/modules/{RELEASE}/kernel/{name}.ko"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(sample(name).read_bytes())
    return write(root, {path.replace("__", "/"): text for path, text in more.items()})


@pytest.mark.core
def test_a_machine_that_tells_all(tmp_path: Path) -> None:
    named = Machine(machine(tmp_path)).named()
    assert isinstance(named["kernel"].profile, MachineProfile)
    report = why(sample("ext4"), **named)
    assert report.loads
    assert [needed.name for needed in report.first] == ["jbd2", "crc16"]
    assert not any(line.startswith(("CRCs", "vermagic", "lockdown")) for line in report.unchecked)


STATES: list[tuple[str, str, str, list[str]]] = [
    ("proc/modules", "hello 16384 0 - Live 0x0\n", "hello", ["loaded-already"]),
    ("proc/cmdline", "module_blacklist=hello\n", "hello", ["blacklisted"]),
    ("proc/cmdline", "module.sig_enforce=1\n", "hello", ["unsigned-enforced"]),
    ("sys/module/module/parameters/sig_enforce", "Y\n", "hello", ["unsigned-enforced"]),
    (f"boot/config-{RELEASE}", "CONFIG_MODULE_SIG_FORCE=y\n", "hello", ["unsigned-enforced"]),
    ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "hello", ["lockdown"]),
    ("proc/sys/kernel/modules_disabled", "1\n", "hello", ["modules-disabled"]),
    (f"usr/src/linux-headers-{RELEASE}/Module.symvers",
     f"{msleep_crc():#010x}\tmsleep\tvmlinux\tEXPORT_SYMBOL\t\n0x1\tchain_a_add\textra/chain-a\tEXPORT_SYMBOL\t\n",
     "chain_b", ["symbol-missing"]),
    ("proc/sys/kernel/osrelease", RELEASE, "vermagic_flags", ["vermagic"]),
]  # fmt: skip


@pytest.mark.core
@pytest.mark.parametrize(("path", "text", "name", "causes"), STATES)
def test_the_machines_state_counts(
    path: str, text: str, name: str, causes: list[str], tmp_path: Path
) -> None:
    named = Machine(write(machine(tmp_path), {path: text})).named()
    report = why(make(name), **named, alone=True)
    assert [cause.key for cause in report.causes][-len(causes) :] == causes
    if name == "chain_b":
        assert "Load chain_a first" in next(c for c in report.causes if "chain_a_add" in c.means).todo


@pytest.mark.core
@pytest.mark.parametrize(("missing", "line"), [
    ("proc/modules", "modules loaded already: /proc/modules cannot be read"),
    ("proc/cmdline", "boot parameters"),
    ("sys/kernel/security/lockdown", "lockdown: "),
    ("proc/sys/kernel/modules_disabled", "modules_disabled: "),
    (f"boot/config-{RELEASE}", "the kernel's configuration: "),
    (f"usr/src/linux-headers-{RELEASE}/Module.symvers", "CRCs, licences and namespaces of symbols: "),
])  # fmt: skip
def test_each_source_that_cannot_be_read_is_said(missing: str, line: str, tmp_path: Path) -> None:
    (machine(tmp_path) / missing).unlink()
    report = why(make("hello"), **Machine(tmp_path).named())
    assert report.loads
    assert any(said.startswith(line) for said in report.unchecked)
    assert "as far as could be checked" in report.verdict()


@pytest.mark.core
def test_without_root_addresses_are_zeros(tmp_path: Path) -> None:
    """kernel.kptr_restrict: /proc/kallsyms shows zeros (kernel/kallsyms.c:kallsyms_show_value)."""
    write(machine(tmp_path), {"proc/kallsyms": "0000000000000000 T _stext\n"})
    report = why(make("hello"), **Machine(tmp_path).named())
    assert any("zeros to all but root" in line for line in report.unchecked)


@pytest.mark.core
def test_names_from_kallsyms_where_there_are_no_headers(tmp_path: Path) -> None:
    """__ksymtab_NAME stands for each export (include/linux/export.h); CRCs and licences stay unknown."""
    names = [n for n in KernelProfile.load().exports if n != "_printk"]
    lines = "".join(f"0000000000000000 r __ksymtab_{name}\n" for name in names)
    root = write(machine(tmp_path), {"proc/kallsyms": lines})
    (root / f"usr/src/linux-headers-{RELEASE}/Module.symvers").unlink()
    report = why(make("symbols_crc_two"), **Machine(root).named())
    assert [(cause.key, cause.facts["symbol"]) for cause in report.causes] == [("symbol-missing", "_printk")]


@pytest.mark.core
def test_nearly_nothing_can_be_read(tmp_path: Path) -> None:
    write(tmp_path, {"proc/sys/kernel/osrelease": "6.18.1\n"})
    report = why(make("hello"), **Machine(tmp_path).named())
    assert report.loads and len(report.unchecked) >= 8
    assert [c.key for c in why(make("truncated"), **Machine(tmp_path).named()).causes] == ["truncated"]


@pytest.mark.core
def test_a_machine_that_runs_a_known_kernel_gets_its_profile(tmp_path: Path) -> None:
    known = KernelProfile.load()
    root = machine(tmp_path, proc__version=f"Linux version {RELEASE} {known.uname_version}\n")
    assert Machine(root).named()["kernel"].profile is known


@pytest.mark.core
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "--running", "--root", str(machine(tmp_path)), "hello"]) == 0
    assert "on the running kernel (6.1.0-56-amd64)" in capsys.readouterr().out
    assert main(["why", "--running", "--root", str(tmp_path / "nowhere"), "hello"]) == 2
    assert "osrelease" in capsys.readouterr().err


@pytest.mark.tool
def test_with_debians_headers(tmp_path: Path, needs: Callable[[str], str]) -> None:
    """The real Module.symvers, 10,503 lines of vmlinux's and those of all modules."""
    if not HEADERS.is_file():
        pytest.skip(f"needs linux-headers-{RELEASE}")
    root = write(machine(tmp_path), {f"usr/src/linux-headers-{RELEASE}/Module.symvers": HEADERS.read_text()})
    (root / f"lib/modules/{RELEASE}/kernel/jbd2.ko").unlink()
    report = why(sample("ext4"), **Machine(root).named())
    assert [needed.name for needed in report.first if not needed.path] == ["jbd2"]
    missing = [cause for cause in report.causes if cause.key == "symbol-missing"]
    assert missing and all(cause.facts["modules"] == "jbd2" for cause in missing)
