# SPDX-License-Identifier: GPL-2.0-only
"""What the profile knows of C: prototypes, structures, contents, beside headers and a compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kmodsim.profile import DEFAULT, KernelProfile

PROFILE = KernelProfile.load(DEFAULT)
# include/linux/: slab.h, printk.h, miscdevice.h, seq_file.h; the names are those of the definitions
DECLARED = {
    "__kmalloc": "void *__kmalloc(size_t size, gfp_t flags)",
    "_printk": "int _printk(const char *fmt, ...)",
    "misc_register": "int misc_register(struct miscdevice *misc)",
    "seq_printf": "void seq_printf(struct seq_file *m, const char *f, ...)",
    "memcpy": "void *memcpy(void *to, const void *from, size_t len)",
}
# what the kernel functions in Python look into
OFFSETS = (
    ("linux/timer.h", "timer_list", ("entry", "expires", "function", "flags")),
    ("linux/fs.h", "file", ("f_op", "f_flags", "f_mode", "f_pos", "private_data")),
    ("linux/fs.h", "inode", ("i_mode", "i_rdev", "i_private")),
    ("linux/miscdevice.h", "miscdevice", ("minor", "name", "fops", "mode")),
    ("linux/seq_file.h", "seq_file", ("buf", "size", "count", "index", "op", "private")),
    ("linux/workqueue.h", "delayed_work", ("work", "timer", "wq")),
    ("linux/sched.h", "task_struct", ("__state", "pid", "comm")),
    ("linux/device.h", "device", ("kobj", "driver_data", "devt", "release")),
)


@pytest.mark.core
@pytest.mark.parametrize("name", DECLARED)
def test_prototypes_as_the_headers_have_them(name: str) -> None:
    assert str(PROFILE.prototypes[name]) == DECLARED[name]


@pytest.mark.core
def test_flags_and_contents_as_the_sources_have_them() -> None:
    """include/linux/gfp_types.h; lib/hexdump.c and lib/ctype.c."""
    flags = PROFILE.prototypes["__kmalloc"].parameters[1].type
    assert (flags.show(0xCC0), flags.show(0xDC0)) == ("GFP_KERNEL", "GFP_KERNEL|__GFP_ZERO")
    assert PROFILE.contents["hex_asc"] == b"0123456789abcdef"
    assert PROFILE.contents["_ctype"][ord("A")] == 0x41  # _U | _X
    with pytest.raises(KeyError):
        PROFILE.struct("no_such_struct")


@pytest.mark.tool
def test_structures_as_a_compiler_lays_them_out(needs: Callable[[str], str], tmp_path: Path) -> None:
    """gcc with the kernel's own headers writes size and offsets of each structure into an object file."""
    headers = Path(f"/lib/modules/{PROFILE.release}/build")
    build = headers if headers.exists() else Path(f"/usr/src/linux-headers-{PROFILE.release}")
    if not (build / "Makefile").exists():
        pytest.skip(f"needs linux-headers-{PROFILE.release}")
    rows = [(s, f) for _, s, fields in OFFSETS for f in fields]
    includes = "".join(f"#include <{header}>\n" for header in dict.fromkeys(h for h, _, _ in OFFSETS))
    values = ", ".join(f"offsetof(struct {s}, {f})" for s, f in rows)
    sizes = ", ".join(f"sizeof(struct {s})" for _, s, _ in OFFSETS)
    (tmp_path / "probe.c").write_text(
        f"#include <linux/module.h>\n{includes}"
        f'const unsigned int found[] __attribute__((section(".found"))) = {{ {values}, {sizes} }};\n'
        'MODULE_LICENSE("GPL");\n'
    )
    (tmp_path / "Kbuild").write_text("obj-m := probe.o\n")
    command = [needs("make"), "-s", "-C", str(build), f"M={tmp_path}", f"CC={needs('gcc-12')}", "probe.o"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    raw = tmp_path / "found"
    copy = [needs("objcopy"), "-O", "binary", "-j", ".found", "--set-section-flags", ".found=alloc"]
    subprocess.run([*copy, str(tmp_path / "probe.o"), str(raw)], check=True, timeout=60)
    numbers = list(memoryview(raw.read_bytes()).cast("I"))
    assert len(numbers) == len(rows) + len(OFFSETS)
    assert [PROFILE.struct(s).fields[f][0] for s, f in rows] == numbers[: len(rows)]
    assert [PROFILE.struct(s).size for _, s, _ in OFFSETS] == numbers[len(rows) :]
