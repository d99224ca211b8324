# SPDX-License-Identifier: GPL-2.0-only
"""The module that copies others' memory at COMING, and how it is built."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from shutil import copy

HERE = Path(__file__).parent


def build(release: str) -> bytes:
    """observer.ko for a kernel whose headers lie in /usr/src: the same bytes in whatever folder it is built.

    CalledProcessError when make fails.
    """
    headers = Path(f"/usr/src/linux-headers-{release}")
    with tempfile.TemporaryDirectory(prefix="observer-") as name:
        work = Path(name)
        for file in ("Kbuild", "observer.c"):
            copy(HERE / file, work)
        flags = (f"KCFLAGS=-g0 -ffile-prefix-map={work}/=", "KAFLAGS=-g0", "CONFIG_DEBUG_INFO_BTF_MODULES=")
        subprocess.run(["make", "-s", "-C", str(headers), f"M={work}", *flags, "modules"], check=True)
        subprocess.run(["strip", "--strip-debug", str(work / "observer.ko")], check=True)
        return (work / "observer.ko").read_bytes()
