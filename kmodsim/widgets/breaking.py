# SPDX-License-Identifier: GPL-2.0-only
"""One thing that goes wrong, tried on a fresh kernel, and how near a guess came."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..corpus import sample
from ..errors import KernelError
from ..kernel import Kernel
from ..loader import STAGES
from ..loader.load import Load
from ..modulefile import ModuleFile
from ..syscalls import STEPS
from ..views import load_pipeline
from .breaks import BREAKS, Break
from .guessing import NOT_YET, SHOW
from .pages import Page, dmesg_lines, insmod_lines, outcome_of, place_of, verdict

LOADED = "loaded"
# where a load can end, in the kernel's order; insmod calls finit_module
ENDS = (LOADED, *(name for name in STEPS if name != "copy_module_from_user"), *(s.name for s in STAGES))
ERRNOS = (
    LOADED, "EPERM", "ENOENT", "EBADF", "ENOMEM", "EFAULT", "EBUSY", "EEXIST", "ENODEV", "EINVAL", "ENOEXEC",
    "EBADMSG", "EOPNOTSUPP", "EKEYREJECTED", "oops",
)  # fmt: skip


@dataclass(frozen=True)
class Tried:
    """A Break that was tried: ``load`` holds the outcome, ``load.kernel`` the kernel it was tried on."""

    what: Break

    @cached_property
    def file(self) -> ModuleFile:
        return ModuleFile(sample(self.what.module))

    @cached_property
    def _done(self) -> tuple[Load, int]:
        """The load, and how many records the log had before it.

        No code runs: where init is to return something, it is said in the table.
        """
        what, file = self.what, self.file
        kernel = Kernel(cpu=None, **what.kernel(file))
        for name in self.earlier:
            kernel.load(sample(name), trace=False)
        said = len(kernel.dmesg)
        return kernel.load(what.edit(file), what.params, flags=what.flags, trace=False), said

    @property
    def earlier(self) -> tuple[str, ...]:
        """What is loaded before."""
        return (*self.what.before, *((self.what.module,) if self.what.twice else ()))

    @property
    def load(self) -> Load:
        return self._done[0]

    @property
    def log(self) -> list[str]:
        """The records this load added."""
        return self.load.kernel.dmesg[self._done[1] :]

    @property
    def error(self) -> KernelError | None:
        return self.load.error

    @property
    def stage(self) -> str:
        """Where the load ended: one of ENDS."""
        return LOADED if self.error is None else self.error.stage

    @property
    def errno(self) -> str:
        """With what: one of ERRNOS."""
        return outcome_of(self.error)

    @property
    def setting(self) -> list[str]:
        """What was done, as at a root prompt."""
        what = self.what
        options = what.kernel(self.file)
        lines = [f"# insmod {name}.ko" for name in self.earlier]
        if "cmdline" in options:
            lines.insert(0, f"# cat /proc/cmdline\n{options['cmdline']}")
        if "uid" in options:
            lines.append(f"# setpriv --reuid {options['uid']} sh")
        return lines

    @property
    def call(self) -> str:
        """The command that loads it; the system call itself where the tool cannot do it."""
        what = self.what
        if what.flags:
            return f'finit_module(3, "{what.params}", {what.flags:#x})'
        sign = "$" if "uid" in what.kernel(self.file) else "#"
        return f"{sign} insmod {what.module}.ko {what.params}".rstrip()

    @property
    def told(self) -> list[str]:
        """The command and what it prints, or the call and what it returns."""
        error = self.error
        if self.what.flags:
            result = "0" if error is None else f"-1 {self.errno} ({error.strerror})"
            return [f"{self.call} = {result}"]
        return [self.call, *insmod_lines(self.what.module, self.what.params, error)[1:]]


@dataclass(frozen=True)
class Score:
    """``first``: label -> (stage right, errno right) of the first guess for each break."""

    first: dict[str, tuple[bool, bool]]

    def __str__(self) -> str:
        if not self.first:
            return f"No guess yet; {len(BREAKS)} things to break."
        points = sum(stage + errno for stage, errno in self.first.values())
        return (
            f"Score: {points} of {2 * len(self.first)} points; guessed {len(self.first)} of {len(BREAKS)} "
            "breaks. The first guess counts."
        )


def page_of(tried: Tried, stage: str, errno: str, *, look: bool, score: Score) -> Page:
    """The question, or with ``look`` the answer beside what was guessed."""
    page, what, name = Page(), tried.what, tried.what.module
    if not look:
        page.headline(f"{name}.ko: {what.label}. Where does it stop, and with what?")
        page.terminal([*tried.setting, tried.call, "?"])
        page.words("Choose a stage and an errno, then tick “Show what happens”.")
        return page.words(str(score)).models(place_of("may_init_module"), place_of("do_init_module"))
    page.headline(verdict(name, tried.error))
    page.words(_judged("stage", stage, tried.stage)).words(_judged("errno", errno, tried.errno))
    page.terminal([*tried.setting, *tried.told, *dmesg_lines(tried.log)])
    page.words(what.why).words(tried.error.why if tried.error is not None and tried.error.why else "")
    page.view(load_pipeline(tried.load, f"insmod {name}.ko", short=True)).words(str(score))
    return page.models(place_of("do_init_module" if tried.error is None else tried.error.stage))


def _judged(what: str, guess: str, truth: str) -> str:
    if guess in (NOT_YET, SHOW):
        return ""
    return f"✓ the {what}: {truth}" if guess == truth else f"✗ the {what}: you said {guess}, it is {truth}"


def stage_options() -> list[tuple[str, str]]:
    """(what is shown, value) of every end, with the stage's question."""
    titles = {stage.name: stage.title for stage in STAGES}
    return [(f"{name}: {titles[name]}" if name in titles else name, name) for name in ENDS]
