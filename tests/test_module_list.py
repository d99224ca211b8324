# SPDX-License-Identifier: GPL-2.0-only
"""The list of modules as it stands in memory: who is off it, who still knows, what the checks say.

Expected is what the kernel's source says (6.1): which function walks which structure is named at each test.
"""

from __future__ import annotations

import pytest

from kmodsim import Kernel, KernelError, KernelOops, sample
from kmodsim.errors import WouldWait
from kmodsim.linkedlist import LEFT_BEHIND, LIST_POISON1, LIST_POISON2
from kmodsim.module import Module

from .heart import errno_of

pytestmark = pytest.mark.core

# include/linux/poison.h with CONFIG_ILLEGAL_POINTER_VALUE
POISON1, POISON2 = 0xDEAD000000000100, 0xDEAD000000000122


def loaded(*names: str, **more: object) -> Kernel:
    kernel = Kernel(cpu=None, **more)  # type: ignore[arg-type]
    for name in names:
        kernel.finit_module(sample(name))
    return kernel


def place(kernel: Kernel, mod: Module) -> int:
    return mod.address + kernel.linked_list.offset


def words(kernel: Kernel, address: int) -> tuple[int, int]:
    """The two pointers, straight from memory."""
    raw = kernel.memory.read(address, 16)
    return int.from_bytes(raw[:8], "little"), int.from_bytes(raw[8:], "little")


def test_the_pointers_form_a_ring_through_the_head() -> None:
    """list_add_rcu(&mod->list, &modules): behind the head, newest first (kernel/module/main.c)."""
    kernel = loaded("hello", "crc16", "minimal")
    head = kernel.address_of("modules")
    newest_first = [place(kernel, kernel.modules[name]) for name in ("minimal", "crc16", "hello")]
    ring = [head, *newest_first, head]
    for before, at, after in zip(ring, newest_first, ring[2:], strict=False):
        assert words(kernel, at) == (after, before)
    assert kernel.linked_list.links(head) == (newest_first[0], newest_first[-1])


def test_an_empty_list_is_a_head_that_points_to_itself() -> None:
    """LIST_HEAD(modules)."""
    kernel = Kernel(cpu=None)
    head = kernel.address_of("modules")
    assert kernel.linked_list.links(head) == (head, head)
    kernel.finit_module(sample("hello"))
    kernel.delete_module("hello")
    assert kernel.linked_list.links(head) == (head, head)


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ("list_del", (POISON1, POISON2)),  # include/linux/list.h
        ("list_del_rcu", (None, POISON2)),  # include/linux/rculist.h: next is kept for readers
        ("list_del_init", ("self", "self")),  # include/linux/list.h: INIT_LIST_HEAD
    ],
)
def test_what_is_left_in_an_entry_that_was_taken_out(how: str, left: tuple[object, object]) -> None:
    kernel = loaded("hello", "crc16", "minimal")
    mod = kernel.modules["crc16"]
    at = place(kernel, mod)
    after, before = words(kernel, at)
    kernel.linked_list.unlink(mod, how)
    meaning = {None: after, "self": at}
    assert words(kernel, at) == tuple(meaning.get(value, value) for value in left)  # type: ignore[call-overload]
    joined = words(kernel, before)[0], words(kernel, after)[1]
    assert joined == (after, before)
    assert list(kernel.modules) == ["minimal", "hello"]


def test_poison_is_that_of_poison_h() -> None:
    assert (LIST_POISON1, LIST_POISON2) == (POISON1, POISON2)
    assert set(LEFT_BEHIND) == {"list_del", "list_del_rcu", "list_del_init"}


def test_who_does_not_see_a_module_off_the_list() -> None:
    """procfs.c:m_start, kallsyms.c:module_get_kallsym, main.c:find_module_all walk the list."""
    kernel = loaded("hello", "minimal")
    kernel.linked_list.unlink(kernel.modules["hello"], "list_del_init")
    assert "hello" not in kernel.read("/proc/modules") and "minimal" in kernel.read("/proc/modules")
    assert "[hello]" not in kernel.read("/proc/kallsyms")
    assert errno_of(kernel.delete_module, "hello") == 2, "find_module: ENOENT"
    assert errno_of(kernel.hold, "hello") == 2


def test_who_still_sees_it() -> None:
    """sysfs.c: a kobject in module_kset, not on the list; main.c:__module_address asks mod_tree."""
    from kmodsim.cpu.symbolize import module_at

    kernel = loaded("hello")
    mod = kernel.modules["hello"]
    kernel.linked_list.unlink(mod, "list_del")
    assert "hello" in kernel.listdir("/sys/module")
    assert kernel.read("/sys/module/hello/initstate") == "live\n"
    assert module_at(kernel, mod.base) is mod


