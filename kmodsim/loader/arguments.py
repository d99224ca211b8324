# SPDX-License-Identifier: GPL-2.0-only
"""The module's arguments reach its parameters: ``__param`` read, values stored, files in sysfs made.

The parsing itself is in ``kmodsim.params``; here it meets the module's memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import KernelError, KernelOops, NotModelled
from ..memory import PAGE_SIZE
from ..module import KernelParam, Module
from ..params import ArraySpec, CharP, ParamSpec, Stored, format_array, format_parameter
from ..params.types import PARAM_TYPES, Custom, Outcome
from ..records import KERNEL_PARAM, text, view

if TYPE_CHECKING:
    from ..kernel import Kernel
    from .load import Load

KERNEL_PARAM_OPS_FL_NOARG = 1
OPS_FIELDS = ((0, 4), (8, 8), (16, 8))  # include/linux/moduleparam.h:struct kernel_param_ops: flags, set, get


def read_params(load: Load) -> tuple[KernelParam, ...]:
    """The entries of ``__param`` after relocation, the operations by their kernel symbol."""
    section = load.named("__param")
    table = view(load.bytes_of(section), 0, section.size // KERNEL_PARAM.itemsize, KERNEL_PARAM)
    rows = []
    for i, (name, _mod, ops, perm, level, flags, _pad, arg) in enumerate(table.tolist()):
        setter, getter, noarg = _operations(load.kernel, ops)
        label = _name(load.kernel, name)
        place = section.addr + i * KERNEL_PARAM.itemsize
        rows.append(KernelParam(label, ops, setter, perm, level, flags, arg, getter, noarg, place))
    return tuple(rows)


def _operations(kernel: Kernel, ops: int) -> tuple[str, str, bool]:
    """(row for setting, row for showing, FL_NOARG) of a ``struct kernel_param_ops``.

    The kernel's own are known by name; a module's own may still name the kernel's functions in it.
    """
    known = kernel.ops_name(ops)
    if known:
        return known, known, False
    try:
        flags, setter, getter = (_word(kernel, ops + at, size) for at, size in OPS_FIELDS)
    except KernelError:
        raise KernelOops(f"page fault reading parameter operations at {ops:#018x}") from None
    rows = [kernel.ops_name(address).replace(kind, "param_ops_") for address, kind in
            ((setter, "param_set_"), (getter, "param_get_"))]  # fmt: skip
    return rows[0].replace("copystring", "string"), rows[1], bool(flags & KERNEL_PARAM_OPS_FL_NOARG)


def _name(kernel: Kernel, address: int) -> str:
    try:
        return text(kernel.memory.string(address))
    except KernelError:
        raise KernelOops(f"page fault reading a parameter's name at {address:#018x}") from None


def spec_of(kernel: Kernel, param: KernelParam) -> ParamSpec:
    """The parameter as plain data, with what its type keeps behind ``arg``."""
    array, maxlen, current = None, 0, b"\0"
    try:
        if param.ops_name == "param_array_ops":
            maximum, elemsize, _num, ops, _elem = _kparam_array(kernel, param)
            array = ArraySpec(maximum, elemsize, kernel.ops_name(ops))
        elif param.ops_name == "param_ops_string":
            maxlen = _word(kernel, param.arg, 4)
        elif param.ops_name == "param_ops_bool_enable_only":
            current = kernel.memory.read(param.arg, 1)
    except KernelError:
        raise KernelOops(f"page fault reading parameter {param.name} at {param.arg:#018x}") from None
    return ParamSpec(
        param.name, param.ops_name, param.perm, param.level, param.flags, array, maxlen, current, param.noarg
    )


def _word(kernel: Kernel, address: int, size: int) -> int:
    return int.from_bytes(kernel.memory.read(address, size), "little")


def _kparam_array(kernel: Kernel, param: KernelParam) -> tuple[int, int, int, int, int]:
    """``struct kparam_array``: max, elemsize, address of the count or 0, ops, address of the elements."""
    base = param.arg
    return (
        _word(kernel, base, 4), _word(kernel, base + 4, 4), _word(kernel, base + 8, 8),
        _word(kernel, base + 16, 8),
        _word(kernel, base + 24, 8),
    )  # fmt: skip


def store(kernel: Kernel, mod: Module, param: KernelParam, stored: Stored) -> None:
    """Write what a set function stored; a charp gets a heap copy, the one before it is freed."""
    step, base, count = 0, param.arg, 0
    if param.ops_name == "param_array_ops":
        _max, step, count, _ops, base = _kparam_array(kernel, param)
    elif param.ops_name == "param_ops_string":
        base = _word(kernel, param.arg + 8, 8)  # struct kparam_string: maxlen, string
    try:
        for i, value in enumerate(stored.values):
            _store_one(kernel, mod, base + i * step, value)
        if count and stored.num is not None:
            kernel.memory.write(count, stored.num.to_bytes(4, "little"))
    except KernelError:
        raise KernelOops(f"page fault storing parameter {param.name}") from None


def _store_one(kernel: Kernel, mod: Module, address: int, value: bytes | CharP | None) -> None:
    if isinstance(value, CharP):
        kernel.heap.kfree(mod.charp.pop(address, 0))
        pointer = 0 if value.text is None else kernel.heap.kstrdup(value.text)
        mod.charp[address] = pointer
        kernel.memory.write(address, pointer.to_bytes(8, "little"))
    elif value is not None:
        kernel.memory.write(address, value)


def parse_args(load: Load) -> None:
    """Set the parameters; all bad ones are reported and the errno is the last one's."""
    kernel, mod = load.kernel, load.module
    assert mod is not None and isinstance(load.params, bytes)
    mod.params = read_params(load)
    specs = [spec_of(kernel, param) for param in mod.params]
    comm = kernel.comm if kernel.lockdown != "none" else None
    result = load.pure("parse_parameters")(
        mod.name, load.params, specs, store=lambda i, s: store(kernel, mod, mod.params[i], s), lockdown=comm,
        custom=own_operations(kernel, mod),
    )  # fmt: skip
    kernel.print_records(result.log)
    if result.tainted:
        kernel.add_taint("U")
    if result.not_modelled:
        load.note = f"not modelled: parameters with operations of their own: {', '.join(result.not_modelled)}"
    if result.errno:
        raise KernelError(result.errno)


