# SPDX-License-Identifier: GPL-2.0-only
"""``kernel.calls``: each call as its prototype and the module's source say it.

Parameter names and types are those of the kernel's BTF, values those in the C sources of the samples, GFP
names those of ``include/linux/gfp_types.h``; what a format became is what the real kernel printed.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmodsim import Kernel, KernelError, sample

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core

ADDRESS = r"0x[0-9a-f]+"


@cache
def lived(name: str, params: str = "") -> Any:
    """A kernel in which a sample was loaded, a second passed, and it was unloaded."""
    kernel = Kernel(cpu="strict")
    try:
        kernel.finit_module(sample(name), params)
        kernel.advance(1)
        kernel.delete_module(name)
    except KernelError:
        pass  # memory.c goes on to what is not implemented: its first calls are what counts here
    return kernel


# sample -> a call as its C source has it, GFP_KERNEL and symbols by name, and where it was made
FROM_SOURCE = {
    "memory": [
        (r'kstrdup\(s="memory", gfp=GFP_KERNEL\) = ' + ADDRESS, "memory_init"),
        (r"kmalloc_trace\(s=\S+, gfpflags=GFP_KERNEL, size=100\) = " + ADDRESS, "memory_init"),
        (r"krealloc\(p=0x\w+, new_size=300, flags=GFP_KERNEL\) = " + ADDRESS, "memory_init"),
        (r"kfree\(object=NULL\)", "memory_init"),  # kfree(NULL), and void has no result
        (r'kasprintf\(gfp=GFP_KERNEL, fmt="%s, %d", … "printed to measure, 7"\) = ' + ADDRESS, "memory_init"),
        (r"vmalloc\(size=12289\) = " + ADDRESS, "memory_init"),  # 3 * PAGE_SIZE + 1
        (r"kmalloc_large\(size=0x10000000000, flags=GFP_KERNEL\|__GFP_NOWARN\) = NULL", "memory_init"),
        (r"is_vmalloc_addr\(x=0x\w+\) = true", "memory_init"),
        (r"__get_free_pages\(gfp_mask=GFP_KERNEL\|__GFP_ZERO, order=0\) = " + ADDRESS, "memory_init"),
    ],
    "timer": [
        (r"init_timer_key\(timer=ticker, func=tick, flags=0x0, .*\)", "ticker_init"),
        (r"__msecs_to_jiffies\(m=100\) = 25", "ticker_init"),  # CONFIG_HZ=250
        (r"mod_timer\(timer=ticker, expires=0xfffe\w+\) = 0", "ticker_init"),
    ],
    "proc": [
        (r'proc_mkdir\(name="sample", parent=NULL\) = ' + ADDRESS, "proc_sample_init"),
        (r'proc_create_data\(name="note", mode=0\d+, parent=0x\w+, proc_ops=note_ops, data=note\) = '
         + ADDRESS, "proc_sample_init"),
    ],
    "chardev": [(r"misc_register\(misc=chardev\) = 0", "chardev_init")],
    "notifier": [(r"unregister_module_notifier\(nb=on_module\) = -ENOENT", "notifier_sample_exit")],
    "work": [(r"queue_work_on\(cpu=8192, wq=0x\w+, work=once_work\) = true", "jobs_init")],
}  # fmt: skip


@pytest.mark.parametrize("name", FROM_SOURCE)
def test_calls_are_shown_as_the_source_makes_them(name: str) -> None:
    calls = [(str(call), call.site.partition("+")[0], call.module) for call in lived(name).calls]
    for pattern, caller in FROM_SOURCE[name]:
        found = [place for text, *place in calls if re.fullmatch(pattern, text)]
        assert [caller, name] in found, pattern


def test_names_of_init_outlive_init_memory() -> None:
    """hello_init lies in memory that is given back before anybody can look."""
    kernel = lived("hello")
    assert not kernel.modules
    assert kernel.calls[0].site.startswith("hello_init+0x")


def test_a_format_is_shown_with_its_text_as_it_was_printed() -> None:
    kernel = lived("hello", "howmany=2")
    printed = [line[3:] for line in kernel.dmesg if "ello, " in line]
    shown = str(kernel.calls[0])
    assert shown == f'_printk(fmt=KERN_INFO "Hello, %s\\n", … KERN_INFO "{printed[0]}\\n") = 13'
    gone = lived("proc").calls.select("_printk")[-1]
    assert str(gone) == '_printk(fmt=KERN_INFO "proc: gone\\n") = 11'  # nothing to fill in: shown once


def test_a_call_that_never_came_back_has_no_result() -> None:
    """As in strace; and a pointer that leads nowhere is a number."""
    call = make(Kernel(cpu="strict").cpu, "strlen", (1, 0, 0, 0, 0, 0), None, returned=False)
    assert str(call) == "strlen(s=0x1) = ?"


def test_error_pointers_and_errnos_have_names() -> None:
    """include/linux/err.h: the last 4095 addresses; ENOMEM is 12, but a comparison's -1 is no EPERM."""
    cpu = Kernel(cpu="strict").cpu
    assert str(make(cpu, "kthread_create_on_node", (0,) * 6, -12)).endswith("= -ENOMEM")
    assert str(make(cpu, "misc_register", (0,) * 6, -17)) == "misc_register(misc=NULL) = -EEXIST"
    assert str(make(cpu, "strcmp", (0,) * 6, -1)).endswith("= -1")
    assert str(make(cpu, "kfree", ((1 << 64) - 22, 0, 0, 0, 0, 0), None)) == "kfree(object=-EINVAL)"


