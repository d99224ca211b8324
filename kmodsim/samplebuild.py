# SPDX-License-Identifier: GPL-2.0-only
"""Builds the sample modules from ``data/samples/src`` with Debian's kernel headers: ``make samples``.

The result is the same, byte for byte, in whatever directory it is built: no debug data, no file names of the
building machine, no time stamps. Needs Linux and the packages of ``PACKAGES``; the built modules are part of
the repository, so only somebody who changes a sample has to do this.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

RELEASE = "6.1.0-56-amd64"
PACKAGES = (f"linux-headers-{RELEASE}", "gcc-12", "make", "binutils")
SAMPLES = Path(__file__).parent / "data" / "samples"
SOURCES = SAMPLES / "src"
BUILT = SAMPLES / "debian-6.1-amd64"

KBUILD_OPTIONS = (
    # symbols and namespaces that are missing shall be found out by the loader: here they only warn
    "KBUILD_MODPOST_WARN=1",
    "CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS=y",
    # type data need the kernel's own image, which is not everywhere
    "CONFIG_DEBUG_INFO_BTF_MODULES=",
)
# module: (what stands in its .modinfo, what is written over it). modpost refuses a proprietary module with a
# GPL-only symbol, and no option turns that off.
PATCHES: dict[str, tuple[bytes, bytes]] = {
    "proprietary_gpl": (b"license=Dual MIT/GPL\0", b"license=Proprietary\0"),
}


def missing(headers: Path) -> list[str]:
    """The packages without which nothing can be built."""
    tools = {"gcc-12": "gcc-12", "make": "make", "binutils": "strip"}
    lacking = [package for package, tool in tools.items() if shutil.which(tool) is None]
    return ([] if (headers / "Makefile").exists() else [PACKAGES[0]]) + lacking


def build(target: Path, headers: Path) -> list[Path]:
    """Builds every sample into ``target``; returns the paths. ``CalledProcessError`` when make fails."""
    with tempfile.TemporaryDirectory(prefix="samples-") as name:
        work = Path(name) / "src"
        shutil.copytree(SOURCES, work)
        # no debug data, no directories: the build id is a checksum of what the compiler wrote, paths included
        flags = (f"KCFLAGS=-g0 -ffile-prefix-map={work}/=", "KAFLAGS=-g0", *KBUILD_OPTIONS)
        subprocess.run(["make", "-s", "-C", str(headers), f"M={work}", *flags, "modules"], check=True)
        target.mkdir(parents=True, exist_ok=True)
        return [_finish(ko, target) for ko in sorted(work.glob("*.ko"))]


def _finish(ko: Path, target: Path) -> Path:
    subprocess.run(["strip", "--strip-debug", str(ko)], check=True)
    image = ko.read_bytes()
    if ko.stem in PATCHES:
        image = overwrite(image, *PATCHES[ko.stem])
    result = target / ko.name
    result.write_bytes(image)
    return result


def overwrite(image: bytes, old: bytes, new: bytes) -> bytes:
    """``image`` with its only ``old`` replaced by ``new`` and NULs (in .modinfo the loader skips NULs)."""
    if image.count(old) != 1 or len(new) > len(old):
        raise ValueError(f"{old!r} has to be there once, and {new!r} not to be longer")
    return image.replace(old, new.ljust(len(old), b"\0"))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kmodsim.samplebuild", description=__doc__.split("\n")[0])
    parser.add_argument("--to", type=Path, default=BUILT, help="directory for the .ko files")
    parser.add_argument("--headers", type=Path, default=Path(f"/usr/src/linux-headers-{RELEASE}"))
    options = parser.parse_args(argv)
    if lacking := missing(options.headers):
        print(f"samples: needs apt install {' '.join(lacking)}", file=sys.stderr)
        return 2
    try:
        built = build(options.to, options.headers)
    except subprocess.CalledProcessError as error:
        print(f"samples: {error.cmd[0]} failed with status {error.returncode}", file=sys.stderr)
        return 1
    print(f"{len(built)} samples, {sum(path.stat().st_size for path in built):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
