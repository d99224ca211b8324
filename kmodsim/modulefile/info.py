# SPDX-License-Identifier: GPL-2.0-only
"""What a module says about itself: the ``key=value`` strings of .modinfo, and its parameters from __param."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from ..records import KERNEL_PARAM
from .elf import Problems, Section, Sections, text
from .relocations import Relocations, RelocationTable, Target

# entries read of a table that is turned into Python objects; real ones stay far below
MANY, MANY_PARAMS = 1 << 14, 1 << 11
# include/linux/moduleparam.h:struct kparam_array, struct kparam_string
KPARAM_ARRAY = np.dtype([
    ("max", "<u4"), ("elemsize", "<u4"), ("num", "<u8"), ("ops", "<u8"), ("elem", "<u8"),
])  # fmt: skip
KPARAM_STRING = np.dtype([("maxlen", "<u4"), ("_pad", "<u4"), ("string", "<u8")])
NAME_AT, OPS_AT, ARG_AT = (int(KERNEL_PARAM.fields[name][1]) for name in ("name", "ops", "arg"))  # type: ignore[index]


class ModInfo(Sequence[tuple[str, str]]):
    """The pairs of .modinfo in file order; keys repeat ("alias", "parm", …)."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self._pairs = list(pairs)

    @overload
    def __getitem__(self, key: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, key: slice) -> list[tuple[str, str]]: ...
    def __getitem__(self, key: int | slice) -> tuple[str, str] | list[tuple[str, str]]:
        return self._pairs[key]

    def __len__(self) -> int:
        return len(self._pairs)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def get(self, key: str, default: str | None = None) -> str | None:
        """The first value of ``key``, which is the one the kernel takes (``main.c:get_modinfo``)."""
        return next((value for name, value in self._pairs if name == key), default)

    def all(self, key: str) -> list[str]:
        return [value for name, value in self._pairs if name == key]

    def __repr__(self) -> str:
        return f"ModInfo({self._pairs!r})"


def read_modinfo(sections: Sections, problems: Problems) -> ModInfo:
    """The strings of the first .modinfo section, cut at the first ``=``."""
    section = sections.get(".modinfo")
    if section is None:
        if sections:
            problems.note("modinfo: there is no .modinfo section")
        return ModInfo()
    data = section.data
    if data and not data.endswith(b"\0"):
        problems.note(".modinfo: the last string has no end")
    if data.count(b"\0") > MANY:
        problems.note(f".modinfo: more than {MANY:,} strings; the rest is not read")
    pairs = []
    for raw in data.split(b"\0", MANY)[:MANY]:
        key, equals, value = raw.partition(b"=")
        if raw and not equals:
            problems.note(f".modinfo: {text(raw[:60])!r} is not of the form key=value")
        if raw:
            pairs.append((text(key), text(value)))
    return ModInfo(pairs)


@dataclass(frozen=True)
class Param:
    """A parameter: ``struct kernel_param`` (``include/linux/moduleparam.h``) and what .modinfo says of it.

    ``kind`` is the symbol its ops point to ("param_ops_int"; a module's own ops have their own name),
    ``perm`` the file mode under /sys/module/NAME/parameters (0: no file). Arrays: ``max`` elements of
    ``elemsize`` bytes, ``element`` the ops of one, ``counted`` whether a count variable is kept. For strings
    copied into a buffer, ``max`` is its size. A parameter that only .modinfo knows has kind "".
    """

    name: str
    type: str = ""
    description: str = ""
    perm: int = 0
    kind: str = ""
    flags: int = 0
    level: int = 0
    max: int | None = None
    elemsize: int | None = None
    element: str = ""
    counted: bool = False


def read_params(
    sections: Sections, relocations: Relocations, modinfo: ModInfo, problems: Problems
) -> list[Param]:
    """The entries of __param in their order, then the names that only .modinfo describes."""
    types, descriptions = _described(modinfo, "parmtype"), _described(modinfo, "parm")
    section = sections.get("__param")
    found = _objects(section, sections, relocations, problems) if section else iter(())
    params = [
        Param(name, types.get(name, ""), descriptions.get(name, ""), **values) for name, values in found
    ]
    known = {param.name for param in params}
    rest = [name for name in dict.fromkeys([*types, *descriptions]) if name not in known]
    return params + [Param(name, types.get(name, ""), descriptions.get(name, "")) for name in rest]


def _described(modinfo: ModInfo, key: str) -> dict[str, str]:
    """``name:text`` values by name."""
    pairs = (value.partition(":") for value in modinfo.all(key))
    return {name: description for name, _, description in pairs}


def _objects(
    section: Section, sections: Sections, relocations: Relocations, problems: Problems
) -> Iterator[tuple[str, dict[str, Any]]]:
    records, table = section.records(KERNEL_PARAM), relocations.of(section)
    if len(records) * KERNEL_PARAM.itemsize != section.size or len(records) > MANY_PARAMS:
        problems.note(f"__param: {section.size} bytes are not a whole and likely number of entries")
    if table is None:
        problems.note("__param: no relocations, so no names")
        return
    for index, row in enumerate(records[:MANY_PARAMS].tolist()):
        at = index * KERNEL_PARAM.itemsize
        name = pointed_string(table, at + NAME_AT, sections)
        if not name:
            problems.note(f"__param: entry {index} has no name that can be read")
        kind = ops_name(table, at + OPS_AT)
        values = {"perm": row[3], "level": row[4], "flags": row[5], "kind": kind}
        yield name, values | _argument(kind, table.pointer(at + ARG_AT), sections, relocations)


def pointed_string(table: RelocationTable, offset: int, sections: Sections) -> str:
    """The string that the pointer at ``offset`` points to; empty when it leads nowhere."""
    target = table.pointer(offset)
    section = sections.get(target.symbol.section_index) if target else None
    return section.string(target.offset) if section and target else ""


def ops_name(table: RelocationTable, offset: int) -> str:
    """The symbol a pointer names; for section + offset, the symbol that stands there."""
    target = table.pointer(offset)
    if target is None:
        return ""
    if target.symbol.type != "SECTION":
        return target.symbol.name
    there = table.symbols.at(target.symbol.section_index, target.offset)
    return there[0].name if there else f"{table.symbols.label(target.symbol.index)}+{target.offset:#x}"


def _argument(
    kind: str, target: Target | None, sections: Sections, relocations: Relocations
) -> dict[str, Any]:
    """What kparam_array or kparam_string adds; they lie where ``arg`` points to."""
    dtype = {"param_array_ops": KPARAM_ARRAY, "param_ops_string": KPARAM_STRING}.get(kind)
    section = sections.get(target.symbol.section_index) if target else None
    if dtype is None or target is None or section is None or not 0 <= target.offset < section.length:
        return {}
    raw = section.image[section.offset + target.offset :][: dtype.itemsize]
    if len(raw) < dtype.itemsize or target.offset + dtype.itemsize > section.length:
        return {}
    record, table = raw.view(dtype)[0].item(), relocations.of(section)
    if dtype is KPARAM_STRING:
        return {"max": record[0]}
    return {
        "max": record[0], "elemsize": record[1],
        "element": ops_name(table, target.offset + 16) if table else "",
        "counted": table is not None and table.at(target.offset + 8) is not None,
    }  # fmt: skip
