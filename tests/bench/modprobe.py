# SPDX-License-Identifier: GPL-2.0-only
"""modprobe beside kmod's: a plan for each of many modules, in this process and as a program of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from kmodsim import Kernel, corpus
from kmodsim.userland.modprobe import Machine, plan

PLAN = "modprobe: the slowest plan"
EVERY = 20  # of the 4,023 names
NO_TREE = "plans of modprobe not measured: they need the distribution's modules and depmod"
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def indexed(tree: Path, root: Path, depmod: str) -> Path:
    """``root``/lib/modules/RELEASE: links to the modules, indexes by the real depmod."""
    folder = root / "lib" / "modules" / corpus.RELEASE
    folder.mkdir(parents=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(tree / name, folder)
    (folder / "kernel").symlink_to(tree / "kernel")
    subprocess.run([depmod, "-b", str(root), corpus.RELEASE], check=True)
    return folder


def seconds(command: list[str]) -> float:
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - start


def bench_modprobe(rounds: int, found: dict[str, float]) -> Iterator[str]:
    """Each plan starts anew: it opens the indexes and reads the configuration, as the tool does."""
    tree = corpus.tree()
    depmod, modprobe = (shutil.which(tool, path=SYSTEM_PATH) for tool in ("depmod", "modprobe"))
    if tree is None or depmod is None:
        yield NO_TREE
        return
    with tempfile.TemporaryDirectory(prefix="kmodsim-bench-") as name:
        folder = indexed(tree, Path(name), depmod)
        kernel, machine, times = Kernel(cpu=None), Machine(str(folder)), []
        for module in [*sorted(corpus.index())[::EVERY], "snd_hda_intel", "amdgpu", "btrfs"]:
            start = perf_counter()
            plan(module, kernel, options=["-D"], machine=machine)
            times.append(1e3 * (perf_counter() - start))
        found[PLAN] = max(times)
        middle, most = median(times), max(times)
        yield f"modprobe: {len(times)} plans in this process, ms: median {middle:.2f}, most {most:.2f}"
        words = ["-d", name, "-S", corpus.RELEASE, "-C", "/dev/null", "-D", "snd-hda-intel"]
        mine = [sys.executable, "-m", "kmodsim", "-q", "modprobe", *words]
        if modprobe is None:
            return
        pairs = [(seconds(mine), seconds([modprobe, *words])) for _ in range(rounds)]
        ours, theirs = (1e3 * median(column) for column in zip(*pairs, strict=True))
        yield f"as programs: kmodsim modprobe -D {ours:.0f} ms, modprobe -D {theirs:.1f} ms"
