# SPDX-License-Identifier: GPL-2.0-only
"""The conformance table counts what it should, can fail, and docs/fidelity.md has its numbers."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.rows import ROWS

from .conformance import answers, document, memory, table
from .conformance.rows import ALL, TOOLS, Row, total
from .realkernel import replay

pytestmark = pytest.mark.core
DOCUMENT = Path(__file__).parents[1] / "docs" / "fidelity.md"
AGAIN = "run python -m tests.conformance.table --write docs/fidelity.md"


def test_document_has_the_numbers_of_today() -> None:
    """Those that hold when every case of the recordings is equal but for those listed (which the replaying
    tests and the table itself measure), and for the rest: nothing differs."""
    written = document.numbers(DOCUMENT.read_text(encoding="utf-8"))
    promised = {(row.group, row.title): row.numbers for row in answers.promised()}
    assert {key: numbers for key, numbers in written.items() if key in promised} == promised, AGAIN
    memories = {(row.group, row.title): row.cases for row in memory.promised()}
    assert {key: numbers[0] for key, numbers in written.items() if key in memories} == memories, AGAIN
    others = {group for group, _ in set(written) - set(promised) - set(memories)}
    assert others == {ALL, TOOLS}, AGAIN
    for (_, title), (cases, equal, different, not_modelled) in written.items():
        assert cases == equal + not_modelled, f"{title}: {different} different"
        assert cases > 0


def test_document_names_every_case_beyond_the_model() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for row in answers.promised():
        for case, reason in row.reasons.items():
            assert f"| `{case}` | {reason} |" in text, AGAIN
    for name in memory.causes() if memory.promised() else ():
        assert f"| {name} |" in text, AGAIN


@pytest.mark.parametrize("row", ROWS)
def test_row_of_the_errno_table_has_one_category(row: str) -> None:
    assert answers.category(row) in answers.CATEGORIES


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        (".text", "code"),
        (".text.unlikely", "code"),
        (".init.text", "code"),
        (".rodata.str1.1", "read-only data"),
        (".symtab", "kallsyms"),
        ("rest of core", "kallsyms"),
        ("core", "base and size"),
        ("data but for causes", "data sections, but for the causes"),
        ("__ksymtab_gpl", "tables"),
        (".return_sites", "tables"),
    ],
)
def test_section_is_counted_under(kind: str, title: str) -> None:
    assert memory.title(kind).startswith(title)


def test_a_changed_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One recorded errno, one log, one line of /proc/modules changed: each makes its case different."""
    source = answers.SOURCES[0]
    changed = copy.deepcopy(replay.truth(source.file))
    boot = changed["boots"]["unload"]["cases"]
    by_id = {case["id"]: case["steps"] for case in boot}
    by_id["delete-name/unknown"][0]["answer"]["errno"] = "EBUSY"
    by_id["delete-no-exit/no_exit"][0]["answer"]["modules"].append("nobody 1 0 - Live 0x0")
    by_id["delete-held/forced"][1]["answer"]["log"] = ["<4>nobody said this"]
    monkeypatch.setattr(answers, "truth", lambda file: changed)
    wrong = answers.judge_boot(source.file, "unload")
    assert set(wrong) == {"delete-name/unknown", "delete-no-exit/no_exit", "delete-held/forced"}


def test_status_says_whether_anything_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Row("g", "equal ones", 3, 2, 0, 1, (), {"one": "because"})
    bad = Row("g", "a different one", 2, 1, 1, 0, ("it: real 1, model 2",))
    assert total([good, bad]).numbers == (5, 3, 1, 1)
    for rows, status in (([good], 0), ([good, bad], 1), ([], 1)):
        monkeypatch.setattr(table, "measured", lambda jobs, tree, rows=rows: rows)
        assert table.main(["--no-tree"]) == status
    shown = capsys.readouterr().out
    assert "DIFFERENT it: real 1, model 2" in shown
    assert "not modelled: one: because" in shown


def test_case_listed_in_vain_is_a_complaint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason for what is equal would hide the next difference."""
    source = answers.Source("x.json", "g", str, {"a/1": "reason", "a/2": "reason"})
    monkeypatch.setattr(answers, "SOURCES", (source,))
    cases = [{"id": f"a/{n}", "row": "a", "steps": []} for n in range(3)]
    monkeypatch.setattr(answers, "truth", lambda file: {"boots": {"b": {"cases": cases}}})
    monkeypatch.setattr(answers, "stale", lambda file: [])
    monkeypatch.setattr(answers, "judge_boot", lambda file, boot: {"a/1": ("errno",)})
    (row,) = answers.measured(ThreadPoolExecutor(1))
    assert row.numbers == (3, 2, 0, 1)
    assert row.complaints == ("a/2: listed as not modelled, but it is equal",)
