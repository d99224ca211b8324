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
from .elf import ToolElf, ToolFile, find_file, host_error, open_module
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


def run(kernel: Any, argv: list[str], uid: int | None = None) -> ToolResult:
    """The tool. ``filename`` may also be the name of a sample. Silent when all went well, as the real one."""
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
    return _insert(kernel, words[0], " ".join(words[1:]), force, uid)


def _insert(kernel: Any, filename: str, params: str, force: bool, uid: int | None) -> ToolResult:
    path = find_file(filename, kernel)
    try:
        os.stat(path)
    except (OSError, ValueError) as error:
        cause = host_error(error)
        return _failed(f"could not load module {filename}: {cause.strerror}", cause)
    try:
        return ToolResult(value=insert_module(kernel, path, params, force, uid))
    except KernelError as error:
        if error.errno is None:  # killed, asleep, or past the end of the model: the tool is not asked
            raise
        return _failed(f"could not insert module {filename}: {mod_strerror(error.errno)}", error)


def insert_module(kernel: Any, path: str, params: str, force: bool = False, uid: int | None = None) -> Any:
    """The system calls of insmod: finit_module, else init_module. Returns the Module."""
    file = open_module(path)
    if file.direct:
        flags = IGNORE_VERMAGIC | IGNORE_MODVERSIONS if force else 0
        try:
            return kernel.finit_module(path, params, flags=flags, uid=uid)
        except KernelError as error:
            if error.errno != ENOSYS:
                raise
    return kernel.init_module(_image(file, force), params, uid=uid)


def _image(file: ToolFile, force: bool) -> bytes:
    """The bytes for init_module, which has no flags: with -f the tool itself hides CRCs and vermagic."""
    if not force:
        return file.data
    return ToolElf(ToolElf(file.data).without_versions()).without_vermagic()


def _failed(text: str, error: KernelError | None = None) -> ToolResult:
    return ToolResult(stderr=f"insmod: ERROR: {text}\n", status=1, error=error)
