# SPDX-License-Identifier: GPL-2.0-only
"""modinfo: the strings of .modinfo and the signature of a file, without the kernel (kmod 30
``tools/modinfo.c``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..errors import KernelError
from . import ToolResult
from .elf import MODULE_ENDINGS, Aborted, ToolElf, ToolFile, module_name, open_module, sample_path
from .insmod import VERSION
from .options import UsageError, getopt
from .signer import Signer, signature_of

FIELDS = {"a": "author", "d": "description", "l": "license", "p": "parm", "n": "filename"}
LONG = {
    "author": "a", "description": "d", "license": "l", "parameters": "p", "filename": "n", "null": "0",
    "modname": "m", "field": "F", "set-version": "k", "basedir": "b", "version": "V", "help": "h",
}  # fmt: skip
HELP = """Usage:
\tmodinfo [options] <modulename|filename> [args]
Options:
\t-a, --author                Print only 'author'
\t-d, --description           Print only 'description'
\t-l, --license               Print only 'license'
\t-p, --parameters            Print only 'parm'
\t-n, --filename              Print only 'filename'
\t-0, --null                  Use \\0 instead of \\n
\t-m, --modname               Handle argument as module name instead of alias or filename
\t-F, --field=FIELD           Print only provided FIELD
\t-k, --set-version=VERSION   Use VERSION instead of `uname -r`
\t-b, --basedir=DIR           Use DIR as filesystem root for /lib/modules
\t-V, --version               Show version
\t-h, --help                  Show this help
"""
SAYS = "modinfo: ERROR: "
BYTES_A_LINE = 20  # of a key or signature in hex


class Wish(NamedTuple):
    """What the options ask for."""

    field: str | None = None
    end: str = "\n"
    by_name: bool = False


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. It never asks the kernel; a word that is no file may name a sample (instead of
    modules.dep)."""
    words: list[str] = []
    wish = Wish()
    try:
        for letter, value in getopt(argv, "adlpn0mF:k:b:Vh", LONG, words):
            if letter in "hV":
                return ToolResult(stdout=HELP if letter == "h" else VERSION)
            if letter in FIELDS or letter == "F":
                wish = wish._replace(field=FIELDS.get(letter, value))
            elif letter == "0":
                wish = wish._replace(end="\0")
            elif letter == "m":
                wish = wish._replace(by_name=True)
    except UsageError as error:
        return ToolResult(stderr=f"{error}\n", status=1)
    if not words:
        return ToolResult(stderr=SAYS + "missing module or filename.\n", status=1)
    results = [_show(word, wish) for word in words]
    return ToolResult(
        "".join(result.stdout for result in results), "".join(result.stderr for result in results),
        1 if any(result.status for result in results) else 0,
    )  # fmt: skip


def _show(word: str, wish: Wish) -> ToolResult:
    path = word if not wish.by_name and _is_module_file(word) else sample_path(word)
    if path is None:
        kind = "Module name" if wish.by_name else "Module"
        return ToolResult(stderr=f"{SAYS}{kind} {word} not found.\n", status=1)
    absolute = path if os.path.isabs(path) else os.path.join(os.getcwd(), path)
    if wish.field == "filename":
        return ToolResult(absolute + wish.end)
    heading = "" if wish.field is not None else f"{'filename:':16s}{absolute}{wish.end}"
    try:
        file = open_module(path)
        pairs = fields(file)
    except Aborted:
        raise
    except KernelError as error:
        line = f"{SAYS}could not get modinfo from '{module_name(path)}': {error.strerror}\n"
        return ToolResult(heading, line, 1)
    complaints: list[str] = []
    return ToolResult(heading + "".join(_lines(pairs, wish, complaints)), "".join(complaints))


def _is_module_file(word: str) -> bool:
    try:
        return os.path.isfile(word) and word.endswith(MODULE_ENDINGS) and word not in MODULE_ENDINGS
    except ValueError:
        return False


def fields(file: ToolFile) -> list[tuple[str, str]]:
    """The pairs that modinfo prints, in its order: .modinfo as it lies in the file, then the signature's.

    Bytes that are not UTF-8 are kept as surrogate escapes. ``KernelError``: what libkmod fails with.
    """
    texts = [text.decode("utf-8", "surrogateescape") for text in ToolElf(file.data).modinfo()]
    pairs = [(key, value) for key, _, value in (text.partition("=") for text in texts)]
    signer = signature_of(file.data)
    return pairs if signer is None else pairs + _signature_fields(signer)


def _signature_fields(signer: Signer) -> list[tuple[str, str]]:
    return [
        ("sig_id", signer.id_type), ("signer", signer.name), ("sig_key", hex_block(signer.key)),
        ("sig_hashalgo", signer.hash_algorithm), ("signature", hex_block(signer.signature)),
    ]  # fmt: skip


def hex_block(data: bytes) -> str:
    """``01:12:DE:…``, broken after every 20 bytes and indented by two tabs, as libkmod writes keys."""
    rows = [data[start : start + BYTES_A_LINE] for start in range(0, len(data), BYTES_A_LINE)]
    return ":\n\t\t".join(row.hex(":").upper() for row in rows)


def _lines(pairs: list[tuple[str, str]], wish: Wish, complaints: list[str]) -> Iterator[str]:
    parms = Parms(complaints)
    for key, value in pairs:
        if key in ("parm", "parmtype") and wish.field in (None, "parm"):
            parms.add(key, value)
        elif wish.field is not None:
            yield value + wish.end if key == wish.field else ""
        elif wish.end == "\0":
            yield f"{key}={value}\0"
        else:  # printf's %-*s turns a negative width into its amount: a key of 20 letters gets 5 blanks
            yield f"{key}:{' ' * abs(15 - len(key.encode('utf-8', 'surrogateescape')))}{value}\n"
    for line in parms.lines(alone=wish.field == "parm"):
        yield (line if wish.field == "parm" else f"{'parm:':16s}{line}") + wish.end


class Parms:
    """``parm`` (description) and ``parmtype`` of each parameter, joined; modinfo prints the last met
    first."""

    def __init__(self, complaints: list[str]) -> None:
        self.complaints = complaints
        self.table: dict[str, dict[str, str]] = {}

    def add(self, key: str, value: str) -> None:
        name, colon, text = value.partition(":")
        if not colon:
            self.complaints.append(f"{SAYS}Found invalid \"{key}={value}\": missing ':'\n")
            return
        self.table.setdefault(name, {})[key] = text

    def lines(self, alone: bool) -> list[str]:
        return [_parm(name, entry, alone) for name, entry in reversed(self.table.items())]


def _parm(name: str, entry: dict[str, str], alone: bool) -> str:
    kind = entry.get("parmtype")
    if "parm" not in entry:
        return f"{name}: ({kind})" if alone else f"{name}:{kind}"
    return f"{name}:{entry['parm']}" + (f" ({kind})" if kind is not None else "")
