# SPDX-License-Identifier: GPL-2.0-only
"""The pages around the notebooks are today's: the ways through the course, the picture, the glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kmodsim.chapters import LICENCE, anchor, chapters, inserted, needs_of, table

pytestmark = pytest.mark.core

ROOT = Path(__file__).resolve().parent.parent
COURSE = chapters(ROOT / "notebooks")
AGAIN = "run python -m kmodsim.chapters"


def test_the_table_and_the_picture_are_those_of_the_notebooks() -> None:
    page = (ROOT / "docs" / "tours.md").read_text(encoding="utf-8")
    assert inserted(page, COURSE) == page, AGAIN
    picture = (ROOT / "docs" / "pictures" / "chapters.svg").read_text(encoding="utf-8")
    assert picture == f"{LICENCE}\n{needs_of(COURSE).svg}\n", AGAIN


def test_a_chapter_needs_only_what_comes_before_it() -> None:
    numbers = [chapter.number for chapter in COURSE]
    for i, chapter in enumerate(COURSE):
        assert set(chapter.needs) <= set(numbers[:i]), chapter.number
        assert chapter.path.name in table(COURSE)


def test_an_anchor_is_made_as_on_the_web() -> None:
    """GitHub's rule: lower case, signs go, a space is a hyphen."""
    assert anchor("2 · What is in the file") == "2--what-is-in-the-file"


def test_what_is_no_notebook_of_the_course_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.ipynb").write_text('{"metadata": {}, "cells": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="no notebook of the course"):
        chapters(tmp_path)


def glossary() -> list[tuple[str, str]]:
    """(term, the cell with its chapters); a chapter that is not written yet stands there as a bare number."""
    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    return re.findall(r"^\| (?!term)(.+?) \| .+ \| (.+) \|$", page, re.MULTILINE)


def test_the_glossary_is_in_order() -> None:
    terms = [re.sub(r"[^a-z0-9]", "", term.lower()) for term, _ in glossary()]
    assert len(terms) >= 60
    assert terms == sorted(terms) and len(set(terms)) == len(terms)


@pytest.mark.parametrize(("term", "where"), glossary(), ids=lambda value: str(value)[:20])
def test_a_word_of_the_glossary_stands_in_the_chapters_it_names(term: str, where: str) -> None:
    written = {chapter.number: chapter.path for chapter in COURSE}
    links = dict(re.findall(r"\[(\w+)\]\(\.\./notebooks/([\w.-]+)\)", where))
    bare = re.sub(r"\[.*?\)", "", where).split()
    assert links or bare
    assert not set(bare) & set(written), f"{term}: {bare} can be links now"
    needle = re.sub(r" \(.*\)|`", "", term).lower()
    for number, file in links.items():
        assert written[number].name == file
        assert needle in written[number].read_text(encoding="utf-8").lower(), f"{term}: not a word in {file}"
