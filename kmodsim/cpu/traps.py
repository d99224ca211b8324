# SPDX-License-Identifier: GPL-2.0-only
"""From a processor exception to what the kernel makes of it: an oops, a WARN that goes on, a panic.

Here the facts are gathered from processor, stack and modules; ``oops.py`` puts them into the kernel's words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from ..errors import KernelOops
from ..memory import EXEC, WRITE
from ..module import TAINT_BIT, TAINTS
from .bugs import UD2, find_bug, silenced
from .extable import fixup
from .oops import (
    CR3,
    CUT_HERE,
    INVALID_OPCODE,
    Lines,
    Registers,
    Scene,
    Trap,
    bug_lines,
    dump_stack,
    oops_report,
    panic_end,
    panic_report,
    trap_of_fault,
    warn_report,
)
from .orc import Frame, OrcEntry, Unwinder, orc_find, show_trace
from .space import GuestFault
from .symbolize import in_module_text, module_at, sprint_symbol

if TYPE_CHECKING:
    from ..kernel import Kernel
    from .cpu import Cpu
    from .machine import Stop

U64 = (1 << 64) - 1
PREEMPT_MASK = 0x7FFFFFFF
# the system call's number by the function in the call trace
SYSTEM_CALLS = {
    "__do_sys_finit_module": 313, "__do_sys_init_module": 175, "__do_sys_delete_module": 176, "ksys_read": 0,
    "ksys_write": 1, "__x64_sys_ioctl": 16, "do_sys_openat2": 257,
}  # fmt: skip
# kernel functions that a module's code returns to, from the inside out: symbol, offset (as recorded traces
# show them)
INIT_FRAMES = (
    ("do_one_initcall", 0x59), ("do_init_module", 0x4A), ("__do_sys_finit_module", 0xAC),
    ("do_syscall_64", 0x5D), ("entry_SYSCALL_64_after_hwframe", 0x6E),
)  # fmt: skip
CALLBACK_FRAMES = INIT_FRAMES[3:]
# a timer's callback runs in a softirq, and the processor was idle: as recorded, from the inside out
SOFTIRQ_FRAMES = (
    ("call_timer_fn", 0x27), ("__run_timers", 0x222), ("run_timer_softirq", 0x19), ("handle_softirqs", 0xD7),
    ("__irq_exit_rcu", 0xAC), ("sysvec_apic_timer_interrupt", 0x6E),
)  # fmt: skip
IDLE_FRAMES = (
    ("asm_sysvec_apic_timer_interrupt", 0x16), ("amd_e400_idle", 0x3D), ("default_idle_call", 0x38),
    ("do_idle", 0x206), ("cpu_startup_entry", 0x26), ("rest_init", 0xCA), ("arch_call_rest_init", 0xA),
    ("start_kernel", 0x6FB), ("secondary_startup_64_no_verify", 0xE5),
)  # fmt: skip


# --- what the processor's loop calls


def trapped(cpu: Cpu, stop: Stop) -> int:
    """The machine stopped at a fault or trap in a module's code: where it goes on (a WARN), or KernelOops."""
    if stop.vector != INVALID_OPCODE and (on := fixup(cpu, stop.rip)):
        return on
    registers = read_registers(cpu)
    if stop.fault is not None:
        stack = cpu.tasks.current.stack
        _die(cpu, trap_of_fault(stop.fault, (stack.start, stack.end)), registers)
    if stop.vector == INVALID_OPCODE:
        return _invalid_opcode(cpu, registers)
    _die(cpu, Trap("exception", stop.vector), registers)


def kernel_function_faulted(cpu: Cpu, name: str, address: int, fault: GuestFault) -> NoReturn:
    """A kernel function was given a bad pointer: RIP is in that function, its caller the first frame."""
    registers = read_registers(cpu, rip=address)
    if fault.access == "execute":
        registers["rip"] = fault.address
    _die(cpu, trap_of_fault(fault), registers)


def bug(cpu: Cpu, symbol: str, offset: int, file: str, line: int, *said: str) -> NoReturn:
    """BUG() in a kernel function that is implemented here. ``said``: log records that come before."""
    registers = read_registers(cpu, rip=cpu.kernel.address_of(symbol) + offset)
    _die(cpu, Trap("BUG", INVALID_OPCODE), registers, [*said, *bug_lines(file, line)])


def warn(
    cpu: Cpu, symbol: str, offset: int, file: str, line: int, *said: str,
    above: Sequence[tuple[str, int]] = (),
) -> None:  # fmt: skip
    """WARN() in a kernel function that is implemented here; ``said``: its message, if there is one.
    ``above``: the kernel's frames above the module's."""
    registers = read_registers(cpu, rip=cpu.kernel.address_of(symbol) + offset)
    _warn(cpu, registers, file, line, [CUT_HERE, *said], TAINT_BIT["W"], above)


