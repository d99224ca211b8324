# SPDX-License-Identifier: GPL-2.0-only
"""The command ``kmodsim why``. Exit status: 0 it loads, 1 it does not, 2 the question cannot be answered."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from ..errors import KernelError
from ..userland.elf import find_file
from .report import Report
from .search import why

CANNOT = 2


def parser(profile: str, cmdline: str, uid: int) -> argparse.ArgumentParser:
    """``profile``, ``cmdline``, ``uid``: what stood before the command's name."""
    result = argparse.ArgumentParser(
        prog="kmodsim why",
        usage="%(prog)s [--kernel PROFILE | --running] [--alone | --after FILE]... [--json] FILE "
        "[PARAM=VALUE]...",
        description="Will this module load on that kernel? If not: every reason, and what to do.",
    )
    which = result.add_mutually_exclusive_group()
    which.add_argument("--kernel", metavar="PROFILE", default=profile, help="which kernel (%(default)s)")
    which.add_argument("--running", action="store_true", help="the kernel of this machine")
    result.add_argument("--root", metavar="DIR", default="/", help="--running: where /proc, /lib, … are")
    result.add_argument("--cmdline", metavar="WORDS", default=cmdline, help="boot parameters")
    result.add_argument("--uid", type=int, default=uid, help="who calls (0: root)")
    result.add_argument("--alone", action="store_true", help="as insmod alone: load nothing first")
    result.add_argument("--after", metavar="FILE", action="append", default=[], help="insmod this first")
    result.add_argument("--json", action="store_true", help="plain data instead of text")
    result.add_argument("file", metavar="FILE", help="a .ko file or the name of a sample")
    result.add_argument("params", nargs="*", help="PARAM=VALUE ...")
    return result


def main(argv: list[str], profile: str, cmdline: str, uid: int, write: Callable[[str], None]) -> int:
    """Ask, write the answer, and say by the status."""
    options = parser(profile, cmdline, uid).parse_intermixed_args(argv)  # options may stand behind FILE
    try:
        report = _ask(options)
    except KernelError as error:
        print(f"kmodsim: why: {options.file}: {error.strerror}", file=sys.stderr)
        return CANNOT
    write(json.dumps(report.to_dict(), indent=2) + "\n" if options.json else report.text())
    return 0 if report.loads else 1


def _ask(options: argparse.Namespace) -> Report:
    named: dict[str, Any] = {"filename": options.file, "uid": options.uid, "alone": options.alone}
    if options.running:
        from .machine import Machine

        named |= Machine(options.root).named()
    else:
        from .. import Kernel

        named["kernel"] = Kernel(options.kernel, cmdline=options.cmdline, cpu=None)
    for filename in options.after:
        from ..userland.insmod import insmod

        insmod(named["kernel"], filename)
    return why(find_file(options.file), " ".join(options.params), **named)
