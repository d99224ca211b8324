# SPDX-License-Identifier: GPL-2.0-only
"""What the notebooks say of themselves: chapters, how long they take, what they need, how they hang together.

``python -m kmodsim.chapters`` writes the picture and the table of ``docs/tours.md``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .views.dependencies import dependency_graph
from .views.view import View

LICENCE = "<!-- SPDX-License-Identifier: CC-BY-SA-4.0 -->"
BEGIN, END = "<!-- chapters:", "<!-- end of chapters -->"


class Chapter(NamedTuple):
    """``needs``: numbers of other chapters; ``headings``: (anchor, words) of its sections, in their order."""

    number: str
    title: str
    minutes: int
    needs: tuple[str, ...]
    path: Path
    headings: tuple[tuple[str, str], ...]


def chapters(folder: Path) -> tuple[Chapter, ...]:
    """All notebooks of ``folder`` in the course's order: the numbers, then the letters. OSError, ValueError:
    a file that cannot be read, or is no notebook of the course."""
    return tuple(_read(path) for path in sorted(folder.glob("*.ipynb")))


def _read(path: Path) -> Chapter:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    try:
        about = notebook["metadata"]["kmodsim"]
        text = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
        found = tuple((anchor(words), words) for words in re.findall(r"^#{2,4} (.+)$", text, re.MULTILINE))
        return Chapter(
            about["chapter"], about["title"], about["minutes"], tuple(about["needs"]), path, found
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name} is no notebook of the course: {error}") from error


def anchor(words: str) -> str:
    """The end of a link to this heading, as GitHub and MyST make it."""
    kept = re.sub(r"[^\w\- ]", "", words.strip().lower())
    return kept.replace(" ", "-")


def needs_of(course: Sequence[Chapter]) -> View:
    """Which chapter needs which, as a picture; it needs no Graphviz."""
    names = {chapter.number: f"{chapter.number} {_short(chapter)}" for chapter in course}
    uses = {names[chapter.number]: [names[n] for n in chapter.needs] for chapter in course}
    return dependency_graph(uses, dot=False, title="Which chapter needs which")


def _short(chapter: Chapter) -> str:
    return " ".join(chapter.path.stem.split("-")[1:])


def table(course: Sequence[Chapter], to: str = "../notebooks/") -> str:
    """The same as Markdown, with links below ``to``."""
    rows = ["| chapter | minutes | needs |", "|---|---:|---|"]
    for chapter in course:
        needs = ", ".join(chapter.needs) or "nothing"
        link = f"[{chapter.number} · {chapter.title}]({to}{chapter.path.name})"
        rows.append(f"| {link} | {chapter.minutes} | {needs} |")
    return "\n".join(rows)


def inserted(page: str, course: Sequence[Chapter]) -> str:
    """``page`` with today's table between its two marks. ValueError: it has none."""
    head, mark, rest = page.partition(BEGIN)
    comment, end, tail = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"no {BEGIN} … {END} in the page")
    return f"{head}{mark}{comment.splitlines()[0]}\n\n{table(course)}\n\n{end}{tail}"


def main() -> int:
    root = Path(__file__).resolve().parent.parent
    course, page = chapters(root / "notebooks"), root / "docs" / "tours.md"
    picture = f"{LICENCE}\n{needs_of(course).svg}"
    (root / "docs" / "pictures" / "chapters.svg").write_text(picture + "\n", encoding="utf-8")
    page.write_text(inserted(page.read_text(encoding="utf-8"), course), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
