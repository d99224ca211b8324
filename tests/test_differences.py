# SPDX-License-Identifier: GPL-2.0-only
"""The table of differences is true: each cell is in the record of the real tool, and the docs have it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kmodsim import cli, corpus
from kmodsim.userland.flavours import FLAVOURS, PROGRAMS
from kmodsim.userland.flavours.differences import TOOLS, Difference, differences, markdown
from tests.realtools.flavours import spelled
from tests.test_flavours import SESSIONS

DOCS = Path(__file__).parent.parent / "docs" / "flavours.md"
ROWS = differences()


def record(row: Difference, flavour: str) -> str:
    """What the tool wrote for the row's line, with its status in words."""
    steps, line, before = SESSIONS[flavour][row.session], spelled(row.line), ""
    for step in steps:
        if step["line"] == line and row.after in ("", before):
            return f"{step['stdout']}\n{step['stderr']}\nstatus {step['status']}"
        before = step["line"]
    raise AssertionError(f"no such line was recorded: {row.line}")


@pytest.mark.core
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.tool}: {row.what}")
def test_each_cell_is_in_the_record(row: Difference) -> None:
    """A proof that begins with "!" must not be there."""
    for flavour, cell in row.cells.items():
        proof, said = cell.proof, record(row, flavour)
        assert proof
        absent = proof.startswith("!")
        wanted = proof.removeprefix("!")
        found = re.search(rf"{re.escape(wanted)}(?!\d)", said, re.M) is not None
        assert found is not absent, (flavour, wanted, said)


@pytest.mark.core
def test_rows_differ_somewhere_and_name_their_sources() -> None:
    assert len(ROWS) > 50
    assert {row.tool for row in ROWS} == set(TOOLS)
    assert set(PROGRAMS["busybox"]) == set(PROGRAMS["module-init-tools"]) == set(TOOLS) - {"depmod"}
    for row in ROWS:
        assert tuple(row.cells) == FLAVOURS
        assert len({cell.text for cell in row.cells.values()}) > 1, row
        for flavour, cell in row.cells.items():
            assert re.fullmatch(r"[\w/.-]+\.c:\w+", cell.source), (row, flavour)


@pytest.mark.core
def test_the_docs_show_the_table() -> None:
    """They are what ``python -m kmodsim.userland.flavours.differences`` writes."""
    text = DOCS.read_text(encoding="utf-8")
    assert [tool for tool in TOOLS if markdown(tool) not in text] == []


@pytest.mark.core
def test_the_story_in_the_docs_is_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    blocks = [part for part in text.split("```\n") if part.startswith("$ kmodsim ")]
    assert len(blocks) == 2
    for block in blocks:
        command, _, expected = block.removeprefix("$ kmodsim ").partition("\n")
        cli.main(command.split())
        said = capsys.readouterr().out.replace(str(corpus.SAMPLES), "…")
        assert said.splitlines() == expected.splitlines()
