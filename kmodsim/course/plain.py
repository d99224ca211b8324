# SPDX-License-Identifier: GPL-2.0-only
"""Plain data: what goes into a learner's function and what comes out, in one process or across two.

None, bool, int, float, str, bytes, lists, tuples, dicts, and ``Record`` for things with named fields. This
file knows no answer and imports nothing of kmodsim: the process in which learners' code is confined has a
copy of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 40  # of nested containers; what goes deeper is refused
WORD = 1 << 53  # integers beyond travel as hexadecimal text, so that no parser has to guess


class NotPlainError(Exception):
    """A value that is no plain data; the message says which."""


class Record:
    """Named fields, in order: ``section.name``; it also counts, unpacks and compares like a tuple of them."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> Any:  # only asked for what is not there
        raise AttributeError(f"no field {name!r}; there are: {', '.join(self.__dict__)}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.__dict__.values())

    def __len__(self) -> int:
        return len(self.__dict__)

    def __getitem__(self, index: int) -> Any:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, (Record, tuple)) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Record({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"

    def _replace(self, **fields: Any) -> Record:
        return Record(**{**self.__dict__, **fields})


def fields_of(value: Any) -> dict[str, Any] | None:
    """Names and values of a thing with named fields (named tuple, dataclass, Record); None for all others."""
    names = getattr(type(value), "_fields", None) or getattr(type(value), "__dataclass_fields__", None)
    if isinstance(value, Record):
        return dict(value.__dict__)
    return {name: getattr(value, name) for name in names} if names else None


def plain(value: Any, depth: int = 0) -> Any:
    """A result as lists, dicts and scalars: tuples and records become lists, numpy's numbers Python's.

    Two results are the same when their plain forms are equal. ``NotPlainError`` for anything else.
    """
    if depth > MAX_DEPTH:
        raise NotPlainError("it is nested too deeply")
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(item, depth + 1) for key, item in value.items()}
    fields = fields_of(value)
    if fields is not None:
        return [plain(item, depth + 1) for item in fields.values()]
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, depth + 1) for item in value), key=repr)
    return _foreign(value, depth)


def _foreign(value: Any, depth: int) -> Any:
    """numpy's scalars and arrays, and subclasses of int, str and bytes such as enumerations."""
    if hasattr(value, "tolist"):
        return plain(value.tolist(), depth + 1)
    for kind in (int, str, bytes, float):
        if isinstance(value, kind):
            make: Any = kind
            return make(value)
    raise NotPlainError(f"a {type(value).__name__} is no plain data")


def as_record(value: Any) -> Any:
    """An argument with its named things turned into Records, all the way down; numpy's numbers Python's."""
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    fields = fields_of(value)
    if fields is not None:
        return Record(**{name: as_record(item) for name, item in fields.items()})
    if isinstance(value, dict):
        return {key: as_record(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(as_record(item) for item in value)
    return plain(value)


def encode(value: Any) -> bytes:
    """One line of JSON for plain data with Records; the inverse of ``decode``."""
    return json.dumps(_packed(value, 0), separators=(",", ":")).encode()


def decode(line: bytes) -> Any:
    """The data of one line; ``NotPlainError`` for what ``encode`` cannot have written. Nothing is
    executed.
    """
    try:
        return _unpacked(json.loads(line), 0)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise NotPlainError(f"no data: {error}") from None


def _packed(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise NotPlainError("it is nested too deeply")
    if value is None or type(value) in (bool, float, str):
        return value
    if type(value) is int:
        return value if -WORD < value < WORD else {"i": hex(value)}
    if type(value) is bytes:
        return {"b": base64.b64encode(value).decode()}
    if type(value) is list:
        return [_packed(item, depth + 1) for item in value]
    if type(value) is tuple:
        return {"t": [_packed(item, depth + 1) for item in value]}
    if type(value) is dict:
        return {"d": [[_packed(k, depth + 1), _packed(v, depth + 1)] for k, v in value.items()]}
    if type(value) is Record:
        return {"r": [[name, _packed(item, depth + 1)] for name, item in value.__dict__.items()]}
    raise NotPlainError(f"a {type(value).__name__} is no plain data")


def _unpacked(value: Any, depth: int) -> Any:
    if depth > 2 * MAX_DEPTH:
        raise NotPlainError("it is nested too deeply")
    if isinstance(value, list):
        return [_unpacked(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "i":
        return int(content, 16)
    if kind == "b":
        return base64.b64decode(content, validate=True)
    if kind == "t":
        return tuple(_unpacked(item, depth + 1) for item in content)
    if kind == "d":
        return {_unpacked(k, depth + 1): _unpacked(v, depth + 1) for k, v in content}
    if kind == "r":
        return Record(**{str(name): _unpacked(item, depth + 1) for name, item in content})
    raise NotPlainError(f"no such kind of data: {kind!r}")
