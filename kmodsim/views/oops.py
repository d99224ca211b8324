# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's report of a fault with every part explained beside it: oops, BUG, WARN, panic.

What the lines mean: ``arch/x86/kernel/dumpstack.c``, ``process_64.c:__show_regs``, ``traps.c``,
``arch/x86/mm/fault.c:show_fault_oops``, ``kernel/panic.c`` of Linux 6.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

from .view import View, plural

Words = str | Callable[[re.Match[str]], str]
# kernel/panic.c:taint_flags and Documentation/admin-guide/tainted-kernels.rst
TAINTS = {
    "G": "only GPL modules", "P": "proprietary module", "F": "forced load", "R": "forced unload",
    "B": "bad page", "D": "died before: an oops", "W": "warned before", "C": "staging driver",
    "O": "out-of-tree module", "E": "unsigned module", "K": "live patch", "T": "randstruct",
    "N": "test module", "L": "soft lockup", "S": "processor out of specification", "M": "machine check",
    "U": "user asked for it", "A": "ACPI table overridden", "I": "firmware workaround",
    "X": "distribution's own",
}  # fmt: skip


class Explained(NamedTuple):
    """One line of a report without its level, and what it says in words; "" for more of the same."""

    line: str
    words: str


def _error_code(found: re.Match[str]) -> str:
    """The bits of a page fault's error code (``arch/x86/include/asm/trap_pf.h``)."""
    code = int(found["code"], 16)
    parts = ["a page that is there, but forbids it" if code & 1 else "nothing is mapped there"]
    parts.append("an instruction fetch" if code & 16 else "a write" if code & 2 else "a read")
    return f"error code {code:#x}: {', '.join(parts)}" + (", from user mode" if code & 4 else "")


def _place(found: re.Match[str]) -> str:
    """``name+0x13/0x1b [module]`` in words."""
    where = f"of module {found['module']}" if found["module"] else "of the kernel itself"
    return f"{found['offset']} bytes into {found['name']} {where}, which has {found['size']} bytes"


def _header(found: re.Match[str]) -> str:
    letters = [letter for letter in found["taint"] if letter != " "]
    known = ", ".join(f"{letter} {TAINTS.get(letter, '?')}" for letter in letters)
    return f"who ran: processor, process, command; tainted: {known}"


def _modules(found: re.Match[str]) -> str:
    signs = {"+": "still loading", "-": "being unloaded"}
    said = [f"{name} is {signs[sign]}" for name, sign in re.findall(r"(\w+)\(\w*([+-])\)", found.string)]
    return "all modules with their taints" + (f"; {', '.join(said)}" if said else "")


def _guess(found: re.Match[str]) -> str:
    return "lay on the stack, but the unwinder does not vouch for it" if found["guess"] else ""


