# SPDX-License-Identifier: GPL-2.0-only
"""What the tools of module-init-tools 3.16 share: names, files, version (``util.c``, ``zlibsupport.c``)."""

from __future__ import annotations

from ...errors import EINVAL, KernelError
from .. import ToolResult
from ..elf import host_error

VERSION = "module-init-tools version 3.16\n"
ELF_MAGIC = b"\x7fELF"


def modname(path: str) -> str:
    """``filename2modname``: the last part of a path up to the first dot, dashes as underscores."""
    return path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def usage(text: str, before: str = "", status: int = 1) -> ToolResult:
    """``print_usage`` writes to standard error."""
    return ToolResult(stderr=before + text, status=status)


def grab(path: str) -> bytes:
    """``zlibsupport.c:grab_fd``: the file is mapped, so an empty one is EINVAL, and so is a folder.

    The tools were built without zlib, as configure does it unless asked: nothing is unpacked.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except IsADirectoryError:
        raise KernelError(EINVAL) from None
    except (OSError, ValueError) as error:
        raise host_error(error) from None
    if not data:
        raise KernelError(EINVAL)
    return data
