# SPDX-License-Identifier: GPL-2.0-only
"""What the real modprobe does on the real kernel: ``python -m tests.realtools.modprobe`` records
``modprobe.json``.

The guest has the modules that come along in /lib/modules, with the indexes of ``kmodsim/data``, and
``CONFIG`` in /etc/modprobe.d. Needs what ``python -m tests.realtools`` needs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kmodsim.corpus import DATA, DISTRIBUTION, RELEASE, SAMPLES
from kmodsim.sampleindex import MADE
from tests.realkernel.initramfs import archive
from tests.realkernel.kernels import DEFAULT, KERNELS
from tests.realkernel.machine import CannotRecord, Target

from .__main__ import INIT, boot, libraries, program, versions

OUTPUT = Path(__file__).with_suffix(".json")
FOLDER = f"/lib/modules/{RELEASE}"
LIST = "cat /proc/modules | cut -d ' ' -f 1,3,4"
CONFIG = {
    "10-course.conf": """# what a course might have
blacklist minimal
options hello howmany=7
options hello whom="the course"
alias greeting hello
alias eth[0-9] e1000
alias both chain_a
alias both no_init
alias lost nosuch
install percpu /bin/true
install chardev /bin/false
install proprietary exit 3
remove percpu /bin/true
remove no_exit /bin/false
""",
    "20-soft.conf": """softdep diamond_top pre: hello post: chain_a
