# SPDX-License-Identifier: GPL-2.0-only
"""LayoutLab: untouched modules lie where the real kernel put them; changes as layout_sections places them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kmodsim import ModuleFile, corpus, sample
from kmodsim.views.file_to_memory import Part, Way, file_to_memory, waste
from kmodsim.widgets.guessing import NOT_YET, SHOW
from kmodsim.widgets.placing import FLAGS, Change, Extra, Placed, Prepared, guess_of, page_of

from .pictures import assert_sound
from .realkernel.coming import FILES as COMING
from .realkernel.observer.truth import load as coming_truth
from .realkernel.replay import recorded

SAMPLES = "samples-6.1.json"
MODULES = ("hello", "minimal", "chain_a", "percpu", "tables", "no_init")


def prepared(module: str = "hello") -> Prepared:
    return Prepared(ModuleFile(sample(module)))


def place(change: Change | None = None, extra: Extra | None = None, module: str = "hello") -> Placed:
    return prepared(module).place(change or Change(), extra or Extra())


def number(name: str, module: str = "hello") -> int:
    return next(s.index for s in prepared(module).sections if s.name == name)


def where(placed: Placed) -> dict[str, tuple[str, int]]:
    return {way.name: (way.part, way.offset) for way in placed.ways}


def sysfs(module: str) -> dict[str, str]:
    """What the real kernel showed of a sample that was the only module (/sys/module/NAME/…)."""
    for boot in ("alone", *_boots()):
        try:
            steps = recorded(SAMPLES, boot, f"alone/{module}")["steps"]
        except (KeyError, StopIteration):
            continue
        files = next(step["answer"]["files"] for step in steps if step["call"]["op"] == "snapshot")
        return {path.removeprefix(f"/sys/module/{module}/"): text for path, text in files.items()}
    raise AssertionError(f"{module} was not recorded alone")


def _boots() -> list[str]:
    from .realkernel.replay import truth

    return list(truth(SAMPLES)["boots"])


@pytest.mark.core
@pytest.mark.parametrize("module", MODULES)
def test_sections_lie_where_the_real_kernel_put_them(module: str) -> None:
    """Each sample was the only module of its boot's list when it was looked at."""
    shown = sysfs(module)
    addresses = {
        k.removeprefix("sections/"): int(v, 16) for k, v in shown.items() if k.startswith("sections/")
    }
    found = place(module=module)
    base = {part.name: part.base for part in found.parts}
    ways = {w.name: base[w.part] + w.offset for w in found.ways if w.size and not w.name.startswith("(")}
    assert ways.keys() <= addresses.keys()
    moved = {addresses[name] - address for name, address in ways.items()}
    assert moved == {0}
    assert int(shown["coresize"]) == found.parts[0].size


@pytest.mark.core
def test_a_group_begins_on_a_page_of_its_own() -> None:
    """kernel/module/main.c:layout_sections: debug_align after each pass."""
    found = place()
    starts: dict[str, int] = {}
    for way in found.ways:
        if way.part == "core":
            starts[way.group] = min(way.offset, starts.get(way.group, way.offset))
    assert starts == {"code": 0, "rodata": 0x1000, "data": 0x2000, "plain": 0x3000}


@pytest.mark.core
def test_a_larger_section_moves_those_behind_it() -> None:
    """.data is 132 bytes at +0x2000 (recorded); .exit.data, aligned to 8, follows it, then struct module."""
    wider = where(place(Change(number(".data"), size=140)))
    assert wider[".exit.data"] == ("core", 0x2090)
    page = place(Change(number(".data"), size=0x1000))
    assert where(page)[".exit.data"] == ("core", 0x3000)
    assert page.pages == place().pages + 1
    assert guess_of(page, place()) == "one page more"


@pytest.mark.core
def test_alignment_is_a_mask_and_may_be_no_power_of_two() -> None:
    """include/linux/align.h: ALIGN(x, a) is (x + a - 1) & ~(a - 1); 0x2084 with 3 is 0x2086 & ~2 = 0x2084."""
    assert where(place(Change(number(".exit.data"), align=4096)))[".exit.data"] == ("core", 0x3000)
    assert where(place(Change(number(".exit.data"), align=3)))[".exit.data"] == ("core", 0x2084)


@pytest.mark.core
def test_flags_choose_the_group() -> None:
    data = number(".data")
    assert {w.name: w.group for w in place(Change(data, flags=FLAGS["A"])).ways}[".data"] == "rodata"
    assert {w.name: w.group for w in place(Change(data, flags=FLAGS["AX"])).ways}[".data"] == "code"
    gone = place(Change(data, flags=0))
    assert ".data" not in where(gone)
    assert gone.left_out == place().left_out + 1


@pytest.mark.core
def test_writable_code_is_refused_in_the_kernels_words() -> None:
    """As recorded for hello: write-exec/write_exec_data."""
    from .recorded import answered

    found = place(Change(number(".data"), flags=FLAGS["WAX"]))
    assert found.error is not None and found.error.stage == "module_enforce_rwx_sections"
    assert found.kernel.dmesg == answered("write-exec/write_exec_data").log
    assert "refused: ENOEXEC in module_enforce_rwx_sections" in page_of(found, place()).answer()[1]
    assert guess_of(found, place()) == "refused"


