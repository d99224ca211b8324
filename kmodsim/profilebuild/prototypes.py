# SPDX-License-Identifier: GPL-2.0-only
"""Writes the prototypes of a kernel's exports, and the types they need, as columns
(``profiles/prototypes.py``).

Columns, a row per type: kinds (letters as there), names, sizes (an array: its length), targets (the row
pointed to or renamed; a function: its prototype; an enum: how many constants). A row per prototype:
results, counts (of parameters, beside VARIADIC). A row per parameter: parameter_types, parameter_names
(rows of words). A row per export of the profile: prototypes (number + 1, or 0). Structs keep name and size,
not their members.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from kmodsim.profilebuild.assembly import CONVENTIONS_OF_THEIR_OWN, DECLARATIONS
from kmodsim.profilebuild.boot import BuildError
from kmodsim.profilebuild.btf import (
    ARRAY,
    CONST,
    DATASEC,
    ENUM,
    ENUM64,
    FLOAT,
    FUNC,
    FUNC_PROTO,
    FWD,
    INT,
    PTR,
    STRUCT,
    TYPEDEF,
    UNION,
    VOLATILE,
    Btf,
)  # fmt: skip
from kmodsim.profiles.columns import write_columns
from kmodsim.profiles.prototypes import VARIADIC

# GCC's names of the basic types in BTF, and how the kernel's developers write them
BASIC = {
    "long int": "long", "long unsigned int": "unsigned long", "short int": "short", "_Bool": "bool",
    "short unsigned int": "unsigned short", "long long int": "long long",
    "long long unsigned int": "unsigned long long",
}  # fmt: skip
LETTERS = {PTR: "p", ARRAY: "a", STRUCT: "s", UNION: "n", TYPEDEF: "t", CONST: "c", VOLATILE: "V"}
DECLARATION = re.compile(r"(.*?)(\w*)\((.*)\)")
PARAMETER = re.compile(r"(.*?)(\w+)")

Row = tuple[str, str, int, int]  # kind's letter, name, size, target
Shape = tuple[int, tuple[tuple[str, int], ...], bool]  # result, parameters (name, type), variadic


class Table:
    """The rows, each type and each prototype once, in the order in which they are first needed."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self.rows: dict[Row | tuple[Row, int], int] = {}
        self.shapes: dict[Shape, int] = {}
        self.constants: list[tuple[str, int]] = []
        self._known: dict[int, int] = {}

    def type(self, number: int) -> int:
        """The row of BTF's type ``number``."""
        if number not in self._known:
            self._known[number] = self._add(number)
        return self._known[number]

    def row(self, letter: str, name: str = "", size: int = 0, target: int = 0) -> int:
        """The row of that content, made if there is none."""
        return self.rows.setdefault((letter, name, size, target), len(self.rows))

    def prototype(self, number: int) -> int:
        """The number here of BTF's prototype ``number``."""
        parameters = self._btf.parameters(number)
        variadic = bool(parameters) and parameters[-1] == ("", 0)
        types = tuple((name, self.type(kind)) for name, kind in parameters[: len(parameters) - variadic])
        return self.shape(self.type(self._btf.types[number].size), types, variadic)

    def shape(self, result: int, parameters: tuple[tuple[str, int], ...], variadic: bool = False) -> int:
        return self.shapes.setdefault((result, parameters, variadic), len(self.shapes))

    def _add(self, number: int) -> int:
        btf, each = self._btf, self._btf.types[number]
        name = btf.name(each.name)
        if not number:
            return self.row("v", "void")
        if each.kind == INT:
            signed, boolean = btf.integer(number)
            return self.row("b" if boolean else "i" if signed else "u", BASIC.get(name, name), each.size)
        if each.kind == FLOAT:
            return self.row("f", name, each.size)
        if each.kind in (ENUM, ENUM64):
            return self._enum(number, name)
        if each.kind in (STRUCT, UNION, FWD):
            return self.row("n" if each.kind == UNION or (each.kind == FWD and each.flag) else "s", name,
                            0 if each.kind == FWD else each.size)  # fmt: skip
        if each.kind == ARRAY:
            element, length = btf.array(number)
            return self.row("a", "", length, self.type(element))
        if each.kind == FUNC_PROTO:
            return self.row("F", "", 0, self.prototype(number))
        if each.kind in LETTERS:
            return self.row(LETTERS[each.kind], name, 0, self.type(each.size))
        return self.type(each.size)  # restrict and type tags tell a reader nothing

    def _enum(self, number: int, name: str) -> int:
        constants = self._btf.constants(number)
        row: Row = (
            "E" if self._btf.types[number].flag else "e",
            name,
            self._btf.types[number].size,
            len(constants),
        )
        self.constants += constants
        return self.rows.setdefault(
            (row, number), len(self.rows)
        )  # two enums may look alike but for the constants


