# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim explain foo.ko``: every stage of one load, and where it fails.

Tool line, errno, dmesg and stage stand together: insmod's four phrases fit some causes and mislead for
others.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from ..errors import KernelError, KernelOops, WouldWait, errno_name
from .dmesg import text_of
from .elf import find_file, open_module
from .insmod import mod_strerror

LABEL = 10  # columns of "in", "out", "bytes" and their blanks
MIN_WIDTH, DEFAULT_WIDTH = 40, 100


@dataclass(frozen=True)
class Explanation:
    """What one load did. ``str()`` is plain text in the terminal's width, ``to_dict()`` plain data for
    JSON."""

    filename: str
    params: str
    load: Any  # the Load
    modules_line: str  # its line of /proc/modules, "" when it did not load

    @property
    def error(self) -> KernelError | None:
        error: KernelError | None = self.load.error
        return error

    @property
    def loaded(self) -> bool:
        return self.error is None

    @property
    def tool_line(self) -> str:
        """What insmod prints: nothing when all went well."""
        return tool_line(self.filename, self.error)

    @property
    def dmesg(self) -> list[str]:
        """All records of the call, each with its level."""
        if self.error is not None and self.error.dmesg:
            return list(self.error.dmesg)
        return [line for record in self.load.trace for line in record.log]

    def __str__(self) -> str:
        return self.text(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns)

    def text(self, width: int = DEFAULT_WIDTH) -> str:
        """One block a stage, then the verdict; no line longer than ``width`` columns where words allow it."""
        width = max(MIN_WIDTH, width)
        lines = [f"insmod {self.filename} {self.params}".rstrip(), ""]
        for number, record in enumerate(self.load.trace, 1):
            lines += [*_block(number, record, width), ""]
        return "\n".join([*lines, *_verdict(self, width)]) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain data: strings, integers, lists. Bytes become hex; of changed ranges only place and length."""
        error = self.error
        return {
            "file": self.filename, "params": self.params, "loaded": self.loaded,
            "stages": [_record(number, record) for number, record in enumerate(self.load.trace, 1)],
            "failed": None if error is None else {
                "stage": error.stage, "errno": error.errno, "errno_name": _errno_name(error),
                "strerror": error.strerror, "why": error.why,
            },
            "insmod": self.tool_line, "dmesg": self.dmesg, "proc_modules": self.modules_line,
        }  # fmt: skip


def explain(kernel: Any, filename: str, params: str = "", uid: int | None = None) -> Explanation:
    """Load ``filename`` (a file or a sample's name) into ``kernel`` with a trace, and keep what happened.

    A load that fails is an explanation too. ``KernelError`` only when the file cannot be read at all.
    """
    path = find_file(filename, kernel)
    file = open_module(path)
    image: Any = path if file.direct else file.data
    named = {} if uid is None else {"uid": uid}
    load = kernel.load(image, params, trace=True, **named)
    name = load.module.name if load.error is None and load.module is not None else None
    return Explanation(filename, params, load, modules_line(kernel, name) if name else "")


def modules_line(kernel: Any, name: str) -> str:
    """The module's line of /proc/modules, "" when it has none."""
    lines = (line for line in kernel.read("/proc/modules").splitlines() if line.split(" ", 1)[0] == name)
    return next(lines, "")


def tool_line(filename: str, error: KernelError | None) -> str:
    """What insmod prints for that error of its system call."""
    if error is None or error.errno is None:
        return "Killed" if isinstance(error, KernelOops) else ""
    return f"insmod: ERROR: could not insert module {filename}: {mod_strerror(error.errno)}"


def _errno_name(error: KernelError) -> str | None:
    return None if error.errno is None else errno_name(error.errno)


def _block(number: int, record: Any, width: int) -> Iterator[str]:
    where = record.source if record.function == record.stage else f"{record.function}, {record.source}"
    heading = f"{number:2d} {record.stage}   ({where}, since {record.since})"
    yield from textwrap.wrap(heading, width, subsequent_indent=" " * LABEL, break_long_words=False)
    yield from _wrapped("", record.title, width)
    yield from _wrapped("in", _facts(record.inputs), width)
    yield from _wrapped("out", _facts(record.outputs), width)
    if len(record.changes):
        yield from _wrapped("bytes", _changed(record.changes), width)
    for line in record.log:
        yield from _wrapped("dmesg", text_of(line), width)
    yield from _wrapped("note", getattr(record, "note", ""), width)
    yield from _wrapped("fails", record.error or "", width)


def _wrapped(label: str, text: str, width: int) -> list[str]:
    if not text:
        return []
    first, rest = f"   {label:<{LABEL - 3}}", " " * LABEL
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _facts(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key}={short(value)}" for key, value in facts.items())


def short(value: Any, limit: int = 160) -> str:
    """A value in few letters: addresses in hex, long lists and tables by their length."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return hex(value) if value >= 1 << 20 else str(value)
    if isinstance(value, bytes):
        if value.isascii() and value.decode("ascii").isprintable():
            return repr(value)[1:] if len(value) <= limit else f"{len(value)} bytes"
        return f"{len(value)} bytes" if len(value) > 16 else value.hex(" ")
    if isinstance(value, (list, tuple, dict, set, frozenset)):
        if len(value) > 6 or len(repr(value)) > limit:
            return f"{len(value)} entries"
        pairs = value.items() if isinstance(value, dict) else None
        parts = [f"{k}: {short(v)}" for k, v in pairs] if pairs is not None else [short(v) for v in value]
        return "[" + ", ".join(parts) + "]"
    if is_dataclass(value) and not isinstance(value, type):
        return "[" + ", ".join(f"{f.name} {short(getattr(value, f.name))}" for f in fields(value)) + "]"
    text = str(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _changed(changes: Any) -> str:
    count, total = len(changes), sum(len(change.after) for change in changes)
    first = changes[0]
    where = f"{total:,} in {count:,} {'range' if count == 1 else 'ranges'}, the first at {first.start:#x}"
    if len(first.after) > 8 or first.before is None:
        return where
    return f"{where}: {bytes(first.before).hex(' ')} -> {bytes(first.after).hex(' ')}"


def _verdict(explanation: Explanation, width: int) -> list[str]:
    error = explanation.error
    if error is None:
        return ["It loads.", *_wrapped("list", explanation.modules_line, width)]
    return [
        f"It fails in {error.stage or 'the system call'}.",
        *failure_lines(explanation.filename, error, width),
    ]


def failure_lines(filename: str, error: KernelError, width: int = DEFAULT_WIDTH) -> list[str]:
    """Tool line, errno and dmesg of one failed call, together."""
    lines = _wrapped("tool", tool_line(filename, error), width) + _wrapped("errno", errno_words(error), width)
    for record in error.dmesg or ["<6>(nothing)"]:
        lines += _wrapped("dmesg", text_of(record), width)
    return lines + _wrapped("why", error.why, width)


def errno_words(error: KernelError) -> str:
    """``EINVAL (22): Invalid argument``, or what happened instead of an answer."""
    if isinstance(error, KernelOops):
        return "none: the kernel oopsed and killed the caller (signal 9)"
    if isinstance(error, WouldWait):
        return "none: the call would wait for ever"
    return f"{errno_name(error.errno)} ({error.errno}): {error.strerror}" if error.errno else error.strerror


def _record(number: int, record: Any) -> dict[str, Any]:
    return {
        "number": number, "stage": record.stage, "function": record.function, "source": record.source,
        "since": record.since, "title": record.title, "inputs": plain(record.inputs),
        "outputs": plain(record.outputs), "log": list(record.log), "error": record.error,
        "changes": [[int(change.start), len(change.after)] for change in record.changes],
    }  # fmt: skip


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers and strings stay, bytes become hex, the rest its text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    return str(value)
