# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim disassemble foo.ko [FUNCTION]``: a module's code after the kernel has loaded and patched it.

The module is loaded into a kernel that runs nothing. What does not load is shown as far as its load came.
"""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ENOEXEC, KernelError, errno_name
from ..modulefile import ModuleFile
from . import ToolResult, run
from .elf import find_file, open_module

NAME = "disassemble"


def parser() -> argparse.ArgumentParser:
    """The command's own options."""
    result = argparse.ArgumentParser(
        prog=f"kmodsim {NAME}", usage="%(prog)s [--file] [--after FILE]... FILE [FUNCTION]...",
        description="Show code with symbols, relocations, and what the kernel wrote over it.",
    )  # fmt: skip
    result.add_argument("--file", action="store_true", dest="plain", help="as in the file, not loaded")
    result.add_argument("--after", metavar="FILE", action="append", default=[], help="insmod this first")
    result.add_argument("filename", metavar="FILE", help="a .ko file or the name of a sample")
    result.add_argument("functions", metavar="FUNCTION", nargs="*", help="or a section; without: all code")
    return result


def disassemble_file(kernel: Any, options: argparse.Namespace) -> ToolResult:
    """The listing, behind a line that begins with "kmodsim:" where the module does not load.

    Errors become the result's message and status 1; nothing that lies in the file raises.
    """
    for filename in options.after:
        result = run(kernel, ["insmod", "--", filename])
        if result.status:
            return result
    try:
        note, what = _loaded(kernel, options)
        return ToolResult(_listing(what, options.functions), note)
    except KernelError as error:
        text = error.why or error.strerror
        return ToolResult(stderr=f"kmodsim: {NAME}: {options.filename}: {text}\n", status=1, error=error)


def _listing(what: Any, functions: list[str]) -> str:
    from ..cpu.disassembly import disassemble

    listings = [disassemble(what, name) for name in functions] or [disassemble(what)]
    if not any(listings):
        raise KernelError(ENOEXEC, why="no code in it")
    return "\n".join(str(listing).lstrip("\n") + "\n" for listing in listings)


def _loaded(kernel: Any, options: argparse.Namespace) -> tuple[str, Any]:
    """(what is to be said, a traced Load or the file)."""
    path = find_file(options.filename, kernel)
    file = open_module(path)
    if options.plain:
        return "", ModuleFile(file.data)
    load = kernel.load(path if file.direct else file.data, trace=True)
    error = load.error
    if error is None:
        return "", load
    name = errno_name(error.errno) if error.errno else error.strerror
    return f"kmodsim: it does not load: {name} in {error.stage}; what comes later is missing\n", load
