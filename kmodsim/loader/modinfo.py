# SPDX-License-Identifier: GPL-2.0-only
"""What .modinfo says, and which taints follow (``kernel/module/main.c:check_modinfo``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ENOEXEC, MODULE_INIT_IGNORE_VERMAGIC, KernelError
from ..records import SHF_EXECINSTR, SHF_WRITE
from .load import SectionHeader
from .load_info import early_name

if TYPE_CHECKING:
    from .load import Load

# include/linux/license.h:license_is_gpl_compatible
GPL_COMPATIBLE = frozenset(
    ("GPL", "GPL v2", "GPL and additional rights", "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL")
)
WX = SHF_WRITE | SHF_EXECINSTR


class ModinfoTaint(NamedTuple):
    """A tag that taints. ``when``: absent, present or licence; ``repeat``: always, unless tainted, or once
    a boot."""

    tag: str
    letter: str
    when: str
    level: int
    message: str
    repeat: str
    unreliable: bool = False  # LOCKDEP_NOW_UNRELIABLE: lock debugging ends


# In the order of 6.1's check_modinfo. The line without a letter is check_modinfo_retpoline.
MODINFO_TAINTS = (
    ModinfoTaint("intree", "O", "absent", 4, "{name}: loading out-of-tree module taints kernel.", "unless"),
    ModinfoTaint("retpoline", "", "absent", 4, "{name}: loading module not compiled with retpoline compiler.",
                 "always"),
    ModinfoTaint("staging", "C", "present", 4, "{name}: module is from the staging directory, the quality is "
                 "unknown, you have been warned.", "always"),
    ModinfoTaint("livepatch", "K", "present", 5, "{name}: tainting kernel with TAINT_LIVEPATCH", "once"),
    ModinfoTaint("license", "P", "licence", 4, "{name}: module license '{value}' taints kernel.", "unless",
                 True),
    ModinfoTaint("test", "N", "present", 4, "{name}: loading test module taints kernel.", "unless"),
)  # fmt: skip


def same_magic(mine: str, kernels: str, has_crcs: bool) -> bool:
    """Whether a module's vermagic fits the kernel's; the release (first word) counts only without CRCs.

    Models ``kernel/module/version.c:same_magic``.
    """
    if has_crcs:
        mine, kernels = mine[mine.find(" ") :] if " " in mine else "", kernels[kernels.find(" ") :]
    return mine == kernels


def taints_of(
    modinfo: Sequence[tuple[str, str]], table: Sequence[ModinfoTaint] = MODINFO_TAINTS
) -> list[tuple[ModinfoTaint, str]]:
    """The rows of ``table`` that apply to these (tag, value) pairs, with the value for the message."""
    first: dict[str, str] = {}
    for tag, value in modinfo:
        first.setdefault(tag, value)
    rows = []
    for row in table:
        present = row.tag in first
        if row.when == "licence":
            licence = first.get(row.tag, "unspecified")
            if licence not in GPL_COMPATIBLE:
                rows.append((row, licence))
        elif present == (row.when == "present"):
            rows.append((row, first.get(row.tag, "")))
    return rows


def check_vermagic(load: Load) -> None:
    """ENOEXEC when vermagic differs; missing or ignored (flag 2) it forces the load, taint F."""
    magic = None if load.flags & MODULE_INIT_IGNORE_VERMAGIC else load.get_modinfo("vermagic")
    if magic is None:
        load.kernel.try_to_force_load(load, "bad vermagic")
    elif not load.pure("same_magic")(magic, load.profile.vermagic, bool(load.index.vers)):
        load.kernel.printk(3, f"{load.name}: version magic '{magic}' should be '{load.profile.vermagic}'")
        raise KernelError(ENOEXEC)


def check_modinfo(load: Load) -> None:
    """Vermagic, then the taints of out-of-tree, retpoline, staging, livepatch, licence and test, in this
    order."""
    check_vermagic(load)
    taint_by_modinfo(load, early_name(load))


def taint_by_modinfo(load: Load, mod_name: str) -> None:
    """Taints and messages for what the tags of .modinfo say and do not say."""
    kernel = load.kernel
    for row, value in load.pure("taints_of")(load.modinfo):
        if row.tag == "retpoline":  # arch/x86/kernel/cpu/bugs.c:retpoline_module_ok
            kernel.printk(3, "Spectre V2 : System may be vulnerable to spectre v2")
        silent = (row.repeat == "unless" and kernel.test_taint(row.letter)) or (
            row.repeat == "once" and not kernel.first_time(row.tag)
        )
        if row.letter == "C":  # add_taint comes before the message here, behind it everywhere else
            load.add_taint("C")
        if not silent:
            kernel.printk(row.level, row.message.format(name=mod_name, value=value))
        if row.letter and row.letter != "C":
            load.add_taint(row.letter, row.unreliable)


def find_wx_section(sections: Sequence[SectionHeader]) -> int:
    """Index of the first section that is writable and executable at once, allocated or not; −1 when there
    is none."""
    return next((s.index for s in sections if s.flags & WX == WX), -1)


def module_enforce_rwx_sections(load: Load) -> None:
    """ENOEXEC for a WRITE|EXEC section (``kernel/module/strict_rwx.c``)."""
    bad = load.pure("find_wx_section")(load.sections)
    if bad >= 0:
        name = early_name(load)
        load.kernel.printk(
            3, f"{name}: section {load.sections[bad].name} (index {bad}) has invalid WRITE|EXEC flags"
        )
        raise KernelError(ENOEXEC)
