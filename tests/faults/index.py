# SPDX-License-Identifier: GPL-2.0-only
"""docs/errnos.md: from an errno or a line of the log to the section of the course that explains it.

``python -m tests.faults.index`` writes the page from the rows, the recording and the notebooks' headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kmodsim.chapters import chapters
from kmodsim.errors import ERRNO
from kmodsim.userland.insmod import mod_strerror
from tests.realkernel.replay import case_ids, recorded

from .cases import all_cases
from .messages import MESSAGES, message_of
from .rows import ROWS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "errnos.md"
TABLE = "errno-table-6.1.json"
LOADS, UNLOADS = ("finit", "init"), ("delete",)
CUT = 900  # printk keeps about 1,000 bytes of a record; a longer one has lost its end

# row -> chapter and the number or first words of the section that explains it
SECTIONS: dict[str, tuple[str, str]] = {
    "permission": ("02", "3"),
    **dict.fromkeys([row for row in ROWS if row.startswith("finit-")], ("02", "5")),
    **dict.fromkeys(("init-length", "init-memory"), ("02", "4")),
    **dict.fromkeys([row for row in ROWS if row.startswith("signature-")], ("03", "1")),
    "unsigned-taint": ("03", "5"),
    **dict.fromkeys([row for row in ROWS if row.startswith("elf-")], ("03", "2")),
    **dict.fromkeys(("setup-symtab", "setup-this-module"), ("03", "3")),
    "blacklist": ("10", "4"),
    **dict.fromkeys(("layout-version", "versions-missing", "vermagic", "vermagic-missing"), ("03", "4")),
    **dict.fromkeys(("modinfo-taints", "exports-without-crc"), ("03", "5")),
    "write-exec": ("04", "3"),
    **dict.fromkeys(("layout-memory", "percpu-memory"), ("04", "5")),
    **dict.fromkeys(("name-live", "name-busy"), ("08", "1")),
    **dict.fromkeys(("symbol-unknown", "symbol-last-error", "symbol-common", "symbol-index"), ("05", "2")),
    "symbol-version": ("05", "4"),
    **dict.fromkeys(("symbol-provider-going", "symbol-provider-coming", "export-duplicate"), ("05", "7")),
    "symbol-special": ("05", "6"),
    "symbol-namespace": ("05", "5"),
    "symbol-proprietary": ("05", "3"),
    **dict.fromkeys(("relocation-type", "relocation-rel"), ("06", "2")),
    "relocation-target": ("06", "4"),
    "relocation-overflow": ("06", "5"),
    "params-pointer": ("02", "6"),
    **dict.fromkeys(("parameters", "parameters-sysfs"), ("07", "1")),
    "sysfs-name": ("07", "2"),
    **dict.fromkeys(("init-negative", "init-positive"), ("07", "What it returns")),
    **dict.fromkeys(("not-checked", "oops"), ("03", "7")),
    **dict.fromkeys([row for row in ROWS if row.startswith("delete-")], ("09", "2")),
    "delete-no-exit": ("09", "4"),
    "delete-held": ("09", "3"),
}  # fmt: skip

TEMPLATE = """\
<!-- SPDX-License-Identifier: CC-BY-SA-4.0 -->
<!-- Made by python -m tests.faults.index; do not edit. -->
# Errnos and messages

You have an errno, or a line of `dmesg`: here is what it can mean, and where the course explains it.
For a file of your own, `kmodsim why foo.ko` ([why](why.md)) finds out which of these it is.

