# SPDX-License-Identifier: GPL-2.0-only
"""The language between host and probe: operations to lines, the probe's answer to dictionaries.

An operation is a dictionary with "op" (finit, init, delete, write, read, hold, release, snapshot, join, wait)
and the keys that probe.c knows for it; see ``KEYS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from kmodsim.errors import errno_name

Operation = Mapping[str, Any]
Answer = dict[str, Any]

KEYS: dict[str, str] = {
    "op": "what to do",
    "file": "a name in the table of files",
    "params": "the parameter line",
    "flags": "finit: MODULE_INIT_*; delete: O_*",
    "open": "finit: rdonly wronly rdwr path written directory pipe closed",
    "length": "init: instead of the file's length",
    "image_at": "init: instead of the image's address",
    "params_at": "instead of the parameter line's address",
    "name": "delete: the module's name",
    "name_at": "delete: instead of the name's address",
    "unmap": "ADDRESS:LENGTH unmapped before the call",
    "uid": "who calls",
    "caps": "the caller's capabilities as a bit mask",
    "comm": "the caller's name",
    "path": "file to read, write, hold",
    "data": "what to write",
    "slot": "which held descriptor",
    "module": "snapshot: of which module",
    "background": "do not wait: the slot to join later",
    "until": "background: go on when this module is listed",
    "settle": "milliseconds to wait after the call",
    "timeout": "milliseconds until the caller is given up",
}


def encode(value: object) -> str:
    """A value as one printable ASCII word, every other byte as %XX."""
    raw = value if isinstance(value, bytes) else str(value).encode("latin-1")
    return "".join(chr(c) if 0x20 < c < 0x7F and c != 0x25 else f"%{c:02x}" for c in raw)


def decode(word: str) -> str:
    return unquote_to_bytes(word).decode("latin-1")


def to_line(index: int, operation: Operation) -> str:
    """One line of the plan; unknown keys are an error, so that a typing mistake cannot record nonsense."""
    words = [f"index={index}"]
    for key, value in operation.items():
        if key not in KEYS:
            raise ValueError(f"unknown key {key!r} in operation {operation}")
        if value is None:
            continue
        value = f"/files/{value}" if key == "file" else value
        words.append(f"{key}={encode(value)}")
    return "\t".join(words)


def to_plan(operations: Iterable[Operation]) -> str:
    return "".join(to_line(index, operation) + "\n" for index, operation in enumerate(operations))


def parse_answer(text: str) -> list[Answer]:
    """The probe's text as one dictionary per operation, the first of them for the state after the boot."""
    answers: list[Answer] = []
    current: Answer = {}
    for line in text.splitlines():
        kind, *words = line.split("\t")
        if kind in ("begin", "op"):
            current = {"log": [], "files": {}}
            answers.append(current)
        elif kind in LINES:
            LINES[kind](current, *words)
    for answer in answers:
        _lift(answer)
    return answers


def _result(answer: Answer, result: str, errno: str, signal: str, early: str) -> None:
    answer["result"] = int(result)
    answer["errno"] = errno_name(int(errno)) if int(errno) else None
    if int(signal):
        answer["signal"] = int(signal)
    if int(early):
        answer["before_the_call"] = True


def _log(answer: Answer, record: str) -> None:
    """A record of /dev/kmsg: "priority,sequence,time,flags;text", control characters as \\xNN."""
    head, _, body = decode(record).partition(";")
    level = int(head.split(",")[0]) & 7
    answer["log"].append(f"<{level}>{_unescape(body.splitlines()[0] if body else '')}")


def _unescape(text: str) -> str:
    first, *rest = text.split("\\x")
    return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)


def _file(answer: Answer, path: str, content: str = "") -> None:
    failed = content.startswith("!") and content[1:].isdigit()
    answer["files"][decode(path)] = {"errno": errno_name(int(content[1:]))} if failed else decode(content)


def _mode(answer: Answer, path: str, mode: str) -> None:
    answer.setdefault("modes", {})[decode(path)] = mode


def _folder(answer: Answer, path: str) -> None:
    answer.setdefault("folders", []).append(decode(path))


def _link(answer: Answer, path: str) -> None:
    answer.setdefault("links", []).append(decode(path))


def _symbol(answer: Answer, line: str) -> None:
    answer.setdefault("symbols", []).append(decode(line))


def _blocked(answer: Answer) -> None:
    answer["blocked"] = True


LINES = {
    "blocked": _blocked,
    "result": _result,
    "log": _log,
    "file": _file,
    "mode": _mode,
    "dir": _folder,
    "link": _link,
    "symbol": _symbol,
}


def _lift(answer: Answer) -> None:
    """/proc/modules and the taints are part of every answer: give them names of their own."""
    files = answer["files"]
    answer["modules"] = files.pop("/proc/modules", "").splitlines()
    answer["tainted"] = int(files.pop("/proc/sys/kernel/tainted", "0"))
    if not files:
        del answer["files"]
