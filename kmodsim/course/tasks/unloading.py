# SPDX-License-Identifier: GPL-2.0-only
"""09: unloading: references, the ladder of delete_module, undoing, and who has to go first."""

from __future__ import annotations

from random import Random
from typing import Any

from ... import unloader
from ...errors import O_NONBLOCK, O_TRUNC
from ...loader import STAGES
from ..plain import Record
from ..task import Case, Claim, Task, drawn, fixed

MAIN = "kernel/module/main.c"


def reference_counts(count: int, calls: list[str], base: int = 1) -> list[tuple[bool, int]]:
    """(whether it worked, the count afterwards) of each call: get, put or stop."""
    rows = []
    for call in calls:
        if call == "get":
            done = count != 0
            count += done
        elif call == "put":
            done = count > 0
            count -= done
        else:
            done = count == base
            count -= base if done else 0
        rows.append((done, count))
    return rows


def _calls(base: int):  # type: ignore[no-untyped-def]
    def make(random: Random) -> Case:
        calls = random.choices(("get", "get", "put", "stop"), k=random.randrange(3, 12))
        start = base + random.randrange(3)
        # the kernel's BUG_ON: never less than the base when it stops, so puts do not outnumber the gets
        safe, count = [], start
        for call in calls:
            if call == "put" and count == base:
                call = "get"
            count = {
                "get": count + bool(count),
                "put": max(0, count - 1),
                "stop": 0 if count == base else count,
            }[call]
            safe.append(call)
            if not count:
                safe.append("get")
                break
        return (start, safe) if base == 1 else (start, safe, base)

    return make


def may_unload(module: Any, flags: int, force_unload: bool = True) -> tuple[int, bool]:
    return unloader.may_unload(module, flags if force_unload else flags & ~O_TRUNC)


FLAGS = (0, O_NONBLOCK, O_TRUNC, O_TRUNC | O_NONBLOCK)


def _module(random: Random) -> Record:
    return Record(
        holders=random.choice(((), (), (), ("other",))),
        state=random.choice(("LIVE", "LIVE", "LIVE", "COMING", "GOING")),
        has_init=random.random() < 0.7,
        has_exit=random.random() < 0.6,
        refcount=random.choice((0, 0, 1, 3)),
    )


GOOD = Record(holders=(), state="LIVE", has_init=True, has_exit=True, refcount=0)


# what each stage leaves behind, and the label of load_module that takes it away (kernel/module/main.c)
UNDO = {
    "move_module": "free_module",
    "add_unformed_module": "unlink_mod",
    "percpu_modalloc": "percpu_modfree",
    "module_unload_init": "free_unload",
    "strndup_user": "free_arch_cleanup",
    "complete_formation": "ddebug_cleanup",
    "prepare_coming_module": "coming_cleanup",
    "mod_sysfs_setup": "sysfs_cleanup",
}
NAMES = tuple(stage.name for stage in STAGES)


def undo_steps(stages: list[str], undo: dict[str, str], failed: str, no_return: str = "") -> list[str]:
    done = stages[: stages.index(failed)]
    if no_return in done:
        return ["free_module"]
    return [undo[stage] for stage in reversed(done) if stage in undo]


def unload_plan(
    name: str, holders: dict[str, list[str]], refcounts: dict[str, int], unused_too: bool = False
) -> list[str] | None:
    """Modules to remove, in order, so that ``name`` can go; None when a reference is in the way."""
    order: list[str] = []

    def take(module: str) -> bool:
        if module in order:
            return True
        if refcounts[module] > len(holders[module]):
            return False
        if not all(take(holder) for holder in holders[module]):
            return False
        order.append(module)
        return True

    if not take(name):
        return None
    while unused_too:
        free = [
            m
            for m in sorted(holders)
            if m not in order
            and holders[m]
            and set(holders[m]) <= set(order)
            and refcounts[m] == len(holders[m])
        ]
        if not free:
            break
        order.append(free[0])
    return order


def _users(random: Random) -> tuple[str, dict[str, list[str]], dict[str, int]]:
    names = list("abcdefg")
    holders = {n: [m for m in names[i + 1 :] if random.random() < 0.35] for i, n in enumerate(names)}
    counts = {n: len(users) + (random.random() < 0.12) for n, users in holders.items()}
    return random.choice(names), holders, counts


DIAMOND = {"bottom": ["left", "right"], "left": ["top"], "right": ["top"], "top": []}

