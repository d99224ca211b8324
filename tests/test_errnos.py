# SPDX-License-Identifier: GPL-2.0-only
"""The index of errnos and messages: complete, recorded, and its links lead somewhere."""

from __future__ import annotations

import pytest

from tests.faults.index import LOADS, PAGE, SECTIONS, UNLOADS, claimed, link, page, recorded_errnos
from tests.faults.index import recorded_messages as messages
from tests.faults.messages import MESSAGES, SOURCES, message_of
from tests.faults.rows import ROWS

pytestmark = pytest.mark.core


def test_the_page_is_todays() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.faults.index"


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_explained_and_its_errnos_were_recorded(row: str) -> None:
    assert link(row)
    assert set(claimed(row)) <= recorded_errnos(row, LOADS + UNLOADS + ("write",))


def test_every_line_that_was_recorded_has_its_row() -> None:
    said = messages()
    assert {message for row in said.values() for message in row} == set(SOURCES)
    for row, formats in MESSAGES.items():
        assert set(formats) <= said[row], row


def test_sections_are_those_of_rows() -> None:
    assert set(SECTIONS) == set(ROWS)


def test_the_format_with_the_most_words_is_taken() -> None:
    assert message_of("hello: module_layout: kernel tainted.") == "%s: %s: kernel tainted."
    assert message_of("hello: Unknown symbol  (err -2)") == "%s: Unknown symbol %s (err %d)"
    assert message_of("something else") is None
