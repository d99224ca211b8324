# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that are recorded: packages, profile, and the modules of each with what they need."""

from __future__ import annotations

import lzma
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from kmodsim import corpus
from kmodsim.corpus import cache_directory

DEFAULT = "6.1"


@dataclass(frozen=True)
class Modules:
    """A tree of modules: name -> path below it, name -> what it needs, in an order that can be loaded."""

    paths: dict[str, str]
    needs: dict[str, tuple[str, ...]]

    def with_dependencies(self, names: list[str]) -> list[str]:
        """``names``, each behind all that it needs."""
        order: dict[str, None] = {}
        for name in names:
            order.update(dict.fromkeys((*self.needs[name], name)))
        return list(order)


@dataclass(frozen=True)
class Recorded:
    """``name``: as in the names of truth files; ``suite``: Debian's release."""

    name: str
    release: str
    suite: str

    @property
    def profile(self) -> str:
        return f"debian-{self.name}-amd64"

    @property
    def root(self) -> Path | None:
        """The unpacked packages: KMODSIM_PACKAGE_ROOT if they are this kernel's, or in the cache."""
        named = [Path(os.environ["KMODSIM_PACKAGE_ROOT"])] if os.environ.get("KMODSIM_PACKAGE_ROOT") else []
        for folder in (*named, *sorted(cache_directory().glob(f"linux-{self.release}-[0-9]*"))):
            if (folder / "boot" / f"vmlinuz-{self.release}").is_file():
                return folder
        return None

    @property
    def tree(self) -> Path | None:
        """…/lib/modules/RELEASE, None: the packages are not here."""
        root = self.root
        if root is None:
            return corpus.tree() if self.name == DEFAULT else None
        return next(path for path in (root / b / "lib" / "modules" / self.release for b in ("usr", "."))
                    if (path / "kernel").is_dir())  # fmt: skip

    @property
    def build_root(self) -> Path:
        """Headers and compiler, made by ``kmodsim.profilebuild.packages --build-root``."""
        return cache_directory() / f"build-{self.release}"

    @cached_property
    def modules(self) -> Modules:
        """All modules of the package. FileNotFoundError: it is not here."""
        if self.name == DEFAULT:
            index = corpus.index()
            return Modules({name: index[name].path for name in index},
                           {name: tuple(index.dependencies(name)) for name in index})  # fmt: skip
        from kmodsim.depgraph import from_folder

        tree = self.tree
        if tree is None:
            raise FileNotFoundError(f"linux-image-{self.release} is not unpacked in the cache")
        files = sorted(path for path in (tree / "kernel").rglob("*.ko*"))
        names = [path.name.partition(".ko")[0].replace("-", "_") for path in files]
        paths = dict(zip(names, (str(path.relative_to(tree)) for path in files), strict=True))
        graph = from_folder(tree)
        return Modules(paths, {name: graph.pulls_in(name) for name in paths})

    def module_file(self, name: str) -> bytes:
        """A module's file as the loader is to see it, decompressed."""
        assert self.tree is not None
        data = (self.tree / self.modules.paths[name]).read_bytes()
        return lzma.decompress(data) if self.modules.paths[name].endswith(".xz") else data


KERNELS = {
    one.name: one
    for one in (
        Recorded("5.10", "5.10.0-32-amd64", "bullseye"),
        Recorded("6.1", "6.1.0-56-amd64", "bookworm"),
        Recorded("6.12", "6.12.107+deb13-amd64", "trixie"),
    )
}
