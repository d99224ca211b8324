# SPDX-License-Identifier: GPL-2.0-only
"""What is recorded about the samples: each alone, chains and diamonds in every order, held devices."""

from __future__ import annotations

from tests.faults.case import Case, Operation, load, unload
from tests.faults.files import PLAIN

# sample: what has to be loaded before, and a parameter line
NEEDS: dict[str, tuple[str, ...]] = {
    "chain_b": ("chain_a",),
    "chain_c": ("chain_a", "chain_b"),
    "diamond_left": ("diamond_bottom",),
    "diamond_right": ("diamond_bottom",),
    "diamond_top": ("diamond_bottom", "diamond_right", "diamond_left"),
    "gpl_user": ("gpl_only",),
    "namespace_user": ("namespace_provider",),
    "namespace_thief": ("namespace_provider",),
    "proprietary_bridge": ("gpl_only", "proprietary"),
    "proprietary_heir": ("proprietary",),
}
PARAMS: dict[str, str] = {
    "hello": 'howmany=2 whom="good people" numbers=1,2 a_bool an_invbool=y',
    "fail_init": "error=0",
    "percpu": "counter=3",
    "tables": "loud",
    "param_callback": "percent=7 verbose",
}


def snapshot(module: str) -> Operation:
    return {"op": "snapshot", "module": module}


def _alone(name: str) -> list[Case]:
    """In a boot of its own: loaded after what it needs, looked at, unloaded; again with parameters."""
    before = NEEDS.get(name, ())
    looks = [snapshot(one) for one in (name, *before)]
    steps = [*map(load, before), load(name), *looks, unload(name), *map(unload, reversed(before))]
    boot = f"alone/{name}"
    cases = [Case(boot, "alone", tuple(steps), boot)]
    if name in PARAMS:
        steps = [load(name, PARAMS[name]), snapshot(name), unload(name)]
        cases.append(Case(f"parameters/{name}", "alone", tuple(steps), boot))
    return cases


ORDERS = [
    Case(
        "order/chain",
        "order",
        (
            load("chain_c"),
            load("chain_b"),
            load("chain_a"),
            load("chain_c"),
            load("chain_b"),
            load("chain_c"),
            snapshot("chain_a"),
            unload("chain_a"),
            unload("chain_b"),
            unload("chain_c"),
            load("chain_c"),
            unload("chain_b"),
            unload("chain_c"),
            unload("chain_a"),
            unload("chain_b"),
            unload("chain_a"),
        ),
        "order",
    ),
    Case(
        "order/diamond",
        "order",
        (
            load("diamond_top"),
            load("diamond_bottom"),
            load("diamond_left"),
            load("diamond_top"),
            load("diamond_right"),
            load("diamond_top"),
            snapshot("diamond_bottom"),
            unload("diamond_bottom"),
            unload("diamond_left"),
            unload("diamond_top"),
            unload("diamond_left"),
            unload("diamond_bottom"),
            unload("diamond_right"),
            unload("diamond_bottom"),
        ),
        "order",
    ),
    Case(
        "order/holes",
        "order",
        (
            load("hello"),
            load("minimal"),
            load("chain_a"),
            load("percpu"),
            unload("minimal"),
            load("tables"),
            unload("hello"),
            load("no_init"),
            load("minimal"),
            unload("chain_a"),
            load("hello"),
            unload("percpu"),
            unload("tables"),
            load("percpu"),
            snapshot("percpu"),
            load("chain_a"),
            unload("no_init"),
            unload("minimal"),
            unload("hello"),
            unload("percpu"),
            unload("chain_a"),
        ),
        "order",
    ),
    Case(
        "order/percpu",
        "order",
        (load("percpu"), load("hello"), snapshot("percpu"), unload("hello"), unload("percpu")),
        "order",
    ),
    Case(
        "order/again",
        "order",
        tuple(step for _ in range(3) for step in (load("hello"), load("hello"), unload(), unload())),
        "order",
    ),
    Case(
        "order/device",
        "order",
        (
            load("chardev"),
            {"op": "hold", "path": "/dev/chardev", "slot": 0},
            snapshot("chardev"),
            unload("chardev"),
            {"op": "release", "slot": 0},
            unload("chardev"),
        ),
        "order",
    ),
    Case(
        "order/permanent",
        "order",
        (load("no_exit"), snapshot("no_exit"), unload("no_exit"), load("hello"), unload("hello")),
        "order",
    ),
]


def sample_cases() -> list[Case]:
    """Each sample alone in a boot of its own, so that what is said once is said; then orders."""
    return [*[case for name in PLAIN for case in _alone(name)], *ORDERS]
