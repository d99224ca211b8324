# SPDX-License-Identifier: GPL-2.0-only
"""Pictures of what the kernel did: each a pure function of a result, with the same content as text.

The functions named here take the kernel's objects; the files beside this one draw from plain data. matplotlib
and Graphviz are imported only when a figure or a graph is asked for.
"""

from __future__ import annotations

from .hexdump import hex_difference, hex_dump
from .of_changes import relocations_of
from .of_files import (
    elf_header_bytes_of,
    elf_header_of,
    modinfo_of,
    section_header_of,
    section_headers_of,
    symbols_of,
    way_of,
)
from .of_kernel import (
    calls_of,
    code_of,
    list_of_modules,
    load_pipeline,
    memory_map,
    memory_map_figure,
    parameters_of,
    pointers_of_modules,
    sections_of,
    steps_of_run,
    trace_timeline,
    unload_pipeline,
    who_uses_whom,
)
from .of_results import (
    steps_of_modprobe,
    trace_figure,
)
from .oops import oops_report
from .source import source_of
from .view import View

__all__ = [
    "View",
    "calls_of",
    "code_of",
    "elf_header_bytes_of",
    "elf_header_of",
    "hex_difference",
    "hex_dump",
    "list_of_modules",
    "load_pipeline",
    "memory_map",
    "memory_map_figure",
    "modinfo_of",
    "oops_report",
    "parameters_of",
    "pointers_of_modules",
    "relocations_of",
    "section_header_of",
    "section_headers_of",
    "sections_of",
    "source_of",
    "steps_of_modprobe",
    "steps_of_run",
    "symbols_of",
    "trace_figure",
    "trace_timeline",
    "unload_pipeline",
    "way_of",
    "who_uses_whom",
]
