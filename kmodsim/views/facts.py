# SPDX-License-Identifier: GPL-2.0-only
"""What a stage put out, in a few words: large values are counted, addresses are hexadecimal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LEFT_OUT = {"state", "header", "symtab_layout"}  # shown elsewhere, or too much for a line


def facts(outputs: Mapping[str, Any]) -> tuple[str, ...]:
    """One short text for each output that has something to say."""
    return tuple(
        f"{name} {words(value)}"
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
        plain = len(value) <= 4 and all(isinstance(item, (str, int)) for item in value)
        return ", ".join(words(item) for item in value) if plain else f"({len(value)})"
    text = str(value)
    return text if len(text) <= width else text[: width - 1] + "…"
