# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's reports of what went wrong, line for line: oops, BUG, WARN, panic.

Models ``arch/x86/kernel/dumpstack.c``, ``process_64.c:__show_regs``, ``traps.c``, ``arch/x86/mm/fault.c``,
``lib/dump_stack.c``, ``kernel/panic.c`` of 6.1. Every function here makes lines of plain data; nothing is
printed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..memory import PAGE_SIZE
from ..module import TAINTS
from .orc import Frame
from .space import GuestFault

Lines = list[str]
Registers = dict[str, int]  # rax … r15, rip, eflags, and cr2, fs_base, gs_base
ReadCode = Callable[[int, int], bytes]  # address, length; GuestFault where nothing can be read

U64 = (1 << 64) - 1
KERNEL_CS, KERNEL_DS, USER_CS, USER_DS = 0x10, 0x18, 0x33, 0x2B
CR0, CR4 = 0x80050033, 0x6F0  # of the processor qemu64
CR3 = 0x6106000  # the process's page table: a stand-in
TASK_SIZE_MAX = (1 << 47) - PAGE_SIZE
HARDWARE = "QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014"
CUT_HERE = "<4>------------[ cut here ]------------"
END_TRACE = "<4>---[ end trace 0000000000000000 ]---"
PROLOGUE, CODE_BYTES = 42, 64  # dumpstack.c:show_opcodes
SYSCALL_FRAME = "entry_SYSCALL_64_after_hwframe"
PF_PROT, PF_WRITE, PF_INSTR = 1, 2, 16  # arch/x86/include/asm/trap_pf.h
SIGKILL, SIGSEGV = 9, 11

Kind = Literal["page fault", "stack overflow", "general protection", "exception", "BUG"]
# arch/x86/kernel/traps.c: what die() says, by the exception's vector
EXCEPTIONS = {
    0: "divide error", 1: "debug", 3: "int3", 4: "overflow", 5: "bounds", 6: "invalid opcode",
    8: "double fault", 10: "invalid TSS", 11: "segment not present",
    12: "stack segment", 13: "general protection fault",
    16: "fpu exception", 17: "alignment check", 19: "simd exception",
}  # fmt: skip
INT3, PAGE_FAULT, INVALID_OPCODE = 3, 14, 6


@dataclass(frozen=True)
class Trap:
    """An exception in kernel mode: its kind, vector and error code, and for page faults the address (CR2)."""

    kind: Kind
    vector: int
    error_code: int = 0
    address: int = 0

    @property
    def signal(self) -> int:
        """What kills the task: page faults end in SIGKILL, everything else in SIGSEGV."""
        return SIGKILL if self.kind == "page fault" else SIGSEGV

    @property
    def in_nmi(self) -> bool:
        """It is served as a non-maskable interrupt is, so that dying of it is a panic
        (``irqentry_nmi_enter``)."""
        return self.kind == "stack overflow" or self.vector == INT3

    def irqs_stay_off(self, eflags: int) -> bool:
        """Whether interrupts were still off when the task died (``do_user_addr_fault`` switches them on)."""
        user_data = self.address < TASK_SIZE_MAX and not self.error_code & PF_INSTR
        return not eflags & 0x200 or (self.kind == "page fault" and not user_data)


def trap_of_fault(fault: GuestFault, stack: tuple[int, int] = (0, 0)) -> Trap:
    """The exception that a memory access raises. ``stack``: [begin, end) of the task's, with its guard page
    below."""
    if not fault.canonical:
        return Trap("general protection", 13, 0, fault.address)
    if not fault.present and stack[0] - PAGE_SIZE <= fault.address < stack[0]:
        return Trap("stack overflow", 8, 0, fault.address)
    bits = {"read": 0, "write": PF_WRITE, "execute": PF_INSTR}[fault.access] | (
        PF_PROT if fault.present else 0
    )
    return Trap("page fault", PAGE_FAULT, bits, fault.address)


@dataclass(frozen=True)
class Scene:
    """What a report is made of: who ran, on what kernel, with which modules, and how to name addresses."""

    comm: str
    pid: int
    tainted: int
    release: str
    package: str  # "Debian 6.1.192-2"
    modules: str  # "buggy(OE+) hello(OE)", and "[last unloaded: …]"
    symbol: Callable[[int], str]  # %pS
    backtrace_symbol: Callable[[int], str]  # %pB
    read_code: ReadCode
    frames: Sequence[Frame] = ()
    uid: int = 0
    system_call: int | None = None
    in_interrupt: bool = False
    idle_frames: Sequence[int] = ()  # in an interrupt: of the task that was interrupted
    page_tables: Callable[[int], str] = field(default=lambda address: "PGD 0 P4D 0 ")
    hashed_pointer: Callable[[int], str] = field(default=lambda address: f"{address:016x}")


# --- the pieces


def print_tainted(mask: int) -> str:
    """``kernel/panic.c:print_tainted``: a letter or a blank each; G where no proprietary module came."""
    if not mask:
        return "Not tainted"
    return "Tainted: " + "".join(
        flag.letter if mask >> flag.bit & 1 else "G" if flag.letter == "P" else " " for flag in TAINTS
    )


