# SPDX-License-Identifier: GPL-2.0-only
"""The labs on a real driver of Debian, e1000e: answers are right, come at once, and take little memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.tree

SHOW = "no guess, show me"
# a lab, a control, values for it, what the answer begins with for each of them; the real kernel loads e1000e
# (truth/coming-all) into 77 pages of core and 17 of init
LABS = (
    ("ElfLab", "value", ("62", "183"), ("✓ e1000e is loaded", "✗ e1000e is refused: ENOEXEC")),
    ("CopyLab", "holes", ("", "163"), ("✓ e1000e is loaded", "✗ e1000e is refused: EFAULT")),
    ("LayoutLab", "extra", ("", ".init.mine"), ("94 pages: core 77 pages", "94 pages: core 77 pages")),
    ("SymbolLab", "crc", ("as in the file", "another one"), ("__udelay: an address", "__udelay: EINVAL")),
)


def made(name: str) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    import kmodsim.widgets

    lab = getattr(kmodsim.widgets, name)("e1000e")
    lab.controls["guess"].value = SHOW
    if "symbol" in lab.controls:
        lab.controls["symbol"].value = "__udelay"
    return lab


@pytest.mark.parametrize(("name", "control", "values", "begins"), LABS)
def test_it_answers_rightly_and_at_once(
    tree: object, name: str, control: str, values: tuple[str, ...], begins: tuple[str, ...]
) -> None:
    lab, spent = made(name), []
    for value, words in zip(values * 5, begins * 5, strict=True):
        begin = time.perf_counter()
        lab.controls[control].value = value
        spent.append(time.perf_counter() - begin)
        assert lab.text.startswith(words)
    assert sorted(spent)[len(spent) // 2] < 0.15  # 5 ms on a quiet machine


def test_all_of_them_in_one_process_stay_small(tree: object) -> None:
    """The limit for a notebook's kernel is 400 MB; Jupyter's own part of it is about 80 MB. The peak is
    read from /proc: getrusage keeps what the process had before its exec (fs/exec.c, exec_mmap), pytest's.
    """
    status = Path("/proc/self/status")
    if "VmHWM" not in status.read_text():
        pytest.skip("needs Linux's /proc/self/status")
    program = (
        "import kmodsim.widgets as w\n"
        f"labs = [getattr(w, name)('e1000e') for name in {[row[0] for row in LABS]}] + [w.BreakLab()]\n"
        f"for lab in labs[:-1]: lab.controls['guess'].value = {SHOW!r}\n"
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(out.stdout) < 300 * 1024
