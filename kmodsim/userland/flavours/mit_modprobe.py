# SPDX-License-Identifier: GPL-2.0-only
"""modprobe of module-init-tools (``modprobe.c``), as far as modules.dep, aliases and boot parameters go.

Aliases and symbols come from depmod's indexes. The modelled machine has no configuration; -C, -c and
--dump-modversions are not modelled.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from ...errors import EEXIST, ENOENT, ENOEXEC, ERRNO, O_EXCL, KernelError, NotModelled, strerror
from .. import ToolResult, sysfs
from ..elf import ToolElf
from ..modprobe import modules_folder
from ..modprobe.cmdline import parameters
from ..modprobe.log import Log
from ..modprobe.lookup import Context
from ..options import UsageError, getopt
from . import mit, modules_dep
from .modules_dep import Dependency

ENOSYS = ERRNO["ENOSYS"][0]
SHORT = "Vvqsnd:S:C:DRrclt:aibf"
LONG = {
    "version": "V", "verbose": "v", "quiet": "q", "syslog": "s", "show": "n", "dry-run": "n",
    "show-depends": "D", "resolve-alias": "R", "dirname": "d", "set-version": "S", "config": "C",
    "remove": "r", "showconfig": "c", "list": "l", "type": "t", "all": "a", "ignore-install": "i",
    "ignore-remove": "i", "use-blacklist": "b", "force": "f", "force-vermagic": "1", "force-modversion": "2",
    "first-time": "3", "dump-modversions": "4",
}  # fmt: skip
USAGE = (
    "Usage: modprobe [-v] [-V] [-C config-file] [-d <dirname> ] [-n] [-i] [-q] [-b] [-o <modname>] "
    "[ --dump-modversions ] <modname> [parameters...]\n"
    "modprobe -r [-n] [-i] [-v] <modulename> ...\n"
    "modprobe -l -t <dirname> [ -a <modulename> ...]\n"
)
UNMODELLED = {"C": "-C", "c": "-c", "4": "--dump-modversions"}
# modprobe.c:insert_moderror, remove_moderror
INSERT_WORDS = {
    ENOEXEC: "Invalid module format",
    ENOENT: "Unknown symbol in module, or unknown parameter (see dmesg)",
    ENOSYS: "Kernel does not have module support",
}
REMOVE_WORDS = {ENOENT: "No such module", ENOSYS: "Kernel does not have module unloading support"}


class _Fatal(Exception):
    """A FATAL line was written: the tool ends with status 1."""


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. Without -a an error is FATAL and ends it, with -a it is a WARNING."""
    words: list[str] = []
    values: dict[str, str] = {}
    try:
        for letter, value in getopt(argv, SHORT, LONG, words):
            if letter == "V":
                return ToolResult(mit.VERSION)
            values[letter] = value
    except UsageError as error:
        return mit.usage(USAGE, f"{error}\n")
    if not words and not set(values) & set("cl"):
        return mit.usage(USAGE)
    for letter, option in UNMODELLED.items():
        if letter in values:
            raise NotModelled(f"{option} of module-init-tools' modprobe")
    return _Run(kernel, values, words, uid).result()


