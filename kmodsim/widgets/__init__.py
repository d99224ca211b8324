# SPDX-License-Identifier: GPL-2.0-only
"""Controls around the views, for notebooks: each answers at once, from the keyboard too, and can be reset."""

from __future__ import annotations

from typing import Any

from .first_load import FirstLoad

__all__ = ["Explorer", "FirstLoad"]


def __getattr__(name: str) -> Any:
    """``Explorer`` when it is asked for: it needs anywidget, which the other widgets do not."""
    if name == "Explorer":
        from .explorer import Explorer

        return Explorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
