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
    heap, order = list(keys), list(range(len(keys)))
    for root in range(len(heap) // 2 - 1, -1, -1):
        _sift(heap, order, root, len(heap))
    for end in range(len(heap) - 1, 0, -1):
        heap[0], heap[end], order[0], order[end] = heap[end], heap[0], order[end], order[0]
        _sift(heap, order, 0, end)
    return order


def _sift(heap: list[Any], order: list[int], top: int, end: int) -> None:
    """``heap`` has the keys, ``order`` the numbers that travel along. Those on the way down move up as the
    gap passes them; on the way back up some move down again."""
    key, number, gap, child, last = heap[top], order[top], top, 2 * top + 1, end - 1
    while child < last:
        if heap[child] < heap[child + 1]:
            child += 1
        heap[gap], order[gap] = heap[child], order[child]
        gap, child = child, 2 * child + 1
    if child == last:  # the last leaf has no sibling
        heap[gap], order[gap] = heap[child], order[child]
        gap = child
    above = (gap - 1) // 2
    while gap != top and key >= heap[above]:
        heap[gap], order[gap] = heap[above], order[above]
        gap, above = above, (above - 1) // 2
    heap[gap], order[gap] = key, number
