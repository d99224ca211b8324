# SPDX-License-Identifier: GPL-2.0-only
"""The module that copies others' memory at COMING, and how it is built."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from shutil import copy

from kmodsim.profilebuild.packages import build_in

HERE = Path(__file__).parent


FLAGS = ("KAFLAGS=-g0", "CONFIG_DEBUG_INFO_BTF_MODULES=")


def build(release: str, root: Path | None = None) -> bytes:
    """observer.ko for a kernel whose headers lie in /usr/src, here or in a build root: the same bytes in
    whatever folder it is built.

    CalledProcessError when make fails.
    """
    headers = Path(f"/usr/src/linux-headers-{release}")
    with tempfile.TemporaryDirectory(prefix="observer-") as name:
        work = Path(name)
        for file in ("Kbuild", "observer.c"):
            copy(HERE / file, work)
        place = work if root is None else Path("/mnt")
        make = ["make", "-s", "-C", str(headers), f"M={place}"]
        make += [f"KCFLAGS=-g0 -ffile-prefix-map={place}/=", *FLAGS, "modules"]
        strip = ["strip", "--strip-debug", str(place / "observer.ko")]
        for command in (make, strip):
            if root is None:
                subprocess.run(command, check=True)
            else:
                build_in(root, work, *command)
        return (work / "observer.ko").read_bytes()
