# SPDX-License-Identifier: GPL-2.0-only
"""Command-line options the way the GNU C library's ``getopt_long`` reads them, with its messages.

The tools' users know its habits: options anywhere among the words, ``--`` ends them, a long option may be
shortened while it stays unique, and every complaint begins with the program's name (glibc
``posix/getopt.c``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


class UsageError(Exception):
    """The command line is wrong; the text is the line that getopt prints."""


def getopt(
    argv: Sequence[str], short: str, long: dict[str, str], words: list[str]
) -> Iterator[tuple[str, str]]:
    """Yield the options of ``argv`` as ``(letter, value)`` in order; ``words`` receives the rest, at the end.

    ``short`` is getopt's string (``"adF:"``: F takes a value), ``long`` maps a long name to its short letter.
    Raises ``UsageError`` where the real one complains, so that what stands before has taken effect.
    """
    program, rest = argv[0], list(argv[1:])
    while rest:
        word = rest.pop(0)
        if word == "--":
            words += rest
            return
        if word.startswith("--"):
            yield _long_option(program, word[2:], rest, short, long)
        elif word.startswith("-") and word != "-":
            yield from _short_options(program, word[1:], rest, short)
        else:
            words.append(word)


def _takes_value(short: str, letter: str) -> bool:
    return short.partition(letter)[2].startswith(":")


def _short_options(program: str, cluster: str, rest: list[str], short: str) -> Iterator[tuple[str, str]]:
    while cluster:
        letter, cluster = cluster[0], cluster[1:]
        if letter == ":" or letter not in short:
            raise UsageError(f"{program}: invalid option -- '{letter}'")
        value = ""
        if _takes_value(short, letter):
            if not cluster and not rest:
                raise UsageError(f"{program}: option requires an argument -- '{letter}'")
            value, cluster = (cluster or rest.pop(0)), ""
        yield letter, value


def _long_option(
    program: str, text: str, rest: list[str], short: str, long: dict[str, str]
) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    fits = [name] if name in long else [known for known in long if known.startswith(name)]
    if not fits:
        raise UsageError(f"{program}: unrecognized option '--{name}{equals}{value}'")
    others = [known for known in fits if long[known] != long[fits[0]]]
    if others:  # names for one and the same option may share a beginning
        choices = " ".join(f"'--{known}'" for known in (fits[0], *others))
        raise UsageError(
            f"{program}: option '--{name}{equals}{value}' is ambiguous; possibilities: {choices}"
        )
    letter = long[fits[0]]
    if not _takes_value(short, letter):
        if equals:
            raise UsageError(f"{program}: option '--{fits[0]}' doesn't allow an argument")
        return letter, ""
    if equals:
        return letter, value
    if not rest:
        raise UsageError(f"{program}: option '--{fits[0]}' requires an argument")
    return letter, rest.pop(0)
