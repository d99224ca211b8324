# SPDX-License-Identifier: GPL-2.0-only
"""Truth files: what is recorded, in which boots, and how it is written down."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults.case import Case
from tests.faults.cases import all_cases, boot_cmdline
from tests.faults.current import DEFAULT
from tests.faults.files import PLAIN, make

from .machine import Target
from .plan import Answer, Operation
from .recorder import Boot, describe, record
from .samples import sample_cases
from .sequences import sequence_cases

TRUTH = Path(__file__).parent.parent / "truth"

# What the samples themselves print. The kernel does not mark a record's origin, so the rule is: level 6 (the
# loader prints nothing at that level) and one of the samples' own beginnings.
FROM_MODULE = re.compile(rf"<6>(Hello, |Goodbye, |(?:{'|'.join(sorted(PLAIN))}): )")

# Reports of an oops, a BUG or a WARNING hold registers, stack, code bytes: only their telling lines are kept.
REPORT_BEGINS = re.compile(
    r"<\d>(BUG: |general protection fault|invalid opcode: |kernel BUG at|------------\[ cut here|CPU: \d)"
)
REPORT_ENDS = re.compile(r"<\d>---\[ end trace|<\d> </TASK>$")
REPORT_KEPT = re.compile(
    r"<\d>(BUG: |general protection fault|invalid opcode: |kernel BUG at|WARNING: |RIP: 0010|note: "
    r"|detected buffer)"
)
PARTS = re.compile(
    r"<\d>((RIP|Code|RSP|R[A-D]X|RBP|R1[03]|[CFD]S|CR\d|DR\d|PKRU|note): |Modules linked in:"
    r"|---\[ end trace|detected buffer overflow)"
)
# %p: hashed with a key that is new in each boot, and not even that before there are random numbers
HASHED = re.compile(r"(?<= loc )([0-9a-f]{16}|\(____ptrval____\))")

PROCESS = re.compile(r"(?<=CPU: 0 PID: )\d+|(?<=note: insmod\[)\d+|(?<=note: rmmod\[)\d+")

# A livepatch module keeps all its symbols; those of sections that are not loaded point into the file's copy.
COPY = re.compile(r"^ffffc9[0-9a-f]{10}(?= )")


def split_log(lines: Sequence[str]) -> dict[str, list[str]]:
    """The loader's lines ("log"), those of module code ("printed"), and what reports say ("report")."""
    parts: dict[str, list[str]] = {"log": [], "printed": [], "report": []}
    inside = False
    for line in lines:
        line = PROCESS.sub("N", HASHED.sub("(hashed)", line))
        inside = inside or bool(REPORT_BEGINS.match(line))
        if inside or PARTS.match(line):
            if REPORT_KEPT.match(line):
                parts["report"].append(line)
            inside = inside and not REPORT_ENDS.match(line)
        else:
            parts["printed" if FROM_MODULE.match(line) else "log"].append(line)
    return {name: found for name, found in parts.items() if found}


def tidy(answer: Answer) -> Answer:
    """An answer as it is stored: empty fields left out, the log split."""
    stored: Answer = (
        {"result": answer["result"], "errno": answer["errno"]} if "result" in answer else {"started": True}
    )
    stored |= {key: answer[key] for key in ("signal", "before_the_call", "blocked") if key in answer}
    stored |= seen(answer) | split_log(answer["log"])
    if answer["modules"]:
        stored["modules"] = answer["modules"]
    return stored | {"tainted": answer["tainted"]}


def seen(answer: Answer) -> Answer:
    """What was read: contents (notes are binary: by name only), every path below a folder, symbols."""
    found: Answer = {}
    if "files" in answer:
        found["files"] = {path: text for path, text in answer["files"].items() if "/notes/" not in path}
    if "folders" in answer:
        found["paths"] = sorted([*answer["folders"], *answer.get("links", []), *answer.get("modes", {})])
    if "symbols" in answer:
        found["symbols"] = [COPY.sub("(the copy)", line) for line in answer["symbols"]]
    return found


# Cases that need a boot of their own on a kernel: its caller dies in them with the name taken, and whoever
# loads that name next waits for ever.
ALONE = {"5.10": ("symbol-index/",)}


def cases_for(kernel: str, cases: Iterable[Case]) -> list[Case]:
    """Those whose files can be made for a kernel, its deadly ones each in a boot of its own."""
    deadly = ALONE.get(kernel, ())
    return [
        replace(case, boot=case.id) if case.id.startswith(deadly or ("/",)) and kernel != DEFAULT else case
        for case in cases
        if all(_can_make(o["file"], kernel) for o in case.operations if "file" in o)
    ]


def _can_make(name: str, kernel: str) -> bool:
    if kernel == DEFAULT:
        return True
    try:
        make(name, kernel)
    except (ValueError, LookupError, OSError, StopIteration, struct.error):
        return False
    return True


