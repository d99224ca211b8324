# SPDX-License-Identifier: GPL-2.0-only
"""delete_module(2): the ladder of checks, the module's exit function, and free_module step by step.

Models ``kernel/module/main.c`` (delete_module, try_stop_module, free_module), Linux 6.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .errors import EAGAIN, EBUSY, ENOENT, EPERM, O_TRUNC, KernelError, KernelOops
from .loader.permission import may_init_module
from .loader.sysfs_setup import mod_sysfs_teardown
from .module import MODULE_REF_BASE, Module, ModuleState
from .trace import Record, Trace

if TYPE_CHECKING:
    from .kernel import Kernel

MODULE_NAME_LEN = 56  # 64 - sizeof(unsigned long)
MAIN = "kernel/module/main.c"


class Unloadable(NamedTuple):
    """What delete_module looks at; references are counted as lsmod shows them."""

    holders: tuple[str, ...]
    state: str
    has_init: bool
    has_exit: bool
    refcount: int


def may_unload(module: Unloadable, flags: int) -> tuple[int, bool]:
    """(errno or 0, forced) for unloading, in the kernel's order of checks.

    Users first (EAGAIN, nothing forces that), then the state (EBUSY), then a missing exit function (EBUSY)
    and the references (EAGAIN), which O_TRUNC overrides at the price of taint R. O_NONBLOCK changes nothing.
    """
    if module.holders:
        return EAGAIN, False
    if module.state != "LIVE":
        return EBUSY, False
    force = bool(flags & O_TRUNC)
    permanent = module.has_init and not module.has_exit
    if permanent and not force:
        return EBUSY, False
    if module.refcount and not force:
        return EAGAIN, permanent
    return 0, permanent or module.refcount != 0


@dataclass(eq=False)
class Unload:
    """One call of delete_module and what each step did."""

    kernel: Kernel
    flags: int = 0
    name: str = ""
    module: Module | None = None
    note: str = ""  # for the record of the step that is being done
    error: KernelError | None = None
    trace: Trace = field(default_factory=Trace)


def delete_module(
    kernel: Kernel, name: str | bytes | int, flags: int, capabilities: frozenset[str]
) -> Unload:
    """The system call; raises KernelError. Returns the record of what was done."""
    unload = Unload(kernel, flags)
    kernel.unloading = unload
    check = unload_step(
        unload, "delete_module", "may it be unloaded?", lambda: _checks(unload, name, capabilities)
    )
    assert unload.module is not None
    mod, forced = unload.module, check
    unload_step(
        unload, "try_stop_module", "the last references go, the state is GOING", lambda: _stop(kernel, mod)
    )
    _destroy(unload, mod)
    assert forced in (True, False)
    return unload


def _destroy(unload: Unload, mod: Module) -> None:
    """exit(), notifiers, free_module. Nobody can object any more: what a callback raises comes out at the
    end."""
    kernel, problem = unload.kernel, None
    last = f"{mod.name}({mod.taints})" if mod.taints else mod.name
    for step in (
        lambda: unload_step(unload, "mod->exit", "the module's own exit function",
                            lambda: _run_exit(kernel, mod)),
        lambda: unload_step(unload, "module_notify_list", "notifiers see GOING",
                            lambda: kernel.notify(ModuleState.GOING, mod)),
        lambda: setattr(kernel, "last_unloaded", last),
        lambda: free_module(kernel, mod, unload),
    ):  # fmt: skip
        try:
            step()
        except KernelOops as oops:
            kernel.die(oops)
            raise
        except BaseException as error:
            problem = problem or error
    if problem is not None:
        raise problem


def unload_step(unload: Unload | None, stage: str, title: str, action: Callable[[], object]) -> object:
    """Do one step; with an Unload leave a record of it."""
    if unload is None:
        return action()
    kernel = unload.kernel
    before, journal = len(kernel.dmesg), kernel.memory.journal
    kernel.memory.journal, unload.note = [], ""
    error: BaseException | None = None
    try:
        return action()
    except BaseException as problem:
        error = problem
        raise
    finally:
        from .trace import Changes

        mine = kernel.memory.journal or []
        changes = Changes(mine)
        if journal is not None:
            journal += mine  # somebody who records around us sees it too
        kernel.memory.journal = journal
        mod = unload.module
        outputs = {"state": mod.state, "refcount": mod.refcount} if mod is not None else {}
        unload.trace.append(Record(
            stage, stage, MAIN, "2.6", title, {"name": unload.name, "flags": unload.flags}, outputs, changes,
            tuple(kernel.dmesg[before:]), str(error) if error else None, unload.note,
        ))  # fmt: skip


def _checks(unload: Unload, name: str | bytes | int, capabilities: frozenset[str]) -> bool:
    kernel, flags = unload.kernel, unload.flags
    if not may_init_module(capabilities, kernel.modules_disabled):
        raise KernelError(EPERM)
    unload.name = _name_from_user(kernel, name)
    mod = kernel.find_module(unload.name)
    if mod is None:
        raise KernelError(ENOENT)
    unload.module = mod
    errno, forced = kernel.functions_of_stages["may_unload"](
        Unloadable(mod.holders, mod.state, bool(mod.init), bool(mod.exit), mod.refcount), flags
    )
    if forced:
        kernel.add_taint("R", unreliable=True)
    if errno:
        raise KernelError(errno)
    return bool(forced)


def _name_from_user(kernel: Kernel, name: str | bytes | int) -> str:
    if isinstance(name, int):
        raw = kernel.user_memory().strndup_user(name, MODULE_NAME_LEN)
    else:
        raw = (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name).split(b"\0", 1)[0]
    if not raw or len(raw) >= MODULE_NAME_LEN:
        raise KernelError(ENOENT)
    return raw.decode("utf-8", "backslashreplace")


def _stop(kernel: Kernel, mod: Module) -> None:
    if mod.raw_refcount == MODULE_REF_BASE:
        kernel.set_refcount(mod, 0)
    kernel.set_state(mod, ModuleState.GOING)


def _run_exit(kernel: Kernel, mod: Module) -> None:
    if mod.exit:
        kernel.run(mod, mod.exit)


def free_module(kernel: Kernel, mod: Module, unload: Unload | None = None) -> None:
    """Take the module apart. Until ``list_del`` it stays on the list, UNFORMED, so that its name stays
    taken."""
    for stage, title, action in FREE_MODULE_STEPS:
        unload_step(unload, stage, title, lambda step=action: step(kernel, mod))  # type: ignore[misc]


def _unform(kernel: Kernel, mod: Module) -> None:
    kernel.withdraw_exports(mod)
    kernel.set_state(mod, ModuleState.UNFORMED)


def _arch_cleanup(kernel: Kernel, mod: Module) -> None:
    """alternatives_smp_module_del and its kin: nothing to undo as long as nothing is patched."""


def _unlink(kernel: Kernel, mod: Module) -> None:
    kernel.list_del(mod)
    kernel.bug_list_del(mod)


def _free_memory(kernel: Kernel, mod: Module) -> None:
    kernel.free_memories(mod, init=True)
    kernel.heap.kfree(mod.args_address)
    kernel.percpu.free(mod.percpu)


def _free_core(kernel: Kernel, mod: Module) -> None:
    if kernel.vfs is not None and kernel.unloading is not None:  # code has run
        kernel.unloading.note = kernel.cpu.module_gone(mod)
    kernel.free_memories(mod, init=False)


FREE_MODULE_STEPS: tuple[tuple[str, str, Callable[[Kernel, Module], None]], ...] = (
    ("mod_sysfs_teardown", "/sys/module/NAME goes", lambda k, m: mod_sysfs_teardown(m)),
    ("MODULE_STATE_UNFORMED", "invisible, but still on the list", _unform),
    ("module_arch_cleanup", "the architecture forgets the module", _arch_cleanup),
    ("module_unload_free", "references on providers are given back", lambda k, m: k.module_unload_free(m)),
    ("module_destroy_params", "strings that parameters own are freed", lambda k, m: k.destroy_params(m)),
    ("list_del", "off the list of modules; wait for readers (RCU)", _unlink),
    ("module_memfree(init)", "init memory, arguments and per-CPU data are freed", _free_memory),
    ("module_memfree(core)", "core is freed, struct module with it", _free_core),
)
