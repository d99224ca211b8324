# SPDX-License-Identifier: GPL-2.0-only
"""modprobe: from a name to a sequence of system calls (kmod 30 ``tools/modprobe.c`` and libkmod).

    run(kernel, argv)           the tool: what it prints and returns, the steps taken on the simulated kernel
    plan("snd-hda-intel")       the steps as data, each with its reason; nothing is loaded
    execute(plan, kernel)       take the steps of a plan

The machine that is modelled has an empty /etc/modprobe.d: without -C no configuration is read, whatever the
host has. ``Machine.host()`` is the host as kmod sees it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ...errors import ENOENT, KernelError
from .. import ToolResult
from ..index_read import BrokenIndex
from ..options import UsageError
from . import output
from .config import FOLDERS
from .execute import Done, Dry, Live, Pretend, Preview, insert_steps
from .log import INFO, Fatal, Log
from .lookup import POINTER, Context, LookupFailed
from .options import Wish, module_options, parse
from .probe import steps_of
from .removal import StackOverflow, drive, remove_word
from .steps import ACTIONS, Option, Plan, Step

SEGFAULT, KILLED = 128 + 11, "Segmentation fault\n"  # ended by SIGSEGV, and the shell's word for it
LONGEST_PATH = 4095


class Machine(NamedTuple):
    """Where the tool looks: the folder of modules and the places of the configuration.

    ``dirname`` None: the tree of ``corpus.tree()``, else the modules that come along. ``cmdline`` None: the
    simulated kernel's command line. ``files``: path -> contents, which stand in for the host's
    (``whole.py``).
    """

    dirname: str | None = None
    config_paths: tuple[str, ...] = ()
    cmdline: str | None = None
    files: Mapping[str, bytes] | None = None

    @classmethod
    def host(cls) -> Machine:
        """This very machine: /lib/modules/RELEASE, the four folders, /proc/cmdline."""
        import platform

        try:
            with open("/proc/cmdline", "rb") as file:
                text = file.read().decode("utf-8", "surrogateescape")
        except OSError:
            text = ""
        return cls(f"/lib/modules/{platform.release()}", FOLDERS, text)


MODELLED = Machine()


def run(
    kernel: Any, argv: list[str], uid: int | None = None, machine: Machine | None = None, *,
    preview: bool = False,
) -> ToolResult:  # fmt: skip
    """The tool. ``value`` of the result is the tuple of steps with their results (``Done``).

    ``preview``: as if each system call succeeded; the kernel is only looked at.
    """
    try:
        wish = parse(argv, os.environ.get("MODPROBE_OPTIONS", ""))
    except UsageError as error:
        return ToolResult(stderr=f"{error}\n" if str(error) else "", status=1)
    if wish.show == "help":
        return ToolResult(output.HELP.format(os.path.basename(argv[0])))
    if wish.show == "version":
        from ..insmod import VERSION

        return ToolResult(VERSION)
    pretend = preview and not wish.dry_run
    return _Run(kernel, wish, uid, machine, Pretend if pretend else None).result()


def plan(
    word: str, kernel: Any = None, *, params: str = "", remove: bool = False, options: Sequence[str] = (),
    machine: Machine | None = None,
) -> Plan:  # fmt: skip
    """The steps that ``modprobe [-r] [options] word params`` would take on ``kernel`` as it is now.

    ``kernel`` None: one in which nothing is loaded. ``options`` are those of the command line: ``["-b"]``.
    Raises ``KernelError`` for a broken index, ``ValueError`` for options that are none.
    """
    try:
        wish = parse(["modprobe", *options, *(["-r"] if remove else []), "--", word])
    except UsageError as error:
        raise ValueError(str(error)) from None
    if kernel is None:
        from ... import Kernel

        kernel = Kernel()
    run = _Run(kernel, wish, None, machine, Preview)
    try:
        result = run.remove([word]) if wish.remove else run.insert(word, params)
        status = int(result < 0)
    except Fatal:
        status = 1
    except StackOverflow:
        raise KernelError(None, stage="modprobe", why="soft dependencies go in a circle") from None
    steps = tuple(done.step for done in run.to.done)
    return Plan(word, steps, wish.remove, "".join(run.log.lines), status, wish.flags)


def execute(plan: Plan, kernel: Any, uid: int | None = None) -> ToolResult:
    """Take the steps of a plan on ``kernel``: what modprobe would write when one fails, and its status."""
    wish, log = Wish(flags=plan.force), Log()
    log.set_up(wish.level)
    to = Live(kernel, wish, log, uid)
    error = 0
    for target in dict.fromkeys(step.target for step in plan.steps):
        steps = [step for step in plan.steps if step.target == target]
        error = _remove_steps(steps, to) if plan.remove else insert_steps(steps, to, wish, log)
        if error < 0 and plan.remove:
            break
    failed = error < 0 or plan.status
    text = plan.stderr + "".join(log.lines)
    return ToolResult("", text, int(failed), to.error if failed else None, tuple(to.done))


def _remove_steps(steps: Iterable[Step], to: Live) -> int:
    for step in steps:
        if step.if_unused and to.refcnt(step.module) != 0:
            continue
        error = to.perform(step)
        if error < 0 and step.needed:
            return error
    return 0


class _Run:
    """One run of the tool after its command line was read."""

    def __init__(self, kernel: Any, wish: Wish, uid: int | None, machine: Machine | None,
                 performer: type[Dry] | None = None) -> None:  # fmt: skip
        machine = machine or MODELLED
        self.kernel, self.wish = kernel, wish
        self.log = Log()
        self.log.syslog = wish.syslog
        cmdline = _cmdline(kernel) if machine.cmdline is None else machine.cmdline
        dirname = modules_folder(kernel, wish.root, wish.version, machine)
        paths = wish.config or machine.config_paths
        self.context = Context(dirname, paths, cmdline, self.log, machine.files)
        self.log.set_up(wish.level)
        text = f"custom logging function {POINTER} registered"
        self.log.library("libkmod.c:367", "kmod_set_log_fn", text, INFO)
        self.context.load_resources()
        if performer is not None:
            self.to = performer(kernel, wish, self.log)
        else:
            self.to = Dry(kernel, wish, self.log) if wish.dry_run else Live(kernel, wish, self.log, uid)

    def result(self) -> ToolResult:
        try:
            status = int(self._main() < 0)
        except Fatal:
            return self._ended(1)
        except BrokenIndex as error:  # what was not yet written is lost with the process
            return ToolResult("", self._said() + KILLED, SEGFAULT, error)
        except StackOverflow:  # a removal writes each line at once
            return ToolResult("".join(self.to.out), self._said() + KILLED, SEGFAULT)
        self.log.library("libkmod.c:334", "kmod_unref", f"context {POINTER} released", INFO)
        return self._ended(status)

    def _said(self) -> str:
        return "".join(self.log.lines)

    def _ended(self, status: int) -> ToolResult:
        failed = self.to.error if status else None
        return ToolResult("".join(self.to.out), self._said(), status, failed, tuple(self.to.done))

    def _main(self) -> int:
        wish = self.wish
        if wish.show == "config":
            self.to.out += output.configuration(self.context)
            return 0
        if wish.show:
            text, error = output.versions(wish.words[0], wish, self.log)
            self.to.out.append(text)
            return error
        if wish.remove:
            return self.remove(wish.words)
        if not wish.all:
            return self.insert(wish.words[0], module_options(wish.words[1:]))
        errors = [self.insert(word, "") for word in wish.words]
        return next((error for error in reversed(errors) if error < 0), 0)

    def insert(self, word: str, params: str) -> int:
        """``tools/modprobe.c:insmod``: all modules that the word means, each for itself."""
        self.context.forget()
        try:
            modules = self.context.lookup(word)
        except LookupFailed:
            modules = []
        if not modules:
            where = self.context.dirname
            self.log.tool(self.wish.severity, f"Module {word} not found in directory {where}")
            return -ENOENT
        error = 0
        for module in modules:
            if self.wish.lookup_only:
                self.to.out.append(f"{module.name}\n")
                continue
            steps = steps_of(self.context, module, self.wish, params, self._in_kernel)
            error = insert_steps(steps, self.to, self.wish, self.log)
        return error

    def _in_kernel(self, module: Any) -> bool:
        return self.context.is_builtin(module) or self.to.initstate(module.name) == "live"

    def remove(self, words: Iterable[str]) -> int:
        """All words, without -a too; the last error counts."""
        error = 0
        for word in words:
            self.context.forget()
            result = drive(remove_word(self.context, word, self.wish, self.to), self.to.perform)
            error = result if result < 0 else error
        return error


def _cmdline(kernel: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in kernel.cmdline.items())


def modules_folder(kernel: Any, root: str | None, version: str | None, machine: Machine = MODELLED) -> str:
    """The folder of modules. ``root`` and ``version`` (modprobe's -d and -S, modinfo's -b and -k) name
    folders of the host; without them it is the machine's own, and so it is for a version that is the release
    of the kernel that is modelled. ``kernel`` None: the default profile's."""
    from ...corpus import RELEASE

    release = RELEASE if kernel is None else kernel.profile.release
    if root is None and version in (None, release):
        return machine.dirname or default_dirname()
    path = f"{root or ''}/lib/modules/{release if version is None else version}"[:LONGEST_PATH]
    return path if path.startswith("/") else f"{os.getcwd()}/{path}"


def default_dirname() -> str:
    """The distribution's whole tree, where it was unpacked and has indexes; else the folder of the modules
    that come along."""
    from ... import corpus

    tree = corpus.tree()
    if tree is not None and (tree / "modules.dep.bin").is_file():
        return str(tree)
    return str(corpus.DATA)


__all__ = [
    "ACTIONS", "Done", "Machine", "Option", "Plan", "Step", "default_dirname", "execute",
    "modules_folder", "plan", "run",
]  # fmt: skip
