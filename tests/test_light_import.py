# SPDX-License-Identifier: GPL-2.0-only
"""`import kmodsim` stays light: it loads nothing heavy and is quick, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

HEAVY = (
    "numpy", "matplotlib", "ipywidgets", "IPython", "elftools", "cryptography", "pyasn1", "zstandard",
    "graphviz", "unicorn", "capstone", "lief", "argparse", "subprocess", "json",
)  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that the statement adds to a fresh interpreter's."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in done.stdout.split()}


@pytest.mark.core
def test_import_loads_nothing_heavy() -> None:
    loaded = loaded_by("import kmodsim")
    assert "kmodsim" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.core
def test_error_numbers_need_no_numpy() -> None:
    loaded = loaded_by("import kmodsim; kmodsim.EKEYREJECTED, kmodsim.O_TRUNC, kmodsim.KernelError")
    assert "kmodsim" in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.core
def test_loading_a_module_needs_no_faces() -> None:
    """The core computes; pictures, widgets and notebooks are outer rings (design: pure core, thin faces)."""
    loaded = loaded_by(
        "import kmodsim; k = kmodsim.Kernel(); k.insmod(kmodsim.sample('hello')); k.rmmod('hello')"
    )
    assert "numpy" in loaded
    assert not loaded & {"matplotlib", "ipywidgets", "IPython", "graphviz", "lief"}


@pytest.mark.bench
def test_import_is_quick() -> None:
    """Under 0.2 s more than an interpreter that imports nothing; the best of five, on a busy machine too."""

    def seconds(statement: str) -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True, timeout=60)
        return time.perf_counter() - start

    bare = min(seconds("pass") for _ in range(5))
    assert min(seconds("import kmodsim") for _ in range(5)) - bare < 0.2
