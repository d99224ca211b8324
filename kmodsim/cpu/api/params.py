# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own set and get functions, when a module's operations call them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import EINVAL, KernelError
from ...params.types import PARAM_TYPES, CharP, ParamSpec, format_parameter
from ..abi import ptr, s32
from ..table import kernel_function

if TYPE_CHECKING:
    from ..cpu import Cpu

SOURCE = "kernel/params.c"


def _rows(kind: str) -> None:
    """param_set_KIND and param_get_KIND: for the value at ``kp->arg``."""
    row = PARAM_TYPES[f"param_ops_{kind}"]

    def set_value(cpu: Cpu, value: ptr, kp: ptr) -> s32:
        text = cpu.space.string(value) if value else None
        place = cpu.structs.get(kp, "kernel_param.arg")
        try:
            stored = row.set(text, ParamSpec(kind, f"param_ops_{kind}"))
        except KernelError as error:
            cpu.kernel.print_records(error.dmesg)
            return -(error.errno or EINVAL)
        if isinstance(stored, CharP):
            cpu.space.store(place, 0 if stored.text is None else cpu.heap.kstrdup(stored.text), 8)
        elif stored is not None:
            cpu.space.write(place, stored)
        return 0

    def get_value(cpu: Cpu, buffer: ptr, kp: ptr) -> s32:
        place = cpu.structs.get(kp, "kernel_param.arg")
        if row.size is None or kind == "charp":
            pointer = cpu.space.number(place, 8)
            shown = format_parameter(
                f"param_ops_{kind}", CharP(cpu.space.string(pointer) if pointer else None)
            )
        else:
            shown = format_parameter(f"param_ops_{kind}", cpu.space.read(place, row.size))
        cpu.space.write(buffer, shown + b"\0")
        return len(shown)

    kernel_function(SOURCE, name=f"param_set_{kind}")(set_value)
    kernel_function(SOURCE, name=f"param_get_{kind}")(get_value)


for _kind in (name.removeprefix("param_ops_") for name in PARAM_TYPES):
    if _kind not in ("string", "array", "bool_enable_only"):
        _rows(_kind)
