# SPDX-License-Identifier: GPL-2.0-only
"""From the kernel's objects to the plain data of the views about what a load changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from .relocations import RelocationLine, relocation_table
from .view import View

if TYPE_CHECKING:
    from ..modulefile import ModuleFile
    from ..modulefile.relocations import Relocation

MOST = 40  # rows of a table; the rest is counted


def relocations_of(file: ModuleFile, section: str = "", *, most: int = MOST) -> View:
    """The relocation entries of a file, or those for one of its sections; what is beyond ``most`` is counted.

    KeyError: the file has no relocations for ``section``.
    """
    entries: Sequence[Relocation] = file.relocations[section] if section else file.relocations
    lines = [
        RelocationLine(number, r.section, r.offset, r.type_name, r.symbol, r.addend)
        for number, r in enumerate(islice(entries, most))
    ]
    kinds: Counter[str] = Counter()
    for table in [file.relocations[section]] if section else file.relocations.tables:
        kinds.update(table.kinds())
    title = f"Relocations of {file.name}" + f", {section}" * bool(section)
    return relocation_table(lines, title, total=len(entries), kinds=dict(kinds.most_common()))
