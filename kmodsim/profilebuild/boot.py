# SPDX-License-Identifier: GPL-2.0-only
"""Boots a real kernel under QEMU, runs a shell script in it as root, and brings back the files it wrote.

The guest has no disk and no network: /init mounts the pseudo file systems, runs /script (``busybox sh``), and
sends what lies in /out through the second serial port as a compressed tar. Emulated (TCG), so the result does
not depend on the host's CPU and needs no privileges.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kmodsim.profilebuild.initramfs import pack

QEMU = "qemu-system-x86_64"
BUSYBOX = ("busybox", "/usr/lib/initramfs-tools/bin/busybox")

INIT = b"""#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /tmp /out
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t securityfs sec /sys/kernel/security 2>/dev/null
stty -F /dev/ttyS1 raw
cd /
sh /script
echo $? > /out/status
tar -c -C /out . | gzip -1 > /dev/ttyS1
poweroff -f
"""


class BuildError(Exception):
    """What is missing or went wrong, in one line."""


@dataclass(frozen=True, slots=True)
class Boot:
    """What one boot left: the console's text, the files of /out, the script's exit status (None: it died)."""

    console: str
    files: dict[str, bytes]
    status: int | None


def busybox() -> bytes:
    """The host's statically linked busybox. BuildError: there is none."""
    for path in map(shutil.which, BUSYBOX):
        if path and Path(path).is_file():
            data = Path(path).read_bytes()
            if data[:4] == b"\x7fELF" and b"/ld-linux" not in data[:4096]:
                return data
    raise BuildError("no statically linked busybox found: install the package busybox-static")


def boot(
    kernel: Path,
    initramfs_files: Mapping[str, bytes],
    append: str = "nokaslr",
    cpu: str = "qemu64",
    smp: int = 1,
    timeout: float = 120,
    memory: str = "512M",
) -> Boot:
    """Boot ``kernel`` (a bzImage), run initramfs_files["script"] in it; the other files lie at their paths.

    ``append`` is the command line (the console is added), ``timeout`` in seconds. A kernel that dies gives
    the console's text, no files and status None. BuildError: no QEMU, no busybox, or the time ran out.
    """
    if shutil.which(QEMU) is None:
        raise BuildError(f"{QEMU} not found: install QEMU (Debian: the package qemu-system-x86)")
    files = {"init": INIT, "bin/busybox": busybox(), **initramfs_files}
    with tempfile.TemporaryDirectory(prefix="kmodsim-boot-") as folder:
        work = Path(folder)
        (work / "initramfs").write_bytes(pack(files))
        command = [QEMU, "-accel", "tcg", "-cpu", cpu, "-smp", str(smp), "-m", memory, "-no-reboot"]
        command += ["-nic", "none", "-display", "none", "-monitor", "none"]
        command += ["-serial", f"file:{work / 'console'}", "-serial", f"file:{work / 'out'}"]
        command += ["-kernel", str(kernel), "-initrd", str(work / "initramfs")]
        command += ["-append", f"{append} console=ttyS0 panic=-1"]
        _run(command, timeout)
        console = (work / "console").read_bytes().decode(errors="replace")
        outputs = _unpack((work / "out").read_bytes())
    status = outputs.pop("status", b"").strip()
    return Boot(console, outputs, int(status) if status else None)


def _run(command: list[str], timeout: float) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise BuildError(f"the kernel did not finish within {timeout:g} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise BuildError(f"{QEMU} failed: {lines[-1]}")


def _unpack(data: bytes) -> dict[str, bytes]:
    """The files of a gzip-compressed tar; none when the guest died before it was sent whole."""
    try:
        archive = io.BytesIO(zlib.decompress(data, wbits=31))
    except zlib.error:
        return {}
    with tarfile.open(fileobj=archive) as tar:
        members = [(member.name, tar.extractfile(member)) for member in tar if member.isfile()]
        return {name.removeprefix("./"): file.read() for name, file in members if file}
