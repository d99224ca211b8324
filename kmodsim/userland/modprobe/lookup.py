# SPDX-License-Identifier: GPL-2.0-only
"""From a word to modules: the seven places where libkmod looks, in its order (kmod 30
``libkmod/libkmod-module.c:kmod_module_new_from_lookup``, ``libkmod/libkmod.c``).

``Context`` is libkmod's: the modules' folder, its indexes, the configuration. ``Module`` is what it knows of
one module; the same module found by name and by an alias is two of them, as in libkmod, and may so be listed
twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from ...errors import EEXIST, EINVAL, ENOENT, ERRNO, KernelError, strerror
from ..elf import host_error
from ..index_read import Index, WrongHeader
from .config import Config, Entry, Softdep, read_config, underscores
from .log import Log, decode, encode

INDEXES = ("dep", "alias", "symbols", "builtin.alias", "builtin")  # enum kmod_index
OPTIONAL = "builtin.alias"
PATH_MAX = 4096
ENAMETOOLONG = ERRNO["ENAMETOOLONG"][0]
POINTER = "0x5555555592a0"  # stands for an address of the tool's heap, which no two runs share
BROKEN_DEPENDENCY = "libkmod-module.c:191"


class LookupFailed(KernelError):
    """The word cannot be looked up: its brackets do not fit, or a name has no room."""


class Found(NamedTuple):
    """Why a word means a module: ``kind`` is "name", "alias", "symbol", "command" or "builtin"."""

    kind: str
    pattern: str = ""  # the alias that fits
    where: str = ""  # the file that says so

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern} in {self.where}" if self.pattern else f"named in {self.where}"


class Module:
    """What is known of a module while a plan is made."""

    def __init__(self, name: str, alias: str | None, found: Found) -> None:
        self.name, self.alias, self.found = name, alias, found
        self.path: str | None = None
        self.dependencies: list[Module] = []
        self.dependencies_known = False
        self.builtin: bool | None = None
        self.install: Entry | None = None  # set where the word was found by its command
        self.remove: Entry | None = None
        self.visited = self.required = self.ignore_command = False


class Context:
    """libkmod's context for one folder of modules. ``pool`` holds the modules met so far, for one word.

    ``given``: path -> contents of the indexes and the configuration; then no file of the host is looked at,
    and every module that the indexes name counts as there.
    """

    def __init__(
        self, dirname: str, config_paths: Iterable[str], cmdline: str, log: Log,
        given: Mapping[str, bytes] | None = None,
    ) -> None:  # fmt: skip
        self.dirname, self.log, self.given = dirname, log, given
        self.config: Config = read_config(dirname, config_paths, cmdline, log, given)
        self.indexes: dict[str, Index] = {}
        self.pool: dict[tuple[str, str | None], Module] = {}

    def open_indexes(self) -> None:
        """Without ``load_resources`` each search opens its index by itself, with libkmod's older reader; one
        that is not there has nothing."""
        self._open(True)

    def load_resources(self) -> None:
        """Open the indexes. Where one is missing libkmod uses its older reader for all, whose order of equal
        values is another (``kmod_load_resources``)."""
        try:
            self._open(False)
        except (OSError, ValueError, WrongHeader):
            self._open(True)

    def _open(self, older: bool) -> None:
        self.indexes = {}
        for name in INDEXES:
            try:
                path = f"{self.dirname}/modules.{name}.bin"
                data = None if self.given is None else self._given(path)
                self.indexes[name] = Index(path, newest_first=older, data=data)
            except (OSError, ValueError, WrongHeader) as error:
                if isinstance(error, WrongHeader) and error.line and not older:
                    self.log.library(f"libkmod-index.c:{error.line}", "index_mm_open", error.why or "")
                if not older and name != OPTIONAL:
                    raise

    def _given(self, path: str) -> bytes:
        if self.given is None or path not in self.given:
            raise FileNotFoundError(path)
        return self.given[path]

    # -- words

    def lookup(self, word: str) -> list[Module]:
        """The modules a word means, in the order in which they are loaded; none: it is not known.
        ``LookupFailed``: libkmod gives up."""
        name = normalized_alias(word)
        for place in PLACES:
            found = place(self, name)
            if found:
                return found
        return []

    def lookup_name(self, word: str) -> Module | None:
        """The module of that name, no alias (``kmod_module_new_from_name_lookup``)."""
        name = module_name(word)
        found = (place(self, name) for place in NAME_PLACES)
        return next((modules[0] for modules in found if modules), None)

    def forget(self) -> None:
        """The next word of the command line starts anew."""
        self.pool.clear()

    def module(self, name: str, found: Found, alias: str | None = None) -> Module:
        """The one Module of that name and alias."""
        if alias is not None and len(encode(name)) + len(encode(alias)) + 2 > PATH_MAX:
            raise LookupFailed(ENAMETOOLONG)
        if alias is None:
            name = module_name(name)
        key = (name, alias)
        if key not in self.pool:
            self.pool[key] = Module(name, alias, found)
        return self.pool[key]

    def is_builtin(self, module: Module) -> bool:
        if module.builtin is None:
            module.builtin = self._line("builtin", module.name) is not None
        return module.builtin

    # -- what the indexes and the configuration say of a module

    def _line(self, index: str, name: str) -> str | None:
        found = self.indexes[index].search(encode(name)) if index in self.indexes else None
        return None if found is None else decode(found)

    def _values(self, index: str, name: str) -> list[tuple[str, str]]:
        """(module, the pattern it was found under)"""
        if index not in self.indexes:
            return []
        return [(decode(v.text), decode(v.key)) for v in self.indexes[index].searchwild(encode(name))]

    def path(self, module: Module) -> str | None:
        """Where the file lies; None: modules.dep does not know the module."""
        if module.path is None:
            self.dependencies(module)
        return module.path

    def dependencies(self, module: Module) -> list[Module]:
        """What has to be loaded before, first things first; read once (``kmod_module_get_dependencies``)."""
        if not module.dependencies_known:
            line = self._line("dep", module.name)
            if line is not None:
                self._read_dependencies(module, line)
        return module.dependencies

    def _read_dependencies(self, module: Module, line: str) -> None:
        """``kmod_module_parse_depline``: a file that is not there costs all dependencies of the line."""
        path, colon, rest = line.partition(":")
        module.dependencies_known = True
        if not colon:
            return
        if module.path is None:
            module.path = self._absolute(path)
        found: list[Module] = []
        for word in rest.replace("\t", " ").split(" "):
            if not word:
                continue
            try:
                found.insert(0, self._from_path(self._absolute(word)))
            except KernelError as error:
                text = f"ctx={POINTER} path={self._absolute(word)} error={error.strerror}"
                self.log.library(BROKEN_DEPENDENCY, "kmod_module_parse_depline", text)
                module.dependencies_known = False
                return
        module.dependencies = found

    def _absolute(self, path: str) -> str:
        return path if path.startswith("/") else f"{self.dirname}/{path}"

    def _from_path(self, path: str) -> Module:
        """The module of a file that has to be there (``kmod_module_new_from_path``)."""
        try:
            if self.given is None:
                os.stat(path)
        except (OSError, ValueError) as error:
            raise host_error(error) from None
        name = path.rpartition("/")[2]
        if not name:
            raise KernelError(ENOENT)
        module = self.module(name, Found("name", where="modules.dep"))
        if module.path is not None and module.path != path:
            text = (f"kmod_module '{module.name}' already exists with different path: "
                    f"new-path='{path}' old-path='{module.path}'")  # fmt: skip
            self.log.library("libkmod-module.c:428", "kmod_module_new_from_path", text)
            raise KernelError(EEXIST)
        module.path, module.builtin = path, False
        return module

    def softdep(self, module: Module) -> tuple[list[Module], list[Module], Softdep | None]:
        """(before, after, the line that says so); only the first line that fits counts."""
        entry: Softdep | None = self.config.matching("softdep").first(module.name)
        if entry is None:
            return [], [], None
        return self._soft(entry.pre), self._soft(entry.post), entry

    def _soft(self, words: Iterable[str]) -> list[Module]:
        found: list[Module] = []
        for word in words:
            try:
                found += self.lookup(word)
            except LookupFailed:
                text = f"failed to lookup soft dependency '{word}', continuing anyway."
                self.log.library("libkmod-module.c:1567", "lookup_softdep", text)
        return found

    def install_command(self, module: Module) -> Entry | None:
        return module.install or self.config.matching("install").first(module.name)

    def remove_command(self, module: Module) -> Entry | None:
        return module.remove or self.config.matching("remove").first(module.name)

    def options(self, module: Module) -> list[Entry]:
        """The options lines for the module's name or the alias it was found by, in the files' order."""
        names = {module.name, module.alias}
        return [entry for entry in self.config.options if entry.key in names and entry.value]

    def blacklisted(self, module: Module) -> Entry | None:
        return next((entry for entry in self.config.blacklist if entry.key == module.name), None)


def normalized_alias(word: str) -> str:
    """The word as it is looked up: dashes are underscores; ``LookupFailed`` when brackets do not fit."""
    name = underscores(word[: PATH_MAX - 1]) if word else ""
    if name is None:
        raise LookupFailed(EINVAL)
    return name


def module_name(word: str) -> str:
    """A module's name: up to the first dot, dashes as underscores (``modname_normalize``)."""
    return word[: PATH_MAX - 1].partition(".")[0].replace("-", "_")


