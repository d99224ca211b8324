# SPDX-License-Identifier: GPL-2.0-only
"""The module that a widget is about: a sample's name, a path, bytes; loaded with what it needs before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..corpus import sample
from ..errors import KernelError
from ..kernel import Kernel
from ..loader.load import Load
from ..modulefile import ModuleFile


def file_of(module: Any) -> ModuleFile:
    """``module``: a ModuleFile, a sample's name, a path, or the bytes of a ``.ko``. ValueError: no such."""
    if isinstance(module, ModuleFile):
        return module
    if isinstance(module, str) and not Path(module).is_file():
        return ModuleFile(sample(module))
    return ModuleFile(module)


def module_for(profile: str, name: str) -> Path:
    """The sample as it was built for this profile, where there is one; else the default profile's."""
    try:
        return sample(name, profile)
    except (ValueError, OSError):
        return sample(name)


def load_needs(kernel: Kernel, file: ModuleFile) -> None:
    """Load the samples whose symbols ``file`` uses, as built for this kernel; one that is nowhere is left
    out."""
    for name in filter(None, (file.modinfo.get("depends") or "").split(",")):
        if name in kernel.modules:
            continue
        try:
            provider = ModuleFile(module_for(kernel.profile.name, name))
        except ValueError:
            continue
        load_needs(kernel, provider)
        kernel.load(provider.data, trace=False)


def load_with_needs(kernel: Kernel, file: ModuleFile, params: str = "") -> Load:
    """``load_needs``, then the module itself, traced; its error, if any, is in the Load."""
    try:
        load_needs(kernel, file)
    except KernelError:
        pass  # then the module itself says what is missing
    return kernel.load(file.data, params)
