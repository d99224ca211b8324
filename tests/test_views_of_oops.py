# SPDX-License-Identifier: GPL-2.0-only
"""A fault's report with its parts explained: the reports are the real kernel's (truth/running-6.1.json)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kmodsim.views.oops import explain, is_known, oops_report, report_of

from .realkernel.running import TRUTH as FILE

pytestmark = pytest.mark.core
TRUTH: dict[str, Any] = json.loads(FILE.read_text())["faults"]
REPORTS = {name: answers[0]["log"] for name, answers in TRUTH.items() if answers and "Code: " in str(answers)}


def words_of(name: str, beginning: str) -> str:
    """The words beside the first line that begins so."""
    return next(e.words for e in explain(REPORTS[name]) if e.line.startswith(beginning))


@pytest.mark.parametrize("name", REPORTS)
def test_every_line_of_a_recorded_report_is_a_known_part(name: str) -> None:
    report = report_of(REPORTS[name])
    assert report, "no report found"
    own = ("buggy: ", "zero is 0")  # what the module itself prints, and the text of its WARN
    unknown = [line for line in report if not is_known(line) and not line.startswith(own)]
    assert unknown == []


def test_a_null_pointer_is_explained_by_its_offset() -> None:
    assert "address 0x10 is in the first page" in words_of("null_read", "BUG: ")
    # the kernel's own words there: "not-present page", and "supervisor read access" before it
    assert words_of("null_read", "#PF: error_code") == "error code 0x0: nothing is mapped there, a read"
    assert words_of("null_write", "#PF: error_code") == "error code 0x2: nothing is mapped there, a write"
    # "permissions violation" in the kernel's words
    assert "a page that is there, but forbids it, a write" in words_of("rodata_write", "#PF: error_code")


def test_the_marked_byte_of_the_code_is_said() -> None:
    code = next(line for line in report_of(REPORTS["null_read"]) if line.startswith("Code: "))
    marked = re.search(r"<(..)>", code)
    assert marked and f"<{marked[1]}> is where" in words_of("null_read", "Code: ")


def test_text_and_table_have_every_line() -> None:
    view = oops_report(report_of(REPORTS["null_read"]))
    assert view.html.count("<tr>") == len(report_of(REPORTS["null_read"])) + 1
    for line in report_of(REPORTS["null_read"]):
        assert line in view.text
    assert "of module buggy" in view.text


def test_a_log_without_a_fault_has_no_report() -> None:
    assert report_of(["<6>Hello, world"]) == []
    assert oops_report([]).text == "What the kernel reported"
    assert "<script>" not in oops_report(["<6><script>"]).html
