# SPDX-License-Identifier: GPL-2.0-only
"""Which module files there are, and which of two with one name counts (kmod 30
``tools/depmod.c:depmod_modules_search``, ``depmod_module_is_higher_priority``, ``depmod_modules_sort``)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import WouldWait
from ..elf import host_error
from ..modprobe.log import ERR, WARNING, Log, decode
from .config import ALWAYS_LEFT_OUT, BUILT_IN, EXTERNAL, Config
from .hashing import MODULE_BUCKETS, in_hash_order

ENDINGS = (b".ko", b".ko.gz", b".ko.xz", b".ko.zst")
ORDER_FILE = "modules.order"
LONGEST_LINE = 4095  # what fgets(3) takes of a line with PATH_MAX bytes of room
FIRST_FD = 3  # the descriptor of the top folder; messages name it
OPEN_FILES = 1024  # the usual RLIMIT_NOFILE: the depth at which folders that contain themselves end
MOST_FOLDERS = 50_000  # so many are never met, unless links multiply them


class SearchFailed(Exception):
    """The folder of modules cannot be read; the text is the error's."""


@dataclass
class Module:
    """One file. ``relative`` is its path below the folder of modules, or None for one outside."""

    name: bytes
    path: bytes
    relative: bytes | None
    index: int = 0  # its place in modules.dep

    @property
    def shown(self) -> bytes:
        """The path as modules.dep has it."""
        return self.path if self.relative is None else self.relative

    @property
    def key(self) -> bytes | None:
        """The relative path with the ending .ko: what modules.order lists."""
        if self.relative is None:
            return None
        folder = self.relative[: self.relative.rfind(b"/") + 1]
        return self.relative[: len(folder) + len(self.name) + 3]


def module_name(path: bytes) -> bytes:
    """Up to the first dot of the file's name, dashes as underscores (``path_to_modname``)."""
    return path[path.rfind(b"/") + 1 :].partition(b".")[0].replace(b"-", b"_")


class Search:
    """Collects the modules below a folder and below the external ones of the configuration."""

    def __init__(self, dirname: bytes, config: Config, log: Log) -> None:
        self.dirname, self.config, self.log = dirname, config, log
        self.found: dict[bytes, Module] = {}
        self.folders = 0

    def all(self) -> dict[bytes, Module]:
        """By name. ``SearchFailed`` when the main folder is not there."""
        self._top(self.dirname)
        for folder in self.config.externals:
            try:
                self._top(folder)
            except SearchFailed:
                pass
        return self.found

    def add(self, path: bytes, behind_link: bool = False) -> None:
        """Take a file, unless there is a better one of that name."""
        name = module_name(path)
        old = self.found.get(name)
        if old is not None and not self._better(path, name, old):
            return
        try:
            os.stat(path) if behind_link else None
        except OSError as error:  # too many links on the way, or too long a path
            why = host_error(error).strerror
            self.log.tool(ERR, f"could not create module {decode(path)}: {why}")
            self.log.tool(ERR, f"failed {decode(path)}: {why}")
            return
        self.found[name] = self.module(path)

    def module(self, path: bytes) -> Module:
        inside = path.startswith(self.dirname + b"/")
        return Module(module_name(path), path, path[len(self.dirname) + 1 :] if inside else None)

    # -- folders

    def _top(self, folder: bytes) -> None:
        try:
            entries = os.scandir(folder)
        except (OSError, ValueError) as error:
            text = host_error(error).strerror
            self.log.tool(ERR, f"could not open directory {decode(folder)}: {text}")
            raise SearchFailed(text) from None
        with entries:
            self._walk(entries, folder + b"/")

    def _walk(self, top: Iterator[os.DirEntry[bytes]], shown: bytes) -> None:
        """Files and folders in the order in which the file system lists them. ``shown`` is the path as kmod
        writes it; folders behind links are read by their real path, however long the shown one gets."""
        stack = [(top, shown, False)]
        while stack:
            entries, shown, behind_link = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
            elif entry.name not in ALWAYS_LEFT_OUT and entry.name not in self.config.excludes:
                kind = self._kind(entry, shown, FIRST_FD + len(stack) - 1)
                if kind == "file" and entry.name.endswith(ENDINGS) and entry.name not in ENDINGS:
                    self.add(shown + entry.name, behind_link)
                elif kind == "folder":
                    inner = self._enter(entry, FIRST_FD + len(stack) - 1)
                    if inner is not None:
                        stack.append((inner, shown + entry.name + b"/", behind_link or entry.is_symlink()))

    def _kind(self, entry: os.DirEntry[bytes], shown: bytes, fd: int) -> str:
        if entry.is_file(follow_symlinks=False):
            return "file"
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        try:
            mode = os.stat(entry.path).st_mode
        except OSError as error:
            self.log.tool(ERR, f"fstatat({fd}, {decode(entry.name)}): {host_error(error).strerror}")
            return ""
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return "file" if stat.S_ISREG(mode) else "folder"
        path = decode(shown + entry.name)
        self.log.tool(ERR, f"unsupported file type {path}: {stat.S_IFMT(mode):o}")
        return ""

    def _enter(self, entry: os.DirEntry[bytes], fd: int) -> Iterator[os.DirEntry[bytes]] | None:
        self.folders += 1
        if self.folders > MOST_FOLDERS:
            raise WouldWait("links lead from folder to folder in circles", stage="depmod_modules_search_dir")
        why = "Too many open files" if fd + 1 >= OPEN_FILES else ""
        if not why:
            try:
                path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                with os.scandir(path) as entries:
                    return iter(list(entries))
            except OSError as error:
                why = host_error(error).strerror
        self.log.tool(ERR, f"openat({fd}, {decode(entry.name)}, O_RDONLY): {why}")
        return None

    # -- which of two

    def _better(self, path: bytes, name: bytes, old: Module) -> bool:
        """Whether a new file of that name takes the old one's place."""
        new_base = path[: path.rfind(b"/") + 1] + name
        old_base = old.path[: old.path.rfind(b"/") + 1] + name
        new_inside, old_inside = (self._inside(base) for base in (new_base, old_base))
        for override in self.config.overrides:
            if override == new_inside:
                return True
            if override == old_inside:
                return False
        return self._rank(new_base, new_inside, old_base, old_inside)

    def _inside(self, base: bytes) -> bytes:
        """What is compared with relative paths: a path that only begins like the folder counts too."""
        return base[len(self.dirname) + 1 :] if base.startswith(self.dirname) else b""

    def _rank(self, new: bytes, new_inside: bytes, old: bytes, old_inside: bytes) -> bool:
        built_in = new_rank = old_rank = -1
        number = 0
        for search in self.config.searches:
            if search == BUILT_IN:
                built_in = number
            elif search == EXTERNAL:
                for folder in self.config.externals:
                    new_rank = number if new.startswith(folder + b"/") else new_rank
                    old_rank = number if old.startswith(folder + b"/") else old_rank
                    number += 1
            elif new_inside.startswith(search + b"/"):
                new_rank = number
            elif old_inside.startswith(search + b"/"):
                old_rank = number
            number += 1
        new_rank = built_in if new_rank < 0 else new_rank
        old_rank = built_in if old_rank < 0 else old_rank
        return new_rank > old_rank


