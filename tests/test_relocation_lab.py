# SPDX-License-Identifier: GPL-2.0-only
"""The relocation lab and its views: entries as readelf shows them, bytes as the real kernel stored them."""

from __future__ import annotations

import copy
import re
import subprocess
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from xml.etree import ElementTree

import pytest

from kmodsim import Kernel, ModuleFile, sample
from kmodsim.profile import KernelProfile
from kmodsim.views import relocations_of
from kmodsim.widgets.chosen import file_of
from kmodsim.widgets.guessed_bytes import bytes_of, judge_bytes
from kmodsim.widgets.relocation import MIB, TYPES, Bent, Relocatable, answer, fill

from .realkernel.coming import FILES
from .realkernel.observer.truth import load as load_truth

GIB = 1 << 30
PATCHED = {".return_sites", ".retpoline_sites", "__mcount_loc"}  # sections whose entries name patched code


@cache
def relocatable(name: str) -> Relocatable:
    return Relocatable(ModuleFile(sample(name)))


@cache
def recorded(name: str) -> dict[str, Any]:
    """What the real kernel had in the module's memory at COMING."""
    steps = load_truth(FILES["chosen"])["boots"]["shipped"]
    return next(step for step in steps if step.get("load") == name)


def number_of(what: Relocatable, section: str, symbol: str) -> int:
    return what.numbers(section, symbol)[0]


# --- bytes against the real kernel's ------------------------------------------------------------------------


@pytest.mark.core
@pytest.mark.parametrize("name", ["hello", "chain_a", "e1000"])
def test_a_moved_module_has_the_bytes_that_the_real_kernel_stored(name: str) -> None:
    """The recording has it elsewhere: the widget moves it there. Of sections that the kernel leaves alone."""
    what, truth = relocatable(name), recorded(name)
    core, end = truth["core"][0], sum(truth["core"])
    memory = bytes.fromhex(truth["memory"]["core"])
    assert what.load.module is not None
    bent, checked = Bent(move=core - what.load.module.base), 0
    for section in (".rodata", "__param", ".exit.text", "__bug_table", ".data"):
        for number in what.numbers(section) if section in what.sections else []:
            place = what.place(number)
            if "thunk" in place.symbol or place.symbol == "__fentry__" or "init" in place.symbol:
                continue  # patched afterwards, or in init memory, which lay elsewhere
            filled, log = fill(place, bent, name)
            assert core <= filled.P < end
            at = filled.P - core
            stored = memory[at : at + len(filled.after or b"")]
            assert (stored, log) == (filled.after, ()), f"{section}: {number} {place.symbol}"
            checked += 1
    assert checked >= {"hello": 60, "chain_a": 2, "e1000": 250}[name]


@pytest.mark.core
def test_what_is_said_of_an_overflow_is_what_a_load_down_there_says() -> None:
    """The same module really loaded where no module can be on x86-64: below the top 2 GiB."""
    what, move = relocatable("hello"), -2048 * MIB
    profile = copy.copy(KernelProfile.load("debian-6.1-amd64"))
    low, high = profile.module_area
    profile.module_area, profile.occupied = (low + move, high + move), ()
    kernel = Kernel(profile, cpu=None)
    load = kernel.load(sample("hello"))
    assert load.error is not None
    assert (load.error.errno, load.error.stage) == (8, "apply_relocations")
    said = tuple(record[3:] for record in kernel.dmesg if "overflow" in record or "mcmodel" in record)
    bent = Bent(move=move + low - what.load.module.base)  # type: ignore[union-attr] # nothing lies below it
    assert next(filter(None, (fill(what.place(n), bent, "hello")[1] for n in what.numbers()))) == said
    assert re.fullmatch(r"module: overflow in relocation type 11 val ffffffff4[0-9a-f]{7}", said[0])
    assert said[1] == "module: `hello' likely not compiled with -mcmodel=kernel"


@pytest.mark.core
def test_how_many_do_not_fit_counts_one_by_one() -> None:
    what = relocatable("e1000")
    for move in (0, -1024 * MIB, -1030 * MIB, -3000 * MIB):
        one_by_one = sum(bool(fill(what.place(n), Bent(move=move), "e1000")[1]) for n in what.numbers())
        assert what.refused_at(move) == one_by_one
    assert what.refused_at(0) == 0
    assert what.refused_at(-3000 * MIB) == what.kinds["R_X86_64_32S"] - fixed_32s(what)


def fixed_32s(what: Relocatable) -> int:
    """R_X86_64_32S of symbols that do not move: the kernel's own, or absolute ones."""
    places = map(what.place, what.numbers())
    return sum(place.type == TYPES["R_X86_64_32S"] and not place.own for place in places)


@pytest.mark.core
def test_a_pc_relative_overflow_is_told_by_nobody() -> None:
    """arch/x86/kernel/module.c:__apply_relocate_add has an overflow check for _32 and _32S only."""
    what = relocatable("hello")
    shown = answer(what, number_of(what, ".init.text", "_printk"), Bent(move=-4000 * MIB))
    assert shown.log == ()
    assert shown.filled.good is False
    assert "nobody checks" in shown.headline
    assert shown.filled.reads == shown.filled.S - 4 * GIB  # bit 31 is taken for the sign


