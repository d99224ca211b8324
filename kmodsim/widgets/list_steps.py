# SPDX-License-Identifier: GPL-2.0-only
"""Steps on the list of modules, one after the other: the list lab without its controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple

from ..errors import KernelError, KernelOops, errno_name
from ..finding import in_memory, in_sysfs, on_the_list
from ..kernel import Kernel
from ..module import Module
from ..modulefile import ModuleFile
from ..userland import run as run_tool
from ..views.of_kernel import links_in_memory, pointers_of_modules
from ..views.view import View, table
from .chosen import file_of
from .list_places import Place, places_of

MOST = 24  # steps
BOTH, LIST_ONLY, SYSFS_ONLY, NEITHER = (
    "/proc/modules and /sys/module", "/proc/modules only", "/sys/module only", "neither of them",
)  # fmt: skip
SHOWN_IN = {(True, True): BOTH, (True, False): LIST_ONLY, (False, True): SYSFS_ONLY, (False, False): NEITHER}
ANSWERS = ("success", "ENOENT", "EAGAIN", "EBUSY")


class Refused(Exception):
    """A step that came to nothing, in words."""


def _insmod(kernel: Kernel, name: str, file: object) -> None:
    kernel.finit_module(file_of(file).data)


def _rmmod(kernel: Kernel, name: str, file: object) -> None:
    kernel.delete_module(name)


def _module(kernel: Kernel, name: str) -> Module:
    """What a pointer to it, THIS_MODULE, leads to: the list is not asked."""
    found = next((mod for mod in kernel.known_modules if mod.name == name), None)
    if found is None:
        raise Refused("there is no such module in memory")
    return found


def _unlink(how: str) -> Callable[[Kernel, str, object], None]:
    return lambda kernel, name, file: kernel.linked_list.unlink(_module(kernel, name), how)


def _list_add(kernel: Kernel, name: str, file: object) -> None:
    mod = _module(kernel, name)
    if mod in kernel.module_list:
        raise Refused("it is on the list: a second list_add would break the ring")
    kernel.linked_list.add(mod)


def _get(kernel: Kernel, name: str, file: object) -> None:
    if not kernel.try_module_get(_module(kernel, name)):
        raise Refused("try_module_get returns false")


def _put(kernel: Kernel, name: str, file: object) -> None:
    mod = _module(kernel, name)
    if mod.refcount <= len(mod.users):
        raise Refused("nobody holds it: a put too many would only warn")
    kernel.module_put(mod)


def _kobject_del(kernel: Kernel, name: str, file: object) -> None:
    mod = _module(kernel, name)
    if not mod.sysfs:
        raise Refused("it has no folder in /sys/module")
    mod.sysfs = False


class Verb(NamedTuple):
    """What a step does: ``words`` for people, ``act(kernel, name, file)``, the kernel's place."""

    words: str
    act: Callable[[Kernel, str, object], None]
    source: str


MAIN = "kernel/module/main.c"
LIST_H = "include/linux/list.h"
VERBS: dict[str, Verb] = {
    "insmod": Verb("load it", _insmod, f"{MAIN}:add_unformed_module"),
    "list_del_init": Verb("off the list, pointing to itself", _unlink("list_del_init"),
                          f"{LIST_H}:list_del_init"),
    "list_del": Verb("off the list, poisoned", _unlink("list_del"), f"{LIST_H}:list_del"),
    "list_add": Verb("back on the list", _list_add, f"{LIST_H}:list_add"),
    "kobject_del": Verb("out of /sys/module", _kobject_del, "lib/kobject.c:kobject_del"),
    "try_module_get": Verb("hold a reference", _get, f"{MAIN}:try_module_get"),
    "module_put": Verb("give it back", _put, f"{MAIN}:module_put"),
    "rmmod": Verb("delete_module", _rmmod, f"{MAIN}:delete_module"),
}  # fmt: skip


class Step(NamedTuple):
    verb: str
    name: str

    def __str__(self) -> str:
        return f"{self.verb} {self.name}"


def parse(words: str) -> list[Step]:
    """``"insmod hello; list_del hello"``; ValueError says what a step looks like."""
    steps = []
    for piece in filter(None, (piece.strip() for piece in words.replace("\n", ";").split(";"))):
        verb, _, name = piece.partition(" ")
        name = name.strip().removesuffix(".ko")
        if verb not in VERBS or not name or " " in name:
            raise ValueError(f"{piece!r:.60} is no step: write {', '.join(VERBS)} and a module's name")
        steps.append(Step(verb, name))
    if not steps:
        raise ValueError("there is no step yet: choose one and press Add step")
    if len(steps) > MOST:
        raise ValueError(f"at most {MOST} steps")
    return steps


