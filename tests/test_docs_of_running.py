# SPDX-License-Identifier: GPL-2.0-only
"""docs/seeing-code-run.md says what comes out: its blocks are typed in as they stand there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytest.importorskip("capstone", reason="needs capstone (the extra exec)")
pytestmark = pytest.mark.core

PAGE = Path(__file__).parent.parent / "docs" / "seeing-code-run.md"


class StandIns(doctest.OutputChecker):
    """Heap addresses are stand-ins: which one comes out is no promise."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        wanted, found = (re.sub(r"0xffff8880[0-9a-f]{8}", "heap", text) for text in (want, got))
        return super().check_output(wanted, found, optionflags)


def test_the_page_says_what_comes_out() -> None:
    # a fence ends a block, as an empty line does in a docstring
    text = PAGE.read_text(encoding="utf-8").replace("\n```\n", "\n\n")
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    said: list[str] = []
    result = doctest.DocTestRunner(StandIns(), verbose=False).run(test, out=said.append)
    assert result.attempted > 12 and result.failed == 0, "".join(said)
