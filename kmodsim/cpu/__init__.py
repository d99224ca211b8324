# SPDX-License-Identifier: GPL-2.0-only
"""A processor for modules' own code: it runs in Unicorn, the kernel functions it calls in Python."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..kernel import Kernel
    from .cpu import Cpu

NOT_INSTALLED = "code is not run: the extra is not installed (pip install 'kmodsim[exec]')"


def installed() -> bool:
    """Whether the packages of the extra ``exec`` are there."""
    return all(find_spec(name) is not None for name in ("unicorn", "greenlet"))


def start_cpu(kernel: Kernel, policy: str) -> Cpu | None:
    """The kernel's processor; None where the extra is not installed. ValueError: no such policy."""
    if not installed():
        return None
    from .cpu import Cpu

    return Cpu(kernel, policy)
