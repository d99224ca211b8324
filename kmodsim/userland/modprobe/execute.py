# SPDX-License-Identifier: GPL-2.0-only
"""Taking the steps of a plan: on the simulated kernel, or only as if (kmod 30 ``tools/modprobe.c``,
``libkmod/libkmod-module.c``).

Nothing here runs a command of the configuration on the host. Of a few whose outcome is known without running
them (``/bin/false``) the outcome counts; every other one counts as done, and a line says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from ...errors import EEXIST, EINVAL, ENOENT, O_NONBLOCK, O_TRUNC, KernelError, strerror
from .. import sysfs
from ..insmod import insert_module
from .log import ERR, INFO, Log
from .options import Wish
from .steps import Step

# commands of which it is known how they end
STATUSES = {
    **dict.fromkeys(("/bin/true", "/usr/bin/true", "true", ":"), 0),
    **dict.fromkeys(("/bin/false", "/usr/bin/false", "false"), 1),
}


class Done(NamedTuple):
    """One step and how it went: 0, or minus an errno."""

    step: Step
    result: int


class Dry:
    """``-n``: the steps are shown, the kernel is only looked at."""

    def __init__(self, kernel: Any, wish: Wish, log: Log) -> None:
        self.kernel, self.wish, self.log = kernel, wish, log
        self.out: list[str] = []
        self.done: list[Done] = []
        self.error: KernelError | None = None  # of the last system call that failed

    def initstate(self, name: str) -> str | None:
        return sysfs.initstate(self.kernel, name)

    def refcnt(self, name: str) -> int:
        return sysfs.number(self.kernel, name, "refcnt")

    def holders(self, name: str) -> list[str]:
        names, complaint = sysfs.holders(self.kernel, name)
        if complaint:
            place, function, text = complaint.removeprefix("../libkmod/").split(" ", 2)
            self.log.library(place, function.removesuffix("()"), text)
        return names

    def perform(self, step: Step) -> int:
        """Take one step; the result is also kept in ``done``."""
        if self.wish.shows:
            self.out.append(step.line)
        result = self._take(step)
        self.done.append(Done(step, result))
        return result

    def _take(self, step: Step) -> int:
        return -EEXIST if step.action == "nothing" and step.loaded else 0

    def _run(self, step: Step) -> int:
        """A command: known to succeed, known to fail, or not run."""
        status = STATUSES.get(step.expanded.split(" ")[0]) if _is_simple(step.expanded) else None
        if status is None:
            self.log.lines.append(f"kmodsim: not run, counts as done: {step.expanded}\n")
            return 0
        if not status:
            return 0
        if step.action == "remove":
            self.log.tool(self.wish.severity, f"Error running remove command for {step.module}")
            return -status
        text = (f"Error running install command '{step.expanded}' for module {step.module}: "
                f"retcode {status}")  # fmt: skip
        self.log.library("libkmod-module.c:1047", "command_do", text)
        return -EINVAL

    def _without_file(self, step: Step) -> int:
        text = f"could not find module by name='{step.module}'"
        self.log.library("libkmod-module.c:895", "kmod_module_insert_module", text)
        return -ENOENT


class Live(Dry):
    """The steps are taken on the simulated kernel."""

    def __init__(self, kernel: Any, wish: Wish, log: Log, uid: int | None = None) -> None:
        super().__init__(kernel, wish, log)
        self.uid = uid

    def _take(self, step: Step) -> int:
        if step.action == "nothing":
            return super()._take(step)
        take = {"insmod": self._insmod, "rmmod": self._rmmod, "install": self._run, "remove": self._run}
        return take[step.action](step) if step.action in take else 0

    def _insmod(self, step: Step) -> int:
        """``kmod_module_insert_module``: finit_module, or init_module for a compressed file."""
        if step.path is None:
            return self._without_file(step)
        try:
            insert_module(self.kernel, step.path, step.arguments, self.wish.flags, self.uid)
        except KernelError as error:
            if error.stage:  # a system call was made
                text = f"Failed to insert module '{step.path}': {error.strerror}"
                self.log.library("libkmod-module.c:949", "kmod_module_insert_module", text, INFO)
            return self._failed(error)
        return 0

    def _rmmod(self, step: Step) -> int:
        """``kmod_module_remove_module``. With -w the real tool tries again until the time is over; here no
        time passes, and nobody else gives a reference back."""
        flags = O_NONBLOCK | (O_TRUNC if self.wish.force else 0)
        try:
            self.kernel.delete_module(step.module, flags=flags, uid=self.uid)
        except KernelError as error:
            text = f"could not remove '{step.module}': {error.strerror}"
            result = self._failed(error)
            if self.wish.wait:
                self.log.tool(ERR, text)
            else:
                self.log.library("libkmod-module.c:856", "kmod_module_remove_module", text)
            return result
        return 0

    def _failed(self, error: KernelError) -> int:
        if error.errno is None:  # killed, asleep, or past the end of the model
            raise error
        self.error = error
        return -error.errno


def _is_simple(command: str) -> bool:
    return not any(letter in command for letter in ";&|<>$`()\n\\'\"")


class Preview(Dry):
    """As if each step succeeded: what the kernel would show afterwards is kept here, the kernel untouched."""

    def __init__(self, kernel: Any, wish: Wish, log: Log) -> None:
        super().__init__(kernel, wish, log)
        self._gone: set[str] = set()

    def initstate(self, name: str) -> str | None:
        return None if name in self._gone else super().initstate(name)

    def refcnt(self, name: str) -> int:
        """Each user that has gone by then holds one reference less."""
        count = -ENOENT if name in self._gone else super().refcnt(name)
        if count <= 0 or not self._gone:
            return count
        return count - len(self._gone.intersection(sysfs.holders(self.kernel, name)[0]))

    def holders(self, name: str) -> list[str]:
        return [holder for holder in super().holders(name) if holder not in self._gone]

    def _take(self, step: Step) -> int:
        if step.action == "rmmod":
            self._gone.add(step.module)
        return super()._take(step)


class Pretend(Preview):
    """As if each system call succeeded: what was inserted is there for the steps that follow, and commands
    end as they do in ``Live``."""

    def __init__(self, kernel: Any, wish: Wish, log: Log) -> None:
        super().__init__(kernel, wish, log)
        self._there: set[str] = set()

    def initstate(self, name: str) -> str | None:
        return "live" if name in self._there else super().initstate(name)

    def _take(self, step: Step) -> int:
        if step.action in ("install", "remove"):
            return self._run(step)
        if step.action == "insmod":
            if step.path is None:
                return self._without_file(step)
            self._there.add(step.module)
        return super()._take(step)


def _in_kernel(step: Step, to: Dry) -> bool:
    return step.action == "builtin" or to.initstate(step.module) == "live"


def insert_steps(steps: Iterable[Step], to: Dry, wish: Wish, log: Log) -> int:
    """Take the steps of one target in turn (the loop of ``kmod_module_probe_insert_module``).

    What is loaded by then is left out; soft dependencies may fail. The line for a failure names the module
    that was asked for, whichever file it was.
    """
    error, target = 0, ""
    for step in steps:
        target = step.target
        if step.action != "nothing" and not wish.ignore_loaded and _in_kernel(step, to):
            step = replace(step, action="nothing", loaded=True,
                           reason=f"{step.reason}; in the kernel already")  # fmt: skip
        error = to.perform(step)
        if error == -EEXIST and step.module == target and wish.first_time:
            break
        if error == -EEXIST or not step.needed:
            error = 0
        elif error < 0:
            break
    if error < 0:
        log.tool(ERR, f"could not insert '{target}': {WORDS.get(-error) or strerror(-error)}")
    return error


WORDS = {
    EEXIST: "Module already in kernel",
    ENOENT: "Unknown symbol in module, or unknown parameter (see dmesg)",
}