# -- their order


def in_order(found: dict[bytes, Module], dirname: bytes, log: Log) -> list[Module]:
    """The modules as modules.order lists them; behind those the others, in the order of a hash table."""
    modules = [found[name] for name in in_hash_order(found, MODULE_BUCKETS)]
    text = read_beside(dirname, ORDER_FILE, log)
    places = None if text is None else _places(text, dirname, log)
    if places is not None:
        modules.sort(key=lambda module: places.get(module.key, 1))
    for index, module in enumerate(modules):
        module.index = index
    return modules


def read_beside(dirname: bytes, name: str, log: Log) -> bytes | None:
    """One of the kernel's own files in the folder of modules; None, with a warning, when it is not there
    (``dfdopen``)."""
    shown = decode(dirname)
    try:
        os.stat(dirname)
    except (OSError, ValueError) as error:
        log.tool(WARNING, f"could not open directory {shown}: {host_error(error).strerror}")
        return None
    path = os.path.join(dirname, os.fsencode(name))
    try:
        if not os.path.isfile(path) and os.path.exists(path):
            return b""  # a folder is opened and cannot be read; a pipe could last for ever
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        log.tool(WARNING, f"could not open {name} at {shown}: {host_error(error).strerror}")
        return None


def c_lines(text: bytes, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines as fgets(3) gives them, each up to its first zero byte; long ones come in pieces."""
    for line in text.splitlines(keepends=True) if b"\r" not in text else _lines(text):
        for at in range(0, len(line), longest):
            yield line[at : at + longest].partition(b"\0")[0]


def _lines(text: bytes) -> Iterator[bytes]:
    parts = text.split(b"\n")
    yield from (part + b"\n" for part in parts[:-1])
    if parts[-1]:
        yield parts[-1]


def _places(text: bytes, dirname: bytes, log: Log) -> dict[bytes | None, int] | None:
    lines = list(c_lines(text))
    for number, line in enumerate(lines, 1):
        if line and not line.endswith(b"\n"):
            where = f"{decode(dirname)}/{ORDER_FILE}:{number}"
            log.tool(ERR, f"{where} corrupted line misses '\\n'")
            return None
    return {line[:-1]: number - len(lines) - 1 for number, line in enumerate(lines, 1) if line}
