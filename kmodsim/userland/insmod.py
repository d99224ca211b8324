# SPDX-License-Identifier: GPL-2.0-only
"""insmod: one file, one system call, one line when it fails (kmod 30 ``tools/insmod.c``).

The tool opens the file and hands its descriptor to finit_module(2). Only where that cannot work does it
fall back to init_module(2): the kernel does not know the call (ENOSYS, before Linux 3.8), or the file is
compressed, so that what the kernel wants is in the tool's memory (kmod 30
``libkmod/libkmod-module.c:kmod_module_insert_module``). Dependencies are not its business: that is
modprobe.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import EINVAL, ENOENT, ENOEXEC, ERRNO, KernelError, strerror
from ..errors import MODULE_INIT_IGNORE_MODVERSIONS as IGNORE_MODVERSIONS
from ..errors import MODULE_INIT_IGNORE_VERMAGIC as IGNORE_VERMAGIC
from . import ToolResult
from . import run as run_tool
from .calls import ADDRESS, FD, NOBODY, Tell, Teller, quoted, silent
from .elf import ToolElf, ToolFile, find_file
from .opening import open_file, stat_file
from .options import UsageError, getopt

ENOSYS, ESRCH = ERRNO["ENOSYS"][0], ERRNO["ESRCH"][0]

# tools/insmod.c:mod_strerror: four errnos get words of the tool's own, which fit some causes and mislead
# for others
WORDS = {
    ENOEXEC: "Invalid module format",
    ENOENT: "Unknown symbol in module",
    ESRCH: "Module has wrong symbol version",
    EINVAL: "Invalid parameters",
}
HELP = """Usage:
\tinsmod [options] filename [args]
Options:
\t-V, --version     show version
\t-h, --help        show this help
"""
TOOL, CONTEXT = "tools/insmod.c", "libkmod/libkmod.c"  # files of kmod's source
MODULE, FILE = "libkmod/libkmod-module.c", "libkmod/libkmod-file.c"
FLAGS = {IGNORE_MODVERSIONS: "MODULE_INIT_IGNORE_MODVERSIONS", IGNORE_VERMAGIC: "MODULE_INIT_IGNORE_VERMAGIC"}
VERSION = "kmod version 30\n+ZSTD +XZ -ZLIB +LIBCRYPTO -EXPERIMENTAL\n"


def mod_strerror(errno: int) -> str:
    """What insmod calls an errno of the system call."""
    return WORDS.get(errno) or strerror(errno)


def insmod(kernel: Any, path: str | os.PathLike[str], params: str = "", uid: int | None = None) -> Any:
    """Load a module as ``insmod path params`` does and return it.

    Raises the system call's ``KernelError`` (the same errno, stage and dmesg), with the line that insmod
    prints in its ``tool_message``.
    """
    argv = ["insmod", "--", os.fspath(path), *([params] if params else [])]
    result = run_tool(kernel, argv, uid)
    if result.error is not None:
        raise result.error
    return result.value


def run(kernel: Any, argv: list[str], uid: int | None = None, tell: Tell = silent) -> ToolResult:
    """The tool. ``filename`` may also be the name of a sample. Silent when all went well, as the real one.
    ``tell`` hears each step (``kmodsim.userland.story``)."""
    words: list[str] = []
    force = False
    try:
        for letter, _ in getopt(argv, "psfVh", {"version": "V", "help": "h"}, words):
            if letter in "hV":
                return ToolResult(stdout=HELP if letter == "h" else VERSION)
            force |= letter == "f"  # -p and -s are taken and ignored
    except UsageError as error:
        return ToolResult(stderr=f"{error}\n", status=1)
    if not words:
        return _failed("missing filename.")
    if words[0] == "-":
        return _failed("this tool does not support loading from stdin!")
    say = Teller(tell, "do_insmod", TOOL)
    params = " ".join(words[1:])
    say("the first word is the file; the others, joined with blanks, go to the kernel", result=f'"{params}"')
    say.at("kmod_new", CONTEXT)("a context of libkmod; insmod reads no configuration")
    result = _insert(kernel, words[0], params, force, uid, say)
    say("the end", result=f"exit status {result.status}")
    return result


def _insert(
    kernel: Any, filename: str, params: str, force: bool, uid: int | None, say: Teller
) -> ToolResult:  # fmt: skip
    path = find_file(filename, kernel)
    cause = stat_file(path, say.at("kmod_module_new_from_path", MODULE))
    if cause is not None:
        return _failed(f"could not load module {filename}: {cause.strerror}", cause)
    try:
        flags = IGNORE_VERMAGIC | IGNORE_MODVERSIONS if force else 0
        return ToolResult(value=insert_module(kernel, path, params, flags, uid, say))
    except KernelError as error:
        if error.errno is None:  # killed, asleep, or past the end of the model: the tool is not asked
            raise
        result = _failed(f"could not insert module {filename}: {mod_strerror(error.errno)}", error)
        whose = "insmod has own words for this errno" if error.errno in WORDS else "the C library's words"
        say.at("mod_strerror")(f"the errno becomes a line: {whose}", result=result.stderr.rstrip("\n"))
        return result


def insert_module(
    kernel: Any, path: str, params: str, flags: int = 0, uid: int | None = None, say: Teller = NOBODY
) -> Any:
    """The system calls of insmod and modprobe: finit_module, else init_module. Returns the Module.

    ``flags``: MODULE_INIT_IGNORE_MODVERSIONS, MODULE_INIT_IGNORE_VERMAGIC. Raises ``KernelError``: of reading
    the file, or the system call's.
    """
    file = open_file(path, say.at("kmod_file_open", FILE))
    try:
        return _ask(kernel, path, file, params, flags, uid, say.at("kmod_module_insert_module", MODULE))
    finally:
        say.at("kmod_file_unref", FILE)("the file is closed", f"close({FD})", "0")


def _ask(
    kernel: Any, path: str, file: ToolFile, params: str, flags: int, uid: int | None, say: Teller
) -> Any:  # fmt: skip
    if file.direct:
        names = "|".join(name for bit, name in FLAGS.items() if flags & bit)
        call = f"finit_module({FD}, {quoted(params)}, {names or 0})"
        text = "the kernel gets the descriptor, and reads the file itself"
        try:
            with say.called(text, call):
                return kernel.finit_module(path, params, flags=flags, uid=uid)
        except KernelError as error:
            if error.errno != ENOSYS:
                raise
    image = _image(file, flags)
    call = f"init_module({ADDRESS}, {len(image)}, {quoted(params)})"
    with say.called("the older call: the kernel gets bytes out of the tool's memory", call):
        return kernel.init_module(image, params, uid=uid)


def _image(file: ToolFile, flags: int) -> bytes:
    """The bytes for init_module, which has no flags: what they would ignore is hidden in the tool's copy."""
    data = file.data
    if flags & IGNORE_MODVERSIONS:
        data = ToolElf(data).without_versions()
    if flags & IGNORE_VERMAGIC:
        data = ToolElf(data).without_vermagic()
    return data


def _failed(text: str, error: KernelError | None = None) -> ToolResult:
    return ToolResult(stderr=f"insmod: ERROR: {text}\n", status=1, error=error)