def own_operations(kernel: Kernel, mod: Module) -> Custom | None:
    """What runs the set functions of the module's own; None where no code is run."""
    if kernel.cpu is None:
        return None

    def custom(_ops: str, spec: ParamSpec, value: bytes | None, _offset: int) -> Outcome:
        param = next(p for p in mod.params if p.name == spec.name)
        errno = -kernel.cpu.set_parameter(mod, param.address, param.ops, value)
        return Outcome(errno, None, (), value)

    return custom


def show_parameter(kernel: Kernel, mod: Module, param: KernelParam) -> str:
    """What a read of /sys/module/NAME/parameters/P gives; KernelError when the type cannot be shown."""
    if param.ops_name == "param_array_ops":
        maximum, elemsize, count, ops, elem = _kparam_array(kernel, param)
        number = _word(kernel, count, 4) if count else maximum
        number = min(number, PAGE_SIZE)  # each shows a byte at least, and no more than a page is shown
        kind = kernel.ops_name(ops)
        values = [_value(kernel, kind, elem + i * elemsize) for i in range(number)]
        return text(format_array(kind, values))
    if param.get_name == "param_ops_string":
        pointer = _word(kernel, param.arg + 8, 8)
        return text(
            format_parameter(param.get_name, kernel.memory.string(pointer, _word(kernel, param.arg, 4)))
        )
    if param.get_name not in PARAM_TYPES and kernel.cpu is not None:
        return text(kernel.cpu.get_parameter(mod, param.address, param.ops))
    return text(format_parameter(param.get_name, _value(kernel, param.get_name, param.arg)))


def _value(kernel: Kernel, ops: str, address: int) -> bytes | CharP:
    row = PARAM_TYPES.get(ops)
    if row is None:
        raise NotModelled("the module's own function shows this parameter", stage="param_attr_show")
    if row.size is None or ops == "param_ops_charp":
        return CharP(kernel.string_at(_word(kernel, address, 8)))
    return kernel.memory.read(address, row.size)
