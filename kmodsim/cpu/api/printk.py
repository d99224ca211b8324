# SPDX-License-Identifier: GPL-2.0-only
"""printk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..abi import VarArgs, cstr
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu


@kernel_function("kernel/printk/printk.c")
def _printk(cpu: Cpu, fmt: cstr, args: VarArgs) -> int:
    cpu.kernel.dmesg.append("<6>" + fmt.decode())
    return len(fmt)
