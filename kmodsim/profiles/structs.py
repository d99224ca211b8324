# SPDX-License-Identifier: GPL-2.0-only
"""Layouts of the kernel's structures, from its own type information: ``profile.struct("timer_list")``.

Columns, a row per structure: names, sizes, counts (of fields); a row per field: fields, offsets, field_sizes.
``profilebuild/structs.py`` writes the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any


class Structs:
    """name -> (size in bytes, {field: (offset, size)}); nested fields as "entry.next"."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = columns
        counts = columns["counts"].tolist()
        starts = accumulate(counts, initial=0)
        self._rows = {
            name: (size, start, start + count)
            for name, size, start, count in zip(
                columns["names"], columns["sizes"].tolist(), starts, counts, strict=False
            )
        }

    def __getitem__(self, name: str) -> tuple[int, dict[str, tuple[int, int]]]:
        size, start, end = self._rows[name]
        offsets, sizes = (self._columns[each][start:end].tolist() for each in ("offsets", "field_sizes"))
        places = zip(offsets, sizes, strict=True)
        return size, dict(zip(self._columns["fields"][start:end], places, strict=True))

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __iter__(self) -> Any:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)
