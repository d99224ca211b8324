# SPDX-License-Identifier: GPL-2.0-only
"""The module's own code gets its turn, and what the kernel makes of the answer (``do_init_module``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import KernelError
from ..module import Layout, ModuleState
from .formation import protect

if TYPE_CHECKING:
    from .load import Load

MAX_ERRNO = 4095


def judge_init(name: str, returned: int) -> tuple[bool, tuple[str, ...]]:
    """(stays loaded, log records) for what init returned as a C int: negative fails, positive only looks odd.

    The kernel dumps the stack after the warning; that part is not modelled.
    """
    if returned <= 0:
        return returned == 0, ()
    return True, (
        f"<4>do_init_module: '{name}'->init suspiciously returned {returned}, it should follow 0/-E "
        "convention\n"
        "do_init_module: loading module anyway...",
    )


def free_copy(load: Load) -> None:
    """The temporary copy is no longer needed; from here on a failure takes the module apart instead of
    undoing."""
    load.undo.pop_all()
    load.undo.callback(_take_apart, load)


def do_init_module(load: Load) -> None:
    """Run init. Failed: GOING, notifiers, free_module, never exit(). Otherwise LIVE, and the first
    reference goes."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    load.returned, ran = kernel.run(mod, mod.init) if mod.init else (0, True)
    if not ran:
        load.note = "init was not run (no cpu): it counts as returning 0"
    stays, log = load.pure("judge_init")(mod.name, load.returned)
    kernel.print_records(log)
    if not stays:
        _init_failed(load)
    kernel.set_state(mod, ModuleState.LIVE)
    kernel.notify(ModuleState.LIVE, mod)
    kernel.module_put(mod)  # the reference held while loading
    if mod.symbols is not None:
        mod.symbols.current = mod.symbols.core
    protect(mod, after_init=True)
    for kind in (kind for kind in mod.kinds if kind.init):
        mod.layouts[kind.name] = Layout()
        for name in ("base", "size", "text_size", "ro_size", "ro_after_init_size"):
            kernel.set_field(mod, f"{kind.field}.{name}", 0)


def _take_apart(load: Load) -> None:
    kernel, mod = load.kernel, load.module
    assert mod is not None
    from ..unloader import free_module

    kernel.set_state(mod, ModuleState.GOING)
    kernel.module_put(mod)
    try:
        kernel.notify(ModuleState.GOING, mod)
    finally:
        free_module(kernel, mod)


def _init_failed(load: Load) -> None:
    load.undo.close()
    errno = -load.returned
    if errno <= MAX_ERRNO:
        raise KernelError(errno)
    error = KernelError(
        None,
        strerror=f"the system call returned {load.returned}",
        why="the C library takes only -1 … -4095 for errors: errno stays as it was, and the module is gone",
    )
    raise error


def do_free_init(load: Load) -> None:
    """A work item gives the init memory back: it has run before the next call starts."""
    assert load.module is not None
    load.kernel.free_memories(load.module, init=True)
