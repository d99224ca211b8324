# SPDX-License-Identifier: GPL-2.0-only
"""One call of delete_module in a chosen situation: the unload lab without its controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from ..corpus import samples
from ..errors import (
    EAGAIN,
    EBUSY,
    ENOENT,
    EPERM,
    O_NONBLOCK,
    O_TRUNC,
    KernelError,
    errno_name,
)
from ..kernel import Kernel
from ..modulefile import ModuleFile
from ..unloader import MODULE_NAME_LEN, Unload, Unloadable
from ..userland import run as run_tool
from ..views import unload_pipeline
from ..views.ladder import FORCED, PASSED, REFUSED, UNREACHED, Rung, ladder
from ..views.view import View, plural
from .chosen import file_of, load_needs

LIVE, COMING, GOING = "LIVE", "COMING", "GOING"
STATES = {
    "it is LIVE": LIVE,
    "its init is still running (COMING)": COMING,
    "it is being unloaded already (GOING)": GOING,
}
RIGHT, WRONG, EMPTY, LONG = "its own", "another", "an empty one", "one of 56 bytes"
NAMES = (RIGHT, WRONG, EMPTY, LONG)
UNLOADED = "success"
SOURCE = "kernel/module/main.c:delete_module, try_stop_module"


@dataclass(frozen=True)
class Situation:
    """Who calls delete_module for which module, how, and when.

    ``used``: a module that uses it is loaded; ``held``: references taken, as open devices do; ``state``: of
    the module at that moment; ``name``: one of NAMES.
    """

    module: str = "hello"
    used: bool = False
    held: int = 0
    state: str = LIVE
    truncate: bool = False
    nonblock: bool = True
    uid: int = 0
    disabled: bool = False
    name: str = RIGHT

    @property
    def flags(self) -> int:
        return (O_TRUNC if self.truncate else 0) | (O_NONBLOCK if self.nonblock else 0)

    def asked(self, own: str) -> str:
        """The name that the call gives."""
        return {WRONG: "no_such_module", EMPTY: "", LONG: "x" * MODULE_NAME_LEN}.get(self.name, own)


class Facts:
    """What the checks of delete_module look at, read from a kernel just before the call."""

    def __init__(self, kernel: Kernel, situation: Situation, own: str) -> None:
        self.name, self.flags = situation.asked(own), situation.flags
        self.capable = "CAP_SYS_MODULE" in kernel.caller(situation.uid)
        self.disabled = kernel.modules_disabled
        mod = kernel.find_module(self.name) if 0 < len(self.name) < MODULE_NAME_LEN else None
        self.module = mod and Unloadable(mod.holders, mod.state, bool(mod.init), bool(mod.exit), mod.refcount)


def user_of(name: str) -> str:
    """A sample that uses the module ``name``; "" for none."""
    for other in samples():
        if name in (file_of(other).modinfo.get("depends") or "").split(","):
            return other
    return ""


def arrange(file: ModuleFile, situation: Situation, act: Callable[[Kernel], None]) -> Kernel:
    """A kernel in which ``act`` is called once at the moment that the situation describes.

    ValueError: there can be no such situation.
    """
    kernel = Kernel()
    load_needs(kernel, file)
    done: list[str] = []

    def at(state: str, module: object) -> None:
        """Called as a notifier: another task would see the module in this state."""
        if state == situation.state and getattr(module, "name", "") == name and not done:
            done.append(state)
            _hold(kernel, name, situation.held)
            kernel.modules_disabled = situation.disabled
            act(kernel)

    name = file.name
    if situation.state != LIVE:
        if situation.used and situation.state == COMING:
            raise ValueError("no module can use one that is still COMING: its load would wait (ref_module)")
        kernel.register_module_notifier(at)
    load = kernel.load(file.data, trace=False)
    if load.error is not None:
        raise load.error
    if situation.state == COMING:
        return kernel
    if situation.used:
        _load_user(kernel, name)
    if situation.state == GOING:
        if situation.held or situation.used:
            raise ValueError("a module in use is not GOING: nobody could begin to unload it without O_TRUNC")
        kernel.delete_module(name, flags=O_TRUNC)
        return kernel
    _hold(kernel, name, situation.held)
    kernel.modules_disabled = situation.disabled
    act(kernel)
    return kernel


def _hold(kernel: Kernel, name: str, times: int) -> None:
    for _ in range(times):
        kernel.hold(name)


def _load_user(kernel: Kernel, name: str) -> None:
    user = user_of(name)
    if not user:
        raise ValueError(f"no sample uses {name}; chain_a, chain_b and diamond_bottom have users")
    file = file_of(user)
    load_needs(kernel, file)
    kernel.load(file.data, trace=False)


def rungs(facts: Facts) -> list[Rung]:
    """The checks of delete_module in their order, up to the first that refuses."""
    mod, force = facts.module, bool(facts.flags & O_TRUNC)
    users = ", ".join(mod.holders) if mod else ""
    permanent = bool(mod and mod.has_init and not mod.has_exit)
    length = len(facts.name)
    way = "O_TRUNC (rmmod -f), at the price of taint R"
    found = {(True, True): "both", (True, False): "init, but no exit", (False, True): "exit, but no init",
             (False, False): "neither"}[bool(mod and mod.has_init), bool(mod and mod.has_exit)]  # fmt: skip
    rights = "yes" if facts.capable else "no CAP_SYS_MODULE"
    table = (
        ("May the caller unload modules?", "modules_disabled is 1" if facts.disabled else rights, EPERM, "",
         "delete_module", not facts.capable or facts.disabled),
        ("Does the name have 1 to 55 bytes?", plural(length, "byte"), ENOENT, "", "strncpy_from_user",
         not 0 < length < MODULE_NAME_LEN),
        ("Is a module of that name on the list?", "yes" if mod else "no", ENOENT, "", "find_module",
         mod is None),
        ("Does no other module use it?", f"used by {users}" if users else "nobody", EAGAIN, "",
         "delete_module", bool(users)),
        ("Is it LIVE?", mod.state if mod else "", EBUSY, "", "delete_module",
         mod is not None and mod.state != LIVE),
        ("If it has an init, has it an exit?", found, EBUSY, way, "try_force_unload", permanent),
        ("Does nobody hold a reference?", f"{mod.refcount} held" if mod else "", EAGAIN, way,
         "try_stop_module", bool(mod and mod.refcount)),
    )  # fmt: skip
    out: list[Rung] = []
    stopped = False
    for question, now, errno, past, function, bad in table:
        state = UNREACHED if stopped else PASSED if not bad else FORCED if past and force else REFUSED
        stopped |= state == REFUSED
        shown = now if state != UNREACHED else ""
        out.append(Rung(question, shown, errno_name(errno), past, function, state))
    return out


@dataclass(frozen=True)
class Unloading:
    """The kernel after the call, what the call did, and the checks it met."""

    situation: Situation
    own: str
    kernel: Kernel
    facts: Facts
    unload: Unload | None
    error: KernelError | None
    before: str
    dmesg: tuple[str, ...]
    rmmod: tuple[str, ...]

    @property
    def outcome(self) -> str:
        """UNLOADED, or the errno's name."""
        if self.error is None:
            return UNLOADED
        return errno_name(self.error.errno) if self.error.errno else "oops"

    @property
    def headline(self) -> str:
        if self.error is None:
            forced = any(rung.state == FORCED for rung in rungs(self.facts))
            price = ", by force: whoever held it now points into freed memory" if self.left else ""
            return f"✓ {self.own} is gone{price or (', by force' if forced else '')}"
        return f"✗ {self.outcome}: {self.error.strerror}"

    @property
    def left(self) -> bool:
        """Somebody still held a reference when it went."""
        return self.error is None and self.facts.module is not None and self.facts.module.refcount > 0

    @cached_property
    def ladder(self) -> View:
        title = f"delete_module({self.facts.name!r:.40}, {flag_words(self.facts.flags)})"
        outcome = "GOING, exit(), free_module" if self.error is None else f"-1 {self.outcome}"
        return ladder(rungs(self.facts), title, outcome)

    @cached_property
    def steps(self) -> View | None:
        """What delete_module did after the checks."""
        return unload_pipeline(self.unload) if self.unload is not None and self.error is None else None

    @property
    def terminal(self) -> str:
        """The system call as strace shows it, its log, and what rmmod would have said."""
        name = self.facts.name
        force = " -f" if self.situation.truncate else ""
        result = "0" if self.error is None else f"-1 {self.outcome} ({self.error.strerror})"
        lines = [f'delete_module("{name[:32]}"{"..." if len(name) > 32 else ""}, '
                 f"{flag_words(self.facts.flags)}) = {result}"]  # fmt: skip
        lines += ["# dmesg", *([record[3:] for record in self.dmesg] or ["(nothing)"])]
        lines += [f"# rmmod{force} {name}", *self.rmmod, "# cat /proc/modules   (afterwards)"]
        lines += self.kernel.read("/proc/modules").splitlines() or ["(no module)"]
        return "\n".join([*lines, f"models {SOURCE}; kmod 30 tools/rmmod.c"])

    @property
    def text(self) -> str:
        parts = [self.headline, self.ladder.text, self.terminal]
        return "\n\n".join([*parts, self.steps.text] if self.steps else parts)


