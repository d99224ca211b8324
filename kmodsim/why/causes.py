# SPDX-License-Identifier: GPL-2.0-only
"""Why a module is refused: a table of causes, how each is known, what it means and what to do.

A row is found by the stage that refused, the errno and the kernel's own line. ``mend`` names the pure
function of the loader whose answer decides the cause, and an answer that lets the load go on: so the next
cause shows, as it would once this one is put right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import EBADMSG, EEXIST, EINVAL, EKEYREJECTED, EPERM, KernelError, KernelOops

SIGNATURE, ELF, SYMBOLS = "module_sig_check", "elf_validity_check", "simplify_symbols"
REBUILD = "Build it against the headers of the kernel that is to load it."
COPY = "Copy or build the file again and compare its checksum."


class Mend(NamedTuple):
    """The pure function ``name`` answers with ``make(the real one)`` from now on."""

    name: str
    make: Callable[[Callable[..., Any]], Callable[..., Any]]


class Row(NamedTuple):
    """One cause. ``errno`` 0: any; ``says``: a regular expression that a line of the log has ("": none
    needed); its named groups and the facts of ``facts.py`` fill ``means`` and ``todo``."""

    key: str
    stage: str
    errno: int
    says: str
    means: str
    todo: str
    mend: Mend | None = None


def _always(name: str, answer: Any) -> Mend:
    return Mend(name, lambda real: lambda *given, **named: answer)


def _parameters_pass(real: Callable[..., Any]) -> Callable[..., Any]:
    def parse(*given: Any, **named: Any) -> Any:
        result = real(*given, **named)
        result.errno = 0
        return result

    return parse


def _layout_passes(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda name, *rest: (True, (), False) if name == "module_layout" else real(name, *rest)


PERMITTED = _always("may_init_module", True)
SIGNED = _always("judge_signature", (0, ""))
LAYOUT = Mend("check_version", _layout_passes)
PARAMETERS = Mend("parse_parameters", _parameters_pass)

# In the order of the kernel's stages; of two rows that fit, the first counts.
CAUSES: tuple[Row, ...] = (
    Row("modules-disabled", "may_init_module", EPERM, "^modules_disabled$",
        "Loading modules is switched off until the next boot (kernel.modules_disabled=1, or nomodule).",
        "Reboot without it; it cannot be switched on again.", PERMITTED),
    Row("not-root", "may_init_module", EPERM, "", "The caller lacks CAP_SYS_MODULE.",
        "Run insmod as root (sudo).", PERMITTED),
    Row("flags", "finit_module", EINVAL, "", "The system call has flags that this kernel does not know.",
        "Leave the flags out."),
    Row("empty-file", "kernel_read_file_from_fd", EINVAL, "empty", "The file has no bytes.", COPY),
    Row("no-file", "kernel_read_file_from_fd", 0, "", "The kernel cannot read the file: {why}.",
        "Name a regular file that nobody has open for writing."),
    Row("compressed", "module_decompress", 0, "", "This kernel does not unpack modules itself.",
        "Unpack the file first, or let kmod's insmod do it."),
    Row("unsigned-enforced", SIGNATURE, EKEYREJECTED, "Loading of unsigned module is rejected",
        "This kernel takes signed modules only (module.sig_enforce), and this one has no signature.",
        "Sign it with a key the kernel trusts (scripts/sign-file), or boot without module.sig_enforce.",
        SIGNED),
    Row("unknown-key-enforced", SIGNATURE, EKEYREJECTED, "unavailable key",
        "It is signed with a key that this kernel does not have ({signer}), and signatures are enforced.",
        "Enrol that key (mokutil --import), or sign it with a key the kernel trusts.", SIGNED),
    Row("unsupported-crypto-enforced", SIGNATURE, EKEYREJECTED, "unsupported crypto",
        "Its signature is of a kind this kernel cannot check, and signatures are enforced.",
        "Sign it anew, PKCS#7 with a digest that the kernel has.", SIGNED),
    Row("changed-after-signing", SIGNATURE, EKEYREJECTED, "",
        "The signature does not fit the bytes: the file was changed after it was signed.",
        "Copy the file again, or sign it anew; strip and editors break signatures.", SIGNED),
    Row("lockdown", SIGNATURE, EPERM, "Lockdown",
        "The kernel is locked down and takes only modules signed with a key it knows.",
        "Sign it and enrol the key (mokutil --import), or switch Secure Boot's lockdown off.", SIGNED),
    Row("broken-signature", SIGNATURE, EBADMSG, "", "The signature at the file's end is damaged.",
        "Copy the file again; or cut the signature off and sign it anew.", SIGNED),
    Row("signature", SIGNATURE, 0, "", "The signature's verification failed.", "Sign it anew.", SIGNED),
    Row("packed-file", ELF, 0, "^packed$",
        "The file is compressed ({packing}), and the kernel was given it as it is.",
        "Unpack it first ({unpack}), or use an insmod that can."),
    Row("not-elf", ELF, 0, "Invalid ELF header magic", "This is not an ELF file: it begins with {first}.",
        "Name the .ko file."),
    Row("too-short", ELF, 0, "Invalid ELF header len (?P<length>\\d+)",
        "{length} bytes are left of the file; an ELF header has 64.", COPY),
    Row("not-relocatable", ELF, 0, "Invalid ELF header type: (?P<type>\\d+)",
        "This is an ELF file of type {type}, not a relocatable one (1): a program, a library or a core.",
        "Name the .ko file that the kernel's build makes."),
    Row("architecture", ELF, 0, "Invalid architecture in ELF header: (?P<machine>\\d+)",
        "It was built for another processor, {machine_name} (e_machine {machine}); this kernel is x86-64.",
        "Build it for x86-64, or load it on the machine it was built for."),
    Row("truncated", ELF, 0, "overflow$|Invalid ELF section hdr|Invalid ELF section in module",
        "The file ends before its headers say: it has {size} bytes, they speak of {wanted}.", COPY),
    Row("broken-elf", ELF, 0, "", "Its ELF headers are damaged.", COPY),
    Row("stripped", "setup_load_info", 0, "no symbols",
        "It has no symbol table: it was stripped of everything.",
        "Take the unstripped file; strip --strip-debug is the most a module bears."),
    Row("no-this-module", "setup_load_info", 0, "No module found",
        "There is no struct module in it: an object file that never went through modpost.",
        "Build it with the kernel's Kbuild (make -C /lib/modules/$(uname -r)/build M=$PWD modules)."),
    Row("blacklisted", "blacklisted", EPERM, "",
        "The boot parameter module_blacklist= names it.",
        "Boot without it (/proc/cmdline shows it).", _always("is_blacklisted", False)),
    Row("module-layout-not-listed", "check_modstruct_version", 0, "no symbol version",
        "Its __versions do not list module_layout: it was not built with CONFIG_MODVERSIONS as here.",
        REBUILD, LAYOUT),
    Row("module-layout", "check_modstruct_version", 0, "",
        "Its struct module is another one: CRC of module_layout {mine}, this kernel's {kernels}.",
        REBUILD + " An equal release is not enough: the configuration counts.", LAYOUT),
    Row("vermagic", "check_modinfo", 0, "version magic '(?P<mine>.*?)' should be '(?P<kernels>.*?)'",
        "It was built for another kernel: {differs}.", REBUILD, _always("same_magic", True)),
    Row("write-exec", "module_enforce_rwx_sections", 0, "section (?P<section>\\S*)",
        "Its section {section} is writable and executable at once.",
        "Keep code and data in sections of their own.", _always("find_wx_section", -1)),
    Row("memory", "move_module", 0, "", "There is no room for it in the kernel's module area.",
        "Look at the size of its .bss and .data (size foo.ko): the area has {area} MiB.", None),
    Row("loaded-already", "add_unformed_module", EEXIST, "",
        "A module called {name} is loaded already.", "rmmod {name} first."),
    Row("going", "add_unformed_module", 0, "", "A module called {name} is just being unloaded.",
        "Try again when rmmod is done."),
    Row("percpu-memory", "percpu_modalloc", 0, "",
        "Its per-CPU data are more than is left of the kernel's reserve for modules.",
        "Use alloc_percpu() instead of DEFINE_PER_CPU for large data."),
    Row("old-toolchain", "apply_relocations", 0, "Unknown rela relocation: (?P<type>\\d+)",
        "It has relocations of type {type}, which this kernel does not know.",
        "Build it with the kernel's own compiler flags (Kbuild), not as user code."),
    Row("relocated-already", "apply_relocations", 0, "existing value is nonzero",
        "A place to be relocated is not zero: the file was linked or changed after the compiler.", COPY),
    Row("code-model", "apply_relocations", 0, "overflow in relocation",
        "An address does not fit where it is to be written: built without -mcmodel=kernel.",
        "Build it with Kbuild."),
    Row("rel-relocations", "apply_relocations", 0, "REL relocation",
        "It has relocations without addends (SHT_REL), as 32-bit x86 has them.", "Build it for x86-64."),
    Row("duplicate-export", "complete_formation", 0,
        "exports duplicate symbol (?P<symbol>\\S+) \\(owned by (?P<owner>.*)\\)",
        "It exports {symbol}, which {owner} exports already.",
        "Unload {owner}, or rename the symbol; the kernel's own cannot be replaced.",
        _always("find_duplicate", None)),
    Row("parameter", "parse_args", 0, "`(?P<value>.*)' (?P<trouble>invalid|too large) for parameter "
        "`(?P<parameter>[^']*)'", "The parameter {parameter} ({type}) does not take '{value}'.",
        "Give it a value of its type; modinfo lists the parameters.", PARAMETERS),
    Row("parameter-refused", "parse_args", 0, "", "A parameter was refused.",
        "modinfo lists the parameters and their types.", PARAMETERS),
    Row("name-taken", "mod_sysfs_setup", 0, "",
        "/sys/module/{name} is there already: code of that name is built into the kernel.",
        "Rename the module, or do without: the kernel has it."),
    Row("init-failed", "do_init_module", 0, "", "Its own init function refused.",
        "See what it printed; the errno is its own."),
)  # fmt: skip

BROKEN_PACKING = Row(
    "broken-compression", "insmod", 0, "", "The file cannot be read or unpacked: {why}.", COPY
)
OOPS = Row(
    "oops", "", 0, "", "The kernel itself dies over this file: {why}.",
    "Do not load it: the file is damaged in a place that the kernel does not check.",
)  # fmt: skip
OTHER = Row("other", "", 0, "", "The kernel refuses it: {why}.", "See the kernel's log.")

# The lines of simplify_symbols, one cause each; ``symbols.py`` says which row a symbol has.
SYMBOL_ROWS: dict[str, Row] = {row.key: row for row in (
    Row("symbol-missing", SYMBOLS, 0, "", "Nobody exports '{symbol}': {where}.", "{remedy}"),
    Row("symbol-gpl-only", SYMBOLS, 0, "",
        "{symbol} is for GPL-compatible modules only (EXPORT_SYMBOL_GPL), and its licence is '{licence}'.",
        "Do without {symbol}; or, if the code is yours and GPL, say so: MODULE_LICENSE(\"GPL\")."),
    Row("symbol-proprietary", SYMBOLS, 0, "",
        "It uses symbols of a proprietary module, so GPL-only ones, {symbol} among them, are closed to it.",
        "A module cannot use both; part it in two."),
    Row("symbol-version", SYMBOLS, EINVAL, "",
        "{symbol} of {owner} is another one than it was built against: CRC {mine}, here {kernels}.",
        "{remedy}"),
    Row("symbol-not-listed", SYMBOLS, EINVAL, "",
        "Its __versions do not list {symbol}, so nobody knows what it was built against.",
        "Build it against the headers with a complete Module.symvers (KBUILD_EXTRA_SYMBOLS)."),
    Row("symbol-namespace", SYMBOLS, EINVAL, "",
        "{symbol} is in the namespace {namespace}, which the module does not import.",
        "Add MODULE_IMPORT_NS({namespace}); to its source (make nsdeps does it)."),
    Row("symbol-provider-busy", SYMBOLS, 0, "",
        "{symbol} is exported by {owner}, which is just being loaded or unloaded.",
        "Try again when {owner} is LIVE."),
    Row("symbol-common", SYMBOLS, 0, "", "It has a common symbol (a variable without an initial value).",
        "Compile with -fno-common, as Kbuild does."),
    Row("symbol-index", SYMBOLS, 0, "", "The symbol {symbol} names a section that is not there.", COPY),
)}  # fmt: skip


def find_row(error: KernelError, records: Sequence[str]) -> tuple[Row, dict[str, str]]:
    """The first row that fits, and what its expression found in the log (records without their level)."""
    if isinstance(error, KernelOops):
        return OOPS, {}
    lines = [*records, error.why]
    for row in CAUSES:
        if row.stage != error.stage or row.errno not in (0, error.errno):
            continue
        found = next(filter(None, (re.search(row.says, line, re.DOTALL) for line in lines)), None)
        if found:
            return row, found.groupdict()
    return OTHER, {}
