# SPDX-License-Identifier: GPL-2.0-only
"""delete_module: the ladder of checks, force and its taint, free_module's steps, and nothing left."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim import O_NONBLOCK, O_TRUNC, Kernel, KernelError, Module, sample, samples
from kmodsim.errors import EAGAIN, EBUSY, EFAULT, ENOENT, EPERM
from kmodsim.unloader import Unloadable, may_unload

from .heart import errno_of, snapshot

pytestmark = pytest.mark.core
TAINT_R = 1 << 3  # TAINT_FORCED_RMMOD
LOCK_DEBUGGING = "<4>Disabling lock debugging due to kernel taint"


def kernel_with(*names: str, **more: Any) -> Kernel:
    kernel = Kernel(cpu=None, **more)
    for name in names:
        kernel.finit_module(sample(name))
    return kernel


# --- the ladder: kernel/module/main.c, SYSCALL_DEFINE2(delete_module…), try_stop_module -----------

USED, FREE = ("user",), ()
LADDER = [
    # holders, state, init, exit, references, flags -> errno, forced
    # users come first, and nothing forces them
    (USED, "LIVE", True, True, 1, O_TRUNC, EAGAIN, False),
    (USED, "COMING", True, False, 1, O_TRUNC, EAGAIN, False),
    (FREE, "COMING", True, True, 1, O_TRUNC, EBUSY, False),         # then the state, not to be forced either
    (FREE, "GOING", True, True, -1, O_TRUNC, EBUSY, False),
    (FREE, "COMING", True, False, 1, 0, EBUSY, False),
    (FREE, "LIVE", True, False, 0, 0, EBUSY, False),                # init without exit
    (FREE, "LIVE", True, False, 0, O_NONBLOCK, EBUSY, False),
    (FREE, "LIVE", True, False, 0, O_TRUNC, 0, True),
    (FREE, "LIVE", True, False, 1, 0, EBUSY, False),                # before the references are looked at
    (FREE, "LIVE", True, True, 1, 0, EAGAIN, False),                # references
    (FREE, "LIVE", True, True, 1, O_NONBLOCK, EAGAIN, False),
    (FREE, "LIVE", True, True, 1, O_TRUNC, 0, True),
    (FREE, "LIVE", True, True, 1, O_TRUNC | O_NONBLOCK, 0, True),
    (FREE, "LIVE", True, False, 3, O_TRUNC, 0, True),
    (FREE, "LIVE", True, True, 0, 0, 0, False),
    (FREE, "LIVE", True, True, 0, O_TRUNC, 0, False),               # nothing to force: no taint
    (FREE, "LIVE", False, False, 0, 0, 0, False),                   # neither init nor exit is not permanent
    (FREE, "LIVE", False, True, 0, 0xFFFF & ~O_TRUNC, 0, False),    # unknown bits are ignored
]  # fmt: skip


@pytest.mark.parametrize("row", LADDER, ids=range(len(LADDER)))
def test_may_unload(row: tuple[Any, ...]) -> None:
    *module, flags, errno, forced = row
    assert may_unload(Unloadable(*module), flags) == (errno, forced)


@pytest.mark.parametrize("flags", [0, O_NONBLOCK, O_TRUNC, O_NONBLOCK | O_TRUNC])
def test_a_used_module_is_refused_even_by_force(flags: int) -> None:
    kernel = kernel_with("chain_a", "chain_b")
    before = snapshot(kernel)
    assert errno_of(kernel.delete_module, "chain_a", flags=flags) == EAGAIN
    assert snapshot(kernel) == before
    assert not kernel.tainted & TAINT_R


@pytest.mark.parametrize("flags", [0, O_NONBLOCK])
def test_a_held_module_is_refused(flags: int) -> None:
    kernel = kernel_with("hello")
    kernel.hold("hello")
    assert errno_of(kernel.delete_module, "hello", flags=flags) == EAGAIN
    kernel.release("hello")
    kernel.delete_module("hello", flags=flags)
    assert not kernel.modules


def test_force_removes_a_held_module_and_taints() -> None:
    kernel = kernel_with("hello")
    kernel.hold("hello")
    counts: list[int] = []
    kernel.register_module_notifier(lambda state, module: counts.append(module.refcount))
    kernel.delete_module("hello", flags=O_TRUNC)
    assert kernel.tainted & TAINT_R
    assert kernel.dmesg[-1] == LOCK_DEBUGGING
    assert counts == [1]  # atomic_add_unless(MODULE_REF_BASE) gave the base reference back


def test_lock_debugging_ends_once() -> None:
    kernel = kernel_with("hello", "minimal")
    for name in ("hello", "minimal"):
        kernel.hold(name)
        kernel.delete_module(name, flags=O_TRUNC)
    assert kernel.dmesg.count(LOCK_DEBUGGING) == 1


def test_a_permanent_module_goes_by_force_only() -> None:
    kernel = kernel_with("no_exit")
    assert kernel.read("/proc/modules").split()[3] == "[permanent],"
    assert errno_of(kernel.delete_module, "no_exit", flags=0) == EBUSY
    kernel.delete_module("no_exit", flags=O_TRUNC)
    assert kernel.tainted & TAINT_R
    assert not kernel.modules


def test_no_init_and_no_exit_unloads_without_force() -> None:
    kernel = kernel_with("no_init")
    assert kernel.read("/proc/modules").split()[3] == "-"
    kernel.delete_module("no_init", flags=0)
    assert not kernel.tainted & TAINT_R


def test_force_on_a_free_module_does_not_taint() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module("hello", flags=O_TRUNC)
    assert not kernel.tainted & TAINT_R


# --- permission and the name ----------------------------------------------------------------------


def test_permission_comes_before_the_name() -> None:
    kernel = kernel_with("hello")
    assert errno_of(kernel.delete_module, "nobody", uid=1000) == EPERM
    assert errno_of(kernel.delete_module, 0, uid=1000) == EPERM
    kernel.write("/proc/sys/kernel/modules_disabled", "1")
    assert errno_of(kernel.delete_module, "hello") == EPERM


@pytest.mark.parametrize(
    "name", ["", "nobody", "hello ", "Hello", "x" * 55, "x" * 56, "x" * 1000, b"hello\xff"]
)
def test_names_that_are_no_modules(name: str | bytes) -> None:
    assert errno_of(kernel_with("hello").delete_module, name) == ENOENT


def test_the_name_ends_at_nul() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module(b"hello\0garbage")
    assert not kernel.modules


@pytest.mark.parametrize(("mapped", "errno"), [
    (b"hello\0", None), (b"hello", EFAULT), (b"x" * 55, EFAULT), (b"x" * 56, ENOENT), (b"\0", ENOENT),
    (b"", EFAULT),
])  # fmt: skip
def test_the_name_at_a_user_address(mapped: bytes, errno: int | None) -> None:
    """strncpy_from_user(name, name_user, 56): 56 bytes without NUL are ENOENT, a hole before that EFAULT."""
    kernel = kernel_with("hello")
    kernel.user_memory().map(0x1000, mapped)
    if errno is None:
        kernel.delete_module(0x1000)
        assert not kernel.modules
    else:
        assert errno_of(kernel.delete_module, 0x1000) == errno


def test_refused_calls_name_the_system_call() -> None:
    with pytest.raises(KernelError) as caught:
        Kernel(cpu=None).delete_module("nobody")
    assert (caught.value.stage, caught.value.dmesg) == ("delete_module", [])


# --- references -----------------------------------------------------------------------------------


def test_hold_and_release() -> None:
    kernel = kernel_with("hello")
    assert errno_of(kernel.release, "hello") == ENOENT
    for _ in range(3):
        kernel.hold("hello")
    assert kernel.read("/proc/modules").split()[2] == "3"
    assert kernel.read("/sys/module/hello/refcnt") == "3\n"
    for _ in range(3):
        kernel.release("hello")
    assert errno_of(kernel.release, "hello") == ENOENT
    assert errno_of(kernel.hold, "nobody") == ENOENT


def test_release_gives_back_no_modules_reference() -> None:
    """A user's reference is not somebody's that release() could drop."""
    kernel = kernel_with("chain_a", "chain_b")
    assert errno_of(kernel.release, "chain_a") == ENOENT
    assert kernel.modules["chain_a"].refcount == 1


def test_the_provider_is_free_once_its_user_is_gone() -> None:
    kernel = kernel_with("chain_a", "chain_b", "chain_c")
    empty = Kernel(cpu=None)
    for name in ("chain_c", "chain_b", "chain_a"):
        kernel.delete_module(name)
    assert snapshot(kernel) == snapshot(empty)


# --- free_module ----------------------------------------------------------------------------------

# kernel/module/main.c: delete_module from try_stop_module on, then free_module
STEPS = [
    "delete_module", "try_stop_module", "mod->exit", "module_notify_list",
    "mod_sysfs_teardown", "MODULE_STATE_UNFORMED", "module_arch_cleanup", "module_unload_free",
    "module_destroy_params",
    "list_del", "module_memfree(init)", "module_memfree(core)",
]  # fmt: skip


def test_the_steps_in_free_modules_order() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module("hello")
    assert [record.stage for record in kernel.unloading.trace] == STEPS


def test_states_along_the_steps() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module("hello")
    states = {r.stage: (r.outputs["state"], r.outputs["refcount"]) for r in kernel.unloading.trace}
    assert states["delete_module"] == ("LIVE", 0)
    assert states["try_stop_module"] == ("GOING", -1)
    assert states["module_notify_list"] == ("GOING", -1)
    assert states["mod_sysfs_teardown"] == ("GOING", -1)
    assert states["MODULE_STATE_UNFORMED"][0] == "UNFORMED"


def test_each_record_says_what_it_models() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module("hello")
    for record in kernel.unloading.trace:
        assert all((record.stage, record.function, record.source.endswith(".c"), record.since, record.title))


def test_a_refused_unload_leaves_a_record_with_its_error() -> None:
    kernel = kernel_with("chain_a", "chain_b")
    assert errno_of(kernel.delete_module, "chain_a") == EAGAIN
    assert [r.stage for r in kernel.unloading.trace] == ["delete_module"]
    assert kernel.unloading.trace[-1].error


def test_the_journal_is_closed_after_an_unload() -> None:
    kernel = kernel_with("hello")
    kernel.delete_module("hello")
    assert kernel.memory.journal is None


def test_exit_runs_before_the_notifiers_and_both_see_going() -> None:
    seen: list[tuple[str, str]] = []
    seen_by_exit = {"hello_exit": lambda: seen.append(("exit", kernel.modules["hello"].state))}
    kernel = Kernel(cpu=None, functions=seen_by_exit)
    kernel.finit_module(sample("hello"))
    kernel.register_module_notifier(lambda state, module: seen.append((state, module.state)))
    kernel.delete_module("hello")
    assert seen == [("exit", "GOING"), ("GOING", "GOING")]


def test_a_going_module_still_has_its_files() -> None:
    """mod_sysfs_teardown is free_module's first step, behind the notifiers."""
    kernel = kernel_with("chain_a", "chain_b")
    seen: list[Any] = []

    def look(state: str, module: Module) -> None:
        seen.append((kernel.read("/sys/module/chain_b/initstate"), kernel.read("/sys/module/chain_b/refcnt"),
                     kernel.listdir("/sys/module/chain_a/holders")))  # fmt: skip

    kernel.register_module_notifier(look)
    kernel.delete_module("chain_b")
    assert seen == [("going\n", "-1\n", ["chain_b"])]
    assert kernel.listdir("/sys/module/chain_a/holders") == []
    assert "chain_b" not in kernel.listdir("/sys/module")


