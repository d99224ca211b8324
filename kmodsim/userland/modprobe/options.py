# SPDX-License-Identifier: GPL-2.0-only
"""modprobe's command line (kmod 30 ``tools/modprobe.c:do_modprobe``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...errors import MODULE_INIT_IGNORE_MODVERSIONS as IGNORE_MODVERSIONS
from ...errors import MODULE_INIT_IGNORE_VERMAGIC as IGNORE_VERMAGIC
from ..options import UsageError, getopt
from .log import CRIT, EMERG, WARNING

SHORT = "arw:RibfDcnC:d:S:sqvVh"
LONG = {
    "all": "a", "remove": "r", "remove-dependencies": "5", "remove-holders": "5", "wait": "w",
    "resolve-alias": "R", "first-time": "3", "ignore-install": "i", "ignore-remove": "i",
    "use-blacklist": "b", "force": "f", "force-modversion": "2", "force-vermagic": "1",
    "show-depends": "D", "showconfig": "c", "show-config": "c", "show-modversions": "4",
    "dump-modversions": "4", "show-exports": "6", "dry-run": "n", "show": "n", "config": "C",
    "dirname": "d", "set-version": "S", "syslog": "s", "quiet": "q", "verbose": "v", "version": "V",
    "help": "h",
}  # fmt: skip
NUMBER = re.compile(r"[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)\Z")


@dataclass
class Wish:
    """What the options ask for; the defaults are those of a bare ``modprobe NAME``."""

    words: list[str] = field(default_factory=list)
    show: str = ""  # "help", "version", "config", "modversions", "exports"
    all: bool = False
    remove: bool = False
    remove_holders: bool = False
    wait: int = 0  # ms
    first_time: bool = False
    ignore_commands: bool = False
    use_blacklist: bool = False
    flags: int = 0  # for finit_module: -f, --force-modversion, --force-vermagic
    force: bool = False
    ignore_loaded: bool = False
    dry_run: bool = False
    do_show: bool = False
    lookup_only: bool = False
    config: list[str] = field(default_factory=list)
    root: str | None = None
    version: str | None = None
    syslog: bool = False
    level: int = WARNING

    @property
    def severity(self) -> int:
        """How bad it is that a module is not there: -a goes on with the next one."""
        return WARNING if self.all else CRIT

    @property
    def shows(self) -> bool:
        """Whether each step is printed."""
        return self.do_show or self.level > WARNING


FLAGS: dict[str, dict[str, object]] = {
    "a": {"all": True}, "r": {"remove": True}, "5": {"remove_holders": True}, "3": {"first_time": True},
    "i": {"ignore_commands": True}, "b": {"use_blacklist": True}, "R": {"lookup_only": True},
    "D": {"ignore_loaded": True, "dry_run": True, "do_show": True}, "n": {"dry_run": True},
    "f": {"force": True, "flags": IGNORE_MODVERSIONS | IGNORE_VERMAGIC}, "s": {"syslog": True},
    "q": {"level": EMERG}, "h": {"show": "help"}, "V": {"show": "version"},
}  # fmt: skip
SHOWS = {"c": "config", "4": "modversions", "6": "exports"}  # several: the first of these counts
FORCES = {"1": IGNORE_VERMAGIC, "2": IGNORE_MODVERSIONS}


def parse(argv: Sequence[str], environment: str = "") -> Wish:
    """Read the options, those of $MODPROBE_OPTIONS first. ``UsageError``: the line to print, if any."""
    wish, shows, words = Wish(), set(), list[str]()
    argv = [argv[0], *split_environment(environment), *argv[1:]]
    # the digits stand for long options without a short one; as short ones getopt does not know them
    for letter, value in getopt(argv, SHORT, LONG, words):
        if letter in SHOWS:
            shows.add(letter)
        elif letter in FORCES:
            wish.flags |= FORCES[letter]
        elif letter == "w":
            wish.wait = _wait(value)
        elif letter == "C":
            wish.config.append(value)
        elif letter in "dS":
            setattr(wish, "root" if letter == "d" else "version", value)
        elif letter == "v":
            wish.level += 1
        for name, setting in FLAGS.get(letter, {}).items():
            setattr(wish, name, setting)
        if wish.show:  # -h and -V end at once
            return wish
    wish.words = words
    wish.show = next((SHOWS[letter] for letter in SHOWS if letter in shows), "")
    if not words and wish.show != "config":
        raise UsageError("" if wish.syslog else f"{argv[0]}: ERROR: missing parameters. See -h.")
    return wish


def _wait(text: str) -> int:
    """A number as strtoul(3) reads it with base 0."""
    match = NUMBER.match(text)
    if match is None:
        raise UsageError(f"modprobe: ERROR: unexpected wait value '{text}'.")
    digits = match[2]
    base = 16 if digits[:2] in ("0x", "0X") else 8 if digits.startswith("0") else 10
    value = min(int(digits, base), (1 << 64) - 1)
    return -value % (1 << 64) if match[1] == "-" else value


def split_environment(text: str) -> list[str]:
    """$MODPROBE_OPTIONS in words. Quotes keep blanks together and vanish; each blank ends a word, so two of
    them have an empty word between (``prepend_options_from_env``)."""
    words: list[str] = []
    start, at, opened = 0, 0, -1
    while at < len(text):
        letter = text[at]
        if opened < 0 and letter == " ":
            words.append(text[start:at])
            start = at + 1
        elif opened < 0 and letter in "\"'":
            opened = at
        elif opened >= 0 and letter == text[opened]:
            if opened == start:
                words.append(text[start + 1 : at])
                start = at + 1
            else:
                text = text[:opened] + text[opened + 1 : at] + text[at + 1 :]
                at -= 2
            opened = -1
        at += 1
    return words + ([text[start:]] if start < at else [])


def module_options(words: Sequence[str]) -> str:
    """The words behind the name as one text: a value with blanks is quoted (``options_from_array``)."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    name, equals, value = word.partition("=")
    if equals and value[:1] not in ('"', "'") and " " in value:
        return f'{name}="{value}"'
    return word
