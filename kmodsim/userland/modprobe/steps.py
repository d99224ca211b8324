# SPDX-License-Identifier: GPL-2.0-only
"""A plan as data: the steps that modprobe would take, each with the reason why it is there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

ACTIONS = {
    "insmod": "load the file",
    "rmmod": "unload the module",
    "install": "run the command given instead of loading",
    "remove": "run the command given instead of unloading",
    "builtin": "nothing to load: it is part of the kernel",
    "nothing": "nothing to do, for the reason given",
    "refuse": "modprobe says so and stops",
}


class Option(NamedTuple):
    """A piece of a module's options and where it comes from: a line of a file, /proc/cmdline, the command
    line."""

    text: str
    where: str


@dataclass(frozen=True)
class Step:
    """One step.

    ``action``: a key of ``ACTIONS``. ``module``: the kernel's name for it. ``path``: the file, None where
    there is none. ``options``: what the module is loaded with. ``command``: for install and remove, as the
    configuration has it, ``$CMDLINE_OPTS`` not yet replaced. ``reason``: one sentence. ``target``: the module
    that was asked for; several when an alias means several. ``needed``: when it fails the rest for this
    target is left out. ``if_unused``: rmmod only when nothing uses the module by then. ``loaded``: there is
    nothing to do because it is in the kernel.
    """

    action: str
    module: str
    reason: str
    path: str | None = None
    options: tuple[Option, ...] = ()
    command: str = ""
    target: str = ""
    needed: bool = True
    if_unused: bool = False
    loaded: bool = False

    @property
    def arguments(self) -> str:
        """The options as one text, as finit_module gets them.

        libkmod puts a blank between the configuration's options and those of the command line, also where
        there are none of the latter (``module_options_concat``).
        """
        configured = [option.text for option in self.options if option.where != COMMAND_LINE]
        typed = "".join(option.text for option in self.options if option.where == COMMAND_LINE)
        return " ".join(configured) + " " + typed if configured else typed

    @property
    def line(self) -> str:
        """The line that ``modprobe -v`` prints; "" for steps it does not show."""
        if self.action == "insmod":
            return f"insmod {self.path} {self.arguments}\n" if self.path is not None else ""
        if self.action == "install":
            return f"install {self.command} {self.arguments}\n"
        if self.action == "remove":
            return f"remove {self.expanded}\n"
        return f"{self.action} {self.module}\n" if self.action in ("rmmod", "builtin") else ""

    @property
    def expanded(self) -> str:
        """The command with the options in the place of ``$CMDLINE_OPTS``."""
        return self.command.replace("$CMDLINE_OPTS", self.arguments)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        fields = asdict(self)
        fields["options"] = [option._asdict() for option in self.options]
        return fields

    def __str__(self) -> str:
        return f"{self.line.rstrip() or f'{self.action} {self.module}'}  # {self.reason}"


@dataclass(frozen=True)
class Plan:
    """What ``modprobe`` would do for one word: the steps in order, and what it would say and return instead
    when the word is refused."""

    word: str
    steps: tuple[Step, ...]
    remove: bool = False
    stderr: str = ""
    status: int = 0
    force: int = 0  # the flags for finit_module

    def to_dict(self) -> dict[str, Any]:
        fields = {"word": self.word, "remove": self.remove, "stderr": self.stderr, "status": self.status}
        return {**fields, "steps": [step.to_dict() for step in self.steps]}

    def __str__(self) -> str:
        return "".join(f"{step}\n" for step in self.steps) + self.stderr


COMMAND_LINE = "the command line"
