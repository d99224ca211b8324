# SPDX-License-Identifier: GPL-2.0-only
"""One load twice: what differs is marked, and is what the kernel's source says it depends on."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim.corpus import PROFILE
from kmodsim.views.two_columns import two_columns
from kmodsim.widgets.columns import GROUPS, Side, known_profiles

pytestmark = pytest.mark.core


def test_what_differs_is_marked_and_can_stand_alone() -> None:
    left, right = {"size": "1", "log": "a\nb"}, {"size": "1", "log": "a\nc", "more": "x"}
    view = two_columns(left, right, ("then", "now"), "Two")
    assert [line.split() for line in view.text.splitlines()[1:]] == [
        ["what", "then", "now"], ["=", "size", "1", "1"], ["≠", "log", "a", "a"], ["b", "c"],
        ["≠", "more", "-", "x"],
    ]  # fmt: skip
    assert view.description == "2 differences in 3 facts"
    short = two_columns(left, right, ("then", "now"), "Two", only_differences=True)
    assert "size" not in short.text and short.note == "1 equal fact not shown."


def test_a_boot_parameter_decides() -> None:
    """kernel/module/main.c:blacklisted: EPERM, and a line of the log."""
    free, barred = Side().facts, Side(cmdline="module_blacklist=hello").facts
    assert (free[GROUPS[0]]["result"], barred[GROUPS[0]]["result"]) == ("success", "EPERM in blacklisted")
    assert barred[GROUPS[0]]["log"] == "Module hello is blacklisted"
    assert barred[GROUPS[0]]["/proc/modules"] == "(no module)"
    assert "apply_relocations" in free and "apply_relocations" not in barred


def test_a_processor_decides_how_functions_return() -> None:
    """arch/x86/kernel/alternative.c:patch_return: ret and INT3s, or a jump to the thunk in use, as on an AMD
    processor with SRSO (arch/x86/kernel/cpu/bugs.c:srso_select_mitigation)."""
    found = []
    for model in ("qemu64", "EPYC"):
        stage = Side(cpu_model=model).facts["apply_returns"]
        found.append(next(v for k, v in stage.items() if k.startswith("written at")).split(" → ")[1])
    assert found[0] == "c3 cc cc cc cc"
    assert found[1].startswith("e9 ")


def test_a_parameter_reaches_the_log() -> None:
    """hello.c prints its greeting as often as its parameter says, where its code runs."""
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    one, three = (Side(params=f"howmany={n}").facts[GROUPS[0]]["log"] for n in (1, 3))
    assert three.count("Hello") == 3 * one.count("Hello") > 0


def test_the_default_profile_comes_first_and_each_can_be_chosen() -> None:
    assert known_profiles()[0] == PROFILE
    for profile in known_profiles():
        assert Side(profile=profile).facts[GROUPS[0]]["result"]


# --- the widget ---------------------------------------------------------------------------------------------


def lab(**arguments: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import TwoColumns

    return TwoColumns(**arguments)


def test_facts_of_then_and_now() -> None:
    widget = lab(facts=({"loader": "user space"}, {"loader": "the kernel"}), heads=("2.4", "2.6"))
    assert list(widget.controls) == ["only", "guess"]
    assert "≠  loader  user space  the kernel" in widget.text


def test_a_guess_counts_differences() -> None:
    widget = lab(facts=({"a": "1", "b": "2"}, {"a": "1", "b": "3"}))
    widget.controls["guess"].value = "one to three facts differ"
    assert widget.text.startswith("✓ Right")
    widget.controls["guess"].value = "nothing differs here"
    assert widget.text.startswith("✗ Not so")


def test_one_stage_is_shown_of_both() -> None:
    widget = lab()
    widget.controls["right-cmdline"].value = ""
    widget.controls["right-cpu"].value = "EPYC"
    widget.controls["show"].value = "apply_returns"
    assert "→ c3 cc cc cc cc" in widget.text and "→ e9 " in widget.text
    assert "arch/x86/kernel/alternative.c:apply_returns" in widget.text
    widget.controls["left-cmdline"].value = "module_blacklist=hello"
    assert "not reached" in widget.text


@pytest.mark.parametrize(
    ("release", "memories"),
    [("5.10", ["core"]), ("6.1", ["core"]), ("6.12", ["text", "data", "rodata"])],  # mod_mem_type since 6.4
)
def test_each_kernel_gets_the_sample_that_was_built_for_it(release: str, memories: list[str]) -> None:
    """Bases: hello alone, as the three kernels' recordings have it (truth/samples-*, alone/hello)."""
    user, memory, *_ = Side(f"debian-{release}-amd64").facts.values()
    assert user["result"] == "success"
    assert [name.split()[1] for name in memory if name.startswith("memory ")] == memories
    base = {"5.10": "0xffffffffc0002000", "6.1": "0xffffffffc0201000", "6.12": "0xffffffffc0201000"}[release]
    assert memory[f"memory {memories[0]}"].endswith(base)
