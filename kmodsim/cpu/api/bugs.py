# SPDX-License-Identifier: GPL-2.0-only
"""Reports and ends: WARN, BUG, panic, the checks of lists, reference counts, buffers and stacks.

Offsets are those of Debian's 6.1.192: of the ``ud2`` in each function, and of return addresses that recorded
reports show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ...module import TAINTS
from ..abi import VarArgs, cstr, ptr, s32, u32
from ..oops import CUT_HERE
from ..table import kernel_function
from ..traps import bug, panic, stack_trace, warn

if TYPE_CHECKING:
    from ..cpu import Cpu

LIST_POISON1, LIST_POISON2 = 0xDEAD000000000100, 0xDEAD000000000122
LIST_DEBUG = "lib/list_debug.c"
REFCOUNT_SATURATED = -0x40000000
# enum refcount_saturation_type -> what is said, line of lib/refcount.c, offset of the ud2
REFCOUNT = {
    0: ("saturated; leaking memory", 19, 0x74), 1: ("saturated; leaking memory", 22, 0x51),
    2: ("addition on 0; use-after-free", 25, 0x97), 3: ("underflow; use-after-free", 28, 0xBA),
    4: ("decrement hit 0; leaking memory", 31, 0xFB),
}  # fmt: skip
REFCOUNT_UNKNOWN = ("unknown saturation event!?", 34, 0xE1)
PANIC_FRAMES = (("dump_stack_lvl", 0x44), ("panic", 0x118))


def _record(level: int, text: bytes) -> str:
    """A log record of formatted text; KERN_SOH and a digit in front give it another level."""
    if text[:1] == b"\x01" and text[1:2].isdigit():
        level, text = int(text[1:2]), text[2:]
    return f"<{level}>{text.removesuffix(bytes((10,))).decode('utf-8', 'backslashreplace')}"


@kernel_function("kernel/panic.c")
def __warn_printk(cpu: Cpu, fmt: cstr, args: VarArgs) -> None:
    """The message of WARN(…); the ud2 behind the call reports the rest."""
    cpu.kernel.print_records([CUT_HERE, _record(4, cpu.format(fmt, args))])


@kernel_function("kernel/panic.c", name="panic")
def panic_(cpu: Cpu, fmt: cstr, args: VarArgs) -> None:
    """The machine stops."""
    message = cpu.format(fmt, args).decode("utf-8", "backslashreplace").removesuffix("\n")
    panic(cpu, message, PANIC_FRAMES)


@kernel_function("kernel/panic.c")
def __stack_chk_fail(cpu: Cpu) -> None:
    """The canary of the caller's stack frame is gone: panic."""
    where = cpu.symbolize(cpu.caller(), backtrace=True)
    frames = (*PANIC_FRAMES, ("__stack_chk_fail", 0x10))
    panic(cpu, f"stack-protector: Kernel stack is corrupted in: {where}", frames)


@kernel_function("kernel/panic.c")
def add_taint(cpu: Cpu, flag: u32, lockdep_ok: s32) -> None:
    if flag < len(TAINTS):
        cpu.kernel.add_taint(TAINTS[flag].letter, unreliable=not lockdep_ok)


@kernel_function("kernel/panic.c")
def test_taint(cpu: Cpu, flag: u32) -> s32:
    return cpu.kernel.tainted >> (flag & 63) & 1


@kernel_function("lib/dump_stack.c")
def dump_stack(cpu: Cpu) -> None:
    """Who runs and how it came here; nothing is wrong."""
    cpu.kernel.print_records(stack_trace(cpu))


@kernel_function("lib/dump_stack.c")
def dump_stack_lvl(cpu: Cpu, level: cstr) -> None:
    """dump_stack at a level of one's own: KERN_SOH and a digit."""
    digit = level[1:2].decode() if level[:1] == b"\x01" and level[1:2].isdigit() else "4"
    cpu.kernel.print_records([f"<{digit}>{line[3:]}" for line in stack_trace(cpu)])


