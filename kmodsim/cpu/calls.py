# SPDX-License-Identifier: GPL-2.0-only
"""What a module asked of the kernel: one record a call, an strace of kernel functions.

What a pointer led to (strings, symbols, the text a format made) is taken down when the call is made: later
the memory may be gone. All else is rendered when somebody looks, by the prototypes of the kernel's BTF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from ..errors import NAME_OF
from ..profiles.prototypes import CType, Prototype
from .names import MAX_ERRNO, U64, Names
from .space import GuestFault
from .table import FUNCTIONS, KernelFunction

if TYPE_CHECKING:
    from .cpu import Cpu

SHOWN = 48  # bytes of a string that are shown
FORMAT_SHOWN = 160  # of a format and what came out of it
LARGE = 1 << 20  # from here on numbers are addresses or masks, and shown in hex
IN_REGISTERS = 6
HTML_LINES = 400
FROM_KERNEL = "(kernel)"  # a function that the kernel calls back ends by jumping to the one called here
# include/linux/kern_levels.h: how a format's first two bytes are written in C
LEVELS = {
    **dict(enumerate(("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"), ord("0"))),
    ord("c"): "CONT",
}
ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
# numbers that nobody writes in decimal: by the type's name, or the parameter's
BASES = {"umode_t": "04o", "flags": "#x", "mask": "#x"}
# their results are comparisons, no errnos
COMPARE = ("*cmp", "*cmp_*", "*compare*")


@dataclass(slots=True)
class KernelCall:
    """One call: the function, its six argument registers, the return address, who called, when, how deep.

    ``str()``: ``kmalloc_trace(s=kmalloc_caches+0x60, gfpflags=GFP_KERNEL, size=48) = 0xffff888003000040``.
    ``returned`` is False while it runs, and for ever when it never came back. ``stack``: arguments behind
    the sixth. ``strings``, ``names``: what addresses among the arguments led to then. ``site``, ``module``:
    the caller's name and module. ``text``: what a format (printk's) became.
    """

    name: str
    registers: tuple[int, ...]
    caller: int
    comm: str
    when: int
    depth: int
    result: int | bool | None = None
    stubbed: bool = False
    returned: bool = False
    site: str = ""
    module: str = ""
    prototype: Prototype | None = field(default=None, repr=False)
    stack: tuple[int, ...] = ()
    strings: dict[int, bytes] = field(default_factory=dict, repr=False)
    names: dict[int, str] = field(default_factory=dict, repr=False)
    text: bytes | None = None

    @property
    def arguments(self) -> list[Argument]:
        """The arguments by their parameters' names; those behind ``...`` only as ``text``."""
        raw = (*self.registers, *self.stack)
        parameters = parameters_of(self.name, self.prototype)
        pairs = zip(parameters, raw, strict=False)
        return [Argument(name, value & U64, argument_text(self, name, kind, value & U64))
                for (name, kind), value in pairs]  # fmt: skip

    @property
    def result_text(self) -> str:
        """``= 0``, ``= -ENOMEM``, ``= ?`` for one that did not come back, "" for void."""
        if not self.returned:
            return "= ?"
        kind = self.prototype.result if self.prototype is not None else None
        if (kind.kind == "void") if kind is not None else self.result is None:
            return ""
        value = int(self.result or 0) & U64
        return "= " + (value_text(kind, value, self.names, errno=not _compares(self.name)))

    @property
    def call_text(self) -> str:
        """The function with its arguments and, of a format, what it became."""
        words = [argument.declared for argument in self.arguments]
        if self.text is not None and self.text not in self.strings.values():
            words.append(f"… {quoted(self.text, FORMAT_SHOWN)}")
        elif self.text is None and self.prototype is not None and self.prototype.variadic:
            words.append("…")
        return f"{self.name}({', '.join(words)})"

    def __str__(self) -> str:
        made_up = "  [stand-in]" if self.stubbed else ""
        return f"{self.call_text} {self.result_text}".rstrip() + made_up


