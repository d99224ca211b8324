# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's sort: a heapsort, so entries that compare equal end up in an order of its own
(``lib/sort.c``)."""

from __future__ import annotations

from collections.abc import Callable


def heapsort_order(count: int, compare: Callable[[int, int], int]) -> list[int]:
    """Which element stands where after ``lib/sort.c:sort_r``: ``order[place] == original number``.

    ``compare(a, b)`` gets original numbers. The bottom-up variant: walk down to a leaf along the greater
    children, then back up to where the element belongs. With the same comparisons in the same order, equal
    (and even inconsistently compared) elements land where the kernel puts them.
    """
    order = list(range(count))
    for root in range(count // 2 - 1, -1, -1):
        _sift(order, root, count, compare)
    for end in range(count - 1, 0, -1):
        order[0], order[end] = order[end], order[0]
        _sift(order, 0, end, compare)
    return order


def _sift(order: list[int], top: int, end: int, compare: Callable[[int, int], int]) -> None:
    place = top
    while 2 * place + 2 < end:
        left = 2 * place + 1
        place = left if compare(order[left], order[left + 1]) >= 0 else left + 1
    if 2 * place + 2 == end:  # the last leaf has no sibling
        place = 2 * place + 1
    while place != top and compare(order[top], order[place]) >= 0:
        place = (place - 1) // 2
    target = place
    while place != top:
        place = (place - 1) // 2
        order[place], order[target] = order[target], order[place]