@pytest.mark.core
@pytest.mark.parametrize(
    ("name", "flags", "part", "group"),
    [(".data.mine", "WA", "core", "data"), (".init.mine", "WA", "init", "data"),
     (".rodata.mine", "A", "core", "rodata"), (".exit.mine", "AX", "core", "code"),
     (".data..ro_after_init", "WA", "core", "roafter"), ("mine.init", "A", "core", "rodata")],
)  # fmt: skip
def test_one_more_section_goes_where_name_and_flags_say(name: str, flags: str, part: str, group: str) -> None:
    """Only a name that begins with .init goes to init (module_init_section); .exit stays."""
    found = {way.name: way for way in place(extra=Extra(name, 100, 16, FLAGS[flags])).ways}[name]
    assert (found.part, found.group, found.size, found.offset % 16) == (part, group, 100, 0)


@pytest.mark.core
def test_the_text_twin_has_file_and_memory_of_every_section() -> None:
    """File offsets and sizes: readelf -S hello.ko; addresses as recorded."""
    text = place().views[0].text
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.startswith((".", "_"))}
    assert rows[".data"][1:6] == ["0xe40", "132", "core", "0x2000", "ffffffffc0203000"]
    assert rows[".init.text"][1:6] == ["0xa0", "47", "init", "0x0", "ffffffffc0206000"]
    assert rows[".bss"][1:4] == ["-", "14", "core"]
    assert rows[".gnu.linkonce.this_module"][6] == "64"
    assert "16 sections not loaded" in text


@pytest.mark.core
def test_padding_is_what_no_section_takes() -> None:
    part = Part("core", 0x1000, 8192)
    ways = [Way(".text", 64, 100, "core", 0, "code"), Way(".data", None, 28, "core", 4096, "data", 32)]
    assert waste(ways, part) == 8192 - 128
    view = file_to_memory(ways, [part], "two sections", left_out=3, mark=".data")
    assert_sound(view)
    assert view.description == "core: 2 sections in 2 pages, 7.9 KiB of them padding."


@pytest.mark.core
def test_the_pictures_are_sound() -> None:
    for module in ("hello", "ext4"):
        for view in place(module=module).views:
            assert_sound(view)
    assert_sound(file_to_memory([], [], "nothing"))


def recorded_sizes(modules: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Bytes of core and init that the real kernel allocated for these modules (truth/coming-all)."""
    boots = coming_truth(COMING["all"])["boots"].values()
    steps = [step for boot in boots for step in boot if step.get("load") in modules]
    return {step["load"]: (step["core"][1], step["init"][1] if step["init"] else 0) for step in steps}


def sizes(module: str) -> tuple[int, int]:
    found = place(module=module)
    return found.parts[0].size, sum(part.size for part in found.parts[1:])


@pytest.mark.core
def test_debians_modules_take_what_they_took_on_the_real_kernel() -> None:
    modules = list(corpus.distribution())
    recorded = recorded_sizes(modules)
    assert len(recorded) >= 15
    assert {module: sizes(module) for module in recorded} == recorded


@pytest.mark.tree
def test_large_modules_take_what_they_took_on_the_real_kernel(tree: object) -> None:
    modules = ["e1000e", "amdgpu", "xfs", "kvm"]
    recorded = recorded_sizes(modules)
    assert recorded["e1000e"] == (77 * 4096, 17 * 4096)
    assert {module: sizes(module) for module in modules} == recorded


# --- the widget ---------------------------------------------------------------------------------------------


@pytest.mark.core
def test_it_is_driven_from_code() -> None:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import LayoutLab

    lab = LayoutLab("hello")
    start = lab.text
    assert start.startswith("8 pages: core 4 pages")
    lab.controls["size"].value = 4096
    assert lab.text.startswith("9 pages: core 5 pages")
    assert lab.placed.pages == 9
    lab.controls["section"].value = number(".init.data")
    assert lab.controls["size"].value == 8, "another section comes with its own size"
    assert lab.text.startswith("8 pages")
    lab.controls["extra"].value = ".init.mine"
    assert ".init.mine" in lab.text
    lab.controls["extra"].value = "\0"
    assert "can be printed" in lab.text
    lab.reset()
    assert lab.text == start and "<svg" in lab.static()


@pytest.mark.core
def test_who_wants_to_be_asked_is_asked() -> None:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import LayoutLab

    lab = LayoutLab("hello")
    lab.controls["guess"].value = NOT_YET
    lab.controls["size"].value = 4096
    assert "Choose what you expect" in lab.text and "9 pages" not in lab.text
    lab.controls["guess"].value = "one page more"
    assert "Right, as you expected: one page more." in lab.text
    lab.controls["size"].value = 132
    assert lab.controls["guess"].value == NOT_YET
    lab.controls["guess"].value = SHOW
    assert lab.text.startswith("8 pages")


@pytest.mark.core
@pytest.mark.parametrize("length", [0, 4, 63, 64, 8000])
def test_a_broken_file_is_told_in_the_kernels_words(length: int) -> None:
    """As recorded for 63 and 64 bytes of hello, and for a file cut short."""
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import LayoutLab

    lab = LayoutLab(sample("hello").read_bytes()[:length])
    words = f"Invalid ELF header len {length}" if length < 64 else "Invalid ELF section header overflow"
    assert words in lab.text and "refused: ENOEXEC in elf_validity_check" in lab.text
    lab.controls["size"].value = 100
    assert words in lab.text
