# SPDX-License-Identifier: GPL-2.0-only
"""What busybox's module applets share: usage, error lines, reading packed files, the system calls of a load
(busybox 1.35 ``modutils/modutils.c``, ``archival/libarchive/open_transformer.c``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

from ...decompress import compression, decompress
from ...errors import EISDIR, ENOENT, ENOEXEC, ENOMEM, ERRNO, KernelError, strerror
from .. import ToolResult
from ..calls import ADDRESS, FD, NOBODY, Teller, answer, openat, quoted, reads, status_of
from ..elf import host_error
from ..options import UsageError, getopt

BANNER = "BusyBox v1.35.0 (Debian 1:1.35.0-4+deb12u1+b1) multi-call binary."
USAGE = {
    "insmod": "Usage: insmod FILE [SYMBOL=VALUE]...\n\nLoad kernel module\n",
    "rmmod": "Usage: rmmod [-wfa] [MODULE]...\n\nUnload kernel modules\n\n"
    "\t-w\tWait until the module is no longer used\n\t-f\tForce unload\n"
    "\t-a\tRemove all unused modules (recursively)\n",
    "lsmod": "Usage: lsmod\n\nList loaded kernel modules\n",
    "modinfo": "Usage: modinfo [-adlpn0] [-F keyword] MODULE\n\n"
    "\t-a\t\tShortcut for '-F author'\n\t-d\t\tShortcut for '-F description'\n"
    "\t-l\t\tShortcut for '-F license'\n\t-p\t\tShortcut for '-F parm'\n"
    "\t-F keyword\tKeyword to look for\n\t-0\t\tNUL terminated output\n",
    "modprobe": "Usage: modprobe [-alrqvsDb] MODULE [SYMBOL=VALUE]...\n\n"
    "\t-a\tLoad multiple MODULEs\n\t-l\tList (MODULE is a pattern)\n"
    "\t-r\tRemove MODULE (stacks) or do autoclean\n\t-q\tQuiet\n\t-v\tVerbose\n\t-s\tLog to syslog\n"
    "\t-D\tShow dependencies\n\t-b\tApply blacklist to module names too\n",
}
# modutils/modutils.c:moderror
WORDS = {
    ENOEXEC: "invalid module format",
    ENOENT: "unknown symbol in module, or unknown parameter",
    ERRNO["ESRCH"][0]: "module has wrong symbol version",
    ERRNO["ENOSYS"][0]: "kernel does not support requested operation",
}
NAME_LIMIT = 55  # MODULE_NAME_LEN less the final zero
SOURCE = "modutils/modutils.c"
UNPACKERS = "archival/libarchive/open_transformer.c"
XZ_PIECE = 8192
GZIP_HEADER = 10  # bytes


class Died(Exception):
    """The applet ends at once, with status 1: bb_error_msg_and_die."""

    def __init__(self, text: str, error: KernelError | None = None) -> None:
        super().__init__(text)
        self.error = error


def usage(tool: str, status: int = 1, before: str = "") -> ToolResult:
    """``bb_show_usage``, which writes to standard error."""
    return ToolResult(stderr=f"{before}{BANNER}\n\n{USAGE[tool]}", status=status)


def options(argv: list[str], short: str, words: list[str], long: dict[str, str] | None = None) -> Any:
    """The letters and values of the command line, or the ``ToolResult`` that ends the applet.

    ``--help`` counts only as the one and only word (``libbb/appletlib.c``).
    """
    if argv[1:] == ["--help"]:
        return usage(argv[0], 0)
    try:
        return list(getopt(argv, short, long or {}, words))
    except UsageError as error:
        return usage(argv[0], before=f"{error}\n")


def moderror(code: int) -> str:
    """The words for what ``bb_init_module`` returns: an errno of the system call, or minus one of reading the
    file. So "no such module" is what stands for EPERM from open(2)."""
    if code == -1:
        return "no such module"
    return WORDS.get(code) or strerror(abs(code))


def modname(word: str) -> str:
    """``filename2modname``: up to the first dot, dashes as underscores; a folder's name is not taken off."""
    return word.partition(".")[0][:NAME_LIMIT].replace("-", "_")


def arguments(words: list[str], quote: bool = False) -> str:
    """``parse_cmdline_module_options``: each word with a blank behind it. With ``quote`` (modprobe) a value
    that has blanks is put between quotes."""
    text = ""
    for word in words:
        name, equals, value = word.partition("=")
        text += f'{name}="{value}" ' if quote and equals and " " in value else f"{word} "
    return text


