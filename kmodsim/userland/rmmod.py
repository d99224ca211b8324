# SPDX-License-Identifier: GPL-2.0-only
"""rmmod: looks before it asks (kmod 30 ``tools/rmmod.c``).

"is in use by" and "is not currently loaded" are the tool's own words, from /sys/module, before any system
call; only ``-f`` goes to the kernel at once. delete_module(2) always gets O_NONBLOCK, with ``-f`` O_TRUNC
too (``libkmod/libkmod-module.c:kmod_module_remove_module``).
"""

from __future__ import annotations

from typing import Any

from ..errors import EBUSY, ENOENT, O_NONBLOCK, O_TRUNC, KernelError
from . import ToolResult, sysfs
from . import run as run_tool
from .elf import exists, module_name, sample_path
from .insmod import VERSION
from .options import UsageError, getopt

HELP = """Usage:
\trmmod [options] modulename ...
Options:
\t-f, --force       forces a module unload and may crash your
\t                  machine. This requires Forced Module Removal
\t                  option in your kernel. DANGEROUS
\t-s, --syslog      print to syslog, not stderr
\t-v, --verbose     enables more messages
\t-V, --version     show version
\t-h, --help        show this help
"""
LONG = {"force": "f", "syslog": "s", "verbose": "v", "version": "V", "help": "h"}
SAYS = "rmmod: ERROR: "
# the place in kmod 30's source is part of the message, as Debian builds it
REMOVE = SAYS + "../libkmod/libkmod-module.c:856 kmod_module_remove_module() "


def rmmod(kernel: Any, name: str, uid: int | None = None) -> None:
    """Unload a module as ``rmmod name`` does.

    Raises ``KernelError`` with the tool's lines in its ``tool_message``. When the tool itself refused,
    ``stage`` is ``"rmmod"`` and no system call was made.
    """
    result = run_tool(kernel, ["rmmod", "--", name], uid)
    if result.error is not None:
        raise result.error


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool: each name in turn; the status is 1 when one of them failed."""
    words: list[str] = []
    letters = ""
    try:
        for letter, _ in getopt(argv, "fsvVwh", LONG, words):
            if letter in "hV":
                return ToolResult(stdout=HELP if letter == "h" else VERSION)
            if letter == "w":  # module-init-tools could wait; kmod takes the letter and then does not know it
                return ToolResult(stderr=SAYS + "unexpected getopt_long() value 'w'.\n", status=1)
            letters += letter
    except UsageError as error:
        return ToolResult(stderr=f"{error}\n", status=1)
    if not words:
        return ToolResult(stderr="" if "s" in letters else SAYS + "missing module name.\n", status=1)
    results = [_remove(kernel, word, "f" in letters, uid) for word in words]
    lines = "" if "s" in letters else "".join(result.stderr for result in results)
    errors = [result.error for result in results if result.error is not None]
    return ToolResult(stderr=lines, status=1 if errors else 0, error=errors[-1] if errors else None)


def _remove(kernel: Any, word: str, force: bool, uid: int | None) -> ToolResult:
    # a file's name gives the module's; of any other word all counts up to the first dot, slashes too
    is_file = bool(exists(word) or sample_path(word))
    name = module_name(word) if is_file else word.partition(".")[0].replace("-", "_")
    if not force:
        refusal = _in_use(kernel, name, is_file)
        if refusal is not None:
            return refusal
    try:
        kernel.delete_module(name, flags=O_NONBLOCK | (O_TRUNC if force else 0), uid=uid)
    except KernelError as error:
        if error.errno is None:
            raise
        lines = f"{REMOVE}could not remove '{name}': {error.strerror}\n"
        return ToolResult(
            stderr=f"{lines}{SAYS}could not remove module {word}: {error.strerror}\n", error=error
        )
    return ToolResult()


def _is_builtin(kernel: Any, name: str) -> bool:
    """Whether modules.builtin of the machine's folder has it."""
    from .modprobe import modules_folder
    from .modprobe.log import Log
    from .modprobe.lookup import Context, Found

    context = Context(modules_folder(kernel, None, None), (), "", Log("rmmod"))
    context.open_indexes()
    return bool(context.is_builtin(context.module(name, Found("name"))))


def _in_use(kernel: Any, name: str, is_file: bool) -> ToolResult | None:
    """What rmmod finds out by itself (``check_module_inuse``): None when it will ask the kernel."""
    if not is_file and _is_builtin(kernel, name):
        return _refused(f"Module {name} is builtin.", ENOENT)
    if sysfs.initstate(kernel, name) is None:
        return _refused(f"Module {name} is not currently loaded", ENOENT)
    holders, complaint = sysfs.holders(kernel, name)
    if holders:
        return _refused(f"Module {name} is in use by: {' '.join(holders)}", EBUSY)
    complaint = SAYS + complaint + "\n" if complaint else ""
    count = sysfs.number(kernel, name, "refcnt")
    if count > 0:
        return _refused(f"Module {name} is in use", EBUSY, complaint)
    if count == -ENOENT:
        return _refused("Module unloading is not supported", ENOENT, complaint)
    return None if count == 0 else ToolResult(stderr=complaint, error=KernelError(-count, stage="rmmod"))


def _refused(text: str, errno: int, before: str = "") -> ToolResult:
    return ToolResult(stderr=f"{before}{SAYS}{text}\n", error=KernelError(errno, stage="rmmod", why=text))
