# SPDX-License-Identifier: GPL-2.0-only
"""modprobe.d: which files are read, in which order, and what their lines say (kmod 30
``libkmod/libkmod-config.c``, modprobe.d(5)).

Every entry keeps the line it came from: a plan can say "blacklisted in /etc/modprobe.d/x.conf line 3".
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from ..elf import host_error
from ..fnmatch import Pattern, compile_pattern
from .cmdline import parse_cmdline
from .log import Log, decode, encode

# default_config_paths in libkmod/libkmod.c, with Debian's sysconfdir
FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/lib/modprobe.d")
SOFTDEP_FILE = "modules.softdep"  # depmod's, in the modules' folder; takes its place among the others' names
ENDINGS = (".conf", ".alias")
LONGEST_PATH = 4095  # PATH_MAX less the final zero
SPACES = "\t\n\v\f\r "  # isspace(3) in the C locale


class Entry(NamedTuple):
    """One line: ``key`` is the module's name (an alias's own text), ``value`` what follows it."""

    key: str
    value: str
    where: str


class Softdep(NamedTuple):
    """What should be loaded before and after a module, and where that is said."""

    key: str
    pre: tuple[str, ...]
    post: tuple[str, ...]
    where: str

    @property
    def value(self) -> str:
        lists = (("pre", self.pre), ("post", self.post))
        # softdep_to_char puts no blank between the two
        return "".join(f"{word}: {' '.join(names)}" for word, names in lists if names)


T = TypeVar("T", Entry, Softdep)


class Matcher(Generic[T]):
    """Entries whose key is a pattern (fnmatch) for a name; those without wildcards are found by a table."""

    def __init__(self, entries: Iterable[T]) -> None:
        self._plain: dict[bytes, list[tuple[int, T]]] = {}
        self._patterns: list[tuple[int, Pattern, T]] = []
        for number, entry in enumerate(entries):
            pattern = compile_pattern(encode(entry.key))
            if pattern.literal is not None:
                self._plain.setdefault(pattern.literal, []).append((number, entry))
            else:
                self._patterns.append((number, pattern, entry))

    def all(self, name: str) -> list[T]:
        """All that fit, in the order of the files."""
        text = encode(name)
        found = self._plain.get(text, []) + [(n, entry) for n, p, entry in self._patterns if p.fits(text)]
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    def first(self, name: str) -> T | None:
        """The one that counts where only the first does: commands and soft dependencies."""
        found = self.all(name)
        return found[0] if found else None


@dataclass
class Config:
    """All entries in the order in which they were read; look-ups are made when first asked for."""

    blacklist: list[Entry] = field(default_factory=list)
    install: list[Entry] = field(default_factory=list)
    remove: list[Entry] = field(default_factory=list)
    alias: list[Entry] = field(default_factory=list)
    options: list[Entry] = field(default_factory=list)
    softdep: list[Softdep] = field(default_factory=list)
    _matchers: dict[str, Matcher] = field(default_factory=dict, repr=False)

    def matching(self, kind: str) -> Matcher:
        """The entries of one kind by name: ``matching("install").first("pcspkr")``."""
        if kind not in self._matchers:
            self._matchers[kind] = Matcher(getattr(self, kind))
        return self._matchers[kind]


def read_config(
    dirname: str, paths: Iterable[str], cmdline: str, log: Log, given: Mapping[str, bytes] | None = None
) -> Config:
    """The configuration as libkmod has it at its start: depmod's softdeps, files and folders, the kernel's
    command line. What is not there is left out silently; bad lines are complaints in ``log``.

    ``given``: path -> contents, which stand in for the host's files.
    """
    config = Config()
    for path in config_files(dirname, paths, log, given):
        if len(encode(path)) > LONGEST_PATH:
            log.library("libkmod-config.c:936", "kmod_config_new", f"Error parsing {path}: path too long")
            continue
        text = _read(path) if given is None else decode(given.get(path, b""))
        if text is not None:
            parse(config, text, path, log)
    parse_cmdline(cmdline, config.blacklist, config.options, Entry, log)
    return config


def config_files(
    dirname: str, paths: Iterable[str], log: Log, given: Mapping[str, bytes] | None = None
) -> list[str]:
    """The files to be read, sorted by name without their folder. Of two of one name only that of the earlier
    folder counts: /etc/modprobe.d/x.conf hides /lib/modprobe.d/x.conf (``conf_files_insert_sorted``)."""
    found: dict[bytes, str] = {encode(SOFTDEP_FILE): f"{dirname}/{SOFTDEP_FILE}"}
    for path in paths:
        if given is not None:
            inside = (file.removeprefix(f"{path}/") for file in given if file.startswith(f"{path}/"))
            for name in (name for name in inside if _is_wanted(name)):
                found.setdefault(encode(name), f"{path}/{name}")
            if path in given:
                found.setdefault(encode(path.rpartition("/")[2]), path)
            continue
        try:
            names = _names(path, log) if os.path.isdir(path) else None
            if names is None and os.path.exists(path):
                found.setdefault(encode(path.rpartition("/")[2]), path)
        except ValueError:  # a zero byte in the path
            continue
        for name in names or ():
            found.setdefault(encode(name), f"{path}/{name}")
    return [found[name] for name in sorted(found)]


def _names(path: str, log: Log) -> list[str]:
    try:
        names = os.listdir(path)
    except OSError as error:
        text = f"opendir({path}): {host_error(error).strerror}"
        log.library("libkmod-config.c:868", "conf_files_list", text)
        return []
    return [name for name in names if _is_wanted(name) and not _is_folder(path, name, log)]


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and len(name) >= 6 and name.endswith(ENDINGS) and "/" not in name


def _is_folder(path: str, name: str, log: Log) -> bool:
    if not os.path.isdir(f"{path}/{name}"):
        return False
    log.library(
        "libkmod-config.c:772", "conf_files_filter_out",
        f"Directories inside directories are not supported: {path}/{name}",
    )  # fmt: skip
    return True


def _read(path: str) -> str | None:
    """The file's text; None where it cannot be read (libkmod says nothing), or is no file but a device."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            return decode(file.read())
    except OSError:
        return None


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number of the last physical line, text): a backslash joins lines, before other letters it vanishes
    (``shared/util.c:freadline_wrapped``). A zero byte ends the text of its line."""
    number, collected, at = 0, [], 0
    while at < len(text):
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        slash = text.find("\\", at, end)
        if slash < 0:
            collected.append(text[at:end])
            number += 1
            if end < len(text) or any(collected):
                yield number, "".join(collected).partition("\0")[0]
            collected, at = [], end + 1
            continue
        collected.append(text[at:slash])
        if text.startswith("\\\n", slash):
            number += 1
        else:  # at the end of the file EOF itself is kept, as the byte 0xff
            collected.append(text[slash + 1 : slash + 2] or "\udcff")
        at = slash + 2
    if any(collected):
        yield number + 1, "".join(collected).partition("\0")[0]


def parse(config: Config, text: str, path: str, log: Log) -> None:
    """Add the lines of one file to ``config`` (``kmod_config_parse``)."""
    for number, line in logical_lines(text):
        if not line or line.startswith("#"):
            continue
        command, rest = token(line)
        if not command:
            continue
        where = f"{path} line {number}"
        if command in ("include", "config"):
            log.library("libkmod-config.c:708", "kmod_config_parse",
                        f"{path}: command {command} is deprecated and not parsed anymore")  # fmt: skip
        elif command not in COMMANDS or not COMMANDS[command](config, rest, where):
            log.library("libkmod-config.c:712", "kmod_config_parse",
                        f"{path} line {number}: ignoring bad line starting with '{command}'")  # fmt: skip


def token(text: str) -> tuple[str, str]:
    """The first word, and all behind the one blank or tab that ends it (strtok_r)."""
    text = text.lstrip("\t ")
    for at, letter in enumerate(text):
        if letter in "\t ":
            return text[:at], text[at + 1 :]
    return text, ""


def underscores(text: str) -> str | None:
    """Dashes as underscores, but not inside ``[…]``; None for nothing, and brackets that do not fit."""
    if not text:
        return None
    parts, at = [], 0
    while at < len(text):
        opening = text.find("[", at)
        plain = text[at:] if opening < 0 else text[at:opening]
        if "]" in plain:
            return None
        parts.append(plain.replace("-", "_"))
        if opening < 0:
            break
        closing = text.find("]", opening)
        if closing < 0:
            return None
        parts.append(text[opening : closing + 1])
        at = closing + 1
    return "".join(parts)


def _alias(config: Config, rest: str, where: str) -> bool:
    alias, rest = token(rest)
    name, _ = token(rest)
    key, value = underscores(alias), underscores(name)
    if key is None or value is None:
        return False
    config.alias.append(Entry(key, value, where))
    return True


def _blacklist(config: Config, rest: str, where: str) -> bool:
    key = underscores(token(rest)[0])
    if key is not None:
        config.blacklist.append(Entry(key, "", where))
    return key is not None


def _named(kind: str) -> Callable[[Config, str, str], bool]:
    """A line whose second word is a module and whose rest counts as it stands: options, install, remove."""

    def add(config: Config, rest: str, where: str) -> bool:
        name, rest = token(rest)
        key = underscores(name)
        if key is None or not rest:
            return False
        text = rest.replace("\t", " ") if kind == "options" else rest
        getattr(config, kind).append(Entry(key, text, where))
        return True

    return add


def _softdep(config: Config, rest: str, where: str) -> bool:
    name, rest = token(rest)
    key = underscores(name)
    if key is None or not rest:
        return False
    lists: dict[str, list[str]] = {"pre:": [], "post:": []}
    mode = ""
    for word in _words(rest):
        if word in lists:
            mode = word
        elif mode:
            lists[mode].append(word)
    config.softdep.append(Softdep(key, tuple(lists["pre:"]), tuple(lists["post:"]), where))
    return True


def _words(text: str) -> Iterator[str]:
    """The words as kmod 30 cuts them: after exactly one leading blank the blank stays with the first word,
    so that ``softdep a  pre: b`` says nothing (``kmod_config_add_softdep``)."""
    start, was_space = 0, False
    for at, letter in enumerate(text):
        if letter not in SPACES:
            was_space = False
        elif was_space:
            start = at + 1
        else:
            was_space = True
            if start < at:
                yield text[start:at]
                start = at + 1
    if not was_space:
        yield text[start:]


COMMANDS: dict[str, Callable[[Config, str, str], bool]] = {
    "alias": _alias,
    "blacklist": _blacklist,
    "options": _named("options"),
    "install": _named("install"),
    "remove": _named("remove"),
    "softdep": _softdep,
}