@kernel_function("lib/refcount.c")
def refcount_warn_saturate(cpu: Cpu, refcount: ptr, kind: s32) -> None:
    """A reference count over- or underflows: it stays where it can do no harm; each kind warns once."""
    cpu.space.store(refcount, REFCOUNT_SATURATED, 4)
    what, line, offset = REFCOUNT.get(kind, REFCOUNT_UNKNOWN)
    if cpu.kernel.first_time(f"lib/refcount.c:{line}"):
        warn(cpu, "refcount_warn_saturate", offset, "lib/refcount.c", line, f"<4>refcount_t: {what}.")


@kernel_function("lib/string_helpers.c")
def fortify_panic(cpu: Cpu, name: cstr) -> None:
    """FORTIFY_SOURCE: a string function was about to write over the end of an object."""
    said = f"<0>detected buffer overflow in {name.decode('utf-8', 'backslashreplace')}"
    bug(cpu, "fortify_panic", 0xF, "lib/string_helpers.c", 1027, said)


def _corrupted(cpu: Cpu, function: str, offset: int, line: int, said: str) -> NoReturn:
    """CHECK_DATA_CORRUPTION with CONFIG_BUG_ON_DATA_CORRUPTION."""
    bug(cpu, f"{function}.cold", offset, LIST_DEBUG, line, f"<3>{said}")


@kernel_function(LIST_DEBUG)
def __list_add_valid(cpu: Cpu, new: ptr, prev: ptr, following: ptr) -> bool:
    """Whether the neighbours agree on who stands beside whom; BUG when they do not."""

    def bad(offset: int, line: int, said: str) -> NoReturn:
        _corrupted(cpu, "__list_add_valid", offset, line, said)

    if not prev:
        bad(0x0C, 23, "list_add corruption. prev is NULL.")
    if not following:
        bad(0x59, 25, "list_add corruption. next is NULL.")
    back, ahead = cpu.space.number(following + 8, 8), cpu.space.number(prev, 8)
    if back != prev:
        was = f"should be prev ({prev:016x}), but was {back:016x}. (next={following:016x})."
        bad(0x4B, 27, f"list_add corruption. next->prev {was}")
    if ahead != following:
        was = f"should be next ({following:016x}), but was {ahead:016x}. (prev={prev:016x})."
        bad(0x3A, 30, f"list_add corruption. prev->next {was}")
    if new in (prev, following):
        bad(0x23, 33, f"list_add double add: new={new:016x}, prev={prev:016x}, next={following:016x}.")
    return True


@kernel_function(LIST_DEBUG)
def __list_del_entry_valid(cpu: Cpu, entry: ptr) -> bool:
    """Whether an entry is on a list whose neighbours know it; BUG when not, say because it was deleted
    before."""
    space = cpu.space

    def bad(offset: int, line: int, said: str) -> NoReturn:
        _corrupted(cpu, "__list_del_entry_valid", offset, line, f"list_del corruption{said}")

    following, prev = space.number(entry, 8), space.number(entry + 8, 8)
    me = f"{entry:016x}"
    if not following:
        bad(0x0F, 49, f", {me}->next is NULL")
    if not prev:
        bad(0x6D, 51, f", {me}->prev is NULL")
    if following == LIST_POISON1:
        bad(0x5C, 53, f", {me}->next is LIST_POISON1 ({LIST_POISON1:x})")
    if prev == LIST_POISON2:
        bad(0x4B, 56, f", {me}->prev is LIST_POISON2 ({LIST_POISON2:x})")
    if (ahead := space.number(prev, 8)) != entry:
        bad(0x37, 59, f". prev->next should be {me}, but was {ahead:016x}. (prev={prev:016x})")
    if (back := space.number(following + 8, 8)) != entry:
        bad(0x23, 62, f". next->prev should be {me}, but was {back:016x}. (next={following:016x})")
    return True


@kernel_function("lib/bust_spinlocks.c")
def bust_spinlocks(cpu: Cpu, yes: s32) -> None:
    """Opens the way for console output in an oops; there is no console here."""


@kernel_function("kernel/watchdog.c", "touch_nmi_watchdog", "touch_all_softlockup_watchdogs")
def touch_softlockup_watchdog(cpu: Cpu) -> None:
    """No watchdog runs here: an endless loop ends at the limit of instructions."""
