# SPDX-License-Identifier: GPL-2.0-only
"""Module parameters: from ``"howmany=3 whom=you"`` to bytes in memory and back (``kernel/params.c``)."""

from kmodsim.params.kstrtox import IntType, kstrto, kstrtobool, kstrtoll, kstrtoull
from kmodsim.params.parsing import (
    Parsed,
    ParsedParameters,
    Written,
    parameq,
    parse_args,
    parse_parameters,
    write_parameter,
)
from kmodsim.params.printk import printk, printk_cut
from kmodsim.params.types import (
    ARRAY_OPS,
    KERNEL_PARAM_FL_HWPARAM,
    KERNEL_PARAM_FL_UNSAFE,
    PARAM_TYPES,
    STRING_OPS,
    ArraySpec,
    CharP,
    Custom,
    Outcome,
    ParamSpec,
    ParamType,
    Stored,
    Value,
    format_array,
    format_parameter,
    parse_array,
    parse_parameter,
    takes_no_value,
)

__all__ = [
    "ARRAY_OPS", "KERNEL_PARAM_FL_HWPARAM", "KERNEL_PARAM_FL_UNSAFE", "PARAM_TYPES", "STRING_OPS",
    "ArraySpec", "CharP", "Custom", "IntType", "Outcome", "ParamSpec", "ParamType", "Parsed",
    "ParsedParameters", "Stored", "Value", "Written", "format_array", "format_parameter", "kstrto",
    "kstrtobool", "kstrtoll", "kstrtoull", "parameq", "parse_args", "parse_array", "parse_parameter",
    "parse_parameters", "printk", "printk_cut", "takes_no_value", "write_parameter",
]
