# SPDX-License-Identifier: GPL-2.0-only
"""Records ``commands.json``: boots the kernel once a session and types its lines."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.realkernel.initramfs import archive
from tests.realkernel.kernels import DEFAULT, KERNELS
from tests.realkernel.machine import CannotRecord, Target

from .files import files
from .sessions import SESSIONS

OUTPUT = Path(__file__).parent / "commands.json"
KMOD_TOOLS = ("insmod", "rmmod", "lsmod", "modinfo")
# busybox's sh prefers busybox's own insmod to the one in PATH, so it gets functions; dash looks into PATH
FUNCTIONS = "".join(f'{name}() {{ /tools/{name} "$@"; }}; ' for name in (*KMOD_TOOLS, "dmesg"))
IN_BUSYBOX = ("shell", "order")  # the other sessions are typed into dash
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /tmp
/bin/busybox --install -s /applets
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs dev /dev
export PATH=/tools:/applets LD_LIBRARY_PATH=/lib
cd /course
number=0
while [ -f /plan/$number ]; do
  $(cat /shell) -c "$(cat /functions)$(cat /plan/$number)" > /tmp/out 2> /tmp/err < /dev/null
  status=$?
  {
    echo "@@ $number $status"
    base64 -w 0 /tmp/out; echo
    base64 -w 0 /tmp/err; echo
  } > /dev/ttyS1
  number=$((number + 1))
done
echo "@@ done" > /dev/ttyS1
poweroff -f
"""


def program(name: str) -> Path:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise CannotRecord(f"needs {name}")
    return Path(found).resolve()


def libraries(binary: Path) -> dict[str, bytes]:
    """The shared libraries of a program, where its loader finds them."""
    text = subprocess.run(["ldd", str(binary)], check=True, capture_output=True, text=True).stdout
    paths = [Path(path) for path in re.findall(r"(/\S+) \(0x", text)]
    return {(str(p)[1:] if p.name.startswith("ld-") else f"lib/{p.name}"): p.read_bytes() for p in paths}


def image(lines: list[str], in_busybox: bool) -> bytes:
    """The initramfs of one session."""
    kmod, dmesg, dash = program("kmod"), program("dmesg"), program("dash")
    content = {f"tools/{name}": kmod.read_bytes() for name in KMOD_TOOLS}
    content |= {"tools/dmesg": dmesg.read_bytes(), "bin/busybox": program("busybox").read_bytes()}
    content |= {"init": INIT.encode(), "applets/.keep": b""}
    content |= {"tools/dash": dash.read_bytes(), "shell": b"sh" if in_busybox else b"/tools/dash"}
    content |= {"functions": FUNCTIONS.encode() if in_busybox else b""}
    content |= libraries(kmod) | libraries(dmesg) | libraries(dash)
    executable = frozenset(name for name in content if not name.startswith("applets"))
    content |= {f"course/{name}": data for name, data in files().items()}
    content |= {f"plan/{number}": line.encode() for number, line in enumerate(lines)}
    return archive(content, executable)


def boot(target: Target, initramfs: bytes, lines: list[str]) -> list[dict[str, Any]]:
    """Boot the kernel with these files; the lines are the plan in them. What each line wrote, and its
    status."""
    with tempfile.TemporaryDirectory(prefix="realtools-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(initramfs)
        subprocess.run(
            ["qemu-system-x86_64", "-machine", "pc", "-accel", "tcg", "-cpu", target.cpu, "-m", target.memory,
             "-nodefaults", "-display", "none", "-no-reboot", "-kernel", str(target.image),
             "-initrd", str(folder / "initrd"), "-append", "nokaslr console=ttyS0 quiet panic=-1",
             "-serial", f"file:{folder / 'console'}", "-serial", f"file:{folder / 'answer'}"],
            check=True, timeout=600, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        answer = (folder / "answer").read_text(encoding="ascii", errors="replace").splitlines()
        if answer[-1:] != ["@@ done"]:
            raise CannotRecord(
                "the boot ended early:\n" + (folder / "console").read_text(errors="replace")[-2000:]
            )
    steps = zip(lines, answer[::3], answer[1::3], answer[2::3], strict=False)
    return [
        {"line": line, "status": int(head.split()[2]), "stdout": decode(out), "stderr": decode(err)}
        for line, head, out, err in steps
    ]


def decode(text: str) -> str:
    """getopt names the program as it was called, and the functions above call it by its path."""
    return base64.b64decode(text).decode("utf-8", "surrogateescape").replace("/tools/", "")


def versions() -> list[str]:
    """What the real tools call themselves."""
    commands = ([str(program("kmod")), "--version"], ["busybox"], [str(program("dmesg")), "--version"])
    runs = [subprocess.run(command, capture_output=True, text=True) for command in commands]
    return [run.stdout.splitlines()[0] for run in runs]


def main() -> None:
    target = Target.of(KERNELS[DEFAULT])
    recorded = {
        name: boot(target, image(lines, name in IN_BUSYBOX), lines) for name, lines in SESSIONS.items()
    }
    result = {"kernel": target.release, "tools": versions(), "sessions": recorded}
    OUTPUT.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except CannotRecord as error:
        sys.exit(str(error))
