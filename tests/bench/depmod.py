# SPDX-License-Identifier: GPL-2.0-only
"""depmod beside kmod's over the whole tree: both as programs, in turns, each into a tree of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from time import perf_counter

from kmodsim import corpus
from kmodsim.userland.depmod import FILES, read_tree

from .modprobe import SYSTEM_PATH, seconds

AS_LONG = "depmod / kmod's depmod"
NO_TREE = "depmod not measured: needs the distribution's modules and depmod"
LINKS = ("kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo")


def linked(tree: Path, root: Path) -> Path:
    folder = root / "lib" / "modules" / corpus.RELEASE
    folder.mkdir(parents=True)
    for name in LINKS:
        (folder / name).symlink_to(tree / name)
    return folder


def bench_depmod(rounds: int, found: dict[str, float]) -> Iterator[str]:
    """One run of each to warm up, then ``rounds`` pairs; at the end the files are compared."""
    tree, depmod = corpus.tree(), shutil.which("depmod", path=SYSTEM_PATH)
    if tree is None or depmod is None:
        yield NO_TREE
        return
    with tempfile.TemporaryDirectory(prefix="kmodsim-bench-") as name:
        roots = [Path(name, "mine"), Path(name, "real")]
        folders = [linked(tree, root) for root in roots]
        mine = [sys.executable, "-m", "kmodsim", "depmod", "-b", str(roots[0]), corpus.RELEASE]
        real = [depmod, "-b", str(roots[1]), corpus.RELEASE]
        pairs = [(seconds(mine), seconds(real)) for _ in range(rounds + 1)][1:]
        ours, theirs = (median(column) for column in zip(*pairs, strict=True))
        found[AS_LONG] = ours / theirs
        yield f"depmod, whole tree, as programs: kmodsim {1e3 * ours:.0f} ms, kmod {1e3 * theirs:.0f} ms"
        start = perf_counter()
        result = read_tree(folders[0])
        read = perf_counter()
        for make in FILES.values():
            make(result)
        reading, making = read - start, perf_counter() - read
        yield f"in this process: reading {1e3 * reading:.0f} ms, making the files {1e3 * making:.0f} ms"
        same = sum((folders[0] / file).read_bytes() == (folders[1] / file).read_bytes() for file in FILES)
        yield f"{same} of {len(FILES)} files are the same, byte for byte"