class _Run:
    """One run after its command line was read."""

    def __init__(self, kernel: Any, values: dict[str, str], words: list[str], uid: int | None) -> None:
        self.kernel, self.values, self.uid = kernel, values, uid
        self.words = words
        self.folder = modules_folder(kernel, values.get("d") or None, values.get("S"))
        self.out: list[str] = []
        self.err: list[str] = []
        self.error: KernelError | None = None
        self.context = Context(self.folder, (), "", Log("modprobe"))
        self.lines: dict[str, Dependency] = {}
        self.first_time = "3" in values

    def result(self) -> ToolResult:
        status = 1
        try:
            status = self._list() if "l" in self.values else self._main()
        except _Fatal:
            pass
        err = "" if "s" in self.values else "".join(self.err)
        return ToolResult("".join(self.out), err, status, self.error if status else None)

    def _complain(self, text: str, error: KernelError | None = None, warn: bool = False) -> None:
        """``fatal``, or ``warn`` with -a and for what is only needed."""
        self.error = error or self.error or KernelError(ENOENT, stage="modprobe", why=text)
        if warn or "a" in self.values:
            if "q" not in self.values:
                self.err.append(f"WARNING: {text}\n")
            return
        self.err.append(f"FATAL: {text}\n")
        raise _Fatal

    def _list(self) -> int:
        if len(self.words) > 1:
            self._complain("Can't have multiple wildcards")
        pattern, kind = (self.words[0] if self.words else "*").replace("-", "_"), self.values.get("t")
        for line in self._read():
            fits = kind is None or f"/{kind}/" in f"/{line.path}"
            if fits and fnmatchcase(line.name, pattern):
                self.out.append(f"{line.path}\n")
        return 0

    def _read(self) -> list[Dependency]:
        try:
            return modules_dep.read(self.folder)
        except KernelError as error:
            self._complain(f"Could not load {self.folder}/modules.dep: {error.strerror}", error)
            return []

    def _main(self) -> int:
        if "t" in self.values:
            self.err.append("FATAL: -t only supported with -l")
            raise _Fatal
        self.context.open_indexes()
        self.lines = {line.name: line for line in reversed(self._read())}
        several = bool(set(self.values) & set("ra"))
        params = "" if several else _options(self.words[1:])
        names = [word.replace("-", "_") for word in (self.words if several else self.words[:1])]
        failed = False
        for name in self._unused_first(names) if "r" in self.values else names:
            failed |= self._probe(name, params)
        return int(failed)

    def _unused_first(self, names: list[str]) -> Iterator[str]:
        """Names to remove: again and again those that nobody uses, then the rest."""
        left, progress = list(names), True
        while progress:
            progress = False
            for name in list(left):
                if self._state(name) == "live" and sysfs.number(self.kernel, name, "refcnt") == 0:
                    left.remove(name)
                    progress = True
                    yield name
        yield from left

    def _state(self, name: str) -> str | None:
        return sysfs.initstate(self.kernel, name)

    def _probe(self, name: str, params: str) -> bool:
        """``do_modprobe``: a name in modules.dep, else aliases, else what is built in."""
        line = None if ":" in name else self.lines.get(name)
        aliases: list[str] = []
        if line is None:
            index = "symbols" if name.startswith("symbol:") else "alias"
            aliases = [value for value, _ in self.context._values(index, name)]
        if line is None and not aliases and self.context._line("builtin", name) is not None:
            return self._builtin(name)
        blacklist = self._blacklist()
        aliases = [alias for alias in aliases if alias not in blacklist]
        if "R" in self.values:
            self.out += [f"{alias}\n" for alias in aliases]
            return False
        if not aliases:
            if "b" in self.values and name in blacklist:
                return False
            return self._handle(name, line, params, False)
        several = len(aliases) > 1
        results = [self._handle(alias, self.lines.get(alias), params, several) for alias in aliases]
        return any(results)

    def _builtin(self, name: str) -> bool:
        if "r" in self.values:
            self._complain(f"Module {name} is builtin")
        elif self.first_time:
            self._complain(f"Module {name} already in kernel (builtin).")
        else:
            self.out += [f"builtin {name}\n"] if "D" in self.values else []
            return False
        return True

    def _handle(self, name: str, line: Dependency | None, params: str, warn: bool) -> bool:
        if line is None:
            if "q" not in self.values:
                self._complain(f"Module {name} not found.", warn=warn)
            self.error = self.error or KernelError(ENOENT, stage="modprobe")
            return True
        paths = [self._whole(path) for path in (line.path, *line.needs)]
        if "r" in self.values:
            self._remove(paths, warn)
        else:
            self._insert(paths, params, warn, self.first_time)
        return False

    def _whole(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.folder}/{path}"

    # -- loading

    def _insert(self, paths: list[str], params: str, warn: bool, first_time: bool) -> bool:
        """``insmod``: first what it needs, whose failures are warnings and then the module's own. Whether it
        went well."""
        path, name = paths[0], mit.modname(paths[0])
        if len(paths) > 1 and not self._insert(paths[1:], "", True, False):
            words = _words(INSERT_WORDS, self.error)
            self._complain(f"Error inserting {name} ({path}): {words}", self.error, warn)
            return True
        if "D" not in self.values and self._state(name) == "live":
            if first_time:
                self._complain(f"Module {name} already in kernel.", KernelError(EEXIST), warn)
            return True
        try:
            image = self._image(path)
        except KernelError as error:
            words = INSERT_WORDS[ENOEXEC] if error.errno == ENOEXEC else error.strerror
            self._complain(f"Could not read '{path}': {words}", error, warn)
            return True
        options = " ".join([*([params] if params else []), *self._configured(name)])
        if set(self.values) & set("vD"):
            self.out.append(f"insmod {path} {options}\n")
        return bool(set(self.values) & set("nD")) or self._call(image, name, path, options, warn, first_time)

    def _call(self, image: bytes, name: str, path: str, options: str, warn: bool, first_time: bool) -> bool:
        try:
            self.kernel.init_module(image, options, uid=self.uid)
        except KernelError as error:
            if error.errno is None:
                raise
            if error.errno == EEXIST:
                if first_time:
                    self._complain(f"Module {name} already in kernel.", error, warn)
                return True
            self.error = error
            if not warn or "v" in self.values:
                words = _words(INSERT_WORDS, error)
                self._complain(f"Error inserting {name} ({path}): {words}", error, warn)
            return False
        return True

    def _image(self, path: str) -> bytes:
        """The file's bytes; with -f, in that copy, without what the kernel would compare."""
        data = mit.grab(path)
        if not data.startswith(mit.ELF_MAGIC) or data[5:6] not in (b"\1", b"\2"):
            raise KernelError(ENOEXEC)
        if set(self.values) & set("f2"):
            data = ToolElf(data).without_versions()
        if set(self.values) & set("f1"):
            data = ToolElf(data).without_vermagic()
        return data

    # -- unloading

    def _remove(self, paths: list[str], warn: bool) -> None:
        """``rmmod``: the module, then what it needed, of which what is in use stays without a word."""
        first_time = self.first_time
        for at, path in enumerate(paths):
            self._remove_one(path, warn or at > 0, at > 0, first_time and at == 0)

    def _remove_one(self, path: str, warn: bool, quiet_in_use: bool, first_time: bool) -> None:
        name = mit.modname(path)
        if self._state(name) is None:
            self._missing(name, first_time)
            return
        if sysfs.number(self.kernel, name, "refcnt") != 0:
            if not quiet_in_use:
                self._complain(f"Module {name} is in use.", warn=warn)
            return
        if "v" in self.values:
            self.out.append(f"rmmod {path}\n")
        if "n" in self.values:
            return
        try:
            self.kernel.delete_module(name, flags=O_EXCL, uid=self.uid)
        except KernelError as error:
            if error.errno is None:
                raise
            if error.errno == ENOENT:
                self._missing(name, first_time)
            else:
                self._complain(f"Error removing {name} ({path}): {_words(REMOVE_WORDS, error)}", error, warn)

    def _missing(self, name: str, first_time: bool) -> None:
        if first_time:
            self.err.append(f"FATAL: Module {name} is not in kernel.\n")
            raise _Fatal

    # -- the kernel's command line

    def _cmdline(self) -> list[tuple[str, str]]:
        return list(parameters(" ".join(f"{name}={value}" for name, value in self.kernel.cmdline.items())))

    def _configured(self, name: str) -> list[str]:
        return [value for module, value in self._cmdline() if module == name]

    def _blacklist(self) -> set[str]:
        found = [value for module, value in self._cmdline() if module == "modprobe"]
        lists = [value.partition("=")[2] for value in found if value.startswith("blacklist=")]
        return {name.replace("-", "_") for text in lists for name in text.split(",")}


def _words(table: dict[int, str], error: KernelError | None) -> str:
    number = error.errno if error is not None and error.errno is not None else 0
    return table.get(number) or strerror(number)


def _options(words: list[str]) -> str:
    """``gather_options``: a value with blanks is put between quotes, unless there are some."""
    text = []
    for word in words:
        name, equals, value = word.partition("=")
        text.append(f'{name}="{value}"' if equals and " " in value and '"' not in word else word)
    return " ".join(text)
