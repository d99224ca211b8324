# SPDX-License-Identifier: GPL-2.0-only
"""Questions to the booted kernel: the script that runs in the guest, and the reading of its answers.

Kernel variables are read through /proc/kcore, whose first PT_LOAD maps the kernel image; the file offset of
an address is (address & 2^47-1) plus a constant (``fs/proc/kcore.c``, ``arch/x86/include/asm/pgtable_64.h``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kmodsim.profilebuild.boot import Boot, BuildError, boot

# With kptr_restrict 0 /proc/vmallocinfo shows hashed addresses; with 1 root sees the real ones
SCRIPT = b"""
cat /proc/kallsyms > /out/kallsyms
echo 1 > /proc/sys/kernel/kptr_restrict
cat /proc/vmallocinfo > /out/vmallocinfo
ls /sys/module > /out/modules
cat /proc/devices > /out/devices
cat /proc/misc > /out/misc
uname -r > /out/release
uname -v > /out/version
set -- $(od -An -tx8 -j128 -N16 /proc/kcore)
constant=$(( 0x$1 - (0x$2 & 0x7fffffffffff) ))
peek() {
    dd if=/proc/kcore iflag=skip_bytes,count_bytes bs=65536 skip=$(( (0x$1 & 0x7fffffffffff) + constant )) \
        count=$2 2>/dev/null
}
mkdir /out/memory
while read name length pointed; do
    address=$(awk -v name=$name '$3 == name { print $1; exit }' /out/kallsyms)
    [ "$address" ] || continue
    peek $address $length > /out/memory/$name
    [ "$pointed" ] || continue
    peek $(od -An -tx8 /out/memory/$name) $pointed > /out/memory/$name.pointed
done < /wanted
"""


@dataclass(frozen=True, slots=True)
class Symbols:
    """The rows of /proc/kallsyms, in its order."""

    addresses: list[int]
    types: str
    names: list[str]

    def address(self, name: str) -> int:
        """The first symbol of that name. BuildError: there is none."""
        if name not in self.names:
            raise BuildError(f"the booted kernel has no symbol {name}")
        return self.addresses[self.names.index(name)]


def ask(kernel: Path, cpu: str, wanted: Mapping[str, tuple[int, int]]) -> Boot:
    """Boot on ``cpu`` and answer. ``wanted``: variable -> (its bytes, bytes to read where it points or 0).

    The answers are files: kallsyms, vmallocinfo, modules, devices, misc, release, version, memory/NAME,
    memory/NAME.pointed.
    """
    lines = [f"{name} {length} {pointed or ''}".strip() for name, (length, pointed) in wanted.items()]
    files = {"script": SCRIPT, "wanted": "\n".join([*lines, ""]).encode()}
    answer = boot(kernel, files, append="nokaslr", cpu=cpu)
    if answer.status is None:
        last = (answer.console.strip().splitlines() or ["no output"])[-1]
        raise BuildError(f"the kernel did not come up on {cpu}: {last}")
    return answer


def symbols(kallsyms: bytes) -> Symbols:
    """Parse /proc/kallsyms. BuildError: the addresses are hidden."""
    rows = [line.split()[:3] for line in kallsyms.decode().splitlines() if "[" not in line]
    addresses = [int(row[0], 16) for row in rows]
    if not any(addresses):
        raise BuildError("the booted kernel hides its addresses (kptr_restrict)")
    return Symbols(addresses, "".join(row[1] for row in rows), [row[2] for row in rows])


def char_majors(devices: bytes) -> list[int]:
    """The major numbers of the first half of /proc/devices."""
    characters = devices.decode().partition("Block devices")[0]
    return sorted({int(line.split()[0]) for line in characters.splitlines() if line[:3].strip().isdigit()})


def misc_minors(misc: bytes) -> list[int]:
    """The minor numbers in /proc/misc."""
    return sorted(int(line.split()[0]) for line in misc.decode().splitlines())


def vmalloc_areas(vmallocinfo: bytes, start: int, end: int) -> list[tuple[int, int, str]]:
    """(start, size with guard page, who allocated it) of the areas between ``start`` and ``end``."""
    areas = []
    for line in vmallocinfo.decode().splitlines():
        bounds, size, caller = (line.split(maxsplit=2) + [""])[:3]
        address = int(bounds.split("-")[0], 16)
        if start <= address < end:
            areas.append((address, int(size), caller.split("+")[0].split()[0]))
    return sorted(areas)
