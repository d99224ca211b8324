# SPDX-License-Identifier: GPL-2.0-only
"""What differs from kernel to kernel, as data: a KernelProfile is read from a folder under ``profiles/``.

Everything large is read on first use; ``load`` reads only a small JSON file. The data come from a booted
kernel and its packages (``profilebuild/``), never from this model.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kmodsim.profiles.columns import read_columns
from kmodsim.profiles.prototypes import Prototypes
from kmodsim.profiles.structs import Structs

if TYPE_CHECKING:
    from kmodsim.profiles.rules import Rules

PROFILES = Path(__file__).parent / "profiles"
DEFAULT = "debian-6.1-amd64"


class Export(NamedTuple):
    """One EXPORT_SYMBOL. ``crc`` None: the provider has no ``__kcrctab``; ``namespace`` None: in none;
    ``owner``: the Module, None for the kernel itself. A per-CPU symbol's address is its offset."""

    name: str
    address: int
    crc: int | None
    gpl: bool
    namespace: str | None
    owner: Any = None


@dataclass(frozen=True, slots=True)
class StructLayout:
    """A C structure: ``size`` in bytes, ``fields``: name -> (offset, size), nested ones as "list.next"."""

    size: int
    fields: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class CpuModel:
    """What the booted kernel knew of one CPU (``boot_cpu_data.x86_capability`` after all patching decisions).

    ``features`` and ``bugs`` are X86_FEATURE_* and X86_BUG_* numbers as struct alt_instr.cpuid uses them
    (word * 32 + bit; bugs start at NCAPINTS * 32). ``return_thunk`` is the symbol x86_return_thunk points to,
    ``nops`` the one that ideal_nops pointed to ("k8_nops"), where a kernel chose its NOPs by the processor.
    """

    name: str
    features: frozenset[int]
    bugs: frozenset[int]
    return_thunk: str | None
    nops: str = ""

    def has(self, number: int) -> bool:
        """``boot_cpu_has``: for a feature or a bug number."""
        return number in self.features or number in self.bugs


class Patching:
    """What a module's code is patched with: functions and states of the booted kernel, by address.

    pv_ops: functions by slot (``struct paravirt_patch_template``). static_calls: key -> function called now.
    static_call_tramps: trampoline -> key. static_keys_changed: keys that left their initial state.
    """

    def __init__(self, fact: dict[str, Any]) -> None:
        self.pv_slots: dict[str, int] = fact.get("pv_slots", {})  # "irq.save_fl" -> slot; only before 5.13
        self.pv_ops = [int(text, 16) for text in fact["pv_ops"]]
        self.static_calls = {int(key, 16): int(value, 16) for key, value in fact["static_calls"].items()}
        self.static_call_tramps = {int(key, 16): int(v, 16) for key, v in fact["static_call_tramps"].items()}
        self.static_keys_changed = frozenset(int(text, 16) for text in fact["static_keys_changed"])


class Kallsyms:
    """The booted kernel's symbols, in the order of /proc/kallsyms (``kernel/kallsyms.c``), no modules loaded.

    ``addresses``: uint64 array, ascending; ``types``: one nm letter per symbol; ``names``. Per-CPU symbols
    come first, with their offsets for addresses (CONFIG_KALLSYMS_ABSOLUTE_PERCPU).
    """

    def __init__(self, addresses: NDArray[np.uint64], types: str, names: list[str]) -> None:
        self.addresses = addresses
        self.types = types
        self.names = names

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _first(self) -> dict[str, int]:
        last = len(self.names) - 1
        return {name: last - row for row, name in enumerate(reversed(self.names))}

    def address_of(self, name: str) -> int | None:
        """``kallsyms_lookup_name``: the first symbol of that name; local ones may share a name."""
        row = self._first.get(name)
        return None if row is None else int(self.addresses[row])

    def all_of(self, name: str) -> list[int]:
        """The addresses of all symbols of that name."""
        return [int(self.addresses[row]) for row, each in enumerate(self.names) if each == name]

    def at(self, address: int) -> tuple[str, int, int] | None:
        """``kallsyms_lookup``: (name, offset, size) of the symbol at ``address``; None outside the kernel.

        Of symbols at one address the first is named; a symbol reaches to the next higher one
        (``kernel/kallsyms.c:get_symbol_pos``, ``include/asm-generic/sections.h:__is_kernel``).
        """
        if not self._is_kernel(address):
            return None
        after = int(np.searchsorted(self.addresses, np.uint64(address), side="right"))
        start = int(self.addresses[after - 1])
        row = int(np.searchsorted(self.addresses, np.uint64(start), side="left"))
        end = int(self.addresses[after]) if after < len(self) else self._limits[1]
        return self.names[row], address - start, end - start

    @cached_property
    def _limits(self) -> list[int]:
        return [self.address_of(name) or 0 for name in ("_stext", "_end", "__init_begin", "__init_end")]

    def _is_kernel(self, address: int) -> bool:
        start, end, init_start, init_end = self._limits
        return start <= address < end or init_start <= address < init_end


