# SPDX-License-Identifier: GPL-2.0-only
"""The unload lab: every situation is answered as the real kernel did, and the ladder stops where it did."""

from __future__ import annotations

import itertools
import json
import time
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kmodsim import KernelError
from kmodsim.errors import O_NONBLOCK, O_TRUNC, errno_name
from kmodsim.kernel import Kernel
from kmodsim.views.ladder import FORCED, PASSED, REFUSED, UNREACHED, Rung, ladder
from kmodsim.widgets.chosen import file_of
from kmodsim.widgets.unloading import (
    COMING,
    EMPTY,
    GOING,
    LONG,
    NAMES,
    WRONG,
    Facts,
    Situation,
    arrange,
    rungs,
    unloading,
    user_of,
)

from .pictures import assert_sound

pytestmark = pytest.mark.core

# case of tests/truth/errno-table-6.1.json, number of its step -> module, situation
RECORDED: dict[tuple[str, int], tuple[str, dict[str, Any]]] = {
    ("permission/modules-disabled", 4): ("minimal", {"disabled": True}),
    ("delete-permission/uid", 1): ("hello", {"uid": 1000}),
    ("delete-permission/uid", 4): ("hello", {}),
    ("delete-name/unknown", 0): ("hello", {"name": EMPTY}),
    ("delete-name/unknown", 1): ("hello", {"name": WRONG}),
    ("delete-name/unknown", 3): ("hello", {"name": LONG}),
    ("delete-used/chain", 3): ("chain_a", {"used": True}),
    ("delete-used/chain", 5): ("chain_a", {"used": True, "truncate": True}),
    ("delete-flags/any", 1): ("hello", {"nonblock": False}),
    ("delete-flags/any", 3): ("hello", {}),
    ("delete-flags/truncate-unused", 1): ("hello", {"truncate": True}),
    ("delete-held/device", 2): ("chardev", {"held": 1}),
    ("delete-held/device", 3): ("chardev", {"held": 1, "nonblock": False}),
    ("delete-held/device", 6): ("chardev", {"held": 2}),
    ("delete-held/forced", 3): ("chardev", {"held": 1, "truncate": True, "nonblock": False}),
    ("delete-no-exit/no_init", 1): ("no_init", {}),
    ("delete-no-exit/no_exit", 1): ("no_exit", {}),
    ("delete-no-exit/no_exit", 2): ("no_exit", {"nonblock": False}),
    ("delete-no-exit/no_exit", 3): ("no_exit", {"truncate": True, "nonblock": False}),
    ("delete-state/coming", 1): ("hello", {"state": COMING}),
    ("delete-state/coming", 5): ("hello", {"state": COMING, "truncate": True, "nonblock": False}),
    ("delete-state/going", 1): ("hello", {"state": GOING}),
    ("delete-state/going", 4): ("hello", {"state": GOING, "truncate": True, "nonblock": False}),
}  # fmt: skip
TAINT_R = 1 << 3


@cache
def truth() -> dict[str, list[dict[str, Any]]]:
    """Case -> its steps: what the real kernel answered."""
    file = Path(__file__).parent / "truth" / "errno-table-6.1.json"
    boots = json.loads(file.read_text(encoding="utf-8"))["boots"].values()
    return {case["id"]: case["steps"] for boot in boots for case in boot["cases"]}


@pytest.mark.parametrize(("case", "step"), RECORDED)
def test_the_answer_is_the_real_kernels(case: str, step: int) -> None:
    module, what = RECORDED[case, step]
    recorded = truth()[case][step]
    situation = Situation(module, **what)
    assert recorded["call"]["op"] == "delete"
    flags = recorded["call"].get("flags", O_NONBLOCK)
    assert (flags & (O_TRUNC | O_NONBLOCK)) == situation.flags, "the table names the wrong step"
    shown = unloading(module, situation)
    errno = errno_name(shown.error.errno) if shown.error is not None else None
    assert errno == recorded["answer"]["errno"]
    forced = any(rung.state == FORCED for rung in rungs(shown.facts))
    assert forced == bool(shown.kernel.tainted & TAINT_R)
    if case != "delete-held/forced":  # that kernel was tainted before
        assert forced == bool(recorded["answer"]["tainted"] & TAINT_R)


def test_the_ladder_stops_where_the_kernel_stops() -> None:
    """For every combination: the first refusing rung has the errno that the kernel gave."""
    tried = 0
    combinations = itertools.product(
        ("chain_a", "no_exit"), (False, True), (0, 2), ("LIVE", COMING, GOING), (False, True), (0, 1000),
        (False, True),
    )  # fmt: skip
    for number, (module, used, held, state, truncate, uid, disabled) in enumerate(combinations):
        name = NAMES[number % 5 % 4]  # most often the module's own
        situation = Situation(module, used, held, state, truncate, True, uid, disabled, name)
        seen: list[Any] = []

        def call(kernel: Kernel, situation: Situation = situation, seen: list[Any] = seen) -> None:
            facts = Facts(kernel, situation, situation.module)
            seen.append(next((r.errno for r in rungs(facts) if r.state == REFUSED), None))
            try:
                kernel.delete_module(facts.name, flags=situation.flags, uid=situation.uid)
            except KernelError as error:
                seen.append(errno_name(error.errno or 0))
            else:
                seen.append(None)

        try:
            arrange(file_of(module), situation, call)
        except (ValueError, KernelError):
            continue
        assert seen[0] == seen[1], situation
        tried += 1
    assert tried >= 90


