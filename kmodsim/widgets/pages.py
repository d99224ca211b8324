# SPDX-License-Identifier: GPL-2.0-only
"""How an answer of a widget is put together: the same parts as HTML and as text, in the same order."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from ..corpus import sample
from ..errors import KernelError, KernelOops, errno_name
from ..loader import STAGES
from ..modulefile import ModuleFile
from ..syscalls import STEPS
from ..userland.insmod import mod_strerror
from ..views.view import View

_TERMINAL = "overflow-x:auto;line-height:1.35;border-left:3px solid;padding-left:.7em;white-space:pre-wrap"
_BIG = "font-size:115%;margin:.4em 0;font-weight:600"


class Page:
    """Collects parts; ``Page().headline("✓ loaded").view(picture).answer()`` is (HTML, text)."""

    def __init__(self) -> None:
        self._html: list[str] = []
        self._text: list[str] = []

    def headline(self, words: str) -> Page:
        """One line, larger than the rest."""
        return self._add(f'<p style="{_BIG}">{escape(words)}</p>', words)

    def words(self, words: str) -> Page:
        """A paragraph; nothing for an empty one."""
        return self._add(f'<p style="margin:.4em 0">{escape(words)}</p>', words) if words else self

    def terminal(self, lines: Sequence[str]) -> Page:
        """Commands and what they print, in the tools' own words."""
        said = "\n".join(lines)
        return self._add(f'<pre style="{_TERMINAL}">{escape(said)}</pre>', said)

    def view(self, view: View) -> Page:
        """A picture with its text twin folded below it, or a table."""
        return self._add(view._repr_html_(), str(view))

    def folded(self, view: View) -> Page:
        """A large table that opens when asked."""
        inner = f'<details style="margin:.4em 0"><summary>{escape(view.title)}</summary>{view._repr_html_()}'
        return self._add(f"{inner}</details>", str(view))

    def models(self, *places: str) -> Page:
        """The kernel functions the answer models, each as ``file:function``."""
        said = "Modelled here: " + ", ".join(places)
        return self._add(f'<p style="margin:.4em 0;font-size:90%">{escape(said)}</p>', said)

    def answer(self) -> tuple[str, str]:
        return "".join(self._html), "\n\n".join(self._text)

    def _add(self, html: str, text: str) -> Page:
        self._html.append(html)
        self._text.append(text)
        return self


def given(module: ModuleFile | str | os.PathLike[str] | bytes) -> ModuleFile:
    """The file of a widget: a ModuleFile, its bytes, a path, or a name that ``kmodsim.sample`` knows."""
    if isinstance(module, ModuleFile):
        return module
    if isinstance(module, str) and os.sep not in module and not Path(module).is_file():
        return ModuleFile(sample(module.removesuffix(".ko")))
    return ModuleFile(module)


def place_of(stage: str) -> str:
    """``"kernel/module/main.c:elf_validity_check"`` for a stage's or a system call step's name."""
    for row in STAGES:
        if row.name == stage:
            return f"{row.source}:{row.function}"
    function, source, _ = STEPS.get(stage, (stage, "kernel/module/main.c", ""))
    return f"{source}:{function}"


def outcome_of(error: KernelError | None) -> str:
    """What became of a call, as an answer to a guess: "loaded", an errno's name, "oops", "waits"."""
    if error is None:
        return "loaded"
    if isinstance(error, KernelOops):
        return "oops"
    return errno_name(error.errno) if error.errno else "waits"


def verdict(name: str, error: KernelError | None) -> str:
    """One line: loaded, refused by whom and with what, or the caller killed."""
    if error is None:
        return f"✓ {name} is loaded"
    if isinstance(error, KernelOops):
        return f"✗ the kernel oopses in {error.stage}: {error.report}"
    if not error.errno:
        return f"✗ the call does not come back from {error.stage}: {error.strerror}"
    return f"✗ {name} is refused: {errno_name(error.errno)} in {error.stage}"


def insmod_lines(name: str, params: str, error: KernelError | None) -> list[str]:
    """``insmod name.ko params`` at a root prompt, with the line the tool prints when it fails."""
    lines = [f"# insmod {name}.ko {params}".rstrip()]
    if isinstance(error, KernelOops):
        lines.append("Killed")
    elif error is not None and error.errno:
        lines.append(f"insmod: ERROR: could not insert module {name}.ko: {mod_strerror(error.errno)}")
    return lines


def dmesg_lines(records: Sequence[str]) -> list[str]:
    """``dmesg`` for records ``"<4>text"``, without their levels."""
    return ["# dmesg", *([record[3:] for record in records] or ["(nothing)"])]