def dump_stack_print_info(scene: Scene, level: int = 4) -> Lines:
    """Who, and on which kernel and machine."""
    kernel = f"{scene.release} #1  {scene.package}"
    who = f"CPU: 0 PID: {scene.pid} Comm: {scene.comm[:20]} {print_tainted(scene.tainted)} {kernel}"
    return [f"<{level}>{who}", f"<{level}>Hardware name: {HARDWARE}"]


def show_opcodes(rip: int, read_code: ReadCode) -> tuple[str, int | None]:
    """The Code: text, 42 bytes before ``rip`` and 21 behind it, and the address at which reading them
    faulted."""
    start = rip - PROLOGUE & U64
    fault: int | None = None
    try:
        code = read_code(start, CODE_BYTES) if _may_be_read(start) else b""
    except GuestFault as problem:
        code, fault = b"", problem.address
    if not code:
        return f"Code: Unable to access opcode bytes at {start:#x}.", fault
    text = [f"<{byte:02x}>" if i == PROLOGUE else f"{byte:02x}" for i, byte in enumerate(code)]
    return f"Code: {' '.join(text)}", None


def _may_be_read(address: int) -> bool:
    """``arch/x86/mm/maccess.c:copy_from_kernel_nofault_allowed``: canonical, and not the user's."""
    return address >= TASK_SIZE_MAX + PAGE_SIZE and address >> 47 in (0, 0x1FFFF)


def show_regs(registers: Registers, scene: Scene) -> Lines:
    """``__show_regs(SHOW_REGS_ALL)``. Reading the code may fault, and CR2 then shows that address."""
    code, faulted = show_opcodes(registers["rip"], scene.read_code)
    cr2 = registers.get("cr2", 0) if faulted is None else faulted
    return [
        f"<4>RIP: {KERNEL_CS:04x}:{scene.symbol(registers['rip'])}", f"<4>{code}",
        f"<4>RSP: {KERNEL_DS:04x}:{registers['rsp']:016x} EFLAGS: {registers['eflags']:08x}",
        *_general(registers),
        f"<4>FS:  {registers.get('fs_base', 0):016x}(0000) GS:{registers.get('gs_base', 0):016x}(0000) "
        f"knlGS:{0:016x}",
        f"<4>CS:  {KERNEL_CS:04x} DS: 0000 ES: 0000 CR0: {CR0:016x}",
        f"<4>CR2: {cr2:016x} CR3: {CR3:016x} CR4: {CR4:016x}",
    ]  # fmt: skip


def _general(registers: Registers) -> Lines:
    names = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", *(f"r{n}" for n in range(10, 16)))
    words = [f"{_shown(name)}: {registers.get(name, 0):016x}" for name in names]
    return ["<4>" + " ".join(words[i : i + 3]) for i in range(0, 15, 3)]


def _shown(name: str) -> str:
    return f"R{int(name[1:]):02}" if name[1:].isdigit() else name.upper()


def show_user_regs(system_call: int) -> Lines:
    """The registers a process came with: there is no process here, so only what every system call has."""
    code, _ = show_opcodes(0, lambda address, length: b"")
    registers = {"rax": -38 & U64, "r11": 0x246}
    where = f"RSP: {USER_DS:04x}:{0:016x} EFLAGS: 00000246 ORIG_RAX: {system_call:016x}"
    return [f"<4>RIP: {USER_CS:04x}:0x0", f"<4>{code}", f"<4>{where}", *_general(registers)]


def call_trace(scene: Scene) -> Lines:
    """``show_trace_log_lvl``: the frames of this stack, in an interrupt those of the interrupted task
    behind."""
    kind = "IRQ" if scene.in_interrupt else "TASK"
    lines = ["<4>Call Trace:", f"<4> <{kind}>", *_frames(scene, scene.frames), f"<4> </{kind}>"]
    if scene.in_interrupt:
        idle = [Frame(0, address, True) for address in scene.idle_frames]
        lines += ["<4> <TASK>", *_frames(scene, idle), "<4> </TASK>"]
    return lines


def _frames(scene: Scene, frames: Sequence[Frame]) -> Lines:
    lines = []
    for frame in frames:
        name = scene.backtrace_symbol(frame.address)
        lines.append(f"<4> {'' if frame.reliable else '? '}{name}")
        if frame.reliable and name.startswith(SYSCALL_FRAME) and scene.system_call is not None:
            lines += show_user_regs(scene.system_call)
    return lines


def print_modules(scene: Scene) -> Lines:
    """``kernel/module/main.c:print_modules``."""
    return [f"<4>Modules linked in:{' ' if scene.modules else ''}{scene.modules}"]


# --- whole reports


