# SPDX-License-Identifier: GPL-2.0-only
"""The first widget without a browser: its faults are told as the kernel would; wrong input never raises."""

from __future__ import annotations

import re
import time
from xml.etree import ElementTree

import pytest

from kmodsim import sample
from kmodsim.modulefile import ModuleFile
from kmodsim.widgets.attempt import attempt, providers
from kmodsim.widgets.faults import FAULTS

pytestmark = pytest.mark.core

ONE_BYTE = "one byte was changed on its way"
MODULES = ("hello", "minimal", "chain_c", "diamond_top", "no_exit", "no_init", "percpu", "missing_symbol",
           "crc16", "vfat", "ext4")  # fmt: skip

# label -> (errno, insmod's words, what the log must say), as the real kernel and kmod's insmod answer:
# kernel/module/main.c, signing.c, version.c; kmod 30 tools/insmod.c:mod_strerror
EXPECTED = {
    "the caller is not root": ("EPERM", "Operation not permitted", None),
    "the download stopped half-way": (
        "ENOEXEC", "Invalid module format", "Invalid ELF section header overflow"),
    "the file was built for an ARM machine": (
        "ENOEXEC", "Invalid module format", "Invalid architecture in ELF header: 183"),
    "it was built for a kernel configured otherwise": (
        "ENOEXEC", "Invalid module format",
        "hello: version magic '6.1.0-56-amd64 SMP mod_unload modversions ' should be "
        "'6.1.0-56-amd64 SMP preempt mod_unload modversions '"),
    "its idea of struct module is another one": (
        "ENOEXEC", "Invalid module format", "hello: disagrees about version of symbol module_layout"),
    "its idea of _printk is another one": (
        "EINVAL", "Invalid parameters", "hello: disagrees about version of symbol _printk"),
    "this kernel insists on signed modules": (
        "EKEYREJECTED", "Key was rejected by service", "Loading of unsigned module is rejected"),
    "it is on the kernel's blacklist": ("EPERM", "Operation not permitted", "Module hello is blacklisted"),
    "it is loaded already": ("EEXIST", "File exists", None),
    "init says that the hardware is not there": ("ENODEV", "No such device", None),
}  # fmt: skip


def test_every_fault_is_expected() -> None:
    assert {fault.label for fault in FAULTS} == {"nothing", ONE_BYTE, *EXPECTED}


def test_only_a_signature_notices_a_byte_that_nobody_reads() -> None:
    """kernel/module/signing.c:module_sig_check: a bad signature is refused, a missing one only taints."""
    unsigned, signed = attempt("hello", "", ONE_BYTE), attempt("crc16", "", ONE_BYTE)
    assert unsigned.error is None
    assert signed.headline == "✗ crc16 is not loaded: EKEYREJECTED in module_sig_check"
    assert attempt("crc16").error is None


@pytest.mark.parametrize("name", MODULES)
def test_every_module_offered_can_be_tried(name: str) -> None:
    tried = attempt(name, needs_first=True)
    assert (tried.error is None) == (name != "missing_symbol")


@pytest.mark.parametrize("label", EXPECTED)
def test_what_goes_wrong_is_told_in_the_kernels_words(label: str) -> None:
    errno, words, log = EXPECTED[label]
    tried = attempt("hello", "", label)
    assert tried.headline.startswith(f"✗ hello is not loaded: {errno} in ")
    lines = tried.terminal.splitlines()
    assert lines[1] == f"insmod: ERROR: could not insert module hello.ko: {words}"
    if log is not None:
        assert log in lines
    loaded = ["hello"] if label == "it is loaded already" else []
    assert list(tried.kernel.modules) == loaded


def test_without_a_fault_it_loads_and_the_parameter_has_its_value() -> None:
    tried = attempt("hello", 'howmany=7 whom="two words"')
    assert tried.headline == "✓ hello is loaded and LIVE"
    lines = tried.terminal.splitlines()
    assert lines[lines.index("# cat /sys/module/hello/parameters/howmany") + 1] == "7"
    assert lines[lines.index("# cat /sys/module/hello/parameters/whom") + 1] == "two words"
    assert re.fullmatch(
        r"hello \d+ 0 - Live 0xffffffffc0201000 \(OE\)", lines[lines.index("# cat /proc/modules") + 1]
    )


def test_what_a_module_needs_comes_in_the_order_of_depmod() -> None:
    assert providers(ModuleFile(sample("chain_c"))) == ["chain_a", "chain_b"]
    order = providers(ModuleFile(sample("diamond_top")))
    assert (order[0], set(order[1:])) == ("diamond_bottom", {"diamond_left", "diamond_right"})
    assert attempt("chain_c").error is not None
    assert attempt("chain_c", needs_first=True).error is None


def test_an_answer_takes_less_than_a_tenth_of_a_second() -> None:
    attempt("hello").html  # the profile is read once
    begin = time.perf_counter()
    for _ in range(5):
        attempt("hello", "howmany=3").html
    assert (time.perf_counter() - begin) / 5 < 0.1


def test_the_pictures_in_an_answer_are_sound() -> None:
    for view in attempt("hello").pictures:
        ElementTree.fromstring(view.svg)
        assert view.text in attempt("hello").text


# --- the widget ---------------------------------------------------------------------------------------------


def first_load() -> object:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import FirstLoad

    return FirstLoad()


def test_the_list_offers_what_was_tried_above() -> None:
    assert first_load().controls["module"].options == MODULES


def test_each_control_is_labelled_and_can_be_reset() -> None:
    lab = first_load()
    assert all(control.description for control in lab.controls.values())
    start = lab.text
    lab.controls["module"].value = "minimal"
    lab.controls["params"].value = "x=1"
    assert lab.text != start
    assert "minimal is loaded" in lab.text
    assert lab.attempt.kernel.modules["minimal"].state == "LIVE", "driven from code, looked at from code"
    lab.reset()
    assert lab.text == start
    assert lab.controls["module"].value == "hello"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "=",
        "howmany",
        "howmany=three",
        '"',
        "\0",
        "a=b\nc=d",
        "\udce4",
        "x" * 5000,
        "nö=ü",
        "-- rest",
        "a b=c",
    ],
)
def test_no_parameters_make_it_raise(text: str) -> None:
    lab = first_load()
    lab.controls["params"].value = text
    assert lab.text
    assert "Traceback" not in lab.text
    lab.controls["params"].value.encode("utf-8", "replace")


def test_the_static_twin_says_what_is_chosen_and_what_came_of_it() -> None:
    lab = first_load()
    lab.controls["fault"].value = "the caller is not root"
    page = lab.static()
    assert "What goes wrong: the caller is not root" in page
    assert "EPERM in may_init_module" in page
    assert "<svg" in page
    bundle = lab._repr_mimebundle_()
    assert bundle["text/html"] == page
    assert bundle["text/plain"] == lab.text
    assert "application/vnd.jupyter.widget-view+json" in bundle
