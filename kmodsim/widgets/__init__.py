# SPDX-License-Identifier: GPL-2.0-only
"""Controls around the views, for notebooks: each answers at once, from the keyboard too, and can be reset."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .first_load import FirstLoad

# the widgets that are imported when they are asked for: class -> file
_FILES = {
    "RelocationLab": "relocation_lab",
    "UnloadLab": "unload_lab",
}

__all__ = ["FirstLoad", "RelocationLab", "UnloadLab"]


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_FILES[name]}", __name__), name)
