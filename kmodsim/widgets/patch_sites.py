# SPDX-License-Identifier: GPL-2.0-only
"""Where the kernel rewrites a module's code, from which table, why, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from ..corpus import PROFILE
from ..cpu.codesource import PATCHES, Code, code_of
from ..cpu.disassembly import decode
from ..cpu.symbolize import sprint_symbol
from ..errors import KernelError, NotModelled
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..views.hexdump import hex_difference
from ..views.view import View, plural, table
from .chosen import file_of, load_with_needs, module_for
from .pages import outcome_of

ALTERNATIVE, STATIC_CALL = "arch/x86/kernel/alternative.c", "arch/x86/kernel/static_call.c"
AROUND = 16  # bytes shown on either side of a place
LISTED = 24  # places in the table


class Kind(NamedTuple):
    """``table``: the section that names the places, ``entry`` its bytes each (0: the kernel's rules say)."""

    table: str
    entry: int
    why: str
    source: str


KINDS: dict[str, Kind] = {
    "paravirt": Kind(".parainstructions", 16, "pv_ops decided: call what this machine needs, directly",
                     f"{ALTERNATIVE}:apply_paravirt"),
    "retpoline": Kind(".retpoline_sites", 4, "without retpolines an indirect call is an indirect call again",
                      f"{ALTERNATIVE}:apply_retpolines"),
    "return thunk": Kind(".return_sites", 4, "this processor needs no return thunk: return",
                         f"{ALTERNATIVE}:apply_returns"),
    "alternative": Kind(".altinstructions", 0, "this processor has, or lacks, a feature",
                        f"{ALTERNATIVE}:apply_alternatives"),
    "SMP lock": Kind(".smp_locks", 4, "one processor: nobody to lock the bus against",
                     f"{ALTERNATIVE}:alternatives_smp_module_add"),
    "ftrace NOP": Kind("__mcount_loc", 8, "nobody traces this function yet",
                       "arch/x86/kernel/ftrace.c:ftrace_make_nop"),
    "jump label": Kind("__jump_table", 16, "the key is no longer as it was built",
                       "arch/x86/kernel/jump_label.c:__jump_label_patch"),
    "static call": Kind(".static_call_sites", 8, "the trampoline's target is known: call it directly",
                        f"{STATIC_CALL}:__static_call_transform"),
}  # fmt: skip

NOP, RETURN, CALL, JUMP = "a NOP: nothing is done here", "a return", "a direct call", "a jump"
INDIRECT, PREFIX, OTHER = "an indirect call", "another prefix", "other instructions"
BECOMES = (NOP, RETURN, CALL, JUMP, INDIRECT, PREFIX, OTHER)
# first bytes of an instruction -> what it is (Intel SDM volume 2)
_FIRST: tuple[tuple[bytes, str], ...] = (
    (b"\x0f\x1f", NOP), (b"\x66\x90", NOP), (b"\x66\x0f\x1f", NOP), (b"\x66\x66", NOP), (b"\x90", NOP),
    (b"\xc3", RETURN), (b"\xe8", CALL), (b"\xe9", JUMP), (b"\xeb", JUMP), (b"\xff\x14\x25", INDIRECT),
    (b"\xff\x15", INDIRECT), (b"\xff\xd0", INDIRECT),
)  # fmt: skip


def becomes(after: bytes) -> str:
    """One of BECOMES for the bytes that the kernel wrote."""
    if len(after) == 1:
        return PREFIX
    return next((words for first, words in _FIRST if after.startswith(first)), OTHER)


class Site(NamedTuple):
    """A place that was rewritten. ``name``: symbol and offset; ``section``: that one's number."""

    kind: str
    section: int
    offset: int
    address: int
    name: str
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Situation:
    """A module, and what decides how its code is rewritten."""

    module: str | ModuleFile = "hello"
    profile: str = PROFILE
    cpu_model: str = "qemu64"
    cpus: int = 1


@dataclass(frozen=True)
class Rewritten:
    """One load, and the code before and after each place."""

    kernel: Kernel
    load: Load
    code: Code
    sites: tuple[Site, ...]

    @cached_property
    def counts(self) -> Counter[str]:
        """kind -> places that were rewritten."""
        return Counter(site.kind for site in self.sites)

    def entries(self, kind: str) -> int:
        """How many places the module's own table names."""
        row = KINDS[kind]
        size = row.entry or self.load.rules.alt_instr.itemsize
        return sum(s.size // size for s in self.load.sections if s.name == row.table)

    @property
    def outcome(self) -> str:
        if isinstance(self.load.error, NotModelled):
            return f"not modelled: {self.load.error.why}"
        return outcome_of(self.load.error)

    def around(self, site: Site) -> View:
        """The memory before and after one rewriting, some bytes on either side."""
        section = self.code.sections[site.section]
        end = site.offset + len(site.after)
        first = max(0, site.offset - AROUND) & ~15
        final, at = section.data[first : end + AROUND], site.offset - first
        before, after = (final[:at] + new + final[at + len(new) :] for new in (site.before, site.after))
        start = section.address + first
        regions = [(site.address, len(site.after), site.kind, "good")]
        return hex_difference(before, after, start, regions, title=f"{site.kind} at {site.name}")

    def words(self, site: Site, *, after: bool = True) -> list[str]:
        """The instructions before, and ``after``, in assembler where capstone is installed."""
        shown = [f"at  {site.address:#x}  {site.name}"]
        for label, code in (("before", site.before), ("after", site.after))[: 1 + after]:
            aim = f"  # {self._aim(code, site.address)}" if code[0] in (0xE8, 0xE9) else ""
            first, *rest = _instructions(code, site.address)
            shown.append(f"{label:7}{first[0]}  {first[1]}{aim}")
            shown += [f"{'':7}{raw}  {text}" for raw, text in rest]
        return shown

    def _aim(self, code: bytes, address: int) -> str:
        """What a direct call or jump leads to."""
        distance = int.from_bytes(code[1:5], "little", signed=True)
        return sprint_symbol(self.kernel, (address + 5 + distance) & (1 << 64) - 1)


def _instructions(code: bytes, address: int) -> list[tuple[str, str]]:
    try:
        return [(f"{one.code.hex(' '):24}", one.text) for one in decode(code, address)]
    except KernelError:  # no capstone: the bytes have to do
        return [(code.hex(" "), "")]


@lru_cache(maxsize=64)
def rewritten(situation: Situation) -> Rewritten:
    """Load it, what it needs first. ValueError: no such sample or profile."""
    kernel = Kernel(situation.profile, cpu=None, cpu_model=situation.cpu_model, cpus=situation.cpus)
    file = _file(situation.module, situation.profile)
    load = load_with_needs(kernel, file)
    code = code_of(load)
    return Rewritten(kernel, load, code, tuple(_sites(code)))


def _file(module: str | ModuleFile, profile: str) -> ModuleFile:
    """The sample as it was built for this kernel."""
    return file_of(module_for(profile, module)) if isinstance(module, str) else module


def _sites(code: Code) -> list[Site]:
    order = {kind: number for number, kind in enumerate(PATCHES.values())}
    found = []
    for index, section in code.sections.items():
        for patch in code.patches(index, 0, code.size(index) + 1):
            address = section.address + patch.offset
            name = code.name_of(index, address)
            found.append(Site(patch.kind, index, patch.offset, address, name, patch.before, patch.after))
    return sorted(found, key=lambda site: (order[site.kind], site.section, site.offset))


def kinds_table(one: Rewritten, other: Rewritten | None, heads: tuple[str, str]) -> View:
    """Each kind: places in its table, and rewritten ones; beside another kernel, differences are marked."""
    rows: list[tuple[str, ...]] = []
    marked = []
    for number, (kind, row) in enumerate(KINDS.items()):
        cells = [f"{each.counts[kind]} of {each.entries(kind)}" for each in (one, other) if each]
        if len(set(cells)) > 1:
            marked.append(number)
        rows.append((kind, row.table, *cells, row.why))
    shown = heads[: 2 if other else 1]
    words = "Places rewritten, of those that the module's table names."
    if other:
        words += f" ▶ marks {plural(len(marked), 'difference')}."
    return table("What is rewritten", words, ("kind", "table", *shown, "why"), rows, marked=marked)


def sites_table(one: Rewritten, chosen: int) -> View:
    """All places, the one that is shown large marked."""
    first = max(0, min(chosen - LISTED // 2, len(one.sites) - LISTED))
    rows: list[tuple[str, ...]] = [
        (site.kind, f"{site.address:#x}", site.name, site.before[:8].hex(" "), site.after[:8].hex(" "))
        for site in one.sites[first : first + LISTED]
    ]
    left = len(one.sites) - len(rows)
    note = f"{plural(left, 'more place')} not shown." if left else ""
    heads = ("kind", "address", "where", "before", "after")
    return table(f"{plural(len(one.sites), 'place')}", "", heads, rows, note=note, marked=[chosen - first])
