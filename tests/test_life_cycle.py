# SPDX-License-Identifier: GPL-2.0-only
"""The life cycle: states, results and logs as the real kernel's (truth/errno-table-6.1.json, samples)."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim.views.state_machine import EDGES, GONE, PLACES, state_machine
from kmodsim.widgets.chosen import file_of
from kmodsim.widgets.life import RETURNS, live

from .pictures import assert_sound
from .recorded import answered

pytestmark = pytest.mark.core

# main.c of 6.1: add_unformed_module, complete_formation, do_init_module; try_stop_module, free_module
WHOLE = [GONE, "UNFORMED", "COMING", "LIVE", "GOING", "UNFORMED", GONE]
FAILED = [GONE, "UNFORMED", "COMING", "GOING", "UNFORMED", GONE]  # do_init_module: fail_free_freeinit


def states(life: Any) -> list[str]:
    """The states gone through, each once."""
    found = [moment.state for moment in life.moments]
    return [state for i, state in enumerate(found) if i == 0 or state != found[i - 1]]


def test_a_whole_life() -> None:
    life = live(file_of("hello"))
    assert states(life) == WHOLE
    by_state = {moment.state: moment for moment in life.moments if moment.state != "UNFORMED"}
    # kernel/module/sysfs.c:show_initstate; procfs.c:m_show and module_flags
    assert {s: m.files["initstate"] for s, m in by_state.items() if s != GONE} == {
        "COMING": "coming", "LIVE": "live", "GOING": "going"
    }  # fmt: skip
    assert by_state["GOING"].files["/proc/modules"].endswith("Unloading 0xffffffffc0201000 (OE-)")
    unformed = [m for m in life.moments if m.state == "UNFORMED"]
    assert {m.files["/proc/modules"] for m in unformed} == {"(no line)"}, "m_show passes over UNFORMED"


def test_without_an_init_nothing_is_called() -> None:
    """As recorded in delete-no-exit/no_init: with neither init nor exit it loads and is unloaded."""
    life = live(file_of("no_init"))
    assert states(life) == WHOLE
    assert not any("()" in moment.what for moment in life.moments)
    assert {moment.function.partition(":")[2] for moment in life.moments if moment.state == "GOING"} == {
        "try_stop_module"
    }


@pytest.mark.parametrize("number", [1, 2, 12, 16, 19, 22])
def test_a_failed_init_is_answered_as_recorded(number: int) -> None:
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    life = live(file_of("fail_init"), f"error=-{number}")
    assert states(life) == FAILED
    assert life.headline == f"insmod fail_init.ko: -1 {answered(f'init-negative/{number}').errno}"
    assert not any("exit()" in moment.what for moment in life.moments), "exit is not called after a failure"


@pytest.mark.parametrize("label", RETURNS)
def test_init_returns_what_was_chosen(label: str) -> None:
    value = RETURNS[label]
    life = live(file_of("hello"), returns=value)
    assert states(life) == (FAILED if (value or 0) < 0 else WHOLE)
    if value is not None:
        assert not any("Hello" in line for moment in life.moments for line in moment.log)


def test_a_positive_result_is_called_suspicious_as_recorded() -> None:
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    life = live(file_of("fail_init"), "error=5")
    (recorded,) = answered("init-positive/5").log
    assert recorded[3:] in [line for moment in life.moments for line in moment.log]
    assert states(life) == WHOLE


def test_a_bad_argument_ends_it_before_init() -> None:
    """load_module's error path goes from GOING off the list without free_module."""
    life = live(file_of("hello"), "howmany=x")
    assert states(life) == [GONE, "UNFORMED", "COMING", "GOING", GONE]
    assert life.headline.endswith("-1 EINVAL")
    assert life.moments[3].function.endswith(":load_module")
    marked = [line for line in life.picture(3).text.splitlines() if line.startswith("✓") and "GOING" in line]
    assert len(marked) == 1 and "load_module" in marked[0], "not the way of a failed init"


def test_after_an_oops_it_stays_coming_and_cannot_be_unloaded() -> None:
    """As recorded in the case delete-state/init-oops."""
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    life = live(file_of("buggy"), "fault=null_read")
    assert life.moments[-1].state == "COMING"
    assert life.headline == "insmod buggy.ko: Killed; rmmod buggy: -1 " + str(
        answered("delete-state/init-oops", "states/oops", 1).errno
    )
    assert life.report is not None and "address 0x10 is in the first page" in life.report.text


def test_looking_runs_no_code_of_the_module() -> None:
    """buggy shows its parameter by a function of its own."""
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    life = live(file_of("buggy"))
    assert [c.name for c in life.kernel.calls if c.name == "scnprintf"] == []


@pytest.mark.parametrize("present", PLACES)
def test_the_picture_says_where_it_is(present: str) -> None:
    view = state_machine(present, [(GONE, "UNFORMED", "add_unformed_module")], "A life")
    assert_sound(view)
    assert f"now: {present}" in view.text
    assert view.text.count("✓") == 1
    assert f"▶ {present}" in view.svg
    assert all(edge.function in view.text for edge in EDGES)


def lab(module: Any = "hello", **more: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import LifeCycle

    return LifeCycle(module, **more)


def test_the_widget_asks_then_judges() -> None:
    widget = lab()
    assert "Which state is the module in then?" in widget.text
    widget.controls["step"].value = 2
    widget.controls["guess"].value = "LIVE"
    assert "You expected LIVE; it is COMING." in widget.text
    widget.controls["step"].value = 3
    assert "Which state" in widget.text, "another step is another question"


def test_its_buttons_stop_at_both_ends() -> None:
    widget = lab(ask=False)
    widget._move(-1)
    assert widget.controls["step"].value == 0
    for _ in range(20):
        widget._move(1)
    assert widget.controls["step"].value == len(widget.life.moments) - 1
    assert "hello" not in widget.kernel.modules


def test_the_static_page_shows_the_state() -> None:
    page = lab().static()
    assert "now: no module" in page and "Choose above" not in page