@dataclass(frozen=True)
class Scene:
    """The kernel after all steps, and before the last one as a picture."""

    steps: tuple[Step, ...]
    kernel: Kernel
    before: View
    changed: frozenset[tuple[int, str]]
    results: tuple[str, ...]
    log: tuple[str, ...]  # what the last step printed

    @property
    def name(self) -> str:
        """The module of the last step, which is asked about."""
        return self.steps[-1].name

    @cached_property
    def module(self) -> Module | None:
        return next((mod for mod in self.kernel.known_modules if mod.name == self.name), None)

    @cached_property
    def listed(self) -> bool:
        return self.name in self.kernel.modules

    @property
    def shown_in(self) -> str:
        """One of SHOWN_IN's."""
        return SHOWN_IN[self.listed, self.module is not None and self.module.sysfs]

    @cached_property
    def places(self) -> list[Place]:
        """Who still knows the module of the last step."""
        return places_of(self.kernel, self.name, self.module)

    @cached_property
    def picture(self) -> View:
        title = f"After {self.steps[-1]}: the pointers in memory"
        return pointers_of_modules(self.kernel, title, self.changed)

    @cached_property
    def who_knows(self) -> View:
        sign = {True: "✓ yes", False: "✗ no", None: "–"}
        rows: list[tuple[str, ...]] = [
            (place.where, place.goes_by, sign[place.shows], place.said, place.source) for place in self.places
        ]
        heads = ("where one looks", "it goes by", f"{self.name}?", "what is there", "kernel")
        return table(f"Who knows {self.name}?", "", heads, rows)

    @property
    def hidden(self) -> tuple[set[str], set[str]]:
        """Names that the list lacks: found in /sys/module, and found in memory."""
        listed = on_the_list(self.kernel)
        return in_sysfs(self.kernel) - listed, {f.name for f in in_memory(self.kernel)} - listed

    @property
    def search(self) -> list[str]:
        """Two searches by somebody who suspects something, and what they find."""
        sysfs, memory = (", ".join(sorted(names)) or "nothing" for names in self.hidden)
        return [
            "# what has an initstate in /sys/module, and no line in /proc/modules:", sysfs,
            "# struct modules in the module area, and no line in /proc/modules:", memory,
        ]  # fmt: skip

    @property
    def terminal(self) -> list[str]:
        lines = ["# the steps"]
        lines += [f"{step}: {result}" for step, result in zip(self.steps, self.results, strict=True)]
        if self.log:
            lines += ["# dmesg   (of the last step)", *self.log]
        return [*lines, "# lsmod", *run_tool(self.kernel, ["lsmod"]).stdout.splitlines(), *self.search]


def _result(act: Callable[[], object]) -> str:
    try:
        act()
    except KernelOops as oops:
        return f"oops: {oops.report}"
    except KernelError as error:
        return f"-1 {errno_name(error.errno)}" if error.errno else f"never returns: {error.strerror}"
    except Refused as words:
        return f"nothing is done: {words}"
    return "success"


def _words(kernel: Kernel) -> dict[tuple[int, str], int]:
    """Every pointer of the list's entries: (address of the list_head, which) -> value."""
    nodes = links_in_memory(kernel)
    return {(n.address, which): value for n in nodes for which, value in (("next", n.next), ("prev", n.prev))}


def play(steps: list[Step], files: dict[str, ModuleFile] | None = None) -> Scene:
    """Do the steps in a fresh kernel. ``files``: what ``insmod NAME`` loads, samples where nothing is said.

    ValueError: no such sample.
    """
    kernel, results, files = Kernel(cpu=None), [], files or {}
    before, words, said = None, {}, 0
    for number, step in enumerate(steps):
        if number == len(steps) - 1:
            before = pointers_of_modules(kernel, f"Before {step}")
            words, said = _words(kernel), len(kernel.dmesg)
        file = files.get(step.name) or (file_of(step.name) if step.verb == "insmod" else None)
        results.append(_result(partial(VERBS[step.verb].act, kernel, step.name, file)))
    after = _words(kernel)
    changed = frozenset(key for key, value in after.items() if words.get(key) != value)
    assert before is not None
    log = tuple(record[3:] for record in kernel.dmesg[said:])
    return Scene(tuple(steps), kernel, before, changed, tuple(results), log)
