# SPDX-License-Identifier: GPL-2.0-only
"""Modules of the distribution run under the policy "typed": all of them, and what some of them register."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmodsim import Kernel, corpus, sample

from .survey.page import page, returned
from .survey.run import run

pytest.importorskip("unicorn", reason="needs unicorn (the extra exec)")


@pytest.mark.tree
def test_nearly_all_init_functions_return(tree: Path) -> None:
    """98 % of the 3,556, and no exception of Python's own. The page in docs/ is this run's."""
    survey = run()
    share, strange = returned(survey)
    assert sum(bool(outcome.end) for outcome in survey.outcomes) == 3556
    assert strange == 0
    assert share >= 0.98
    written = (Path(__file__).parent.parent / "docs" / "running.md").read_text()
    assert page(survey) == written, "docs/running.md is of another time: make survey"


def loaded(name: str) -> Kernel:
    """The module and all it depends on, among those that come along."""
    kernel = Kernel(cpu="typed")

    def load(each: str) -> None:
        for needed in corpus.index()[each].depends:
            if needed not in kernel.modules:
                load(needed)
        kernel.finit_module(sample(each))

    load(name)
    return kernel


# from the modules' sources: drivers/net/ethernet/intel/e1000/e1000_main.c, fs/ext4/super.c,
# fs/fat/namei_vfat.c, drivers/net/dummy.c, fs/nls/nls_cp437.c
@pytest.mark.core
@pytest.mark.parametrize(
    ("name", "kind", "names"),
    [
        ("e1000", "PCI driver", ["e1000"]),
        ("ext4", "file system", ["ext3", "ext2", "ext4"]),
        ("vfat", "file system", ["vfat"]),
        ("dummy", "link kind", ["dummy"]),
        ("nls_cp437", "character set", ["cp437"]),
    ],
)
def test_what_a_module_registers(name: str, kind: str, names: list[str]) -> None:
    kernel = loaded(name)
    found = [each for each in kernel.cpu.registered if each.module == name and each.kind == kind]
    assert sorted(each.name for each in found) == sorted(names)
    assert all(kernel.modules[name].base <= each.address for each in found)
    kernel.delete_module(name)
    assert [each for each in kernel.cpu.registered if each.module == name] == []
    assert [leak.what for leak in kernel.cpu.leaks.left.get(name, [])] == []


@pytest.mark.core
def test_stand_ins_are_counted_and_marked() -> None:
    """loop calls __register_blkdev, which is not implemented: prototype ``int``, so the answer is 0."""
    kernel = Kernel(cpu="typed")
    kernel.finit_module(sample("loop"))
    assert kernel.cpu.stubbed["__register_blkdev"] == 1
    call = next(call for call in kernel.calls if call.name == "__register_blkdev")
    assert (call.stubbed, call.result) == (True, 0)
    assert str(kernel.profile.prototypes["__register_blkdev"]).startswith("int ")
    assert not any(call.stubbed for call in kernel.calls if call.name == "misc_register")
