# SPDX-License-Identifier: GPL-2.0-only
"""load_module: the loop over a kernel's stages. Reading the tuple is reading the lesson plan: it is in
``profiles/rules/stages.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import KernelError, KernelOops
from ..profiles.rules.stages import MAIN, STAGES, Stage
from ..trace import Changes, Record
from .load import Load, plain

__all__ = ["MAIN", "STAGES", "Stage", "run_stages"]


def run_stages(load: Load, stages: tuple[Stage, ...], *, record: bool) -> None:
    """Do the stages in order. A KernelError undoes what was done, like the kernel's labels; an oops does
    not."""
    kernel = load.kernel
    try:
        for stage in stages:
            action = kernel.stage_overrides.get(stage.name, stage.run)
            try:
                if record:
                    _run_recorded(load, stage, action)
                else:
                    action(load)
            except KernelError as error:
                error.stage = error.stage or stage.name
                raise
        load.undo.pop_all()
    except KernelOops as oops:
        load.undo.pop_all()
        kernel.die(oops)
        raise
    except BaseException:
        load.undo.close()
        raise


def _run_recorded(load: Load, stage: Stage, action: Callable[[Load], None]) -> None:
    kernel, memory = load.kernel, load.kernel.memory
    inputs = {name: _value(load, name) for name in stage.inputs}
    log_start, journal_before = len(kernel.dmesg), memory.journal
    memory.journal = []
    load.note = ""
    error: BaseException | None = None
    try:
        action(load)
    except BaseException as problem:
        error = problem
        raise
    finally:
        changes = Changes(memory.journal)
        if journal_before is not None:
            journal_before += memory.journal  # the stage of another load, in which this one runs, sees it too
        memory.journal = journal_before
        outputs = {} if error else {name.split(".")[-1]: _value(load, name) for name in stage.outputs}
        load.trace.append(Record(
            stage.name, stage.function, stage.source, stage.since, stage.title, inputs, outputs, changes,
            tuple(kernel.dmesg[log_start:]), _words(error), load.note,
        ))  # fmt: skip


def _words(error: BaseException | None) -> str | None:
    if error is None:
        return None
    if isinstance(error, KernelOops):
        return f"oops: {error.report}"
    if isinstance(error, KernelError):
        from ..errors import errno_name

        return f"-{errno_name(error.errno)}" if error.errno else error.strerror
    return f"{type(error).__name__}: {error}"


def _value(load: Load, name: str) -> Any:
    """A field of the load as plain data; ``module.x`` looks into the module, "list" and "uses" are names."""
    if name == "list":
        return tuple(mod.name for mod in load.kernel.module_list)
    if name in ("uses", "exports"):
        module = load.module
        return tuple(getattr(m, "name", m) for m in getattr(module, name)) if module else ()
    owner: Any = load
    for part in name.split("."):
        owner = getattr(owner, part)
    return plain(owner)
