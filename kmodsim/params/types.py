# SPDX-License-Identifier: GPL-2.0-only
"""The standard parameter types: what their set function stores and what their get function shows.

Models ``kernel/params.c``. One table, ``PARAM_TYPES``, is keyed by the symbol of the ``struct
kernel_param_ops`` that a ``struct kernel_param`` points to. Nothing here touches memory: a set function
returns what it would write (``Stored``), and the caller puts it at the parameter's address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kmodsim.errors import EINVAL, ENOSPC, EROFS, KernelError
from kmodsim.params.kstrtox import IntType, kstrto, kstrtobool
from kmodsim.params.printk import KERN_ERR, encode, printk

PAGE_SIZE = 4096
CHARP_MAX = 1024  # kernel/params.c:param_set_charp
ARRAY_OPS, STRING_OPS = "param_array_ops", "param_ops_string"

# include/linux/moduleparam.h: flags of struct kernel_param
KERNEL_PARAM_FL_UNSAFE, KERNEL_PARAM_FL_HWPARAM = 1, 2


class CharP(NamedTuple):
    """The value of a ``char *``: the C string it points to without its NUL; None is the NULL pointer."""

    text: bytes | None


# bytes go to memory as they are; a CharP needs a string in memory first; None was written by foreign code
Value = bytes | CharP | None


class Stored(NamedTuple):
    """What a set function wrote: ``values[i]`` at address + i * elemsize, and an array's ``*num``."""

    values: tuple[Value, ...]
    num: int | None = None


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """``struct kparam_array``: room for ``max`` elements, ``elemsize`` bytes apart, of the type ``ops``."""

    max: int
    elemsize: int
    ops: str


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """``struct kernel_param`` as plain data.

    ``ops`` is the symbol of its operations. ``array`` belongs to ``param_array_ops``, ``maxlen`` (bytes, NUL
    included) to ``param_ops_string``, ``current`` (the byte in memory now) to ``param_ops_bool_enable_only``;
    ``noarg`` tells KERNEL_PARAM_OPS_FL_NOARG for operations that are not in ``PARAM_TYPES``.
    """

    name: str
    ops: str
    perm: int = 0
    level: int = -1
    flags: int = 0
    array: ArraySpec | None = None
    maxlen: int = 0
    current: bytes = b"\0"
    noarg: bool = False


class Outcome(NamedTuple):
    """What one call of a set function came to.

    ``errno`` is 0 or a positive Linux errno; ``stored`` is what was written, an array's first elements also
    before an error; ``left`` is what the call left of the text in the argument buffer (the array parser cuts
    it at the first comma), None where no value was given; ``modelled`` is False when nobody could tell what
    foreign operations would do.
    """

    errno: int = 0
    stored: Stored | None = None
    log: tuple[str, ...] = ()
    left: bytes | None = None
    tainted: bool = False
    modelled: bool = True


# foreign operations: (symbol of the ops, parameter, text, offset from the parameter's address in bytes)
Custom = Callable[[str, ParamSpec, bytes | None, int], Outcome]


class ParamType(NamedTuple):
    """One row of the table; ``size`` in bytes, None when the type's length is not fixed."""

    name: str
    size: int | None
    noarg: bool
    set: Callable[[bytes | None, ParamSpec], Value]
    get: Callable[[Value], bytes]
    integer: IntType | None = None


def _integer(name: str, size: int, signed: bool, show: Callable[[int], str] = str) -> ParamType:
    kind = IntType(name, size, signed)

    def store(text: bytes | None, spec: ParamSpec) -> Value:
        return kstrto(kind, text or b"").to_bytes(size, "little", signed=signed)

    def get(value: Value) -> bytes:
        return show(int.from_bytes(_raw(value)[:size], "little", signed=signed)).encode()

    return ParamType(name, size, False, store, get, kind)


def _set_bool(text: bytes | None, spec: ParamSpec) -> Value:
    return b"\1" if kstrtobool(b"1" if text is None else text) else b"\0"


def _set_bool_enable_only(text: bytes | None, spec: ParamSpec) -> Value:
    """Once set it stays set (``EROFS``). Setting N where N is writes nothing, which is the same."""
    value = _set_bool(text, spec)
    if value == b"\0" and any(spec.current[:1]):
        raise KernelError(EROFS)
    return value


def _set_invbool(text: bytes | None, spec: ParamSpec) -> Value:
    return b"\0" if _set_bool(text, spec) == b"\1" else b"\1"


def _set_bint(text: bytes | None, spec: ParamSpec) -> Value:
    return _raw(_set_bool(text, spec)) + bytes(3)


def _set_charp(text: bytes | None, spec: ParamSpec) -> Value:
    if len(text or b"") > CHARP_MAX:
        raise KernelError(ENOSPC, dmesg=[printk(KERN_ERR, f"{spec.name}: string parameter too long")])
    return CharP(text or b"")


