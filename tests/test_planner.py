# SPDX-License-Identifier: GPL-2.0-only
"""modprobe on the whole tree from the index alone, and the widget around it, as kmod's own tools answer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from kmodsim import Kernel, sample
from kmodsim.corpus import RELEASE
from kmodsim.userland.modprobe import Machine, run, whole
from kmodsim.views.plan import PlanLine, modprobe_plan
from kmodsim.widgets.guessing import NOT_YET, SHOW
from kmodsim.widgets.planning import CARD, CONFIG_FILE, EXAMPLES, GUESSES, loaded, planned
from tests.test_depmod_tree import linked

SOUND = ("soundcore", "snd", "snd_timer", "snd_pcm", "snd_hwdep", "snd_hda_core", "snd_hda_codec",
         "snd_intel_sdw_acpi", "snd_intel_dspcfg", "snd_hda_intel")  # fmt: skip
REFUSED = (
    "modprobe: ERROR: ../libkmod/libkmod-module.c:1047 command_do() Error running install command "
    "'/bin/false' for module e1000e: retcode 1\n"
    "modprobe: ERROR: could not insert 'e1000e': Invalid argument\n"
)


def actions(plan: Any) -> list[tuple[str, str]]:
    return [(step.action, step.module) for step in plan.steps]


# --- as the real tools have it ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(tree: Path, needs: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """…/lib/modules/RELEASE below it, with the real depmod's files."""
    root = tmp_path_factory.mktemp("whole")
    linked(tree, root)
    subprocess.run([needs("depmod"), "-b", str(root), RELEASE], check=True)
    return root


@pytest.mark.tree
def test_the_indexes_are_depmods_byte_for_byte(root: Path) -> None:
    made = whole.indexes()
    assert len(made) == 6
    for path, data in made.items():
        assert data == (root / path[1:]).read_bytes(), path


@pytest.mark.tree
def test_the_file_of_orders_made_again_is_the_same_bytes(root: Path) -> None:
    assert whole.make_order(root / whole.FOLDER[1:]) == whole.ORDER_FILE.read_bytes()


@pytest.mark.tree
@pytest.mark.parametrize("example", [e for e in EXAMPLES if not e.loaded], ids=lambda e: e.label)
def test_an_example_is_answered_as_by_modprobe(
    example: Any, root: Path, needs: Callable[[str], str], tmp_path: Path
) -> None:
    """With -n, so that nothing is loaded; paths below the folder in which the test has its tree."""
    config = tmp_path / "yours.conf"
    config.write_text(example.config)
    words = [*example.options.split(), "-n", example.word, *example.params.split()]
    argv = ["modprobe", "-d", str(root), "-S", RELEASE, "-C", str(config), *words]
    real = subprocess.run(
        argv, executable=needs("modprobe"), capture_output=True, text=True, timeout=60,
        env={k: v for k, v in os.environ.items() if k != "MODPROBE_OPTIONS"},
    )  # fmt: skip
    cmdline = Path("/proc/cmdline").read_text()
    mine = planned(example.word, f"{example.options} -n", example.params, example.config, cmdline=cmdline)
    same = {str(config): CONFIG_FILE, f"{root}{whole.FOLDER}": whole.FOLDER}
    out, err = real.stdout, real.stderr
    for here, there in same.items():
        out, err = out.replace(here, there), err.replace(here, there)
    assert (mine.result.stdout, mine.result.stderr, mine.result.status) == (out, err, real.returncode)


# --- without any tool: as kmod 30 was seen to answer --------------------------------------------------------


@pytest.mark.core
def test_a_driver_comes_with_what_it_needs_in_depmods_order() -> None:
    plan = planned("snd-hda-intel")
    assert actions(plan) == [("insmod", name) for name in SOUND]
    assert plan.result.stdout == "" and plan.verbose.count("\n") == 10, "modprobe itself says nothing"
    assert plan.terminal.splitlines()[1] == "(modprobe says nothing)"
    kernel = Kernel(cpu=None)
    assert not run(kernel, ["modprobe", "-D", "snd-hda-intel"], machine=whole.machine()).stderr
    assert not kernel.modules


@pytest.mark.core
def test_a_blacklist_counts_for_an_alias_and_not_for_a_name() -> None:
    """modprobe.d(5): "the modules listed are not loaded by their aliases"."""
    line = "blacklist e1000e\n"
    by_alias, by_name = planned(CARD, "-b", "", line), planned("e1000e", "", "", line)
    assert actions(by_alias) == [("nothing", "e1000e")] and by_alias.result.status == 0
    assert "yours.conf line 1" in by_alias.text and by_alias.is_quiet
    assert actions(by_name) == [("insmod", "e1000e")]


@pytest.mark.core
def test_install_false_is_refused_in_modprobes_words() -> None:
    plan = planned("e1000e", config="install e1000e /bin/false\n")
    assert (plan.result.stderr, plan.result.status) == (REFUSED, 1)
    assert plan.headline == "✗ nothing is loaded or unloaded; exit status 1"
    assert "install ✗  e1000e" in plan.pictures[0].text


