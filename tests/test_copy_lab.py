# SPDX-License-Identifier: GPL-2.0-only
"""CopyLab: errnos as recorded from the real kernel, chunks as kernel/module/main.c cuts them."""

from __future__ import annotations

import pytest

from kmodsim import ModuleFile, sample
from kmodsim.views.user_copy import Chunk, user_copy
from kmodsim.widgets.user_call import OPENED, UserCall, parse_pages

from .pictures import assert_sound
from .recorded import answered

pytestmark = pytest.mark.core

# what is done to hello -> the recorded case; hello's 15,808 bytes lie in four pages
CASES = {
    "permission/uid": ({"capable": False}, 1),
    "init-length/0": ({"length": 0}, 0),
    "init-length/1": ({"length": 1}, 0),
    "init-length/63": ({"length": 63}, 0),
    "init-length/64": ({"length": 64}, 0),
    "init-length/all": ({}, 0),
    "init-memory/length-0x20000000000": ({"length": 1 << 41}, 0),
    "init-memory/length-0xffffffffffffffff": ({"length": -1}, 0),
    "init-memory/beyond": ({"length": 1 << 20}, 0),
    "init-memory/first-page": ({"holes": ((0, 0),)}, 0),
    "init-memory/last-page": ({"holes": ((3, 3),)}, 0),
    "finit-fd/closed": ({"call": "finit_module", "opened": "closed again"}, 0),
    "finit-fd/wronly": ({"call": "finit_module", "opened": "write-only"}, 0),
    "finit-written/written": ({"call": "finit_module", "opened": "somebody writes to it"}, 0),
    "permission/before-flags": ({"call": "finit_module", "opened": "closed again", "capable": False}, 1),
}  # fmt: skip


def call(module: str = "hello", **settings: object) -> UserCall:
    return UserCall(ModuleFile(sample(module)), **settings)


@pytest.mark.parametrize("case", CASES)
def test_the_errno_is_that_of_the_real_kernel(case: str) -> None:
    settings, step = CASES[case]
    wanted, tried = answered(case, step=step), call(**settings)
    name = None if tried.load.error is None else tried.page().answer()[1].split("-1 ")[1].split()[0]
    assert name == wanted.errno
    if wanted.errno is not None:
        assert tried.kernel.dmesg == wanted.log


@pytest.mark.parametrize("opened", OPENED)
def test_finit_module_needs_no_memory_of_the_caller(opened: str) -> None:
    """Holes and length are init_module's; only a descriptor that can be read counts."""
    tried = call(call="finit_module", holes=((0, 9),), length=1, opened=opened)
    assert (tried.load.error is None) == (opened == "read-only")


def test_chunks_are_sixteen_pages_from_the_first_byte_on() -> None:
    """kernel/module/main.c: COPY_CHUNK_SIZE is 16 * PAGE_SIZE; e1000.ko has 330,137 bytes (ls -l)."""
    size = 330_137
    chunks = call("e1000").chunks
    assert [c.size for c in chunks] == [65536] * (size // 65536) + [size % 65536]
    assert [c.offset for c in chunks] == [65536 * n for n in range(len(chunks))]
    assert [page for page, _ in chunks[1].pages] == list(range(16, 32))
    moved = call("e1000", offset=100).chunks
    assert [page for page, _ in moved[1].pages] == list(range(16, 33)), "one page more"


def test_a_hole_fails_the_chunk_it_lies_in() -> None:
    tried = call("e1000", holes=parse_pages("20, 40-41"))
    assert [c.state for c in tried.chunks][:3] == ["copied", "failed", "not reached"]
    assert tried.chunks[1].copied == 4 * 4096
    text = tried.picture().text
    assert "chunk 1 fails, nothing is mapped at 0x7f0000014000." in text
    assert "81,920 of 330,137 bytes" in tried.picture().svg, "what lies before the hole was copied"
    row = next(line.split() for line in text.splitlines() if line.lstrip().startswith("1 "))
    assert row == ["1", "0x10000", "65,536", "✗", "failed", "16-31", "20"]
    assert tried.kernel.user_memory().readable(0x7F0000000000, 1 << 20) == bytes(
        sample("e1000").read_bytes()[: 20 * 4096]
    )


def test_nothing_is_copied_where_the_kernel_does_not_get_that_far() -> None:
    assert call(length=63).chunks == []
    assert call(length=1 << 41).chunks == []
    assert call(capable=False).chunks == []
    assert len(call(length=1 << 29).chunks) <= 41, "a long call is not drawn chunk by chunk"
    assert "in 8,192 chunks" in call(length=1 << 29).picture().description


@pytest.mark.parametrize(
    ("text", "words"), [("x", "is no page"), ("5-3", "the lower one first"), ("-1", "is no page"),
                        ("99999999", "count from 0"), ("1-2-3", "is no page")]
)  # fmt: skip
def test_what_is_no_page_is_told(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_pages(text)
    assert parse_pages(" 3, 5-7 0x10") == ((3, 3), (5, 7), (16, 16))


def test_the_picture_is_sound() -> None:
    long = [Chunk(n, n << 16, 1 << 16, "not reached", 0, ((16 * n, n % 2 == 0),)) for n in range(100)]
    for view in (
        call("e1000", holes=((20, 20),)).picture(), call().picture(), call(length=63).picture(),
        call("e1000").picture(done=False), user_copy(long, 0x1000, 100 << 16, "long"),
    ):  # fmt: skip
        assert_sound(view)


def test_it_is_driven_from_code() -> None:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import CopyLab

    lab = CopyLab("hello")
    assert "Choose what you expect" in lab.text and "not copied yet" in lab.text
    lab.controls["guess"].value = "loaded"
    assert "✓ hello is loaded" in lab.text and "hello" in lab.kernel.modules
    lab.controls["holes"].value = "2"
    lab.controls["guess"].value = "EFAULT"
    assert "Right, as you expected: EFAULT." in lab.text
    assert 'init_module(0x7f0000000000, 15808, "") = -1 EFAULT (Bad address)' in lab.text
    lab.controls["holes"].value = "two"
    assert "'two' is no page" in lab.text
    assert "<svg" not in lab.static()
    lab.reset()
    assert lab.controls["holes"].value == "" and "<svg" in lab.static()