def _functions(btf: Btf, names: Iterable[str]) -> dict[str, int]:
    """name -> number of its prototype. Of several the first that says something: assembly's are void
    f(void)."""
    found = {}
    for name in names:
        choices = [btf.types[number].size for number in btf.numbers(name, FUNC)]
        told = [number for number in choices if btf.types[number].size or btf.types[number].members]
        if choices and name not in CONVENTIONS_OF_THEIR_OWN:
            found[name] = (told or choices)[0]
    return found


def _declared(table: Table, btf: Btf, text: str) -> tuple[str, int]:
    """(name, prototype) of a line of DECLARATIONS."""
    parts = DECLARATION.fullmatch(text)
    assert parts, text
    result, name, listed = parts.groups()
    found = [PARAMETER.fullmatch(each.strip()) for each in listed.split(",")]
    parameters = tuple((each[2], _named(table, btf, each[1])) for each in found if each)
    return name, table.shape(_named(table, btf, result), parameters)


def _named(table: Table, btf: Btf, text: str) -> int:
    """The row of a type written as ``const void *``."""
    name = text.replace("const ", "").replace("*", "").strip()
    numbers = (
        [0]
        if name == "void"
        else btf.numbers(next((k for k, v in BASIC.items() if v == name), name), INT, TYPEDEF)
    )
    if not numbers:
        raise BuildError(f"the kernel's BTF has no type {name}")
    row = table.type(numbers[0])
    if "const " in text:
        row = table.row("c", target=row)
    return table.row("p", target=row) if "*" in text else row


def percpu_variables(btf: Btf) -> dict[str, tuple[int, int]]:
    """name -> (type number, size): what .data..percpu holds, the only variables in a kernel's BTF."""
    found = {}
    for number in btf.numbers(".data..percpu", DATASEC):
        for variable, size in btf.variables(number):
            found[btf.name(btf.types[variable].name)] = (btf.types[variable].size, size)
    return found


def prototypes_file(btf: Btf, exports: Sequence[str], flags: Mapping[str, Mapping[str, int]]) -> bytes:
    """The file, for ``exports`` in the profile's order. ``flags``: typedef -> name of a bit or mask ->
    value."""
    table = Table(btf)
    known = _functions(btf, exports)
    written = dict(_declared(table, btf, line) for line in DECLARATIONS)
    numbers = [
        written[name] + 1 if name in written else table.prototype(known[name]) + 1 if name in known else 0
        for name in exports
    ]
    percpu = percpu_variables(btf)
    variables = {name: table.type(percpu[name][0]) for name in exports if name in percpu}
    rows: list[Row] = [row[0] if isinstance(row[0], tuple) else row for row in table.rows]
    parameters = [each for _, each, _ in table.shapes]
    words = sorted({name for each in parameters for name, _ in each})
    index = {word: number for number, word in enumerate(words)}
    return write_columns({
        "kinds": ("letters", "".join(row[0] for row in rows)),
        "names": ("text", [row[1] for row in rows]),
        "sizes": ("u4", [row[2] for row in rows]),
        "targets": ("u2", [row[3] for row in rows]),
        "results": ("u2", [result for result, _, _ in table.shapes]),
        "counts": ("u1", [len(each) | VARIADIC * variadic for _, each, variadic in table.shapes]),
        "parameter_types": ("u2", [kind for each in parameters for _, kind in each]),
        "parameter_names": ("u2", [index[name] for each in parameters for name, _ in each]),
        "words": ("text", words),
        "prototypes": ("u2", numbers),
        "constant_names": ("text", [name for name, _ in table.constants]),
        "constant_values": ("address", [value % (1 << 64) for _, value in table.constants]),
        "variables": ("text", list(variables)),
        "variable_types": ("u2", list(variables.values())),
        "flags": ("text", [f"{of} {name} {mask:x}" for of in flags for name, mask in flags[of].items()]),
    })  # fmt: skip
