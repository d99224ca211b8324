# SPDX-License-Identifier: GPL-2.0-only
"""What the real kernel answered to one recorded call, for the tests of widgets."""

from __future__ import annotations

from typing import Any, NamedTuple

from .realkernel.replay import recorded, truth
from .realkernel.truth import digest

ERRNO_TABLE = "errno-table-6.1.json"


class Answered(NamedTuple):
    """``errno``: its name, None for a call that went well; ``log``: the kernel's records it added."""

    errno: str | None
    log: list[str]
    call: dict[str, Any]


def answered(case: str, boot: str = "plain", step: int = 0) -> Answered:
    """Step ``step`` of a case in ``truth/errno-table-6.1.json``."""
    found = recorded(ERRNO_TABLE, boot, case)["steps"][step]
    return Answered(found["answer"].get("errno"), found["answer"].get("log", []), found["call"])


def without_first_words(log: list[str], module: str) -> list[str]:
    """``log`` without what the kernel says only about the first module of its life, as it was recorded."""
    once = [record.replace("hello", module) for record in answered("unsigned-taint/first").log]
    return [record for record in log if record not in once]


def is_recorded_file(name: str, data: bytes) -> bool:
    """Whether ``data`` is, byte for byte, the file that the real kernel was given under this name."""
    return bool(truth(ERRNO_TABLE)["files"][name] == digest(data))