BEFORE = {"chain_b": "chain_a", "chain_c": "chain_a chain_b", "gpl_user": "gpl_only",
          "diamond_left": "diamond_bottom", "diamond_right": "diamond_bottom",
          "proprietary_heir": "proprietary",
          "diamond_top": "diamond_bottom diamond_left diamond_right",
          "namespace_user": "namespace_provider"}  # fmt: skip
REFUSED = {"missing_symbol", "namespace_thief", "proprietary_gpl", "proprietary_bridge"}


@pytest.mark.parametrize("name", [n for n in samples() if n not in REFUSED])
def test_after_load_and_unload_the_kernel_is_as_before(name: str) -> None:
    kernel = kernel_with(*BEFORE.get(name, "").split())
    before = snapshot(kernel)
    kernel.finit_module(sample(name))
    assert snapshot(kernel) != before
    kernel.delete_module(name, flags=O_TRUNC)
    assert snapshot(kernel) == before


def test_strings_of_parameters_are_freed() -> None:
    """kernel/params.c: param_set_charp keeps a copy of its own; module_destroy_params frees it."""
    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("hello"), 'whom="a name"')
    kernel.write("/sys/module/hello/parameters/a_charp", "another")
    assert sorted(kernel.heap.blocks.values()) == [b"a name\0", b"another\0", b'whom="a name"\0']
    kernel.delete_module("hello")
    assert kernel.heap.blocks == {}
