# SPDX-License-Identifier: GPL-2.0-only
"""modinfo: the strings of .modinfo and the signature of a file, without the kernel (kmod 30
``tools/modinfo.c``)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..errors import ENOENT, KernelError
from . import ToolResult
from .builtin_modinfo import builtin_modinfo
from .elf import MODULE_ENDINGS, ToolElf, ToolFile, module_name, open_module, sample_path
from .index_read import BrokenIndex
from .insmod import VERSION
from .modprobe import KILLED, SEGFAULT, modules_folder
from .modprobe.log import Log
from .modprobe.lookup import Context, LookupFailed
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
SETTINGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "0": lambda value: {"end": "\0"},
    "m": lambda value: {"by_name": True},
    "k": lambda value: {"version": value},
    "b": lambda value: {"root": value},
}
BYTES_A_LINE = 20  # of a key or signature in hex


class Wish(NamedTuple):
    """What the options ask for."""

    field: str | None = None
    end: str = "\n"
    by_name: bool = False
    version: str | None = None
    root: str | None = None


class Found(NamedTuple):
    """A module to be shown: its name and its file. None: libkmod knows no file, and takes it as built in."""

    name: str
    path: str | None
    builtin: bool = False


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. It never asks the kernel (which may be None): words are files, else names and aliases that
    depmod's indexes know, else samples. What it had written when it died of a signal is lost."""
    words: list[str] = []
    try:
        wish = _parse(argv, words)
    except UsageError as error:
        return ToolResult(stderr=f"{error}\n", status=1)
    if isinstance(wish, str):
        return ToolResult(stdout=wish)
    if not words:
        return ToolResult(stderr=SAYS + "missing module or filename.\n", status=1)
    query = Query(kernel, wish)
    try:
        results = [query.show(word) for word in words]
    except BrokenIndex as error:
        return ToolResult("", query.said() + KILLED, SEGFAULT, error)
    return ToolResult(
        "".join(result.stdout for result in results), "".join(result.stderr for result in results),
        1 if any(result.status for result in results) else 0,
    )  # fmt: skip


def _parse(argv: list[str], words: list[str]) -> Wish | str:
    """The options; a text is all that is to be printed."""
    wish = Wish()
    for letter, value in getopt(argv, "adlpn0mF:k:b:Vh", LONG, words):
        if letter in "hV":
            return HELP if letter == "h" else VERSION
        if letter in FIELDS or letter == "F":
            wish = wish._replace(field=FIELDS.get(letter, value))
        else:
            wish = wish._replace(**SETTINGS[letter](value))
    return wish


class Query:
    """One run after its command line was read; the indexes are opened when the first word needs them."""

    def __init__(self, kernel: Any, wish: Wish) -> None:
        self.kernel, self.wish = kernel, wish
        self.log = Log("modinfo")
        self._context: Context | None = None

    @property
    def context(self) -> Context:
        """libkmod's context: no configuration, and each search opens its index by itself."""
        if self._context is None:
            folder = modules_folder(self.kernel, self.wish.root, self.wish.version)
            self._context = Context(folder, (), "", self.log)
            self._context.open_indexes()
        return self._context

    def said(self) -> str:
        """What libkmod has logged since it was last asked."""
        text = "".join(self.log.lines)
        self.log.lines.clear()
        return text

    def show(self, word: str) -> ToolResult:
        """All modules that a word means."""
        try:
            modules = self.find(word)
        except LookupFailed:
            return ToolResult(stderr=f"{self.said()}{SAYS}Module alias {word} not found.\n", status=1)
        if not modules:
            kind = "Module name" if self.wish.by_name else "Module"
            return ToolResult(stderr=f"{self.said()}{SAYS}{kind} {word} not found.\n", status=1)
        results = [self._show(module) for module in modules]
        return ToolResult(
            "".join(result.stdout for result in results), "".join(result.stderr for result in results),
            max(result.status for result in results),
        )  # fmt: skip

    def find(self, word: str) -> list[Found]:
        """A file with a module's ending, then the indexes, then (which kmod cannot) the samples."""
        if not self.wish.by_name and _is_module_file(word):
            return [Found(module_name(word), word)]
        self.context.forget()
        if self.wish.by_name:
            named = self.context.lookup_name(word)
            modules = [] if named is None else [named]
        else:
            modules = self.context.lookup(word)
        found = [Found(m.name, self.context.path(m), self.context.is_builtin(m)) for m in modules]
        elsewhere = self.wish.by_name or self.wish.root is not None or self.wish.version is not None
        path = None if found or elsewhere else sample_path(word)
        return found if path is None else [Found(module_name(path), path)]

    def _show(self, module: Found) -> ToolResult:
        """One module (``modinfo_do``)."""
        path, field = module.path, self.wish.field
        absolute = "(builtin)" if path is None else os.path.join(os.getcwd(), path)
        facts = {} if path is not None else {"name": module.name}
        facts["filename"] = absolute
        heading = "".join(
            f"{key + ':':16s}{value}{self.wish.end}" if field is None else f"{value}{self.wish.end}"
            for key, value in facts.items() if field in (None, key)
        )  # fmt: skip
        if field == "filename":
            return ToolResult(heading, self.said())
        try:
            pairs = self._pairs(module)
        except KernelError as error:
            if error.errno is None:  # dead of a signal
                raise
            if path is None and error.errno == ENOENT:  # before Linux 5.2 no such list is built
                return ToolResult(heading, self.said())
            line = f"{SAYS}could not get modinfo from '{module.name}': {error.strerror}\n"
            return ToolResult(heading, self.said() + line, 1)
        complaints: list[str] = [self.said()]
        return ToolResult(heading + "".join(_lines(pairs, self.wish, complaints)), "".join(complaints))

    def _pairs(self, module: Found) -> list[tuple[str, str]]:
        if module.builtin:
            return _split(builtin_modinfo(self.context.dirname, module.name, self.log))
        if module.path is None:
            raise KernelError(ENOENT)
        return fields(open_module(module.path))


def _is_module_file(word: str) -> bool:
    try:
        return os.path.isfile(word) and word.endswith(MODULE_ENDINGS) and word not in MODULE_ENDINGS
    except ValueError:
        return False


def fields(file: ToolFile) -> list[tuple[str, str]]:
    """The pairs that modinfo prints, in its order: .modinfo as it lies in the file, then the signature's.

    Bytes that are not UTF-8 are kept as surrogate escapes. ``KernelError``: what libkmod fails with.
    """
    pairs = _split(ToolElf(file.data).modinfo())
    signer = signature_of(file.data)
    return pairs if signer is None else pairs + _signature_fields(signer)


def _split(strings: list[bytes]) -> list[tuple[str, str]]:
    texts = (text.decode("utf-8", "surrogateescape") for text in strings)
    return [(key, value) for key, _, value in (text.partition("=") for text in texts)]


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
