# SPDX-License-Identifier: GPL-2.0-only
"""The recorded answers of the real kernel beside kmodsim's: one row for each kind of case.

Replaying and comparing is that of the tests; so is the list of what is not modelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import NamedTuple

from tests import test_errno_table, test_samples_truth, test_sequences
from tests.realkernel.compare import differences
from tests.realkernel.replay import replayed, stale, truth

from .rows import Row

# Title: the rows of tests/faults/rows.py, or what they begin with.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "who may load": ("permission",),
    "finit_module: flags, descriptor, file": ("finit-",),
    "init_module: length, memory": ("init-length", "init-memory"),
    "signature": ("signature-",),
    "ELF validity": ("elf-",),
    "index of sections, blacklist": ("setup-", "blacklist"),
    "versions, vermagic, modinfo": ("layout-version", "versions-", "vermagic", "modinfo-"),
    "layout, memory": ("write-exec", "layout-memory", "percpu-memory"),
    "name, first unsigned module": ("name-", "unsigned-taint", "exports-without-crc"),
    "symbols": ("symbol-",),
    "relocation": ("relocation-",),
    "parameters": ("params-pointer", "parameters"),
    "exports, sysfs, init's result": ("export-duplicate", "sysfs-name", "init-negative", "init-positive"),
    "what nobody checks": ("not-checked",),
    "what kills the caller": ("oops",),
    "delete_module": ("delete-",),
}


def category(row: str) -> str:
    """The title under which a row of the errno table counts; LookupError when it has none."""
    found = [title for title, starts in CATEGORIES.items() if row.startswith(starts)]
    if len(found) != 1:
        raise LookupError(f"row {row!r} of the errno table has {len(found)} categories: {found}")
    return found[0]


WRONG = ("as it is known to be",)


class Source(NamedTuple):
    """A truth file: its group of the table, the title of a case's row there by its own row, and what is not
    modelled and why."""

    file: str
    group: str
    title: Callable[[str], str]
    not_modelled: Mapping[str, str]


SOURCES = (
    Source(test_errno_table.TRUTH, "refusals and oddities", category, {}),
    Source(
        test_samples_truth.TRUTH,
        "samples",
        lambda row: {"alone": "each alone", "order": "in right and wrong orders"}[row],
        {},
    ),
    Source(
        test_sequences.TRUTH,
        "samples",
        lambda row: f"random sequences of {test_sequences.OPERATIONS} operations",
        test_sequences.NOT_MODELLED,
    ),
)


def titles(source: Source) -> dict[str, list[str]]:
    """Title to the ids of its cases, in the table's order."""
    found: dict[str, list[str]] = {title: [] for title in CATEGORIES}
    for boot in truth(source.file)["boots"].values():
        for case in boot["cases"]:
            found.setdefault(source.title(case["row"]), []).append(case["id"])
    return {title: ids for title, ids in found.items() if ids}


def promised() -> list[Row]:
    """The rows as they are when every case not listed as beyond the model is equal, without replaying any."""
    return [
        _row(source, title, ids, dict.fromkeys(source.not_modelled, WRONG))
        for source in SOURCES
        for title, ids in titles(source).items()
    ]


def measured(pool: Executor) -> list[Row]:
    """The rows as replaying every case gives them."""
    rows = []
    for source in SOURCES:
        boots = list(truth(source.file)["boots"])
        wrong: dict[str, tuple[str, ...]] = {}
        for found in pool.map(judge_boot, [source.file] * len(boots), boots):
            wrong |= found
        rows += [_row(source, title, ids, wrong) for title, ids in titles(source).items()]
        rows += _stale_row(source)
    return rows


def judge_boot(file: str, boot: str) -> dict[str, tuple[str, ...]]:
    """Case to what differs, of those cases of one boot where something does."""
    answers = replayed(file, boot)
    found = {
        case["id"]: tuple(differences(case["steps"], answers[case["id"]]))
        for case in truth(file)["boots"][boot]["cases"]
    }
    return {case: lines for case, lines in found.items() if lines}


def _row(source: Source, title: str, ids: list[str], wrong: Mapping[str, tuple[str, ...]]) -> Row:
    beyond = [case for case in ids if case in source.not_modelled and case in wrong]
    different = [case for case in ids if case in wrong and case not in beyond]
    complaints = [f"{case}: {line}" for case in different for line in wrong[case]]
    settled = [case for case in ids if case in source.not_modelled and case not in wrong]
    complaints += [f"{case}: listed as not modelled, but it is equal" for case in settled]
    return Row(
        source.group, title, len(ids), len(ids) - len(beyond) - len(different), len(different), len(beyond),
        tuple(complaints), {case: source.not_modelled[case] for case in beyond},
    )  # fmt: skip


def _stale_row(source: Source) -> list[Row]:
    """A row of its own when input files are not those of the recording: no other row means much then."""
    files = stale(source.file)
    complaint = f"{source.file} was recorded with other files: {', '.join(files)}"
    title = f"{source.file}: changed files"
    return [Row(source.group, title, len(files), 0, len(files), 0, (complaint,))] if files else []
