# SPDX-License-Identifier: GPL-2.0-only
"""A module's life from insmod to the end of rmmod, looked at whenever its state changes or its code runs.

Models ``kernel/module/main.c``: load_module, do_init_module, delete_module, free_module.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from ..errors import KernelError, KernelOops, errno_name
from ..kernel import Kernel
from ..module import Module, ModuleState
from ..modulefile import ModuleFile
from ..views import calls_of
from ..views.oops import oops_report, report_of
from ..views.state_machine import GONE, Step, state_machine
from ..views.view import View
from .chosen import load_needs

MAIN = "kernel/module/main.c"
AS_WRITTEN = "what its code returns"
# label -> what init is made to return
RETURNS: dict[str, int | None] = {
    AS_WRITTEN: None, "0": 0, "-EPERM (-1)": -1, "-ENOMEM (-12)": -12, "-EBUSY (-16)": -16,
    "-ENODEV (-19)": -19, "-EPROBE_DEFER (-517)": -517, "-4096: no errno at all": -4096, "5: positive": 5,
}  # fmt: skip
# (state before, state after) -> what happened, by which function
STEPS = {
    (GONE, "UNFORMED"): ("on the list, so that nobody else takes the name", "add_unformed_module"),
    ("UNFORMED", "COMING"): ("relocated, protected, patched: complete", "complete_formation"),
    ("COMING", "LIVE"): ("init is done: everybody may use it", "do_init_module"),
    ("COMING", "GOING"): ("the load fails late: what was made is taken apart", "do_init_module"),
    ("LIVE", "GOING"): ("nobody uses it: nobody can begin to", "try_stop_module"),
    ("GOING", "UNFORMED"): ("out of /sys; invisible, but its name is still taken", "free_module"),
    ("GOING", GONE): ("off the list: the load that failed undoes what it did", "load_module"),
    ("UNFORMED", GONE): ("off the list; its memory goes, the name is free", "free_module"),
}


@dataclass(frozen=True)
class Moment:
    """What one sees at a moment. ``state``: GONE where there is no module; ``files``: path -> text, in /sys
    and /proc; ``log``: what the kernel printed since the moment before."""

    what: str
    function: str
    state: str
    refcount: int | None
    files: dict[str, str]
    log: tuple[str, ...]


class WatchedKernel(Kernel):
    """A kernel that notes a Moment whenever the state of the module ``watched`` changes or its code runs."""

    def __init__(self, watched: str = "", returns: int | None = None) -> None:
        super().__init__()
        self.watched, self.returns = watched, returns
        self.moments: list[Moment] = []
        self._seen, self._state, self._loaded = 0, GONE, False

    def note(self, what: str, function: str, mod: Module | None) -> None:
        paths = ["initstate", "refcnt", "taint"]
        if mod is not None:
            # one with functions of its own would run module code when it is read: looking must change nothing
            paths += [f"parameters/{p.name}" for p in mod.params if p.ops_name and p.get_name][:4]
        files = {path: self._text(f"/sys/module/{self.watched}/{path}") for path in paths}
        lines = [x for x in self.read("/proc/modules").splitlines() if x.split()[0] == self.watched]
        files["/proc/modules"] = "".join(lines) or "(no line)"
        log = tuple(record[3:] for record in self.dmesg[self._seen :])
        self._seen = len(self.dmesg)
        refcount = mod.refcount if mod is not None else None
        self.moments.append(Moment(what, f"{MAIN}:{function}", self._state, refcount, files, log))

    def _text(self, path: str) -> str:
        try:
            return self.read(path).rstrip("\n")
        except KernelError:
            return "(no such file)"

    def _step(self, state: str, mod: Module | None) -> None:
        what, function = STEPS.get((self._state, state), ("", "load_module"))
        self._loaded |= state == "LIVE"
        if state in ("GOING", GONE) and not self._loaded:
            function = "load_module"  # it failed before init was called: its error path did this
        if what:
            self._state = state
            self.note(what, function, mod)

    def list_add(self, mod: Module) -> None:
        super().list_add(mod)
        if mod.name == self.watched:
            self._step("UNFORMED", mod)

    def set_state(self, mod: Module, state: ModuleState) -> None:
        super().set_state(mod, state)
        if mod.name == self.watched and self._state != GONE:
            self._step(state.name, mod)

    def list_del(self, mod: Module) -> None:
        super().list_del(mod)
        if mod.name == self.watched:
            self._step(GONE, None)

    def run(self, mod: Module, address: int) -> tuple[int, bool]:
        """init and exit of the watched module, before and after; init returns what it was told to."""
        if mod.name != self.watched or address not in (mod.init, mod.exit):
            return super().run(mod, address)
        name = "init" if address == mod.init and self._state == "COMING" else "exit"
        function = "do_init_module" if name == "init" else "delete_module"
        self._loaded = True
        self.note(f"{name}() is about to be called", function, mod)
        if name == "init" and self.returns is not None:
            answer = self.returns, True
        else:
            answer = super().run(mod, address)
        ran = "" if answer[1] else " (no code ran: it counts as that)"
        returned = f" returned {answer[0]}{ran}" if name == "init" else " has run"
        self.note(f"{name}(){returned}", function, mod)
        return answer


@dataclass(frozen=True)
class Life:
    """All moments of one life, the kernel after it, and the calls' results (None: not made)."""

    name: str
    kernel: WatchedKernel
    loading: KernelError | None
    unloading: KernelError | None
    unloaded: bool

    @property
    def moments(self) -> list[Moment]:
        return self.kernel.moments

    @property
    def headline(self) -> str:
        said = f"insmod {self.name}.ko: {_result(self.loading)}"
        return f"{said}; rmmod {self.name}: {_result(self.unloading)}" if self.unloaded else said

    def taken(self, number: int) -> list[Step]:
        """The steps between states up to a moment."""
        pairs = pairwise(self.moments[: number + 1])
        return [(a.state, b.state, b.function.partition(":")[2]) for a, b in pairs if a.state != b.state]

    def picture(self, number: int) -> View:
        """The state machine at a moment."""
        title = f"{number + 1}. {self.moments[number].what}"
        return state_machine(self.moments[number].state, self.taken(number), title)

    def words(self, number: int) -> str:
        """A moment in words: who did it, what files say, what was logged."""
        moment = self.moments[number]
        lines = [f"models {moment.function}"]
        if moment.refcount is not None:
            lines.append(f"mod->refcnt {moment.refcount + 1}: lsmod shows {moment.refcount}")
        lines += [
            f"# cat {path if path[0] == '/' else f'/sys/module/{self.name}/{path}'}\n{text}"
            for path, text in moment.files.items()
        ]
        return "\n".join([*lines, "# dmesg   (since the step before)", *(moment.log or ("(nothing)",))])

    @cached_property
    def calls(self) -> View | None:
        """What the module's code asked of the kernel in all its life."""
        calls = [call for call in self.kernel.calls if call.module == self.name]
        return calls_of(calls[:40], f"Calls by {self.name}'s code") if calls else None

    @cached_property
    def report(self) -> View | None:
        """The kernel's report, explained, where one was printed."""
        report = report_of(self.kernel.dmesg)
        return oops_report(report) if report else None