def test_more_than_six_arguments_come_from_the_stack() -> None:
    """System V: the seventh argument lies above the return address."""
    kernel = Kernel(cpu="strict")
    cpu = kernel.cpu
    prototypes = kernel.profile.prototypes
    name = next(n for n in prototypes if len(prototypes[n].parameters) == 8 and not prototypes[n].variadic)
    rsp = cpu.tasks.current.rsp - 64
    for i in range(8):
        cpu.space.store(rsp + 8 * i, 0x40 + i, 8)
    call = make(cpu, name, (1, 2, 3, 4, 5, 6), 0, rsp=rsp)
    assert [argument.value for argument in call.arguments] == [1, 2, 3, 4, 5, 6, 0x41, 0x42]
    assert [argument.name for argument in call.arguments] == [p.name for p in prototypes[name].parameters]


def test_strings_are_escaped_and_shortened() -> None:
    kernel = Kernel(cpu="strict")
    cpu = kernel.cpu
    address = cpu.heap.kstrdup(b'a\t"\\\x7f\xc3' + b"x" * 100)
    assert str(make(cpu, "strlen", (address, 0, 0, 0, 0, 0), 106)) == (
        'strlen(s="a\\t\\"\\\\\\x7f\\xc3' + "x" * 42 + '"…) = 106'
    )


def test_what_was_made_up_is_marked() -> None:
    call = make(Kernel(cpu="zero").cpu, "pci_get_device", (0,) * 6, 0)
    call.stubbed = True
    assert str(call).endswith("= NULL  [stand-in]")


# --- many calls


def test_the_list_is_a_list_and_shows_itself_as_lines() -> None:
    calls = lived("timer").calls
    assert isinstance(calls, list)
    lines = str(calls).splitlines()
    assert len(lines) == len(calls)
    for call, line in zip(calls, lines, strict=True):
        assert line.endswith(str(call)) and call.comm in line
        assert line.startswith(f"[{call.when / 1e9:12.6f}]")
    assert "tick+0x" in str(calls) and "<pre" in calls._repr_html_()


def test_calls_inside_callbacks_are_indented() -> None:
    """notifier.c's own chain calls early() and late() while blocking_notifier_call_chain runs."""
    lines = str(lived("notifier").calls).splitlines()
    start = next(i for i, line in enumerate(lines) if "blocking_notifier_call_chain(" in line)
    column = lines[start].index("blocking_notifier_call_chain(")
    assert lines[start + 1].index("_printk(") == column + 2


