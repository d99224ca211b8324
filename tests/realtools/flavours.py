# SPDX-License-Identifier: GPL-2.0-only
"""What kmod's, busybox's and module-init-tools' tools do on the same kernel: ``python -m tests.realtools.flavours``
records ``flavours.json``.

Beside what ``python -m tests.realtools`` needs: depmod and strace, the distribution's tree (KMODSIM_TREE, for the
list of built-in code), and a checkout of module-init-tools 3.16 (KMODSIM_MIT), which is compiled here with gcc as
its configure script without options would. Each session is a boot; all flavours get the same lines.
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
long init_module(void *image, unsigned long size, const char *args) { return syscall(SYS_init_module, image, size, args); }
long delete_module(const char *name, unsigned flags) { return syscall(SYS_delete_module, name, flags); }
"""
LIST = "cat /proc/modules | cut -d ' ' -f 1,3,4"


def traced(command: str) -> str:
    """The system calls of a command that have to do with modules, as strace writes them."""
    pattern = r"hello\|_module\|/proc/modules\|/sys/module\|modules\.dep"
    return f"strace -y -qq -s 8 -e trace=!execve -o /tmp/calls {command}; grep '{pattern}' /tmp/calls"


SESSIONS: dict[str, list[str]] = {
    "insmod": [
        "insmod", "insmod -h", "insmod --help", "insmod -V", "insmod --version", "insmod -x hello.ko", "insmod -",
        "insmod nothere.ko", "insmod ''", "insmod /proc", "insmod hello.ko/x", "insmod empty.ko", "insmod five.ko",
        "insmod text.ko", "insmod truncated.ko", "insmod vermagic.ko", "insmod -f vermagic.ko", "lsmod",
        "rmmod vermagic", "rmmod hello", "insmod damaged.ko.xz", "insmod edited.ko", "insmod shstrndx.ko",
        "insmod hello.ko howmany=many", "insmod hello.ko nosuch=1", "lsmod", "insmod missing_symbol.ko",
        "insmod fail_init.ko", "insmod chain_b.ko", "insmod proprietary_gpl.ko", "insmod namespace_thief.ko",
        "insmod duplicate_export.ko", "insmod hello.ko howmany=2 'whom=two words'",
        "cat /sys/module/hello/parameters/whom /sys/module/hello/parameters/howmany", "insmod hello.ko",
        "insmod hello.ko.xz", "rmmod hello", "insmod hello.ko.xz howmany=3", "lsmod", "rmmod hello", "insmod hello.ko.gz",
        "rmmod hello", "insmod -p -s hello.ko", "rmmod hello", "insmod -- hello.ko", "rmmod hello", "insmod hello",
        "insmod ./hello.ko", "insmod crc16.ko", "lsmod",
    ],
    "rmmod": [
        "rmmod", "rmmod -h", "rmmod --help", "rmmod -V", "rmmod --version", "rmmod -x", "rmmod --nosuch hello", "rmmod -a",
        "rmmod hello", "rmmod -f hello", "rmmod -w hello", "rmmod --wait hello", "rmmod -v hello", "rmmod -s hello",
        "rmmod ''", "rmmod /lib/hello.ko", "rmmod unix", "insmod chain_a.ko", "insmod chain_b.ko", "insmod chain_c.ko",
        "lsmod", "cat /proc/modules | cut -d ' ' -f 1-5", "rmmod chain_a", "rmmod -f chain_a", "rmmod -w chain_a",
        "rmmod chain_b chain_c chain_b", "rmmod chain_b", "rmmod nosuch chain_a", LIST, "rmmod chain_a",
        "insmod diamond_bottom.ko", "insmod diamond_left.ko", "insmod diamond_right.ko", "lsmod", "rmmod diamond_bottom",
        "rmmod ./diamond-left.ko", "rmmod /x/diamond_right", "rmmod diamond_bottom", "insmod no_exit.ko", "lsmod",
        "rmmod no_exit", "rmmod -f no_exit", "insmod no_init.ko", "rmmod -v no_init", "insmod minimal.ko",
        "rmmod minimal -f", "insmod minimal.ko", "rmmod -w minimal", "lsmod hello", "lsmod -h", "lsmod --nosuch", "lsmod",
    ],
    "modinfo": [
        "modinfo", "modinfo -h", "modinfo --help", "modinfo -V", "modinfo --version", "modinfo -x hello.ko",
        "modinfo --nosuch hello.ko", "modinfo -F", "modinfo hello.ko", "modinfo ./crc16.ko", "modinfo hello.ko.xz",
        "modinfo hello.ko.gz", "modinfo -p hello.ko", "modinfo -F license hello.ko crc16.ko", "modinfo -F nosuch hello.ko",
        "modinfo -F parmtype hello.ko", "modinfo -n hello.ko", "modinfo -a -d hello.ko", "modinfo -0 minimal.ko",
        "modinfo -0p hello.ko", "modinfo --field=license hello.ko", "modinfo -l -k 6.1.0 hello.ko", "modinfo tables.ko",
        "modinfo empty.ko", "modinfo five.ko", "modinfo text.ko", "modinfo truncated.ko", "modinfo edited.ko | head -n 4",
        "modinfo nosuch", "modinfo nosuch.ko", "modinfo ./nosuch.ko", "modinfo /proc", "modinfo ''", "modinfo -d hello",
        "modinfo -n ext4", "modinfo -d fs-ext4", "modinfo unix", "modinfo -n chain-a chain_b", "modinfo -n 'chain_*'",
        "modinfo -m hello", "modinfo -d nosuch hello.ko",
    ],
    "modprobe": [
        "modprobe", "modprobe -h", "modprobe --help", "modprobe -V", "modprobe --version", "modprobe -x", "modprobe nosuch",
        "modprobe -q nosuch", "modprobe -v nosuch", "modprobe -n -v chain_c", "modprobe -D chain_c",
        "modprobe --show-depends chain_c", "modprobe -D unix", "modprobe -v chain_c", LIST, "modprobe chain_c",
        "modprobe -v chain_c", "modprobe --first-time chain_c", "modprobe -a chain_a nosuch diamond-top", LIST,
        "modprobe chain_a.ko", "modprobe ./hello.ko", "modprobe hello howmany=3", "modprobe -r hello",
        "modprobe hello howmany=many", "modprobe hello nosuch=1", "modprobe hello 'whom=a b' howmany=5",
        "cat /sys/module/hello/parameters/whom /sys/module/hello/parameters/howmany", "modprobe -D hello 'whom=a b'",
        "modprobe fail_init", "modprobe missing_symbol", "modprobe duplicate_export", "modprobe unix",
        "modprobe --first-time unix", "modprobe -r unix", "modprobe -r chain_a", "modprobe -r nosuch",
        "modprobe -r minimal", "modprobe -r --first-time minimal", LIST, "modprobe -r chain_c", LIST,
        "modprobe -rv diamond_top", LIST, "modprobe -l", "modprobe -l 'chain*'", "modprobe -R fs-ext4", "modprobe -v fs-ext4",
        LIST, "modprobe -r ext4", LIST, "modprobe -q fail_init", "modprobe -b minimal", "modprobe -c | wc -l",
        "modprobe symbol:chain_a_value", LIST, "modprobe -d / minimal", "modprobe -f minimal",
    ],
    "calls": [
        traced("insmod hello.ko howmany=2"), traced("insmod hello.ko"), traced("rmmod hello"), traced("rmmod hello"),
        traced("insmod -f hello.ko"), traced("rmmod -f hello"), traced("insmod hello.ko.xz"), traced("rmmod -w hello"),
        traced("insmod hello.ko.gz"), traced("rmmod hello"), traced("insmod hello.ko howmany=x"),
        traced("insmod nothere_hello.ko"), traced("lsmod"), traced("modprobe hello"), traced("modprobe -r hello"),
        traced("modinfo -n hello.ko"), traced("modinfo -l hello"),
    ],
}  # fmt: skip


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
    content |= {"bin/busybox": program("busybox").read_bytes(), "applets/.keep": b""} | libraries(program("kmod"))
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
    return {f"{FOLDER}/{p.relative_to(place).as_posix()}": p.read_bytes() for p in place.rglob("*") if p.is_file()}


def record(flavour: str, modules: dict[str, bytes], target: Target) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="flavours-") as name:
        tools = binaries(flavour, Path(name))
        found = {session: boot(target, image(tools, modules, lines), lines) for session, lines in SESSIONS.items()}
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
