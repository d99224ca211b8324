# SPDX-License-Identifier: GPL-2.0-only
"""For which kernel files are being made: ``files.make`` sets it, the makers ask."""

from __future__ import annotations

DEFAULT = "6.1"


class Current:
    """``kernel``: as in the names of truth files."""

    kernel = DEFAULT
