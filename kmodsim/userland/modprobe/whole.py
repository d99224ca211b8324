# SPDX-License-Identifier: GPL-2.0-only
"""The distribution's whole tree as modprobe sees it, on a machine that has none of its 4,023 files.

depmod's indexes are made in memory, from the index of modules that comes along: byte for byte those that
depmod writes for the package. What the index does not know is in a small file beside it: the order of
modules.order (which of two modules of one alias is tried first), and depmod's order of loading, which depends
on the order of the symbols in each module. ``python -m kmodsim.userland.modprobe.whole TREE`` makes that.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from ...corpus import DATA, RELEASE, index
from ...moduleindex import INDEX_FILE, IndexedModule
from ..depmod import read_tree
from ..depmod.dependencies import Symbol, direct, positions
from ..depmod.objectfile import Facts
from ..depmod.output import FILES, Tree
from ..depmod.search import Module
from . import Machine
from .config import FOLDERS
from .log import Log

ORDER_FILE = INDEX_FILE.with_name(INDEX_FILE.name.replace(".json.xz", ".order.json.xz"))
FOLDER = f"/lib/modules/{RELEASE}"
# of depmod's files those that modprobe reads
MADE = ("modules.dep.bin", "modules.alias.bin", "modules.symbols.bin", "modules.softdep")
# these come along for the samples; the kernel is one
BUILTIN = ("modules.builtin.bin", "modules.builtin.alias.bin")


def machine(texts: Mapping[str, str] | None = None, cmdline: str | None = None) -> Machine:
    """A machine with the whole tree in /lib/modules/RELEASE and these files of configuration: path -> text.

    No file of the host is looked at. ``cmdline`` None: the simulated kernel's command line.
    """
    written = {path: text.encode("utf-8", "surrogatepass") for path, text in (texts or {}).items()}
    return Machine(FOLDER, FOLDERS, cmdline, {**indexes(), **written})


@cache
def indexes() -> Mapping[str, bytes]:
    """Path -> contents of the files that modprobe reads below /lib/modules/RELEASE. Half a second, once."""
    tree = depmod_tree()
    made = {f"{FOLDER}/{name}": FILES[name](tree) for name in MADE}
    return made | {f"{FOLDER}/{name}": (DATA / name).read_bytes() for name in BUILTIN}


def depmod_tree() -> Tree:
    """What depmod would have read from the files, as far as its output needs it: no CRCs."""
    order, ranks = _order()
    known = list(index().values())
    modules = [known[number] for number in order]
    numbers = {module.name: number for number, module in enumerate(modules)}
    symbols = {e.name.encode(): Symbol(i, 0) for i, module in enumerate(modules) for e in module.exports}
    folder = FOLDER.encode()
    found = [
        Module(module.name.encode(), folder + b"/" + module.path.encode(), module.path.encode(), number)
        for number, module in enumerate(modules)
    ]
    pulled = ([numbers[name] for name in index().dependencies(module.name)] for module in modules)
    needs = [sorted(owners, key=ranks.__getitem__) for owners in pulled]
    return Tree(folder, found, [_facts(module) for module in modules], symbols, needs, Log("depmod"))


def _facts(module: IndexedModule) -> Facts:
    info = [(b"alias", alias.encode()) for alias in module.aliases]
    info += [(b"softdep", softdep.encode()) for softdep in module.softdeps]
    return Facts([export.name.encode() for export in module.exports], [], info)


def _order() -> tuple[list[int], list[int]]:
    """(the index's rows in the order of modules.order, the rank of each of these in depmod's order)."""
    document = json.loads(lzma.decompress(ORDER_FILE.read_bytes()))
    return document["order"], document["ranks"]


def make_order(tree: Path) -> bytes:
    """The file of orders for the modules of ``tree`` (…/lib/modules/RELEASE)."""
    read = read_tree(tree)
    rows = {name.encode(): row for row, name in enumerate(index())}
    ranks, _ = positions(direct(read.facts, read.symbols, b""))
    document = {"order": [rows[module.name] for module in read.modules], "ranks": ranks}
    text = json.dumps(document, separators=(",", ":"))
    return lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)


def main(argv: Sequence[str]) -> int:
    """``python -m kmodsim.userland.modprobe.whole TREE``."""
    ORDER_FILE.write_bytes(make_order(Path(argv[0])))
    print(f"{ORDER_FILE.name}: {ORDER_FILE.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
