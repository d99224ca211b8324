# SPDX-License-Identifier: GPL-2.0-only
"""What running code changed in the modules' memory, for the trace: compared before and after, page by
page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..memory import PAGE_SIZE, WRITE, Area, Change, Memory
from ..records import Bytes


@contextmanager
def noted(memory: Memory) -> Iterator[None]:
    """While somebody records: whatever code stores in there is noted as changes when it is done."""
    if memory.journal is None:
        yield
        return
    before = [(area, _writable(area), area.data.copy()) for area in memory.areas.values()]
    try:
        yield
    finally:
        for area, writable, old in before:
            if memory.areas.get(area.start) is area and memory.journal is not None:
                memory.journal += changes(area, writable, old)


def _writable(area: Area) -> Bytes:
    """One flag a byte: it lies in a page that may be written."""
    return np.repeat(np.frombuffer(area.pages, np.uint8) & WRITE != 0, PAGE_SIZE).view(np.uint8)


def changes(area: Area, writable: Bytes, old: Bytes) -> list[Change]:
    """The runs of bytes that differ, where they could be written."""
    different = np.flatnonzero((area.data != old) & writable.view(bool))
    if not len(different):
        return []
    starts = different[np.flatnonzero(np.diff(different, prepend=-2) != 1)]
    ends = different[np.flatnonzero(np.diff(different, append=-2) != 1)] + 1
    return [
        Change(area.start + start, old[start:end].tobytes(), area.data[start:end].tobytes())
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
