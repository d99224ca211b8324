# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim shell``: a root prompt on the modelled kernel, so that state lives through several commands.

The same shell runs lines from a pipe, from ``-c`` and from a notebook's cell (``kmodsim.magic``). It never
touches the host: the files it shows and writes are the modelled kernel's, from the host it only reads
module files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..errors import EACCES, EISDIR, ENOENT, ENOTDIR, EROFS, KernelError
from . import TOOLS, ToolResult, paths
from . import run as run_tool
from .flavours import check as check_flavour
from .syntax import END_OF_FILE, Command, Statement, SyntaxProblem, Word, parse

Write = Callable[[str], object]

NOT_FOUND = 127
NOWHERE, ERRORS = "/dev/null", "&2"
SYNTAX_STATUS = 2
# what open(2) answers; any other errno comes from write(2) (busybox shell/ash.c:openredirect)
CANNOT_OPEN = {EACCES, EISDIR, ENOENT, ENOTDIR, EROFS}
LINE_LIMIT = 1 << 20  # characters that wait for the rest of a statement
_VARIABLE = re.compile(r"\$(\?|[A-Za-z_]\w*|\{(?:\?|[A-Za-z_]\w*)\})")


class Shell:
    """One session: a kernel, who is asking, and the last status.

    ``out`` and ``err`` receive text as it comes. ``run`` and ``feed`` return statuses and raise nothing
    that was typed wrong; only what a caller's own callback or replaced stage raises passes through.
    ``flavour``: whose tools they are (``kmodsim.userland.flavours``); an unknown one is a ``ValueError``.
    """

    def __init__(self, kernel: Any, out: Write, err: Write | None = None, flavour: str = "kmod") -> None:
        check_flavour(flavour)
        self.kernel, self.flavour = kernel, flavour
        self.out, self.err = out, err or out
        self.status = 0
        self.uid: int | None = None  # None: whoever the kernel takes for its caller
        self.finished = False
        self.broken = False  # the last line was not the shell's language
        self.last_calls: list[Any] = []  # what the last command that made a module's code run asked for
        self._waiting = self._missing = ""

    @property
    def prompt(self) -> str:
        """``# `` for root, ``$ `` for others, ``> `` inside an unfinished statement."""
        if self._waiting:
            return "> "
        return "# " if self.caller == 0 else "$ "

    @property
    def caller(self) -> int:
        return int(self.kernel.uid if self.uid is None else self.uid)

    def run(self, text: str | Iterable[str]) -> int:
        """Run a script, a text or its lines as they come, up to ``exit`` or a syntax error; the last
        status."""
        for line in text.splitlines() if isinstance(text, str) else text:
            self.feed(line)
            if self.finished or self.broken:
                break
        else:
            self.end()
        self._waiting = ""
        return self.status

    def feed(self, line: str) -> int:
        """Take one line; it runs when the statement is complete."""
        self.broken = False
        text = self._waiting + line.rstrip("\n")
        try:
            statements = parse(text)
        except SyntaxProblem as problem:
            if problem.more and len(text) < LINE_LIMIT:
                self._waiting, self._missing = text + "\n", str(problem)
            else:
                self._complain(str(problem))
            return self.status
        self._waiting = ""
        for statement in statements:
            if not self.finished:
                self._statement(statement)
        return self.status

    def end(self) -> int:
        """The input is over: an unfinished statement is a syntax error; a last backslash means itself."""
        text = self._waiting.removesuffix("\n")
        if text.endswith("\\") and self._missing == END_OF_FILE:
            text = text[:-1] + "'\\'"
        self._waiting = ""
        if text:
            self.feed(text)
        if self._waiting:
            self._complain(self._missing)
        return self.status

    def forget(self) -> None:
        """Drop an unfinished statement."""
        self._waiting = ""

    def _complain(self, text: str) -> None:
        self._waiting = ""
        self.broken = True
        self.status = SYNTAX_STATUS
        self.err(f"sh: syntax error: {text}\n")

    def _statement(self, statement: Statement) -> None:
        if (statement.connector, self.status == 0) in (("&&", False), ("||", True)):
            return
        text = ""
        for position, command in enumerate(statement.pipeline):
            last = position == len(statement.pipeline) - 1
            result = self._command(command, text if position else None)
            text = result.stdout
            if last:
                self.out(result.stdout) if result.stdout else None
                self.status = result.status
            if result.stderr:
                self.err(result.stderr)

    def _command(self, command: Command, stdin: str | None) -> ToolResult:
        argv = [text for word in command.words for text in self._expand(word)]
        out, err = "", ERRORS  # where the streams go: "" the pipe or the terminal, else a file
        for operator, word in command.redirections:
            target = "".join(self._expand(word))
            if "&" in operator:
                target = out if operator.endswith("1") else err
            elif target != NOWHERE and not paths.exists(self.kernel, target):
                return _not_written(target, KernelError(ENOENT))  # the command does not start
            out, err = (out, target) if operator.startswith("2") else (target, err)
        return self._deliver(self._call(argv, stdin) if argv else ToolResult(), out, err)

    def _deliver(self, result: ToolResult, out: str, err: str) -> ToolResult:
        """Bring what a command wrote to where its streams go; what is left goes on."""
        texts = {"": "", ERRORS: ""}
        for target, text in ((out, result.stdout), (err, result.stderr)):
            texts[target] = texts.get(target, "") + text
        for target, text in texts.items():
            if target in ("", ERRORS, NOWHERE) or not text:
                continue
            try:
                with acting_as(self.kernel, self.uid):
                    paths.write(self.kernel, target, text)
            except KernelError as error:
                return _not_written(target, error)
        return replace(result, stdout=texts[""], stderr=texts[ERRORS])

    def _call(self, argv: list[str], stdin: str | None) -> ToolResult:
        before = len(self.kernel.calls)
        try:
            return self._run(argv, stdin)
        finally:
            self.last_calls = list(self.kernel.calls[before:]) or self.last_calls

    def _run(self, argv: list[str], stdin: str | None) -> ToolResult:
        from .words import WORDS

        try:
            with acting_as(self.kernel, self.uid):
                if argv[0] in TOOLS:
                    return run_tool(self.kernel, argv, flavour=self.flavour)
                if argv[0] in WORDS:
                    return WORDS[argv[0]].run(self, argv, stdin)
        except KernelError as error:  # no word should let one through; a shell lives on if one does
            return ToolResult(stderr=f"{argv[0]}: {error.strerror}\n", status=1, error=error)
        cause = (
            "not found" if argv[0] else "Permission denied"
        )  # busybox tries the folder itself for an empty name
        return ToolResult(stderr=f"sh: {argv[0]}: {cause}\n", status=NOT_FOUND)

    def _expand(self, word: Word) -> list[str]:
        """Variables, then patterns: the only variable is ``$?``, all others are empty."""
        text, pattern, quoted = "", "", False
        for piece in word:
            value = _VARIABLE.sub(self._variable, piece.text) if piece.expands else piece.text
            text += value
            pattern += re.sub(r"([*?[])", r"[\1]", value) if piece.quoted else value
            quoted |= piece.quoted
        if re.search(r"[*?[]", pattern) and pattern.startswith("/"):
            return paths.glob(self.kernel, pattern) or [text]
        return [text] if text or quoted else []

    def _variable(self, match: re.Match[str]) -> str:
        return str(self.status) if "?" in match[1] else ""


def _not_written(target: str, error: KernelError) -> ToolResult:
    if error.errno in CANNOT_OPEN:
        cause = "nonexistent directory" if error.errno == ENOENT else error.strerror
        return ToolResult(stderr=f"sh: can't create {target}: {cause}\n", status=1)
    return ToolResult(stderr=f"sh: write error: {error.strerror}\n", status=1)


@contextmanager
def acting_as(kernel: Any, uid: int | None) -> Iterator[None]:
    """While it lasts the kernel's caller is this user, with a user's ordinary capabilities; None: no
    change."""
    if uid is None:
        yield
        return
    before = kernel.uid, kernel.capabilities
    kernel.uid, kernel.capabilities = uid, None
    try:
        yield
    finally:
        kernel.uid, kernel.capabilities = before
