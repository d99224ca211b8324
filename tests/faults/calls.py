# SPDX-License-Identifier: GPL-2.0-only
"""Cases about the calls themselves: who calls, flags, descriptors, pointers, what init returns."""

from __future__ import annotations

from .case import (
    IMAGE_AT,
    KERNEL_ADDRESS,
    NOWHERE,
    PAGE,
    PARAMS_AT,
    SYS_MODULE,
    Case,
    init,
    load,
    read,
    unload,
    write,
)

PERMISSION = [
    Case(
        "permission/uid", "permission", (load("hello", uid=1000), init("hello", uid=1000), unload(uid=1000))
    ),
    Case("permission/no-capabilities", "permission", (load("hello", caps=0), init("hello", caps=0))),
    Case(
        "permission/before-flags",
        "permission",
        (load("hello", caps=0, flags=64), load("hello", caps=0, open="closed")),
    ),
    Case(
        "permission/capability-alone",
        "permission",
        (load("hello", uid=1000, caps=SYS_MODULE), unload(uid=1000, caps=SYS_MODULE)),
    ),
    Case("permission/nomodule", "permission", (load("hello"), init("hello"), unload()), "nomodule"),
    Case(
        "permission/modules-disabled",
        "permission",
        (
            load("minimal"),
            write("/proc/sys/kernel/modules_disabled", "1"),
            load("hello"),
            init("hello"),
            unload("minimal"),
            write("/proc/sys/kernel/modules_disabled", "0"),
            read("/proc/sys/kernel/modules_disabled"),
        ),
        "disabled",
    ),
]

FINIT = [
    *[
        Case(f"finit-flags/{flags:#x}", "finit-flags", (load("hello", flags=flags),))
        for flags in (8, 0x40, 0xFFFFFFFF)
    ],
    Case("finit-flags/closed", "finit-flags", (load("hello", flags=8, open="closed"),)),
    *[
        Case(f"finit-fd/{how}", "finit-fd", (load("hello", open=how),))
        for how in ("closed", "wronly", "path")
    ],
    *[Case(f"finit-file/{how}", "finit-file", (load("hello", open=how),)) for how in ("directory", "pipe")],
    Case("finit-file/empty", "finit-file", (load("empty"),)),
    *[
        Case(f"finit-written/{how}", "finit-written", (load("hello", open=how),))
        for how in ("written", "rdwr")
    ],
    *[
        Case(f"finit-compressed/{flags}", "finit-compressed", (load("hello", flags=flags),))
        for flags in (4, 5, 6, 7)
    ],
    Case("finit-compressed/closed", "finit-compressed", (load("hello", flags=4, open="closed"),)),
]

INIT = [
    *[Case(f"init-length/{n}", "init-length", (init("hello", length=n),)) for n in (0, 1, 63)],
    Case("init-length/64", "init-length", (init("hello", length=64),)),
    Case("init-length/all", "init-length", (init("hello"), unload())),
    Case("init-length/null-63", "init-length", (init("hello", image_at=0, length=63),)),
    *[
        Case(f"init-memory/length-{n:#x}", "init-memory", (init("hello", length=n),))
        for n in (1 << 41, 1 << 62, (1 << 64) - 1)
    ],
    Case("init-memory/beyond", "init-memory", (init("hello", length=1 << 20),)),
    Case("init-memory/null", "init-memory", (init("hello", image_at=0),)),
    Case("init-memory/nowhere", "init-memory", (init("hello", image_at=NOWHERE),)),
    Case("init-memory/kernel", "init-memory", (init("hello", image_at=KERNEL_ADDRESS),)),
    Case("init-memory/first-page", "init-memory", (init("hello", unmap=f"{IMAGE_AT:#x}:{PAGE}"),)),
    Case("init-memory/last-page", "init-memory", (init("hello", unmap=f"{IMAGE_AT + 3 * PAGE:#x}:{PAGE}"),)),
]

LATE = [
    *[
        Case(
            f"params-pointer/{name}",
            "params-pointer",
            (load("hello", params_at=at), init("hello", params_at=at)),
        )
        for name, at in (("null", 0), ("nowhere", NOWHERE), ("kernel", KERNEL_ADDRESS))
    ],
    Case(
        "params-pointer/runs-off",
        "params-pointer",
        (load("hello", "whom=" + "x" * 4091, unmap=f"{PARAMS_AT + PAGE:#x}:{PAGE}"),),
    ),
    *[
        Case(f"init-negative/{number}", "init-negative", (load("fail_init", f"error=-{number}"),))
        for number in (1, 2, 12, 16, 19, 22, 517, 4095)
    ],
    Case(
        "init-negative/default",
        "init-negative",
        (load("fail_init"), load("fail_init", "error=0"), unload("fail_init")),
    ),
    Case("init-negative/beyond", "init-negative", (load("fail_init", "error=-4096"),)),
    Case("init-positive/5", "init-positive", (load("fail_init", "error=5"), unload("fail_init"))),
]
