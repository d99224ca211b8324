# SPDX-License-Identifier: GPL-2.0-only
"""The kernel functions that modules call, one small file a subject."""

from . import (
    locks,
    modules,
    printk,
    rcu,
    slab,
    threads,
    timekeeping,
    timers,
    uaccess,
    vmalloc,
    waiting,
    workqueues,
)
