# SPDX-License-Identifier: GPL-2.0-only
"""Makes the indexes in ``kmodsim/data``: modprobe's view of the modules that come along.

``make sample-index`` needs depmod and the distribution's tree (KMODSIM_TREE), whose list of built-in modules
goes in.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .corpus import DATA, DISTRIBUTION, RELEASE, SAMPLES, tree

MADE = ("modules.dep.bin", "modules.alias.bin", "modules.symbols.bin", "modules.builtin.bin",
        "modules.builtin.alias.bin", "modules.softdep", "modules.dep",
        "modules.builtin.modinfo")  # fmt: skip
BUILTIN = ("modules.builtin", "modules.builtin.modinfo")
# depmod takes the last module that exports a symbol; the samples that exist to collide must not be it
FIRST = ("duplicate_export", "weak_symbol")


def build(target: Path, whole: Path, depmod: str) -> None:
    """Write the indexes of ``MADE`` into ``target``; ``whole`` is the tree with the lists of ``BUILTIN``."""
    with tempfile.TemporaryDirectory(prefix="kmodsim-index-") as name:
        folder = lay_out(Path(name), whole, depmod)
        for file in MADE:
            shutil.copyfile(folder / file, target / file)


def lay_out(root: Path, whole: Path, depmod: str) -> Path:
    """The folder lib/modules/RELEASE below ``root``, with the modules that come along and all that depmod
    writes."""
    folder = root / "lib" / "modules" / RELEASE
    paths = [*SAMPLES.glob("*.ko"), *DISTRIBUTION.glob("*.ko")]
    paths.sort(key=lambda path: (path.stem not in FIRST, path.relative_to(DATA).as_posix()))
    for path in paths:
        copy = folder / path.relative_to(DATA)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    order = "".join(f"{path.relative_to(DATA).as_posix()}\n" for path in paths)
    (folder / "modules.order").write_text(order, encoding="ascii")
    for file in BUILTIN:
        shutil.copyfile(whole / file, folder / file)
    subprocess.run([depmod, "-b", str(root), RELEASE], check=True)
    return folder


def main() -> int:
    whole, depmod = tree(), shutil.which("depmod", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if whole is None or depmod is None:
        print("kmodsim: needs depmod and KMODSIM_TREE", file=sys.stderr)
        return 1
    build(DATA, whole, depmod)
    return 0


if __name__ == "__main__":
    sys.exit(main())
