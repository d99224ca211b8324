# SPDX-License-Identifier: GPL-2.0-only
"""From the command line to the system call and back: the story of one insmod.

    print(story(Kernel(), ["insmod", "hello.ko"]))

Where does insmod call init_module(2)? kmod does in ``libkmod/libkmod-
module.c:kmod_module_insert_module``, and only when finit_module(2) cannot serve: the kernel does not know
it, or the file is packed. The story is not told from memory: the tool runs on the modelled kernel and
says what it does. ``tests/test_story.py`` holds its system calls against strace's record of the real
tools.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from . import ToolResult, run
from .calls import Step

WIDTH = 110
INDENT = " " * 6
TELLING = ("insmod",)  # the tools that tell


@dataclass(frozen=True)
class Story:
    """The steps of one run, and how it ended. ``str()`` is plain text."""

    argv: tuple[str, ...]
    flavour: str
    steps: tuple[Step, ...]
    result: ToolResult

    @property
    def calls(self) -> list[str]:
        """The system calls alone, as strace writes them: ``close(3) = 0``."""
        return [f"{step.call} = {step.result}" for step in self.steps if step.call]

    def __str__(self) -> str:
        lines = [f"{' '.join(self.argv)}   ({self.flavour})", ""]
        place = ""
        for step in self.steps:
            where = f"{step.source}: {step.function}"
            if where != place:
                lines.append(where)
                place = where
            lines += textwrap.wrap(step.text, WIDTH, initial_indent="   ", subsequent_indent="   ")
            done = f"{step.call} = {step.result}" if step.call else step.result
            if done:
                lines.append(INDENT + done)
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "argv": list(self.argv), "flavour": self.flavour, "status": self.result.status,
            "stdout": self.result.stdout, "stderr": self.result.stderr,
            "steps": [step._asdict() for step in self.steps],
        }  # fmt: skip


def story(kernel: Any, argv: list[str], flavour: str = "kmod", uid: int | None = None) -> Story:
    """Run ``argv`` (insmod and its words) on ``kernel`` and keep what it does, step by step.

    Raises ``ValueError`` for another tool or an unknown flavour; a load that fails is a story too.
    """
    if argv[:1] != ["insmod"]:
        raise ValueError(f"only {', '.join(TELLING)} tells its story")
    steps: list[Step] = []
    result = run(kernel, argv, uid, flavour, tell=steps.append)
    return Story(tuple(argv), flavour, tuple(steps), result)
