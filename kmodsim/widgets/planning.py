# SPDX-License-Identifier: GPL-2.0-only
"""modprobe on the distribution's whole tree: a command line in, what it would do and say out."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from typing import Any

from ..corpus import PROFILE, RELEASE
from ..depgraph import DependencyGraph, from_index
from ..errors import ENOENT, KernelError
from ..profile import KernelProfile
from ..userland import ToolResult
from ..userland.modprobe import Step, run, whole
from ..userland.modprobe.options import parse
from ..userland.options import UsageError
from ..views.dependency_tree import neighbourhood
from ..views.of_results import steps_of_modprobe
from ..views.view import View, plural
from .guessing import Guesses

CONFIG_FILE = "/etc/modprobe.d/yours.conf"
CARD = "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00"  # an Intel 82574L, as its uevent names it
MOST_LINES = 100  # of what modprobe prints
MOST_DRAWN = 40  # modules in the dependency graph: beyond, nobody can read it
INSERTS = "kmod 30, tools/modprobe.c:insmod; libkmod/libkmod-module.c:kmod_module_probe_insert_module"
REMOVES = "kmod 30, tools/modprobe.c:rmmod_do_module"


@dataclass(frozen=True)
class Example:
    """A situation worth seeing: what is typed, what the configuration says, what is loaded."""

    label: str
    word: str
    options: str = ""
    params: str = ""
    config: str = ""
    loaded: str = ""


EXAMPLES: tuple[Example, ...] = (
    Example("a driver and what it needs", "snd-hda-intel", "-v"),
    Example("what udev asks for: an alias", CARD, "-b -v"),
    Example("the alias's module is on a blacklist", CARD, "-b -v", config="blacklist e1000e\n"),
    Example("a blacklist does not stop a name", "e1000e", "-v", config="blacklist e1000e\n"),
    Example("what does stop a name: install", "e1000e", "-v", config="install e1000e /bin/false\n"),
    Example("soft dependencies of your own", "e1000e", "-v",
            config="softdep e1000e pre: ptp_kvm post: msr\n"),
    Example("options from a file and by hand", "loop", "-v", "max_part=4", "options loop max_loop=8\n"),
    Example("some of it is there already", "vfat", "-v", loaded="fat"),
    Example("it is there already, and that is an error", "fat", "--first-time", loaded="fat"),
    Example("unload, and what nothing else needs", "vfat", "-r -v", loaded="vfat"),
    Example("unload what is in use", "ext4", "-r", loaded="ext4:1"),
    Example("it is part of the kernel", "ptp", "-v"),
    Example("several modules fit one alias", "hid:b0003g0001v0000046Dp0000C52B", "-v"),
    Example("a line that modprobe does not know", "dummy", "-v", config="blocklist dummy\noptions\n"),
    Example("no such module", "no-such-module"),
)  # fmt: skip
BY_LABEL = {example.label: example for example in EXAMPLES}

GUESSES: Guesses = {
    "it loads one file": lambda answer: answer.count("insmod") == 1,
    "it loads several files": lambda answer: answer.count("insmod") > 1,
    "it unloads something": lambda answer: answer.count("rmmod") > 0,
    "it changes nothing and says nothing": lambda answer: answer.is_quiet,
    "it fails (exit status 1)": lambda answer: answer.result.status == 1,
}


class Loaded:
    """What modprobe looks at in a kernel: /sys/module, for modules of the index that are said to be loaded.

    ``held``: name -> references that no other module holds (``name:1`` in the widget's line).
    """

    def __init__(self, held: dict[str, int]) -> None:
        self.cmdline: dict[str, str] = {}
        self.profile = KernelProfile.load(PROFILE)
        self.held = held

    def users(self, name: str) -> list[str]:
        return [user for user in graph().users.get(name, ()) if user in self.held]

    def read(self, path: str) -> str:
        """Files of /sys/module/NAME: initstate, refcnt."""
        *_, name, file = ["", *path.split("/")]
        if name not in self.held:
            raise KernelError(ENOENT)
        return {"initstate": "live\n", "refcnt": f"{self.held[name] + len(self.users(name))}\n"}[file]

    def listdir(self, path: str) -> list[str]:
        """/sys/module and /sys/module/NAME/holders."""
        if path == "/sys/module":
            return list(self.held)
        name = path.split("/")[3]
        if name not in self.held:
            raise KernelError(ENOENT)
        return self.users(name)

    @property
    def lsmod(self) -> str:
        """Modules in the order of their names, with their users, as lsmod's last two columns."""
        rows = [(name, self.held[name], self.users(name)) for name in sorted(self.held)]
        lines = (f"{name:<20} {held + len(users)} {','.join(users)}" for name, held, users in rows)
        return "\n".join(line.rstrip() for line in lines)


@cache
def graph() -> DependencyGraph:
    return from_index()


def loaded(text: str) -> Loaded:
    """``"fat ext4:1"``: these modules, what they need, and one more reference to ext4. ValueError for a name
    that the tree does not have."""
    held: dict[str, int] = {}
    for word in text.replace(",", " ").split():
        name, _, count = word.partition(":")
        if name not in graph():
            raise ValueError(f"no module {name!r} among the {len(graph()):,} of {RELEASE}")
        if count and not (count.isascii() and count.isdigit() and len(count) < 5):
            raise ValueError(f"{word!r}: behind the colon stands how many references others hold, a number")
        name = graph().name(name)
        for other in graph().pulls_in(name):
            held.setdefault(other, 0)
        held[name] = int(count or 0)
    return Loaded(held)


@dataclass(frozen=True)
class Planned:
    """One command line and what came of it. ``kernel`` is only looked at."""

    argv: tuple[str, ...]
    config: str
    kernel: Any
    result: ToolResult
    verbose: str  # what -v would have printed, where it was not given

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(done.step for done in self.result.value or ())

    def count(self, action: str) -> int:
        return sum(step.action == action for step in self.steps)

    @property
    def is_quiet(self) -> bool:
        changes = any(step.action not in ("nothing", "builtin") for step in self.steps)
        return not (changes or self.result.status or self.result.stderr)

    @property
    def removes(self) -> bool:
        try:
            return parse(self.argv).remove
        except UsageError:
            return False

    @property
    def models(self) -> str:
        return f"Modelled: {REMOVES if self.removes else INSERTS}"

    @property
    def headline(self) -> str:
        counts = [(self.count("insmod"), "file", "loaded"), (self.count("rmmod"), "module", "unloaded")]
        words = [f"{plural(count, what)} {verb}" for count, what, verb in counts if count]
        sign = "✗" if self.result.status else "✓"
        done = ", ".join(words) or "nothing is loaded or unloaded"
        return f"{sign} {done}; exit status {self.result.status}"

    @property
    def terminal(self) -> str:
        """As a root prompt would show it; what the configuration and /sys say comes first."""
        lines = [f"# cat {CONFIG_FILE}", *self.config.rstrip("\n").split("\n")] if self.config.strip() else []
        held = getattr(self.kernel, "lsmod", "")
        lines += ["# lsmod | cut -c1-20,29-", *held.split("\n")] if held else []
        lines.append("# " + shlex.join(self.argv))
        said = self.result.stdout + self.result.stderr
        lines += _some(said.rstrip("\n").split("\n")) if said else ["(modprobe says nothing)"]
        lines += ["# echo $?", str(self.result.status)]
        if self.verbose:
            lines += ["", "With -v it would have said:", self.verbose.rstrip("\n")]
        return "\n".join(lines)

    @cached_property
    def pictures(self) -> tuple[View, ...]:
        """The steps; and what the module asked for needs, where it needs something."""
        known = {step.module for step in self.steps} & set(graph().direct)
        needs = {name: graph().direct[name] for name in known}
        title = f"The plan of {shlex.join(self.argv)}"[:90]
        views = [steps_of_modprobe(self.result.value or (), title, needs)]
        targets = [step.target for step in self.steps if step.target in known]
        if targets and 0 < len(graph().pulls_in(targets[0])) <= MOST_DRAWN:
            views.append(neighbourhood(graph(), targets[0], above=0, dot=False))
        return tuple(views)

    @property
    def text(self) -> str:
        pictures = (view.text for view in self.pictures)
        return "\n\n".join([self.headline, self.models, self.terminal, *pictures])

    @property
    def html(self) -> str:
        prompt = "overflow-x:auto;line-height:1.35;border-left:3px solid;padding-left:.7em"
        return (
            f'<p style="font-size:115%;margin:.4em 0"><b>{escape(self.headline)}</b></p>'
            f'<p style="margin:.2em 0;font-size:90%">{escape(self.models)}</p>'
            f'<pre tabindex="0" style="{prompt}">{escape(self.terminal)}</pre>'
            + "".join(view._repr_html_() for view in self.pictures)
        )


def _some(lines: list[str]) -> list[str]:
    """The first ones; ``modprobe -c`` prints 30,000."""
    left_out = len(lines) - MOST_LINES
    return [*lines[:MOST_LINES], f"(and {left_out:,} more lines)"] if left_out > 0 else lines


def planned(
    word: str, options: str = "", params: str = "", config: str = "", kernel: Any = None, cmdline: str = ""
) -> Planned:
    """``modprobe OPTIONS WORD PARAMS`` with this text in ``CONFIG_FILE``; ``kernel`` None: nothing is loaded.

    ValueError where a shell would not make words of it.
    """
    argv = ["modprobe", *_words(options), *([word] if word else []), *_words(params)]
    kernel = loaded("") if kernel is None else kernel
    machine = whole.machine({CONFIG_FILE: config}, cmdline)
    result = run(kernel, argv, machine=machine, preview=True)
    steps = tuple(done.step for done in result.value or ())
    shown = "".join(step.line for step in steps)
    return Planned(tuple(argv), config, kernel, result, "" if shown in result.stdout else shown)


def _words(text: str) -> list[str]:
    if "\0" in text:
        raise ValueError("no argument of a program holds a zero byte")
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"a shell would wait for the rest of {text!r}: {error}") from None
