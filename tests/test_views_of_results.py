# SPDX-License-Identifier: GPL-2.0-only
"""Views of modprobe's steps and of a trace for print."""

from __future__ import annotations

import pytest

from kmodsim import Kernel, sample, views
from kmodsim.userland.modprobe import plan, run, whole

pytestmark = pytest.mark.core


def test_a_plan_and_a_run_are_drawn_with_what_modules_need() -> None:
    """vfat takes symbols from fat (its .modinfo says depends=fat)."""
    machine, kernel = whole.machine(), Kernel(cpu=None)
    view = views.steps_of_modprobe(plan("vfat", kernel, machine=machine))
    assert [line.split()[:4] for line in view.text.splitlines()[2:]] == [
        ["1", "insmod", "fat", "-"], ["2", "insmod", "vfat", "fat"],
    ]  # fmt: skip
    assert view.title == "The plan of modprobe vfat"
    ran = run(kernel, ["modprobe", "vfat"], machine=machine, preview=True)
    assert views.steps_of_modprobe(ran.value).text.splitlines()[1:] == view.text.splitlines()[1:]


def test_the_time_line_for_print_has_a_bar_for_each_stage() -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib (the extra views)")
    load = Kernel(cpu=None).load(sample("missing_symbol"), trace=True)
    figure = views.trace_figure(load.trace, "A load that fails")
    axes = figure.axes[0]
    bars = axes.containers[0]
    assert [bar.get_height() for bar in bars] == [record.changes.size for record in load.trace]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[-1] == "✗ simplify_symbols" and bars[-1].get_hatch()
    assert "UNFORMED" in [text.get_text() for text in axes.texts]
    assert "failed in simplify_symbols" in figure.view.description
    assert figure._repr_png_().startswith(b"\x89PNG")
