# SPDX-License-Identifier: GPL-2.0-only
"""May the caller load or unload modules at all?"""

from __future__ import annotations

from collections.abc import Collection


def may_init_module(capabilities: Collection[str], modules_disabled: bool) -> bool:
    """Whether ``capabilities`` (names such as "CAP_SYS_MODULE") allow it and nobody switched loading off.

    Models ``kernel/module/main.c:may_init_module``; delete_module(2) asks the same.
    """
    return "CAP_SYS_MODULE" in capabilities and not modules_disabled
