# SPDX-License-Identifier: GPL-2.0-only
"""What a module asked of the kernel: one record a call, an strace of kernel functions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class KernelCall:
    """One call: the function, its six argument registers, the return address, who called, when, how deep."""

    name: str
    registers: tuple[int, ...]
    caller: int
    comm: str
    when: int
    depth: int
    result: int | bool | None = None
    stubbed: bool = False