softdep gpl_user pre: fail_init nosuch post: missing_symbol
softdep chain_b pre: no_init
softdep tables post: no_exit
bad line
""",
}
SESSIONS: dict[str, list[str]] = {
    "load": [
        "modprobe -n -v chain_c",
        "modprobe -v chain_c",
        LIST,
        "modprobe chain_c",
        "modprobe -v chain_c",
        "modprobe --first-time chain_c",
        "modprobe -n --first-time chain_b",
        "modprobe -a chain_a chain_c nosuch diamond-top",
        LIST,
        "modprobe -D chain_c",
        "modprobe -v diamond_left",
        "modprobe hello howmany=3",
        "cat /sys/module/hello/parameters/howmany",
        "modprobe hello howmany=many",
        "modprobe -r hello",
        "modprobe hello howmany=many",
        "modprobe -v hello howmany=0x10 'whom=a b'",
        "cat /sys/module/hello/parameters/whom",
        "modprobe -r hello",
        "modprobe hello nosuch=1",
        LIST,
        "modprobe fail_init",
        "modprobe missing_symbol",
        "modprobe duplicate_export",
        "modprobe -v namespace_thief",
        LIST,
        "modprobe -a fail_init missing_symbol crc16",
        "modprobe nosuch",
        "modprobe -q nosuch",
        "modprobe unix",
        "modprobe --first-time unix",
        "modprobe -v unix",
        "modprobe -D unix",
        "modprobe -r unix",
        "modprobe -v ext4",
        LIST,
        "modprobe -v fs-ext4",
        "modprobe -r ext4",
        LIST,
        "modprobe -vv minimal 2>&1 | wc -l",
        "modprobe -R course:alias",
        "modprobe ./hello.ko",
        "modprobe symbol:chain_a_value",
        LIST,
    ],
    "remove": [
        "modprobe -r chain_c",
        "modprobe -r --first-time chain_c",
        "modprobe -r nosuch",
        "modprobe chain_c",
        "modprobe -r chain_a",
        "modprobe -r chain_b",
        "modprobe -rn -v chain_c",
        "modprobe -r -v chain_c",
        LIST,
        "modprobe diamond_top",
        LIST,
        "modprobe -r diamond_bottom",
        "modprobe -r --remove-holders -v diamond_left",
        LIST,
        "modprobe -rv diamond_left",
        LIST,
        "modprobe -r -w 20 diamond_bottom",
        "modprobe chain_c; modprobe hello; modprobe -ra -v hello chain_a chain_c",
        LIST,
        "modprobe no_exit",
        "modprobe -r no_exit",
        "modprobe -rq no_exit",
        "modprobe -r -w 20 no_exit",
        "modprobe -ra no_exit hello no_exit",
        "modprobe -rf no_exit",
        LIST,
        "modprobe -a chain_b percpu",
        "modprobe -r -v chain_b percpu",
        LIST,
        "modprobe -rv --remove-dependencies chain_a",
        "modprobe chain_c",
        "modprobe -rv --remove-holders chain_a",
        LIST,
        "modprobe -rq chain_a",
        "modprobe -rD chain_c",
        LIST,
    ],
    "config": [
        "modprobe -C /dev/null minimal",
        LIST,
        "modprobe -r minimal",
        "modprobe minimal",
        "modprobe -b minimal",
        LIST,
        "modprobe -r minimal",
        "modprobe -n -v hello",
        "modprobe -v hello howmany=8",
        "cat /sys/module/hello/parameters/howmany",
        "modprobe -r hello",
        "modprobe -v greeting",
        LIST,
        "modprobe -rv greeting",
        "modprobe -v both",
        LIST,
        "modprobe -v both --first-time",
        "modprobe -rv both",
        "modprobe lost",
        "modprobe -v lost",
        "modprobe -n -v lost",
        "modprobe -v percpu x=1",
        LIST,
        "modprobe -vi percpu",
        LIST,
        "modprobe -rv percpu",
        LIST,
        "modprobe -rvi percpu",
        LIST,
        "modprobe chardev",
        "modprobe -v chardev",
        "modprobe -i chardev",
        "modprobe chardev",
        "modprobe -r chardev",
        "modprobe -v eth0",
        "modprobe -R eth7",
        "modprobe -v diamond_top",
        LIST,
        "modprobe -v diamond_top",
        "modprobe -rv diamond_top",
        LIST,
        "modprobe gpl_user",
        LIST,
        "modprobe -v gpl_user",
        "modprobe -rv gpl_user",
        "modprobe -v chain_c",
        LIST,
        "modprobe -rv chain_c",
        LIST,
        "modprobe -v tables",
        LIST,
        "modprobe -rv tables",
        LIST,
        "modprobe -r no_exit",
        "modprobe -ri no_exit",
        "modprobe -c | head -n 20",
        "modprobe -D both greeting",
        "modprobe -Da both greeting",
    ],
}


def image(lines: list[str], configured: bool) -> bytes:
    """The initramfs of one session, whose lines dash reads."""
    kmod, dash = program("kmod"), program("dash")
    content = {
        "tools/modprobe": kmod.read_bytes(),
        "tools/dash": dash.read_bytes(),
        "bin/sh": dash.read_bytes(),
    }
    content |= {
        "bin/busybox": program("busybox").read_bytes(),
        "init": INIT.encode(),
        "functions": b"",
        "shell": b"/tools/dash",
    }
    content |= {f"bin/{name}": program("busybox").read_bytes() for name in ("true", "false")}
    content |= libraries(kmod) | libraries(dash)
    executable = frozenset(content)
    files = [*SAMPLES.glob("*.ko"), *DISTRIBUTION.glob("*.ko"), *(DATA / name for name in MADE)]
    content |= {f"{FOLDER[1:]}/{file.relative_to(DATA).as_posix()}": file.read_bytes() for file in files}
    content |= {f"etc/modprobe.d/{name}": text.encode() for name, text in CONFIG.items() if configured}
    content |= {"applets/.keep": b"", "course/.keep": b""}
    content |= {f"plan/{number}": line.encode() for number, line in enumerate(lines)}
    return archive(content, executable)


def main() -> None:
    target = Target.of(KERNELS[DEFAULT])
    recorded = {name: boot(target, image(lines, name == "config"), lines) for name, lines in SESSIONS.items()}
    result = {"kernel": target.release, "tools": versions()[:1], "sessions": recorded}
    OUTPUT.write_text(json.dumps(result, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except CannotRecord as error:
        sys.exit(str(error))
