# SPDX-License-Identifier: GPL-2.0-only
"""Planning a removal: ``modprobe -r`` (kmod 30 ``tools/modprobe.c:rmmod_do_module``).

What comes next depends on how each step went, so this is a dialogue: a generator that yields a ``Step`` and
is sent its result (0, or minus an errno), or yields another such generator and is sent what that returned.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol

from ...errors import EBUSY, EINVAL, ENOENT
from .lookup import Context, LookupFailed, Module
from .options import Wish
from .steps import Step

Dialogue = Generator[Any, Any, int]
DEEPEST = 95_000  # two calls for each module: the real tool lays about 47,500 on its stack of 8 MB


class StackOverflow(Exception):
    """Soft dependencies in a circle: the real tool calls itself until it is killed."""


class State(Protocol):
    """What is asked of the kernel: /sys/module."""

    def initstate(self, name: str) -> str | None: ...
    def refcnt(self, name: str) -> int: ...
    def holders(self, name: str) -> list[str]: ...


def drive(dialogue: Dialogue, perform: Callable[[Step], int]) -> int:
    """Run a dialogue to its end; ``perform`` takes the steps. Returns what the dialogue returns."""
    stack = [dialogue]
    answer: Any = None
    while True:
        try:
            said = stack[-1].send(answer)
        except StopIteration as end:
            stack.pop()
            answer = end.value
            if not stack:
                return int(answer or 0)
            continue
        if isinstance(said, Step):
            answer = perform(said)
            continue
        stack.append(said)
        answer = None
        if len(stack) > DEEPEST:
            raise StackOverflow


def remove_word(context: Context, word: str, wish: Wish, state: State) -> Dialogue:
    """All modules that a word means, until one cannot be removed. Unlike an insertion it says nothing where
    the word's brackets do not fit."""
    try:
        modules = context.lookup(word)
    except LookupFailed:
        return -EINVAL
    error = 0
    if not modules:
        context.log.tool(wish.severity, f"Module {word} not found.")
        error = -ENOENT
    for module in modules:
        walk = Removal(context, wish, state, module.name)
        error = yield walk.module(module, f"{_asked(module)}", wish.remove_holders, False)
        if error < 0:
            break
    return error


def _asked(module: Module) -> str:
    return f"alias {module.found.pattern} matched in {module.found.where}" if module.alias else "asked for"


class Removal:
    """The dialogue about one module that was asked for."""

    def __init__(self, context: Context, wish: Wish, state: State, target: str) -> None:
        self.context, self.wish, self.state, self.target = context, wish, state, target

    def module(self, module: Module, reason: str, with_holders: bool, ignore_builtin: bool,
               needed: bool = True) -> Dialogue:  # fmt: skip
        """Softdeps post, holders, the module itself, what it alone needed, softdeps pre."""
        context, wish = self.context, self.wish
        before, after, entry = ([], [], None) if wish.ignore_commands else context.softdep(module)
        where = f" ({entry.where})" if entry is not None else ""
        command = None if wish.ignore_commands else context.remove_command(module)
        if command is None and not wish.ignore_loaded:
            ended = self._nothing_to_do(module, ignore_builtin)
            if ended is not None:
                return ended
        yield self._all(after, f"softdep post of {module.name}{where}", needed=False)
        if with_holders:
            holders = [context.module(name, module.found) for name in self.state.holders(module.name)]
            error = yield self._all(holders, f"uses {module.name}", needed=True)
            if error < 0:
                return int(error)
        if command is None:
            error = yield self._itself(module, reason, needed)
        else:
            error = yield Step("remove", module.name, f"{reason}; command from {command.where}",
                               command=command.value, target=self.target, needed=needed)  # fmt: skip
        if error < 0:
            return int(error)
        if command is None:
            yield self._unused(module)
        yield self._all(before, f"softdep pre of {module.name}{where}", needed=False)
        return int(error)

    def _nothing_to_do(self, module: Module, ignore_builtin: bool) -> int | None:
        """Builtin, or not in the kernel: whether that is an error depends; None when there is something."""
        log, wish = self.context.log, self.wish
        if self.context.is_builtin(module):
            if ignore_builtin:
                return 0
            log.tool(wish.severity, f"Module {module.name} is builtin.")
            return -ENOENT
        if self.state.initstate(module.name) is None:
            if not wish.first_time:
                return 0
            log.tool(wish.severity, f"Module {module.name} is not in kernel.")
            return -ENOENT
        return None

    def _all(self, modules: list[Module], reason: str, needed: bool) -> Dialogue:
        """The last one first; soft dependencies may fail, users may not."""
        for module in reversed(modules):
            error = yield self.module(module, reason, False, True, needed)
            if error < 0 and needed:
                return int(error)
        return 0

    def _itself(self, module: Module, reason: str, needed: bool) -> Dialogue:
        wish = self.wish
        if not wish.ignore_loaded and not wish.wait and self.state.refcnt(module.name) > 0:
            self.context.log.tool(wish.severity, f"Module {module.name} is in use.")
            return -EBUSY
        return int((yield Step("rmmod", module.name, reason, self.context.path(module), target=self.target,
                               needed=needed)))  # fmt: skip

    def _unused(self, module: Module) -> Dialogue:
        """What the module needed, where nothing uses it now; that it cannot be removed does no harm."""
        for needed in self.context.dependencies(module):
            if self.state.refcnt(needed.name) == 0:
                yield Step("rmmod", needed.name, f"dependency of {module.name}, used by nothing else",
                           needed.path, target=self.target, needed=False, if_unused=True)  # fmt: skip
        return 0
