# SPDX-License-Identifier: GPL-2.0-only
"""The C prototypes of what the kernel exports, from its own type information (BTF): ``profile.prototypes``.

    >>> str(profile.prototypes["__kmalloc"])
    'void *__kmalloc(size_t size, gfp_t flags)'

The file is a table of types that name each other by row; a prototype or type becomes an object when it is
asked for. ``profilebuild/prototypes.py`` writes it and tells its columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

VARIADIC = 0x80  # beside the number of parameters
POINTER_SIZE = 8

# letter of a row -> kind of the type; t, c and V are resolved, and leave only their name and qualifier
KINDS = {
    "v": "void", "i": "int", "u": "int", "b": "bool", "f": "float", "e": "enum", "E": "enum",
    "p": "pointer", "a": "array", "s": "struct", "n": "union", "F": "function",
}  # fmt: skip
SIGNED = "iE"
QUALIFIERS = {"c": "const", "V": "volatile"}
TAGS = {"s": "struct", "n": "union", "e": "enum", "E": "enum"}


@dataclass(frozen=True, slots=True)
class CType:
    """A C type, typedefs and qualifiers seen through.

    kind: "void" "int" "bool" "float" "enum" "pointer" "array" "struct" "union" "function".
    name: how C calls it without qualifiers: "gfp_t", "struct file", "unsigned long"; "" for plain pointers.
    size: sizeof in bytes; 0 for void, functions, and structs that BTF only declares.
    before, after: C's declarator around a name: "void (*" and ")(struct timer_list *)".
    target: what it points to, or an array's elements.
    constants: an enum's (name, value). flags: (name, mask) where the typedef has named bits, as gfp_t.
    """

    kind: str
    name: str
    size: int
    signed: bool
    const: bool
    before: str
    after: str
    target: CType | None = None
    constants: tuple[tuple[str, int], ...] = ()
    flags: tuple[tuple[str, int], ...] = ()

    @property
    def text(self) -> str:
        """The type as C writes it: "const char *", "int (*)(struct device *, void *)"."""
        return self.before + self.after

    @property
    def is_string(self) -> bool:
        """``const char *``: text that the callee only reads."""
        target = self.target
        return self.kind == "pointer" and target is not None and target.const and target.name == "char"

    def declare(self, name: str) -> str:
        """A declaration of ``name``: "struct file *file", "int (*fn)(struct device *, void *)"."""
        blank = " " if name and not self.before.endswith(("*", "(")) else ""
        return f"{self.before}{blank}{name}{self.after}"

    def value(self, register: int) -> int:
        """The value in a 64-bit register: only the type's own bytes count, sign-extended where it is
        signed."""
        if self.kind == "bool":
            return int(register & 0xFF != 0)
        bits = 8 * (self.size if 0 < self.size < 8 else 8)
        number = register & ((1 << bits) - 1)
        return number - (1 << bits) if self.signed and number >> (bits - 1) else number

    def show(self, register: int) -> str:
        """The value as a kernel developer writes it: 48, GFP_KERNEL, true, HRTIMER_MODE_REL, NULL, 0xffff…"""
        number = self.value(register)
        if self.kind == "void":
            return ""
        if self.kind == "pointer":
            return f"{number:#x}" if number else "NULL"
        if self.kind == "bool":
            return "true" if number else "false"
        if self.flags:
            return flags_text(number, self.flags)
        return next((name for name, constant in self.constants if constant == number), str(number))

    def __str__(self) -> str:
        return self.text


class Parameter(NamedTuple):
    """One parameter; ``name`` may be empty, as in the declaration of a callback."""

    name: str
    type: CType

    def __str__(self) -> str:
        return self.type.declare(self.name)


@dataclass(frozen=True, slots=True)
class Prototype:
    """What a function takes and gives. ``str()``: its C declaration."""

    name: str
    result: CType
    parameters: tuple[Parameter, ...]
    variadic: bool

    @property
    def listed(self) -> str:
        """What stands between the parentheses."""
        return ", ".join([*map(str, self.parameters), *(["..."] if self.variadic else [])]) or "void"

    def __str__(self) -> str:
        return self.result.declare(f"{self.name}({self.listed})")


def flags_text(value: int, names: Sequence[tuple[str, int]]) -> str:
    """Named bits joined with "|", the rest in hex (``lib/vsprintf.c:format_flags``, %pGg); "0" for none."""
    found, rest = [], value
    for name, mask in names:
        if rest & mask == mask:
            found.append(name)
            rest &= ~mask
    return "|".join([*found, *([f"{rest:#x}"] if rest or not found else [])]) if value else "0"


class Types:
    """The rows of the file, as CType when asked for."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._kinds: str = columns["kinds"]
        self._names: list[str] = columns["names"]
        self._sizes: list[int] = columns["sizes"].tolist()
        self._targets: list[int] = columns["targets"].tolist()
        self._results: list[int] = columns["results"].tolist()
        self._counts: list[int] = columns["counts"].tolist()
        self._firsts = list(accumulate((count & ~VARIADIC for count in self._counts), initial=0))
        self._parameter_types: list[int] = columns["parameter_types"].tolist()
        self._parameter_names: list[int] = columns["parameter_names"].tolist()
        self._words: list[str] = columns["words"]
        self._columns = columns
        self._made: dict[int, CType] = {}
        self._constants: dict[int, tuple[tuple[str, int], ...]] | None = None
        self.flags: dict[str, tuple[tuple[str, int], ...]] = {}
        for line in filter(None, columns["flags"]):
            typedef, name, mask = line.split()
            self.flags[typedef] = (*self.flags.get(typedef, ()), (name, int(mask, 16)))

    def __getitem__(self, row: int) -> CType:
        if row not in self._made:
            self._made[row] = self._make(row)
        return self._made[row]

    def prototype(self, number: int, name: str) -> Prototype:
        """The prototype of that number, for a function of that name."""
        rows = range(self._firsts[number], self._firsts[number + 1])
        parameters = tuple(
            Parameter(self._words[self._parameter_names[row]], self[self._parameter_types[row]])
            for row in rows
        )
        return Prototype(name, self[self._results[number]], parameters, bool(self._counts[number] & VARIADIC))

    def _make(self, row: int) -> CType:
        letter, name, target = self._kinds[row], self._names[row], self._targets[row]
        if letter == "t":
            return self._typedef(name, self[target])
        if letter in QUALIFIERS:
            return self._qualified(QUALIFIERS[letter], self[target])
        if letter == "p":
            inner = self[target]
            return CType("pointer", "", POINTER_SIZE, False, False, *_pointer_to(inner), inner)
        if letter == "a":
            inner, length = self[target], self._sizes[row]
            ends = (inner.before, f"[{length}]{inner.after}")
            return CType("array", "", length * inner.size, False, inner.const, *ends, inner)
        if letter == "F":
            function = self.prototype(target, "")
            ends = (function.result.before, f"({function.listed}){function.result.after}")
            return CType("function", "", 0, False, False, *ends)
        text = f"{TAGS[letter]} {name}".rstrip() if letter in TAGS else name
        constants = self._constants_of(row) if letter in "eE" else ()
        return CType(
            KINDS[letter], text, self._sizes[row], letter in SIGNED, False, text, "", None, constants
        )

    def _typedef(self, name: str, of: CType) -> CType:
        ends = (f"const {name}" if of.const else name, "")
        flags = self.flags.get(name, of.flags)
        return CType(of.kind, name, of.size, of.signed, of.const, *ends, of.target, of.constants, flags)

    @staticmethod
    def _qualified(word: str, of: CType) -> CType:
        plain_pointer = of.kind == "pointer" and not of.name
        before = f"{of.before}{word}" if plain_pointer else f"{word} {of.before}"
        const = of.const or word == "const"
        ends = (before, of.after)
        return CType(of.kind, of.name, of.size, of.signed, const, *ends, of.target, of.constants, of.flags)

    def _constants_of(self, row: int) -> tuple[tuple[str, int], ...]:
        if self._constants is None:
            self._constants, start = {}, 0
            names, values = self._columns["constant_names"], self._columns["constant_values"].tolist()
            for each, letter in enumerate(self._kinds):
                if letter in "eE":
                    end = start + self._targets[each]
                    wrap = 1 << 64 if letter == "E" else 0
                    found = [value - wrap if value >> 63 else value for value in values[start:end]]
                    self._constants[each] = tuple(zip(names[start:end], found, strict=True))
                    start = end
        return self._constants[row]


