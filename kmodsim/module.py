# SPDX-License-Identifier: GPL-2.0-only
"""A module as the kernel knows it (``include/linux/module.h:struct module``) and its parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from .memory import Area
from .profile import Export

if TYPE_CHECKING:
    from .memory import Memory
    from .symbols import ModuleSymbols

MODULE_REF_BASE = 1  # kernel/module/main.c: the count that marks "not going"


class ModuleState(IntEnum):
    """``enum module_state`` with the kernel's numbers."""

    LIVE = 0
    COMING = 1
    GOING = 2
    UNFORMED = 3


# include/linux/panic.h and kernel/panic.c:taint_flags: bit, letter, shown for a module
class TaintFlag(NamedTuple):
    bit: int
    letter: str
    module: bool


TAINTS = tuple(
    TaintFlag(bit, letter, letter in "PFCOEKXTN") for bit, letter in enumerate("PFSRMBUDAWCIOELKXTN")
)
TAINT_BIT = {flag.letter: flag.bit for flag in TAINTS}


def taint_letters(mask: int, *, module: bool = True) -> str:
    """Letters of a taint mask in bit order; with ``module`` only those a module can carry."""
    return "".join(f.letter for f in TAINTS if mask >> f.bit & 1 and (f.module or not module))


class MemoryKind(NamedTuple):
    """One allocation a module has: its name, whether it goes after init, the protection groups in it (numbers
    of ``loader.layout.GROUPS``), and where struct module notes it ("core_layout", "mem.0")."""

    name: str
    init: bool
    groups: tuple[int, ...]
    field: str


class MemoryKinds(NamedTuple):
    """A kernel's kinds, in the order in which they are allocated; the number of a kind stands in
    ``sh_entsize`` from bit ``shift`` on. ``kallsyms``: the kinds that get the symbols which stay, and all
    of them."""

    kinds: tuple[MemoryKind, ...]
    shift: int
    kallsyms: tuple[str, str]

    def of(self, entsize: int) -> MemoryKind:
        """The kind of a section that has been placed."""
        return self.kinds[min(entsize >> self.shift, len(self.kinds) - 1)]

    def offset(self, entsize: int) -> int:
        """The section's offset in its memory."""
        return entsize & ((1 << self.shift) - 1)


@dataclass(frozen=True, slots=True)
class Layout:
    """``struct module_layout``: one allocation's size and the ends of its protection groups, in bytes."""

    size: int = 0
    text_size: int = 0
    ro_size: int = 0
    ro_after_init_size: int = 0

    def __str__(self) -> str:
        return f"{self.size} bytes"


class Section(NamedTuple):
    """An allocated section where it lives now; ``data`` reads its bytes as they are at this moment."""

    name: str
    address: int
    size: int
    flags: int
    kind: str
    memory: Memory

    @property
    def data(self) -> bytes:
        return self.memory.read(self.address, self.size) if self.size else b""


class Sections(Mapping[str, Section]):
    """Sections by name, in file order; of several with one name the first answers."""

    def __init__(self, sections: list[Section]) -> None:
        self._all = sections
        self._first: dict[str, Section] = {}
        for section in sections:
            self._first.setdefault(section.name, section)

    def __getitem__(self, name: str) -> Section:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    @property
    def all(self) -> list[Section]:
        """Every section, those of equal names too."""
        return list(self._all)


@dataclass(frozen=True, slots=True)
class KernelParam:
    """One entry of ``__param``: ``ops`` and ``arg`` are addresses.

    ``ops_name`` and ``get_name`` are the rows of ``kmodsim.params.PARAM_TYPES`` that setting and showing
    follow, "" for functions of the module's own; ``noarg`` is KERNEL_PARAM_OPS_FL_NOARG.
    """

    name: str
    ops: int
    ops_name: str
    perm: int
    level: int
    flags: int
    arg: int
    get_name: str = ""
    noarg: bool = False
    address: int = 0  # of the struct kernel_param itself