TASKS = (
    Task(
        "reference_counts",
        f"{MAIN}:try_module_get, module_put, try_release_module_ref",
        reference_counts,
        (
            Claim("get and put", 1, "public", fixed((1, ["get", "put", "get"]))),
            Claim(
                "stop works only without references; nothing can be got afterwards",
                1,
                "hidden",
                fixed((1, ["stop", "get"]), (2, ["stop", "put", "stop", "get"]), (3, ["stop"])),
            ),
            Claim("calls of all kinds", 1, "hidden", drawn(48, _calls(1))),
            Claim(
                "variant: MODULE_REF_BASE is 2 or 5",
                2,
                "variant",
                lambda random: [_calls(random.choice((2, 5)))(random) for _ in range(48)],
            ),
        ),
        "get: unless the count is 0. put: unless it is 0. stop: only when the count is exactly base, "
        "then it becomes 0.",
    ),
    Task(
        "may_unload",
        f"{MAIN}:delete_module",
        may_unload,
        (
            Claim(
                "it may go; it is in use",
                1,
                "public",
                fixed((GOOD, O_NONBLOCK), (GOOD._replace(refcount=1), O_NONBLOCK)),
            ),
            Claim(
                "users first: nothing forces them",
                1,
                "hidden",
                fixed(
                    *((GOOD._replace(holders=("x",), state=s), f) for s in ("LIVE", "GOING") for f in FLAGS)
                ),
            ),
            Claim(
                "then the state: EBUSY",
                1,
                "hidden",
                fixed(*((GOOD._replace(state=s, refcount=1), f) for s in ("COMING", "GOING") for f in FLAGS)),
            ),
            Claim(
                "an init without an exit is permanent, unless forced",
                1,
                "hidden",
                fixed(
                    *(
                        (GOOD._replace(has_exit=False, has_init=i, refcount=r), f)
                        for i in (True, False)
                        for r in (0, 1)
                        for f in FLAGS
                    )
                ),
            ),
            Claim(
                "O_TRUNC forces references, and is only then noted",
                1,
                "hidden",
                lambda random: [(_module(random), random.choice(FLAGS)) for _ in range(120)],
            ),
            Claim(
                "variant: a kernel without CONFIG_MODULE_FORCE_UNLOAD",
                3,
                "variant",
                lambda random: [(_module(random), random.choice(FLAGS), False) for _ in range(120)],
            ),
        ),
        "EAGAIN is 11, EBUSY is 16. O_NONBLOCK changes nothing. The second value is True when "
        "something was forced.",
        "may_unload",
    ),
    Task(
        "undo_steps",
        f"{MAIN}:load_module (labels at its end)",
        undo_steps,
        (
            Claim("failed in simplify_symbols", 1, "public", fixed((list(NAMES), UNDO, "simplify_symbols"))),
            Claim(
                "failed at the first stage, and at any other",
                1,
                "hidden",
                lambda random: [
                    (list(NAMES), UNDO, NAMES[0]),
                    *((list(NAMES), UNDO, name) for name in NAMES),
                ],
            ),
            Claim(
                "variant: behind a point of no return all is taken apart at once",
                2,
                "variant",
                lambda random: [
                    (list(NAMES), UNDO, name, random.choice(("free_copy", "parse_args", "mod_sysfs_setup")))
                    for name in NAMES
                ],
            ),
        ),
        "Only stages before the failed one are undone, the last one first.",
    ),
    Task(
        "unload_plan",
        f"{MAIN}:delete_module (source_list); kmod's tools/modprobe.c:rmmod_do_module",
        unload_plan,
        (
            Claim(
                "a diamond",
                1,
                "public",
                fixed(
                    ("bottom", DIAMOND, {n: len(u) for n, u in DIAMOND.items()}),
                    ("top", DIAMOND, {n: len(u) for n, u in DIAMOND.items()}),
                ),
            ),
            Claim(
                "users go before what they use, each once",
                1,
                "hidden",
                lambda random: [
                    (n, h, {m: len(u) for m, u in h.items()})
                    for n, h, _ in (_users(random) for _ in range(10))
                ],
            ),
            Claim(
                "a reference that no user explains is in the way: None",
                1,
                "hidden",
                lambda random: [_users(random) for _ in range(72)],
            ),
            Claim(
                "variant: what nobody uses any more goes too, by name",
                2,
                "variant",
                lambda random: [(*_users(random), True) for _ in range(72)],
            ),
        ),
        "Depth first through holders, in the order listed; append a module behind its users.",
    ),
)