Everything here was recorded from a running Linux 6.1 (Debian's 6.1.192-2); the formats and functions are
those of its source. What 5.10 and 6.12 say differently: [kernels](kernels.md).

## What insmod makes of an errno

Four of them get words of kmod's own, which fit one cause of many.

| errno | insmod says |
|---|---|
{insmod}

## insmod, modprobe: by errno

The tool shows only the errno's words; the log tells causes apart.

| errno | | what is wrong | explained in |
|---|---:|---|---|
{loads}

An errno that is not here came from the module's own init: any negative number that it returns is handed on
({init}).

## rmmod, modprobe -r: by errno

| errno | | what is wrong | explained in |
|---|---:|---|---|
{unloads}

## By message

`%s` stands for a name or a text, `%d` and `%u` for numbers, `%x` for a hex number. Then what the call
answered that said so: an errno, or that the module loads all the same.

| line of dmesg | the call | said by | explained in |
|---|---|---|---|
{messages}
"""


@cache
def _calls() -> dict[str, list[tuple[str, str | None, list[str]]]]:
    """row -> (call, errno, lines of the log), as recorded."""
    row_of = {case.id: case.row for case in all_cases()}
    found: dict[str, list[tuple[str, str | None, list[str]]]] = {row: [] for row in ROWS}
    for boot, case in case_ids(TABLE):
        for step in recorded(TABLE, boot, case)["steps"]:
            answer = step["answer"]
            lines = [line.partition(">")[2] for line in answer.get("log", ())]
            found[row_of[case]].append((step["call"]["op"], answer.get("errno"), lines))
    return found


def recorded_errnos(row: str, calls: tuple[str, ...]) -> set[str]:
    return {errno for op, errno, _ in _calls()[row] if op in calls and errno}


def claimed(row: str) -> list[str]:
    """The errnos that a row's words name."""
    return [word for word in dict.fromkeys(re.findall(r"\bE[A-Z0-9]{3,}\b", ROWS[row])) if word in ERRNO]


def recorded_messages() -> dict[str, set[str]]:
    """row -> the formats of all lines recorded there."""
    found: dict[str, set[str]] = {row: set() for row in ROWS}
    for row, calls in _calls().items():
        for line in (line for _, _, lines in calls for line in lines if len(line) < CUT):
            message = message_of(line)
            if message is None:
                raise ValueError(f"{row}: no format for {line!r}")
            found[row].add(message)
    return found


def outcomes(message: str) -> list[str]:
    """What the calls answered that said this: errnos, and "it loads"."""
    answers = (
        errno or "it loads"
        for calls in _calls().values()
        for op, errno, lines in calls
        if op in LOADS and any(len(line) < CUT and message_of(line) == message for line in lines)
    )
    return sorted(set(answers)) or ["no load"]


@cache
def _headings() -> dict[str, tuple[str, tuple[tuple[str, str], ...]]]:
    course = chapters(ROOT / "notebooks")
    return {chapter.number: (chapter.path.name, chapter.headings) for chapter in course}


def link(row: str) -> str:
    """Markdown: the section that explains a row. ValueError: there is no such section."""
    number, section = SECTIONS[row]
    path, headings = _headings()[number]
    start = f"{section} ·" if section.isdigit() else section
    found = [(anchor, words) for anchor, words in headings if words.startswith(start)]
    if len(found) != 1:
        raise ValueError(f"{row}: chapter {number} has {len(found)} sections that begin with {start!r}")
    return f"[{number}, {found[0][1].replace('|', chr(92) + '|')}](../notebooks/{path}#{found[0][0]})"


def _by_errno(calls: tuple[str, ...]) -> Iterator[str]:
    causes: dict[str, list[str]] = {}
    for row in ROWS:
        for errno in set(claimed(row)) & recorded_errnos(row, calls):
            causes.setdefault(errno, []).append(row)
    for errno, rows in sorted(causes.items()):
        for row in rows:
            words = ROWS[row].removesuffix(f": {errno}")
            yield f"| {errno} | {ERRNO[errno][0]} | {_cell(words)} | {link(row)} |"


def _by_message() -> Iterator[str]:
    lines = []
    for row, messages in MESSAGES.items():
        for message, source in messages.items():
            shown = _cell(message.replace("\n", " ⏎ "))
            answers = ", ".join(outcomes(message))
            ticks = "``" if "`" in shown else "`"
            lines.append(f"| {ticks}{shown}{ticks} | {answers} | `{source}` | {link(row)} |")
    yield from sorted(lines, key=lambda line: re.sub(r"%[sdux]|[^a-z ]", "", line.lower()).strip())


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def _insmod_says() -> Iterator[str]:
    named = {errno for row in ROWS for errno in recorded_errnos(row, LOADS)}
    for errno in sorted(named & set(ERRNO)):
        yield f"| {errno} | {mod_strerror(ERRNO[errno][0])} |"


def page() -> str:
    """The whole of docs/errnos.md."""
    tables = {
        "insmod": _insmod_says(), "loads": _by_errno(LOADS), "unloads": _by_errno(UNLOADS),
        "messages": _by_message(),
    }  # fmt: skip
    joined = {name: "\n".join(lines) for name, lines in tables.items()}
    return TEMPLATE.format(init=link("init-negative"), **joined)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