@dataclass(eq=False)
class Module:
    """A module in the kernel. Its attributes are read-only for callers; the loader and unloader change
    them."""

    name: str
    memory: Memory
    kinds: tuple[MemoryKind, ...] = ()
    areas: dict[str, Area] = field(default_factory=dict)  # by the names of kinds; empty ones have none
    layouts: dict[str, Layout] = field(default_factory=dict)
    raw_state: ModuleState = ModuleState.UNFORMED
    raw_refcount: int = 0
    users: list[Module] = field(default_factory=list)  # source_list: who uses me, newest first
    uses: list[Module] = field(default_factory=list)  # target_list: whom I use, newest first
    taint_mask: int = 0
    using_gplonly_symbols: bool = False
    sig_ok: bool = False
    init_field: int = 0  # addresses of struct module's init and exit pointers
    exit_field: int = 0
    args: str = ""
    args_address: int = 0
    percpu: int | None = None
    percpu_size: int = 0
    version: str | None = None
    srcversion: str | None = None
    params: tuple[KernelParam, ...] = ()
    exports: dict[str, Export] = field(default_factory=dict)
    symbols: ModuleSymbols | None = None
    address: int = 0  # of struct module itself
    all_sections: list[Section] = field(default_factory=list)
    note_sections: tuple[str, ...] = ()
    sysfs: bool = False
    holder_links: list[str] = field(default_factory=list)  # /sys/module/NAME/holders, as linked
    extable: list[tuple[int, int, int]] = field(default_factory=list)
    charp: dict[int, int] = field(default_factory=dict)  # address of a charp parameter -> heap block it owns
    not_modelled: list[str] = field(default_factory=list)

    @property
    def state(self) -> str:
        """ "UNFORMED", "COMING", "LIVE" or "GOING"."""
        return self.raw_state.name

    @property
    def refcount(self) -> int:
        """As lsmod shows it: ``atomic_read(&mod->refcnt) - MODULE_REF_BASE``; −1 while unloading."""
        return self.raw_refcount - MODULE_REF_BASE

    @property
    def holders(self) -> tuple[str, ...]:
        """Names of the modules that use this one, newest first."""
        return tuple(user.name for user in self.users)

    def _kinds(self, init: bool) -> list[str]:
        return [kind.name for kind in self.kinds if kind.init == init]

    def _first_area(self, init: bool) -> Area | None:
        return next((self.areas[name] for name in self._kinds(init) if name in self.areas), None)

    @property
    def core(self) -> Area | None:
        """The memory that stays; where there are several, the first."""
        return self._first_area(init=False)

    @property
    def init_area(self) -> Area | None:
        """The memory that goes after init, None once it is gone; where there are several, the first."""
        return self._first_area(init=True)

    @property
    def core_layout(self) -> Layout:
        return self.layouts.get("core", Layout())

    @property
    def init_layout(self) -> Layout:
        return self.layouts.get("init", Layout())

    @property
    def base(self) -> int:
        """As /proc/modules shows it: of the first memory (core, or text), 0 when that is empty."""
        area = self.areas.get(self.kinds[0].name) if self.kinds else None
        return area.start if area else 0

    @property
    def core_size(self) -> int:
        """Bytes of all that stays."""
        return sum(self.layouts[name].size for name in self._kinds(init=False))

    @property
    def init_base(self) -> int:
        """Address of the init part, 0 once it is gone."""
        return self.init_area.start if self.init_area else 0

    @property
    def init_size(self) -> int:
        """Bytes of all that goes after init."""
        return sum(self.layouts[name].size for name in self._kinds(init=True))

    @property
    def size(self) -> int:
        """As /proc/modules shows it: core, and init while there is one."""
        return self.core_size + self.init_size

    @property
    def taints(self) -> str:
        """Letters of the taints this module carries, in bit order (``module_flags_taint``)."""
        return taint_letters(self.taint_mask)

    @property
    def memories(self) -> dict[str, tuple[int, int]]:
        """kind -> (base, size) of the module's allocations."""
        return {name: (area.start, self.layouts[name].size) for name, area in self.areas.items()}

    @property
    def sections(self) -> Sections:
        """The allocated sections that are in memory now, by name."""
        gone = () if self.init_area else self._kinds(init=True)
        return Sections([s for s in self.all_sections if s.kind not in gone])

    @property
    def sysfs_sections(self) -> tuple[tuple[str, int], ...]:
        """(name, address) of every section in /sys/module/NAME/sections, those of init for ever.

        Models ``kernel/module/sysfs.c:add_sect_attrs``: the allocated ones that are not empty.
        """
        return tuple((section.name, section.address) for section in self.all_sections if section.size)

    @property
    def init(self) -> int:
        """``mod->init`` as it is in memory now: address of the init function, 0 for none."""
        return self._pointer(self.init_field)

    @property
    def exit(self) -> int:
        """``mod->exit`` as it is in memory now."""
        return self._pointer(self.exit_field)

    def _pointer(self, address: int) -> int:
        for area in self.areas.values():
            if area.start <= address <= area.end - 8:
                offset = address - area.start
                return int.from_bytes(area.data[offset : offset + 8].tobytes(), "little")
        return 0

    def holds(self, address: int, *, init: bool) -> bool:
        """``within_module_core`` and ``within_module_init``."""
        return any(
            kind.init == init and self.areas[kind.name].start <= address < self.areas[kind.name].end
            for kind in self.kinds if kind.name in self.areas
        )  # fmt: skip

    @property
    def permanent(self) -> bool:
        """It has an init but no exit function: ``[permanent]`` in /proc/modules."""
        return bool(self.init and not self.exit)

    def __repr__(self) -> str:
        return f"<Module {self.name} {self.state} at {self.base:#x}, refcount {self.refcount}>"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for views."""
        return {
            "name": self.name, "state": self.state, "refcount": self.refcount, "holders": self.holders,
            "base": self.base, "core_size": self.core_size, "init_base": self.init_base,
            "init_size": self.init_size, "taints": self.taints,
        }  # fmt: skip
