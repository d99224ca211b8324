# SPDX-License-Identifier: GPL-2.0-only
"""Controls around the views, for notebooks: each answers at once, from the keyboard too, and can be reset.

``WIDGETS`` is a table: a widget's class -> the file of this folder that defines it. A new widget adds one
line, in the order of the course. Nothing is imported until a name is asked for, so ``import kmodsim.widgets``
needs no ipywidgets. What a test then holds every widget to (tests/test_all_widgets.py): ``XLab()`` without
arguments shows a sample; its text names the kernel's or kmod's function that it models, with the file
(``kernel/module/main.c:load_module``); every control has a label (``description``); what is written into a
text control is answered, never a traceback; ``reset()`` brings the first answer back; ``static()`` is the
answer for pages without a kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# class -> file
WIDGETS: dict[str, str] = {
    "FirstLoad": "first_load",
    "PipelineLab": "pipeline_lab",
    "ElfLab": "elf_lab",
    "CopyLab": "copy_lab",
    "BreakLab": "break_lab",
    "LayoutLab": "layout_lab",
    "SymbolLab": "symbol_lab",
    "RelocationLab": "relocation_lab",
    "LifeCycle": "life_cycle",
    "ListLab": "list_lab",
    "UnloadLab": "unload_lab",
    "PatchLab": "patch_lab",
    "PlannerLab": "planner",
    "CompareLab": "compare_lab",
    "TwoColumns": "two_columns",
}

# no Lab with controls of its own: one anywidget, which answers in the page itself
_OTHERS = {"Explorer": "explorer"}

__all__ = ["WIDGETS", *WIDGETS, *_OTHERS]


def __getattr__(name: str) -> Any:
    file = WIDGETS.get(name) or _OTHERS.get(name)
    if file:
        return getattr(import_module(f".{file}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *WIDGETS, *_OTHERS])
