# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim fetch``: gets the distribution kernel's package and unpacks its modules for ``corpus.tree()``.

From a file, from an address that the user gives, or with Debian's own apt-get. What arrives is compared with
a known SHA-256 checksum before a byte of it is looked at.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .corpus import RELEASE, cache_directory
from .debpackage import PackageError, unpack


class Package(NamedTuple):
    """A package whose checksum is known."""

    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}_amd64.deb"


PACKAGE = Package(
    f"linux-image-{RELEASE}", "6.1.192-2", "a86e2049672f52354c4536a089203b6c82639420424d31c91cf31a181fd4d8f1"
)
LARGEST = 1 << 30  # bytes of a package; this one has 70,550,672
TIMEOUT = 60  # seconds without a byte


class FetchError(Exception):
    """Nothing was fetched; the message says in one line why, and what to do."""


def fetch(where: str | None = None, target: Path | None = None, sha256: str = PACKAGE.sha256) -> Path:
    """Unpacks the package that ``where`` names (a file, or an http address; None: apt-get) into ``target``.

    ``target`` None means the user's cache, where ``corpus.tree()`` looks. Returns the directory: the package
    is unpacked there as a whole, or FetchError says why not. A target with modules in it is left as it is.
    """
    target = target or cache_directory() / RELEASE
    if target.is_dir() and any(target.iterdir()):
        if next(target.glob("**/lib/modules/*/kernel"), None):
            return target
        raise FetchError(f"{target} is not empty; name another directory with --to")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as name:
            package = _get(where, Path(name))
            check(package, sha256)
            unpacked = Path(name, "unpacked")
            unpacked.mkdir()
            for left_out in unpack(package, unpacked):
                print(f"left out, as upper and lower case are the same here: {left_out}")
            if target.is_dir():
                target.rmdir()
            unpacked.rename(target)
    except (PackageError, OSError) as error:
        raise FetchError(str(error)) from error
    return target


def check(package: Path, sha256: str) -> None:
    """FetchError when the file's SHA-256 checksum is another one."""
    with package.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise FetchError(f"this is not the package it should be: sha256 {found}, not {sha256}")


def _get(where: str | None, directory: Path) -> Path:
    if where is None:
        return _by_apt(directory)
    if where.lower().startswith(("http://", "https://")):
        return _by_address(where, directory)
    path = Path(where)
    if not path.is_file():
        raise FetchError(f"there is no file {where}")
    return path


def _by_apt(directory: Path) -> Path:
    """``apt-get download`` needs no root and installs nothing."""
    advice = f"get {PACKAGE.file} from Debian and run `kmodsim fetch FILE`"
    tool = shutil.which("apt-get")
    if tool is None:
        raise FetchError(f"there is no apt-get here; {advice}")
    command = [tool, "-q", "download", f"{PACKAGE.name}={PACKAGE.version}"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    package = next(directory.glob("*.deb"), None)
    if done.returncode != 0 or package is None:
        reason = (done.stderr.strip().splitlines() or ["no package came"])[-1]
        raise FetchError(f"apt-get cannot get it ({reason}); {advice}")
    return package


def _by_address(address: str, directory: Path) -> Path:
    package = directory / "package.deb"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT) as response, package.open("wb") as file:
            _copy(response, file)
    except (OSError, ValueError) as error:  # URLError is an OSError; ValueError: no address at all
        raise FetchError(f"cannot get {address}: {error}") from error
    return package


def _copy(source: BinaryIO, target: BinaryIO) -> None:
    size = 0
    while piece := source.read(1 << 20):
        size += len(piece)
        if size > LARGEST:
            raise FetchError("what comes from there is larger than any package")
        target.write(piece)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status: 0, or 1 with one line on stderr."""
    about = f"unpack all modules of {PACKAGE.name}"
    parser = argparse.ArgumentParser(prog="kmodsim fetch", description=about)
    parser.add_argument("where", nargs="?", help="the .deb file or its address; without: apt-get download")
    parser.add_argument("--to", type=Path, help="directory (default: one in your cache)")
    parser.add_argument("--sha256", default=PACKAGE.sha256, help="the checksum of another package")
    options = parser.parse_args(argv)
    try:
        target = fetch(options.where, options.to, options.sha256)
    except FetchError as error:
        print(f"kmodsim fetch: {error}", file=sys.stderr)
        return 1
    modules = next(target.glob("**/lib/modules/*"))
    print(f"{sum(1 for _ in modules.rglob('*.ko'))} modules are in {modules}")
    if options.to:
        print("set KMODSIM_TREE to this directory to have them used")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
