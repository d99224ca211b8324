# SPDX-License-Identifier: GPL-2.0-only
"""What kmod's, busybox's and module-init-tools' tools do on the same kernel:
``python -m tests.realtools.flavours`` records ``flavours.json``.

Beside what ``python -m tests.realtools`` needs: depmod and strace, the distribution's tree (KMODSIM_TREE),
and a checkout of module-init-tools 3.16 (KMODSIM_MIT), compiled here with $CC as its configure script without
options would. Each session of ``flavours.txt`` is a boot; all flavours get the same lines.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from kmodsim.corpus import RELEASE, tree
from kmodsim.sampleindex import lay_out
from tests.realkernel.initramfs import archive
from tests.realkernel.machine import CannotRecord, Target

from .__main__ import INIT, boot, libraries, program, versions
from .files import files

OUTPUT = Path(__file__).with_suffix(".json")
FOLDER = f"lib/modules/{RELEASE}"
FLAVOURS = ("kmod", "busybox", "module-init-tools")
# tool -> the sources of module-init-tools that go in (its Makefile.am)
MIT_TOOLS = {
    "insmod": "insmod util logging", "rmmod": "rmmod util logging", "lsmod": "lsmod",
    "modinfo": "modinfo util logging elfops zlibsupport",
    "modprobe": "modprobe util logging index elfops zlibsupport config_filter",
    "depmod": "depmod util logging index elfops zlibsupport tables config_filter",
}  # fmt: skip
# the C library no longer has these two by name
MIT_CALLS = """
#include <sys/syscall.h>
#include <unistd.h>
long init_module(void *image, unsigned long size, const char *args)
{ return syscall(SYS_init_module, image, size, args); }
long delete_module(const char *name, unsigned flags)
{ return syscall(SYS_delete_module, name, flags); }
"""
LIST = "cat /proc/modules | cut -d ' ' -f 1,3,4"


TRACE = (
    "strace -y -qq -e trace=!execve -o /tmp/calls {}; "
    r"grep 'hello\|_module\|/proc/modules\|/sys/module\|modules\.dep' /tmp/calls"
)  # the system calls of a command that have to do with modules


def sessions() -> dict[str, list[str]]:
    """Name -> the lines that are typed."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif line and not line.startswith("#"):
            found.setdefault(name, []).append(spelled(line))
    return found


def spelled(line: str) -> str:
    return LIST if line == "LIST" else TRACE.format(line[6:]) if line.startswith("TRACE ") else line


def compiled(tool: str, source: Path, folder: Path) -> Path:
    """One of module-init-tools' programs."""
    (folder / "calls.c").write_text(MIT_CALLS)
    sources = [str(source / f"{name}.c") for name in MIT_TOOLS[tool].split()]
    names = ['-DPACKAGE="module-init-tools"', '-DVERSION="3.16"']
    target = folder / tool
    compiler = os.environ.get("CC", "gcc")
    command = [compiler, "-w", "-O1", "-static", *names, *sources, str(folder / "calls.c"), "-o", str(target)]
    subprocess.run(command, check=True)
    return target


def binaries(flavour: str, folder: Path) -> dict[str, Path]:
    """tool -> its program."""
    if flavour != "module-init-tools":
        return dict.fromkeys(MIT_TOOLS, program("kmod" if flavour == "kmod" else "busybox"))
    source = os.environ.get("KMODSIM_MIT")
    if source is None:
        raise CannotRecord("needs KMODSIM_MIT, a checkout of module-init-tools 3.16")
    return {tool: compiled(tool, Path(source), folder) for tool in MIT_TOOLS}


def image(tools: dict[str, Path], modules: dict[str, bytes], lines: list[str]) -> bytes:
    """The initramfs of one session, whose lines dash reads."""
    content = {f"tools/{name}": path.read_bytes() for name, path in tools.items()}
    for name in ("dash", "strace"):
        content |= {f"tools/{name}": program(name).read_bytes()} | libraries(program(name))
    content |= {"init": INIT.encode(), "functions": b"", "shell": b"/tools/dash"}
    content |= {"bin/busybox": program("busybox").read_bytes(), "applets/.keep": b""}
    content |= libraries(program("kmod"))
    executable = frozenset(name for name in content if not name.startswith("applets"))
    content |= modules | {f"course/{name}": data for name, data in files().items()}
    content |= {f"plan/{number}": line.encode() for number, line in enumerate(lines)}
    return archive(content, executable)


def indexed(folder: Path) -> dict[str, bytes]:
    """/lib/modules/RELEASE with the modules that come along and depmod's files."""
    whole = tree()
    if whole is None:
        raise CannotRecord("needs KMODSIM_TREE")
    place = lay_out(folder, whole, str(program("kmod").parent.parent / "sbin" / "depmod"))
    paths = [path for path in place.rglob("*") if path.is_file()]
    return {f"{FOLDER}/{path.relative_to(place).as_posix()}": path.read_bytes() for path in paths}


def record(flavour: str, modules: dict[str, bytes], target: Target) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="flavours-") as name:
        tools = binaries(flavour, Path(name))
        plan = sessions().items()
        found = {session: boot(target, image(tools, modules, lines), lines) for session, lines in plan}
    for step in found["calls"]:  # where the loader put things says nothing
        step["stdout"] = re.sub(r"0x[0-9a-f]{6,}", "ADDRESS", step["stdout"])
    return found


def main(chosen: list[str]) -> None:
    target = Target.from_environment()
    old = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {"sessions": {}}
    with tempfile.TemporaryDirectory(prefix="modules-") as name:
        modules = indexed(Path(name))
    sessions = old["sessions"] | {f: record(f, modules, target) for f in chosen or FLAVOURS}
    tools = [*versions()[:2], "module-init-tools 3.16"]
    result = {"kernel": target.release, "tools": tools, "sessions": sessions}
    OUTPUT.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CannotRecord as error:
        sys.exit(str(error))
