# SPDX-License-Identifier: GPL-2.0-only
"""docs/fidelity.md, from the rows of the table."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.realkernel.replay import truth

from . import answers, memory
from .rows import Row, total

# What no comparison looks at, and why.
LEFT_OUT = {
    "lines that modules print": "the module's own code is not run in these comparisons",
    "registers, stack, code bytes and process numbers in the kernel's reports": "they are new in each boot; "
    "that the caller was killed, the lines before the report and the state after it are compared",
    "pointers printed by `%p`": "hashed with a key that is new in each boot",
    "errno of a caller that never came back": "there is none: it waits for a lock whose holder was killed",
    "`/proc/modules` while nobody can read it": "the one who was killed held the list's lock",
    "log records longer than the kernel's buffer, behind the cut": "the model's record is whole",
    "the bytes of notes under `/sys/module/NAME/notes`": "that they are there is compared",
    "symbols of sections that are not loaded, in kallsyms' copies": "they are addresses in the temporary "
    "copy of the file, which lies elsewhere in each boot",
}  # fmt: skip
HEAD = """\
<!-- SPDX-License-Identifier: CC-BY-SA-4.0 -->
<!-- Made by python -m tests.conformance.table --write docs/fidelity.md; do not edit. -->
# kmodsim beside the real kernel

{kernel}, on {machine}, booted with `{cmdline}`.

**{equal:.2%} of {cases:,} comparisons with the real kernel are equal**, {different:,} differ,
{not_modelled:,} lie beyond the model, for reasons given below.

"Refusals and oddities" and "samples": a case is a list of calls. After each call errno (or that the caller
was killed), the kernel's log, `/proc/modules`, the taints, and what was read are compared; a call that
failed has to leave no trace. "As they come": a notifier copies the memory of each module at COMING, before
its parameters and its init; a case is one section, one address, one errno of one load, compared byte for
byte or by a digest. "Beside pyelftools": a case is one relocation, computed from the file by another reader
of ELF.

| | cases | equal | different | not modelled |
|---|---:|---:|---:|---:|
"""
AGAIN = """\
## Seeing it again

    make conformance        # the table, from the recordings in tests/truth: no virtual machine

The distribution's modules take part where they are found; `kmodsim fetch` gets them. To ask the real kernel
anew (needs `qemu-system-x86_64`, `gcc`, and for the memory at COMING `linux-headers-6.1.0-56-amd64`):

    .venv/bin/kmodsim fetch --to linux
    make record KMODSIM_PACKAGE_ROOT=$PWD/linux

The first unpacks Debian's linux-image, without installing it. The second boots that kernel in QEMU, does all
that is in `tests/truth` once more, and says which recordings moved: none should.
"""


def text(rows: Sequence[Row]) -> str:
    """The whole document."""
    whole = total(rows)
    origin = truth(answers.SOURCES[0].file)
    head = HEAD.format(
        kernel=origin["kernel"], machine=origin["machine"], cmdline=origin["cmdline"], cases=whole.cases,
        equal=whole.equal / whole.cases, different=whole.different, not_modelled=whole.not_modelled,
    )  # fmt: skip
    lines = [*_table([*rows, whole]), "", *_not_modelled(whole), *_causes(rows), *_left_out()]
    return head + "\n".join(lines) + "\n" + AGAIN


def _table(rows: Sequence[Row]) -> Iterator[str]:
    group = ""
    for row in rows:
        if row.group not in (group, row.title):
            group = row.group
            yield f"| **{group}** | | | | |"
        yield _line(f"**{row.title}**" if row.title == row.group else row.title, row)


def _line(name: str, row: Row) -> str:
    return f"| {name} | " + " | ".join(f"{number:,}" for number in row.numbers) + " |"


def _not_modelled(whole: Row) -> Iterator[str]:
    yield from ("## Not modelled", "", "| case | why |", "|---|---|")
    yield from (f"| `{case}` | {reason} |" for case, reason in whole.reasons.items())
    yield from ("", "The borders of the model are listed in [modelled.md](modelled.md).", "")


def _causes(rows: Sequence[Row]) -> Iterator[str]:
    if not any(row.group in memory.GROUPS.values() for row in rows):
        return
    yield from ("## Differences in data that have a known cause", "")
    yield "At COMING these places of a module's data hold what kmodsim does not know (addresses on the heap)"
    yield "or does not do. The comparison of data sections leaves out these bytes and no others. Code,"
    yield "read-only data and tables are compared whole. More: [recording.md](recording.md)."
    yield from ("", "| where | who writes |", "|---|---|")
    yield from (f"| {name} | {_code(cause)} |" for name, cause in memory.causes().items())
    yield ""


def _code(cause: str) -> str:
    return re.sub(r"^[\w/.-]+:\w+", lambda found: f"`{found[0]}`", cause)


def _left_out() -> Iterator[str]:
    yield from ("## Left out of the comparisons", "", "| what | why |", "|---|---|")
    yield from (f"| {what} | {why} |" for what, why in LEFT_OUT.items())
    yield ""


def numbers(document: str) -> dict[tuple[str, str], tuple[int, ...]]:
    """(group, title) to the four numbers of each line of a document's table."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    group = ""
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0].startswith("**") and not cells[1]:
            group = cells[0].strip("*")
        elif len(cells) == 5 and cells[1].replace(",", "").isdigit():
            title = cells[0].strip("*")
            found[title if title != cells[0] else group, title] = tuple(
                int(cell.replace(",", "")) for cell in cells[1:]
            )
    return found
