# SPDX-License-Identifier: GPL-2.0-only
"""/sys/module/NAME comes into being (``kernel/module/sysfs.c:mod_sysfs_setup``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import EINVAL, KernelError

if TYPE_CHECKING:
    from ..module import Module
    from .load import Load


def mod_sysfs_setup(load: Load) -> None:
    """EINVAL when the folder is there already (code that is built in), or when the name is empty."""
    kernel, mod = load.kernel, load.module
    assert mod is not None
    if kernel.has_sysfs_folder(mod.name.replace("/", "!")):
        kernel.printk(3, f"{mod.name}: module is already loaded")
        raise KernelError(EINVAL)
    if not mod.name:
        # lib/kobject.c:kobject_add_internal: a WARN, whose stack dump is not modelled
        kernel.add_taint("W")
        raise KernelError(EINVAL, why="kobject_add_internal refuses an empty name")
    for provider in mod.uses:
        provider.holder_links.append(mod.name)
    mod.sysfs = True
    load.undo.callback(mod_sysfs_teardown, mod)


def mod_sysfs_teardown(mod: Module) -> None:
    """/sys/module/NAME goes, and the links to it (``kernel/module/sysfs.c``)."""
    for provider in mod.uses:
        if mod.name in provider.holder_links:
            provider.holder_links.remove(mod.name)
    mod.sysfs = False