class KernelProfile:
    """One kernel build, as booted: the facts every stage may depend on. Made by ``KernelProfile.load``.

    name, release, vermagic, uname_version: texts; vermagic with its trailing blank.
    config: CONFIG_X -> "y", "m" or the value: what the loader's behaviour hangs on; unset ones are absent.
    struct_module: sizes and offsets inside struct module, from the kernel's BTF.
    module_area: MODULES_VADDR, MODULES_END (exclusive).
    occupied: (start, size with guard page, what): areas in the module area taken at boot.
    percpu_reserved: [start, end), offsets in the per-CPU area: where modules' per-CPU sections are allocated.
    builtin_modules: names under /sys/module with no module loaded.
    cpu_models: name as QEMU knows it -> CpuModel.
    cpu_feature_names: number -> "X86_FEATURE_SMAP", "X86_BUG_SRSO".
    rules: what its loader does differently from others. text: _stext, _etext.
    patching: what the running kernel gives to the code it patches.
    """

    def __init__(self, folder: Path) -> None:
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        self._folder = folder
        self._facts: dict[str, Any] = facts
        self.name: str = facts["name"]
        self.release: str = facts["release"]
        self.vermagic: str = facts["vermagic"]
        self.uname_version: str = facts["uname_version"]
        self.config: dict[str, str] = facts["config"]
        self.struct_module = _struct_layout(facts["structs"]["module"])
        self.module_area = _pair(facts["module_area"])
        self.occupied = tuple((int(start, 16), size, what) for start, size, what in facts["occupied"])
        self.percpu_reserved = _pair(facts["percpu_reserved"])
        self.builtin_modules: frozenset[str] = frozenset(facts["builtin_modules"])
        # numbers of character devices that the kernel's own drivers have, and of those with major 10
        self.char_majors: frozenset[int] = frozenset(facts["char_majors"])
        self.misc_minors: frozenset[int] = frozenset(facts["misc_minors"])
        self.cpu_models = {name: _cpu_model(name, facts) for name in facts["cpu_models"]}
        self.text = _pair(facts["text"])
        self.patching = Patching(facts["patching"])

    @classmethod
    def load(cls, name: str | os.PathLike[str] = DEFAULT) -> KernelProfile:
        """The profile of that name ("6.12" is short for "debian-6.12-amd64"), or in that folder. ValueError,
        with the known names: there is none."""
        for known in (name, f"debian-{name}-amd64"):
            if known in cls.names():
                return _read(PROFILES / known)
        if (Path(name) / "facts.json").is_file():
            return _read(Path(name).resolve())
        raise ValueError(f"no profile {os.fspath(name)!r}; there are: {', '.join(cls.names())}")

    @staticmethod
    def names() -> list[str]:
        """The profiles in the package."""
        return sorted(path.parent.name for path in PROFILES.glob("*/facts.json"))

    @cached_property
    def rules(self) -> Rules:
        """How this kernel's loader works."""
        from kmodsim.profiles import rules

        return rules.of(self._facts["rules"])

    @cached_property
    def exports(self) -> dict[str, Export]:
        """vmlinux's exported symbols by name, in the order of their addresses."""
        columns = self._columns("exports.zlib")
        namespaces = np.array([None, *self._facts["namespaces"]], object)[columns["namespace"]]
        rows = zip(
            columns["names"], columns["addresses"].tolist(), columns["crcs"].tolist(),
            columns["gpl"].astype(bool).tolist(), namespaces.tolist(), repeat(None),
        )  # fmt: skip
        return dict(zip(columns["names"], map(Export._make, rows), strict=True))

    @cached_property
    def kallsyms(self) -> Kallsyms:
        """/proc/kallsyms of the booted kernel."""
        columns = self._columns("kallsyms.xz")
        return Kallsyms(columns["addresses"], columns["types"], columns["names"])

    @cached_property
    def keyring(self) -> tuple[bytes, ...]:
        """DER certificates of the built-in trusted keys (``certs/system_keyring.c``)."""
        data = (self._folder / "keyring.der").read_bytes()
        ends = np.cumsum(self._facts["keyring_sizes"]).tolist()
        return tuple(data[start:end] for start, end in pairwise([0, *ends]))

    @cached_property
    def cpu_feature_names(self) -> dict[int, str]:
        """Numbers of ``arch/x86/include/asm/cpufeatures.h`` with their names there."""
        return {number: name for name, number in self._facts["cpu_feature_names"].items()}

    @cached_property
    def prototypes(self) -> Prototypes:
        """C prototypes of the exported functions that BTF knows, by name."""
        return Prototypes(self._columns("prototypes.xz"), list(self.exports))

    @cached_property
    def _structs(self) -> Structs:
        return Structs(self._columns("structs.xz"))

    def struct(self, name: str) -> StructLayout:
        """Size and fields of a structure, nested ones as "entry.next". KeyError: the profile has none of
        that name."""
        return StructLayout(*self._structs[name])

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """Initial contents of exported variables, without the zeros at their ends."""
        columns = self._columns("contents.xz")
        data = columns["bytes"].tobytes()
        ends = np.cumsum(columns["lengths"].astype(np.int64)).tolist()
        pieces = (data[start:end] for start, end in pairwise([0, *ends]))
        return dict(zip(columns["names"], pieces, strict=True))

    def _columns(self, file: str) -> dict[str, Any]:
        return read_columns((self._folder / file).read_bytes())

    def __repr__(self) -> str:
        return f"KernelProfile({self.name!r})"


@cache
def _read(folder: Path) -> KernelProfile:
    return KernelProfile(folder)


def _pair(texts: list[str]) -> tuple[int, int]:
    start, end = (int(text, 16) for text in texts)
    return start, end


def _struct_layout(fact: dict[str, Any]) -> StructLayout:
    fields = {name: (offset, size) for name, (offset, size) in fact["fields"].items()}
    return StructLayout(fact["size"], fields)


def _cpu_model(name: str, facts: dict[str, Any]) -> CpuModel:
    fact = facts["cpu_models"][name]
    features, bugs = frozenset(fact["features"]), frozenset(fact["bugs"])
    return CpuModel(name, features, bugs, fact["return_thunk"], fact.get("nops", ""))