class Argument(NamedTuple):
    """One argument: its parameter's name, the 64 bits that were passed, and how it is shown."""

    name: str
    value: int
    text: str

    @property
    def declared(self) -> str:
        return f"{self.name}={self.text}" if self.name else self.text


# --- rendering


Kind = CType | str | None  # a type of the prototype, one of abi.py's, or unknown


def parameters_of(name: str, prototype: Prototype | None) -> list[tuple[str, Kind]]:
    """(name, type) of the fixed parameters: by BTF, else by the function that stands for it here."""
    if prototype is not None:
        return list(prototype.parameters)
    function = FUNCTIONS.get(name)
    if function is None or function.own_registers:
        return []
    pairs = zip(_python_names(function), function.parameters, strict=False)
    return [(each, kind) for each, kind in pairs if kind != "VarArgs"]


def _python_names(function: KernelFunction) -> list[str]:
    return [name for name in function.run.__annotations__ if name != "return"][1:]


def argument_text(call: KernelCall, name: str, kind: Kind, value: int) -> str:
    """One argument: a string where one was read, else by its type and, for plain numbers, by its name."""
    if value in call.strings and _is_string(kind):
        limit = FORMAT_SHOWN if call.text is not None else SHOWN
        return quoted(call.strings[value], limit)
    plain = isinstance(kind, CType) and kind.kind == "int" and not kind.signed and not kind.flags
    if isinstance(kind, CType) and plain and (base := BASES.get(kind.name) or BASES.get(name)):
        return format(kind.value(value), base)
    return value_text(kind, value, call.names)


def _is_string(kind: Kind) -> bool:
    return kind.is_string if isinstance(kind, CType) else kind == "cstr"


def value_text(kind: Kind, value: int, names: dict[int, str], *, errno: bool = False) -> str:
    """64 bits as a value of that type. ``errno``: a small negative number is an errno, as results are."""
    if isinstance(kind, CType) and kind.kind != "pointer":
        return _typed(kind, value, errno=errno)
    if kind in ("cstr", "ptr") or isinstance(kind, CType) or value >= LARGE:
        return names.get(value) or _errno(value) or (f"{value:#x}" if value else "NULL")
    return str(value)


def _typed(kind: CType, value: int, *, errno: bool) -> str:
    number = kind.value(value)
    if kind.kind in ("struct", "union", "array", "float") or (kind.kind == "int" and number >= LARGE):
        return kind.show(value) if kind.flags else f"{number:#x}"
    name = _errno(number & U64) if errno and number < 0 and kind.kind == "int" else ""
    return name or kind.show(value)


def _errno(value: int) -> str:
    """``-ENOMEM`` for an error pointer (``include/linux/err.h:IS_ERR``)."""
    number = (1 << 64) - value
    return f"-{NAME_OF[number]}" if 0 < number <= MAX_ERRNO and number in NAME_OF else ""


def _compares(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in COMPARE)


def quoted(raw: bytes, limit: int = SHOWN) -> str:
    """Bytes as a C string, a printk level by its name, cut behind ``limit`` bytes."""
    level = ""
    while len(raw) > 1 and raw[0] == 1 and raw[1] in LEVELS:
        level, raw = f"{level}KERN_{LEVELS[raw[1]]} ", raw[2:]
    shown = "".join(_letter(byte) for byte in raw[:limit])
    return f'{level}"{shown}"{"…" if len(raw) > limit else ""}'


def _letter(byte: int) -> str:
    return ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")


# --- many calls