def flag_words(flags: int) -> str:
    """``O_NONBLOCK|O_TRUNC``, 0 for none."""
    names = [name for name, bit in (("O_NONBLOCK", O_NONBLOCK), ("O_TRUNC", O_TRUNC)) if flags & bit]
    return "|".join(names) or "0"


def unloading(module: object, situation: Situation) -> Unloading:
    """Make the call in this situation, and let rmmod try the same in another kernel like it.

    ValueError: there can be no such situation. KernelError: the module cannot be loaded.
    """
    file = file_of(module)
    seen: list[object] = []

    def call(kernel: Kernel) -> None:
        facts, start = Facts(kernel, situation, file.name), len(kernel.dmesg)
        seen.extend((kernel.read("/proc/modules"), facts))
        error = None
        try:
            kernel.delete_module(facts.name, flags=situation.flags, uid=situation.uid)
        except KernelError as problem:
            error = problem
        seen.extend((kernel.unloading, error, tuple(kernel.dmesg[start:])))

    kernel = arrange(file, situation, call)
    before, facts, unload, error, log = seen
    words = _rmmod(file, situation)
    return Unloading(situation, file.name, kernel, facts, unload, error, before, log, words)  # type: ignore[arg-type]


def _rmmod(file: ModuleFile, situation: Situation) -> tuple[str, ...]:
    """What rmmod prints, and its exit status; it always passes O_NONBLOCK, and looks into /sys first."""
    said: list[str] = []

    def run(kernel: Kernel) -> None:
        force = ["-f"] if situation.truncate else []
        result = run_tool(kernel, ["rmmod", *force, "--", situation.asked(file.name)], situation.uid)
        said.extend((*result.stderr.splitlines(), f"(exit status {result.status})"))

    arrange(file, situation, run)
    return tuple(said)
