# SPDX-License-Identifier: GPL-2.0-only
"""init_module and finit_module: permission, flags, descriptors, user memory with holes, late faults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import kmodsim
from kmodsim import O_PATH, O_RDWR, O_WRONLY, Kernel, KernelError, sample
from kmodsim.errors import (
    EBADF,
    EFAULT,
    EINVAL,
    EISDIR,
    EMFILE,
    ENOENT,
    ENOEXEC,
    ENOMEM,
    ENOTDIR,
    EOPNOTSUPP,
    EPERM,
    ETXTBSY,
    O_DIRECTORY,
)
from kmodsim.loader.copying import copy_chunks
from kmodsim.loader.permission import may_init_module

from .heart import errno_of, snapshot

pytestmark = pytest.mark.core
CHUNK = 16 * 4096  # kernel/module/main.c: COPY_CHUNK_SIZE
AT, PARAMS = 0x10000000, 0x30000000
IMAGE = sample("hello").read_bytes()


# --- permission, flags ----------------------------------------------------------------------------


@pytest.mark.parametrize(("capabilities", "disabled", "allowed"), [
    ({"CAP_SYS_MODULE"}, False, True), ({"CAP_SYS_MODULE"}, True, False), ({"CAP_SYS_ADMIN"}, False, False),
    ((), False, False),
])  # fmt: skip
def test_may_init_module(capabilities: set[str], disabled: bool, allowed: bool) -> None:
    assert may_init_module(capabilities, disabled) is allowed


def test_permission_comes_before_everything_else() -> None:
    kernel = Kernel(uid=1000)
    assert errno_of(kernel.finit_module, 99, flags=64) == EPERM
    assert errno_of(kernel.init_module, 0, 0, length=0) == EPERM
    assert errno_of(kernel.delete_module, "") == EPERM


@pytest.mark.parametrize(("kernel", "uid", "allowed"), [
    ({}, 0, True), ({}, 1000, False), ({"uid": 1000}, None, False), ({"uid": 1000}, 0, True),
    ({"capabilities": ()}, None, False), ({"uid": 1000, "capabilities": ("CAP_SYS_MODULE",)}, None, True),
    ({"cmdline": "nomodule"}, None, False), ({"cmdline": "nomodule=0"}, None, True),
])  # fmt: skip
def test_who_may(kernel: dict[str, object], uid: int | None, allowed: bool) -> None:
    booted = Kernel(**kernel)  # type: ignore[arg-type]
    if allowed:
        assert booted.finit_module(IMAGE, uid=uid).state == "LIVE"
    else:
        assert errno_of(booted.finit_module, IMAGE, uid=uid) == EPERM


@pytest.mark.parametrize("flags", [8, 64, 1 << 31, 0xFFFFFFFF, -1])
def test_unknown_flags_come_before_the_descriptor(flags: int) -> None:
    assert errno_of(Kernel().finit_module, 99, flags=flags) == EINVAL


@pytest.mark.parametrize("flags", [4, 5, 6, 7])
def test_this_kernel_decompresses_nothing_but_reads_the_file_first(flags: int) -> None:
    kernel = Kernel()
    assert errno_of(kernel.finit_module, IMAGE, flags=flags) == EOPNOTSUPP
    assert errno_of(kernel.finit_module, 99, flags=flags) == EBADF
    assert errno_of(kernel.finit_module, b"", flags=flags) == EINVAL


def test_flags_by_name() -> None:
    """include/uapi/linux/module.h"""
    names = ("MODULE_INIT_IGNORE_MODVERSIONS", "MODULE_INIT_IGNORE_VERMAGIC", "MODULE_INIT_COMPRESSED_FILE")
    assert [getattr(kmodsim, name) for name in names] == [1, 2, 4]


# --- descriptors ----------------------------------------------------------------------------------


@pytest.fixture
def module_file(tmp_path: Path) -> Path:
    path = tmp_path / "hello.ko"
    path.write_bytes(IMAGE)
    return path


def test_a_descriptor_loads_and_stays_open(module_file: Path) -> None:
    kernel = Kernel()
    fd = kernel.openat(module_file, 0)
    assert kernel.finit_module(fd).name == "hello"
    kernel.delete_module("hello")
    assert kernel.finit_module(fd).name == "hello"
    kernel.close(fd)
    assert errno_of(kernel.finit_module, fd) == EBADF
    assert errno_of(kernel.close, fd) == EBADF


def test_a_path_leaves_no_descriptor_open(module_file: Path) -> None:
    kernel = Kernel()
    first = kernel.openat(module_file, 0)
    kernel.close(first)
    kernel.finit_module(module_file)
    assert errno_of(kernel.finit_module, module_file) == 17
    assert kernel.openat(module_file, 0) == first == 3


@pytest.mark.parametrize("fd", [-1, 3, 99, 1 << 31])
def test_descriptors_that_are_not_open(fd: int) -> None:
    assert errno_of(Kernel().finit_module, fd) == EBADF


@pytest.mark.parametrize("flags", [O_WRONLY, O_PATH, O_PATH | O_RDWR])
def test_descriptors_that_cannot_be_read(module_file: Path, flags: int) -> None:
    """fs/kernel_read_file.c:kernel_read_file_from_fd: ``!(f.file->f_mode & FMODE_READ)``; O_PATH gives no
    file."""
    kernel = Kernel()
    assert errno_of(kernel.finit_module, kernel.openat(module_file, flags)) == EBADF


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_a_terminal_is_no_regular_file(fd: int) -> None:
    assert errno_of(Kernel().finit_module, fd) == EINVAL


def test_a_directory(tmp_path: Path) -> None:
    kernel = Kernel()
    assert errno_of(kernel.finit_module, kernel.openat(tmp_path, 0)) == EINVAL
    assert errno_of(kernel.finit_module, tmp_path) == EINVAL
    assert errno_of(kernel.openat, tmp_path, O_WRONLY) == EISDIR
    assert errno_of(kernel.openat, tmp_path, O_RDWR) == EISDIR


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    kernel = Kernel()
    assert errno_of(kernel.finit_module, kernel.openat(tmp_path / "pipe", 0)) == EINVAL


def test_paths_that_cannot_be_opened(tmp_path: Path, module_file: Path) -> None:
    kernel = Kernel()
    assert errno_of(kernel.openat, tmp_path / "nobody", 0) == ENOENT
    assert errno_of(kernel.finit_module, tmp_path / "nobody") == ENOENT
    assert errno_of(kernel.openat, module_file / "below", 0) == ENOTDIR
    assert errno_of(kernel.openat, module_file, O_DIRECTORY) == ENOTDIR


def test_a_file_that_somebody_may_write_is_busy(module_file: Path) -> None:
    """deny_write_access() fails while there is a writer: ETXTBSY, through whatever descriptor it is read."""
    kernel = Kernel()
    reader, writer = kernel.openat(module_file, 0), kernel.openat(module_file, O_RDWR)
    assert errno_of(kernel.finit_module, reader) == ETXTBSY
    assert errno_of(kernel.finit_module, writer) == ETXTBSY
    kernel.close(writer)
    assert kernel.finit_module(reader).name == "hello"


def test_descriptors_run_out(module_file: Path) -> None:
    kernel = Kernel()
    for _ in range(1021):  # RLIMIT_NOFILE 1024, three are taken
        kernel.openat(module_file, 0)
    assert errno_of(kernel.openat, module_file, 0) == EMFILE


@pytest.mark.parametrize(("length", "errno"), [(0, EINVAL), (1, ENOEXEC), (63, ENOEXEC)])
def test_short_files(length: int, errno: int) -> None:
    assert errno_of(Kernel().finit_module, IMAGE[:length]) == errno


# --- init_module and user memory ------------------------------------------------------------------


@pytest.mark.parametrize(("length", "chunks"), [
    (0, [(0, 0)]), (64, [(0, 64)]), (CHUNK, [(0, CHUNK)]), (CHUNK + 1, [(0, CHUNK), (CHUNK, 1)]),
    (3 * CHUNK - 1, [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, CHUNK - 1)]),
])  # fmt: skip
def test_copy_chunks(length: int, chunks: list[tuple[int, int]]) -> None:
    """kernel/module/main.c:copy_chunked_from_user: do { … } while (len)."""
    assert copy_chunks(length) == chunks


def test_bytes_load_as_they_are_and_leave_no_mapping() -> None:
    kernel = Kernel()
    assert kernel.init_module(IMAGE, "howmany=2").args == "howmany=2"
    assert errno_of(kernel.user_memory().copy_from_user, 0x7F0000000000, 1) == EFAULT


def test_an_image_at_a_user_address() -> None:
    kernel = Kernel()
    kernel.user_memory().map(AT, IMAGE)
    kernel.user_memory().map(PARAMS, b"howmany=4\0")
    assert kernel.init_module(AT, PARAMS, length=len(IMAGE)).args == "howmany=4"


@pytest.mark.parametrize("length", [0, 1, 63])
def test_lengths_below_a_header_are_not_even_read(length: int) -> None:
    assert errno_of(Kernel().init_module, 0, length=length) == ENOEXEC
    assert errno_of(Kernel().init_module, IMAGE, length=length) == ENOEXEC


@pytest.mark.parametrize("length", [1 << 41, 1 << 62, (1 << 64) - 1, -1])
def test_absurd_lengths_find_no_memory(length: int) -> None:
    """__vmalloc fails before a byte is copied; -1 is an unsigned long."""
    assert errno_of(Kernel().init_module, AT, length=length) == ENOMEM


BIG = sample("e1000").read_bytes()


@pytest.mark.parametrize(
    "hole", [0, 4095, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, len(BIG) - 1]
)
def test_a_hole_of_one_byte_anywhere_is_a_fault(hole: int) -> None:
    kernel = Kernel()
    before = snapshot(kernel)
    kernel.user_memory().map(AT, BIG)
    kernel.user_memory().unmap(AT + hole, 1)
    with pytest.raises(KernelError) as caught:
        kernel.init_module(AT, length=len(BIG))
    assert (caught.value.errno, caught.value.stage) == (EFAULT, "copy_module_from_user")
    assert snapshot(kernel) == before


def test_a_hole_behind_the_length_does_no_harm() -> None:
    kernel = Kernel()
    kernel.user_memory().map(AT, BIG + b"x")
    kernel.user_memory().unmap(AT + len(BIG), 1)
    assert kernel.init_module(AT, length=len(BIG)).name == "e1000"


def test_pieces_that_touch_load_as_one() -> None:
    kernel = Kernel()
    for at in range(0, len(BIG), 40_000):
        kernel.user_memory().map(AT + at, BIG[at : at + 40_000])
    assert kernel.init_module(AT, length=len(BIG)).name == "e1000"


def test_a_length_beyond_the_mapping_is_a_fault() -> None:
    assert errno_of(Kernel().init_module, IMAGE, length=len(IMAGE) + 1) == EFAULT


@pytest.mark.parametrize("address", [0, 0xDEAD000, 0xFFFFFFFF81000000, (1 << 64) - 8])
def test_addresses_that_are_not_the_users(address: int) -> None:
    assert errno_of(Kernel().init_module, address, length=4096) == EFAULT


def test_a_cut_image_is_refused_by_the_header_check() -> None:
    kernel = Kernel()
    assert errno_of(kernel.init_module, IMAGE, length=64) == ENOEXEC
    assert kernel.dmesg == ["<3>Invalid ELF section header overflow"]


# --- the arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["finit_module", "init_module"])
def test_a_bad_pointer_to_the_arguments_is_noticed_late(call: str) -> None:
    """load_module: strndup_user stands behind post_relocation; the symbols have been resolved by then."""
    kernel = Kernel()
    before = snapshot(kernel)
    with pytest.raises(KernelError) as caught:
        getattr(kernel, call)(IMAGE, 0xDEAD000)
    assert (caught.value.errno, caught.value.stage) == (EFAULT, "strndup_user")
    assert snapshot(kernel) == before
    assert errno_of(getattr(kernel, call), sample("missing_symbol").read_bytes(), 0xDEAD000) == ENOENT


def test_arguments_that_run_into_a_hole() -> None:
    kernel = Kernel()
    kernel.user_memory().map(PARAMS, b"howmany=4")  # no NUL
    assert errno_of(kernel.finit_module, IMAGE, PARAMS) == EFAULT


def test_a_null_pointer_is_no_empty_string() -> None:
    assert errno_of(Kernel().finit_module, IMAGE, 0) == EFAULT


def test_arguments_end_at_nul() -> None:
    assert Kernel().finit_module(IMAGE, "howmany=4\0howmany=5").args == "howmany=4"


def test_the_error_carries_what_this_call_printed_and_no_more() -> None:
    kernel = Kernel()
    kernel.finit_module(IMAGE)
    with pytest.raises(KernelError) as caught:
        kernel.finit_module(sample("missing_symbol"))
    assert caught.value.dmesg == kernel.dmesg[-len(caught.value.dmesg) :]
    assert all("hello" not in line for line in caught.value.dmesg)
    assert caught.value.dmesg[-1].endswith("(err -2)")
    assert (caught.value.strerror, caught.value.stage) == ("No such file or directory", "simplify_symbols")