def show_fault_oops(trap: Trap, scene: Scene) -> Lines:
    """``arch/x86/mm/fault.c:show_fault_oops``: what was touched, how, and why that failed."""
    code, address = trap.error_code, trap.address
    what = "instruction fetch" if code & PF_INSTR else "write access" if code & PF_WRITE else "read access"
    why = "permissions violation" if code & PF_PROT else "not-present page"
    lines = []
    if code & PF_INSTR and code & PF_PROT:
        said = "kernel tried to execute NX-protected page - exploit attempt?"
        lines.append(f"<2>{said} (uid: {scene.uid})")
    null = address < PAGE_SIZE
    bug = "kernel NULL pointer dereference," if null else "unable to handle page fault for"
    return [
        *lines, f"<1>BUG: {bug} address: {address:016x}", f"<1>#PF: supervisor {what} in kernel mode",
        f"<1>#PF: error_code(0x{code:04x}) - {why}", f"<6>{scene.page_tables(address)}",
    ]  # fmt: skip


def _stack_overflow(trap: Trap, scene: Scene, stack: tuple[int, int]) -> Lines:
    hit, begin, end = (scene.hashed_pointer(a) for a in (trap.address, *stack))
    return [f"<0>BUG: TASK stack guard page was hit at {hit} (stack is {begin}..{end})"]


def _description(trap: Trap) -> str:
    """What stands before the error code in the header of ``die``."""
    if trap.kind == "page fault":
        return "Oops"
    if trap.kind == "stack overflow":
        return "stack guard page"
    if trap.kind == "general protection" and trap.address:
        return f"general protection fault, probably for non-canonical address {trap.address:#x}"
    return EXCEPTIONS.get(trap.vector, f"exception {trap.vector}")


def oops_report(
    trap: Trap, registers: Registers, scene: Scene, *, number: int = 1, summary: Registers | None = None,
    stack: tuple[int, int] = (0, 0), before: Sequence[str] = (), preempt_count: int = 0,
) -> Lines:  # fmt: skip
    """All lines of an oops, from the first to the note about how the task left.

    number: of oopses since boot, this one counted. summary: the registers shown once more at the end: those
    of the *first* oops. before: what a BUG said already. preempt_count: as the task leaves it.
    """
    lines = list(before)
    if trap.kind == "page fault":
        lines += show_fault_oops(trap, scene)
    elif trap.kind == "stack overflow":
        lines += _stack_overflow(trap, scene, stack)
    lines.append(f"<4>{_description(trap)}: {trap.error_code & 0xFFFF:04x} [#{number}] PREEMPT SMP NOPTI")
    regs = show_regs(registers, scene)
    lines += [*dump_stack_print_info(scene), *regs, *call_trace(scene), *print_modules(scene)]
    if trap.kind == "page fault":
        lines.append(f"<4>CR2: {trap.address:016x}")
    lines += [END_TRACE, *(regs if summary is None else show_regs(summary, scene))]
    return lines + _last_words(trap, registers, scene, preempt_count)


def _last_words(trap: Trap, registers: Registers, scene: Scene, preempt_count: int) -> Lines:
    """``oops_end`` and ``kernel/exit.c:make_task_dead``."""
    if scene.in_interrupt or trap.in_nmi:
        return ["<0>Kernel panic - not syncing: Fatal exception in interrupt"]
    lines = []
    if trap.irqs_stay_off(registers["eflags"]):
        lines.append(f"<6>note: {scene.comm}[{scene.pid}] exited with irqs disabled")
    if preempt_count:
        lines.append(f"<6>note: {scene.comm}[{scene.pid}] exited with preempt_count {preempt_count}")
    return lines


def bug_lines(file: str, line: int, *, cut_here: bool = True) -> Lines:
    """What ``report_bug`` says of a BUG() before the oops."""
    return [*([CUT_HERE] if cut_here else []), f"<2>kernel BUG at {file}:{line}!"]


def warn_report(
    file: str, line: int, registers: Registers, scene: Scene, *, before: Sequence[str] = (CUT_HERE,)
) -> Lines:
    """``kernel/panic.c:__warn``. ``before``: the cut line and the message, where they are not printed yet."""
    where = f"{file}:{line} " if file else ""
    return [
        *before, f"<4>WARNING: CPU: 0 PID: {scene.pid} at {where}{scene.symbol(registers['rip'])}",
        *print_modules(scene), *dump_stack_print_info(scene), *show_regs(registers, scene),
        *call_trace(scene), END_TRACE,
    ]  # fmt: skip


def dump_stack(scene: Scene) -> Lines:
    """``lib/dump_stack.c``: who and the call trace, without registers."""
    return [*dump_stack_print_info(scene), *call_trace(scene)]


def panic_report(message: str, scene: Scene | None, *, timeout: int = 0) -> Lines:
    """``kernel/panic.c:panic``. ``scene`` None: an oops has shown the stack already. timeout: of panic=."""
    lines = [f"<0>Kernel panic - not syncing: {message}", *(dump_stack(scene) if scene is not None else [])]
    return lines + panic_end(message, timeout)


def panic_end(message: str, timeout: int = 0) -> Lines:
    """The last lines of all; with a timeout the machine starts anew instead (``dump_kernel_offset``,
    nokaslr)."""
    lines = ["<0>Kernel Offset: disabled"]
    return lines if timeout else [*lines, f"<0>---[ end Kernel panic - not syncing: {message} ]---"]