def boots_of(cases: Iterable[Case]) -> tuple[list[Boot], dict[str, list[Case]]]:
    """The cases by boot, in order, and what each boot does."""
    by_boot: dict[str, list[Case]] = {}
    for case in cases:
        by_boot.setdefault(case.boot, []).append(case)
    boots = [
        Boot(name, [o for case in mine for o in case.operations], boot_cmdline(name))
        for name, mine in by_boot.items()
    ]
    return boots, by_boot


def record_cases(target: Target, cases: Iterable[Case], jobs: int, kernel: str = DEFAULT) -> dict[str, Any]:
    """Record cases; the result is what a truth file holds."""
    boots, by_boot = boots_of(cases)
    names = sorted({name for boot in boots for name in boot.files})
    answers = record(target, boots, {name: make(name, kernel) for name in names}, jobs)
    stored = {}
    for boot in boots:
        rest = iter(answers[boot.name][1:])
        stored[boot.name] = {
            "cmdline": boot.cmdline,
            "cases": [_stored_case(case, rest) for case in by_boot[boot.name]],
        }
    return describe(target, answers) | {
        "files": {name: digest(make(name, kernel)) for name in names},
        "boots": stored,
    }


def _stored_case(case: Case, answers: Iterable[Answer]) -> dict[str, Any]:
    steps = [_step(operation, answer) for operation, answer in zip(case.operations, answers, strict=False)]
    return {"id": case.id, "row": case.row, "steps": steps}


def _step(operation: Operation, answer: Answer) -> dict[str, Any]:
    return {"call": {k: v for k, v in operation.items() if v is not None}, "answer": tidy(answer)}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def dump(truth: Mapping[str, Any], made_by: str) -> str:
    """JSON with one line for each step, so that a change shows as a line."""
    head = {"made_by": made_by, **{k: v for k, v in truth.items() if k not in ("files", "boots")}}
    lines = [f" {json.dumps(k)}: {json.dumps(v)}," for k, v in head.items()]
    lines += [
        ' "files": {',
        ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in truth["files"].items()),
        " },",
    ]
    boots = [_dump_boot(name, boot) for name, boot in truth["boots"].items()]
    return "\n".join(["{", *lines, ' "boots": {', ",\n".join(boots), " }", "}"]) + "\n"


def _dump_boot(name: str, boot: Mapping[str, Any]) -> str:
    cases = ",\n".join(_dump_case(case) for case in boot["cases"])
    return f'  {json.dumps(name)}: {{"cmdline": {json.dumps(boot["cmdline"])}, "cases": [\n{cases}\n  ]}}'


def _dump_case(case: Mapping[str, Any]) -> str:
    steps = ",\n".join(f"    {json.dumps(step)}" for step in case["steps"])
    return (
        f'   {{"id": {json.dumps(case["id"])}, "row": {json.dumps(case["row"])}, "steps": [\n{steps}\n   ]}}'
    )


def merged(old: Mapping[str, Any], new: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """``old`` with the boots of ``new`` in place of its own; boots not in ``order`` are dropped."""
    boots = {**old["boots"], **new["boots"]}
    kept = {name: boots[name] for name in order}
    calls = [step["call"] for boot in kept.values() for case in boot["cases"] for step in case["steps"]]
    used = {call["file"] for call in calls if "file" in call}
    files = {**old["files"], **new["files"]}
    head = new if order[0] in new["boots"] else old
    return {**head, "files": {name: files[name] for name in sorted(used)}, "boots": kept}


# command: (the file it makes, the cases)
WANTED = {
    "errno-table": ("errno-table-{}.json", all_cases),
    "samples": ("samples-{}.json", sample_cases),
    "sequences": ("sequences-{}.json", sequence_cases),
}
SEQUENCES_OF_OTHERS = 10


def wanted_cases(command: str, kernel: str = DEFAULT) -> list[Case]:
    """What is recorded of a kernel: of others than 6.1 ten of the sequences."""
    cases = WANTED[command][1]()
    if kernel != DEFAULT and command == "sequences":
        cases = cases[:SEQUENCES_OF_OTHERS]
    return cases_for(kernel, cases)


def write_truth(
    command: str, target: Target, jobs: int, only: Sequence[str] = (), kernel: str = DEFAULT
) -> Path:
    """Record and write one truth file; with ``only``, these boots anew, the others stay as they are."""
    cases = wanted_cases(command, kernel)
    path = TRUTH / WANTED[command][0].format(kernel)
    truth = record_cases(target, [case for case in cases if not only or case.boot in only], jobs, kernel)
    if only:
        truth = merged(json.loads(path.read_text()), truth, [boot.name for boot in boots_of(cases)[0]])
    which = "" if kernel == DEFAULT else f" --kernel {kernel}"
    path.write_text(dump(truth, f"python -m tests.realkernel {command}{which}"))
    return path
