# SPDX-License-Identifier: GPL-2.0-only
"""The loader's working state: ``struct load_info`` and what one load carries from stage to stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import KernelError, KernelOops
from ..memory import page_align
from ..module import Layout, MemoryKinds, Module
from ..records import SHF_ALLOC, SHT_NOBITS, Bytes, Records, c_string, text
from ..trace import Trace

if TYPE_CHECKING:
    from ..kernel import Kernel
    from ..profile import KernelProfile
    from ..profiles.rules import Rules
    from ..symbols import Importer

INIT_OFFSET_MASK = 1 << 63
NAME_WINDOW = 128  # most names are shorter; longer ones take a second look
# Where the temporary copy lies is not modelled; symbols of sections that are not loaded get addresses in
# here.
TEMPORARY_COPY = 0xFFFFC90000005000


@dataclass(slots=True)
class SectionHeader:
    """One ``Elf64_Shdr`` while loading: the loader rewrites flags, addr and entsize as the kernel does."""

    index: int
    name: str
    type: int
    flags: int
    addr: int
    offset: int
    size: int
    link: int
    info: int
    addralign: int
    entsize: int

    @property
    def alloc(self) -> bool:
        return bool(self.flags & SHF_ALLOC)


@dataclass(slots=True)
class Index:
    """``info->index``: the convenience variables; 0 means there is no such section."""

    sym: int = 0
    str: int = 0
    mod: int = 0
    vers: int = 0
    info: int = 0
    pcpu: int = 0


@dataclass(frozen=True, slots=True)
class SymtabLayout:
    """Where layout_symtab put the kallsyms copies: byte offsets into core (data) and init (init_data), and
    how many symbols stay."""

    symoffs: int = 0
    stroffs: int = 0
    core_typeoffs: int = 0
    mod_kallsyms_init_off: int = 0
    init_typeoffs: int = 0
    num_core_symbols: int = 0

    def __str__(self) -> str:
        return f"{self.num_core_symbols} symbols stay"


@dataclass(eq=False)
class Load:
    """One call of load_module, from the bytes to the module. Stages change it; callers read it."""

    kernel: Kernel
    image: Bytes  # the file; what the temporary copy has behind it only ``file_bytes`` and ``name_at`` know
    length: int
    flags: int = 0
    params: bytes | int = b""
    trace: Trace = field(default_factory=Trace)
    error: KernelError | None = None
    module: Module | None = None
    undo: ExitStack = field(default_factory=ExitStack)
    name: str = ""
    header: dict[str, int] = field(default_factory=dict)
    sections: list[SectionHeader] = field(default_factory=list)
    index: Index = field(default_factory=Index)
    sig_ok: bool = False
    versions: dict[str, int] | None = None
    namespaces: tuple[str, ...] = ()
    importer: Importer | None = None
    modinfo: list[tuple[str, str]] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)  # by the names of the kernel's memory kinds
    symtab_layout: SymtabLayout = field(default_factory=SymtabLayout)
    symtab: Records | None = None
    core_symbols: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    core_names: tuple[Any, Any] = (None, None)  # their st_name, and the lengths of their names with the NUL
    taint_mask: int = 0
    relocated: int = 0
    returned: int = 0
    note: str = ""

    @cached_property
    def strings(self) -> bytes:
        """The string table of the symbols as it is in the file."""
        section = self.sections[self.index.str]
        return self.file_bytes(section.offset, section.size).tobytes()

    @property
    def profile(self) -> KernelProfile:
        return self.kernel.profile

    @property
    def rules(self) -> Rules:
        return self.kernel.profile.rules

    @property
    def memories(self) -> MemoryKinds:
        """The kinds of memory that this kernel gives a module."""
        return self.kernel.profile.rules.memories

    @property
    def core_layout(self) -> Layout:
        return self.layouts.get("core", Layout())

    @property
    def init_layout(self) -> Layout:
        return self.layouts.get("init", Layout())

    def pure(self, name: str) -> Callable[..., Any]:
        """The pure function ``name``: the kernel's own or the one that ``Kernel(stages=…)`` put in its
        place."""
        return self.kernel.functions_of_stages[name]

    def replaced(self, name: str) -> bool:
        return name in self.kernel.replaced

    def add_taint(self, letter: str, unreliable: bool = False) -> None:
        """``add_taint_module``, for the module or, as long as there is none, for the copy in the file."""
        if self.module is not None:
            self.kernel.add_taint_module(self.module, letter, unreliable=unreliable)
        else:
            self.taint_mask |= self.kernel.add_taint(letter, unreliable)

    def find_sec(self, name: str) -> int:
        """Index of the first allocated section called ``name``, 0 when there is none (``find_sec``)."""
        return int(self.pure("find_sec")(self.sections, name))

    def get_modinfo(self, tag: str) -> str | None:
        """Value of the first ``tag=…`` in .modinfo, or None."""
        return next((value for key, value in self.modinfo if key == tag), None)

    def all_modinfo(self, tag: str) -> list[str]:
        return [value for key, value in self.modinfo if key == tag]

    def name_at(self, base: int, offset: int) -> str:
        """The string at ``base + offset`` of the temporary copy; running out of its pages is a page fault."""
        place = base + offset
        if place >= page_align(len(self.image)):
            raise KernelOops(f"page fault reading a name {offset:#x} bytes behind its string table")
        raw = self.image[place : place + NAME_WINDOW].tobytes()
        end = raw.find(b"\0")
        return text(raw[:end] if end >= 0 else c_string(self.image, place))

    def names_at(self, base: int, strings: bytes, offsets: Sequence[int]) -> list[str]:
        """``name_at`` for many: ``strings`` is the string table at ``base``, where all is in order all that
        counts."""
        if not strings.isascii() or not all_inside(strings, offsets):
            return [self.name_at(base, offset) for offset in offsets]
        table = strings.decode("ascii")
        return [table[offset : table.index("\0", offset)] for offset in offsets]

    def file_bytes(self, offset: int, size: int) -> Bytes:
        """``size`` bytes of the temporary copy: zeros behind the file to the end of its last page, fewer
        beyond that."""
        piece = self.image[offset : offset + size]
        if len(piece) == size:
            return piece
        end = min(offset + size, page_align(len(self.image)))
        return np.append(piece, np.zeros(max(0, end - max(offset, len(self.image))), np.uint8))

    def bytes_of(self, section: SectionHeader) -> Bytes:
        """The section's bytes where they are now: in the temporary copy or in the module's memory."""
        if not section.size or section.type == SHT_NOBITS:
            return np.zeros(0, np.uint8)
        if section.alloc and section.entsize != (1 << 64) - 1 and self.module is not None:
            return self.kernel.memory.view(section.addr, section.size)
        return self.file_bytes(section.offset, section.size)

    def named(self, name: str) -> SectionHeader:
        """The allocated section ``name``, or section 0 (size 0, address 0) as the kernel's section_objs
        uses it."""
        return self.sections[self.find_sec(name)]

    def this_module(self, field_name: str) -> tuple[int, int]:
        """(address, size) of a field of struct module in the module's memory."""
        offset, size = self.profile.struct_module.fields[field_name]
        assert self.module is not None
        return self.module.address + offset, size


def all_inside(strings: bytes, offsets: Sequence[int]) -> bool:
    """Whether names at these offsets all start and end in the string table."""
    return strings.endswith(b"\0") and max(offsets, default=0) < len(strings)


def plain(value: Any) -> Any:
    """A self-sufficient copy for a trace record."""
    if isinstance(value, SectionHeader):
        return {name: getattr(value, name) for name in SectionHeader.__slots__}
    if isinstance(value, Index):
        return {name: getattr(value, name) for name in Index.__slots__}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def find_sec(sections: Sequence[SectionHeader], name: str) -> int:
    """Index of the first section called ``name`` that is allocated, 0 when there is none.

    Models ``kernel/module/main.c:find_sec``: a cleared SHF_ALLOC means "ignore it".
    """
    for section in sections[1:]:
        if section.name == name and section.flags & SHF_ALLOC:
            return section.index
    return 0
