# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim.widgets.Explorer`` driven from code: what it says and refuses, what stands without a page."""

from __future__ import annotations

from typing import Any

import pytest

from kmodsim import Kernel, KernelError, sample

pytestmark = pytest.mark.core


@pytest.fixture
def explorer() -> Any:
    pytest.importorskip("anywidget", reason="needs anywidget")
    from kmodsim.widgets import Explorer

    return Explorer("hello")


def test_it_says_stage_function_and_choice(explorer: Any) -> None:
    """The numbers are those of tests/test_explorer.py, from readelf and a recorded kernel."""
    assert explorer.text.endswith("= 0x2071; 00 00 00 00 -> 71 20 00 00; leads to whom")
    assert "do_free_init (kernel/module/main.c:do_free_init): relocation 6" in explorer.text
    explorer.stage = 0
    explorer.chosen = "symbol 129"
    assert "After stage 1 of " in explorer.text and "symbol 129 _printk" in explorer.text
    explorer.chosen, explorer.shift = "section 6", "0x1000"
    assert "at 0xffffffffc0202000 in memory" in explorer.text
    explorer.reset()
    assert (explorer.chosen, explorer.shift) == ("relocation 6", "0")
    assert "do_free_init" in explorer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stage", 99), ("stage", -1), ("shift", "17"), ("shift", "far"), ("chosen", "symbol 100000"),
        ("chosen", "planet 3"), ("chosen", "symbol"), ("chosen", "file -1"), ("chosen", "<script>"),
    ],
)  # fmt: skip
def test_what_is_not_there_cannot_be_chosen(explorer: Any, name: str, value: Any) -> None:
    from traitlets import TraitError

    before = explorer.text
    with pytest.raises(TraitError):
        setattr(explorer, name, value)
    assert explorer.text == before


def test_the_static_page_has_the_words_and_the_tables(explorer: Any) -> None:
    page = explorer.static()
    assert "leads to whom" in page and "R_X86_64_PC32" in page and "<script" not in page
    bundle = explorer._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["text/plain"] == explorer.text and data["text/html"] == page


def test_it_takes_what_is_at_hand(explorer: Any) -> None:
    """A traced load, bytes, a kernel with others in it; a file that is not there is a KernelError."""
    from kmodsim.widgets import Explorer

    kernel = Kernel(cpu=None)
    kernel.finit_module(sample("minimal").read_bytes())
    load = kernel.load(sample("hello"), trace=True)
    assert Explorer(load).document.first == ("minimal",)
    assert "ENOEXEC" in Explorer(b"no module").document.outcome
    assert Explorer(b"no module").text
    with pytest.raises(KernelError):
        Explorer("/no/such/file.ko")