def test_calls_can_be_chosen() -> None:
    calls = lived("memory").calls
    assert {call.name for call in calls.select("*malloc*")} >= {"kmalloc_trace", "vmalloc", "is_vmalloc_addr"}
    assert calls.select(module="memory") == calls and not calls.select(module="hello")
    assert not calls.select(stubbed=True) and calls.select(comm="insmod", stubbed=False) == calls


# --- whatever is in the registers


def make(
    cpu: Any, name: str, registers: tuple[int, ...], result: Any, *, caller: int = 0, rsp: int = 0,
    returned: bool = True,
) -> Any:  # fmt: skip
    """A call as the processor would note it."""
    from kmodsim.cpu.calls import KernelCall

    call = KernelCall(name, registers, caller, "insmod", 0, 1)
    cpu.notes.began(call, rsp)
    if returned:
        cpu.notes.ended(call, result)
    return call


@cache
def any_cpu() -> Any:
    kernel = Kernel(cpu="strict")
    kernel.finit_module(sample("chardev"))
    return kernel.cpu


@cache
def all_functions() -> list[str]:
    from kmodsim.cpu.table import FUNCTIONS

    return sorted({*any_cpu().profile.prototypes, *FUNCTIONS, "no_such_function"})


def interesting() -> st.SearchStrategy[int]:
    """Any 64 bits, and addresses near what is mapped, named, or an errno."""
    near = [0, 0xFFFFFFFF81000000, 0xFFFFFFFFC0201000, 0xFFFF888003005C00, (1 << 64) - 4095, 1 << 47]
    return st.integers(0, (1 << 64) - 1) | st.sampled_from(near).flatmap(
        lambda at: st.integers(max(0, at - 9000), min((1 << 64) - 1, at + 9000))
    )


@settings(max_examples=300, deadline=None)
@given(
    st.data(), st.tuples(*[interesting()] * 6), interesting(), interesting(),
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1), st.none() | st.binary(max_size=300),
)  # fmt: skip
def test_no_call_is_beyond_showing(
    data: st.DataObject, registers: tuple[int, ...], caller: int, rsp: int, result: Any, text: bytes | None
) -> None:
    name = data.draw(st.sampled_from(all_functions()))
    call = make(any_cpu(), name, registers, result, caller=caller, rsp=rsp)
    call.text = text
    shown = str(call)
    assert shown.startswith(f"{call.name}(") and "\n" not in shown and shown.isprintable()


# --- the shell's word


def typed(kernel: Any, text: str) -> str:
    from kmodsim.userland.shell import Shell

    said: list[str] = []
    Shell(kernel, said.append).run(text)
    return "".join(said)


def test_the_shell_shows_the_calls_of_the_last_command_that_ran_code() -> None:
    kernel = Kernel(cpu="strict")
    assert typed(kernel, "insmod timer; lsmod > /dev/null; calls") == f"{kernel.calls}\n"
    loading = len(kernel.calls)
    gone = typed(kernel, "insmod hello; rmmod timer; calls")
    assert "timer_delete_sync(timer=ticker)" in gone and "mod_timer" not in gone and "Hello" not in gone
    assert len(typed(kernel, "calls -a").splitlines()) == len(kernel.calls) > loading
    assert typed(kernel, "calls -a '__msecs*' | wc -l") == "2\n"


def test_the_shell_says_when_there_are_no_calls() -> None:
    assert typed(Kernel(cpu=None), "insmod hello; calls") == "calls: this kernel runs no code\n"
    assert typed(Kernel(cpu="strict"), "calls") == ""
    assert typed(Kernel(cpu="strict"), "calls a b") == "calls: at most one pattern: calls '*alloc*'\n"
    assert typed(Kernel(cpu="strict"), "calls -x") == "calls: invalid option -- 'x'\n"