class CallList(list[KernelCall]):
    """The calls in the order in which they were made; ``str()`` and a notebook show them as strace does."""

    def select(
        self, name: str = "*", *, module: str | None = None, comm: str | None = None,
        stubbed: bool | None = None,
    ) -> CallList:  # fmt: skip
        """Those whose function matches a pattern ("*alloc*"), made by one module or task, (not) made up."""
        return CallList(
            call for call in self
            if fnmatchcase(call.name, name) and module in (None, call.module) and comm in (None, call.comm)
            and stubbed in (None, call.stubbed)
        )  # fmt: skip

    def __str__(self) -> str:
        return render(self)

    def _repr_html_(self) -> str:
        text = render(self[-HTML_LINES:])
        left = len(self) - HTML_LINES
        note = f"<p>{left} calls before these are left out; print(…) shows all.</p>" if left > 0 else ""
        return f'{note}<pre style="overflow-x:auto">{escape(text)}</pre>'


def render(calls: Iterable[KernelCall]) -> str:
    """One line a call: time since boot, task, where the call came from, the call, indented by how many
    calls back into modules it is deep."""
    return "\n".join(_lines(list(calls)))


def _lines(calls: list[KernelCall]) -> Iterator[str]:
    sites = [call.site or f"{call.caller:#x}" for call in calls]
    wide, comms = max(map(len, sites), default=0), max((len(call.comm) for call in calls), default=0)
    for call, site in zip(calls, sites, strict=True):
        seconds = f"{call.when // 10**9:5d}.{call.when // 1000 % 10**6:06d}"
        indent = "  " * (call.depth - 1)
        yield f"[{seconds}] {call.comm:<{comms}}  {site:<{wide}}  {indent}{call}"


# --- taking down


class Shape(NamedTuple):
    """What to look at in every call of one function."""

    prototype: Prototype | None
    strings: tuple[int, ...]
    pointers: tuple[int, ...]
    stack: int


class CallNotes:
    """Takes down with each call what only its own moment can tell."""

    def __init__(self, cpu: Cpu, names: Names) -> None:
        self._cpu, self._names = cpu, names
        self._shapes: dict[str, Shape] = {}

    def began(self, call: KernelCall, rsp: int) -> None:
        """The function was called; ``rsp`` points to the return address."""
        shape = self._shapes.get(call.name) or self._shape(call.name)
        call.prototype = shape.prototype
        call.site, call.module = self._names.where(call.caller)
        if not call.module and self._cpu.running is not None:  # a jump at a function's end leaves no trace
            call.module = self._cpu.running.name
        if call.caller == self._cpu.profile.text[0]:
            call.site = FROM_KERNEL
        if shape.stack:
            call.stack = self._stacked(rsp + 8, shape.stack)
        raw = (*call.registers, *call.stack)
        for i in shape.strings:
            if i < len(raw) and raw[i] not in call.strings:
                self._take_string(call, raw[i])
        for i in shape.pointers:
            if i < len(raw) and (name := self._names.of(raw[i])):
                call.names[raw[i]] = name

    def ended(self, call: KernelCall, result: int | bool | None) -> None:
        """It came back with that result."""
        call.result, call.returned = result, True
        pointer = call.prototype is not None and call.prototype.result.kind == "pointer"
        if pointer and (name := self._names.of(int(result or 0) & U64)):
            call.names[int(result or 0) & U64] = name

    def _shape(self, name: str) -> Shape:
        prototype = self._cpu.profile.prototypes.get(name)
        kinds = [kind for _, kind in parameters_of(name, prototype)]
        strings = tuple(i for i, kind in enumerate(kinds) if _is_string(kind))
        pointers = tuple(
            i for i, kind in enumerate(kinds)
            if kind == "ptr" or (isinstance(kind, CType) and kind.kind == "pointer")
        )  # fmt: skip
        shape = Shape(prototype, strings, pointers, max(0, len(kinds) - IN_REGISTERS))
        self._shapes[name] = shape
        return shape

    def _take_string(self, call: KernelCall, address: int) -> None:
        try:
            call.strings[address] = self._cpu.space.string(address, FORMAT_SHOWN + 3)
        except GuestFault:
            pass  # a bad pointer is shown as the number it is

    def _stacked(self, place: int, count: int) -> tuple[int, ...]:
        try:
            return tuple(self._cpu.space.number(place + 8 * i, 8) for i in range(count))
        except GuestFault:
            return ()