def test_rmmod_speaks_before_the_kernel_does() -> None:
    """kmod 30 tools/rmmod.c:check_module_inuse, as the real rmmod writes it (tests/realtools)."""
    used = unloading("chain_a", Situation("chain_a", used=True))
    assert used.rmmod == ("rmmod: ERROR: Module chain_a is in use by: chain_b", "(exit status 1)")
    held = unloading("hello", Situation("hello", held=2))
    assert held.rmmod == ("rmmod: ERROR: Module hello is in use", "(exit status 1)")
    wrong = unloading("hello", Situation("hello", name=WRONG))
    assert wrong.rmmod == ("rmmod: ERROR: Module no_such_module is not currently loaded", "(exit status 1)")
    forced = unloading("chain_a", Situation("chain_a", used=True, truncate=True))
    assert forced.rmmod[-2] == (
        "rmmod: ERROR: could not remove module chain_a: Resource temporarily unavailable"
    )
    assert unloading("hello", Situation("hello")).rmmod == ("(exit status 0)",)


def test_the_call_is_written_as_strace_writes_it() -> None:
    shown = unloading("no_exit", Situation("no_exit"))
    assert shown.terminal.splitlines()[0] == (
        'delete_module("no_exit", O_NONBLOCK) = -1 EBUSY (Device or resource busy)'
    )
    assert "no_exit 12288 0 [permanent], Live" in shown.terminal


def test_force_tells_what_is_left_behind() -> None:
    shown = unloading("chardev", Situation("chardev", held=1, truncate=True))
    assert "points into freed memory" in shown.headline
    assert "Disabling lock debugging due to kernel taint" in shown.terminal  # kernel/panic.c:add_taint
    assert shown.steps is not None
    assert "module_memfree(core)" in shown.steps.text
    assert unloading("hello", Situation("hello", held=1)).steps is None


def test_the_user_of_a_module_is_found_among_the_samples() -> None:
    """The depends= of each sample's modinfo, which modpost wrote."""
    assert user_of("chain_a") == "chain_b"
    assert user_of("diamond_bottom") in ("diamond_left", "diamond_right")
    assert user_of("hello") == ""


def test_the_order_of_the_rungs_is_delete_modules() -> None:
    """kernel/module/main.c:delete_module from its first test to try_stop_module, 6.1."""
    shown = unloading("hello", Situation("hello"))
    assert [(r.function, r.errno) for r in rungs(shown.facts)] == [
        ("delete_module", "EPERM"), ("strncpy_from_user", "ENOENT"), ("find_module", "ENOENT"),
        ("delete_module", "EAGAIN"), ("delete_module", "EBUSY"), ("try_force_unload", "EBUSY"),
        ("try_stop_module", "EAGAIN"),
    ]  # fmt: skip


def test_the_picture_of_a_ladder() -> None:
    rows = [
        Rung("May it?", "yes", "EPERM", "", "one", PASSED), Rung("Held?", "2", "EAGAIN", "f", "two", FORCED),
        Rung("Live <&>?", "COMING", "EBUSY", "", "three", REFUSED),
        Rung("Last?", "", "EIO", "", "4", UNREACHED),
    ]  # fmt: skip
    view = ladder(rows, "delete_module", "-1 EBUSY")
    assert_sound(view)
    signs = [line.split()[1] for line in view.text.splitlines()[2:]]
    assert signs == ["✓", "!", "✗", "·"]
    assert view.description == "-1 EBUSY. Live <&>? COMING: that refuses."
    drawn = "".join(ElementTree.fromstring(view.svg).itertext())
    assert "-1 EBUSY" in drawn
    assert "not reached: the module stays" in drawn
    through = ElementTree.fromstring(ladder(rows[:2], "x", "free_module").svg)
    assert "free_module" in "".join(through.itertext())


# --- the widget ---------------------------------------------------------------------------------------------


def lab_of(module: Any = "hello", **more: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import UnloadLab

    return UnloadLab(module, **more)


def test_it_asks_first_and_judges() -> None:
    lab = lab_of("chain_a")
    assert all(control.description for control in lab.controls.values())
    assert lab.text.startswith("? What will delete_module answer?")
    assert "chain_a 16384 0 - Live" in lab.text, "the situation is shown"
    assert "✓" not in lab.text
    lab.controls["used"].value = True
    lab.controls["guess"].value = "EBUSY"
    assert lab.text.startswith("✗ You expected EBUSY; it is EAGAIN")
    lab.controls["guess"].value = "EAGAIN"
    assert lab.text.startswith("✓ Right, as you expected: EAGAIN")
    assert list(lab.kernel.modules) == ["chain_b", "chain_a"]
    lab.reset()
    assert lab.text.startswith("? What will delete_module answer?")


def test_the_static_page_shows_the_answer() -> None:
    page = lab_of("no_exit").static()
    assert "Who calls: root" in page
    assert "EBUSY" in page
    assert "<svg" in page
    assert "Choose above" not in page


def test_what_cannot_be_is_told() -> None:
    lab = lab_of("hello", ask=False)
    lab.controls["used"].value = True
    assert "no sample uses hello" in lab.text
    lab.controls["module"].value = "chain_a"
    assert "EAGAIN" in lab.text
    lab.controls["state"].value = "its init is still running (COMING)"
    assert "This cannot be tried: no module can use one that is still COMING" in lab.text
    lab.controls["state"].value = "it is being unloaded already (GOING)"
    assert "This cannot be tried: a module in use is not GOING" in lab.text


def test_an_answer_is_quick() -> None:
    lab = lab_of("chain_a", ask=False)
    begin = time.perf_counter()
    for held in (1, 2, 3, 4, 5, 0, 1, 2, 3, 4):
        lab.controls["held"].value = held
    assert (time.perf_counter() - begin) / 10 < 0.1  # alone on two cores: about 0.02
