# SPDX-License-Identifier: GPL-2.0-only
"""What a case is, and short words for its operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Operation = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """``operations`` follow one another; ``boot`` names an entry of BOOTS. Cases of one boot run in order."""

    id: str
    row: str
    operations: tuple[Operation, ...]
    boot: str = "plain"


def load(file: str, params: str | None = None, **more: Any) -> Operation:
    return {"op": "finit", "file": file, "params": params, **more}


def init(file: str, params: str | None = None, **more: Any) -> Operation:
    return {"op": "init", "file": file, "params": params, **more}


def unload(name: str = "hello", **more: Any) -> Operation:
    return {"op": "delete", "name": name, **more}


def read(path: str) -> Operation:
    return {"op": "read", "path": path}


def write(path: str, data: str) -> Operation:
    return {"op": "write", "path": path, "data": data}


def parameter(name: str, module: str = "hello") -> str:
    return f"/sys/module/{module}/parameters/{name}"


def refused(row: str, files: Iterable[str], boot: str = "plain", **more: Any) -> list[Case]:
    """One case for each file: a load that is expected to fail (if not, the unload shows it)."""
    return [Case(f"{row}/{file}", row, (load(file, **more),), boot) for file in files]


def accepted(
    row: str, files: Iterable[str], name: str = "hello", boot: str = "plain", **more: Any
) -> list[Case]:
    """One case for each file: load and unload."""
    return [Case(f"{row}/{file}", row, (load(file, **more), unload(name)), boot) for file in files]


SYS_MODULE = 1 << 16  # CAP_SYS_MODULE as a bit of a capability set
O_NONBLOCK, O_TRUNC = 0o4000, 0o1000
KERNEL_ADDRESS, NOWHERE, PAGE = 0xFFFFFFFF81000000, 0xDEAD000, 4096
IMAGE_AT, PARAMS_AT, NAME_AT = 0x10000000, 0x30000000, 0x38000000  # where the probe puts things; see probe.c