@pytest.mark.core
def test_every_refusal_is_in_the_kernels_words() -> None:
    """arch/x86/kernel/module.c:__apply_relocate_add, its pr_err lines."""
    what = relocatable("hello")
    number = number_of(what, ".init.text", ".rodata")
    there = answer(what, number, Bent(there=True))
    assert re.fullmatch(
        r"module: x86/modules: Skipping invalid relocation target, existing value is nonzero for type 11, "
        r"loc [0-9a-f]{16}, val ffffffffc0[0-9a-f]{6}", there.log[0],
    )  # fmt: skip
    assert there.filled.after is None
    unknown = answer(what, number, Bent(type=TYPES["R_X86_64_GOTPCREL"]))
    assert unknown.log == ("module: hello: Unknown rela relocation: 9",)
    assert unknown.headline == "✗ ENOEXEC in apply_relocations"
    nothing = answer(what, number, Bent(type=TYPES["R_X86_64_NONE"]))
    assert nothing.headline == "✓ Nothing is stored"


# --- the views ----------------------------------------------------------------------------------------------


@pytest.mark.tool
@pytest.mark.parametrize("name", ["hello", "e1000"])
def test_the_table_is_readelfs(name: str, needs: Callable[[str], str]) -> None:
    lines = subprocess.run(
        [needs("readelf"), "-rW", str(sample(name))], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    entries = [line.split() for line in lines if re.match(r"[0-9a-f]{16} ", line)]
    view = relocations_of(ModuleFile(sample(name)), most=10**6)
    rows = [line.split() for line in view.text.splitlines()[2:]]
    assert len(rows) == len(entries)
    for number, (row, entry) in enumerate(zip(rows, entries, strict=True)):
        sign = "-" if "-" in entry[5:6] else "+"
        addend = int(entry[6], 16) if len(entry) > 6 else 0
        wanted = entry[4] + (f"{sign}{addend:#x}" if addend else "")
        assert [row[0], int(row[2], 16), row[3], row[4]] == [str(number), int(entry[0], 16), entry[2], wanted]


@pytest.mark.core
def test_a_long_table_is_cut_and_the_rest_is_counted() -> None:
    """hello.ko has 117 entries, 6 of them for .init.text: readelf -rW."""
    text = relocations_of(ModuleFile(sample("hello"))).text
    assert text.splitlines()[-1].split() == ["…", "77", "more"]
    assert "117 relocations: 101 64, 10 PC32, 4 PLT32, 2 32S" in relocations_of(file_of("hello")).description
    part = relocations_of(file_of("hello"), ".init.text")
    assert [line.split()[4] for line in part.text.splitlines()[2:]] == [
        "__fentry__-0x4", ".data+0x7c", ".data+0x74", ".rodata.str1.1", "_printk-0x4",
        "__x86_return_thunk-0x4",
    ]  # fmt: skip


@pytest.mark.core
def test_the_picture_says_s_a_p_and_the_bytes() -> None:
    """S from the booted kernel's /proc/kallsyms, A and the offset from readelf, P in a fresh kernel."""
    what = relocatable("hello")
    kallsyms = Kernel().read("/proc/kallsyms")
    found = re.search(r"^([0-9a-f]{16}) T _printk$", kallsyms, re.M)
    assert found is not None
    shown = answer(what, number_of(what, ".init.text", "_printk"), Bent())
    s, p = int(found[1], 16), what.load.module.all_sections  # type: ignore[union-attr]
    place = next(section.address for section in p if section.name == ".init.text") + 0x21
    stored = ((s - 4 - place) & 0xFFFFFFFF).to_bytes(4, "little").hex(" ")
    lines = shown.picture.text.splitlines()
    assert lines[1:4] == [f"S       {s:#x}  _printk", "A       -0x4", f"P       {place:#x}  .init.text+0x21"]
    assert f"after   {stored}" in lines
    assert f"read back {s:#x} = S" in lines
    root = ElementTree.fromstring(shown.picture.svg)
    drawn = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(byte in drawn for byte in stored.split())


@pytest.mark.core
@pytest.mark.parametrize(
    "bent",
    [Bent(), Bent(move=-4096 * MIB), Bent(move_symbol=1000 * MIB), Bent(there=True),
     *(Bent(type=number) for number in TYPES.values())],
)  # fmt: skip
def test_every_picture_is_sound(bent: Bent) -> None:
    for hidden in (True, False):
        shown = answer(relocatable("hello"), 3, bent, ask=hidden)
        root = ElementTree.fromstring(shown.picture.svg)
        assert root.get("role") == "img"
        assert shown.picture.text.startswith(shown.picture.title)


# --- guessing -----------------------------------------------------------------------------------------------


@pytest.mark.core
def test_nothing_gives_the_bytes_away_before_the_guess() -> None:
    what = relocatable("hello")
    open_, hidden = (answer(what, 4, Bent(), ask=ask) for ask in (False, True))
    assert open_.filled.after is not None
    for secret in (open_.filled.after.hex(" "), f"-{(1 << 64) - open_.filled.value:#x}"):
        assert secret in open_.text
        assert secret not in hidden.text
        assert secret not in hidden.picture.svg


@pytest.mark.core
def test_a_guess_is_judged_and_a_usual_mistake_is_named() -> None:
    what = relocatable("hello")
    number = number_of(what, ".init.text", "_printk")
    f = answer(what, number, Bent()).filled
    assert f.after is not None

    def judged(guess: str) -> str:
        return answer(what, number, Bent(), ask=True, guess=guess).judged

    assert judged(f.after.hex(" ")).startswith("✓ Right")
    assert judged(f"{f.S + f.A - f.P:#x}").startswith("✓ Right")
    assert "wrong order" in judged(f.after[::-1].hex())
    assert "addend A is missing" in judged(f"{f.S - f.P:#x}")
    assert "P is missing" in judged(f"{f.S + f.A:#x}")
    assert "byte 0 of 4" in judged("00 00 00 00")
    assert "you wrote 2" in judged("90 90")


@pytest.mark.core
def test_what_counts_as_a_guess() -> None:
    assert bytes_of("-0x4", 4) == bytes_of("fc ff ff ff", 4) == bytes_of("fcffffff", 4) == b"\xfc\xff\xff\xff"
    assert bytes_of("+12", 8) == (12).to_bytes(8, "little")
    for wrong in ("0x", "xyz", "f", "-", "0xzz"):
        with pytest.raises(ValueError, match=r"no number|no bytes"):
            judge_bytes(wrong, b"\0\0\0\0", {})


# --- the widget ---------------------------------------------------------------------------------------------


def lab_of(module: Any = "hello", **more: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import RelocationLab

    return RelocationLab(module, **more)


@pytest.mark.core
def test_it_is_driven_from_code_and_reset() -> None:
    lab = lab_of(ask=False)
    assert all(control.description for control in lab.controls.values())
    start = lab.text
    lab.controls["section"].value = ".exit.text"
    lab.controls["symbol"].value = "_printk"
    assert lab.shown.filled.place == ".exit.text+0xf"  # readelf -rW
    assert lab.kernel.modules["hello"].state == "LIVE"
    lab.controls["move"].value = -2048
    assert "✓" in lab.text
    assert "2 relocations of this module would not fit" in lab.text  # readelf: two of type 32S
    lab.reset()
    assert lab.text == start


@pytest.mark.core
def test_the_static_page_shows_the_bytes() -> None:
    lab = lab_of()
    assert "Write your guess" in lab.text
    page = lab.static()
    assert "Move the module by (MiB): 0" in page
    assert "after   4b 06 e7 c0" in page or "stored; read back, it gives S" in page
    assert "Write your guess" not in page
    assert "Write your guess" in lab._output.value, "the widget itself still asks"


@pytest.mark.core
@pytest.mark.parametrize(("control", "value", "words"), [
    ("symbol", "no such symbol", "no relocation here names a symbol with 'no such symbol'"),
    ("symbol", "\0", "no relocation here"),
    ("guess", "zz", "are no bytes"),
    ("number", 116, "relocation 116"),
    ("move", -4096, "would not fit"),
    ("move_symbol", 1000, "relocation 0"),
])  # fmt: skip
def test_wrong_input_is_told(control: str, value: Any, words: str) -> None:
    lab = lab_of(ask=control == "guess")
    lab.controls[control].value = value
    assert words in lab.text
    assert "Traceback" not in lab.text


@pytest.mark.core
def test_a_number_beyond_the_chosen_ones_shows_the_last() -> None:
    lab = lab_of(ask=False)
    lab.controls["section"].value = ".exit.text"
    lab.controls["number"].value = 50
    assert "Only 3 relocations of this kind: this is the last, number 2 of them" in lab.text  # readelf -rW


@pytest.mark.core
def test_a_module_that_is_refused_before_is_told() -> None:
    lab = lab_of("missing_symbol")
    assert "This cannot be tried" in lab.text
    assert "simplify_symbols" in lab.text
    with pytest.raises(ValueError, match="no sample"):
        lab_of("no_such_module")


@pytest.mark.core
def test_an_answer_on_a_real_driver_takes_a_few_milliseconds() -> None:
    lab = lab_of("e1000", ask=False)
    lab.controls["move"].value = -8
    begin = time.perf_counter()
    for step in range(20):
        lab.controls["move"].value = -16 - 8 * step
    assert (time.perf_counter() - begin) / 20 < 0.06


@pytest.mark.core
def test_the_static_page_tells_that_nothing_matches() -> None:
    shown = lab_of()
    shown.controls["symbol"].value = "no such symbol"
    assert "cannot be tried: no relocation here names a symbol with" in shown.static()
