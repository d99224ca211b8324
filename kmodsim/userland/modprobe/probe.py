# SPDX-License-Identifier: GPL-2.0-only
"""Planning an insertion: which files in which order, with which options (kmod 30
``libkmod/libkmod-module.c:kmod_module_probe_insert_module``, ``kmod_module_get_probe_list``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .lookup import Context, Module
from .options import Wish
from .steps import COMMAND_LINE, Option, Step

InKernel = Callable[[Module], bool]


class Item(NamedTuple):
    """One entry of the probe list: a module and why it is there."""

    module: Module
    reason: str


def steps_of(context: Context, module: Module, wish: Wish, options: str, in_kernel: InKernel) -> list[Step]:
    """The steps for one module that was looked up. ``options``: from the command line, for it alone.

    What is in the kernel already is found out again when a step is taken; only the module asked for is looked
    at here.
    """
    if not wish.ignore_loaded and in_kernel(module):
        reason = "it is built into the kernel" if context.is_builtin(module) else "it is loaded already"
        return [Step("nothing", module.name, reason, target=module.name, loaded=True)]
    entry = context.blacklisted(module) if module.alias is not None or wish.use_blacklist else None
    if entry is not None:
        return [Step("nothing", module.name, f"blacklisted in {entry.where}", target=module.name)]
    return [
        _step(context, item, module, options if item.module is module else "", wish.ignore_loaded)
        for item in probe_list(context, module, wish.ignore_commands)
    ]


def _step(context: Context, item: Item, target: Module, typed: str, as_if_absent: bool) -> Step:
    module = item.module
    options = [Option(entry.value, entry.where) for entry in context.options(module)]
    if typed:
        options.append(Option(typed, COMMAND_LINE))
    command = None if module.ignore_command else context.install_command(module)
    path = context.path(module)
    action, reason = "insmod", item.reason
    if context.is_builtin(module) and (not as_if_absent or (path is None and command is None)):
        action = "builtin"
    elif command is not None:
        action, reason = "install", f"{reason}; command from {command.where}"
    return Step(
        action, module.name, reason, path, tuple(options), command.value if command is not None else "",
        target.name, module.required,
    )  # fmt: skip


def reason_for(module: Module) -> str:
    """Why a word means this module."""
    found = module.found
    if found.kind in ("alias", "symbol"):
        return f"alias {found.pattern} matched in {found.where}"
    if found.kind == "command":
        return f"known by the {found.pattern} command in {found.where}"
    return f"named so in {found.where}"


class _Work(NamedTuple):
    """What is still to be done: "probe" a module with its dependencies, "fill" in one with its soft
    dependencies, or "append" it."""

    task: str
    module: Module
    reason: str
    required: bool = False
    ignore_command: bool = False


def probe_list(context: Context, module: Module, ignore_commands: bool) -> list[Item]:
    """Dependencies first, soft dependencies around each. A module that is somebody's dependency is filled in
    each time, only "probe" looks whether it was there; so one may stand in the list twice, as in libkmod.

    A list of work instead of recursion: soft dependencies may form a chain of any length.
    """
    for known in context.pool.values():
        known.visited = known.required = False
    found: list[Item] = []
    todo = [_Work("probe", module, reason_for(module), True, ignore_commands)]
    while todo:
        work = todo.pop()
        if work.task == "append":
            work.module.ignore_command = work.ignore_command
            found.append(Item(work.module, work.reason))
        else:
            todo += reversed(list(_TASKS[work.task](context, work)))
    return found


def _probe(context: Context, work: _Work) -> Iterator[_Work]:
    module = work.module
    if module.visited:
        return
    module.visited = True
    dependencies = context.dependencies(module)
    if work.required:
        for needed in (module, *dependencies):
            needed.required = True
    for needed in dependencies:
        yield _Work("fill", needed, f"dependency of {module.name}")
    if work.ignore_command:
        yield _Work("append", module, work.reason, ignore_command=True)
    else:
        yield _Work("fill", module, work.reason)


def _fill(context: Context, work: _Work) -> Iterator[_Work]:
    before, after, entry = context.softdep(work.module)
    where = entry.where if entry is not None else ""
    for kind, modules in (("pre", before), ("", [work.module]), ("post", after)):
        for module in modules:
            if not kind:
                yield _Work("append", module, work.reason, ignore_command=bool(before or after))
            else:
                via = f", alias {module.found.pattern}" if module.found.kind == "alias" else ""
                yield _Work("probe", module, f"softdep {kind} of {work.module.name} ({where}{via})")


_TASKS = {"probe": _probe, "fill": _fill}
