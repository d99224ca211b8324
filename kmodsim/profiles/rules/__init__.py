# SPDX-License-Identifier: GPL-2.0-only
"""What the loaders of different kernels do differently, each difference once: data, and small functions.

``of("6.12")`` gives one kernel's rules; a profile names its own (``KernelProfile.rules``). The model's stages
are those of 6.1, and ask the rules wherever a known kernel differs. ``docs/kernels.md`` is made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from ...loader.load import Load
    from ...module import MemoryKinds
    from ...profile import CpuModel
    from .stages import Stage

RULES = ("5.10", "6.1", "6.12")  # a module of this package each: v5_10, v6_1, v6_12


class Oids(NamedTuple):
    """What differs from 6.1's list of object identifiers, dotted numbers all (``linux/oid_registry.h``).

    gone: not in the list. unused: in it, but the PKCS#7 parser does not know them as algorithms. more:
    others, with the one before them. digests, public_keys: of those, what the parser knows as algorithms.
    """

    gone: frozenset[str] = frozenset()
    unused: frozenset[str] = frozenset()
    more: tuple[tuple[str, tuple[str, ...]], ...] = ()
    digests: tuple[tuple[str, str], ...] = ()
    public_keys: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Rules:
    """One kernel's way of loading modules.

    stages: of load_module, in order. functions: pure functions that are not 6.1's, for a processor.
    memories: the kinds of memory a module gets.
    finit_flags: the flag bits of finit_module(2) that are known.
    decompress: what flag 4 does with a file's bytes; None where the flag is not known.
    said: what is printed of a fault in the ELF structures. no_memory: printed when no memory is left.
    nonzero: printed when a relocation's target is not zero.
    fortified_name: a name without NUL in struct module is a BUG; where not, it runs on into the next field.
    index_checked: a symbol's section index is compared with e_shnum.
    lazy_vfree: memory of a load that failed early is not free before somebody else's is flushed.
    alt_instr: struct alt_instr. orc_real: bits of an ORC entry that a terminator has not.
    sort_order: where ``lib/sort.c`` puts entries, those that compare equal too.
    oids: which identifiers a signature may have that are not those of 6.1.
    extable_handlers: where the third word of an exception table's entry leads to a function, and not to a
    type's number: those that do no more than go on at the fixup.
    files: files with their texts that 6.1 does not show. source: where a file of 6.1's source is in this one.
    """

    name: str
    stages: tuple[Stage, ...]
    memories: MemoryKinds
    finit_flags: int
    said: Callable[[str], tuple[str, ...]]
    decompress: Callable[[Load], None] | None
    no_memory: tuple[str, ...]
    nonzero: str
    fortified_name: bool
    index_checked: bool
    lazy_vfree: bool
    alt_instr: np.dtype[Any]
    orc_real: int
    sort_order: Callable[[Sequence[Any]], list[int]]
    files: Mapping[str, str]
    oids: Oids | None = None
    extable_handlers: tuple[str, ...] = ()
    functions: Callable[[CpuModel], Mapping[str, Callable[..., Any]]] = lambda cpu: {}
    source: Callable[[str], str] = str


@cache
def of(name: str) -> Rules:
    """The rules called ``name``. ValueError, with the known names: there are none."""
    if name not in RULES:
        raise ValueError(f"no rules {name!r}; there are: {', '.join(RULES)}")
    rules: Rules = import_module(f".v{name.replace('.', '_')}", __name__).RULES
    return rules
