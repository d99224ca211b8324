# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's sort since 6.9 (``lib/sort.c``): the two largest leave the heap at once, which leaves entries
that compare equal in yet another order."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any


def heapsort_order(keys: Sequence[Any]) -> list[int]:
    """Which element stands where after ``lib/sort.c:sort_r``: ``order[place]`` is the element's old
    number."""
    heap, order = list(keys), list(range(len(keys)))
    for root in range(len(heap) // 2 - 1, -1, -1):
        _sift(heap, order, root, len(heap))
    end = len(heap)
    while end > 3:
        end -= 1
        _swap(heap, order, 0, end)
        second = 1 if heap[1] > heap[2] else 2  # the larger child, while the old root has left
        end -= 1
        _swap(heap, order, second, end)
        _sift(heap, order, second, end)
        _sift(heap, order, 0, end)
    if end > 1:
        _swap(heap, order, 0, end - 1)
    if end == 3 and heap[0] > heap[1]:
        _swap(heap, order, 0, 1)
    return order


def _sift(heap: list[Any], order: list[int], top: int, end: int) -> None:
    """Down to a leaf along the greater children, of equal ones the second; then back up to where it
    belongs."""
    path, child = [top], 2 * top + 1
    while child + 1 < end:
        child += not heap[child] > heap[child + 1]
        path.append(child)
        child = 2 * child + 1
    if child + 1 == end:
        path.append(child)
    while len(path) > 1 and heap[top] >= heap[path[-1]]:
        path.pop()
    for above, below in pairwise(path):
        _swap(heap, order, above, below)


def _swap(heap: list[Any], order: list[int], one: int, other: int) -> None:
    heap[one], heap[other], order[one], order[other] = heap[other], heap[one], order[other], order[one]
