# SPDX-License-Identifier: GPL-2.0-only
"""The recorder: its language round-trips, and the real kernel still answers what the truth files say."""

from __future__ import annotations

import pytest

from tests.faults.case import Case
from tests.faults.cases import all_cases

from .kernels import DEFAULT, KERNELS
from .machine import CannotRecord, Target
from .plan import decode, encode, parse_answer, to_line
from .replay import recorded
from .truth import record_cases, split_log

AGAIN = ("elf-header/", "vermagic/", "symbol-common/", "init-negative/")


@pytest.mark.core
@pytest.mark.parametrize("text", ["", "a b\tc=%\n", "\xe4\x01\x7f", "x" * 5000])
def test_words_round_trip(text: str) -> None:
    word = encode(text)
    assert decode(word) == text
    assert word.isascii()
    assert not set(word) & set("\t\n ")


@pytest.mark.core
def test_unknown_key_is_refused() -> None:
    """A typing mistake must not record nonsense."""
    with pytest.raises(ValueError, match="parms"):
        to_line(0, {"op": "finit", "parms": "x"})


@pytest.mark.core
def test_answer_is_parsed() -> None:
    """The text of probe.c: one boot, one call with two log records, a continued one among them."""
    text = (
        "begin\nfile\t/proc/modules\t\nfile\t/proc/sys/kernel/tainted\t0%0a\nend\n"
        "op\t0\nresult\t-1\t8\t0\t0\nlog\t3,7,12,-;one%5cx0atwo%0a\nlog\t14,8,13,-;x%0a\n"
        "file\t/proc/modules\thello%201%0a\nfile\t/proc/sys/kernel/tainted\t4096%0a\nend\nfinished\n"
    )
    start, answer = parse_answer(text)
    assert start == {"log": [], "modules": [], "tainted": 0}
    assert answer == {
        "result": -1,
        "errno": "ENOEXEC",
        "log": ["<3>one\ntwo", "<6>x"],
        "modules": ["hello 1"],
        "tainted": 4096,
    }


@pytest.mark.core
def test_reports_are_kept_apart() -> None:
    lines = [
        "<4>hello: tainting",
        "<1>BUG: unable to handle page fault",
        "<4>RAX: 00",
        "<4>---[ end trace 0 ]---",
        "<6>hello: from the module",
        "<4>hello: loc 0123456789abcdef, val 1",
    ]
    assert split_log(lines) == {
        "log": ["<4>hello: tainting", "<4>hello: loc (hashed), val 1"],
        "printed": ["<6>hello: from the module"],
        "report": ["<1>BUG: unable to handle page fault"],
    }


@pytest.mark.tool
def test_real_kernel_answers_as_recorded() -> None:
    """Some of the cases once more, on the kernel itself."""
    try:
        target = Target.of(KERNELS[DEFAULT])
    except CannotRecord as problem:
        pytest.skip(f"needs a kernel to record: {problem}")
    cases = [Case("first", "unsigned-taint", _first()), *[c for c in all_cases() if c.id.startswith(AGAIN)]]
    cases = [case for case in cases if case.boot == "plain"]
    again = record_cases(target, cases, 1)["boots"]["plain"]["cases"][1:]
    assert again
    for case in again:
        wanted = recorded("errno-table-6.1.json", "plain", case["id"])["steps"]
        assert [_outcome(step) for step in case["steps"]] == [_outcome(step) for step in wanted]


def _first() -> tuple[dict[str, object], ...]:
    """The first unsigned module says more than the others: not part of the comparison."""
    return next(case for case in all_cases() if case.id == "unsigned-taint/first").operations


def _outcome(step: dict[str, dict[str, object]]) -> tuple[object, ...]:
    """What does not depend on the cases before: the taints do."""
    lines = [line for line in step["answer"].get("log", []) if "taint" not in line]  # type: ignore[attr-defined]
    return step["call"], step["answer"]["errno"], lines
