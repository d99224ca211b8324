# SPDX-License-Identifier: GPL-2.0-only
"""Controls around the views, for notebooks: each answers at once, from the keyboard too, and can be reset."""

from __future__ import annotations

from .first_load import FirstLoad

__all__ = ["FirstLoad"]