# -- the places, in libkmod's order


def _in_config(context: Context, name: str) -> list[Module]:
    found = []
    for entry in context.config.matching("alias").all(name):
        try:
            found.append(context.module(entry.value, Found("alias", entry.key, entry.where), entry.key))
        except LookupFailed as error:
            text = f"Could not create module for alias={name} modname={entry.value}: {error.strerror}"
            context.log.library("libkmod.c:671", "kmod_lookup_alias_from_config", text)
            raise
    return found


def _in_modules_dep(context: Context, name: str) -> list[Module]:
    line = None if ":" in name else context._line("dep", name)
    if line is None:
        return []
    module = context.module(name, Found("name", where="modules.dep"))
    if not module.dependencies_known:
        context._read_dependencies(module, line)
    return [module]


def _in_commands(context: Context, name: str) -> list[Module]:
    """A name that is known only because a command is given for it, letter by letter."""
    for kind in ("install", "remove"):
        for entry in getattr(context.config, kind):
            if entry.key == name:
                module = context.module(name, Found("command", kind, entry.where))
                setattr(module, kind, entry)
                return [module]
    return []


def _by_alias(index: str, kind: str, prefix: str = "") -> Callable[[Context, str], list[Module]]:
    def place(context: Context, name: str) -> list[Module]:
        if not name.startswith(prefix):
            return []
        found = []
        for value, pattern in context._values(index, name):
            try:
                module = context.module(value, Found(kind, pattern, f"modules.{index}"), name)
            except LookupFailed as error:
                text = f"Could not create module for alias={name} realname={value}: {strerror(ENAMETOOLONG)}"
                context.log.library("libkmod.c:461", "kmod_lookup_alias_from_alias_bin", text)
                raise error
            if index == "builtin.alias":
                module.builtin = True
            found.append(module)
        return found

    return place


def _builtin(context: Context, name: str) -> list[Module]:
    if context._line("builtin", name) is None:
        return []
    module = context.module(name, Found("builtin", where="modules.builtin"))
    module.builtin = True
    return [module]


PLACES: tuple[Callable[[Context, str], list[Module]], ...] = (
    _in_config,
    _in_modules_dep,
    _by_alias("symbols", "symbol", "symbol:"),
    _in_commands,
    _by_alias("alias", "alias"),
    _builtin,
    _by_alias("builtin.alias", "alias"),
)
NAME_PLACES = (_in_modules_dep, _builtin, _by_alias("builtin.alias", "alias"))
