# SPDX-License-Identifier: GPL-2.0-only
"""The modules that come with kmodsim, and where the whole distribution's tree lies.

sample("hello")   the path of a .ko: a sample of ours, or one of the distribution's modules
samples()         our samples, name -> one line
distribution()    the real modules that come along, name -> one line
index()           what is known of all 4,023 modules of the package
tree()            the directory with all of them, where it was unpacked (`kmodsim fetch`)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from .moduleindex import ModuleIndex, load_index

RELEASE = "6.1.0-56-amd64"
PROFILE = "debian-6.1-amd64"
DATA = Path(__file__).parent / "data"
SAMPLES = DATA / "samples" / PROFILE
SOURCES = DATA / "samples" / "src"
DISTRIBUTION = DATA / "distribution" / PROFILE


def sample(name: str, profile: str = PROFILE) -> Path:
    """The path of the module ``name`` (``-`` and ``_`` are the same).

    ``profile``: for which kernel it is built; for others than the default there are our samples only, those
    for 6.12 packed (``.ko.xz``), as Debian's are: ``finit_module(path, flags=4)``, or ``insmod``.

    Looks among the samples, then the distribution's modules that come along, then in ``tree()``. When there
    is none: ValueError, which names what is spelled nearly so.
    """
    wanted = name.replace("-", "_")
    if profile != PROFILE:
        others = _files(DATA / "samples" / profile)
        if wanted in others:
            return others[wanted]
        raise ValueError(f"no sample {name!r} for {profile!r}; it has: {', '.join(sorted(others)) or 'none'}")
    for known in (_files(SAMPLES), _files(DISTRIBUTION)):
        if wanted in known:
            return known[wanted]
    root = tree()
    if root is not None and wanted in index():
        path = root / index()[wanted].path
        # the size, for some names differ in upper and lower case only, and not every file system can tell
        if path.is_file() and path.stat().st_size == index()[wanted].size:
            return path
    raise ValueError(_no_such_sample(name, wanted))


def _no_such_sample(name: str, wanted: str) -> str:
    shipped = [*_files(SAMPLES), *_files(DISTRIBUTION)]
    near = get_close_matches(wanted, shipped, n=4, cutoff=0.5)
    if near:
        return f"no sample {name!r}; did you mean {' or '.join(near)}?"
    if wanted in index():
        return f"{name!r} is a module of {RELEASE}, but does not come along: `kmodsim fetch` gets them all"
    return f"no sample {name!r}; kmodsim.samples() lists them"


def samples() -> dict[str, str]:
    """The samples: name -> what it shows (its MODULE_DESCRIPTION), sorted by name."""
    return {name: _description(path) for name, path in _files(SAMPLES).items()}


def source(name: str) -> Path:
    """The C file from which a sample was built. ValueError when there is none."""
    path = SOURCES / f"{name.replace('-', '_')}.c"
    if path.stem not in _files(SAMPLES):
        raise ValueError(_no_such_sample(name, path.stem))
    return path


def distribution() -> dict[str, str]:
    """The distribution's modules that come along, as Debian signed them: name -> one line, sorted by name."""
    known = index()
    return {
        name: known[name].description or f"{known[name].path}, without a description"
        for name in _files(DISTRIBUTION)
    }


def index() -> ModuleIndex:
    """All modules of the default profile's package: a mapping name -> ``IndexedModule``. Read once."""
    return load_index()


def tree() -> Path | None:
    """The directory ``…/lib/modules/6.1.0-56-amd64`` with all modules below ``kernel/``, or None.

    The first of: what KMODSIM_TREE names (that directory, or the one an unpacked package lies in); what
    ``kmodsim fetch`` unpacked; this machine's own, if it runs that very kernel's package.
    """
    named = os.environ.get("KMODSIM_TREE", "")
    for place in ([Path(named)] if named else []) + [cache_directory() / RELEASE, Path("/")]:
        below = Path("lib", "modules", RELEASE)
        for directory in (place, place / below, place / "usr" / below):
            if directory.name == RELEASE and (directory / "kernel").is_dir():
                return directory
    return None


def cache_directory(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where fetched packages are kept: the user's cache directory on this system, below it ``kmodsim``."""
    home = Path.home()
    if platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local") / "kmodsim" / "Cache"
    if platform == "darwin":
        return home / "Library" / "Caches" / "kmodsim"
    given = environment.get("XDG_CACHE_HOME", "")
    # the XDG base directory specification: a relative path is to be ignored
    return (Path(given) if given.startswith("/") else home / ".cache") / "kmodsim"


@cache
def _files(directory: Path) -> dict[str, Path]:
    files = sorted(path for path in directory.glob("*.ko*"))
    return {path.name.partition(".ko")[0].replace("-", "_"): path for path in files}


@cache
def _description(path: Path) -> str:
    """The description in .modinfo: every sample has one, and no other bytes that look like it."""
    return path.read_bytes().partition(b"description=")[2].partition(b"\0")[0].decode()
