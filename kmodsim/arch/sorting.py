# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's sort: a heapsort, so entries that compare equal end up in an order of its own
(``lib/sort.c``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def heapsort_order(keys: Sequence[Any]) -> list[int]:
    """Which element stands where after ``lib/sort.c:sort_r``: ``order[place]`` is the element's old number.

    The bottom-up variant: walk down to a leaf along the greater children, then back up to where the element
    belongs. With the same comparisons in the same order, equal elements land where the kernel puts them.
    """
    count = len(keys)
    order = list(range(count))
    for root in range(count // 2 - 1, -1, -1):
        _sift(order, keys, root, count)
    for end in range(count - 1, 0, -1):
        order[0], order[end] = order[end], order[0]
        _sift(order, keys, 0, end)
    return order


def _sift(order: list[int], keys: Sequence[Any], top: int, end: int) -> None:
    place, child = top, 2 * top + 1
    while child + 1 < end:
        place = child if keys[order[child]] >= keys[order[child + 1]] else child + 1
        child = 2 * place + 1
    if child + 1 == end:  # the last leaf has no sibling
        place = child
    sought = keys[order[top]]
    while place != top and sought >= keys[order[place]]:
        place = (place - 1) // 2
    target = place
    while place != top:
        place = (place - 1) // 2
        order[place], order[target] = order[target], order[place]