def _result(error: KernelError | None) -> str:
    if error is None:
        return "0"
    if error.errno is None:
        return "Killed" if isinstance(error, KernelOops) else error.strerror or "no errno"
    return f"-1 {errno_name(error.errno)}"


def live(file: ModuleFile, params: str = "", returns: int | None = None, unload: bool = True) -> Life:
    """Load a module into a fresh kernel and, if it is there then, unload it.

    ``returns``: what init is made to return instead of running; None: its own code decides.
    """
    kernel = WatchedKernel(file.name, returns)
    kernel.note("nothing yet", "load_module", None)
    load_needs(kernel, file)
    load = kernel.load(file.data, params, trace=False)
    if load.error is not None and kernel.moments[-1].state not in (GONE, "GOING"):
        mod = kernel.find_module_all(file.name)
        kernel.note("the task was killed: the module stays as it is, for ever", "do_init_module", mod)
    problem: KernelError | None = None
    if unload and file.name in kernel.modules:
        try:
            kernel.delete_module(file.name)
        except KernelError as error:
            problem = error
            kernel.note("delete_module refused", "delete_module", kernel.find_module_all(file.name))
        return Life(file.name, kernel, load.error, problem, True)
    if load.error is not None and len(kernel.moments) == 1:
        kernel.note("the load ended before there was a struct module on the list", "load_module", None)
    return Life(file.name, kernel, load.error, None, False)
