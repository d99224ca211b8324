# SPDX-License-Identifier: GPL-2.0-only
"""What two kernels do differently, told from their profiles and rules; and which known rules a kernel fits.

``docs/kernels.md`` is written by ``kmodsim profile differences --write docs/kernels.md``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from kmodsim.profile import KernelProfile
from kmodsim.profiles.rules import RULES, Rules

NONE = "–"
STRUCT_FIELDS = ("init", "exit", "refcnt", "taints", "args", "list")
# symbol of the kernel image -> the rules whose kernels have it; struct fields as "struct module.NAME"
SIGNS: dict[str, tuple[str, ...]] = {
    "ideal_nops": ("5.10",),
    "native_patch": ("5.10",),
    "jump_label_apply_nops": ("5.10",),
    "printk": ("5.10",),
    "apply_paravirt": ("5.10", "6.1"),
    "module_alloc": ("5.10", "6.1"),
    "paravirt_patch": ("6.1",),
    "x86_nops": ("6.1", "6.12"),
    "bpf_prog_pack_alloc": ("6.1", "6.12"),
    "execmem_alloc": ("6.12",),
    "apply_seal_endbr": ("6.12",),
    "nop_func": ("6.12",),
    "module_enable_text_rox": ("6.12",),
    "struct module.core_layout.base": ("5.10", "6.1"),
    "struct module.mem.0.base": ("6.12",),
}


class Row(NamedTuple):
    """One difference: of what, and how it is with the one and with the other."""

    subject: str
    one: str
    other: str


def differences(one: KernelProfile, other: KernelProfile) -> dict[str, list[Row]]:
    """Heading -> rows; nothing under a heading where the two are alike."""
    first, second = one.rules, other.rules
    found = {
        "The kernel": _compared(_FACTS, one, other),
        "struct module": _compared(_struct_module(one, other), one, other),
        "Memory of a module": _compared(_MEMORY, first, second),
        "System calls, texts, checks": _compared(_CHOICES, first, second),
        "Stages of load_module": stages(first, second),
        "Functions": functions(one, other),
    }
    return {heading: rows for heading, rows in found.items() if rows}


_FACTS: dict[str, Callable[[Any], Any]] = {
    "release": lambda p: p.release,
    "vermagic": lambda p: f"`{p.vermagic}`",
    "rules": lambda p: p.rules.name,
    "exported symbols": lambda p: f"{len(p.exports):,}",
    "symbols in /proc/kallsyms": lambda p: f"{len(p.kallsyms):,}",
    "printk is exported as": lambda p: "`_printk`" if "_printk" in p.exports else "`printk`",
    "first free address of the module area": lambda p: f"`{_first_free(p):#x}`",
    "taken at boot": lambda p: ", ".join(what for _, _, what in p.occupied),
    "CRCs of exports (CONFIG_MODULE_REL_CRCS)": lambda p: _on(p, "CONFIG_MODULE_REL_CRCS"),
    "modules decompressed by the kernel (CONFIG_MODULE_DECOMPRESS)": lambda p: _on(
        p, "CONFIG_MODULE_DECOMPRESS"
    ),
    "ECDSA signatures (CONFIG_CRYPTO_ECDSA)": lambda p: _on(p, "CONFIG_CRYPTO_ECDSA"),
    "indirect branch tracking (CONFIG_X86_KERNEL_IBT)": lambda p: _on(p, "CONFIG_X86_KERNEL_IBT"),
    "NOPs of qemu64": lambda p: p.cpu_models["qemu64"].nops or "the same for all",
}
_MEMORY: dict[str, Callable[[Rules], Any]] = {
    "allocations, in order": lambda r: ", ".join(kind.name for kind in r.memories.kinds),
    "number of the allocation in `sh_entsize`": lambda r: f"from bit {r.memories.shift}",
    "kallsyms' copies at the end of": lambda r: " and ".join(r.memories.kallsyms),
    "memory of a failed load is free": lambda r: "after the next flush" if r.lazy_vfree else "at once",
}
_CHOICES: dict[str, Callable[[Rules], Any]] = {
    "flags of finit_module": lambda r: f"{r.finit_flags:#x}",
    "flag 4, a compressed file": lambda r: (
        _first_line(r.decompress) if r.decompress else "EINVAL: unknown flag"
    ),
    "said of a bad ELF magic": lambda r: " · ".join(
        f"`{line}`" for line in r.said("Invalid ELF header magic: …")
    ),
    "said when no memory is left": lambda r: " ".join(f"`{line[3:]}`" for line in r.no_memory) or "nothing",
    "said of a relocation target that is not zero": lambda r: f"`{r.nonzero}`",
    "a name without NUL in struct module": lambda r: (
        "a BUG (fortified strlen)" if r.fortified_name else "runs on"
    ),
    "a symbol's section index": lambda r: "is checked" if r.index_checked else "is not checked",
    "`struct alt_instr`": lambda r: f"{r.alt_instr.itemsize} bytes",
    "bits of an ORC entry that is no terminator": lambda r: f"{r.orc_real:#x}",
    "more files": lambda r: ", ".join(f"`{path}`" for path in r.files) or NONE,
    "source of the loader": lambda r: f"`{r.source('kernel/module/main.c')}`",
    "order of equal keys after lib/sort.c": lambda r: _first_line(r.sort_order),
}


def _struct_module(one: KernelProfile, other: KernelProfile) -> dict[str, Callable[[Any], Any]]:
    known = [f for f in STRUCT_FIELDS if all(f in p.struct_module.fields for p in (one, other))]
    rows: dict[str, Callable[[Any], Any]] = {"size": lambda p: f"{p.struct_module.size:#x}"}
    for name in known:
        rows[f"offset of `{name}`"] = partial(_offset, name)
    return rows


def _offset(name: str, profile: KernelProfile) -> str:
    return f"{profile.struct_module.fields[name][0]:#x}"


def _compared(table: dict[str, Callable[[Any], Any]], one: Any, other: Any) -> list[Row]:
    rows = (Row(subject, str(get(one)), str(get(other))) for subject, get in table.items())
    return [row for row in rows if row.one != row.other]


def _first_free(profile: KernelProfile) -> int:
    at = profile.module_area[0]
    for start, size, _ in sorted(profile.occupied):
        at = start + size if start == at else at
    return at


def _on(profile: KernelProfile, option: str) -> str:
    return "yes" if profile.config.get(option) == "y" else "no"


def _first_line(function: Any) -> str:
    inner = function.func if isinstance(function, partial) else function
    return (inspect.getdoc(inner) or "").split("\n\n")[0].replace("\n", " ")


def stages(one: Rules, other: Rules) -> list[Row]:
    """Stages that only one has, that are done by another function, or that stand elsewhere."""
    mine, theirs = ({stage.name: stage for stage in rules.stages} for rules in (one, other))
    rows = [Row(f"`{name}`", _stage(mine, name), _stage(theirs, name)) for name in {**mine, **theirs}
            if (name in mine) != (name in theirs)]  # fmt: skip
    for name in (name for name in mine if name in theirs and mine[name].run is not theirs[name].run):
        rows.append(Row(f"`{name}`", _first_line(mine[name].run), _first_line(theirs[name].run)))
    return rows + list(_moved(list(mine), list(theirs)))


def _stage(table: dict[str, Any], name: str) -> str:
    return table[name].title if name in table else NONE


def _moved(mine: list[str], theirs: list[str]) -> Iterator[Row]:
    """Of the stages that both have: where what comes next is another one."""
    common = [[name for name in names if name in mine and name in theirs] for names in (mine, theirs)]
    following = [dict(pairwise(names)) for names in common]
    for name in common[0]:
        after = [each.get(name, "the end") for each in following]
        if after[0] != after[1]:
            yield Row(f"behind `{name}`", f"`{after[0]}`", f"`{after[1]}`")


def functions(one: KernelProfile, other: KernelProfile) -> list[Row]:
    """The pure functions (``kmodsim.functions.FUNCTIONS``) that are not the same one."""
    from kmodsim.functions import FUNCTIONS

    chosen = [dict(p.rules.functions(next(iter(p.cpu_models.values())))) for p in (one, other)]
    rows = []
    for name in FUNCTIONS:
        if name in chosen[0] or name in chosen[1]:
            told = [_told(name, each.get(name, FUNCTIONS[name].function), name in each) for each in chosen]
            rows.append(Row(f"`{name}`", *told))
    return rows


def _told(name: str, function: Any, own: bool) -> str:
    text = _first_line(function)
    if isinstance(function, partial):
        return f"{text} With {', '.join(function.keywords)} of its own."
    return text or ("one of its own" if own else name)


def matches(profile: KernelProfile) -> dict[str, tuple[list[str], list[str]]]:
    """Rules -> (signs that fit, signs that do not), from what the kernel image has and has not."""
    found: dict[str, tuple[list[str], list[str]]] = {name: ([], []) for name in RULES}
    for sign, whose in SIGNS.items():
        there = _has(profile, sign)
        for name in RULES:
            found[name][there != (name in whose)].append(sign if there else f"no {sign}")
    return found


def _has(profile: KernelProfile, sign: str) -> bool:
    field = sign.removeprefix("struct module.")
    return (
        field in profile.struct_module.fields
        if field != sign
        else profile.kallsyms.address_of(sign) is not None
    )


def page(names: Sequence[str] = ("debian-5.10-amd64", "debian-6.1-amd64", "debian-6.12-amd64")) -> str:
    """The document: each kernel beside the one before it."""
    profiles = [KernelProfile.load(name) for name in names]
    lines = [
        "<!-- SPDX-License-Identifier: CC-BY-SA-4.0 -->", "# Kernel beside kernel", "",
        "Every difference that kmodsim knows, told from `kmodsim/profiles/rules` and the profiles. Written",
        "by `kmodsim profile differences --write docs/kernels.md`; what each rule does is in its kernel's",
        "file there. How well the kernels are met is in [fidelity.md](fidelity.md).",
    ]  # fmt: skip
    for one, other in pairwise(profiles):
        lines += ["", f"## {one.rules.name} and {other.rules.name}"]
        for heading, rows in differences(one, other).items():
            lines += [
                "",
                f"### {heading}",
                "",
                f"| | {one.rules.name} | {other.rules.name} |",
                "|---|---|---|",
            ]
            lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"
