# SPDX-License-Identifier: GPL-2.0-only
"""The bench measures what it says: its floor and its loop relocate rightly, its clock stops at COMING."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kmodsim import Kernel, Module
from tests.bench import floor, run, running, widgets
from tests.bench.rivals import prepare, rivals, without_signature
from tests.browser.conftest import chromium
from tests.conformance.independent import Reading


@pytest.mark.core
@pytest.mark.parametrize("name", ["hello", "crc16", "e1000"])
def test_floor_and_loop_relocate_as_pyelftools_reads_the_file(name: str) -> None:
    """Every place that the psABI's formulas, fed by pyelftools, say must hold a value holds it."""
    subject = prepare(name)
    placed = floor.place(subject.image, subject.provided)
    loop = bytes(floor.relocate_one_by_one(placed))
    whole = floor.relocate(placed).tobytes()
    addresses = {i: address for i, address in enumerate(placed.addresses) if address}
    values = dict(enumerate(placed.values.tolist()))
    reading = Reading(subject.image)
    # where per-CPU data would be is nothing the floor decides: its own value of such symbols is taken
    reading.values = lambda *_: [values[i] for i in range(len(reading.symbols))]  # type: ignore[method-assign]
    places = list(reading.expected(addresses, subject.provided))
    assert len(places) >= 0.9 * subject.relocations > 0
    for section, offset, stored in places:
        at = placed.addresses[section] - placed.base + offset
        assert whole[at : at + len(stored)] == loop[at : at + len(stored)] == stored


@pytest.mark.core
def test_symbols_of_the_floor_are_those_pyelftools_reads() -> None:
    subject = prepare("ext4")
    placed = floor.place(subject.image, subject.provided)
    addresses = {i: address for i, address in enumerate(placed.addresses) if address}
    wanted = Reading(subject.image).values(addresses, subject.provided)
    compared = [(mine, theirs) for mine, theirs in zip(placed.values.tolist(), wanted, strict=True) if theirs]
    assert len(compared) > 2000
    assert all(mine == theirs % (1 << 64) for mine, theirs in compared)


@pytest.mark.core
def test_the_clock_stops_at_coming_and_the_kernel_is_as_before() -> None:
    subject = prepare("hello")
    states: list[str] = []

    def notifier(state: str, module: Module) -> None:
        states.append(state)

    subject.kernel.register_module_notifier(notifier, 1)
    before = subject.kernel.memory.regions
    for title in ("kmodsim", "traced"):
        states.clear()
        assert 0 < rivals(subject)[title]() < 10
        assert states == ["COMING", "GOING"]
        assert subject.kernel.memory.regions == before and not subject.kernel.modules


@pytest.mark.core
def test_without_signature_is_what_the_kernel_cuts_off() -> None:
    """``kernel/module/signing.c:mod_verify_sig`` leaves ``info->len`` at the module's own length."""
    subject = prepare("crc16")
    load = Kernel(cpu=None).load(subject.signed)
    assert load.sig_ok and load.length == len(subject.image) < len(subject.signed)
    assert without_signature(subject.image) == subject.image


@pytest.mark.core
def test_turns_are_taken_and_shares_kept() -> None:
    order: list[str] = []

    def takes(name: str, seconds: float) -> run.Run:
        return lambda: order.append(name) or seconds  # type: ignore[func-returns-value]

    times = run.take_turns({"quick": takes("quick", 0.1), "slow": takes("slow", 2.0)}, seconds=1.0, rounds=4)
    assert order[:4] == ["quick", "slow", "quick", "slow"]
    assert times == {"quick": [0.1] * 4, "slow": [2.0]}


@pytest.mark.core
def test_running_is_measured_on_as_many_steps_as_is_said() -> None:
    """``travel`` itself looks at how many there were."""
    pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
    found: dict[str, float] = {}
    lines = list(running.bench_running(1, found))
    assert set(found) == {running.LOAD, running.TRAVEL} <= set(run.TARGETS) and len(lines) == 3
    assert all(0 < milliseconds < 10_000 for milliseconds in found.values())


@pytest.mark.bench
def test_running_meets_its_targets() -> None:
    found: dict[str, float] = {}
    list(running.bench_running(3, found))
    for what in (running.LOAD, running.TRAVEL):
        assert found[what] <= run.TARGETS[what][0]


@pytest.mark.bench
def test_the_whole_bench_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("before\n<!-- measured -->\nold\n<!-- end -->\nafter\n", encoding="utf-8")
    assert run.main(["--quick", "--modules", "hello", "crc16", "--write", str(page)]) == 0
    shown = capsys.readouterr().out
    for column in run.COLUMNS:
        assert column in shown
    for target in run.TARGETS:
        assert target in shown
    written = page.read_text(encoding="utf-8")
    assert written.startswith("before\n") and written.endswith("after\n") and shown.strip() in written
    assert "old" not in written


@pytest.mark.browser
def test_widgets_are_measured_in_a_browser() -> None:
    """One widget, a few rounds: a line for it, one for the figure beside it, and its memory in MB.

    In a process of its own: two drivers of Playwright do not go together in one.
    """
    pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium()
    command = [sys.executable, "-m", "tests.bench.widgets", "--only", "CompareLab", "--rounds", "4"]
    done = subprocess.run([*command, "--module", "hello"], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    slider, figure = (next(line.split() for line in lines if line.startswith(name))
                      for name in ("CompareLab", widgets.BESIDE))  # fmt: skip
    assert slider[1] == "noUi-handle" and 0 < float(slider[2]) <= float(slider[3]) < 3000
    assert figure[-3] == "noUi-handle" and float(figure[-2]) > 0
    weights = [line.split() for line in lines[-2:]]
    assert [weight[0] for weight in weights] == ["CompareLab", "Explorer"]
    assert all(50 < int(weight[1]) < 1000 for weight in weights)
    slide = next(line.split() for line in lines if line.startswith("base slider"))
    assert 0 < float(slide[2]) <= float(slide[3]) < 1000


@pytest.mark.core
def test_the_share_that_p95_leaves_out_is_a_twentieth() -> None:
    assert widgets.p95([float(n) for n in range(1, 101)]) == 95
    assert widgets.p95([5.0]) == 5
