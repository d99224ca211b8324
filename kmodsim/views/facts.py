# SPDX-License-Identifier: GPL-2.0-only
"""What a stage put out, in a few words: large values are counted, addresses are hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module import taint_letters

LEFT_OUT = {"state", "header", "symtab_layout"}  # shown elsewhere, or too much for a line

FORMATS = {"taint_mask": lambda mask: taint_letters(mask, module=False) or "none"}


def facts(outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """One short text for each output that has something to say."""
    return tuple(
        f"{len(value)} {name}" if _many(value) else f"{name} {FORMATS.get(name, words)(value)}"
        for name, value in outputs.items()
        if name not in LEFT_OUT and value is not None and value != () and (name, value) != ("length", 0)
    )


def words(value: Any, width: int = 40) -> str:
    """``value`` for people, at most about ``width`` characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:#x}" if value >= 1 << 32 else f"{value:,}"
    if hasattr(value, "text_size"):  # struct module_layout
        return f"{value.size:,} bytes"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {words(item)}" for key, item in list(value.items())[:8])
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    text = str(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def _many(value: Any) -> bool:
    """Too many, or too complicated, to be written out."""
    if not isinstance(value, (list, tuple)) or hasattr(value, "_fields"):
        return False
    return len(value) > 4 or not all(isinstance(item, (str, int)) for item in value)
