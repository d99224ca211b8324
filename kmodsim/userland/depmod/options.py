# SPDX-License-Identifier: GPL-2.0-only
"""depmod's command line (kmod 30 ``tools/depmod.c:do_depmod``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..modprobe.log import CRIT, ERR, WARNING, Fatal, Log, encode
from ..options import UsageError, getopt

SHORT = "aAb:C:E:F:euqrvnP:wmVh"
LONG = {
    "all": "a", "quick": "A", "basedir": "b", "config": "C", "symvers": "E", "filesyms": "F", "errsyms": "e",
    "unresolved-error": "1", "quiet": "2", "root": "3", "verbose": "v", "show": "n", "dry-run": "n",
    "symbol-prefix": "P", "warn": "w", "map": "4", "version": "V", "help": "h",
}  # fmt: skip
# accepted and without effect; the long ones have letters of their own here, for they are named in the warning
DEPRECATED = {letter: f"-{letter}" for letter in "uqrm"} | {
    LONG[name]: f"--{name}" for name in ("unresolved-error", "quiet", "root", "map")
}
FLAGS = {
    "a": "all", "A": "quick", "e": "unknown", "n": "show", "w": "duplicates", "V": "version", "h": "help",
}  # fmt: skip
TEXTS = {"b": "base", "E": "symvers", "F": "system_map"}
# sscanf(version, "%u.%u"): blanks and a sign are welcome before a number, and anything behind the second
RELEASE = re.compile(r"[ \t\n\v\f\r]*[+-]?[0-9]+\.[ \t\n\v\f\r]*[+-]?[0-9]")

HELP = """\
Usage:
\t{} -[aA] [options] [forced_version]

If no arguments (except options) are given, "depmod -a" is assumed

depmod will output a dependency list suitable for the modprobe utility.

Options:
\t-a, --all            Probe all modules
\t-A, --quick          Only does the work if there's a new module
\t-e, --errsyms        Report not supplied symbols
\t-n, --show           Write the dependency file on stdout only
\t-P, --symbol-prefix  Architecture symbol prefix
\t-C, --config=PATH    Read configuration from PATH
\t-v, --verbose        Enable verbose mode
\t-w, --warn           Warn on duplicates
\t-V, --version        show version
\t-h, --help           show this help

The following options are useful for people managing distributions:
\t-b, --basedir=DIR    Use an image of a module tree.
\t-F, --filesyms=FILE  Use the file instead of the
\t                     current kernel symbols.
\t-E, --symvers=FILE   Use Module.symvers file to check
\t                     symbol versions.
"""


class Failed(Exception):
    """The tool ends with status 1; what it had to say is in the log."""


@dataclass
class Wish:
    """What the options ask for."""

    all: bool = False
    quick: bool = False
    base: str | None = None
    config: list[str] = field(default_factory=list)
    symvers: str | None = None
    system_map: str | None = None
    unknown: bool = False  # -e: warn of symbols that nobody has
    show: bool = False  # -n: to standard output
    prefix: str = ""  # -P: one letter that symbols may begin with
    duplicates: bool = False  # -w
    level: int = WARNING
    version: bool = False
    help: bool = False
    release: str | None = None
    files: list[str] = field(default_factory=list)


def parse(argv: Sequence[str], log: Log) -> Wish:
    """Read the words. Raises ``Failed`` (getopt's complaint is then in the log) or ``Fatal``."""
    wish, words = Wish(), list[str]()
    try:
        for letter, value in getopt(argv, SHORT, LONG, words):
            _take(wish, letter, value, log)
            if wish.help or wish.version:  # both end at once
                return wish
    except UsageError as error:
        log.lines.append(f"{error}\n")
        raise Failed from None
    if words:
        if not RELEASE.match(words[0]):
            log.tool(ERR, f"Bad version passed {words[0]}")
            raise Failed
        wish.release, wish.files = words[0], words[1:]
    if not wish.files:
        wish.all = True
    return wish


def _take(wish: Wish, letter: str, value: str, log: Log) -> None:
    if letter in FLAGS:
        setattr(wish, FLAGS[letter], True)
    elif letter in TEXTS:
        setattr(wish, TEXTS[letter], value)
    elif letter == "C":
        wish.config.append(value)
    elif letter == "v":
        wish.level += 1
    elif letter in DEPRECATED:
        log.tool(WARNING, f"Ignored deprecated option {DEPRECATED[letter]}")
    elif len(encode(value)) != 1:  # behind an empty word kmod sees the next word's first letter
        log.tool(CRIT, "-P only takes a single char")
    else:
        wish.prefix = value


__all__ = ["HELP", "Failed", "Fatal", "Wish", "parse"]
