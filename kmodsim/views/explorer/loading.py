# SPDX-License-Identifier: GPL-2.0-only
"""From what people have at hand, a file or a sample's name, to the traced load that the explorer shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from ...errors import KernelError
from ...kernel import Kernel
from ...loader.load import Load
from ...modulefile import ModuleFile

Source: TypeAlias = Load | ModuleFile | str | os.PathLike[str] | bytes


def explored_load(
    source: Source, after: Sequence[Source] | None = None, kernel: Kernel | None = None
) -> Load:
    """A traced load of ``source``: a file's path, a sample's name, bytes, a ``ModuleFile``, or such a Load.

    Nothing of the module is run. ``after``: load these first; by default what its modinfo says it depends on,
    where those files can be found. KernelError: the file cannot be read; a Load has no trace. A module that
    the kernel refuses is a Load with ``.error``.
    """
    if isinstance(source, Load):
        if not source.trace:
            raise KernelError(None, strerror="this load left no trace: kernel.load(file, trace=True)")
        return source
    kernel = Kernel(cpu=None) if kernel is None else kernel
    file = opened(source)
    for first in providers(file) if after is None else [opened(each) for each in after]:
        if first.name not in kernel.modules:
            kernel.finit_module(first.data)
    return kernel.load(file.data, trace=True)


def opened(source: Source) -> ModuleFile:
    """The file; a name that is no path is a sample's."""
    if isinstance(source, ModuleFile):
        return source
    if isinstance(source, bytes | bytearray | memoryview):
        return ModuleFile(bytes(source))
    if isinstance(source, str | os.PathLike):
        return ModuleFile(_found(Path(source)))
    what = "give a path, bytes, or kernel.load(file, trace=True)"
    raise KernelError(None, strerror=f"a {type(source).__name__} has no file: {what}")


def _found(path: Path) -> Path:
    from ...corpus import sample

    if path.exists() or (path.parent != Path() and path.parent != Path(".")):
        return path
    try:
        return sample(path.name.removesuffix(".ko"))
    except ValueError:
        return path


def providers(file: ModuleFile) -> list[ModuleFile]:
    """What must be loaded before it (modinfo's ``depends``, followed down), as far as it can be found."""
    from ...corpus import sample

    found: dict[str, ModuleFile] = {}

    def add(user: ModuleFile) -> None:
        for name in filter(None, (user.modinfo.get("depends") or "").split(",")):
            if name in found or len(found) > 100:
                continue
            try:
                needed = ModuleFile(sample(name))
            except (ValueError, KernelError):
                continue
            found[name] = needed  # before its own needs: a circle ends here
            add(needed)
            found[name] = found.pop(name)  # after them

    add(file)
    return list(found.values())