def test_loading_it_again_fails_at_sysfs() -> None:
    """add_unformed_module finds no such name; mod_sysfs_init finds the kobject: EINVAL, and says so."""
    kernel = loaded("hello")
    kernel.linked_list.unlink(kernel.modules["hello"], "list_del_init")
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("hello"))
    assert (caught.value.errno, caught.value.stage) == (22, "mod_sysfs_setup")
    assert kernel.dmesg[-1] == "<3>hello: module is already loaded"
    assert not kernel.modules and [m.name for m in kernel.known_modules] == ["hello"]


def test_its_exports_are_not_found() -> None:
    """main.c:find_symbol walks the list; a user that had found them before keeps its addresses."""
    kernel = loaded("chain_a")
    kernel.linked_list.unlink(kernel.modules["chain_a"], "list_del_init")
    assert errno_of(kernel.finit_module, sample("chain_b")) == 2
    assert any("Unknown symbol" in line for line in kernel.dmesg)


def test_a_hidden_user_is_named_by_its_provider() -> None:
    """procfs.c:print_unload_info walks the provider's source_list."""
    kernel = loaded("chain_a", "chain_b")
    kernel.linked_list.unlink(kernel.modules["chain_b"], "list_del_init")
    name, _, count, users = kernel.read("/proc/modules").split()[:4]
    assert (name, count, users) == ("chain_a", "1", "chain_b,")
    assert errno_of(kernel.delete_module, "chain_a") == 11, "used: EAGAIN"


def test_back_on_the_list_it_is_found_again() -> None:
    kernel = loaded("hello", "minimal")
    mod = kernel.modules["hello"]
    kernel.linked_list.unlink(mod, "list_del_init")
    kernel.linked_list.add(mod)
    assert list(kernel.modules) == ["hello", "minimal"], "list_add: at the head"
    kernel.delete_module("hello")
    assert list(kernel.modules) == ["minimal"] and not [m for m in kernel.known_modules if m.name == "hello"]


def test_list_del_twice_is_a_bug() -> None:
    """lib/list_debug.c:__list_del_entry_valid; with CONFIG_BUG_ON_DATA_CORRUPTION, as Debian has it."""
    kernel = loaded("hello")
    mod = kernel.modules["hello"]
    kernel.linked_list.unlink(mod, "list_del")
    with pytest.raises(KernelOops, match=r"next is LIST_POISON1 \(dead000000000100\)"):
        kernel.linked_list.unlink(mod, "list_del")


def test_list_del_of_an_entry_whose_neighbour_points_elsewhere_is_a_bug() -> None:
    kernel = loaded("hello", "crc16")
    hello, crc16 = kernel.modules["hello"], kernel.modules["crc16"]
    head = kernel.address_of("modules")
    kernel.memory.write(place(kernel, crc16), head.to_bytes(8, "little"))
    assert list(kernel.modules) == ["crc16"], "nobody leads to hello any more"
    with pytest.raises(KernelOops, match="prev->next should be"):
        kernel.linked_list.unlink(hello, "list_del")


@pytest.mark.parametrize("value", [0, 1, POISON1, 0xFFFFFFFFC0000008, 2**64 - 1])
def test_a_pointer_to_nowhere_is_an_oops_for_whoever_walks(value: int) -> None:
    """Whatever stands in ``next``: KernelOops, nothing else, and no walk without end."""
    kernel = loaded("hello", "crc16")
    kernel.memory.write(place(kernel, kernel.modules["crc16"]), value.to_bytes(8, "little"))
    with pytest.raises(KernelOops):
        kernel.read("/proc/modules")


def test_a_ring_that_misses_the_head_does_not_hang() -> None:
    """list_for_each_entry ends at the head only: the real kernel would walk for ever."""
    kernel = loaded("hello", "crc16")
    at = place(kernel, kernel.modules["hello"])
    kernel.memory.write(at, at.to_bytes(8, "little"))
    with pytest.raises(WouldWait):
        kernel.read("/proc/modules")


def test_running_code_finds_the_head_in_the_kernels_data() -> None:
    """``modules`` is a variable of the kernel's (.data); a module's code reads and writes it there."""
    pytest.importorskip("unicorn")
    kernel = Kernel()
    kernel.finit_module(sample("hello"))
    mod, head = kernel.modules["hello"], kernel.address_of("modules")
    at = place(kernel, mod)
    assert kernel.cpu.space.number(head, 8) == kernel.cpu.space.number(head + 8, 8) == at
    kernel.cpu.space.store(head, head, 8)
    assert not kernel.modules, "list_for_each_entry begins at modules.next"