def unzipped(path: str, tool: str, complaints: list[str], shown: str = "", cause: str = "") -> bytes | None:
    """``xmalloc_open_zipped_read_close``: the file's bytes, gzip and xz unpacked; None: not to be read.
    ``cause`` is what errno happened to be.

    Raises ``Died`` where not even the mark at its beginning can be read, ``KernelError`` when it cannot be
    opened.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as error:
        failed = host_error(error)
        if failed.errno == EISDIR:
            raise Died("short read", failed) from None
        raise failed from None
    if len(data) < 2 or (data[:2] == b"\xfd7" and len(data) < 6):
        raise Died("short read")
    kind = compression(data)
    if kind not in ("gzip", "xz"):
        return data
    try:
        return decompress(data)
    except KernelError as error:
        corrupted = kind == "xz" or len(data) < GZIP_HEADER
        complaints.append(f"{tool}: {'corrupted data' if corrupted else 'unexpected end of file'}\n")
        if kind == "xz" and "truncated" in error.why:  # the applet takes what came out of the pipe
            return decompress(data, partial=True)
        complaints.append(f"{tool}: read error from '{shown or path}'{cause}\n")
        return None


def init_module(
    kernel: Any, path: str, params: str, tool: str, complaints: list[str], uid: int | None = None,
    say: Teller = NOBODY, shown: str | None = None,
) -> tuple[int, KernelError | None, Any]:  # fmt: skip
    """``bb_init_module``: finit_module whatever the file is, and when that fails, whatever the errno,
    init_module with the unpacked bytes. The result as moderror takes it, the error, the Module."""
    shown = shown or path
    say = say.at("bb_init_module", SOURCE)
    opened = _openable(path)
    say("the file is opened", openat(shown, "O_RDONLY|O_CLOEXEC"), answer(opened, str(FD)))
    if opened is None:
        try:
            with say.called("the descriptor is tried first", f"finit_module({FD}, {quoted(params)}, 0)"):
                return 0, None, kernel.finit_module(path, params, flags=0, uid=uid)
        except KernelError as error:
            if error.errno is None:
                raise
        finally:
            say("", f"close({FD})", "0")
    say = say.at("xmalloc_open_zipped_read_close", UNPACKERS)
    try:
        image = unzipped(path, tool, complaints, shown, f": {strerror(ENOMEM)}")
    except KernelError as error:
        say("any failure leads to a second try: open once more", openat(shown, "O_RDONLY"), answer(error))
        return -(error.errno or ENOENT), error, None
    _tell_reading(path, shown, say)
    if image is None:
        return -ENOMEM, KernelError(ENOMEM), None
    return _old_call(kernel, image, params, uid, say.at("bb_init_module", SOURCE))


def _old_call(
    kernel: Any, image: bytes, params: str, uid: int | None, say: Teller
) -> tuple[int, KernelError | None, Any]:  # fmt: skip
    call = f"init_module({ADDRESS}, {len(image)}, {quoted(params)})"
    try:
        with say.called("the bytes go to the older call", call):
            return 0, None, kernel.init_module(image, params, uid=uid)
    except KernelError as error:
        if error.errno is None:
            raise
        return error.errno, error, None


def _openable(path: str) -> KernelError | None:
    try:
        with open(path, "rb"):
            return None
    except (OSError, ValueError) as error:
        cause = host_error(error)
        return None if cause.errno == EISDIR else cause


def _tell_reading(path: str, shown: str, say: Teller) -> None:
    """The calls that read the file: its mark, then the rest in pieces that fit the way of unpacking."""
    with open(path, "rb") as file:
        data = file.read()
    kind = compression(data)
    say("any failure leads to a second try: open once more", openat(shown, "O_RDONLY"), str(FD))
    say("is it compressed? the first two bytes tell", f"read({FD}, {quoted(data[:2])}, 2)", "2")
    rest = data[2:]
    if data[:2] == b"\xfd7":
        say("the rest of the mark of xz", f"read({FD}, {quoted(data[2:6])}, 4)", "4")
        rest = data[6:]
    if kind not in ("gzip", "xz"):
        say("how long is it?", f'newfstatat({FD}, "", {status_of(path)}, AT_EMPTY_PATH)', "0")
    for call, got in reads(rest, _sizes(kind, len(data), len(rest))):
        say("the file is read" if not kind else "the file is read and unpacked", call, got)
    if kind == "gzip":
        say("", f'read({FD}, "", 16384)', "0")
    say("", f"close({FD})", "0")


def _sizes(kind: str, length: int, rest: int) -> Iterator[int]:
    if kind == "xz":
        return repeat(XZ_PIECE)
    if kind == "gzip":
        return chain((16384,), repeat(16384 - rest % 16384))
    size = (length | 0x3FF) + 1  # libbb/read_printf.c:xmalloc_read_with_initial_buf
    return chain((size,), repeat(size - rest))
