# SPDX-License-Identifier: GPL-2.0-only
"""The words of the shell beside the module tools: looking at files, holding a module, explaining a load.

Messages are busybox's (1.35), whose cat, ls and grep an initramfs has. Each is a function of the shell, the
words and what the pipe brings (None: nothing), in one table with its help line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..errors import EISDIR, ENOTDIR, KernelError
from . import ToolResult, ended, paths
from .options import UsageError, getopt

if TYPE_CHECKING:
    from .shell import Shell

Run = Callable[["Shell", list[str], str | None], ToolResult]
PATTERN_LIMIT = 1000  # characters of a pattern for grep
HOST = "kmodsim"


class BuiltIn(NamedTuple):
    """One word: what it does, and its line in ``help``."""

    run: Run
    usage: str
    help: str


def _wrong(name: str, text: str, status: int = 1) -> ToolResult:
    return ToolResult(stderr=f"{name}: {text}\n", status=status)


def cat(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    if len(argv) == 1:
        return ToolResult(stdin or "")
    text, complaints = "", ""
    for path in argv[1:]:
        try:
            text += (stdin or "") if path == "-" else paths.read(shell.kernel, path)
        except KernelError as error:
            doing = "read error" if error.errno == EISDIR else f"can't open '{path}'"
            complaints += f"cat: {doing}: {error.strerror}\n"
    return ToolResult(text, complaints, 1 if complaints else 0)


def ls(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    """Names, one a line, without those that begin with a dot. Without a word: the samples, as if they lay
    here."""
    from .. import corpus

    words: list[str] = []
    try:
        hidden = "".join(letter for letter, _ in getopt(argv, "1aA", {}, words)).strip("1") != ""
    except UsageError as problem:
        return ToolResult(stderr=f"{problem}\n", status=1)
    if not words:
        return ToolResult("".join(f"{name}.ko\n" for name in corpus.samples()))
    text, complaints = "", ""
    for path in words:
        try:
            names = _names(shell, path)
        except KernelError as error:
            complaints += f"ls: {path}: {error.strerror}\n"
            continue
        heading = f"{path}:\n" if len(words) > 1 and names != [path] else ""
        text += heading + "".join(f"{name}\n" for name in names if hidden or not name.startswith("."))
    return ToolResult(text, complaints, 1 if complaints else 0)


def _names(shell: Shell, path: str) -> list[str]:
    """The names in a folder; a file's name is its own."""
    try:
        return paths.names(shell.kernel, path)
    except KernelError as error:
        if error.errno == ENOTDIR and paths.exists(shell.kernel, path):
            return [path]
        raise


