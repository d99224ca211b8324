# SPDX-License-Identifier: GPL-2.0-only
"""depmod.d: which modules win over others of the same name, and where else to look (kmod 30
``tools/depmod.c:cfg_load``, depmod.d(5)).

All that is read here are bytes, as paths are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..elf import host_error
from ..modprobe.config import logical_lines
from ..modprobe.log import ERR, INFO, Log, decode, encode
from .posix import compile_extended

# default_cfg_paths, with Debian's sysconfdir
FOLDERS = ("/etc/depmod.d", "/run/depmod.d", "/usr/local/lib/depmod.d", "/lib/depmod.d")
BUILT_IN, EXTERNAL = b"built-in", b"external"  # the two words of a search line that are no folders
# what a line does, given its words, the release, its place and the log; False: the line is wrong
Line = Callable[["Config", list[str], str, str, Log], bool]
ALWAYS_LEFT_OUT = (b"build", b"source")


@dataclass
class Config:
    """The lines in the order in which depmod goes through them: the last line first."""

    searches: list[bytes] = field(default_factory=list)
    overrides: list[bytes] = field(default_factory=list)  # folder/name, without an ending
    externals: list[bytes] = field(default_factory=list)
    excludes: set[bytes] = field(default_factory=set)


def read_config(paths: Iterable[str], release: str, log: Log) -> Config:
    """Read the files of ``paths`` (files, or folders of ``*.conf``) for the kernel ``release``."""
    config = Config()
    for path in config_files(paths, log):
        _read(config, path, release, log)
    for entries in (config.searches, config.overrides, config.externals):
        entries.reverse()
    if not config.searches:
        config.searches.append(b"updates")
    return config


def config_files(paths: Iterable[str], log: Log) -> list[str]:
    """Sorted by name without the folder; of two of one name the earlier folder's counts
    (``cfg_files_insert_sorted``)."""
    found: dict[bytes, str] = {}
    for path in paths:
        try:
            if os.path.isdir(path):
                for name in _names(path, log):
                    found.setdefault(encode(name), f"{path}/{name}")
            elif os.path.exists(path):
                found.setdefault(encode(path.rpartition("/")[2]), path)
        except ValueError:  # a zero byte
            continue
    return [found[name] for name in sorted(found)]


def _names(path: str, log: Log) -> list[str]:
    try:
        names = os.listdir(path)
    except OSError as error:
        log.tool(ERR, f"files list {path}: {host_error(error).strerror}")
        return []
    wanted: list[str] = []
    folder = False
    for name in names:
        if name.startswith("."):
            continue
        if len(encode(name)) < 6 or not name.endswith(".conf"):
            log.tool(INFO, f"All cfg files need .conf: {path}/{name}")
            continue
        # of a link that leads nowhere kmod believes what it knows of the entry before
        folder = os.path.isdir(f"{path}/{name}") if os.path.exists(f"{path}/{name}") else folder
        if folder:
            log.tool(ERR, f"Directories inside directories are not supported: {path}/{name}")
        else:
            wanted.append(name)
    return wanted


def _read(config: Config, path: str, release: str, log: Log) -> None:
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return  # a device or a pipe: kmod reads it, here that could last for ever
        with open(path, "rb") as file:
            text = decode(file.read())
    except OSError as error:
        log.tool(ERR, f"file parse {path}: {host_error(error).strerror}")
        return
    for number, line in logical_lines(text):
        words = [word for word in re.split("[\t ]+", line) if word]
        if not line or line.startswith("#") or not words:
            continue
        command, rest = words[0], words[1:]
        place = f"{path}:{number}"
        if command not in COMMANDS or not COMMANDS[command](config, rest, release, place, log):
            log.tool(ERR, f"{place}: ignoring bad line starting with '{command}'")


def _search(config: Config, words: list[str], release: str, place: str, log: Log) -> bool:
    config.searches += map(encode, words)
    return True


def _exclude(config: Config, words: list[str], release: str, place: str, log: Log) -> bool:
    config.excludes.update(map(encode, words))
    return True


def _override(config: Config, words: list[str], release: str, place: str, log: Log) -> bool:
    if len(words) < 3:
        return False
    name, version, folder = words[:3]
    if matches(version, release):
        config.overrides.append(encode(f"{folder}/{name}"))
    else:
        log.tool(INFO, f"{place}: override kernel did not match {version}")
    return True


def _external(config: Config, words: list[str], release: str, place: str, log: Log) -> bool:
    if len(words) < 2:
        return False
    version, folder = words[:2]
    if matches(version, release):
        config.externals.append(encode(folder))
    else:
        log.tool(INFO, f"{place}: external directory did not match {version}")
    return True


def _later(command: str) -> Line:
    def say(config: Config, words: list[str], release: str, place: str, log: Log) -> bool:
        log.tool(INFO, f"{place}: command {command} not implemented yet")
        return True

    return say


COMMANDS: dict[str, Line] = {
    "search": _search, "override": _override, "external": _external, "exclude": _exclude,
    "include": _later("include"), "make_map_files": _later("make_map_files"),
}  # fmt: skip


def matches(pattern: str, release: str) -> bool:
    """Whether a line is for this kernel: ``*``, or an extended regular expression found in the release
    (``cfg_kernel_matches``)."""
    if pattern == "*":
        return True
    compiled = compile_extended(pattern)
    return compiled is not None and compiled.search(release) is not None