def panic(cpu: Cpu, message: str, above: Sequence[tuple[str, int]]) -> NoReturn:
    """``panic()``, called by a module or for it. ``above``: the kernel's frames above the module's."""
    timeout = _panic_timeout(cpu.kernel)
    registers = read_registers(cpu)
    tainted = cpu.kernel.tainted >> TAINT_BIT["D"] & 1
    scene = None if tainted else scene_of(cpu, registers, above=above)
    _end(cpu, panic_report(message, scene, timeout=timeout), panicked=message)


def stack_trace(cpu: Cpu, above: Sequence[tuple[str, int]] = (("dump_stack_lvl", 0x44),)) -> Lines:
    """``dump_stack()``: who is running and how it came here. ``above``: the kernel's frames above the
    module's."""
    return dump_stack(scene_of(cpu, read_registers(cpu), above=above))


# --- inside


def read_registers(cpu: Cpu, rip: int | None = None) -> Registers:
    """The processor's registers as they are; ``rip``: that of a kernel function that Python does."""
    names = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16)))
    all_names = (*names, "rip", "eflags", "fs_base", "gs_base")
    registers = dict(zip(all_names, cpu.machine.read(all_names), strict=True))
    if rip is not None:
        registers["rip"] = rip
    return registers | {"cr2": cpu.cr2}


def _invalid_opcode(cpu: Cpu, registers: Registers) -> int:
    """``exc_invalid_op``: a ud2 in the table is a BUG or a WARN, everything else a bad instruction."""
    rip = registers["rip"]
    entry = find_bug(cpu.space, cpu.kernel.known_modules, rip) if _code(cpu, rip, 2) == UD2 else None
    if entry is None:
        _die(cpu, Trap("exception", INVALID_OPCODE), registers)
    before = [CUT_HERE] if entry.cut_here else []
    if not entry.warning:
        _die(
            cpu,
            Trap("BUG", INVALID_OPCODE),
            registers,
            bug_lines(entry.file, entry.line, cut_here=entry.cut_here),
        )
    if not silenced(cpu.space, entry):
        _warn(cpu, registers, entry.file, entry.line, before, entry.taint)
    return rip + len(UD2)


def _code(cpu: Cpu, address: int, length: int) -> bytes:
    try:
        return cpu.space.read(address, length)
    except GuestFault:
        return b""


def _warn(
    cpu: Cpu, registers: Registers, file: str, line: int, before: Lines, taint: int,
    above: Sequence[tuple[str, int]] = (),
) -> None:  # fmt: skip
    kernel, scene = cpu.kernel, scene_of(cpu, registers, above=above)
    kernel.print_records(warn_report(file, line, registers, scene, before=before))
    kernel.tainted |= 1 << taint if taint < len(TAINTS) else 0


def _die(cpu: Cpu, trap: Trap, registers: Registers, before: Sequence[str] = ()) -> NoReturn:
    """``oops_begin`` to ``make_task_dead``: the report into the log, the count, and the exception for the
    caller."""
    stack = cpu.tasks.current.stack
    if trap.kind == "page fault" or trap.kind == "stack overflow":
        registers["cr2"] = cpu.cr2 = trap.address
    cpu.oopses += 1
    cpu.first_oops = cpu.first_oops or registers
    scene = scene_of(cpu, registers)
    lines = oops_report(
        trap, registers, scene, number=cpu.oopses, summary={**cpu.first_oops, "cr2": cpu.cr2}, before=before,
        stack=(stack.start, stack.end), preempt_count=cpu.preempt_count() & PREEMPT_MASK,
    )  # fmt: skip
    cpu.reset_preempt_count()
    cpu.kernel.first_time("die")
    panicked = lines[-1].partition("not syncing: ")[2]
    if panicked:
        lines += panic_end(panicked, _panic_timeout(cpu.kernel))
    _end(cpu, lines, trap=trap, panicked=panicked)


def _end(cpu: Cpu, lines: Lines, *, trap: Trap | None = None, panicked: str = "") -> NoReturn:
    """Print the report and kill the caller with it."""
    cpu.kernel.print_records(lines)
    oops = KernelOops("\n".join(line[3:] for line in lines))
    oops.trap = trap  # type: ignore[attr-defined]  # what happened; its .signal is what the real task dies of
    oops.panicked = panicked  # type: ignore[attr-defined]  # the panic's message: nothing goes on after that
    raise oops


def _panic_timeout(kernel: Kernel) -> int:
    text = str(kernel.cmdline.get("panic") or "0")
    return int(text) if re.fullmatch(r"-?\d+", text) else 0


# --- the scene