PLACE = r"(?P<name>[\w.]+)\+(?P<offset>0x[0-9a-f]+)/(?P<size>0x[0-9a-f]+)(?: \[(?P<module>\w+)\])?"
# in the order in which they are tried
PATTERNS: tuple[tuple[str, Words], ...] = (
    (r"BUG: kernel NULL pointer dereference, address: 0*(?P<at>[0-9a-f]+)$",
     lambda m: f"a pointer was NULL: address {int(m['at'], 16):#x} is in the first page, where nothing is; "
               "the number is the member's offset in the structure"),
    (r"BUG: unable to handle page fault for address: (?P<at>\w+)", "the address that was touched"),
    (r"BUG: TASK stack guard page was hit",
     "the kernel stack is full: endless recursion, or a huge variable"),
    (r"BUG: scheduling while atomic", "something that may sleep was called where nobody may sleep"),
    (r"kernel BUG at (?P<file>\S+):(?P<line>\d+)!",
     "a BUG() or BUG_ON() in the source stopped the kernel here"),
    (r"kernel tried to execute NX-protected page",
     "a jump into memory that is data: exploit, or wild pointer?"),
    (r"unable to execute userspace code", "the kernel jumped to a user's address (SMEP)"),
    (r"WARNING: CPU: \d+ PID: \d+ at (?:(?P<file>\S+):(?P<line>\d+) )?(?P<rest>.*)",
     lambda m: f"a WARN() in {m['file'] or 'the source'}, line {m['line'] or '?'}: a report, and life "
               "goes on"),
    (r"general protection fault, probably for non-canonical address (?P<at>\w+)",
     "an address that no page table can map, as list poison or overwritten pointers are"),
    (r"#PF: supervisor (?P<what>read|write|instruction fetch)", "what the kernel tried"),
    (r"#PF: error_code\((?P<code>0x[0-9a-f]+)\)", _error_code),
    (r"(?:PGD|P4D) ", "the walk through the page tables, as far as it got"),
    (r"(?P<what>Oops|[a-z][a-z ]+?|stack guard page): (?P<code>[0-9a-f]{4}) \[#(?P<number>\d+)\]",
     lambda m: f"what kind of fault; error code {m['code']}; oops number {m['number']} since boot; "
               "the kernel's build"),
    (r"CPU: \d+ PID: \d+ Comm: .*?(?:Tainted: (?P<taint>[A-Z ]+)|Not tainted)",
     lambda m: _header(m) if m["taint"] else "who ran: processor, process, command"),
    (r"Hardware name: ", "the machine"),
    (r"RIP: 0010:" + PLACE, lambda m: f"the instruction: {_place(m)}"),
    (r"RIP: 0010:0x0$", "the instruction pointer is 0: somebody called a function pointer that was NULL"),
    (r"RIP: 0010:(?P<at>\w+)$", "the instruction pointer names no function: a wild jump"),
    (r"RIP: 0033:", "where user space made the system call"),
    (r"Code: Unable to access opcode bytes", "there is no code at this address"),
    (r"Code: .*<(?P<byte>[0-9a-f]{2})>",
     lambda m: f"the code around; <{m['byte']}> is where the instruction pointer stands"),
    (r"Code: ", "the code around the instruction pointer"),
    (r"RSP: 0018:", "the kernel stack pointer, and the flags"),
    (r"RSP: 002b:.*ORIG_RAX: 0*(?P<nr>[0-9a-f]+)",
     lambda m: f"the user's stack pointer; ORIG_RAX is the system call's number, {int(m['nr'], 16)}"),
    (r"RAX: ", "the registers at that moment: which one holds the bad pointer?"),
    (r"(?:RDX|RBP|R10|R13): ", ""),
    (r"FS:  ", "segment bases: GS is this processor's own data"),
    (r"CS:  ", "segments, and CR0"),
    (r"CR2: (?P<at>[0-9a-f]{16}) CR3", "CR2: the address of the last page fault; CR3: the page tables"),
    (r"CR2: ", "CR2 once more: the address that was touched"),
    (r"DR[036]: ", "debug registers"),
    (r"Call Trace:", "who called whom, the latest first"),
    (r" <(?P<end>/?)(?P<kind>TASK|IRQ|NMI|#DF)>",
     lambda m: f"the {m['kind'].lower()} stack {'ends' if m['end'] else 'begins'}"),
    (r" (?P<guess>\? )" + PLACE, _guess),
    (r" (?P<guess>\? )0x[0-9a-f]+", _guess),
    (r" entry_SYSCALL_64_after_hwframe", "here the kernel was entered"),
    (r" do_init_module\+", "do_init_module: the module's init was running"),
    (r" " + PLACE, lambda m: f"a function of module {m['module']}" if m["module"] else ""),
    (r"Modules linked in:", _modules),
    (r"---\[ end trace", "the end; some of it once more follows"),
    (r"-+\[ cut here \]-+", "the report begins"),
    (r"---\[ end Kernel panic", "nothing runs any more"),
    (r"note: (?P<comm>\S+)\[\d+\] exited with (?P<what>.*)",
     lambda m: f"{m['comm']} was killed, and left with {m['what']}"),
    (r"Kernel panic - not syncing: ", "the whole machine stops"),
    (r"Kernel Offset: ", "by how much the kernel was moved (KASLR)"),
    (r"list_(?:del|add) corruption", "a list's pointers do not agree: deleted twice, or overwritten"),
    (r"detected buffer overflow in ", "FORTIFY_SOURCE: more bytes than the object has"),
    (r"refcount_t: ", "a reference counter left its range: taken after the last put, or put too often"),
    (r"initcall .* returned with (?P<what>.*imbalance|disabled interrupts)",
     "init/main.c:do_one_initcall: init left a lock or interrupts otherwise than it found them"),
    (r"Rebooting in ", "panic= asks for a new start"),
)  # fmt: skip


def explain(records: Sequence[str]) -> list[Explained]:
    """The lines of a report, each with what it means; a line like one before gets no words again.

    ``records``: as ``kernel.dmesg`` has them, with or without ``<4>``; what is no part of a report has none.
    """
    out: list[Explained] = []
    told: set[str] = set()
    for record in records:
        for line in re.sub(r"^<\d>", "", record).split("\n"):
            words = _words(line)
            out.append(Explained(line, "" if words in told else words))
            told.add(words)
    return out


def _words(line: str) -> str:
    for pattern, words in PATTERNS:
        if found := re.match(pattern, line):
            return words if isinstance(words, str) else words(found)
    return ""


def is_known(line: str) -> bool:
    """Whether a line (without its level) is a part of reports."""
    return any(re.match(pattern, line) for pattern, _ in PATTERNS)


def report_of(records: Sequence[str]) -> list[str]:
    """Only the report of a log, from its first line to its last; [] where there is none."""
    lines = [re.sub(r"^<\d>", "", line) for record in records for line in record.split("\n")]
    known = [number for number, line in enumerate(lines) if is_known(line)]
    return lines[known[0] : known[-1] + 1] if known else []


def oops_report(records: Sequence[str], title: str = "What the kernel reported") -> View:
    """A report line by line with its meaning beside it, as a table."""
    lines = explain(records)
    first = next((line for line in lines if line.words), None)
    words = plural(len(lines), "line") + (f". {first.words}" if first else "")
    text = "\n".join([title, *(f"{e.line}\n      ^ {e.words}" if e.words else e.line for e in lines)])
    return View(title, words, text, html=_html(lines, title, words))


def _html(lines: Sequence[Explained], title: str, words: str) -> str:
    """A table whose long lines are broken, so that the words beside them stay in sight."""
    line = "font-family:monospace;white-space:pre-wrap;overflow-wrap:anywhere;width:60%"
    cell = "text-align:left;vertical-align:top;padding:.1em .6em"
    rows = "".join(
        f'<tr><td style="{cell};{line}">{escape(e.line)}</td><td style="{cell}">{escape(e.words)}</td></tr>'
        for e in lines
    )
    head = "".join(
        f'<th scope="col" style="{cell}">{words}</th>' for words in ("the kernel's log", "what it says")
    )
    side = "text-align:left;caption-side:top"
    caption = f'<caption style="{side}"><b>{escape(title)}</b> {escape(words)}</caption>'
    return f'<table class="kms-table" style="width:100%">{caption}<thead><tr>{head}</tr></thead>' + (
        f"<tbody>{rows}</tbody></table>"
    )
