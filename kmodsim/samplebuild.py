# SPDX-License-Identifier: GPL-2.0-only
"""Builds the sample modules from ``data/samples/src`` with Debian's kernel headers: ``make samples``.

    python -m kmodsim.samplebuild                  for 6.1, with the headers in /usr/src
    python -m kmodsim.samplebuild --kernel 6.12    in a build root (``kmodsim.profilebuild.packages``)

The result is the same, byte for byte, in whatever directory it is built: no debug data, no file names of the
building machine, no time stamps. Those for 6.12 are packed with xz, as Debian's modules are since then. Needs
Linux and the packages of ``PACKAGES``; the built modules are part of the repository, so only somebody who
changes a sample has to do this.
"""

from __future__ import annotations

import argparse
import lzma
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kmodsim.profilebuild.boot import BuildError
from kmodsim.profilebuild.packages import build_in, fetch_build_root

RELEASE = "6.1.0-56-amd64"
PACKAGES = (f"linux-headers-{RELEASE}", "gcc-12", "make", "binutils")
SAMPLES = Path(__file__).parent / "data" / "samples"
SOURCES = SAMPLES / "src"
BUILT = SAMPLES / "debian-6.1-amd64"
# kernel: (release, suite of Debian where its compiler is, packed)
OTHERS = {
    "5.10": ("5.10.0-32-amd64", "bullseye", False),
    "6.12": ("6.12.107+deb13-amd64", "trixie", True),
}
# what the kernel's own decoder knows (profiles/rules/xz.py), as scripts/Makefile.modinst packs
XZ = {"format": lzma.FORMAT_XZ, "check": lzma.CHECK_CRC32,
      "filters": [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 20}]}  # fmt: skip

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


def build(target: Path, headers: Path, root: Path | None = None, packed: bool = False) -> list[Path]:
    """Builds every sample into ``target``; returns the paths. ``CalledProcessError`` when make fails.

    ``root``: a build root with headers and compiler, else this machine's are used.
    """
    with tempfile.TemporaryDirectory(prefix="samples-") as name:
        work = Path(name) / "src"
        shutil.copytree(SOURCES, work)
        place = work if root is None else Path("/mnt")
        # no debug data, no directories: the build id is a checksum of what the compiler wrote, paths included
        flags = (f"KCFLAGS=-g0 -ffile-prefix-map={place}/=", "KAFLAGS=-g0", *KBUILD_OPTIONS)
        make = ["make", "-s", "-C", str(headers), f"M={place}", *flags, "modules"]
        if root is None:
            subprocess.run(make, check=True)
        else:
            build_in(root, work, *make)
        target.mkdir(parents=True, exist_ok=True)
        return [_finish(ko, target, packed) for ko in sorted(work.glob("*.ko"))]


def _finish(ko: Path, target: Path, packed: bool) -> Path:
    subprocess.run(["strip", "--strip-debug", str(ko)], check=True)
    image = ko.read_bytes()
    if ko.stem in PATCHES:
        image = overwrite(image, *PATCHES[ko.stem])
    result = target / (ko.name + (".xz" if packed else ""))
    result.write_bytes(lzma.compress(image, **XZ) if packed else image)  # type: ignore[arg-type]
    return result


def overwrite(image: bytes, old: bytes, new: bytes) -> bytes:
    """``image`` with its only ``old`` replaced by ``new`` and NULs (in .modinfo the loader skips NULs)."""
    if image.count(old) != 1 or len(new) > len(old):
        raise ValueError(f"{old!r} has to be there once, and {new!r} not to be longer")
    return image.replace(old, new.ljust(len(old), b"\0"))


def build_other(kernel: str, target: Path) -> int:
    """For another kernel, in its build root; the exit status."""
    release, suite, packed = OTHERS[kernel]
    try:
        root = fetch_build_root(suite, release)
        built = build(target, Path(f"/usr/src/linux-headers-{release}"), root, packed)
    except (BuildError, OSError, subprocess.CalledProcessError) as error:
        print(f"samples: {error}", file=sys.stderr)
        return 1
    print(f"{len(built)} samples, {sum(path.stat().st_size for path in built):,} bytes")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m kmodsim.samplebuild", description=__doc__.split("\n")[0])
    parser.add_argument("--kernel", choices=list(OTHERS), help="another one than 6.1")
    parser.add_argument("--to", type=Path, help="directory for the .ko files")
    parser.add_argument("--headers", type=Path, default=Path(f"/usr/src/linux-headers-{RELEASE}"))
    options = parser.parse_args(argv)
    if options.kernel:
        return build_other(options.kernel, options.to or SAMPLES / f"debian-{options.kernel}-amd64")
    if lacking := missing(options.headers):
        print(f"samples: needs apt install {' '.join(lacking)}", file=sys.stderr)
        return 2
    try:
        built = build(options.to or BUILT, options.headers)
    except subprocess.CalledProcessError as error:
        print(f"samples: {error.cmd[0]} failed with status {error.returncode}", file=sys.stderr)
        return 1
    print(f"{len(built)} samples, {sum(path.stat().st_size for path in built):,} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
