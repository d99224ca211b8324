# SPDX-License-Identifier: GPL-2.0-only
"""What printk's %p prints: the address itself, a symbol, an error, and the table of all letters.

``lib/vsprintf.c:pointer``, 6.1. %pV is in ``format.py``, for it is a format again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from .abi import U64
from .errname import ERRNAMES
from .pointed_data import DATA
from .pointed_structs import STRUCTS
from .printf_spec import Extension, Spec, error_string, is_error, number, string, string_nocheck
from .space import GuestFault
from .symbolize import lookup, sprint_symbol

if TYPE_CHECKING:
    from .cpu import Cpu

# what vsnprintf warns of, once a boot each: function, offset of the ud2, line of lib/vsprintf.c
WARNINGS = {
    "Please remove unsupported %{} in format string": ("format_decode", 0x441, 2661),
    "field width {} too large": ("set_field_width", 0x71, 2693),
    "precision {} too large": ("set_precision", 0x56, 2702),
    "Please remove %pA from non-Rust code": ("pointer", 0x5AD, 2466),
    "": ("vsnprintf", 0x4AD, 2743),  # a size beyond INT_MAX
}


# where the kernel follows a pointer: the function (of others pointer()), and the offset of the instruction
# as far as it is recorded. By letter; "" is %s
READS: dict[str, tuple[str, int]] = {
    "": ("string", 0x48), "M": ("mac_address_string", 0xD0), "m": ("mac_address_string", 0xD0),
    "h": ("hex_string", 0x9C), "U": ("uuid_string", 0), "E": ("string_escape_mem", 0),
    "d": ("dentry_name", 0), "D": ("file_dentry_name", 0), "4": ("fourcc_string", 0), "N": ("netdev_bits", 0),
    "a": ("address_val", 0), "I": ("ip_addr_string", 0), "i": ("ip_addr_string", 0),
    "G": ("flags_string", 0), "t": ("time_and_date", 0), "f": ("fwnode_string", 0), "V": ("vsnprintf", 0),
}  # fmt: skip


def faulted(cpu: Cpu, letter: str, fault: GuestFault) -> NoReturn:
    """A pointer that looked good was not: the report names the function that reads through it."""
    from .traps import kernel_function_faulted

    symbol, offset = READS.get(letter, ("pointer", 0))
    kernel_function_faulted(cpu, symbol, cpu.kernel.address_of(symbol) + offset, fault)


def warn_once(cpu: Cpu, message: str, *values: object) -> None:
    """WARN_ONCE in vsnprintf: the report stands before the text that is being made."""
    from .traps import warn  # it needs a processor, and that one needs this file

    symbol, offset, line = WARNINGS[message]
    if cpu.kernel.first_time(f"lib/vsprintf.c:{line}"):
        said = [f"<4>{message.format(*values)}"] if message else []
        warn(cpu, symbol, offset, "lib/vsprintf.c", line, *said)


# --- the address itself


def pointer_string(value: int, spec: Spec) -> bytes:
    """%px: as hex digits, sixteen with zeros unless a width is given."""
    if spec.width == -1:
        spec = replace(spec, width=16, flags=spec.flags + "0")
    return number(value, replace(spec, base=16))


def default_pointer(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%p: hashed, but for NULL and errors. The hash is this model's own: the real one has a random key, and
    before that is made (some seconds after the boot, in a machine without a source of chance) prints
    ``(____ptrval____)``."""
    if address and not is_error(address):
        address = int(cpu.kernel.hashed_pointer(address), 16)
    return pointer_string(address, spec)


def _address(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    return pointer_string(address, spec)


def _error(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pe: the errno's name, its number if it has none, any other pointer as %p."""
    if not is_error(address):
        return default_pointer(cpu, address, letters, spec)
    name = ERRNAMES.get(-address & U64)
    if name is None:
        return number(address, replace(spec, signed=True))
    return string_nocheck(f"-{name}".encode(), spec)


def _symbol(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pS %ps %pB; the R and b that may follow mean nothing on this kernel."""
    if letters[0] == "s":
        symbol = lookup(cpu.kernel, address)
        module = f" [{symbol.module}]" if symbol and symbol.module else ""
        text = symbol.name + module if symbol else f"{address:#x}"
    else:
        text = sprint_symbol(cpu.kernel, address, backtrace=letters[0] == "B")
    return string_nocheck(text.encode(), spec)


def _restricted(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pK: as %p, for kernel.kptr_restrict is 0 here as it is on Debian."""
    return default_pointer(cpu, address, letters, spec)


def _probed_string(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pks %pus: strings, of BPF's printf; nothing is probed in vsnprintf itself."""
    return string(cpu, address, spec) if letters[1:2] == "s" else error_string("(einval)", spec)


def _rust(cpu: Cpu, address: int, letters: str, spec: Spec) -> bytes:
    """%pA: of Rust only, and this kernel has none."""
    warn_once(cpu, "Please remove %pA from non-Rust code")
    return error_string("(%pA?)", spec)


EXTENSIONS: dict[str, Extension] = {
    **DATA, **STRUCTS, "S": _symbol, "s": _symbol, "B": _symbol, "x": _address, "e": _error, "K": _restricted,
    "k": _probed_string, "u": _probed_string, "A": _rust,
}  # fmt: skip
