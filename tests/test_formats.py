# SPDX-License-Identifier: GPL-2.0-only
"""printk's formats: every line of the sample formats beside the one the real kernel printed.

Text and returned length of some 850 conversions are in truth/running-6.1.json (``python -m
tests.realkernel.running``), in a boot with no_hash_pointers, where nothing depends on the run.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kmodsim import Kernel, KernelOops, NotModelled, sample

from .realkernel.running import ODD
from .realkernel.running import TRUTH as FILE
from .test_oops import kept

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")
pytestmark = pytest.mark.core
TRUTH: dict[str, Any] = json.loads(FILE.read_text())
HASHED = "<6>formats: hash %p |"  # the real hash has a random key


def recorded(log: list[str]) -> list[str]:
    """The recorder gives each byte as one character; here the log's text is UTF-8, other bytes as \\xNN."""
    return [line.encode("latin-1").decode("utf-8", "backslashreplace") for line in log]


def load(params: str = "", cmdline: str = "") -> Kernel:
    kernel = Kernel(cpu="strict", cmdline=cmdline)
    kernel.finit_module(sample("formats"), params)
    return kernel


def warned_at(log: list[str]) -> str:
    """File, line, function and offset of the ud2."""
    return next(line.partition(" at ")[2] for line in log if line.startswith("<4>WARNING"))


def numbered(log: list[str]) -> list[tuple[int, str]]:
    return list(enumerate(log))


def test_every_line_is_the_real_kernels() -> None:
    wanted = recorded(TRUTH["formats"]["no_hash_pointers"][0]["log"])
    found = load(cmdline="no_hash_pointers").dmesg
    assert len([line for line in wanted if line.startswith("<6>formats: ")]) > 250
    assert numbered(found) == numbered(wanted)


def test_all_but_the_hash_is_the_same_without_the_parameter() -> None:
    loaded, *_, unloaded = TRUTH["lives"]["formats"]
    kernel = load()
    before = len(kernel.dmesg)
    kernel.delete_module("formats")
    found = [line for line in kernel.dmesg[:before] if not line.startswith(HASHED)]
    assert found == [line for line in recorded(loaded["log"]) if not line.startswith(HASHED)]
    assert kernel.dmesg[before:] == unloaded["log"]


def test_hashed_pointers_have_32_bits_and_do_not_tell_the_address() -> None:
    """``lib/vsprintf.c:ptr_to_id`` and ``__ptr_to_hashval``: 32 of siphash's bits in sixteen digits."""
    hashed, real = (
        next(line for line in kernel.dmesg if line.startswith(HASHED))
        for kernel in (load(), load(cmdline="no_hash_pointers"))
    )
    assert re.fullmatch(r".*\|hash 0{8}[0-9a-f]{8}\| 21", hashed)
    assert hashed[-14:] != real[-14:]
    assert "hashed: 16 characters, %pK is the same" in "\n".join(load().dmesg)


def is_fatal(odd: int) -> bool:
    return "signal" in TRUTH["formats"][f"odd={odd}"][0]


@pytest.mark.parametrize("odd", [odd for odd in ODD if is_fatal(odd)])
def test_what_vsnprintf_dies_of(odd: int) -> None:
    wanted = TRUTH["formats"][f"odd={odd}"][0]["log"]
    kernel = Kernel(cpu="strict")
    with pytest.raises(KernelOops):
        kernel.finit_module(sample("formats"), f"odd={odd}")
    assert kept(kernel.dmesg) == kept(wanted)
    assert read_at(kernel.dmesg) == read_at(wanted)


def read_at(log: list[str]) -> str:
    """The first RIP of the report: function, offset, size."""
    return next(line for line in log if line.startswith("<4>RIP: "))


@pytest.mark.parametrize("odd", [odd for odd in ODD if not is_fatal(odd)])
def test_what_vsnprintf_warns_of(odd: int) -> None:
    wanted = TRUTH["formats"][f"odd={odd}"][0]
    kernel = load(f"odd={odd}")
    assert kept(kernel.dmesg) == kept(wanted["log"])
    assert warned_at(kernel.dmesg) == warned_at(wanted["log"])
    assert kernel.tainted == wanted["tainted"]


# --- what a module cannot show and go on: formats put into guest memory and printed from there


def text(fmt: bytes, *args: int) -> bytes:
    """vsnprintf of the model, called by itself."""
    from kmodsim.cpu.abi import VarArgs

    return Kernel(cpu="strict").cpu.format(fmt, VarArgs(iter([*args, *[0] * 20])))


def test_widths_and_precisions_have_the_bits_of_printf_spec() -> None:
    """``struct printf_spec``: field_width:24, precision:16, both signed; skip_atoi has 32 bits."""
    assert text(b"[%16777215d][%16777216d]", 1, 2) == b"[1][2]"  # -1 and 0
    assert text(b"[%.65535d][%.65538d]", 1, 2) == b"[1][02]"  # negative becomes 0; 2
    assert text(b"[%" + b"9" * 5000 + b"d]", 7).endswith(b"7]")
    assert len(text(b"%8388607d", 1)) == 8388607


def test_a_text_without_an_end_is_refused() -> None:
    with pytest.raises(NotModelled):
        text(b"%8388607d%8388607d%8388607d", 1, 2, 3)


@pytest.mark.parametrize(
    "fmt", [b"%s", b"%pM", b"%*ph", b"%pV", b"%pd", b"%pR", b"%ptR", b"%pfw", b"%pGp", b"%*pb"]
)
def test_a_pointer_that_looks_good_is_followed_and_faults(fmt: bytes) -> None:
    """``check_pointer_msg`` knows NULL, the first page and errors; everything else is simply read."""
    kernel = Kernel(cpu="strict")
    cpu = kernel.cpu
    place = cpu.heap.kstrdup(fmt)
    bad = 0xFFFFFFFFC0800000  # of the module area, nothing there
    arguments = (place, 64, bad) if b"*" in fmt else (place, bad)
    with pytest.raises(KernelOops):
        cpu.enter(kernel.address_of("_printk"), *arguments)


def test_a_format_that_contains_itself_ends() -> None:
    """%pV whose argument is the same structure again: the real stack ends, and the model says so."""
    kernel = Kernel(cpu="strict")
    cpu = kernel.cpu
    fmt = cpu.heap.kstrdup(b"again %pV")
    vaf, va_list, arguments = (cpu.heap.kmalloc(64, zero=True) for _ in range(3))
    cpu.space.store(vaf, fmt, 8)
    cpu.space.store(vaf + 8, va_list, 8)
    cpu.space.store(va_list, 48, 4)  # gp_offset: no registers are left
    cpu.space.store(va_list + 8, arguments, 8)
    cpu.space.store(arguments, vaf, 8)
    with pytest.raises(NotModelled):
        cpu.enter(kernel.address_of("_printk"), fmt, vaf)
