# SPDX-License-Identifier: GPL-2.0-only
"""kmodsim: an executable model of the Linux kernel module loader that takes real ``.ko`` files.

Nothing is imported until it is used, so ``import kmodsim`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# public name -> the module that defines it
_HOME = {
    "Kernel": "kernel", "KernelProfile": "profile", "ModuleFile": "modulefile", "Load": "loader",
    "Module": "module", "sample": "corpus", "samples": "corpus",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f".{_HOME[name]}", __name__), name)
    errors = import_module(".errors", __name__)
    if not name.startswith("_") and hasattr(errors, name):
        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME, "KernelError", "KernelOops", "WouldWait", "O_NONBLOCK", "O_TRUNC"])
