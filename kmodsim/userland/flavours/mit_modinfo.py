# SPDX-License-Identifier: GPL-2.0-only
"""modinfo of module-init-tools (``modinfo.c``): names through modules.dep, no aliases, no signature."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import ENOEXEC, KernelError
from .. import ToolResult
from ..elf import Aborted, ToolElf, sample_path
from ..modinfo import FIELDS
from ..modprobe import modules_folder
from ..options import UsageError, getopt
from . import mit, modules_dep

LONG = {
    "author": "a", "description": "d", "license": "l", "parameters": "p", "filename": "n", "version": "V",
    "help": "h", "null": "0", "field": "F",
}  # fmt: skip
USAGE = """Usage: modinfo [-0][-F field][-k kernelversion][-b basedir]  module...
 Prints out the information about one or more module(s).
 If a fieldname is given, just print out that field (or nothing if not found).
 Otherwise, print all information out in a readable form
 If -0 is given, separate with nul, not newline.
 If -b is given, use an image of the module tree.
"""


class _Wish(NamedTuple):
    field: str | None = None
    end: str = "\n"
    kernel: str | None = None
    root: str | None = None


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. A word with a dot or a slash is a file, any other a name in modules.dep."""
    words: list[str] = []
    wish = _Wish()
    try:
        for letter, value in getopt(argv, "adlpVhn0F:k:b:", LONG, words):
            if letter in "hV":
                return ToolResult(mit.VERSION) if letter == "V" else mit.usage(USAGE, status=0)
            if letter in FIELDS or letter == "F":
                wish = wish._replace(field=FIELDS.get(letter, value))
            else:
                change = {"0": {"end": "\0"}, "k": {"kernel": value}, "b": {"root": value}}[letter]
                wish = wish._replace(**change)
    except UsageError as error:
        return mit.usage(USAGE, f"{error}\n")
    if not words:
        return mit.usage(USAGE)
    results = [_show(kernel, word, wish) for word in words]
    return ToolResult(
        "".join(result.stdout for result in results), "".join(result.stderr for result in results),
        max(result.status for result in results),
    )  # fmt: skip


def _show(kernel: Any, word: str, wish: _Wish) -> ToolResult:
    path = word
    try:
        if "." not in word and "/" not in word:
            found = _by_name(kernel, word, wish)
            if isinstance(found, ToolResult):
                return found
            path = found
        data = _grab(path)
    except KernelError as error:
        return _wrong(f"could not open {path}: {error.strerror}")
    try:
        strings = [text.decode("utf-8", "surrogateescape") for text in ToolElf(data).modinfo()]
    except (Aborted, KernelError):  # without .modinfo there is nothing to say
        return ToolResult()
    lines = _all(strings, path, wish.end) if wish.field is None else _one(strings, path, wish.field)
    return ToolResult("".join(f"{line}{wish.end}" for line in lines))


def _grab(path: str) -> bytes:
    """``elfops.c:grab_elf_file``."""
    try:
        data = mit.grab(path)
    except KernelError:
        found = sample_path(path)  # which the real one cannot
        if found is None:
            raise
        data = mit.grab(found)
    if (
        not data.startswith(mit.ELF_MAGIC)
        or data[4:5] not in (b"\1", b"\2")
        or data[5:6] not in (b"\1", b"\2")
    ):
        raise KernelError(ENOEXEC)
    return data


def _by_name(kernel: Any, word: str, wish: _Wish) -> str | ToolResult:
    """The file that modules.dep names for a module (``grab_module``)."""
    folder = modules_folder(kernel, wish.root, wish.kernel)
    try:
        lines = modules_dep.read(folder)
    except KernelError:
        return _wrong(f"could not open {folder}/modules.dep")
    for line in lines:
        if line.name == word.replace("-", "_"):
            return line.path if line.path.startswith("/") else f"{folder}/{line.path}"
    return _wrong(f"could not find module {word}")


def _wrong(text: str) -> ToolResult:
    return ToolResult(stderr=f"ERROR: modinfo: {text}\n", status=1)


def _one(strings: list[str], path: str, field: str) -> list[str]:
    if field == "filename":
        return [path]
    return [text[len(field) + 1 :] for text in strings if text.startswith(f"{field}=")]


def _all(strings: list[str], path: str, end: str) -> list[str]:
    """Every string in the file's order, then the parameters, the last met first."""
    lines, parms = [f"{'filename:':16s}{path}"], dict[str, dict[str, str]]()
    for text in strings:
        key, equals, value = text.partition("=")
        name, colon, said = value.partition(":")
        if key in ("parm", "parmtype") and colon:
            parms.setdefault(name, {})[key] = said
        elif end == "\0":
            lines.append(text)
        elif equals:
            lines.append(f"{key + ':':16s}{value}")
    for name, entry in reversed(parms.items()):
        kind = entry.get("parmtype")
        if "parm" not in entry:
            lines.append(f"{'parm:':16s}{name}:{kind}")
        else:
            lines.append(f"{'parm:':16s}{name}:{entry['parm']}" + (f" ({kind})" if kind is not None else ""))
    return lines
