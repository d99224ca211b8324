# SPDX-License-Identifier: GPL-2.0-only
"""Linux 6.1: what the stages of the model do when no rule says otherwise."""

from __future__ import annotations

from ...arch.sorting import heapsort_order
from ...errors import (
    EOPNOTSUPP,
    MODULE_INIT_COMPRESSED_FILE,
    MODULE_INIT_IGNORE_MODVERSIONS,
    MODULE_INIT_IGNORE_VERMAGIC,
    KernelError,
)
from ...loader.finalize import ORC_REAL
from ...loader.layout import CORE_AND_INIT
from ...loader.load import Load
from ...records import ALT_INSTR
from . import Rules
from .stages import STAGES


def module_decompress(load: Load) -> None:
    """CONFIG_MODULE_DECOMPRESS is not set (``kernel/module/internal.h:module_decompress``)."""
    raise KernelError(EOPNOTSUPP)


RULES = Rules(
    name="6.1",
    stages=STAGES,
    memories=CORE_AND_INIT,
    finit_flags=MODULE_INIT_IGNORE_MODVERSIONS | MODULE_INIT_IGNORE_VERMAGIC | MODULE_INIT_COMPRESSED_FILE,
    said=lambda fault: (fault,),
    decompress=module_decompress,
    no_memory=(),
    nonzero="module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type "
            "{type}, loc {loc}, val {val:x}",
    fortified_name=True,
    index_checked=True,
    lazy_vfree=False,
    alt_instr=ALT_INSTR,
    orc_real=ORC_REAL,
    sort_order=heapsort_order,
    files={},
)  # fmt: skip
