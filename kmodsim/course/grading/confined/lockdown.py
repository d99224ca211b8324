# SPDX-License-Identifier: GPL-2.0-only
"""A process locks itself in: names of the system it no longer sees, limits, system calls it loses.

Constants are Linux's, from its uapi headers. The system-call filter (``SECCOMP_MODE_FILTER``) knows x86-64
and AArch64; on another processor it is left out, and the trial of the confinement says so.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct

NEW_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x08000000  # user, mount, pid, ipc
MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
PR_CAPBSET_DROP = 24
CLONE_THREAD = 0x00010000
EPERM, ENOSYS = 1, 38
FIRST_UID, UIDS = 60_000, 5_000  # strangers to every file
# AUDIT_ARCH, the number of clone, of clone3, and of the calls that are refused
REFUSED = (
    "fork vfork unshare setns mount umount2 pivot_root ptrace bpf keyctl add_key request_key "
    "perf_event_open userfaultfd io_uring_setup socket process_vm_readv process_vm_writev execve execveat "
    "open_by_handle_at fsopen fsmount move_mount open_tree memfd_create"
)
NUMBERS = {
    "x86_64": (0xC000003E, 56, 435, (57, 58, 272, 308, 165, 166, 155, 101, 321, 250, 248, 249,
                298, 323, 425, 41, 310, 311, 59, 322, 304, 430, 432, 429, 428, 319)),
    "aarch64": (0xC00000B7, 220, 435, (97, 268, 40, 39, 41, 117, 280, 219, 217, 218,
                241, 282, 425, 198, 270, 271, 221, 281, 265, 430, 432, 429, 428, 279)),
}  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


def _must(done: int, what: str) -> None:
    if done != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def stranger(number: int) -> None:
    """Become a user who owns nothing, when we are root."""
    if os.geteuid() == 0:
        uid = FIRST_UID + number % UIDS
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self belongs to root


def own_namespaces() -> None:
    """Processes, mounts and shared memory of its own for the next child."""
    uid, gid = os.geteuid(), os.getegid()
    _must(libc.unshare(NEW_NAMESPACES), "unshare")
    for name, line in (("setgroups", "deny"), ("uid_map", f"1000 {uid} 1"), ("gid_map", f"1000 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(line)


def own_files(megabytes: int) -> None:
    """A small /desk to write to; nothing under /proc; nothing else can be written."""
    flags = MS_NOSUID | MS_NODEV
    room = b"size=%dm,nr_inodes=500,mode=700" % megabytes
    _must(libc.mount(b"desk", b"/desk", b"tmpfs", flags, room), "/desk")
    for place in (b"/proc", b"/dev/shm"):
        _must(libc.mount(b"empty", place, b"tmpfs", flags | MS_RDONLY, b"size=4k"), place.decode())
    os.chdir("/desk")


def limits(memory: int, seconds: int, files: int) -> None:
    """Limits of the process: address space and file size in MiB, seconds of processor time."""
    for what, most in (
        (resource.RLIMIT_AS, memory << 20),
        (resource.RLIMIT_FSIZE, files << 20),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_NPROC, 16),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def no_privileges() -> None:
    """No capability and none to come."""
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("<Ii", 0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    _must(libc.capset(header, bytes(24)), "capset")


def fewer_calls() -> bool:
    """Refuse new processes, programs, sockets, mounts and the like. Whether this processor's numbers are
    known.
    """
    if platform.machine() not in NUMBERS:
        return False
    code = _filter(*NUMBERS[platform.machine()])
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    _must(libc.prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(program), 0, 0), "seccomp")
    return True


def _filter(arch: int, clone: int, clone3: int, refused: tuple[int, ...]) -> bytes:
    """Classic BPF over struct seccomp_data: nr at 0, arch at 4, the first argument's low half at 16."""
    allow, deny, absent, kill = 0x7FFF0000, 0x00050000 | EPERM, 0x00050000 | ENOSYS, 0x80000000
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    lines = [(load, 0, 0, 4), (equal, 1, 0, arch), (give, 0, 0, kill), (load, 0, 0, 0)]
    if arch == NUMBERS["x86_64"][0]:  # the same calls by their x32 numbers
        lines += [(at_least, 0, 1, 0x40000000), (give, 0, 0, deny)]
    lines += [(equal, 0, 1, clone3), (give, 0, 0, absent)]
    for number in refused:
        lines += [(equal, 0, 1, number), (give, 0, 0, deny)]
    lines += [(equal, 1, 0, clone), (give, 0, 0, allow), (load, 0, 0, 16)]
    lines += [(any_bit, 0, 1, CLONE_THREAD), (give, 0, 0, allow), (give, 0, 0, deny)]
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
