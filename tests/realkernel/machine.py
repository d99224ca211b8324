# SPDX-License-Identifier: GPL-2.0-only
"""One boot of the real kernel in QEMU: files and a plan go in as the initramfs, the probe's text comes back.

The answer lies in the memory of an ivshmem device, a file on this side. Where the kernel forbids mapping it
(lockdown), the probe writes to the second serial port instead, which is slower and does as well.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .initramfs import archive
from .kernels import Recorded

HERE = Path(__file__).parent
NEEDED = ("qemu-system-x86_64", "gcc")
SHARED_BYTES = 128 << 20
BOOT_SECONDS = 1800
WATCH_SECONDS = 5
SILENT_SECONDS = 150  # the longest operation is given up after 60 s in the guest; a busy host is slower


class CannotRecord(RuntimeError):
    """Something is missing on this machine; the text says what."""


@dataclass(frozen=True)
class Target:
    """Which kernel is recorded: the folder of the unpacked packages and the release in its file names."""

    root: Path
    release: str = "6.1.0-56-amd64"
    cpu: str = "qemu64"
    cpus: int = 1
    memory: str = "1024M"
    shared_bytes: int = SHARED_BYTES

    @property
    def image(self) -> Path:
        return self.root / "boot" / f"vmlinuz-{self.release}"

    @classmethod
    def of(cls, kernel: Recorded) -> Target:
        """The machine for one of KERNELS. CannotRecord: its package or a tool is missing."""
        release, folder = kernel.release, kernel.root
        if folder is None:
            raise CannotRecord(
                f"set KMODSIM_PACKAGE_ROOT to the folder where linux-image-{release} is unpacked, or get it "
                f"with python -m kmodsim.profilebuild.packages {kernel.suite} {release}"
            )
        target = cls(folder, release)
        missing = [tool for tool in NEEDED if shutil.which(tool) is None]
        if missing:
            raise CannotRecord(
                f"needs {' and '.join(missing)} (Debian: apt install qemu-system-x86 gcc libc6-dev)"
            )
        if not target.image.exists():
            raise CannotRecord(f"no {target.image}: unpack linux-image-{release} with dpkg -x")
        return target


def build_probe(folder: Path) -> bytes:
    """The static probe, compiled from probe.c."""
    out = folder / "probe"
    command = ["gcc", "-O2", "-static", "-o", str(out), str(HERE / "probe.c")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise CannotRecord("cannot build the probe (Debian: apt install gcc libc6-dev):\n" + done.stderr)
    return out.read_bytes()


def boot(
    target: Target,
    plan: str,
    files: Mapping[str, bytes],
    cmdline: str = "",
    keep: Callable[[Path], None] | None = None,
) -> str:
    """Boots once and returns the probe's text. Files lie under /files/ in the guest. ``keep`` is called with
    the shared memory's file before it is deleted."""
    with tempfile.TemporaryDirectory(prefix="realkernel-", dir=_shared_folder()) as name:
        folder = Path(name)
        content = {f"files/{path}": data for path, data in files.items()}
        content |= {"init": build_probe(folder), "plan": plan.encode("ascii")}
        (folder / "initrd").write_bytes(archive(content, frozenset({"init"})))
        _run(target, folder, cmdline)
        if keep is not None:
            keep(folder / "shared")
        return _answer(folder)


def _shared_folder() -> str | None:
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def _run(target: Target, folder: Path, cmdline: str) -> None:
    shared = folder / "shared"
    with shared.open("wb") as file:
        file.truncate(target.shared_bytes)
    command = [
        "qemu-system-x86_64",
        "-machine",
        "pc",
        "-accel",
        "tcg",
        "-cpu",
        target.cpu,
        "-smp",
        str(target.cpus),
        "-m",
        target.memory,
        "-nodefaults",
        "-display",
        "none",
        "-vga",
        "none",
        "-no-reboot",
        "-kernel",
        str(target.image),
        "-initrd",
        str(folder / "initrd"),
        "-append",
        f"nokaslr no_timer_check console=ttyS0 quiet panic=-1 {cmdline}".strip(),
        "-serial",
        f"file:{folder / 'console'}",
        "-serial",
        f"file:{folder / 'serial'}",
        "-object",
        f"memory-backend-file,id=answer,share=on,mem-path={shared},size={target.shared_bytes}",
        "-device",
        "ivshmem-plain,memdev=answer",
    ]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as machine:
        try:
            trouble = _watch(machine, folder)
        finally:
            machine.kill()
    if trouble:
        raise CannotRecord(f"{trouble}\n{_last_words(folder)}")


def _watch(machine: subprocess.Popen[bytes], folder: Path) -> str:
    """Waits for the machine's end; what is wrong, if it does not come, or ""."""
    start = heard = time.monotonic()
    said = -1
    while True:
        try:
            status = machine.wait(WATCH_SECONDS)
            return f"qemu-system-x86_64 ended with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            now, length = time.monotonic(), _said(folder)
        said, heard = (length, now) if length != said else (said, heard)
        if now - heard > SILENT_SECONDS:
            return f"the guest said nothing for {SILENT_SECONDS} s: it hangs"
        if now - start > BOOT_SECONDS:
            return f"the boot takes longer than {BOOT_SECONDS} s"


def _said(folder: Path) -> int:
    """How much the probe has written so far, in bytes."""
    serial = folder / "serial"
    with (folder / "shared").open("rb") as file:
        return int.from_bytes(file.read(8), "little") + (serial.stat().st_size if serial.exists() else 0)


def _text(folder: Path) -> bytes:
    with (folder / "shared").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        text = file.read(length)
    serial = folder / "serial"
    return text or (serial.read_bytes().replace(b"\r\n", b"\n") if serial.exists() else b"")


def _answer(folder: Path) -> str:
    text = _text(folder)
    if not text.endswith(b"finished\n"):
        raise CannotRecord(f"the boot ended early\n{_last_words(folder)}")
    return text.decode("ascii")


def _last_words(folder: Path) -> str:
    """Which operation was the last to begin, and the end of the kernel's console."""
    begun = [line for line in _text(folder).split(b"\n") if line.startswith(b"op\t")]
    last = f"in operation {begun[-1][3:].decode()}" if begun else "before the first operation"
    console = folder / "console"
    return f"{last}; the console's end:\n" + (
        console.read_text(errors="replace")[-3000:] if console.exists() else "(nothing)"
    )
