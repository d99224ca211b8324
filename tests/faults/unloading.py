# SPDX-License-Identifier: GPL-2.0-only
"""Cases about delete_module, and about modules that are coming or going."""

from __future__ import annotations

from .case import (
    KERNEL_ADDRESS,
    NAME_AT,
    NOWHERE,
    O_NONBLOCK,
    O_TRUNC,
    PAGE,
    Case,
    load,
    read,
    unload,
)

STATES = [
    Case(
        "delete-state/init-oops",
        "delete-state",
        (
            load("init_oops", timeout=5000),
            unload(),
            unload(flags=O_TRUNC),
            read("/sys/module/hello/initstate"),
            read("/sys/module/hello/refcnt"),
        ),
        "states/oops",
    ),
    Case(
        "delete-state/coming",
        "delete-state",
        (
            load("slow", background=1, until="hello"),
            unload(),
            read("/sys/module/hello/initstate"),
            read("/sys/module/hello/refcnt"),
            read("/sys/module/hello/initsize"),
            unload(flags=O_TRUNC),
            load("minimal"),
            unload("minimal"),
            {"op": "join", "background": 1},
        ),
        "states",
    ),
    Case(
        "delete-state/going",
        "delete-state",
        (
            unload(background=1, until="hello"),
            unload(),
            read("/sys/module/hello/initstate"),
            read("/sys/module/hello/refcnt"),
            unload(flags=O_TRUNC),
            {"op": "join", "background": 1},
        ),
        "states",
    ),
    Case(
        "delete-used/coming",
        "delete-used",
        (
            load("chain_a"),
            load("slow_chain_b", background=1, until="chain_b"),
            unload("chain_a"),
            read("/sys/module/chain_a/refcnt"),
            {"op": "join", "background": 1},
            unload("chain_b"),
            unload("chain_a"),
        ),
        "states",
    ),
    Case(
        "delete-state/failing",
        "delete-state",
        (
            load("slow_fail_init", background=1, until="fail_init"),
            unload("fail_init"),
            {"op": "join", "background": 1},
        ),
        "states",
    ),
    Case(
        "name-busy/going",
        "name-busy",
        (load("slow"), unload(background=1, until="hello"), load("hello"), {"op": "join", "background": 1}),
        "states",
    ),
    Case(
        "symbol-provider-coming/chain",
        "symbol-provider-coming",
        (
            load("very_slow_chain_a", background=1, until="chain_a"),
            load("chain_b", timeout=60000),
            {"op": "join", "background": 1, "timeout": 60000},
        ),
        "states/coming",
    ),
    Case(
        "symbol-provider-going/chain",
        "symbol-provider-going",
        (
            load("slow_chain_a"),
            unload("chain_a", background=1, until="chain_a"),
            load("chain_b"),
            {"op": "join", "background": 1},
        ),
        "states",
    ),
]

UNLOAD = [
    Case(
        "delete-permission/uid",
        "delete-permission",
        (load("hello"), unload(uid=1000), unload(caps=0), unload("nobody", caps=0), unload()),
        "unload",
    ),
    Case(
        "delete-name/bad",
        "delete-name",
        tuple(unload("hello", name_at=at) for at in (0, NOWHERE, KERNEL_ADDRESS)),
        "unload",
    ),
    Case(
        "delete-name/unknown",
        "delete-name",
        (
            unload(""),
            unload("nobody"),
            unload("n" * 55),
            unload("n" * 56),
            unload("n" * 300),
            unload("printk"),
            unload("hello "),
        ),
        "unload",
    ),
    Case(
        "delete-name/runs-off",
        "delete-name",
        (
            unload("hello", name_at=NAME_AT + PAGE - 3, unmap=f"{NAME_AT + PAGE:#x}:{PAGE}"),
            unload("", name_at=NAME_AT + PAGE - 1, unmap=f"{NAME_AT + PAGE:#x}:{PAGE}"),
        ),
        "unload",
    ),
    Case(
        "delete-name/dash", "delete-name", (load("chain_a"), unload("chain-a"), unload("chain_a")), "unload"
    ),
    Case(
        "delete-used/chain",
        "delete-used",
        (
            load("chain_a"),
            load("chain_b"),
            load("chain_c"),
            unload("chain_a"),
            unload("chain_b"),
            unload("chain_a", flags=O_TRUNC | O_NONBLOCK),
            unload("chain_c"),
            unload("chain_a"),
            unload("chain_b"),
            unload("chain_a"),
        ),
        "unload",
    ),
    Case(
        "delete-flags/any",
        "delete-flags",
        tuple(
            step
            for flags in (0, O_NONBLOCK, 0xFFFFFFFF & ~O_TRUNC)
            for step in (load("hello"), unload(flags=flags))
        ),
        "unload",
    ),
    Case(
        "delete-held/device",
        "delete-held",
        (
            load("chardev"),
            {"op": "hold", "path": "/dev/chardev", "slot": 1},
            unload("chardev"),
            unload("chardev", flags=0),
            read("/sys/module/chardev/refcnt"),
            {"op": "hold", "path": "/dev/chardev", "slot": 2},
            unload("chardev"),
            {"op": "release", "slot": 1},
            unload("chardev"),
            {"op": "release", "slot": 2},
            unload("chardev"),
        ),
        "unload",
    ),
    Case(
        "delete-flags/truncate-unused",
        "delete-flags",
        (load("hello"), unload(flags=O_TRUNC | O_NONBLOCK)),
        "unload",
    ),
    Case("delete-no-exit/no_init", "delete-no-exit", (load("no_init"), unload("no_init")), "unload"),
    Case(
        "delete-no-exit/no_exit",
        "delete-no-exit",
        (load("no_exit"), unload("no_exit"), unload("no_exit", flags=0), unload("no_exit", flags=O_TRUNC)),
        "unload",
    ),
    Case(
        "delete-held/forced",
        "delete-held",
        (
            load("chardev"),
            {"op": "hold", "path": "/dev/chardev", "slot": 3},
            unload("chardev"),
            unload("chardev", flags=O_TRUNC),
        ),
        "unload",
    ),
]
