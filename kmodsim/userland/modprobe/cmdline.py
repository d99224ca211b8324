# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's command line as modprobe reads it: ``modprobe.blacklist=a,b`` and ``module.param=value``
(kmod 30 ``libkmod/libkmod-config.c:kmod_config_parse_kcmdline``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from .log import Log

LIMIT = 4095  # KCMD_LINE_SIZE less the final zero
WHERE = "/proc/cmdline"
SPACES = " \n\t\v\f\r"
T = TypeVar("T")


def parse_cmdline(
    text: str, blacklist: list[T], options: list[T], entry: Callable[[str, str, str], T], log: Log
) -> None:
    """Add what the command line says to both lists. All of ``module.param`` words become options, also those
    of built-in modules and of what only looks like a module."""
    from .config import underscores

    for module, parameter in parameters(text):
        if module == "modprobe" and parameter.startswith("blacklist="):
            blacklist += [entry(name, "", WHERE) for name in parameter[10:].split(",")]
            continue
        name = underscores(module) if module else ""
        if name is None:
            log.library(
                "libkmod-config.c:489", "kcmdline_parse_result",
                f"Ignoring bad option on kernel command line while parsing module name: '{module}'",
            )  # fmt: skip
        else:
            options.append(entry(name, parameter, WHERE))


def parameters(text: str) -> Iterator[tuple[str, str]]:
    """(module, ``param=value`` or ``param``) of each word that has the form ``module.param…``.

    Blanks count inside quotes of a value. A boot loader may have quoted the whole word: then the quote is
    moved to where the value begins.
    """
    text = text[:LIMIT].partition("\0")[0]
    for word in _words(text):
        quoted = word.startswith('"')
        body = word[1:] if quoted else word
        name, _, value = body.partition("=")
        module, dot, parameter = name.partition(".")
        if not dot or "." in parameter or '"' in name or any(space in name for space in SPACES):
            continue
        if quoted and "=" not in body:
            continue
        yield module, (f'{parameter}="{value}' if quoted else body[len(module) + 1 :])


def _words(text: str) -> Iterator[str]:
    start, inside = 0, False
    for at, letter in enumerate(text + " "):
        if letter == '"':
            inside = not inside
        elif letter in SPACES and not inside:
            if at > start:
                yield text[start:at]
            start = at + 1