@pytest.mark.core
def test_wrong_lines_are_told_in_libkmods_words_and_the_rest_counts() -> None:
    plan = planned("dummy", config="blocklist dummy\noptions\noptions dummy numdummies=2\n")
    said = plan.result.stderr.splitlines()
    where = f"libkmod: ERROR ../libkmod/libkmod-config.c:712 kmod_config_parse: {CONFIG_FILE} line"
    assert said == [f"{where} 1: ignoring bad line starting with 'blocklist'",
                    f"{where} 2: ignoring bad line starting with 'options'"]  # fmt: skip
    assert plan.steps[0].arguments == "numdummies=2 "


@pytest.mark.core
def test_what_is_loaded_already_counts() -> None:
    there = loaded("vfat ext4:1")
    assert (there.users("fat"), there.users("jbd2")) == (["vfat"], ["ext4"])
    counts = [there.read(f"/sys/module/{name}/refcnt") for name in ("fat", "vfat", "ext4")]
    assert counts == ["1\n", "0\n", "1\n"]
    assert actions(planned("vfat", "-r", kernel=there)) == [("rmmod", "vfat"), ("rmmod", "fat")]
    used = planned("ext4", "-r", kernel=there)
    assert used.result.stderr == "modprobe: FATAL: Module ext4 is in use.\n"
    first = planned("fat", "--first-time", kernel=there)
    assert first.result.stderr == "modprobe: ERROR: could not insert 'fat': Module already in kernel\n"


@pytest.mark.core
def test_a_module_that_two_aliases_pull_in_is_inserted_once() -> None:
    """The second time it is in the kernel (libkmod-module.c:kmod_module_probe_insert_module)."""
    plan = planned("hid:b0003g0001v0000046Dp0000C52B", "-v")
    assert plan.result.stdout.count("/hid.ko") == 1
    assert actions(plan).count(("nothing", "hid")) == 1
    shown = planned("hid:b0003g0001v0000046Dp0000C52B", "-D")
    assert shown.result.stdout.count("/hid.ko") == 2, "with -D nothing is looked at"


@pytest.mark.core
@pytest.mark.parametrize(
    ("words", "complaint"),
    [("ext4 no_such", "no module 'no_such'"), ("ext4:x", "a number"), ("ext4:²", "a number")],
)
def test_a_name_that_is_none_is_told(words: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        loaded(words)


@pytest.mark.core
def test_no_file_of_the_host_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "x.conf").write_text("blacklist e1000e\n")
    plan = planned("e1000e", f"-b -C {tmp_path}/x.conf")
    assert actions(plan) == [("insmod", "e1000e")]
    assert whole.machine().files is not None and Machine().files is None


@pytest.mark.core
def test_the_picture_says_what_the_text_says() -> None:
    lines = [PlanLine("insmod", "fat", "kernel/fs/fat/fat.ko", "dependency of vfat"),
             PlanLine("insmod", "vfat", "kernel/fs/fat/vfat.ko", "named so", (("utf8=1", "x.conf line 2"),)),
             ]  # fmt: skip
    view = modprobe_plan(lines, {"vfat": ("fat",)}, "A plan")
    rows = [line.split() for line in view.text.splitlines()[1:]]
    assert rows[1][:5] == ["1", "insmod", "fat", "-", "dependency"]
    assert rows[2][:5] == ["2", "insmod", "vfat", "fat", "named"]
    assert rows[3] == ["options", "utf8=1", "(from", "x.conf", "line", "2)"]
    assert "1 dependency between them" in view.description
    picture = "".join(ElementTree.fromstring(view.svg).itertext())
    for words in ("1 insmod", "2 insmod", "vfat", "dependency of vfat", "options utf8=1"):
        assert words in picture


# --- the widget ---------------------------------------------------------------------------------------------


def planner(**arguments: Any) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    from kmodsim.widgets import PlannerLab

    return PlannerLab(**arguments)


@pytest.mark.core
def test_an_example_fills_the_controls_with_one_answer() -> None:
    lab = planner()
    answers = []
    lab._output.observe(lambda change: answers.append(change["new"]), "value")
    for example in EXAMPLES:
        answers.clear()
        lab.controls["example"].value = example.label
        assert lab.controls["config"].value == example.config
        assert len(answers) <= 1
        assert lab.planned.argv[0] == "modprobe" and example.word in lab.planned.argv


@pytest.mark.core
def test_a_guess_is_made_before_the_answer_is_seen() -> None:
    lab = planner(word="vfat")
    assert list(lab.controls["guess"].options) == [NOT_YET, *GUESSES, SHOW]
    lab.controls["guess"].value = NOT_YET
    assert "fat.ko" not in lab.text and "What will it do?" in lab.text
    lab.controls["guess"].value = "it loads several files"
    assert lab.text.startswith("✓ Right") and "fat.ko" in lab.text
    lab.controls["guess"].value = "it loads one file"
    assert lab.text.startswith("✗ Not so")


@pytest.mark.core
def test_it_plans_on_a_kernel_of_yours() -> None:
    kernel = Kernel(cpu=None)
    for name in ("fat", "vfat"):
        kernel.load(sample(name), trace=False)
    lab = planner(word="vfat", kernel=kernel)
    lab.controls["options"].value = "-r"
    assert actions(lab.planned) == [("rmmod", "vfat"), ("rmmod", "fat")]
    assert set(kernel.modules) == {"fat", "vfat"}, "a plan changes nothing"
    assert "loaded" not in lab.controls
