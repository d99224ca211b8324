# SPDX-License-Identifier: GPL-2.0-only
"""modinfo of busybox (``modutils/modinfo.c``): it looks for ``name=`` all over the file, field by field."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any

from ...errors import KernelError
from .. import ToolResult
from ..elf import sample_path
from ..modprobe import modules_folder
from ..modprobe.log import encode
from . import busybox, modules_dep

SHORTCUTS = (
    "filename", "author", "description", "license", "parm", "version", "alias", "srcversion",
    "depends", "uts_release", "intree", "vermagic", "firmware",
)  # fmt: skip
LETTERS = {"n": "filename", "a": "author", "d": "description", "l": "license", "p": "parm"}


class _Query:
    def __init__(self, folder: str, fields: list[str], named: bool, end: str) -> None:
        self.folder, self.fields, self.named, self.end = folder, fields, named, end
        self.out, self.err = "", ""

    def show(self, path: str) -> None:
        """One file: as it is named, else below the folder of modules; a missing absolute path is passed over
        in silence."""
        complaints: list[str] = []
        try:
            data = self._read(path, complaints)
            if data is None and not path.startswith("/"):
                path = f"{self.folder}/{path}"
                data = self._read(path, complaints)
                if data is None:
                    complaints.append(f"modinfo: module '{path}' not found\n")
        finally:
            self.err += "".join(complaints)
        for field in self.fields if data is not None else ():
            self._field(field, path, data or b"")

    def _read(self, path: str, complaints: list[str]) -> bytes | None:
        try:
            return busybox.unzipped(path, "modinfo", complaints)
        except KernelError:
            found = sample_path(path)  # which busybox cannot
            return None if found is None else busybox.unzipped(found, "modinfo", complaints)

    def _field(self, field: str, path: str, data: bytes) -> None:
        if field == "filename":
            self._display(field, path)
        elif field:
            for match in re.finditer(rb"(?<=[\0\x80])" + re.escape(encode(field)) + rb"=([^\0]*)", data):
                self._display(field, match[1].decode("utf-8", "surrogateescape"))

    def _display(self, field: str, value: str) -> None:
        self.out += (f"{field + ':':16s}" if self.named else "") + value + self.end


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The applet. Words are patterns for names in modules.dep (the first that fits counts), else files."""
    words: list[str] = []
    found = busybox.options(argv, "0F:nadlp", words)
    if isinstance(found, ToolResult):
        return found
    if not words:
        return busybox.usage("modinfo")
    query = _query(kernel, dict(found))
    try:
        _through_modules_dep(query, words)
        for word in filter(None, words):
            query.show(word)
    except busybox.Died as death:
        return ToolResult(query.out, f"{query.err}modinfo: {death}\n", 1)
    return ToolResult(query.out, query.err)


def _query(kernel: Any, letters: dict[str, str]) -> _Query:
    fields = [letters["F"]] if "F" in letters else []
    fields += [name for name in SHORTCUTS if name in (LETTERS[c] for c in letters if c in LETTERS)]
    return _Query(
        modules_folder(kernel, None, None), fields or list(SHORTCUTS), len(fields) != 1,
        "\0" if "0" in letters else "\n",
    )  # fmt: skip


def _through_modules_dep(query: _Query, words: list[str]) -> None:
    try:
        lines = modules_dep.read(query.folder)
    except KernelError as error:
        raise busybox.Died(f"can't open '{query.folder}/modules.dep': {error.strerror}") from None
    for line in lines:
        for at, word in enumerate(words):
            if word and fnmatchcase(line.name, word):
                query.show(line.path)
                words[at] = ""
