# SPDX-License-Identifier: GPL-2.0-only
"""The linked explorer: one module's file, sections, symbols, relocations and memory, lighting each other up.

``explorer_document`` computes everything from a real load, as plain data; the JavaScript beside this file
draws it, in a notebook (``kmodsim.widgets.Explorer``) and in a page of its own (``explorer_page``), without
asking back.
"""

from __future__ import annotations

from .document import Document, explorer_document
from .loading import explored_load
from .page import explorer_page, style, whole_script
from .twin import twin
from .words import words

__all__ = [
    "Document",
    "explored_load",
    "explorer_document",
    "explorer_page",
    "style",
    "twin",
    "whole_script",
    "words",
]
