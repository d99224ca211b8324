# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim why foo.ko``: will this module load on that kernel, and if not, every reason.

>>> from kmodsim import sample
>>> why(sample("hello")).loads
True
"""

from __future__ import annotations

from .causes import CAUSES, SYMBOL_ROWS
from .report import Cause, Needed, Report
from .search import why

__all__ = ["CAUSES", "SYMBOL_ROWS", "Cause", "Needed", "Report", "why"]