def scene_of(cpu: Cpu, registers: Registers, *, above: Sequence[tuple[str, int]] = ()) -> Scene:
    """Everything a report tells beside the trap and the registers."""
    kernel, task = cpu.kernel, cpu.tasks.current
    in_interrupt = bool(task.in_interrupt)
    frames = [Frame(0, kernel.address_of(name) + offset, True) for name, offset in above]
    frames += call_frames(cpu, registers)
    if in_interrupt:
        frames += [Frame(0, address, True) for address in _addresses(kernel, SOFTIRQ_FRAMES)]
    names = {sprint_symbol(kernel, frame.address).partition("+")[0] for frame in frames if frame.reliable}
    return Scene(
        comm="swapper/0" if in_interrupt else task.comm,
        pid=0 if in_interrupt else task.pid,
        tainted=kernel.tainted,
        release=kernel.profile.release,
        package=_package(kernel.profile.uname_version),
        modules=modules_linked_in(kernel),
        symbol=lambda address: sprint_symbol(kernel, address),
        backtrace_symbol=lambda address: sprint_symbol(kernel, address, backtrace=True),
        read_code=lambda address, length: read_code(cpu, address, length),
        frames=frames,
        uid=kernel.uid,
        system_call=next((number for name, number in SYSTEM_CALLS.items() if name in names), 313),
        in_interrupt=in_interrupt,
        idle_frames=_addresses(kernel, IDLE_FRAMES) if in_interrupt else (),
        page_tables=lambda address: page_tables(cpu, address),
        hashed_pointer=kernel.hashed_pointer,
    )


def _addresses(kernel: Kernel, frames: Sequence[tuple[str, int]]) -> list[int]:
    return [kernel.address_of(name) + offset for name, offset in frames]


def _package(version: str) -> str:
    """LINUX_PACKAGE_ID, which Debian also writes into the version: "#1 SMP … Debian 6.1.192-2
    (2026-11-16)"."""
    found = re.search(r"Debian \S+", version)
    return found.group() if found else ""


def modules_linked_in(kernel: Kernel) -> str:
    """``print_modules`` behind the colon: newest first, each with its taints and + or - for COMING and
    GOING."""
    parts = []
    for mod in kernel.modules.values():
        sign = {"COMING": "+", "GOING": "-"}.get(mod.state, "")
        parts.append(f"{mod.name}({mod.taints}{sign})" if mod.taints or sign else mod.name)
    last = getattr(kernel, "last_unloaded", "")
    return " ".join([*parts, *([f"[last unloaded: {last}]"] if last else [])])


def call_frames(cpu: Cpu, registers: Registers) -> list[Frame]:
    """The frames on the current task's stack, of modules and of the kernel's functions below them."""
    kernel, task = cpu.kernel, cpu.tasks.current
    start, end = kernel.profile.text
    places = [p for p in task.return_places if p >= registers["rsp"]]
    if start <= registers["rip"] < end:  # Python does a kernel function: its return address is the innermost
        places = [registers["rsp"], *places]

    def is_kernel(address: int) -> bool:
        return start <= address < end

    def entry_of(ip: int) -> OrcEntry | None:
        mod = module_at(kernel, ip)
        return orc_find(mod, ip) if mod is not None else None

    stack = (task.stack.start, task.interrupted_at if task.in_interrupt else task.stack.end)
    state = Unwinder(
        cpu.space, registers, registers["rip"], registers["rsp"], registers["rbp"], stack, entry_of,
        is_kernel, places, error=not stack[0] <= registers["rsp"] < stack[1],
    )  # fmt: skip
    state.next_frame()
    frames = show_trace(state, registers["rsp"], lambda a: is_kernel(a) or in_module_text(kernel, a))
    return [frame for frame in frames if frame.address != start]  # where Python calls back: no real place


def read_code(cpu: Cpu, address: int, length: int) -> bytes:
    """Bytes of code, b"" where the kernel's own lies, which is not known here; GuestFault in a hole."""
    start, end = cpu.kernel.profile.text
    return b"" if start <= address < end else cpu.space.read(address, length)


def page_tables(cpu: Cpu, address: int) -> str:
    """``dump_pagetable``: how far the tables lead to ``address``. Levels and flags are right, frames
    stand-ins."""
    if address >> 63 == 0:
        low = address < 1 << 30  # where the process's own program lies
        return "PGD 62a5067 P4D 62a5067 PUD 6225067 PMD 0 " if low else "PGD 0 P4D 0 "
    upper = "PGD 2a15067 P4D 2a15067 PUD 2a17067" if address >> 31 == 0x1FFFFFFFF else _direct_map(address)
    area = cpu.space.area_at(address)
    if area is None:
        near = any(
            cpu.space.area_at(place) for place in range(address & -0x200000, (address | 0x1FFFFF) + 1, 4096)
        )
        return f"{upper} PMD 62b1067 PTE 0" if near else f"{upper} PMD 0 "
    access = area.pages[(address - area.start) >> 12]
    flags = 0x163 if access & WRITE else 0x161
    frame = CR3 & ~0xFFF | address & 0xFF000
    return f"{upper} PMD 62b1067 PTE {frame | flags | (0 if access & EXEC else 1 << 63):x}"


def _direct_map(address: int) -> str:
    return "PGD 4801067 P4D 4801067 PUD 4802067"