def _set_copystring(text: bytes | None, spec: ParamSpec) -> Value:
    if len(text or b"") >= spec.maxlen:
        room = (spec.maxlen - 1) & 0xFFFFFFFF
        line = f"{spec.name}: string doesn't fit in {room} chars."
        raise KernelError(ENOSPC, dmesg=[printk(KERN_ERR, line)])
    return (text or b"") + b"\0"


def _raw(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b""


def _get_bool(value: Value) -> bytes:
    return b"Y" if any(_raw(value)[:1]) else b"N"


def _get_invbool(value: Value) -> bytes:
    return b"N" if any(_raw(value)[:1]) else b"Y"


def _get_text(value: Value) -> bytes:
    """``%s``: a string in place, or the one a pointer leads to; ``lib/vsprintf.c`` has a word for NULL."""
    text = value.text if isinstance(value, CharP) else value
    return b"(null)" if text is None else text.split(b"\0", 1)[0]


_INT = _integer("int", 4, True)
_ROWS = (
    _integer("byte", 1, False),
    _integer("short", 2, True),
    _integer("ushort", 2, False),
    _INT,
    _integer("uint", 4, False),
    _integer("long", 8, True),
    _integer("ulong", 8, False),
    _integer("ullong", 8, False),
    _integer("hexint", 4, False, lambda value: f"{value:#08x}"),
    ParamType("charp", 8, False, _set_charp, _get_text),
    ParamType("bool", 1, True, _set_bool, _get_bool),
    ParamType("bool_enable_only", 1, True, _set_bool_enable_only, _get_bool),
    ParamType("invbool", 1, False, _set_invbool, _get_invbool),
    ParamType("bint", 4, True, _set_bint, _INT.get),
    ParamType("string", None, False, _set_copystring, _get_text),
)
PARAM_TYPES: dict[str, ParamType] = {f"param_ops_{row.name}": row for row in _ROWS}


def takes_no_value(spec: ParamSpec) -> bool:
    """Whether ``p`` alone is allowed (KERNEL_PARAM_OPS_FL_NOARG)."""
    row = PARAM_TYPES.get(spec.ops)
    return row.noarg if row else spec.noarg and spec.ops != ARRAY_OPS


def parse_parameter(spec: ParamSpec, text: bytes | None, custom: Custom | None = None) -> Outcome:
    """Call the parameter's set function with ``text`` (None: no value was given).

    Operations outside ``PARAM_TYPES`` go to ``custom``; without one the outcome is marked as not modelled.
    """
    if spec.ops == ARRAY_OPS and spec.array:
        return parse_array(spec, text or b"", custom)
    return _parse_one(spec.ops, spec, text, 0, custom)


def parse_array(spec: ParamSpec, text: bytes, custom: Custom | None = None) -> Outcome:
    """``kernel/params.c:param_array``: elements are stored one by one, ``*num`` counts those that went well.

    The first bad element ends it (its errno is the result); what was stored before stays.
    """
    array = spec.array or ArraySpec(0, 0, "")
    values: list[Value] = []
    pieces = text.split(b",", array.max)
    left = pieces[0] if array.max else text
    for index, piece in enumerate(pieces):
        if index == array.max:
            line = printk(KERN_ERR, f"{spec.name}: can only take {array.max} arguments")
            return Outcome(EINVAL, Stored(tuple(values), index), (line,), left)
        one = _parse_one(array.ops, spec, piece, index * array.elemsize, custom)
        if one.errno or not one.modelled:
            return one._replace(stored=Stored(tuple(values), index), left=left)
        values.append(one.stored.values[0] if one.stored else None)
    return Outcome(0, Stored(tuple(values), len(values)), (), left)


def _parse_one(ops: str, spec: ParamSpec, text: bytes | None, offset: int, custom: Custom | None) -> Outcome:
    row = PARAM_TYPES.get(ops)
    if row is None:
        outcome = custom(ops, spec, text, offset) if custom else Outcome(modelled=False)
        return outcome._replace(left=text)
    try:
        return Outcome(0, Stored((row.set(text, spec),)), (), text)
    except KernelError as error:
        return Outcome(error.errno or EINVAL, None, tuple(error.dmesg), text)


def format_parameter(ops: str, value: Value) -> bytes:
    """What a read of ``/sys/module/M/parameters/P`` gives, with its newline; at most one page less a byte.

    ``value`` is the memory of the variable; for ``charp`` a ``CharP``. ``KeyError`` for foreign operations.
    """
    return (PARAM_TYPES[ops].get(value) + b"\n")[: PAGE_SIZE - 1]


def format_array(ops: str, values: Sequence[Value]) -> bytes:
    """``kernel/params.c:param_array_get``: commas between, nothing at all without elements.

    ``values`` are the elements to show: ``*num`` of them if the array has a count variable, else all ``max``.
    """
    shown = b"".join(format_parameter(ops, value)[:-1] + b"," for value in values)
    return (shown[:-1] + b"\n" if values else b"")[: PAGE_SIZE - 1]


def name_bytes(spec: ParamSpec) -> bytes:
    """The parameter's name as the kernel compares it."""
    return encode(spec.name)
