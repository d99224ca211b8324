# SPDX-License-Identifier: GPL-2.0-only
"""Teaching words: where two results part, shown as a kernel engineer would say it."""

from __future__ import annotations

from typing import Any

WIDTH = 160  # characters of a value that are shown
BIG = 4096  # numbers from here on are read as addresses or sizes: in hex


def show(value: Any) -> str:
    """A value in few words: bytes and large numbers in hex."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return hex(value) if abs(value) >= BIG else str(value)
    if isinstance(value, bytes):
        if value and all(32 <= byte < 127 for byte in value):
            return repr(value) if len(value) <= 60 else f"{value[:57]!r}… ({len(value)} bytes)"
        return (value[:24].hex(" ") or "no bytes") + (f" … ({len(value)} bytes)" if len(value) > 24 else "")
    if isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(item) for item in value[:24]) + (", …" if len(value) > 24 else "") + "]"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{show(k)}: {show(v)}" for k, v in list(value.items())[:16]) + "}"
    elif type(value).__name__ == "Record":
        text = "(" + ", ".join(f"{k}={show(v)}" for k, v in vars(value).items()) + ")"
    else:
        text = repr(value)
    return text if len(text) <= WIDTH else text[:WIDTH] + "…"


def difference(expected: Any, found: Any, where: str = "the result") -> str:
    """The first place where two plain values differ: byte, element or field; "" when they are equal."""
    if type(expected) is type(found) or {type(expected), type(found)} <= {bool, int, float}:
        if expected == found:
            return ""
        if isinstance(expected, bytes):
            return _bytes(expected, found, where)
        if isinstance(expected, list):
            return _list(expected, found, where)
        if isinstance(expected, dict):
            return _dict(expected, found, where)
        return f"{where}: expected {show(expected)}, found {show(found)}"
    kinds = f"expected {_kind(expected)} {show(expected)}, found {_kind(found)} {show(found)}"
    return f"{where}: {kinds}"


def _kind(value: Any) -> str:
    return "" if value is None else f"({type(value).__name__})"


def _bytes(expected: bytes, found: bytes, where: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(expected, found, strict=False)) if a != b), -1)
    if at < 0:
        return f"{where}: expected {len(expected)} bytes, found {len(found)}"
    left, right = expected[at : at + 8].hex(" "), found[at : at + 8].hex(" ")
    return f"{where}: the first differing byte is at offset {at:#x}: expected {left} …, found {right} …"


def _list(expected: list[Any], found: list[Any], where: str) -> str:
    for i, (a, b) in enumerate(zip(expected, found, strict=False)):
        words = difference(a, b, f"{where}[{i}]" if where != "the result" else f"result[{i}]")
        if words:
            return words
    more = expected[len(found) :] or found[len(expected) :]
    which = "missing" if len(expected) > len(found) else "too many"
    return f"{where}: expected {len(expected)} elements, found {len(found)}; {which}: {show(more[0])}"


def _dict(expected: dict[Any, Any], found: dict[Any, Any], where: str) -> str:
    for key, value in expected.items():
        if key not in found:
            return f"{where}: the entry {show(key)} is missing (expected {show(value)})"
        words = difference(value, found[key], f"{where}[{show(key)}]".replace("the result", "result"))
        if words:
            return words
    extra = next(key for key in found if key not in expected)
    return f"{where}: an entry too many: {show(extra)}"