def echo(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    words, end = argv[1:], "\n"
    if words[:1] == ["-n"]:
        words, end = words[1:], ""
    return ToolResult(" ".join(words) + end)


def grep(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    """Lines that match; a basic regular expression, as far as Python's can read it."""
    words: list[str] = []
    try:
        letters = "".join(letter for letter, _ in getopt(argv, "civnqFE", {}, words))
        if not words:
            raise UsageError("Usage: grep [-civnqFE] PATTERN [FILE]...")
        pattern = _pattern(words[0], letters)
    except UsageError as problem:
        return ToolResult(stderr=f"{problem}\n", status=2)
    source = cat(shell, ["cat", *words[1:]], stdin) if len(words) < 3 else _with_names(shell, words[1:])
    complaints = (
        source.stderr.replace("cat: can't open '", "grep: ").replace("':", ":").replace("cat:", "grep:")
    )
    found = [
        f"{number}:{line}" if "n" in letters else line
        for number, line in enumerate(source.stdout.splitlines(), 1)
        if bool(pattern.search(_content(line, len(words) > 2))) != ("v" in letters)
    ]
    text = f"{len(found)}\n" if "c" in letters else "".join(f"{line}\n" for line in found)
    return ToolResult("" if "q" in letters else text, complaints, 2 if complaints else 0 if found else 1)


def _with_names(shell: Shell, paths: list[str]) -> ToolResult:
    """Several files: each line has its file's name before it."""
    results = [(path, cat(shell, ["cat", path], None)) for path in paths]
    lines = [f"{path}:{line}\n" for path, result in results for line in result.stdout.splitlines()]
    return ToolResult("".join(lines), "".join(result.stderr for _, result in results))


def _content(line: str, named: bool) -> str:
    return line.partition(":")[2] if named else line


def _pattern(text: str, letters: str) -> re.Pattern[str]:
    if len(text) > PATTERN_LIMIT:
        raise UsageError("grep: pattern too long")
    if "F" in letters:
        text = re.escape(text)
    elif "E" not in letters:  # in a basic expression these mean themselves unless quoted
        text = re.sub(
            r"\\?[+?{}|()]", lambda match: match[0][1:] if match[0][0] == "\\" else "\\" + match[0], text
        )
    try:
        return re.compile(text, re.I if "i" in letters else 0)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"grep: bad regex '{text}': {error}") from None


def _part(name: str, cut: Callable[[list[str], int], list[str]]) -> Run:
    """head and tail: ten lines, ``-n N`` or ``-N`` of them."""

    def run(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
        words, count = argv[1:], "10"
        if words and re.fullmatch(r"-\d+", words[0]):
            count, words = words[0][1:], words[1:]
        elif words[:1] == ["-n"]:
            count, words = (words[1] if len(words) > 1 else ""), words[2:]
        if not re.fullmatch(r"[0-9]{1,9}", count):
            return _wrong(name, f"invalid number '{count}'")
        source = cat(shell, ["cat", *words], stdin)
        lines = cut(source.stdout.splitlines(keepends=True), int(count))
        return ToolResult("".join(lines), source.stderr.replace("cat:", f"{name}:"), source.status)

    return run


def wc(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    """Lines only (``wc -l``), the one count that is asked of a module list."""
    words = [word for word in argv[1:] if word != "-l"]
    source = cat(shell, ["cat", *words], stdin)
    name = f" {words[0]}" if words else ""
    return ToolResult(
        f"{source.stdout.count(chr(10))}{name}\n", source.stderr.replace("cat:", "wc:"), source.status
    )


def uname(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    words: list[str] = []
    try:
        letters = "".join(letter for letter, _ in getopt(argv, "asnrvmo", {}, words)) or "s"
    except UsageError as problem:
        return ToolResult(stderr=f"{problem}\n", status=1)
    profile = shell.kernel.profile
    values = {"s": "Linux", "n": HOST, "r": profile.release, "v": profile.uname_version, "m": "x86_64"}
    values["o"] = "GNU/Linux"
    return ToolResult(
        " ".join(value for key, value in values.items() if key in letters or "a" in letters) + "\n"
    )


def identity(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    who = f"{shell.caller}(root)" if shell.caller == 0 else str(shell.caller)
    return ToolResult(f"uid={who} gid={who} groups={who}\n")


def su(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    word = argv[1] if len(argv) > 1 else "root"
    uid = "0" if word == "root" else word
    if not re.fullmatch(r"[0-9]{1,9}", uid):
        return _wrong("su", f"unknown user {word}")
    shell.uid = int(uid)
    return ToolResult()


def _reference(method: str) -> Run:
    def run(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
        if len(argv) != 2:
            return _wrong(argv[0], "needs the name of one module")
        try:
            getattr(shell.kernel, method)(argv[1])
        except KernelError as error:
            return _wrong(argv[0], f"{argv[1]}: {error.strerror}")
        return ToolResult()

    return run


def explain(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    from .explain import explain as explain_load

    if len(argv) < 2:
        return _wrong("explain", "needs a module: explain hello howmany=3")
    try:
        explanation = explain_load(shell.kernel, argv[1], " ".join(argv[2:]))
    except KernelError as error:
        if error.errno is None:
            return ended("explain", error)
        return _wrong("explain", f"{argv[1]}: {error.strerror}")
    return ToolResult(str(explanation), status=0 if explanation.loaded else 1)


def calls(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    """What modules' code asked of the kernel during the last command that made some run, or (-a) ever."""
    words: list[str] = []
    try:
        every = "a" in [letter for letter, _ in getopt(argv, "a", {}, words)]
    except UsageError as problem:
        return ToolResult(stderr=f"{problem}\n", status=1)
    if len(words) > 1:
        return _wrong("calls", "at most one pattern: calls '*alloc*'")
    if shell.kernel.cpu is None:
        return _wrong("calls", "this kernel runs no code")
    from ..cpu.calls import CallList

    made = CallList(shell.kernel.calls if every else shell.last_calls)
    text = str(made.select(words[0] if words else "*"))
    return ToolResult(f"{text}\n" if text else "")


def flavour(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    """Whose tools the next lines call; without a word: whose they are now."""
    from .flavours import check

    if len(argv) < 2:
        return ToolResult(f"{shell.flavour}\n")
    try:
        check(argv[1])
    except ValueError as problem:
        return _wrong("flavour", str(problem))
    shell.flavour = argv[1]
    return ToolResult()


def leave(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    word = argv[1] if len(argv) > 1 else str(shell.status)
    if not re.fullmatch(r"[0-9]{1,9}", word):
        return _wrong("sh: exit", f"Illegal number: {word}", 2)
    shell.finished = True
    return ToolResult(status=int(word) & 0xFF)


def _help_lines() -> Iterator[str]:
    yield "The module tools, as on a real machine (each knows -h, but lsmod):\n"
    yield "  insmod FILE [PARAM=VALUE]...   rmmod MODULE...   lsmod   modinfo FILE   dmesg\n"
    yield "  modprobe [-r] [-v] [-D] NAME [PARAM=VALUE]...   depmod -n\n"
    yield "FILE may be the name of a sample (ls shows them) or a .ko file of yours. The other words:\n"
    for entry in WORDS.values():
        if entry.help:
            yield f"  {entry.usage:<31}{entry.help}\n"
    yield "Also: ; && || | > >> 2> 2>&1 >&2, quotes, # comments, $?, and * in paths of /proc and /sys.\n"


def help_(shell: Shell, argv: list[str], stdin: str | None) -> ToolResult:
    return ToolResult("".join(_help_lines()))


WORDS: dict[str, BuiltIn] = {
    "cat": BuiltIn(cat, "cat FILE...", "show files of the modelled kernel: /proc/modules, /sys/module/…"),
    "ls": BuiltIn(ls, "ls [FOLDER]", "the names in it; without a folder the sample modules"),
    "echo": BuiltIn(echo, "echo TEXT > FILE", "print, or write to a parameter"),
    "explain": BuiltIn(explain, "explain FILE [PARAM=VALUE]...", "load it and show every stage"),
    "calls": BuiltIn(calls, "calls [-a] [PATTERN]", "the kernel functions that a module's code called"),
    "hold": BuiltIn(_reference("hold"), "hold MODULE", "take a reference, as an open device does"),
    "release": BuiltIn(_reference("release"), "release MODULE", "give one back"),
    "su": BuiltIn(su, "su [UID]", "go on as this user; without a number as root"),
    "id": BuiltIn(identity, "id", "who is asking"),
    "flavour": BuiltIn(flavour, "flavour [NAME]", "whose tools: kmod, busybox, module-init-tools"),
    "uname": BuiltIn(uname, "uname [-asnrvmo]", "the kernel's names"),
    "grep": BuiltIn(grep, "grep PATTERN [FILE]...", "lines that match, also behind a pipe"),
    "head": BuiltIn(_part("head", lambda lines, n: lines[:n]), "head [-n N] [FILE]", "the first lines"),
    "tail": BuiltIn(_part("tail", lambda lines, n: lines[-n:] if n else []), "tail …", "the last lines"),
    "wc": BuiltIn(wc, "wc -l [FILE]", "how many lines"),
    "true": BuiltIn(lambda shell, argv, stdin: ToolResult(), "true", ""),
    "false": BuiltIn(lambda shell, argv, stdin: ToolResult(status=1), "false", ""),
    ":": BuiltIn(lambda shell, argv, stdin: ToolResult(), ":", ""),
    "help": BuiltIn(help_, "help", "this list"),
    "exit": BuiltIn(leave, "exit [STATUS]", "end the session"),
}  # fmt: skip
