# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for what is not inside the confinement: any use of them works and gives another stand-in.

A learner's cells may look at real modules or draw a picture on the way; none of that counts. A function
that returns a stand-in returns no plain data, so nothing of kmodsim can answer for a learner.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

from ...plain import Record

AWAY = ("kmodsim", "IPython", "ipywidgets", "matplotlib", "elftools", "graphviz", "pandas", "nbgrader")


class Layout(NamedTuple):
    """kmodsim.Layout's fields; it knows nothing else."""

    size: int = 0
    text_size: int = 0
    ro_size: int = 0
    ro_after_init_size: int = 0


class Absent:
    """Something that is not here."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_fields", "tolist"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: Any, **__: Any) -> Any:
        return self

    __getitem__ = __add__ = __radd__ = __sub__ = __enter__ = __call__

    def __exit__(self, *_: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "(not here while grading)"


class AbsentModule(ModuleType):
    """A module in which every name is an ``Absent``."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if self.__name__ == "kmodsim.course" and name in ("Layout", "Record"):
            return {"Layout": Layout, "Record": Record}[name]
        return Absent()


class Finder:
    """Finds an ``AbsentModule`` for everything below ``AWAY``."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in AWAY:
            return None
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        return None


def install() -> None:
    """From here on imports of ``AWAY`` give stand-ins."""
    sys.meta_path.insert(0, Finder())
