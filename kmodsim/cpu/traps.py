# SPDX-License-Identifier: GPL-2.0-only
"""From a processor exception to what the kernel makes of it: an oops, or a WARN that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ..errors import KernelOops

if TYPE_CHECKING:
    from .cpu import Cpu
    from .machine import Stop
    from .space import GuestFault


def trapped(cpu: Cpu, stop: Stop) -> int:
    """The machine stopped at a fault or trap in the module's code."""
    what = str(stop.fault) if stop.fault else f"trap {stop.vector}"
    raise KernelOops(f"{what}, rip {stop.rip:#x}")


def kernel_function_faulted(cpu: Cpu, name: str, address: int, fault: GuestFault) -> NoReturn:
    """A kernel function was given a bad pointer."""
    raise KernelOops(f"{fault} in {name}")
