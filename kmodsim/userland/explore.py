# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim explore foo.ko -o foo.html``: the linked explorer as one HTML file that works from disk.

The module is loaded into a kernel that runs nothing; one that does not load is shown as far as its load came.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import KernelError
from . import ToolResult
from .elf import find_file, host_error, open_module

NAME = "explore"


def parser() -> argparse.ArgumentParser:
    """The command's own options."""
    result = argparse.ArgumentParser(
        prog=f"kmodsim {NAME}", usage="%(prog)s [-o FILE.html] [--after FILE]... [--whole SECTION]... FILE",
        description="Write an HTML page: file, sections, symbols, relocations and memory, linked together.",
    )  # fmt: skip
    result.add_argument("-o", "--output", metavar="FILE.html", help="without: the module's name.html, here")
    result.add_argument(
        "--after", metavar="FILE", action="append", help="insmod this first (without: what it depends on)"
    )
    result.add_argument(
        "--whole", metavar="SECTION", action="append", default=[],
        help="of a file above 4 MiB take all of this section, not its first 96 KiB",
    )  # fmt: skip
    result.add_argument("filename", metavar="FILE", help="a .ko file or the name of a sample")
    return result


def explore_file(kernel: Any, options: argparse.Namespace) -> ToolResult:
    """Write the page and say so; errors become the result's message and status 1."""
    from ..views.explorer import explored_load, explorer_document, explorer_page

    try:
        files = None if options.after is None else [_bytes(name) for name in options.after]
        load = explored_load(_bytes(options.filename), files, kernel)
        document = explorer_document(load, options.whole)
        name = load.name or Path(options.filename).name.partition(".ko")[0]
        target = Path(options.output or f"{Path(name).name}.html")
        page = explorer_page(document)
        _write(target, page)
    except KernelError as error:
        text = error.why or error.strerror
        return ToolResult(stderr=f"kmodsim: {NAME}: {options.filename}: {text}\n", status=1, error=error)
    lines = [f"{target}: {len(page):,} bytes; {document.name}: {document.outcome}"]
    lines += [f"left out: {line}" for line in document.left_out]
    return ToolResult("".join(f"kmodsim: {line}\n" for line in lines))


def _bytes(filename: str) -> bytes:
    return open_module(find_file(filename)).data


def _write(target: Path, page: str) -> None:
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise KernelError(host_error(error).errno, why=f"{target}: {error.strerror}") from None