def _pointer_to(inner: CType) -> tuple[str, str]:
    if inner.kind in ("array", "function") and not inner.name:
        return f"{inner.before} (*", f"){inner.after}"
    return f"{inner.before}{'' if inner.before.endswith('*') else ' '}*", inner.after


class Prototypes(Mapping[str, Prototype]):
    """Prototypes by the names of exported functions. ``variables``: types of exported per-CPU variables."""

    def __init__(self, columns: Mapping[str, Any], exports: Sequence[str]) -> None:
        self.types = Types(columns)
        numbers = columns["prototypes"].tolist()
        self._numbers = {name: number - 1 for name, number in zip(exports, numbers, strict=True) if number}
        rows = zip(filter(None, columns["variables"]), columns["variable_types"].tolist(), strict=True)
        self.variables: dict[str, CType] = {name: self.types[row] for name, row in rows}

    def __getitem__(self, name: str) -> Prototype:
        return self.types.prototype(self._numbers[name], name)

    def __contains__(self, name: object) -> bool:
        return name in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def flags(self) -> Mapping[str, tuple[tuple[str, int], ...]]:
        """Typedef -> its named bits, in the kernel's order: "gfp_t" -> (("GFP_TRANSHUGE", 0x3d24ca), …)."""
        return self.types.flags
